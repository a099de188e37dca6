"""The `Host` that everybody gets, over whatever `Driver` lies below."""

import logging
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Final

import trio

from overlay.cleanup import shielded
from overlay.dht.service import DhtService
from overlay.driver import ByteStream, Driver
from overlay.errors import (
    LocalProtocolError,
    OverlayError,
    PeerUnavailable,
    RemoteProtocolError,
    StreamClosed,
)
from overlay.gossip.service import GossipService
from overlay.identity import Identity
from overlay.ids import PeerId, public_key_from_peer_id, short
from overlay.limits.gate import Gate
from overlay.limits.service import TICKET_PROTOCOL, buy_ticket, sell_ticket
from overlay.reach.dialback import Answer
from overlay.rendezvous.server import RendezvousServer
from overlay.rpc.service import CLOSE_S, StreamServer, exchange
from overlay.rpc.stream import FrameStream, linger
from overlay.transport import (
    GossipMessage,
    HostFigures,
    PeerAddress,
    Stream,
    StreamHandler,
    Validator,
)

logger = logging.getLogger(__name__)

ADDRESSES_MAX: Final = 16
"""Addresses of one peer that we keep or try."""
EXPLORE_S: Final = 30.0
"""Patience with one exploration of the DHT."""
TICKET_S: Final = 20.0
"""Patience with buying one ticket, our own work included."""
TICKETS_AT_ONCE_MAX: Final = 256
_FIRST_EXPLORATIONS_S: Final = (0.2, 1.0, 5.0, 15.0)
"""Delays after a first connection; then comes the configured interval."""


