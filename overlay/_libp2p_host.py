"""Makes the host of libp2p for `overlay._libp2p`: transports, encryption, ceilings, fixes."""
# ruff: noqa: ANN401, TID251  (the border to libp2p: its loose types)

from collections.abc import Callable
from typing import Any, Final

from libp2p import new_host
from libp2p.abc import ISecureTransport, ITransport
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.keys import KeyPair
from libp2p.crypto.x25519 import create_new_key_pair as create_x25519_key_pair
from libp2p.custom_types import TProtocol
from libp2p.host.basic_host import BasicHost
from libp2p.network.config import ConnectionConfig
from libp2p.network.swarm import Swarm
from libp2p.rcmgr.manager import ResourceLimits, ResourceManager
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE_ID
from libp2p.security.noise.transport import Transport as NoiseTransport
from libp2p.transport.tcp.tcp import TCP
from multiaddr import Multiaddr  # type: ignore[import-untyped]

from overlay import _libp2p_hardening as hardening
from overlay._libp2p_addresses import announced_addresses, parse
from overlay._libp2p_quic_socket import QuicTransport
from overlay._libp2p_tls import TLS_ID, Tls
from overlay._libp2p_unread import YAMUX, count_unread_bytes
from overlay._libp2p_ws import WebSockets
from overlay.addresses import is_quic, is_websocket
from overlay.errors import LocalProtocolError
from overlay.host import HostConfig, Security
from overlay.identity import Identity
from overlay.limits.gate import Gate
from overlay.limits.turnstile import Turnstile

NEGOTIATE_S: Final = 10.0
STREAMS_MAX: Final = 10_000


def make_host(
    config: HostConfig,
    identity: Identity,
    listen: list[Multiaddr],
    ledger: hardening.SocketLedger,
    *,
    gate: Gate,
    clock: Callable[[], float],
    turnstile: Turnstile,
    transport: Any,
) -> tuple[BasicHost, Swarm]:
    """Make a host of libp2p, mended, that does not run yet.

    Args:
        config: what it listens on, speaks, and may hold.
        identity: its key.
        listen: the addresses of *config*, parsed.
        ledger: notes every socket of TCP.
        gate: is asked about strangers.
        clock: returns unix seconds.
        turnstile: where what strangers bring waits for its turn.
        transport: what carries bytes instead of TCP, WebSocket and QUIC.
    """
    key_pair = create_new_key_pair(identity.seed)
    announce = [parse(each) for each in config.announce_addresses]
    transports: list[ITransport] = [TCP(), WebSockets()]
    if config.quic:
        transports.append(QuicTransport(identity, gate, clock))
    host = new_host(
        key_pair,
        sec_opt=_security(config, identity, key_pair, clock),
        muxer_opt={},
        listen_addrs=[each for each in listen if not _is_special(str(each))],
        connection_config=_connection_config(config),
        resource_manager=ResourceManager(
            ResourceLimits(max_connections=config.connections_max, max_streams=STREAMS_MAX),
            enable_metrics=False,
            enable_memory_limits=False,
            enable_circuit_breaker=False,
            enable_graceful_degradation=False,
            enable_rate_limiting=False,
        ),
        addrs_factory=lambda candidates: announce or announced_addresses(candidates),
        disable_identify_address_discovery=True,
        transports=transports if transport is None else [transport],
    )
    swarm = host.get_network()
    if not isinstance(host, BasicHost) or not isinstance(swarm, Swarm):
        raise LocalProtocolError("libp2p made another kind of host than Cocoon knows")
    hardening.guard_all_handlers(host, gate)
    hardening.track_sockets(swarm, ledger)
    hardening.free_inbound_slots(swarm, ledger, gate, turnstile)
    hardening.dial_nobody_unasked(swarm)
    hardening.choose_connections_steadily(swarm)
    hardening.finish_what_is_connected(swarm)
    count_unread_bytes(swarm, gate)
    return host, swarm


def _is_special(address: str) -> bool:
    """Return whether libp2p must not choose a transport of its own for *address*."""
    return is_websocket(address) or is_quic(address)


def _security(
    config: HostConfig, identity: Identity, key_pair: KeyPair, clock: Callable[[], float]
) -> dict[TProtocol, ISecureTransport]:
    noise = NoiseTransport(key_pair, noise_privkey=create_x25519_key_pair().private_key)
    all_of_them: dict[Security, tuple[TProtocol, ISecureTransport]] = {
        "tls": (TLS_ID, Tls(identity, key_pair, (YAMUX,), clock)),
        "noise": (NOISE_ID, noise),
    }
    return dict(all_of_them[each] for each in config.security)


def _connection_config(config: HostConfig) -> ConnectionConfig:
    return ConnectionConfig(
        max_connections=config.connections_max,
        high_watermark=config.connections_max,
        min_connections=0,
        low_watermark=0,
        outbound_stream_protocol_negotiation_timeout=NEGOTIATE_S,
        inbound_stream_protocol_negotiation_timeout=NEGOTIATE_S,
        enable_health_monitoring=False,
    )
