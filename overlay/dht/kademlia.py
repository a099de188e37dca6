"""Our Kademlia: the trio service around the look-up, the table and the stores.

Speaks the messages of libp2p's kad-dht under a private protocol id, so that any libp2p
implementation that is told the id can take part. What is above libp2p's rules and
needs no consent of others: everything is stored at three unrelated points of the key
space, look-ups walk disjoint paths, and only peers that answered are passed on.

Where other work attaches:
    A node that others cannot dial (behind NAT) should not be in tables. `Kademlia.noticed`
    is where a peer that asked us becomes a candidate; a reachability check (AutoNAT) can
    be put in front of it, and such a node itself can be run without serving the protocol.
"""

import logging
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

import base58
import trio

from overlay.dht.keys import (
    KEY_BITS,
    POSITIONS,
    point_of,
    point_of_peer,
    provider_wire_key,
    value_wire_key,
)
from overlay.dht.lookup import NEAREST, Lookup
from overlay.dht.server import DhtServer
from overlay.dht.table import RoutingTable
from overlay.dht.wire import Kind, Message
from overlay.errors import OverlayError, RemoteProtocolError
from overlay.ids import PeerId, short
from overlay.transport import PeerAddress

logger = logging.getLogger(__name__)

QUERY_S: Final = 5.0
"""Patience with one peer."""
TICK_S: Final = 0.1
REPLICAS: Final = 7
"""How many peers keep a record at each of its positions: 21 in all, about k of the paper."""
STORE_AT_ONCE: Final = 8
CANDIDATES_MAX: Final = 32
"""Peers that asked us, and that we are about to ask."""
STALE_ASKED_MAX: Final = 8
REFRESH_BUCKETS_MAX: Final = 4

Taker = Callable[[PeerId, Message], bool]
"""Takes one answer; returns True when the look-up may stop."""


class Asker(Protocol):
    """How one message reaches one peer; `overlay.dht.exchange.Exchange` over streams."""

    async def ask(self, peer: PeerAddress, request: Message) -> Message:
        """Return the answer of *peer*, or raise an `OverlayError`."""
        ...