class Node:
    """Implements `overlay.transport.Host`. Made by `run_node`."""

    def __init__(
        self,
        driver: Driver,
        gossip: GossipService,
        dht: DhtService,
        gate: Gate,
        *,
        network: str,
        nursery: trio.Nursery,
    ) -> None:
        self.gate = gate
        self._driver = driver
        self._gossip = gossip
        self._dht = dht
        self._network = network
        self._nursery = nursery
        self._served: set[str] = set()
        self._servers: list[StreamServer] = []
        self.joining: Callable[[], Awaitable[int]] = _nobody
        """What `join` does: dials the configured and the remembered peers."""
        self.rendezvous: RendezvousServer | None = None
        """What we are to others as a rendezvous point."""
        self.connected = trio.Event()
        """Set by the first successful `connect`."""
        self.closing = False
        """Set when the host is being left; handlers may still be ending then."""

    @property
    def peer_id(self) -> PeerId:
        """Our own identity."""
        return self._driver.peer_id

    @property
    def addresses(self) -> tuple[str, ...]:
        """Our full multiaddrs, each ending in /p2p/<peer id>."""
        return self._driver.addresses

    @property
    def observed(self) -> tuple[str, ...]:
        """Multiaddrs that others say we come from, one for each peer that said so."""
        return self._driver.observed

    async def router(self) -> str:
        """Return what the home router does for us, in words; "" when it was not asked.

        Waits until it has answered, or did not: a few seconds.
        """
        return await self._driver.router()

    async def ask_dialback(self, peer_id: PeerId, addresses: Sequence[str]) -> Answer:
        """Ask *peer_id* to dial us back at the first of *addresses* that it likes.

        Raises:
            PeerUnavailable, RemoteProtocolError: it does not, or not in order.
        """
        return await self._driver.ask_dialback(peer_id, addresses)

    def figures(self) -> HostFigures:
        """What we hold and have done; see `overlay.transport.Host`."""
        below, gossip = self._driver.figures(), self._gossip
        refused = {f"refused: {each}": count for each, count in self.gate.refused.items()}
        refused |= {f"gossip refused: {each}": count for each, count in gossip.refused.items()}
        refused["gossip dropped"] = sum(gossip.dropped.values())
        held, counted = self.gate.figures() | below.held, refused | below.counted
        if self.rendezvous is not None:
            held["rendezvous_registrations"] = len(self.rendezvous.core)
            counted |= self.rendezvous.counted
        return HostFigures(held, counted)

    @property
    def gossip_dropped(self) -> dict[str, int]:
        """Messages that a subscriber's full queue lost, for each topic."""
        return dict(self._gossip.dropped)

    @property
    def gossip_refused(self) -> dict[str, int]:
        """Messages refused on arrival, for each reason."""
        return dict(self._gossip.refused)

    async def connect(self, addresses: Sequence[str]) -> PeerId:
        """Dial a peer; see `overlay.transport.Host`."""
        peer = parse_addresses(addresses)
        self._refuse_banned(peer.peer_id)
        await self._driver.connect(peer)
        self.connected.set()
        return peer.peer_id

    def connected_peers(self) -> tuple[PeerId, ...]:
        """The peers with a live connection."""
        return self._driver.connected_peers()

    async def open_stream(self, peer_id: PeerId, protocol: str) -> Stream:
        """Open a stream of frames; see `overlay.transport.Host`."""
        public_key_from_peer_id(peer_id)
        self._refuse_banned(peer_id)
        raw = await self._driver.open_stream(peer_id, self._wire_protocol(protocol))
        return FrameStream(raw, inbound=False, linger=self._linger)

    async def request(self, peer_id: PeerId, protocol: str, body: bytes) -> bytes:
        """Ask once; see `overlay.transport.Host`."""
        try:
            answer = await self._exchange(peer_id, protocol, body)
        except StreamClosed:
            raise
        except PeerUnavailable:
            if not await self.earn_ticket(peer_id):
                raise
            answer = await self._exchange(peer_id, protocol, body)
        self.gate.reward(peer_id)
        return answer

    async def earn_ticket(self, peer_id: PeerId) -> bool:
        """Do the work that a peer under load asks of strangers; return whether it took it.

        `request` does so by itself; call it when a stream that you opened was refused.
        False means that the peer asks for nothing, or is not there: it was no lack of a
        ticket that failed.
        """
        if peer_id not in self.connected_peers():
            return False
        try:
            with trio.fail_after(TICKET_S):
                stream = await self.open_stream(peer_id, TICKET_PROTOCOL)
                try:
                    return await buy_ticket(stream)
                finally:
                    with shielded(CLOSE_S):
                        await stream.aclose()
        except (OverlayError, trio.TooSlowError) as error:
            logger.debug("no ticket from %s: %r", short(peer_id), error)
            return False

    def serve(self, protocol: str, handler: StreamHandler, *, streams_max: int) -> None:
        """Answer inbound streams; see `overlay.transport.Host`.

        Raises:
            LocalProtocolError: *protocol* is served already.
        """
        if protocol in self._served:
            raise LocalProtocolError(f"{protocol} is served already")
        self._served.add(protocol)
        server = StreamServer(
            protocol,
            handler,
            streams_max=streams_max,
            linger=self._linger,
            gate=self.gate,
            needs_ticket=protocol != TICKET_PROTOCOL,
        )
        self._servers.append(server)
        self._driver.serve(self._wire_protocol(protocol), server.handle)

    async def join(self) -> int:
        """Join by all known ways; see `overlay.transport.Host`."""
        return await self.joining()

    async def drain(self, patience_s: float) -> bool:
        """Before leaving: refuse new streams, let those that are served come to their end.

        Returns:
            False when some had not ended after *patience_s*; leaving cuts them.
        """
        with trio.move_on_after(patience_s) as scope:
            async with trio.open_nursery() as nursery:
                for server in self._servers:
                    nursery.start_soon(server.drain)
        return not scope.cancelled_caught

    async def _exchange(self, peer_id: PeerId, protocol: str, body: bytes) -> bytes:
        try:
            return await exchange(await self.open_stream(peer_id, protocol), body)
        except RemoteProtocolError as error:
            self.gate.blame(peer_id, error.penalty, str(error))
            raise

    def _refuse_banned(self, peer_id: PeerId) -> None:
        if self.gate.banned(peer_id):
            raise PeerUnavailable(f"{short(peer_id)} is banned for its faults")

    def drop(self, peer_id: PeerId) -> None:
        """Close the connections to *peer_id*, soon."""
        if not self.closing:
            self._nursery.start_soon(self._driver.drop, peer_id)

    async def explore(self) -> None:
        """Look ourselves up in the DHT now; it happens by itself from time to time."""
        await self._driver.explore()

    async def provide(self, key: bytes) -> None:
        """Publish that we serve *key*; see `overlay.transport.Host`."""
        await self._dht.provide(key)

    async def find_providers(self, key: bytes, *, providers_max: int = 20) -> list[PeerAddress]:
        """Look *key* up; see `overlay.transport.Host`."""
        return await self._dht.find_providers(key, providers_max)

    async def put_record(self, name: str, value: bytes, *, expires_at_unix_s: int) -> None:
        """Publish our record *name*; see `overlay.transport.Host`."""
        await self._dht.put_record(name, value, expires_at_unix_s)

    async def get_record(self, peer_id: PeerId, name: str) -> bytes | None:
        """Return *peer_id*'s newest record *name*; see `overlay.transport.Host`."""
        return await self._dht.get_record(peer_id, name)

    async def publish(self, topic: str, data: bytes) -> None:
        """Gossip *data*; see `overlay.transport.Host`."""
        await self._gossip.publish(self._driver, topic, data)

    def subscribe(
        self, topic: str, validate: Validator, *, queued_max: int = 256
    ) -> AbstractAsyncContextManager[trio.MemoryReceiveChannel[GossipMessage]]:
        """Join *topic* for the length of the block; see `overlay.transport.Host`."""
        return self._gossip.subscribe(self._driver, topic, validate, queued_max=queued_max)

    def _wire_protocol(self, protocol: str) -> str:
        return f"/cocoon/{self._network}{protocol}"

    def _linger(self, raw: ByteStream) -> None:
        if not self.closing:  # else the driver, which outlives us, frees all streams at once
            self._nursery.start_soon(_linger_quietly, raw)


