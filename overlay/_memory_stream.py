"""Byte streams inside one process, with latency, windows and resets."""

from collections import deque
from typing import Final

import trio

from overlay.addresses import LOCAL
from overlay.errors import PeerUnavailable
from overlay.ids import PeerId

WINDOW_BYTES: Final = 256 * 1024
"""Bytes of one direction that may be on their way or unread (yamux's first window)."""


class Pipe:
    """One direction of a stream: one task writes, another reads.

    Invariant: never holds more than `WINDOW_BYTES`.
    """

    def __init__(self, latency_s: float) -> None:
        self._latency_s = latency_s
        self._chunks: deque[tuple[float, bytes]] = deque()
        self._held_bytes = 0
        self._finished = False
        self.broken = False
        self._changed = trio.Event()

    async def write(self, data: bytes) -> None:
        """Send all of *data*, waiting for room."""
        view = memoryview(data)
        await trio.lowlevel.checkpoint()
        while view:
            await self._wait_until_room()
            chunk = bytes(view[: WINDOW_BYTES - self._held_bytes])
            self._chunks.append((trio.current_time() + self._latency_s, chunk))
            self._held_bytes += len(chunk)
            view = view[len(chunk) :]
            self._wake()

    async def read(self, bytes_max: int) -> bytes:
        """Return at most *bytes_max* bytes that arrived, b"" at the end."""
        await trio.lowlevel.checkpoint()
        while True:
            if self.broken:
                raise PeerUnavailable("the peer is gone or reset the stream")
            if self._chunks and self._chunks[0][0] <= trio.current_time():
                return self._take(bytes_max)
            if self._finished and not self._chunks:
                return b""
            await self._wait_for_arrival()

    def finish(self) -> None:
        """Say that no more will be written."""
        self._finished = True
        self._wake()

    def break_off(self) -> None:
        """Fail both sides' calls, now and later."""
        self.broken = True
        self._chunks.clear()
        self._wake()

    async def _wait_until_room(self) -> None:
        while True:
            if self.broken or self._finished:
                raise PeerUnavailable("the peer is gone or reset the stream")
            if self._held_bytes < WINDOW_BYTES:
                return
            await self._changed.wait()

    async def _wait_for_arrival(self) -> None:
        changed = self._changed
        if self._chunks:
            with trio.move_on_at(self._chunks[0][0]):
                await changed.wait()
        else:
            await changed.wait()

    def _take(self, bytes_max: int) -> bytes:
        arrived_at_s, chunk = self._chunks.popleft()
        taken, rest = chunk[:bytes_max], chunk[bytes_max:]
        if rest:
            self._chunks.appendleft((arrived_at_s, rest))
        self._held_bytes -= len(taken)
        self._wake()
        return taken

    def _wake(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


class MemoryStream:
    """Implements `overlay.driver.ByteStream` on two pipes."""

    def __init__(self, peer_id: PeerId, incoming: Pipe, outgoing: Pipe) -> None:
        self.peer_id = peer_id
        self.prefix = LOCAL
        self._incoming = incoming
        self._outgoing = outgoing
        self._our_end = False
        self._their_end = False

    async def read(self, bytes_max: int) -> bytes:
        """Return what arrived, or b"" at the peer's end."""
        data = await self._incoming.read(bytes_max)
        self._their_end = not data
        return data

    async def write(self, data: bytes) -> None:
        """Send all of *data*."""
        await self._outgoing.write(data)

    async def finish(self) -> None:
        """Close our sending side."""
        self._our_end = True
        self._outgoing.finish()
        await trio.lowlevel.cancel_shielded_checkpoint()

    async def reset(self) -> None:
        """Abort both sides, unless both are finished already."""
        if not (self._our_end and self._their_end):
            self.break_off()
        await trio.lowlevel.cancel_shielded_checkpoint()

    @property
    def ended(self) -> bool:
        """True when nothing more can happen on this stream."""
        return (self._our_end and self._their_end) or self._incoming.broken

    def break_off(self) -> None:
        """Abort at once, from either end."""
        self._incoming.break_off()
        self._outgoing.break_off()


def stream_pair(
    opener: PeerId, answerer: PeerId, latency_s: float
) -> tuple[MemoryStream, MemoryStream]:
    """Return the opener's end and the answerer's end of a new stream."""
    there, back = Pipe(latency_s), Pipe(latency_s)
    return MemoryStream(answerer, back, there), MemoryStream(opener, there, back)
