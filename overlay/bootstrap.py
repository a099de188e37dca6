"""Getting into the swarm, by any of several ways, and staying in it.

Ways: a list of multiaddrs; DNS names in it (/dns4, /dns6, /dns by the system's resolver,
/dnsaddr by TXT records, as libp2p's addressing specification says); peers that answered in an
earlier run; and rendezvous points (`overlay.rendezvous`), at which others have registered.
Multicast DNS (`overlay.reach.lan`) dials by itself.
"""

import logging
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

import trio

from overlay.errors import OverlayError, PeerUnavailable
from overlay.ids import PeerId
from overlay.limits.gate import Gate
from overlay.storage import Storage, full_addresses
from overlay.transport import PeerAddress

logger = logging.getLogger(__name__)

DIAL_S: Final = 10.0
RESOLVE_S: Final = 5.0
ENOUGH_PEERS: Final = 3
"""Answers after which joining is over."""
AT_ONCE: Final = 4
REMEMBERED_TRIED_MAX: Final = 24
NAMES_DEPTH_MAX: Final = 3
ADDRESSES_MAX: Final = 64
REJOIN_S: Final = 5.0
SAVE_S: Final = 300.0

TxtLookup = Callable[[str], Awaitable[Sequence[str]]]
Connect = Callable[[Sequence[str]], Awaitable[PeerId]]
Way = Callable[[], Awaitable[int]]
"""Dials somebody, and returns how many answered; says by itself why nobody did."""


async def look_up_txt(name: str) -> list[str]:
    """Return the TXT records of *name*, by dnspython, whose back end for trio we use.

    Raises:
        PeerUnavailable: no answer.
    """
    import dns.asyncresolver  # noqa: PLC0415  (40 ms, and seldom needed)
    import dns.exception  # noqa: PLC0415

    try:
        answer = await dns.asyncresolver.resolve(name, "TXT", lifetime=RESOLVE_S)
    except (dns.exception.DNSException, OSError) as error:
        raise PeerUnavailable(f"no TXT records of {name}: {error}") from error
    return [b"".join(each.strings).decode("ascii", "replace") for each in answer]


async def resolve(address: str, txt: TxtLookup = look_up_txt) -> list[str]:
    """Return what a full multiaddr stands for; itself if it holds no DNS name.

    Raises:
        PeerUnavailable: the name does not resolve.
    """
    found: list[str] = []
    await _resolve_into(found, address, txt, NAMES_DEPTH_MAX)
    return list(dict.fromkeys(found))[:ADDRESSES_MAX]


async def _resolve_into(found: list[str], address: str, txt: TxtLookup, depth: int) -> None:
    _, protocol, *rest = [*address.split("/"), "", ""]
    if protocol == "dnsaddr" and depth:
        suffix = address.partition("/p2p/")[2]
        for record in (await txt(f"_dnsaddr.{rest[0]}"))[:ADDRESSES_MAX]:
            named = record.removeprefix("dnsaddr=")
            if named != record and named.endswith(suffix) and len(found) < ADDRESSES_MAX:
                await _resolve_into(found, named, txt, depth - 1)
    elif protocol in ("dns", "dns4", "dns6"):
        tail = address.split("/", 3)[3] if address.count("/") > 2 else ""
        found += [f"/{each}/{tail}" for each in await _look_up_host(rest[0], protocol)]
    elif protocol != "dnsaddr":
        found.append(address)


async def _look_up_host(name: str, protocol: str) -> list[str]:
    family = {"dns4": socket.AF_INET, "dns6": socket.AF_INET6}.get(protocol, socket.AF_UNSPEC)
    try:
        with trio.fail_after(RESOLVE_S):
            answers = await trio.socket.getaddrinfo(name, None, family, socket.SOCK_STREAM)
    except (OSError, UnicodeError, trio.TooSlowError) as error:
        raise PeerUnavailable(f"{name} does not resolve: {error}") from error
    kinds = {socket.AF_INET: "ip4", socket.AF_INET6: "ip6"}
    return [f"{kinds[each[0]]}/{each[4][0]}" for each in answers if each[0] in kinds]


