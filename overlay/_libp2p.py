"""The adapter to libp2p: a `Driver` over TCP, Noise and yamux.

With its siblings `overlay._libp2p_*` this is the only module that imports libp2p, and
no exception of libp2p leaves it: they become `overlay.errors`. The fixes that 0.8.1
needs before it can face strangers are in the siblings.
"""
# ruff: noqa: ANN401, TID251  (the border to libp2p: its privates, its loose types)

import logging
import random
from collections.abc import AsyncGenerator, Callable, Hashable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

import trio
from libp2p.abc import INetStream
from libp2p.custom_types import TProtocol
from libp2p.exceptions import BaseLibp2pError
from libp2p.host.basic_host import BasicHost
from libp2p.network.stream.exceptions import StreamEOF
from libp2p.network.swarm import Swarm
from libp2p.peer.id import ID
from libp2p.stream_muxer.yamux.yamux import YamuxStream
from libp2p.tools.anyio_service import background_trio_service
from multiaddr import Multiaddr  # type: ignore[import-untyped]

from overlay import _libp2p_gossip as gossip_fixes
from overlay import _libp2p_hardening as hardening
from overlay import _libp2p_reach as reach
from overlay._libp2p_addresses import bare, parse
from overlay._libp2p_dial import ListeningPort
from overlay._libp2p_forget import forget_forever, keep_ourselves
from overlay._libp2p_host import make_host
from overlay._libp2p_identify import remember_little_of_identify
from overlay._libp2p_inbound import read_ipv6_addresses
from overlay._libp2p_keepalive import KeepAlive, measure_no_round_trips
from overlay._libp2p_punch import Punching
from overlay._libp2p_quic import QuicStream
from overlay._libp2p_relay import Relaying
from overlay._libp2p_router import Router
from overlay._libp2p_speed import install_speed_fixes, spare_the_collector
from overlay._libp2p_trim import carries, trim_forever
from overlay._libp2p_ws import refuse_shared_ports
from overlay.addresses import is_quic, prefix_of
from overlay.cleanup import shielded
from overlay.dht.node import DhtNode, network_protocol
from overlay.driver import ByteStream, ByteStreamHandler, GossipSink
from overlay.errors import LocalProtocolError, OverlayError, PeerUnavailable, StreamReset
from overlay.gossip.score import PeerScores
from overlay.host import HostConfig
from overlay.identity import Identity
from overlay.ids import PeerId, short
from overlay.limits.gate import Gate
from overlay.limits.standing import BAN_SCORE
from overlay.limits.turnstile import Turnstile
from overlay.reach.autonat import AUTONAT_PROTOCOL, AutoNat
from overlay.reach.autonat2 import AutoNat2
from overlay.reach.autonat2_wire import BACK_PROTOCOL, REQUEST_PROTOCOL
from overlay.reach.dialback import Answer, Reply
from overlay.reach.mapping import Mappings
from overlay.reach.punch_wire import PUNCH_PROTOCOL
from overlay.relay.wire import HOP_PROTOCOL, STOP_PROTOCOL
from overlay.transport import HostFigures, PeerAddress

logger = logging.getLogger(__name__)

ADDRESS_LIFETIME_S: Final = 3600
PING_S: Final = 10.0
CLOSE_CONNECTIONS_S: Final = 1.5
CLOSE_HOST_S: Final = 1.0
STREAM_END_S: Final = 2.0
LIBP2P_ERRORS: Final = (
    BaseLibp2pError,
    OSError,
    EOFError,
    ValueError,
    KeyError,
    trio.BrokenResourceError,
    trio.ClosedResourceError,
    trio.TooSlowError,
)
"""What libp2p 0.8.1 was seen to raise out of its public methods."""