@asynccontextmanager
async def run_node(
    driver: Driver,
    gossip: GossipService,
    gate: Gate,
    identity: Identity,
    *,
    network: str,
    clock: Callable[[], float],
    explore_interval_s: float,
    rng: random.Random,
) -> AsyncGenerator[Node]:
    """Run the `Host` over *driver* for the length of the block.

    Args:
        driver: the peer below, already running.
        gossip: the sink that *driver* was given.
        gate: the limits that *driver* was given.
        identity: the key that signs records.
        network: namespaces protocols and records.
        clock: returns unix seconds.
        explore_interval_s: seconds between explorations of the DHT; 0 for never.
        rng: spreads the explorations of many nodes in time.
    """
    dht = DhtService(driver, identity, network, clock)
    async with trio.open_nursery() as nursery:
        node = Node(driver, gossip, dht, gate, network=network, nursery=nursery)
        gate.on_ban(node.drop)
        node.serve(TICKET_PROTOCOL, partial(sell_ticket, gate), streams_max=TICKETS_AT_ONCE_MAX)
        nursery.start_soon(dht.republish_forever)
        nursery.start_soon(_republish_when_moved, driver, dht)
        if explore_interval_s > 0:
            nursery.start_soon(_explore_forever, driver, node.connected, explore_interval_s, rng)
        try:
            yield node
        finally:
            node.closing = True
            nursery.cancel_scope.cancel()


def parse_addresses(addresses: Sequence[str]) -> PeerAddress:
    """Split full multiaddrs into the one peer that they name and its bare addresses.

    Raises:
        LocalProtocolError: none given, no /p2p part, or several peers.
    """
    split = [address.rpartition("/p2p/") for address in addresses]
    peers = {peer for _, _, peer in split}
    if len(peers) != 1 or not all(separator for _, separator, _ in split):
        raise LocalProtocolError("addresses must all end in /p2p/ and the id of one peer")
    peer_id = PeerId(peers.pop())
    try:
        public_key_from_peer_id(peer_id)
    except OverlayError as error:
        raise LocalProtocolError(f"{peer_id} is not a peer id") from error
    return PeerAddress(peer_id, tuple(bare for bare, _, _ in split)[:ADDRESSES_MAX])


async def _nobody() -> int:
    """Join nobody: a node without a list and without a memory."""
    await trio.lowlevel.checkpoint()
    return 0


async def _linger_quietly(raw: ByteStream) -> None:
    try:
        await linger(raw)
    except OverlayError as error:
        logger.debug("closed stream ended early: %r", error)


async def _republish_when_moved(driver: Driver, dht: DhtService) -> None:
    while True:
        await driver.new_addresses()
        await dht.republish()


async def _explore_forever(
    driver: Driver, connected: trio.Event, interval_s: float, rng: random.Random
) -> None:
    await connected.wait()
    for delay_s in _FIRST_EXPLORATIONS_S:
        await trio.sleep(delay_s)
        await _explore(driver)
    while True:
        await trio.sleep(interval_s * rng.uniform(0.8, 1.2))
        await _explore(driver)


async def _explore(driver: Driver) -> None:
    with trio.move_on_after(EXPLORE_S):
        try:
            await driver.explore()
        except OverlayError as error:
            logger.debug("exploring the DHT: %r", error)
