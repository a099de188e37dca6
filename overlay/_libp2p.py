"""The adapter to libp2p: a `Driver` over TCP, Noise and yamux.

With its siblings `overlay._libp2p_*` this is the only module that imports libp2p, and
no exception of libp2p leaves it: they become `overlay.errors`. The fixes that 0.8.1
needs before it can face strangers are in the siblings.
"""
# ruff: noqa: ANN401, TID251  (the border to libp2p: its privates, its loose types)

import logging
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

import trio
from libp2p import new_host
from libp2p.abc import INetStream
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.x25519 import create_new_key_pair as create_x25519_key_pair
from libp2p.custom_types import TProtocol
from libp2p.exceptions import BaseLibp2pError
from libp2p.host.basic_host import BasicHost
from libp2p.kad_dht.kad_dht import KadDHT
from libp2p.network.config import ConnectionConfig
from libp2p.network.stream.exceptions import StreamEOF
from libp2p.network.swarm import Swarm
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import PeerInfo
from libp2p.rcmgr.manager import ResourceLimits, ResourceManager
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE_ID
from libp2p.security.noise.transport import Transport as NoiseTransport
from libp2p.stream_muxer.yamux.yamux import PROTOCOL_ID as YAMUX_ID
from libp2p.stream_muxer.yamux.yamux import Yamux, YamuxStream
from libp2p.tools.anyio_service import background_trio_service
from multiaddr import Multiaddr  # type: ignore[import-untyped]

from overlay import _libp2p_gossip as gossip_fixes
from overlay import _libp2p_hardening as hardening
from overlay import _libp2p_kademlia as kademlia
from overlay._libp2p_addresses import announced_addresses, bare, parse
from overlay.cleanup import shielded
from overlay.driver import ByteStream, ByteStreamHandler, GossipSink
from overlay.errors import LocalProtocolError, PeerUnavailable
from overlay.host import HostConfig
from overlay.identity import Identity
from overlay.ids import PeerId, short
from overlay.transport import PeerAddress

logger = logging.getLogger(__name__)

ADDRESS_LIFETIME_S: Final = 3600
PING_S: Final = 10.0
NEGOTIATE_S: Final = 10.0
CLOSE_CONNECTIONS_S: Final = 1.5
CLOSE_HOST_S: Final = 1.0
STREAM_END_S: Final = 2.0
STREAMS_MAX: Final = 10_000
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

    async def read(self, bytes_max: int) -> bytes:
        """Return what is there, at least a byte, or b"" at the peer's end."""
        try:
            return await self._stream.read(bytes_max)
        except StreamEOF:
            if self._ended_in_order():
                return b""
            raise PeerUnavailable("the peer is gone or reset the stream") from None
        except LIBP2P_ERRORS as error:
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
        if not isinstance(muxed, YamuxStream):
            return False
        return not muxed.reset_received and not muxed.conn.event_shutting_down.is_set()