class Libp2pStream:
    """Implements `overlay.driver.ByteStream` on a libp2p stream."""

    def __init__(self, stream: INetStream) -> None:
        self._stream = stream
        self._finished = False
        self.peer_id = PeerId(stream.muxed_conn.peer_id.to_base58())
        self.prefix = prefix_of(hardening.remote_ip(stream.muxed_conn))

    async def read(self, bytes_max: int) -> bytes:
        """Return what is there, at least a byte, or b"" at the peer's end."""
        try:
            return await self._stream.read(bytes_max)
        except StreamEOF:
            if self._ended_in_order():
                return b""
            if self._was_reset():
                raise StreamReset("the peer reset the stream") from None
            raise PeerUnavailable("the peer is gone or reset the stream") from None
        except LIBP2P_ERRORS as error:
            if self._was_reset():
                raise StreamReset("the peer reset the stream") from error
            raise PeerUnavailable(f"reading failed: {error!r}") from error

    async def write(self, data: bytes) -> None:
        """Send all of *data*."""
        try:
            await self._stream.write(data)
        except LIBP2P_ERRORS as error:
            raise PeerUnavailable(f"writing failed: {error!r}") from error

    async def finish(self) -> None:
        """Send FIN."""
        if self._finished:
            return
        self._finished = True
        with shielded(STREAM_END_S):
            try:
                await self._stream.close_write()  # type: ignore[attr-defined]  # NetStream has it
            except LIBP2P_ERRORS as error:
                logger.debug("finishing a stream: %r", error)

    async def reset(self) -> None:
        """Send RST, unless both sides finished, and free the stream."""
        self._finished = True
        with shielded(STREAM_END_S):
            try:
                await self._stream.reset()
            except LIBP2P_ERRORS as error:
                logger.debug("resetting a stream: %r", error)

    def _ended_in_order(self) -> bool:
        # libp2p reports a reset, and a lost connection, as the end of the stream too
        muxed = getattr(self._stream, "muxed_stream", None)
        if isinstance(muxed, QuicStream):
            return True
        if not isinstance(muxed, YamuxStream):
            return False
        return not muxed.reset_received and not muxed.conn.event_shutting_down.is_set()

    def _was_reset(self) -> bool:
        muxed = getattr(self._stream, "muxed_stream", None)
        if not isinstance(muxed, YamuxStream):
            return False
        return muxed.reset_received and not muxed.conn.event_shutting_down.is_set()


