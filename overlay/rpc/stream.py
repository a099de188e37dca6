"""The `Stream` of frames that the rest of Cocoon sees, over any `ByteStream`.

A stream may be silent between frames for as long as its owner likes: jobs are.
Two silences are attacks and end in a reset: an inbound stream on which no first
frame comes, and a frame that was begun and is not carried on.
"""

import enum
import math
from collections.abc import Callable
from typing import Final

import trio

from overlay.driver import ByteStream
from overlay.errors import LocalProtocolError, RemoteProtocolError, StreamClosed
from overlay.ids import PeerId
from overlay.rpc.frame import FrameReader, encode_frame

FIRST_FRAME_S: Final = 10.0
"""An inbound stream must bring the first byte of its first frame within this time."""
STALL_S: Final = 10.0
"""Longest silence inside a frame."""
FRAME_RATE_MIN_BYTES_PER_S: Final = 16 * 1024
"""A begun frame must come in at this rate, after `STALL_S` of patience."""
READ_BYTES: Final = 64 * 1024
LINGER_S: Final = 10.0
"""How long we drain a stream that we closed and the peer did not."""
LINGER_BYTES_MAX: Final = 1 << 20


class _Sending(enum.Enum):
    OPEN = enum.auto()
    BUSY = enum.auto()
    """A frame is on its way; stays so for ever when that `send` was cancelled."""
    FINISHED = enum.auto()


class FrameStream:
    """Implements `overlay.transport.Stream`.

    Args:
        raw: the bytes below; owned by this object from now on.
        inbound: True when the peer opened it, and so owes us a first frame.
        first_frame_s: patience for the first byte of an inbound stream.
        stall_s: longest silence inside a frame.
        linger: takes over a byte stream that we closed and the peer did not yet.
    """

    def __init__(
        self,
        raw: ByteStream,
        *,
        inbound: bool,
        linger: Callable[[ByteStream], None],
        first_frame_s: float = FIRST_FRAME_S,
        stall_s: float = STALL_S,
    ) -> None:
        self._first_frame_s = first_frame_s
        self._stall_s = stall_s
        self._raw = raw
        self._linger = linger
        self._reader = FrameReader()
        self._first_byte_due = inbound
        self._frame_began_at_s = 0.0
        self._sending = _Sending.OPEN
        self._peer_finished = False
        self._disposed = False

    @property
    def peer_id(self) -> PeerId:
        """The authenticated peer at the other end."""
        return self._raw.peer_id

    @property
    def prefix(self) -> str:
        """The prefix of the address that it comes from; empty when that is no public one."""
        return self._raw.prefix

    async def send(self, body: bytes) -> None:
        """Send one frame; see `overlay.transport.Stream.send`."""
        if self._sending is not _Sending.OPEN or self._disposed:
            raise LocalProtocolError("send after finish, aclose, reset or a cancelled send")
        frame = encode_frame(body)
        self._sending = _Sending.BUSY
        await self._raw.write(frame)
        self._sending = _Sending.OPEN

    async def receive(self) -> bytes:
        """Return the next frame; see `overlay.transport.Stream.receive`.

        Cancelling it loses nothing: a later call goes on where it stopped.
        """
        if self._disposed:
            raise LocalProtocolError("receive after aclose or reset")
        try:
            while (frame := self._reader.next_frame()) is None:
                await self._read_more()
        except RemoteProtocolError:
            await self.reset()
            raise
        if self._reader.inside_frame:
            self._frame_began_at_s = trio.current_time()
        await trio.lowlevel.cancel_shielded_checkpoint()  # the frame is ours: do not lose it
        return frame

    async def finish(self) -> None:
        """Close our sending side; half a frame before it turns this into a reset."""
        if self._sending is _Sending.BUSY:
            await self.reset()
        elif self._sending is _Sending.OPEN:
            self._sending = _Sending.FINISHED
            await self._raw.finish()

    async def aclose(self) -> None:
        """Close both sides without waiting for the peer. Safe to call twice."""
        if self._disposed:
            return
        await self.finish()
        if self._peer_finished:
            await self.reset()  # both directions are over: this only frees the state
        elif not self._disposed:
            self._disposed = True
            self._linger(self._raw)

    async def reset(self) -> None:
        """Abort: the peer's pending calls fail with PeerUnavailable."""
        self._disposed = True
        await self._raw.reset()

    async def _read_more(self) -> None:
        if self._peer_finished:
            raise StreamClosed("the peer finished sending")
        was_inside_frame = self._reader.inside_frame
        with trio.move_on_at(self._read_deadline_s()) as patience:
            data = await self._raw.read(READ_BYTES)
        if patience.cancelled_caught:
            raise RemoteProtocolError("the peer keeps us waiting for a frame")
        if not data:
            self._peer_finished = True
            self._reader.end()
            return
        self._first_byte_due = False
        self._reader.feed(data)
        if not was_inside_frame:
            self._frame_began_at_s = trio.current_time()

    def _read_deadline_s(self) -> float:
        now_s = trio.current_time()
        if self._reader.inside_frame:
            budget_s = self._stall_s + self._reader.frame_bytes / FRAME_RATE_MIN_BYTES_PER_S
            return min(now_s + self._stall_s, self._frame_began_at_s + budget_s)
        return now_s + self._first_frame_s if self._first_byte_due else math.inf


async def linger(raw: ByteStream) -> None:
    """Drain *raw*, which we finished, until the peer finishes too; then free it.

    A reset right after our last frame could overtake it; this waits, within bounds.
    """
    drained_bytes = 0
    with trio.move_on_after(LINGER_S):
        while drained_bytes < LINGER_BYTES_MAX:
            data = await raw.read(READ_BYTES)
            if not data:
                break
            drained_bytes += len(data)
    await raw.reset()
