"""The side that meets others: registering, staying registered, and finding who else is there."""

import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import trio

from overlay.cleanup import shielded
from overlay.dht.wire import MessageReader
from overlay.driver import ByteStream
from overlay.errors import OverlayError, PeerUnavailable, RemoteProtocolError
from overlay.identity import Identity
from overlay.ids import PeerId, short
from overlay.rendezvous.peer_record import PeerRecord, open_envelope, seal
from overlay.rendezvous.wire import (
    ANSWER_BYTES_MAX,
    RENDEZVOUS_PROTOCOL,
    Discover,
    Discovered,
    Message,
    Register,
    Registered,
    Status,
    Unregister,
    decode_answer,
    encode,
)
from overlay.transport import PeerAddress

logger = logging.getLogger(__name__)

ASK_S: Final = 10.0
END_S: Final = 1.0
TTL_S: Final = 7200
PAGES_MAX: Final = 4
PEERS_MAX: Final = 256
"""Peers that we take from one point at a time."""
RENEW_S: Final = 600.0
"""A point that was restarted has forgotten us: we renew well before a registration ends."""
WATCH_S: Final = 10.0
"""How often we look whether our addresses changed."""
RETRY_S: Final = (2.0, 10.0, 60.0, 300.0)
MEET_S: Final = 20.0
"""Patience with one point and those who are there."""
MET_MAX: Final = 3
"""Of those found at one point, how many to dial."""
DIALS_MAX: Final = 8


def namespace_of(network: str) -> str:
    """Return where nodes of one network meet.

    >>> namespace_of("main")
    '/cocoon/main'
    """
    return f"/cocoon/{network}"


async def register(raw: ByteStream, namespace: str, envelope: bytes, ttl_s: int = TTL_S) -> int:
    """Register at the point at *raw*; return for how many seconds.

    Raises:
        PeerUnavailable: refused, or it is gone.
        RemoteProtocolError: it does not speak the protocol.
    """
    answer = await _ask(raw, Register(namespace, envelope, ttl_s))
    if not isinstance(answer, Registered):
        raise RemoteProtocolError("no answer to a registration", penalty=5)
    _check(answer)
    return answer.ttl_s or ttl_s


async def unregister(raw: ByteStream, namespace: str) -> None:
    """Leave; raises `PeerUnavailable` if the point is gone."""
    try:
        await raw.write(encode(Unregister(namespace)))
        await raw.finish()
    finally:
        with shielded(END_S):
            await raw.reset()


async def discover(
    raw: ByteStream, namespace: str, cookie: bytes = b""
) -> tuple[list[PeerRecord], bytes]:
    """Return one page of who is registered, and the cookie for the next.

    What is not signed by whom it names, or is of another namespace, is left out.

    Raises: as `register`.
    """
    answer = await _ask(raw, Discover(namespace, cookie=cookie))
    if not isinstance(answer, Discovered):
        raise RemoteProtocolError("no answer to a discovery", penalty=5)
    _check(answer)
    found = (_record(each) for each in answer.registrations if each.namespace == namespace)
    return [each for each in found if each is not None], answer.cookie


def _record(registration: Register) -> PeerRecord | None:
    try:
        return open_envelope(registration.record)
    except RemoteProtocolError as error:
        logger.debug("a registration that proves nothing: %s", error)
        return None


def _check(answer: Registered | Discovered) -> None:
    if answer.status is not Status.OK:
        why = answer.words or answer.status.name
        raise PeerUnavailable(f"the rendezvous point refuses: {why}")


async def _ask(raw: ByteStream, question: Message) -> Message:
    """Return the one answer to *question*; *raw* is used up."""
    reader = MessageReader(ANSWER_BYTES_MAX)
    try:
        with trio.fail_after(ASK_S):
            await raw.write(encode(question))
            await raw.finish()
            while (data := reader.next_message()) is None:
                chunk = await raw.read(ANSWER_BYTES_MAX)
                if not chunk:
                    raise RemoteProtocolError("the rendezvous point hung up", penalty=1)
                reader.feed(chunk)
            return decode_answer(data)
    except trio.TooSlowError as error:
        raise PeerUnavailable("the rendezvous point takes too long") from error
    finally:
        with shielded(END_S):
            await raw.reset()


