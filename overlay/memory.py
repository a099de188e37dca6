"""The overlay inside one process: the same `Host`, no sockets, a seed.

Framing, records and gossip limits are the code that runs on the real network; only
what lies below `overlay.driver.Driver` is simulated. Works under trio's MockClock.
"""

import hashlib
import heapq
import math
import random
from collections import OrderedDict
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import trio

from overlay._memory_stream import MemoryStream, stream_pair
from overlay.cleanup import unwrapped
from overlay.dht.records import open_record, select_newest
from overlay.driver import ByteStream, ByteStreamHandler, GossipSink
from overlay.errors import LocalProtocolError, PeerUnavailable, RemoteProtocolError
from overlay.gossip.service import GossipService
from overlay.gossip.shares import Neighbour
from overlay.host import HostConfig
from overlay.identity import Identity
from overlay.ids import PeerId, short
from overlay.limits.gate import Gate
from overlay.node import Node, run_node
from overlay.reach.dialback import Answer, Reply
from overlay.transport import HostFigures, PeerAddress, Verdict

EPOCH_UNIX_S: Final = 1_767_225_600.0
"""2026-01-01: what the network's clock says when trio's says 0."""
REPLICAS: Final = 20
"""How many closest peers keep a record: k in the Kademlia paper."""
PROVIDER_LIFETIME_S: Final = 48 * 3600.0
SEEN_MAX: Final = 10_000
TICK_S: Final = 0.001
"""Gossip arrives on this grid, so that one waking delivers many messages."""
TICK_SLACK: Final = 1e-6
MEMORY_CONFIG: Final = HostConfig(network="memory")