async def join(
    connect: Connect,
    addresses: Sequence[str],
    remembered: Sequence[PeerAddress],
    *,
    rng: random.Random,
    txt: TxtLookup = look_up_txt,
    more: Sequence[Way] = (),
) -> int:
    """Dial the list, then *more*, then some of the peers remembered, until a few answered.

    Returns:
        How many answered; 0 when nobody did.

    Raises:
        LocalProtocolError: an address of the list does not parse.
    """
    some = list(remembered[: 2 * REMEMBERED_TRIED_MAX])
    rng.shuffle(some)
    ways: list[Way] = [_way(connect, [each], txt) for each in rng.sample(addresses, len(addresses))]
    ways += more
    ways += [_way(connect, full_addresses(each), txt) for each in some[:REMEMBERED_TRIED_MAX]]
    left, answered = iter(ways), 0

    async def work() -> None:
        nonlocal answered
        for way in left:
            came = await way()
            answered += came  # not `+= await`: others add to it meanwhile
            if answered >= ENOUGH_PEERS:
                return

    async with trio.open_nursery() as nursery:
        for _ in range(AT_ONCE):
            nursery.start_soon(work)
    return answered


def _way(connect: Connect, addresses: Sequence[str], txt: TxtLookup) -> Way:
    async def dial() -> int:
        try:
            with trio.fail_after(DIAL_S):
                resolved = [found for each in addresses for found in await resolve(each, txt)]
                return await _dial_each_peer(connect, resolved)
        except (PeerUnavailable, trio.TooSlowError) as error:
            logger.info("bootstrap peer %s did not answer: %s", addresses[:1], error)
            return 0

    return dial


async def _dial_each_peer(connect: Connect, addresses: Sequence[str]) -> int:
    by_peer: dict[str, list[str]] = {}
    for each in addresses:
        by_peer.setdefault(each.rpartition("/p2p/")[2], []).append(each)
    answered = 0
    for group in by_peer.values():
        try:
            await connect(group)
            answered += 1
        except PeerUnavailable as error:
            logger.info("bootstrap peer did not answer: %s", error)
    return answered


class Anchor:
    """Keeps a node in the swarm and its memory on disk; made by `open_anchor`.

    Args:
        connect: dials a peer by full multiaddrs.
        connected: returns whether any peer is connected.
        known: returns the peers that answer now.
        gate: whose bans are kept.
        storage: where to; None keeps nothing.
        addresses: the list.
        more: returns further ways in.
        clock: returns unix seconds.
        rng: the order of dialing.
    """

    def __init__(
        self,
        *,
        connect: Connect,
        connected: Callable[[], bool],
        known: Callable[[], list[PeerAddress]],
        gate: Gate,
        storage: Storage | None,
        addresses: Sequence[str],
        clock: Callable[[], float],
        rng: random.Random,
        more: Callable[[], Sequence[Way]] = tuple,
    ) -> None:
        self._more = more
        self._connect, self._connected, self._known = connect, connected, known
        self._gate, self._storage, self._addresses = gate, storage, addresses
        self._clock, self._rng = clock, rng

    async def join(self) -> int:
        """Join the swarm; return how many peers answered."""
        remembered = []
        if self._storage is not None:
            remembered = [each.peer for each in self._storage.load_peers(self._clock())]
        return await join(
            self._connect, self._addresses, remembered, rng=self._rng, more=self._more()
        )

    async def keep_joined(self) -> None:
        """Join again whenever we are alone, until cancelled."""
        while True:
            await trio.sleep(REJOIN_S)
            if not self._connected():
                try:
                    await self.join()
                except OverlayError as error:
                    logger.warning("cannot join: %r", error)

    async def keep_memory(self) -> None:
        """Save now and then, until cancelled."""
        while True:
            await trio.sleep(SAVE_S)
            self.save()

    def restore(self) -> None:
        """Take over the bans of the last run."""
        if self._storage is not None:
            self._gate.standing.restore(self._storage.load_bans())

    def save(self) -> None:
        """Write what is known now; blocks for two fsyncs."""
        if self._storage is not None:
            now_unix_s = self._clock()
            known = self._known()
            if known:
                self._storage.save_peers(known, now_unix_s)
            self._storage.save_bans(self._gate.standing.bans(now_unix_s))


@asynccontextmanager
async def open_anchor(anchor: Anchor) -> AsyncIterator[Anchor]:
    """Restore, then keep joined and save for the length of the block; save at its end."""
    anchor.restore()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(anchor.keep_joined)
        nursery.start_soon(anchor.keep_memory)
        try:
            yield anchor
        finally:
            nursery.cancel_scope.cancel()
            anchor.save()