class Kademlia:
    """One node of the DHT.

    Args:
        own: returns our id and the addresses that we announce.
        asker: asks other peers.
        network: whose signed records we keep.
        clock: returns unix seconds.
        rng: chooses which far buckets are refreshed.
    """

    def __init__(
        self,
        own: Callable[[], PeerAddress],
        asker: Asker,
        network: str,
        *,
        clock: Callable[[], float],
        rng: random.Random,
    ) -> None:
        self._own = own
        self._asker = asker
        self._rng = rng
        self._own_id = own().peer_id
        self._own_raw_id = base58.b58decode(self._own_id)
        self.table = RoutingTable(self._own_id)
        self.server = DhtServer(self.table, network, clock)
        self._candidates: dict[PeerId, PeerAddress] = {}
        self._candidate_came = trio.Event()

    # -- answering ----------------------------------------------------------------------

    def answer(self, sender: PeerAddress, prefix: str, request: Message) -> Message:
        """Answer one request; see `DhtServer.answer`."""
        self.noticed(sender)
        return self.server.answer(sender.peer_id, prefix, request)

    def noticed(self, peer: PeerAddress) -> None:
        """Consider a peer that spoke to us: it enters the table once it answers us."""
        if not peer.addresses or len(self._candidates) >= CANDIDATES_MAX:
            return
        if self.table.wants(peer, trio.current_time()):
            self._candidates.setdefault(peer.peer_id, peer)
            self._candidate_came.set()

    # -- looking up ---------------------------------------------------------------------

    async def introduce(self, peer: PeerAddress) -> None:
        """Ask *peer* once, which puts it into the table if it answers.

        Raises:
            PeerUnavailable, RemoteProtocolError: it does not take part in our DHT.
        """
        request = Message(Kind.FIND_NODE, self._own_raw_id)
        await self._asker.ask(peer, request)
        self.table.answered(peer, trio.current_time())

    async def explore(self) -> None:
        """Look ourselves up, and points of far buckets, so that all stay known to all."""
        await self._walk(
            Lookup(point_of(self._own_raw_id), self._own_id, confirmed=NEAREST // 2),
            Message(Kind.FIND_NODE, self._own_raw_id),
        )
        buckets = min(self.table.depth(), REFRESH_BUCKETS_MAX)
        for _ in range(buckets):
            key = self._rng.randbytes(KEY_BITS // 8)
            await self._walk(Lookup(point_of(key), self._own_id), Message(Kind.FIND_NODE, key))

    async def find_peer(self, peer_id: PeerId) -> PeerAddress | None:
        """Return where *peer_id* is, by the word of its neighbours; None if nobody knows."""
        raw = base58.b58decode(peer_id)
        found: dict[PeerId, set[str]] = {}

        def take(_sender: PeerId, answer: Message) -> bool:
            for each in answer.closer:
                if each.peer_id == peer_id and each.addresses:
                    found.setdefault(peer_id, set()).update(each.addresses)
            return bool(found)

        await self._walk(Lookup(point_of(raw), self._own_id), Message(Kind.FIND_NODE, raw), take)
        return PeerAddress(peer_id, tuple(sorted(found[peer_id]))) if found else None

    async def find_providers(self, digest: str, providers_max: int) -> list[PeerAddress]:
        """Return who provides *digest* (64 hex digits), by the word of all positions.

        What single peers say is interleaved, the nearest to the key first, so that nobody
        fills the list alone. A look-up does not stop at the first who name many: a liar
        asked on the way could end it so.
        """
        heard: list[list[Sequence[PeerAddress]]] = [[] for _ in range(POSITIONS)]
        async with trio.open_nursery() as nursery:
            for position in range(POSITIONS):
                key = provider_wire_key(digest, position)
                nursery.start_soon(self._ask_providers, key, heard[position])
        return interleave([interleave(lists, providers_max) for lists in heard], providers_max)

    async def get_values(self, key: str) -> list[bytes]:
        """Return every distinct value that the peers at all positions hold."""
        found: dict[bytes, None] = {}
        async with trio.open_nursery() as nursery:
            for position in range(POSITIONS):
                nursery.start_soon(self._ask_values, value_wire_key(key, position), found)
        return list(found)

    # -- storing ------------------------------------------------------------------------

    async def provide(self, digest: str) -> int:
        """Say at all positions that we provide *digest*; return how many took it."""
        own = self._own()
        requests = [
            Message(Kind.ADD_PROVIDER, provider_wire_key(digest, position), providers=(own,))
            for position in range(POSITIONS)
        ]
        for request in requests:
            self.server.answer(own.peer_id, "", request)
        return await self._store_all(requests)

    async def put_value(self, key: str, value: bytes) -> int:
        """Store a signed record at all positions; return how many peers took it."""
        requests = [
            Message(Kind.PUT_VALUE, value_wire_key(key, position), value)
            for position in range(POSITIONS)
        ]
        for request in requests:
            try:
                self.server.keep_value(request.key, value)
            except RemoteProtocolError as error:
                logger.warning("others will refuse this record as we do: %r", error)
        return await self._store_all(requests)

    # -- keeping up ---------------------------------------------------------------------

    async def meet_candidates_forever(self) -> None:
        """Ask peers that asked us, one after the other, for as long as the node runs."""
        while True:
            await self._candidate_came.wait()
            self._candidate_came = trio.Event()
            while self._candidates:
                peer_id = next(iter(self._candidates))
                peer = self._candidates.pop(peer_id)
                if self.table.wants(peer, trio.current_time()):
                    await self._check(peer)

    async def tidy(self) -> None:
        """Forget what expired, and ask the contacts that we have not heard for long."""
        self.server.expire()
        async with trio.open_nursery() as nursery:
            for peer in self.table.stale(trio.current_time(), STALE_ASKED_MAX):
                nursery.start_soon(self._check, peer)

    async def _check(self, peer: PeerAddress) -> None:
        await self._ask(peer, Message(Kind.FIND_NODE, self._own_raw_id))

    async def _ask(self, peer: PeerAddress, request: Message) -> Message | None:
        """Ask one peer; keep the table. None when it did not answer, or not in order."""
        answer = None
        with trio.move_on_after(QUERY_S):
            try:
                answer = await self._asker.ask(peer, request)
            except OverlayError as error:
                logger.debug("DHT query to %s: %r", short(peer.peer_id), error)
        if answer is None:
            if request.kind not in (Kind.PUT_VALUE, Kind.ADD_PROVIDER):  # those may be refused
                self.table.failed(peer.peer_id)
        else:
            self.table.answered(peer, trio.current_time())
        return answer

    async def _ask_providers(self, key: bytes, heard: list[Sequence[PeerAddress]]) -> None:
        target = point_of(key)
        own_store = self.server.answer(self._own_id, "", Message(Kind.GET_PROVIDERS, key))
        answers: dict[int, Sequence[PeerAddress]] = {}

        def take(sender: PeerId, answer: Message) -> bool:
            if answer.providers:
                answers[point_of_peer(sender) ^ target] = answer.providers
            return False

        await self._walk(Lookup(target, self._own_id), Message(Kind.GET_PROVIDERS, key), take)
        heard.append(own_store.providers)
        heard.extend(answers[distance] for distance in sorted(answers))

    async def _ask_values(self, key: bytes, found: dict[bytes, None]) -> None:
        own_store = self.server.answer(self._own_id, "", Message(Kind.GET_VALUE, key))
        if own_store.value is not None:
            found[own_store.value] = None

        def take(_sender: PeerId, answer: Message) -> bool:
            if answer.value:
                found[answer.value] = None
            return False

        await self._walk(Lookup(point_of(key), self._own_id), Message(Kind.GET_VALUE, key), take)

    async def _store_all(self, requests: Iterable[Message]) -> int:
        takers: set[PeerId] = set()
        async with trio.open_nursery() as nursery:
            for request in requests:
                nursery.start_soon(self._store, request, takers)
        return len(takers)

    async def _store(self, request: Message, takers: set[PeerId]) -> None:
        lookup = Lookup(point_of(request.key), self._own_id)
        await self._walk(lookup, Message(Kind.FIND_NODE, request.key))
        left = iter(lookup.closest)
        took = 0

        async def work() -> None:
            nonlocal took
            for peer in left:
                if took >= REPLICAS:
                    return
                took += 1  # in hope: given back below, so that no worker overshoots
                if await self._ask(peer, request) is None:
                    took -= 1
                else:
                    takers.add(peer.peer_id)

        async with trio.open_nursery() as nursery:
            for _ in range(STORE_AT_ONCE):
                nursery.start_soon(work)

    async def _walk(self, lookup: Lookup, request: Message, take: Taker | None = None) -> None:
        """Drive *lookup* to its end with *request* as the query."""

        async def query(peer: PeerAddress, nursery: trio.Nursery) -> None:
            answer = await self._ask(peer, request)
            now_s = trio.current_time()
            if answer is None:
                start(lookup.failed(peer.peer_id, now_s), nursery)
                return
            if take is not None and take(peer.peer_id, answer):
                lookup.stop()
            start(lookup.answered(peer.peer_id, answer.closer, now_s), nursery)

        def start(peers: Iterable[PeerAddress], nursery: trio.Nursery) -> None:
            for peer in peers:
                nursery.start_soon(query, peer, nursery)
            if lookup.done:
                nursery.cancel_scope.cancel()

        async with trio.open_nursery() as nursery:
            seeds = self.table.closest(lookup.target, NEAREST)
            start(lookup.begin(seeds, trio.current_time()), nursery)
            while not lookup.done:
                await trio.sleep(TICK_S)
                start(lookup.tick(trio.current_time()), nursery)


def interleave(lists: Iterable[Sequence[PeerAddress]], count: int) -> list[PeerAddress]:
    """Return the first of each list, then the second of each, ..., without duplicates.

    Of two entries of one peer the first with addresses stays.
    """
    merged: dict[PeerId, PeerAddress] = {}
    columns = [list(each) for each in lists]
    for row in range(max(map(len, columns), default=0)):
        for column in columns:
            if row < len(column):
                entry = column[row]
                known = merged.get(entry.peer_id)
                if known is None or (entry.addresses and not known.addresses):
                    merged[entry.peer_id] = entry
    return list(merged.values())[:count]