class MemoryNetwork:
    """The ether between the hosts of one process. Made by `open_network`.

    Attributes:
        clock: unix seconds, for everybody.
        latency_s: one-way delay of what is not between two known peers.
        between: one-way delay from one peer to another, in seconds.
        gossip_loss: probability that one gossip message to one neighbour is lost.
        gossip_degree: how many neighbours a message is passed on to; 0 means all.
        rng: all randomness.
    """

    def __init__(
        self,
        *,
        seed: int,
        latency_s: float,
        gossip_loss: float,
        clock: Callable[[], float],
        between: Callable[[PeerId, PeerId], float] | None = None,
        gossip_degree: int = 0,
    ) -> None:
        self.clock = clock
        self.latency_s = latency_s
        self.between = between or (lambda here, there: latency_s)
        self.gossip_loss = gossip_loss
        self.gossip_degree = gossip_degree
        self.rng = random.Random(seed)  # noqa: S311  (a simulation)
        self._on_their_way: list[tuple[float, int, Callable[[], None]]] = []
        self._sent = 0
        self._sent_first = trio.Event()
        self._drivers: dict[PeerId, MemoryDriver] = {}
        self._parted: set[frozenset[PeerId]] = set()
        self._addresses_given = 0

    @asynccontextmanager
    async def open_host(
        self, identity: Identity, *, config: HostConfig = MEMORY_CONFIG
    ) -> AsyncGenerator[Node]:
        """Run a host for the length of the block, like `overlay.open_host`.

        Args:
            identity: the key that the host is known by.
            config: its addresses are not used.

        Raises:
            LocalProtocolError: a host with this identity runs already.
        """
        async with unwrapped(self._open_node(identity, config)) as node:
            yield node

    def deliver_later(self, one_way_s: float, deliver: Callable[[], None]) -> None:
        """Call *deliver* after a delay, rounded up to `TICK_S`; one task serves all of them."""
        ticks = math.ceil((trio.current_time() + one_way_s) / TICK_S - TICK_SLACK)
        due_s = max(trio.current_time(), ticks * TICK_S)
        self._sent += 1
        heapq.heappush(self._on_their_way, (due_s, self._sent, deliver))
        if self._on_their_way[0][1] == self._sent:
            self._sent_first.set()

    async def deliver_forever(self) -> None:
        """Deliver what is on its way, in order of arrival."""
        while True:
            if self._sent_first.is_set():
                self._sent_first = trio.Event()
            due_s = self._on_their_way[0][0] if self._on_their_way else math.inf
            with trio.move_on_at(due_s):
                await self._sent_first.wait()
            now_s = trio.current_time()
            while self._on_their_way and self._on_their_way[0][0] <= now_s:
                heapq.heappop(self._on_their_way)[2]()

    def partition(self, one: PeerId, other: PeerId) -> None:
        """Cut two peers off from each other: streams break, dials and messages fail."""
        self._parted.add(frozenset((one, other)))
        for here, there in ((one, other), (other, one)):
            if here in self._drivers:
                self._drivers[here].drop_neighbour(there)

    def heal(self, one: PeerId, other: PeerId) -> None:
        """Undo `partition`; connections do not come back by themselves."""
        self._parted.discard(frozenset((one, other)))

    def kill(self, peer_id: PeerId) -> None:
        """Take a peer away without a word, as when its machine loses power."""
        driver = self._drivers.pop(peer_id)
        driver.stop()
        for other in self._drivers.values():
            other.drop_neighbour(peer_id)

    def reachable(self, here: PeerId, there: PeerId) -> "MemoryDriver | None":
        """Return the driver of *there*, if both run and no partition lies between."""
        if here not in self._drivers or frozenset((here, there)) in self._parted:
            return None
        return self._drivers.get(there)

    def peers_of(self, driver: "MemoryDriver") -> "list[MemoryDriver]":
        """Return every other peer of the same network name that *driver* can reach."""
        return [
            other
            for other in self._drivers.values()
            if other is not driver
            and other.network == driver.network
            and self.reachable(driver.peer_id, other.peer_id)
        ]

    @asynccontextmanager
    async def _open_node(self, identity: Identity, config: HostConfig) -> AsyncGenerator[Node]:
        gossip = GossipService(identity.peer_id, config.network, config.gossip, trio.current_time)
        async with trio.open_nursery() as nursery:
            driver = self._register(identity, config, gossip)
            nursery.start_soon(driver.run)
            await driver.running.wait()
            async with run_node(
                driver,
                gossip,
                Gate(config.limits, self.clock, self.rng.randbytes(16)),
                identity,
                network=config.network,
                clock=self.clock,
                explore_interval_s=config.dht.explore_interval_s,
                rng=self.rng,
            ) as node:
                try:
                    yield node
                finally:
                    if self._drivers.get(identity.peer_id) is driver:
                        self.kill(identity.peer_id)

    def _register(self, identity: Identity, config: HostConfig, sink: GossipSink) -> "MemoryDriver":
        if identity.peer_id in self._drivers:
            raise LocalProtocolError(f"{identity.peer_id} runs already")
        self._addresses_given += 1
        address = f"/memory/{self._addresses_given}"
        driver = MemoryDriver(self, identity.peer_id, address, config.network, sink)
        self._drivers[identity.peer_id] = driver
        return driver


