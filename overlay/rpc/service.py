"""Serving streams: a bound on how many, and a wall around what a handler may throw."""

import logging
from collections.abc import Callable
from typing import Final

import trio

from overlay.cleanup import shielded
from overlay.driver import ByteStream
from overlay.errors import OverlayError, RemoteProtocolError, StreamClosed
from overlay.ids import short
from overlay.limits.budget import Budget, Ceiling, Holder
from overlay.limits.gate import Gate
from overlay.rpc.stream import FrameStream
from overlay.transport import Stream, StreamHandler

logger = logging.getLogger(__name__)

SHARED_FROM: Final = 16
"""Streams of a protocol from which nobody may hold them all."""
CLOSE_S: Final = 2.0
"""Patience of the clean-up that runs even when cancelled."""


def shares_of(streams_max: int) -> Ceiling:
    """Return what a peer and a prefix may hold of one protocol's streams: a half, three quarters.

    Of a small number all: a half of two is no use to anybody.

    >>> shares_of(64)
    Ceiling(total=64, prefix=48, peer=32)
    """
    if streams_max < SHARED_FROM:
        return Ceiling(streams_max, streams_max, streams_max)
    return Ceiling(streams_max, streams_max * 3 // 4, streams_max // 2)


class StreamServer:
    """Runs one protocol's handler for each inbound stream, at most *streams_max* at once.

    Under load it serves only peers in good standing, if *needs_ticket*; a fault of the
    peer that the handler raises lowers that standing.
    """

    def __init__(
        self,
        protocol: str,
        handler: StreamHandler,
        *,
        streams_max: int,
        linger: Callable[[ByteStream], None],
        gate: Gate,
        needs_ticket: bool = True,
    ) -> None:
        self._gate = gate
        self._needs_ticket = needs_ticket
        self._protocol = protocol
        self._handler = handler
        self._streams_max = streams_max
        self._streams_free = streams_max
        self._shares = Budget(shares_of(streams_max))
        self._closed = False
        self._quiet = trio.Event()
        self._linger = linger

    async def handle(self, raw: ByteStream) -> None:
        """Serve *raw* to its end. Raises nothing but cancellation."""
        if self._closed:
            await raw.reset()
            return
        if self._needs_ticket and self._gate.must_pay(raw.peer_id):
            self._gate.turn_away("stranger without a ticket")
            await raw.reset()
            return
        holder = Holder(raw.peer_id, raw.prefix)
        if not self._take(holder):
            await raw.reset()
            return
        self._streams_free -= 1
        try:
            await self._handle_admitted(self._stream(raw))
        finally:
            self._streams_free += 1
            self._shares.release(holder)
            self._gate.end_work(raw.peer_id, raw.prefix)
            if self._closed and self._streams_free == self._streams_max:
                self._quiet.set()

    def _take(self, holder: Holder) -> bool:
        """Return whether there is room for one more of *holder*'s streams, and hold it."""
        if holder.peer_id is None or not self._gate.take_work(holder.peer_id, holder.prefix):
            return False
        ceiling = self._shares.take(holder)
        if ceiling is None:
            return True
        self._gate.end_work(holder.peer_id, holder.prefix)
        self._gate.turn_away(f"streams of one protocol: {ceiling}")
        logger.info("too many %s streams of %s, resetting one", self._protocol, ceiling)
        return False

    async def drain(self) -> None:
        """Take no new streams, and wait until those that are served have ended."""
        self._closed = True
        if self._streams_free < self._streams_max:
            await self._quiet.wait()

    def _stream(self, raw: ByteStream) -> FrameStream:
        limits = self._gate.config
        return FrameStream(
            raw,
            inbound=True,
            linger=self._linger,
            first_frame_s=limits.first_frame_s,
            stall_s=limits.stall_s,
        )

    async def _handle_admitted(self, stream: FrameStream) -> None:
        served = False
        try:
            await self._handler(stream)
            served = True
        except Exception as error:  # noqa: BLE001  (the wall: handlers are not ours to trust)
            self._log(stream, error)
        finally:
            with shielded(CLOSE_S):
                await (stream.aclose() if served else stream.reset())

    def _log(self, stream: Stream, error: Exception) -> None:
        for fault in remote_faults(error):
            self._gate.blame(stream.peer_id, fault.penalty, str(fault))
        if is_overlay_error(error):
            logger.info("%s from %s: %r", self._protocol, short(stream.peer_id), error)
        else:
            logger.error("%s: bug in the handler", self._protocol, exc_info=error)


def is_overlay_error(error: BaseException) -> bool:
    """Return whether *error*, or everything inside it if a group, is an `OverlayError`."""
    if isinstance(error, BaseExceptionGroup):
        return all(is_overlay_error(inner) for inner in error.exceptions)
    return isinstance(error, OverlayError)


def remote_faults(error: BaseException) -> list[RemoteProtocolError]:
    """Return the faults of the peer that *error* is, or that are inside it."""
    if isinstance(error, BaseExceptionGroup):
        return [fault for inner in error.exceptions for fault in remote_faults(inner)]
    return [error] if isinstance(error, RemoteProtocolError) else []


async def exchange(stream: Stream, body: bytes) -> bytes:
    """Send *body*, finish, and return the one frame that answers. Closes *stream*.

    Raises:
        RemoteProtocolError: the peer finished without an answer.
        PeerUnavailable: as for `Stream`.
    """
    try:
        await stream.send(body)
        await stream.finish()
        return await stream.receive()
    except StreamClosed as error:
        raise RemoteProtocolError("the peer finished without an answer") from error
    finally:
        with shielded(CLOSE_S):
            await stream.aclose()