class Libp2pDriver:
    """Implements `overlay.driver.Driver`. Made by `open_driver`."""

    def __init__(self, host: BasicHost, swarm: Swarm, dht: KadDHT, pubsub: Any) -> None:
        self._host = host
        self._swarm = swarm
        self._dht = dht
        self._pubsub: gossip_fixes.SafePubsub = pubsub
        self.peer_id = PeerId(host.get_id().to_base58())

    @property
    def addresses(self) -> tuple[str, ...]:
        """Our full multiaddrs."""
        return tuple(str(address) for address in self._host.get_addrs())

    def connected_peers(self) -> tuple[PeerId, ...]:
        """The peers with a live connection."""
        peers = list(self._swarm.connections)
        live = [peer for peer in peers if hardening.live_connections(self._swarm, peer)]
        return tuple(PeerId(peer.to_base58()) for peer in live)

    async def connect(self, peer: PeerAddress) -> None:
        """Dial *peer* and put it into the routing table."""
        peer_id = ID.from_string(peer.peer_id)
        self._remember(peer_id, [parse(each) for each in peer.addresses])
        await self._dial(peer_id)

    async def explore(self) -> None:
        """Look our own id up, which makes those near us notice us."""
        try:
            own_key = self._host.get_id().to_bytes()
            await self._dht.peer_routing.find_closest_peers_network(own_key)
        except LIBP2P_ERRORS as error:
            raise PeerUnavailable(f"exploring failed: {error!r}") from error

    async def open_stream(self, peer_id: PeerId, protocol: str) -> ByteStream:
        """Open a stream, dialing and asking the DHT for addresses when needed."""
        target = ID.from_string(peer_id)
        if target == self._host.get_id():
            raise LocalProtocolError("a stream to ourselves")
        if not hardening.live_connections(self._swarm, target):
            await self._find_and_dial(target)
        try:
            stream = await self._host.new_stream(target, [TProtocol(protocol)])
        except LIBP2P_ERRORS as error:
            raise PeerUnavailable(f"{short(peer_id)} does not answer to {protocol}") from error
        return Libp2pStream(stream)

    def serve(self, protocol: str, handler: ByteStreamHandler) -> None:
        """Answer inbound streams of *protocol* with *handler*."""

        async def handle(stream: INetStream) -> None:
            await handler(Libp2pStream(stream))

        self._host.set_stream_handler(TProtocol(protocol), handle)

    async def provide(self, key: str) -> int:
        """Say that we provide *key*; return 1 or 0: libp2p does not tell how many heard."""
        try:
            return int(await self._dht.provide(key))
        except LIBP2P_ERRORS as error:
            raise PeerUnavailable(f"providing failed: {error!r}") from error

    async def find_providers(self, key: str, providers_max: int) -> list[PeerAddress]:
        """Return who provides *key*, and remember where they are."""
        try:
            found = await kademlia.query_providers(self._dht, key, providers_max)
        except LIBP2P_ERRORS as error:
            raise PeerUnavailable(f"looking up failed: {error!r}") from error
        for provider in found:
            if provider.peer_id != self._host.get_id():
                self._remember(provider.peer_id, provider.addrs)
        return [_peer_address(provider) for provider in found]

    async def put_value(self, key: str, value: bytes) -> int:
        """Store *value* at the closest peers; return how many took it."""
        try:
            return await kademlia.store_value(self._dht, key, value)
        except LIBP2P_ERRORS as error:
            raise PeerUnavailable(f"storing failed: {error!r}") from error

    async def get_values(self, key: str) -> list[bytes]:
        """Return every distinct value that the closest peers hold."""
        try:
            return await kademlia.query_values(self._dht, key)
        except LIBP2P_ERRORS as error:
            raise PeerUnavailable(f"looking up failed: {error!r}") from error

    async def join(self, topic: str) -> None:
        """Subscribe to *topic*."""
        self._pubsub.follow(topic)
        await self._pubsub.subscribe(topic)

    async def leave(self, topic: str) -> None:
        """Unsubscribe from *topic*."""
        await self._pubsub.unsubscribe(topic)
        self._pubsub.remove_topic_validator(topic)

    async def publish(self, topic: str, data: bytes) -> None:
        """Sign and gossip *data*."""
        await self._pubsub.publish(topic, data)

    async def _find_and_dial(self, target: ID) -> None:
        if hardening.known_addresses(self._swarm, target):
            try:
                await self._dial(target)
            except PeerUnavailable:
                logger.debug("the addresses that we know of %s are dead", target)
            else:
                return
        try:
            closest = await self._dht.peer_routing.find_closest_peers_network(target.to_bytes())
        except LIBP2P_ERRORS as error:
            raise PeerUnavailable(f"no route to {target}") from error
        logger.debug("asked %d peers about %s", len(closest), target)
        await self._dial(target)

    async def _dial(self, peer_id: ID) -> None:
        try:
            await self._swarm.dial_peer(peer_id)
            await self._dht.add_peer(peer_id, skip_server_mode_check=True)
        except LIBP2P_ERRORS as error:
            raise PeerUnavailable(f"{peer_id} cannot be reached") from error

    def _remember(self, peer_id: ID, addresses: list[Multiaddr]) -> None:
        kept = [bare(each) for each in addresses[: hardening.ADDRESSES_DIALED_MAX]]
        if kept:
            self._host.get_peerstore().add_addrs(peer_id, kept, ADDRESS_LIFETIME_S)