class MemoryDriver:
    """Implements `overlay.driver.Driver`. Made by `MemoryNetwork.open_host`."""

    def __init__(
        self,
        ether: MemoryNetwork,
        peer_id: PeerId,
        address: str,
        network: str,
        sink: GossipSink,
    ) -> None:
        self._ether = ether
        self.peer_id = peer_id
        self.network = network
        self.address = PeerAddress(peer_id, (address,))
        self.topics: set[str] = set()
        self.running = trio.Event()
        self._sink = sink
        self._nursery: trio.Nursery | None = None
        self._neighbours: dict[PeerId, None] = {}
        self._handlers: dict[str, ByteStreamHandler] = {}
        self._streams: dict[MemoryStream, PeerId] = {}
        self._values: dict[str, bytes] = {}
        self._providers: dict[str, dict[PeerId, tuple[PeerAddress, float]]] = {}
        self._seen: OrderedDict[tuple[PeerId, int], None] = OrderedDict()
        self._published = 0

    async def run(self) -> None:
        """Run handlers and deliveries until `stop`."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            self.running.set()
            await trio.sleep_forever()

    @property
    def addresses(self) -> tuple[str, ...]:
        """Our one full address."""
        return tuple(f"{each}/p2p/{self.peer_id}" for each in self.address.addresses)

    def connected_peers(self) -> tuple[PeerId, ...]:
        """The peers that we are linked to."""
        return tuple(self._neighbours)

    @property
    def observed(self) -> tuple[str, ...]:
        """Nothing: there are no translated addresses in memory."""
        return ()

    def figures(self) -> HostFigures:
        """What a simulated peer has: neighbours."""
        return HostFigures({"connections": len(self._neighbours)}, {})

    async def ask_dialback(self, peer_id: PeerId, addresses: Sequence[str]) -> Answer:
        """Say whether the first address is ours; the peer is at the other end of every dial."""
        await self._delay(2)
        if self._ether.reachable(self.peer_id, peer_id) is None:
            raise PeerUnavailable(f"{peer_id} is away")
        here = addresses[0] in self.address.addresses
        return Answer(Reply.REACHED if here else Reply.SILENT, addresses[0])

    async def router(self) -> str:
        """Return that there is none."""
        await trio.lowlevel.checkpoint()
        return ""

    async def new_addresses(self) -> None:
        """Never: addresses in memory do not change."""
        await trio.sleep_forever()

    async def connect(self, peer: PeerAddress) -> None:
        """Link to *peer*, if it is there under one of its addresses."""
        if not all(each.startswith("/memory/") for each in peer.addresses):
            raise LocalProtocolError(f"not addresses of this network: {peer.addresses}")
        await trio.sleep(2 * self._ether.between(self.peer_id, peer.peer_id))
        other = self._ether.reachable(self.peer_id, peer.peer_id)
        if other is None or not set(other.address.addresses) & set(peer.addresses):
            raise PeerUnavailable(f"{short(peer.peer_id)} does not answer")
        self._link(other)

    async def drop(self, peer_id: PeerId) -> None:
        """Unlink from *peer_id*."""
        other = self._ether.reachable(self.peer_id, peer_id)
        self.drop_neighbour(peer_id)
        if other is not None:
            other.drop_neighbour(self.peer_id)
        await trio.lowlevel.checkpoint()

    def known_peers(self) -> list[PeerAddress]:
        """Return the neighbours."""
        others = (self._ether.reachable(self.peer_id, each) for each in self._neighbours)
        return [other.address for other in others if other is not None]

    async def explore(self) -> None:
        """Link to the peers whose ids are closest to ours."""
        await self._delay(2)
        if self._neighbours:
            for other in self._closest(self.peer_id):
                self._link(other)

    async def open_stream(self, peer_id: PeerId, protocol: str) -> ByteStream:
        """Open a stream; the peer's handler starts in the peer's nursery."""
        if peer_id == self.peer_id:
            raise LocalProtocolError("a stream to ourselves")
        one_way_s = self._ether.between(self.peer_id, peer_id)
        await trio.sleep(2 * one_way_s)
        other = self._ether.reachable(self.peer_id, peer_id)
        if other is None or not self._neighbours:
            raise PeerUnavailable(f"no route to {short(peer_id)}")
        self._link(other)
        ours, theirs = stream_pair(self.peer_id, peer_id, one_way_s)
        other.accept(protocol, theirs)
        self._streams[ours] = peer_id
        self._forget_ended_streams()
        return ours

    def accept(self, protocol: str, stream: MemoryStream) -> None:
        """Serve an inbound stream, or refuse it."""
        handler = self._handlers.get(protocol)
        if handler is None:
            raise PeerUnavailable(f"{short(self.peer_id)} does not speak {protocol}")
        self._streams[stream] = stream.peer_id
        self._forget_ended_streams()
        self._start(handler, stream)

    def serve(self, protocol: str, handler: ByteStreamHandler) -> None:
        """Answer inbound streams of *protocol* with *handler*."""
        self._handlers[protocol] = handler

    async def provide(self, key: str) -> int:
        """Tell the peers closest to *key* that we provide it."""
        expires_at_unix_s = self._ether.clock() + PROVIDER_LIFETIME_S
        self.note_provider(key, self.address, expires_at_unix_s)
        await self._delay(4)
        closest = self._closest(key)
        for other in closest:
            other.note_provider(key, self.address, expires_at_unix_s)
        return len(closest)

    async def find_providers(self, key: str, providers_max: int) -> list[PeerAddress]:
        """Ask the peers closest to *key*, and ourselves."""
        await self._delay(4)
        found: dict[PeerId, PeerAddress] = {}
        for each in (self, *self._closest(key)):
            for address in each.providers_of(key):
                found[address.peer_id] = address
        return list(found.values())[:providers_max]

    async def put_value(self, key: str, value: bytes) -> int:
        """Store *value* at the peers closest to *key*, and here."""
        self.note_value(key, value)
        await self._delay(4)
        return sum(other.note_value(key, value) for other in self._closest(key))

    async def get_values(self, key: str) -> list[bytes]:
        """Ask the peers closest to *key*, and ourselves."""
        await self._delay(4)
        holders = (self, *self._closest(key))
        values = [each.value_of(key) for each in holders]
        return list(dict.fromkeys(value for value in values if value is not None))

    async def join(self, topic: str) -> None:
        """Follow *topic*."""
        self.topics.add(topic)
        await trio.lowlevel.checkpoint()

    async def leave(self, topic: str) -> None:
        """Stop following *topic*."""
        self.topics.discard(topic)
        await trio.lowlevel.checkpoint()

    async def publish(self, topic: str, data: bytes) -> None:
        """Gossip *data* to the neighbours that follow *topic*."""
        self._published += 1
        self.hear(self.peer_id, (self.peer_id, self._published), topic, data)
        await trio.lowlevel.checkpoint()

    def hear(
        self, forwarder: PeerId, message_id: tuple[PeerId, int], topic: str, data: bytes
    ) -> None:
        """Judge, deliver and pass on one gossip message, the first time that it comes."""
        source = message_id[0]
        neighbour = Neighbour(forwarder)
        if message_id in self._seen or not self._sink.admit(neighbour, topic, len(data)):
            return
        if forwarder == source and not self._sink.afford(neighbour):
            return
        if not self._sink.share(neighbour, topic):
            return
        self._seen[message_id] = None
        if len(self._seen) > SEEN_MAX:
            self._seen.popitem(last=False)
        if self._sink.validate(neighbour, source, topic, data) is not Verdict.ACCEPT:
            return
        self._sink.deliver(source, topic, data)
        for peer_id in self._pass_on_to(forwarder, source):
            one_way_s = self._ether.between(self.peer_id, peer_id)
            arrive = partial(self._forward, peer_id, message_id, topic, data)
            self._ether.deliver_later(one_way_s, arrive)

    def _pass_on_to(self, forwarder: PeerId, source: PeerId) -> list[PeerId]:
        """Return the neighbours that a message goes to: all, or as many as a mesh would have."""
        others = [peer_id for peer_id in self._neighbours if peer_id not in (forwarder, source)]
        degree = self._ether.gossip_degree
        if not degree or len(others) <= degree:
            return others
        return self._ether.rng.sample(others, degree)

    def note_provider(self, key: str, address: PeerAddress, expires_at_unix_s: float) -> None:
        """Keep a provider record for others."""
        self._providers.setdefault(key, {})[address.peer_id] = (address, expires_at_unix_s)

    def providers_of(self, key: str) -> list[PeerAddress]:
        """Return the provider records that have not expired."""
        now_unix_s = self._ether.clock()
        known = self._providers.get(key, {}).values()
        return [address for address, expires_at in known if expires_at > now_unix_s]

    def note_value(self, key: str, value: bytes) -> bool:
        """Keep a valid record for others if it is newer; return whether it was taken."""
        try:
            open_record(value, self.network, key, now_unix_s=self._ether.clock())
        except RemoteProtocolError:
            return False
        known = self._values.get(key)
        if known is not None and select_newest([known, value]) == 0:
            return False
        self._values[key] = value
        return True

    def value_of(self, key: str) -> bytes | None:
        """Return the record that we keep under *key*."""
        return self._values.get(key)

    def drop_neighbour(self, peer_id: PeerId) -> None:
        """Lose the connection to *peer_id* and every stream on it."""
        self._neighbours.pop(peer_id, None)
        for stream in [each for each, peer in self._streams.items() if peer == peer_id]:
            stream.break_off()
            del self._streams[stream]

    def stop(self) -> None:
        """End every stream and handler."""
        for peer_id in list(self._neighbours):
            self.drop_neighbour(peer_id)
        nursery, self._nursery = self._nursery, None
        if nursery is not None:
            nursery.cancel_scope.cancel()

    def _start(self, task: Callable[..., Awaitable[None]], *arguments: object) -> None:
        if self._nursery is not None:
            self._nursery.start_soon(task, *arguments)

    def _link(self, other: "MemoryDriver") -> None:
        self._neighbours[other.peer_id] = None
        other._neighbours[self.peer_id] = None  # noqa: SLF001  (the same class)

    def _forget_ended_streams(self) -> None:
        for stream in [each for each in self._streams if each.ended]:
            del self._streams[stream]

    def _closest(self, key: str) -> "list[MemoryDriver]":
        if not self._neighbours:
            return []
        target = _dht_position(key)
        peers = self._ether.peers_of(self)
        peers.sort(key=lambda each: _dht_position(each.peer_id) ^ target)
        return peers[:REPLICAS]

    async def _delay(self, hops: int) -> None:
        await trio.sleep(hops * self._ether.latency_s)

    def _forward(
        self, peer_id: PeerId, message_id: tuple[PeerId, int], topic: str, data: bytes
    ) -> None:
        other = self._ether.reachable(self.peer_id, peer_id)
        lost = self._ether.rng.random() < self._ether.gossip_loss
        if other is not None and topic in other.topics and not lost:
            other.hear(self.peer_id, message_id, topic, data)


def _dht_position(key: str) -> int:
    return int.from_bytes(hashlib.sha256(key.encode()).digest(), "big")


@asynccontextmanager
async def open_network(
    *,
    seed: int = 0,
    latency_s: float = 0.0,
    gossip_loss: float = 0.0,
    clock: Callable[[], float] | None = None,
    between: Callable[[PeerId, PeerId], float] | None = None,
    gossip_degree: int = 0,
) -> AsyncGenerator[MemoryNetwork]:
    """Provide a network for the length of the block.

    Args:
        seed: of all its randomness.
        latency_s: one-way delay of everything, and of DHT requests in any case.
        gossip_loss: probability that one gossip message to one neighbour is lost.
        between: one-way delay from one peer to another, instead.
        gossip_degree: how many neighbours a gossip message is passed on to; 0 means all.
        clock: unix seconds for every host; by default trio's clock, from 2026 on.
    """
    network = MemoryNetwork(
        seed=seed,
        latency_s=latency_s,
        gossip_loss=gossip_loss,
        clock=clock or _virtual_clock,
        between=between,
        gossip_degree=gossip_degree,
    )
    async with unwrapped(_delivering(network)):
        yield network


@asynccontextmanager
async def _delivering(network: MemoryNetwork) -> AsyncGenerator[None]:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(network.deliver_forever)
        yield
        nursery.cancel_scope.cancel()


def _virtual_clock() -> float:
    return EPOCH_UNIX_S + trio.current_time()
