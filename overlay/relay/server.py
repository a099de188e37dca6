"""The relay's side: reservations, and circuits that are cut at their limits.

Source: libp2p specs, relay/circuit-v2.md.
"""

import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final

import trio

from overlay.cleanup import shielded
from overlay.driver import ByteStream
from overlay.errors import OverlayError, PeerUnavailable, RemoteProtocolError
from overlay.ids import PeerId, short
from overlay.relay.circuit import read_message
from overlay.relay.core import RelayConfig, RelayCore
from overlay.relay.wire import (
    STOP_PROTOCOL,
    Kind,
    Message,
    Status,
    decode_hop,
    decode_stop,
    encode_hop,
    encode_stop,
)

logger = logging.getLogger(__name__)

CHUNK_BYTES: Final = 64 * 1024
END_S: Final = 2.0
IDLE_S: Final = 180.0
"""A circuit through which nothing flows for so long is cut; our nodes ping every 20 s."""

OpenStream = Callable[[PeerId, str], Awaitable[ByteStream]]


class RelayServer:
    """Answers the hop protocol.

    Args:
        open_stream: opens a stream on an existing connection to a peer.
        where: the address prefix of a peer that is connected without a relay, else None.
        addresses: our full addresses, which the holders of reservations announce.
        clock: returns unix seconds.
    """

    def __init__(
        self,
        config: RelayConfig,
        open_stream: OpenStream,
        where: Callable[[PeerId], str | None],
        addresses: Callable[[], tuple[str, ...]],
        *,
        clock: Callable[[], float],
    ) -> None:
        self.core = RelayCore(config)
        self.counted: Counter[str] = Counter()
        """What happened since the start, by name; for metrics."""
        self._open_stream = open_stream
        self._where = where
        self._addresses = addresses
        self._clock = clock

    async def serve(self, raw: ByteStream) -> None:
        """Answer one inbound stream; never raises an Exception."""
        try:
            request, early = await read_message(raw, decode_hop)
            if request.kind is Kind.RESERVE:
                await self._reserve(raw)
            elif request.kind is Kind.CONNECT and request.peer is not None:
                await self._connect(raw, request.peer, early)
            else:
                await _say(raw, Status.UNEXPECTED_MESSAGE)
        except RemoteProtocolError as error:
            logger.debug("relay request of %s: %r", short(raw.peer_id), error)
            with trio.move_on_after(END_S):
                await _try_say(raw, Status.MALFORMED_MESSAGE)
        except OverlayError as error:
            logger.debug("relaying for %s ended: %r", short(raw.peer_id), error)
        finally:
            with shielded(END_S):
                await raw.reset()

    async def _reserve(self, raw: ByteStream) -> None:
        prefix = self._where(raw.peer_id)
        if prefix is None:  # a reservation through another relay: the specification forbids it
            await _say(raw, Status.PERMISSION_DENIED)
            return
        self.core.retain(lambda peer_id: self._where(peer_id) is not None)
        expires = self.core.reserve(raw.peer_id, prefix, self._clock())
        self.counted["relay_reservations" if expires else "relay_reservations_refused"] += 1
        if not expires:
            await _say(raw, Status.RESERVATION_REFUSED)
            return
        config = self.core.config
        answer = Message(
            Kind.STATUS,
            status=Status.OK,
            expires_at_unix_s=expires,
            addresses=self._addresses(),
            duration_s=config.circuit_s,
            data_bytes=config.circuit_bytes,
        )
        await _finish(raw, encode_hop(answer))

    async def _connect(self, raw: ByteStream, target: PeerId, early: bytes) -> None:
        source, prefix = raw.peer_id, self._where(raw.peer_id)
        if prefix is None:  # no chains of relays
            await _say(raw, Status.PERMISSION_DENIED)
            return
        if self._where(target) is None:
            self.core.release(target)
        status = self.core.open(source, prefix, target, self._clock())
        if status is not Status.OK:
            self.counted["relay_circuits_refused"] += 1
            await _say(raw, status)
            return
        try:
            await self._join(raw, target, early)
        finally:
            self.core.close(source, prefix, target)

    async def _join(self, raw: ByteStream, target: PeerId, early: bytes) -> None:
        try:
            other, early_back = await self._knock(raw.peer_id, target)
        except OverlayError as error:
            logger.debug("%s does not take a circuit: %r", short(target), error)
            self.counted["relay_circuits_failed"] += 1
            await _say(raw, Status.CONNECTION_FAILED)
            return
        self.counted["relay_circuits"] += 1
        try:
            config = self.core.config
            limits = Message(
                Kind.STATUS,
                status=Status.OK,
                duration_s=config.circuit_s,
                data_bytes=config.circuit_bytes,
            )
            await raw.write(encode_hop(limits) + early_back)
            if early:
                await other.write(early)
            with trio.move_on_after(config.circuit_s):
                await _pump_both(raw, other, config.circuit_bytes, self.counted)
        finally:
            with shielded(END_S):
                await other.reset()

    async def _knock(self, source: PeerId, target: PeerId) -> tuple[ByteStream, bytes]:
        """Ask *target* whether it takes a circuit from *source*."""
        config = self.core.config
        question = Message(
            Kind.CONNECT, source, duration_s=config.circuit_s, data_bytes=config.circuit_bytes
        )
        other = await self._open_stream(target, STOP_PROTOCOL)
        try:
            await other.write(encode_stop(question))
            answer, early = await read_message(other, decode_stop)
            _check_taken(answer)
        except BaseException:
            with shielded(END_S):
                await other.reset()
            raise
        return other, early