def _peer_address(info: PeerInfo) -> PeerAddress:
    addresses = dict.fromkeys(str(bare(each)) for each in info.addrs)
    return PeerAddress(
        PeerId(info.peer_id.to_base58()), tuple(addresses)[: hardening.ADDRESSES_DIALED_MAX]
    )


@asynccontextmanager
async def open_driver(
    config: HostConfig,
    identity: Identity,
    sink: GossipSink,
    *,
    clock: Callable[[], float],
    transport: Any = None,
) -> AsyncGenerator[Libp2pDriver]:
    """Run a libp2p host for the length of the block; see `overlay.host.open_host`."""
    hardening.check_version()
    hardening.quiet_logs()
    hardening.install_yamux_fixes()
    gossip_fixes.install_gossip_fixes()
    kademlia.install_kademlia_fixes()
    listen = [parse(each) for each in config.listen_addresses]
    ledger = hardening.SocketLedger()
    host, swarm = _make_host(config, identity, listen, ledger, transport)
    dht = kademlia.make_kademlia(host, config.network, clock)
    router = gossip_fixes.Router(
        gossip_fixes.network_protocol(config.network),
        random.Random(identity.public_key),  # noqa: S311  (breaks ties, no secret)
    )
    pubsub = gossip_fixes.SafePubsub(host, router, sink, first_seqno=int(clock() * 1e9))
    async with AsyncExitStack() as stack:
        stack.callback(ledger.close_all)
        await stack.enter_async_context(host.run(listen))
        stack.push_async_callback(_close, host, swarm)
        if not swarm.listeners:
            raise PeerUnavailable(f"cannot listen on any of {config.listen_addresses}")
        hardening.refuse_replacement(swarm)
        for service in (dht, pubsub, router):
            await stack.enter_async_context(background_trio_service(service))
        await pubsub.wait_until_ready()
        yield Libp2pDriver(host, swarm, dht, pubsub)


def _make_host(
    config: HostConfig,
    identity: Identity,
    listen: list[Multiaddr],
    ledger: hardening.SocketLedger,
    transport: Any,
) -> tuple[BasicHost, Swarm]:
    key_pair = create_new_key_pair(identity.seed)
    noise = NoiseTransport(key_pair, noise_privkey=create_x25519_key_pair().private_key)
    announce = [parse(each) for each in config.announce_addresses]
    host = new_host(
        key_pair,
        sec_opt={NOISE_ID: noise},
        muxer_opt={TProtocol(YAMUX_ID): Yamux},
        listen_addrs=listen,
        connection_config=_connection_config(config),
        resource_manager=ResourceManager(
            ResourceLimits(max_connections=config.connections_max, max_streams=STREAMS_MAX),
            enable_metrics=False,
            enable_memory_limits=False,
            enable_circuit_breaker=False,
            enable_graceful_degradation=False,
        ),
        addrs_factory=lambda candidates: announce or announced_addresses(candidates),
        disable_identify_address_discovery=True,
        transports=None if transport is None else [transport],
    )
    swarm = host.get_network()
    if not isinstance(host, BasicHost) or not isinstance(swarm, Swarm):
        raise LocalProtocolError("libp2p made another kind of host than Cocoon knows")
    hardening.guard_all_handlers(host)
    hardening.track_sockets(swarm, ledger)
    hardening.free_inbound_slots(swarm, ledger)
    hardening.choose_connections_steadily(swarm)
    hardening.dial_every_address(swarm)
    return host, swarm


def _connection_config(config: HostConfig) -> ConnectionConfig:
    return ConnectionConfig(
        max_connections=config.connections_max,
        high_watermark=config.connections_max,
        min_connections=0,  # the AutoConnector dials nobody
        low_watermark=0,
        outbound_stream_protocol_negotiation_timeout=NEGOTIATE_S,
        inbound_stream_protocol_negotiation_timeout=NEGOTIATE_S,
        enable_health_monitoring=True,
        health_initial_delay=config.health_interval_s / 2,
        health_check_interval=config.health_interval_s,
        ping_timeout=PING_S,
        abort_connection_on_ping_failure=True,
    )


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