class Meeting:
    """Meets the other nodes of a network at rendezvous points.

    Args:
        identity: signs where we are.
        network: whose nodes to meet.
        points: full addresses of rendezvous points, or DNS names of them; each is a peer.
        addresses: returns our full multiaddrs.
        connect: dials a peer by full multiaddrs.
        resolve: returns what a full multiaddr stands for, when it holds a name.
        open_stream: opens a stream to a peer.
        clock: returns unix seconds.
        rng: whom to dial, and when to renew.
    """

    def __init__(
        self,
        identity: Identity,
        network: str,
        points: Sequence[str],
        *,
        addresses: Callable[[], Sequence[str]],
        connect: Callable[[Sequence[str]], Awaitable[PeerId]],
        resolve: Callable[[str], Awaitable[Sequence[str]]],
        open_stream: Callable[[PeerId, str], Awaitable[ByteStream]],
        clock: Callable[[], float],
        rng: random.Random,
    ) -> None:
        self._identity, self._namespace = identity, namespace_of(network)
        self._points, self._addresses = points, addresses
        self._connect, self._resolve, self._open_stream = connect, resolve, open_stream
        self._clock, self._rng = clock, rng
        self._joined: dict[str, PeerId] = {}

    def ways(self) -> list[Callable[[], Awaitable[int]]]:
        """Return one way into the swarm for each point, for `overlay.bootstrap.join`."""
        return [lambda point=each: self._meet(point) for each in self._points]  # type: ignore[misc]

    async def run(self) -> None:
        """Stay registered at all points until cancelled; then take leave, within `END_S`."""
        try:
            async with trio.open_nursery() as nursery:
                for each in self._points:
                    nursery.start_soon(self._stay, each)
        finally:
            with shielded(END_S):
                async with trio.open_nursery() as nursery:
                    for point in self._joined.values():
                        nursery.start_soon(self._leave, point)

    async def _meet(self, point: str) -> int:
        """Dial a point, and some of those who are there; return how many answered."""
        met = 0
        with trio.move_on_after(MEET_S):
            try:
                peer_id = await self._reach(point)
                met = 1
                found = await self.find(peer_id)
            except OverlayError as error:
                logger.info("nobody met at the rendezvous point %s: %s", point, error)
                return met
            for peer in self._rng.sample(found, min(len(found), DIALS_MAX)):
                if met > MET_MAX:
                    break
                met += await self._dial(peer)
        return met

    async def find(self, point: PeerId) -> list[PeerAddress]:
        """Return who else is registered at *point*, without those whose signature is wrong.

        Raises:
            PeerUnavailable, RemoteProtocolError: it is gone, or is no rendezvous point.
        """
        found: dict[PeerId, PeerAddress] = {}
        cookie = b""
        for _ in range(PAGES_MAX):
            raw = await self._open_stream(point, RENDEZVOUS_PROTOCOL)
            page, cookie = await discover(raw, self._namespace, cookie)
            fresh = [each for each in page if each.peer_id not in found]
            found |= {each.peer_id: PeerAddress(each.peer_id, each.addresses) for each in fresh}
            if not fresh or not cookie or len(found) >= PEERS_MAX:
                break
        found.pop(self._identity.peer_id, None)
        return list(found.values())[:PEERS_MAX]

    async def _dial(self, peer: PeerAddress) -> int:
        try:
            await self._connect([f"{each}/p2p/{peer.peer_id}" for each in peer.addresses])
        except OverlayError as error:
            logger.debug("%s has left the rendezvous: %r", short(peer.peer_id), error)
            return 0
        return 1

    async def _reach(self, point: str) -> PeerId:
        """Connect to *point*; if a name stands for several peers, to the first."""
        found = await self._resolve(point)
        if not found:
            raise PeerUnavailable("the name stands for nobody")
        end = f"/p2p/{found[0].rpartition('/p2p/')[2]}"
        return await self._connect([each for each in found if each.endswith(end)])

    async def _stay(self, point: str) -> None:
        failures = 0
        while True:
            try:
                with trio.fail_after(2 * ASK_S):
                    peer_id = await self._reach(point)
                    told = tuple(self._addresses())
                    ttl_s = await self._register(peer_id, told)
            except (OverlayError, trio.TooSlowError) as error:
                self._joined.pop(point, None)
                log = logger.debug if failures else logger.warning
                log("not registered at %s, trying again: %s", point, error)
                await trio.sleep(self._spread(RETRY_S[min(failures, len(RETRY_S) - 1)]))
                failures += 1
            else:
                failures = 0
                self._joined[point] = peer_id
                await self._until_due(ttl_s, told)

    async def _register(self, point: PeerId, addresses: Sequence[str]) -> int:
        bare = [each.rpartition("/p2p/")[0] for each in addresses]
        envelope = seal(self._identity, bare, int(self._clock() * 1000))
        raw = await self._open_stream(point, RENDEZVOUS_PROTOCOL)
        return await register(raw, self._namespace, envelope)

    async def _until_due(self, ttl_s: int, told: tuple[str, ...]) -> None:
        """Wait until the registration should be renewed, or names the wrong addresses."""
        with trio.move_on_after(self._spread(min(RENEW_S, ttl_s / 2))):
            while set(self._addresses()) == set(told):  # noqa: ASYNC110  (rare)
                await trio.sleep(WATCH_S)

    async def _leave(self, point: PeerId) -> None:
        try:
            await unregister(await self._open_stream(point, RENDEZVOUS_PROTOCOL), self._namespace)
        except OverlayError as error:
            logger.debug("%s keeps us until we expire: %r", short(point), error)

    def _spread(self, pause_s: float) -> float:
        return pause_s * self._rng.uniform(0.8, 1.0)