def _check_taken(answer: Message) -> None:
    if answer.kind is not Kind.STATUS or answer.status is not Status.OK:
        raise PeerUnavailable(f"it answered {answer.status.name}")


class _Activity:
    """When bytes last flowed through a circuit, either way."""

    def __init__(self) -> None:
        self.at_s = trio.current_time()

    async def watch(self) -> None:
        """Return when the circuit was silent for `IDLE_S`."""
        while True:
            left_s = self.at_s + IDLE_S - trio.current_time()
            if left_s <= 0:
                return
            await trio.sleep(left_s)


async def _pump_both(
    one: ByteStream, other: ByteStream, bytes_max: int, counted: "Counter[str]"
) -> None:
    """Carry bytes both ways until both ends finished, one is gone or over its limit, or idle."""
    activity = _Activity()
    carrying = 2
    async with trio.open_nursery() as nursery:

        async def carry(source: ByteStream, sink: ByteStream) -> None:
            nonlocal carrying
            in_order = await _pump(source, sink, bytes_max, activity, counted)
            carrying -= 1
            if not in_order or not carrying:
                nursery.cancel_scope.cancel()

        nursery.start_soon(carry, one, other)
        nursery.start_soon(carry, other, one)
        await activity.watch()
        nursery.cancel_scope.cancel()


async def _pump(
    source: ByteStream,
    sink: ByteStream,
    bytes_max: int,
    activity: _Activity,
    counted: "Counter[str]",
) -> bool:
    """Carry at most *bytes_max*; return whether *source* finished in order."""
    left = bytes_max
    try:
        while left > 0:
            data = await source.read(min(CHUNK_BYTES, left))
            activity.at_s = trio.current_time()
            if not data:
                await sink.finish()
                return True
            await sink.write(data)
            left -= len(data)
            counted["relay_bytes"] += len(data)
    except OverlayError as error:
        logger.debug("a circuit lost an end: %r", error)
    return False


async def _say(raw: ByteStream, status: Status) -> None:
    await _finish(raw, encode_hop(Message(Kind.STATUS, status=status)))


async def _try_say(raw: ByteStream, status: Status) -> None:
    try:
        await _say(raw, status)
    except OverlayError as error:
        logger.debug("nobody heard %s: %r", status.name, error)


async def _finish(raw: ByteStream, data: bytes) -> None:
    """Send the last bytes, and wait until the peer has them: a reset would overtake them."""
    await raw.write(data)
    await raw.finish()
    with trio.move_on_after(END_S):
        while await raw.read(CHUNK_BYTES):
            pass