class Libp2pDriver:
    """Implements `overlay.driver.Driver`. Made by `open_driver`."""

    def __init__(
        self,
        host: BasicHost,
        swarm: Swarm,
        pubsub: gossip_fixes.SafePubsub,
        config: HostConfig,
        port: ListeningPort,
        *,
        turnstile: Turnstile,
        clock: Callable[[], float],
        rng: random.Random,
    ) -> None:
        network = config.network
        self._host = host
        self._swarm = swarm
        self._pubsub = pubsub
        self._port = port
        self._quic = config.quic
        self._turnstile = turnstile
        self._dht_protocol = network_protocol(network)
        self.peer_id = PeerId(host.get_id().to_base58())
        self._dht = DhtNode(
            self._own_address, self._open_dht_stream, self._where, network, clock=clock, rng=rng
        )
        self.serve(self._dht_protocol, self._dht.serve)
        self._relaying = Relaying(
            host,
            swarm,
            config.relays,
            config.relay,
            open_stream=self._new_stream,
            connect=self.connect,
            find=self.find_providers,
            provide=self.provide,
            source_for=port.source_for,
            turnstile=turnstile,
            clock=clock,
            rng=rng,
        )
        self._dial_peer = hardening.dial_every_address(swarm, self._relaying.dial)
        self.serve(STOP_PROTOCOL, self._relaying.serve_stop)
        if self._relaying.server is not None:
            self.serve(HOP_PROTOCOL, self._relaying.server.serve)
        self._observations = reach.observe(host)
        reach.see_nobody_through_relays(host)
        self.serve(AUTONAT_PROTOCOL, AutoNat(self.where, self._dial_back).serve)
        self._autonat = AutoNat2(self.where, self._can_dial, self._dial_back, rng=rng)
        self.serve(REQUEST_PROTOCOL, self._autonat.serve_request)
        self.serve(BACK_PROTOCOL, self._autonat.serve_back)
        self._observations.shows_our_port = port.shows_our_port
        self._punching = self._open_punching() if config.hole_punching else None
        self._new_addresses = trio.Event()
        self._relaying.changed = self._note_new_addresses
        self._mappings: Mappings | None = None
        if config.port_mapping and not config.announce_addresses:
            self._mappings = Mappings(port.forwardable, self._note_new_addresses)
            reach.announce(host, self._mappings)

    def _open_punching(self) -> Punching:
        punching = Punching(
            self._swarm,
            self._port,
            mapped=self._observations.mapped,
            seen=self._observations.all,
            announced=lambda: self.addresses,
            open_stream=self._new_stream,
            busy=self._carries_work,
            move=self._pubsub.move,
        )
        self.serve(PUNCH_PROTOCOL, punching.serve)
        return punching

    async def run(self, connections_max: int, rng: random.Random) -> None:
        """Keep the DHT and the connections in order until cancelled."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._dht.run)
            nursery.start_soon(self._relaying.run)
            if self._punching is not None:
                nursery.start_soon(self._punching.run)
            if self._mappings is not None:
                nursery.start_soon(self._mappings.run)
            nursery.start_soon(
                trim_forever, self._swarm.get_connections, self._in_use, connections_max, rng
            )

    def _in_use(self, connection: Any) -> bool:
        """Return whether a connection carries more than gossip and the DHT, or is in a mesh."""
        meshes = self._pubsub.mesh_peers()
        peer_id = connection.muxed_conn.peer_id
        if peer_id in meshes or self._relaying.spares(PeerId(peer_id.to_base58())):
            return True
        return self._carries_work(connection)

    def _carries_work(self, connection: Any) -> bool:
        return carries(connection, (self._dht_protocol, self._pubsub.wire_protocol))

    @property
    def addresses(self) -> tuple[str, ...]:
        """Our full multiaddrs."""
        return tuple(str(address) for address in self._host.get_addrs())

    @property
    def observed(self) -> tuple[str, ...]:
        """Where peers say that we come from."""
        return self._observations.all()

    def figures(self) -> HostFigures:
        """The connections, the DHT and what we relay."""
        server, relay = self._dht.kademlia.server, self._relaying.server
        connections = self._swarm.get_connections()
        held = {
            "connections": len(connections),
            "connections_relayed": sum(map(hardening.is_relayed, connections)),
            "ports_forwarded": 0 if self._mappings is None else len(self._mappings.addresses),
            "dht_table": len(self._dht.kademlia.table),
            "dht_provider_entries": len(server.providers),
            "dht_records": len(server.values),
            "relay_reservations": 0 if relay is None else len(relay.core),
            "relay_circuits": 0 if relay is None else relay.core.circuits,
        }
        counted = {} if relay is None else dict(relay.counted)
        counted |= {f"holes_{each}": count for each, count in self.punches.items() if count}
        return HostFigures(held, counted)

    def where(self, peer_id: PeerId) -> str:
        """Return where a connected peer comes from."""
        return reach.where(self._swarm, peer_id)

    def ways(self, peer_id: PeerId) -> tuple[str, ...]:
        """Return how we are connected to a peer: one multiaddr for each connection."""
        return reach.ways(self._swarm, peer_id)

    @property
    def punches(self) -> dict[str, int]:
        """How many relayed connections became direct by us, and how many did not."""
        if self._punching is None:
            return {"succeeded": 0, "failed": 0}
        puncher = self._punching.puncher
        return {"succeeded": puncher.succeeded, "failed": puncher.failed}

    async def router(self) -> str:
        """Return what the home router does for us, in words; "" when it was not asked."""
        return "" if self._mappings is None else await self._mappings.words()

    async def ask_dialback(self, peer_id: PeerId, addresses: Sequence[str]) -> Answer:
        """Ask a peer by AutoNAT v2; see `overlay.driver.Driver`."""
        raw = await self._new_stream(ID.from_string(peer_id), REQUEST_PROTOCOL)
        return Answer(*await self._autonat.ask(raw, addresses))

    async def _dial_back(self, peer_id: PeerId, address: str, nonce: int | None = None) -> Reply:
        return await reach.dial_back(self._swarm, peer_id, address, nonce)

    def _can_dial(self, address: str) -> bool:
        """Return whether we speak what *address* is of; of IP, in what others reach us."""
        kind = address.split("/")[1]
        known = any(each.split("/")[1] == kind for each in self.addresses)
        return known and (self._quic or not is_quic(address))

    def _note_new_addresses(self) -> None:
        self._new_addresses.set()

    async def new_addresses(self) -> None:
        """Wait until our addresses changed, and tell our neighbours."""
        await self._new_addresses.wait()
        self._new_addresses = trio.Event()
        await self._relaying.tell_neighbours()

    def connected_peers(self) -> tuple[PeerId, ...]:
        """The peers with a live connection."""
        peers = list(self._swarm.connections)
        live = [peer for peer in peers if hardening.live_connections(self._swarm, peer)]
        return tuple(PeerId(peer.to_base58()) for peer in live)

    async def connect(self, peer: PeerAddress) -> None:
        """Dial *peer* and put it into the routing table."""
        peer_id = ID.from_string(peer.peer_id)
        self._remember(peer_id, [parse(each) for each in peer.addresses])
        await self._dial(peer_id, self._port.source_for)
        try:
            await self._dht.kademlia.introduce(peer)
        except OverlayError as error:
            logger.info("%s is not in our DHT: %r", short(peer.peer_id), error)

    async def drop(self, peer_id: PeerId) -> None:
        """Close every connection to *peer_id*, when strangers have a turn."""
        await self._turnstile.take(peer_id, peer_id)
        with shielded(STREAM_END_S):
            try:
                await self._swarm.close_peer(ID.from_string(peer_id))
            except LIBP2P_ERRORS as error:
                logger.debug("dropping %s: %r", short(peer_id), error)

    def known_peers(self) -> list[PeerAddress]:
        """Return the peers of the routing table, the latest to answer first."""
        return self._dht.kademlia.table.peers()

    async def explore(self) -> None:
        """Look our own id up, which makes those near us notice us."""
        await self._dht.kademlia.explore()

    async def open_stream(self, peer_id: PeerId, protocol: str) -> ByteStream:
        """Open a stream, dialing and asking the DHT for addresses when needed."""
        target = ID.from_string(peer_id)
        if target == self._host.get_id():
            raise LocalProtocolError("a stream to ourselves")
        if not hardening.live_connections(self._swarm, target):
            await self._find_and_dial(target)
        return await self._new_stream(target, protocol)

    def serve(self, protocol: str, handler: ByteStreamHandler) -> None:
        """Answer inbound streams of *protocol* with *handler*."""

        async def handle(stream: INetStream) -> None:
            await handler(Libp2pStream(stream))

        self._host.set_stream_handler(TProtocol(protocol), handle)

    async def provide(self, key: str) -> int:
        """Say that we provide *key*; return how many peers took note."""
        return await self._dht.kademlia.provide(key)

    async def find_providers(self, key: str, providers_max: int) -> list[PeerAddress]:
        """Return who provides *key*, and remember where they are."""
        found = await self._dht.kademlia.find_providers(key, providers_max)
        for provider in found:
            if provider.peer_id != self.peer_id:
                self._remember_address(provider)
        return found

    async def put_value(self, key: str, value: bytes) -> int:
        """Store *value* at the closest peers; return how many took it."""
        return await self._dht.kademlia.put_value(key, value)

    async def get_values(self, key: str) -> list[bytes]:
        """Return every distinct value that the closest peers hold."""
        return await self._dht.kademlia.get_values(key)

    async def join(self, topic: str) -> None:
        """Subscribe to *topic*."""
        await self._pubsub.subscribe(topic)

    async def leave(self, topic: str) -> None:
        """Unsubscribe from *topic*."""
        await self._pubsub.unsubscribe(topic)

    async def publish(self, topic: str, data: bytes) -> None:
        """Sign and gossip *data*."""
        await self._pubsub.publish(topic, data)

    async def _new_stream(self, target: ID, protocol: str) -> ByteStream:
        try:
            stream = await self._host.new_stream(target, [TProtocol(protocol)])
        except LIBP2P_ERRORS as error:
            raise PeerUnavailable(f"{target} does not answer to {protocol}") from error
        return Libp2pStream(stream)

    async def _find_and_dial(self, target: ID) -> None:
        if hardening.known_addresses(self._swarm, target):
            try:
                await self._dial(target)
            except PeerUnavailable:
                logger.debug("the addresses that we know of %s are dead", target)
            else:
                return
        found = await self._dht.kademlia.find_peer(PeerId(target.to_base58()))
        if found is None:
            raise PeerUnavailable(f"nobody knows where {target} is")
        self._remember_address(found)
        await self._dial(target)

    async def _dial(
        self, peer_id: ID, source_for: hardening.SourceFor = hardening.from_any_port
    ) -> None:
        try:
            await self._dial_peer(peer_id, source_for)
        except LIBP2P_ERRORS as error:
            raise PeerUnavailable(f"{peer_id} cannot be reached") from error

    def _remember(self, peer_id: ID, addresses: list[Multiaddr]) -> None:
        kept = [bare(each) for each in addresses[: hardening.ADDRESSES_DIALED_MAX]]
        if kept:
            self._host.get_peerstore().add_addrs(peer_id, kept, ADDRESS_LIFETIME_S)

    def _remember_address(self, peer: PeerAddress) -> None:
        """Remember what the DHT said of a peer; addresses that do not parse are left out."""
        try:
            peer_id = ID.from_string(peer.peer_id)
            self._remember(peer_id, [parse(each) for each in peer.addresses])
        except (ValueError, LocalProtocolError) as error:
            logger.debug("the DHT named an odd peer: %r", error)

    def _own_address(self) -> PeerAddress:
        bare_addresses = (each.rpartition("/p2p/")[0] for each in self.addresses)
        return PeerAddress(self.peer_id, tuple(bare_addresses))

    async def _open_dht_stream(self, peer: PeerAddress) -> ByteStream:
        """Open a DHT stream; never asks the DHT where the peer is."""
        target = ID.from_string(peer.peer_id)
        if not hardening.live_connections(self._swarm, target):
            self._remember_address(peer)
            await self._dial(target)
        return await self._new_stream(target, self._dht_protocol)

    def _where(self, peer_id: PeerId) -> tuple[PeerAddress, str]:
        """Return what a connected peer announced, and the prefix that it comes from."""
        target = ID.from_string(peer_id)
        known = hardening.known_addresses(self._swarm, target)
        addresses = tuple(dict.fromkeys(str(bare(each)) for each in known))
        prefix = prefix_of(hardening.remote_address(self._swarm, target))
        return PeerAddress(peer_id, addresses), prefix


@asynccontextmanager
async def open_driver(
    config: HostConfig,
    identity: Identity,
    sink: GossipSink,
    gate: Gate,
    *,
    clock: Callable[[], float],
    transport: Any = None,
) -> AsyncGenerator[Libp2pDriver]:
    """Run a libp2p host for the length of the block; see `overlay.host.open_host`."""
    hardening.check_version()
    hardening.quiet_logs()
    install_speed_fixes()
    spare_the_collector()
    measure_no_round_trips()
    read_ipv6_addresses()
    remember_little_of_identify()
    reach.see_who_comes_by_quic()
    gossip_fixes.install_gossip_fixes()
    listen = [parse(each) for each in config.listen_addresses]
    refuse_shared_ports(config.listen_addresses)
    ledger = hardening.SocketLedger()
    turnstile = Turnstile()
    host, swarm = make_host(
        config,
        identity,
        listen,
        ledger,
        gate=gate,
        clock=clock,
        turnstile=turnstile,
        transport=transport,
    )
    keep_ourselves(swarm)
    rng = random.Random(identity.public_key)  # noqa: S311  (breaks ties, no secret)
    router = Router(
        gossip_fixes.network_protocol(config.network), rng, PeerScores(gate_score(gate))
    )
    pubsub = gossip_fixes.SafePubsub(
        host,
        router,
        sink,
        turnstile=turnstile,
        first_seqno=int(clock() * 1e9),
        banish=lambda peer_id: gate.blame(peer_id, -BAN_SCORE, "its gossip"),
    )
    async with AsyncExitStack() as stack:
        stack.callback(ledger.close_all)
        await stack.enter_async_context(host.run(listen))
        stack.push_async_callback(_close, host, swarm)
        if not swarm.listeners:
            raise PeerUnavailable(f"cannot listen on any of {config.listen_addresses}")
        for service in (pubsub, router):
            await stack.enter_async_context(background_trio_service(service))
        await pubsub.wait_until_ready()
        port = ListeningPort(swarm, ledger)
        driver = Libp2pDriver(
            host, swarm, pubsub, config, port, turnstile=turnstile, clock=clock, rng=rng
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(turnstile.run)
            nursery.start_soon(driver.run, config.connections_max, rng)
            nursery.start_soon(_keep_alive(swarm, config, rng).run)
            nursery.start_soon(forget_forever, swarm, pubsub, router, host.get_id())
            yield driver
            nursery.cancel_scope.cancel()


def _keep_alive(swarm: Swarm, config: HostConfig, rng: random.Random) -> KeepAlive:
    return KeepAlive(
        swarm.get_connections, interval_s=config.health_interval_s, patience_s=PING_S, rng=rng
    )


def gate_score(gate: Gate) -> Callable[[Hashable], float]:
    """Return P5 of the gossip score: what the node thinks of a peer, if that is bad."""

    def points(peer: Hashable) -> float:
        return min(0.0, gate.score(PeerId(str(peer))))

    return points


async def _close(host: BasicHost, swarm: Swarm) -> None:
    """Close every socket, in at most `CLOSE_CONNECTIONS_S` + `CLOSE_HOST_S`.

    Upstream (0.8.1) leaks sockets when `host.run()` is left, and `host.close()` takes
    0.2 s for each connection, one after the other. To drop: a host with 20 connections
    closes within a second and leaves no socket.
    """
    connections = [each for group in swarm.connections.values() for each in group]
    for connection in connections:
        hardening.hurry(getattr(connection, "muxed_conn", None))
    with shielded(CLOSE_CONNECTIONS_S):
        async with trio.open_nursery() as nursery:
            for connection in connections:
                nursery.start_soon(connection.close)
    with shielded(CLOSE_HOST_S):
        await host.close()
