"""A node of the overlay on a real network: TCP, Noise or TLS, yamux, Kademlia, GossipSub."""

import random
import secrets
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import trio

from overlay.bootstrap import Anchor, open_anchor, resolve
from overlay.cleanup import unwrapped
from overlay.driver import Driver
from overlay.errors import LocalProtocolError
from overlay.gossip.service import GossipConfig, GossipService
from overlay.identity import Identity
from overlay.limits.budget import LimitsConfig
from overlay.limits.gate import Gate
from overlay.node import Node, run_node
from overlay.reach.lan import Lan
from overlay.relay.core import RelayConfig
from overlay.rendezvous.client import Meeting
from overlay.rendezvous.core import NONCE_BYTES, RendezvousConfig
from overlay.rendezvous.server import RendezvousServer
from overlay.rendezvous.wire import RENDEZVOUS_PROTOCOL
from overlay.storage import Storage


class DhtConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the node takes part in the DHT; it is always a server.

    Attributes:
        explore_interval_s: seconds between look-ups of ourselves, by which we and our
            neighbours stay known; 0 for never.
    """

    explore_interval_s: Annotated[float, msgspec.Meta(ge=0)] = 300.0


Security = Literal["noise", "tls"]


class HostConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that can be set about a node of the overlay.

    Attributes:
        listen_addresses: multiaddrs to listen on; port 0 for any free port.
        announce_addresses: multiaddrs to tell others instead, for example behind a
            forwarded port; without the /p2p part.
        network: namespaces protocol ids, topics, records and the DHT, so that test
            swarms and the public one never mix.
        security: how connections are encrypted, by Noise or TLS 1.3: all that are taken, the
            first of which is asked for when we dial.
        quic: whether QUIC v1 is spoken, too: listened for on the UDP ports of
            *listen_addresses*, and dialed where TCP is not announced. Experimental.
        connections_max: open connections at once.
        bootstrap: full multiaddrs that `Node.join` dials; /dns4, /dns6, /dns and /dnsaddr
            are resolved.
        state_directory: where known peers and bans are kept over a restart; "" for nowhere.
        limits: what others may hold of us.
        relays: full addresses of relays through which others reach us, when we can only dial
            out; "auto" among them takes up to two that the DHT knows.
        relay: what we give to others as a relay; None for nothing.
        rendezvous: full addresses of rendezvous points (DNS as for *bootstrap*), at which we
            register and find others of our network; a further way to join.
        rendezvous_point: what we hold for others as a rendezvous point; None for nothing.
        hole_punching: whether connections that come in through a relay are made direct, where
            the NATs between allow it.
        port_mapping: whether the home router is asked to forward our port (PCP, NAT-PMP, UPnP),
            unless *announce_addresses* says that somebody did so by hand.
        local_discovery: whether we look for peers on our LANs by multicast DNS, and answer them.
        health_interval_s: a connection that was silent for so many seconds is asked
            whether it lives, and closed if it does not answer.
    """

    listen_addresses: tuple[str, ...] = ("/ip4/0.0.0.0/tcp/0",)
    announce_addresses: tuple[str, ...] = ()
    network: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")] = "main"
    security: Annotated[tuple[Security, ...], msgspec.Meta(min_length=1)] = ("noise", "tls")
    quic: bool = False
    connections_max: Annotated[int, msgspec.Meta(ge=1)] = 300
    health_interval_s: Annotated[float, msgspec.Meta(gt=0)] = 20.0
    bootstrap: tuple[str, ...] = ()
    relays: tuple[str, ...] = ()
    relay: RelayConfig | None = None
    rendezvous: tuple[str, ...] = ()
    rendezvous_point: RendezvousConfig | None = None
    hole_punching: bool = True
    port_mapping: bool = False
    local_discovery: bool = False
    state_directory: str = ""
    limits: LimitsConfig = LimitsConfig()
    gossip: GossipConfig = GossipConfig()
    dht: DhtConfig = DhtConfig()


@asynccontextmanager
async def open_host(
    config: HostConfig,
    identity: Identity,
    *,
    clock: Callable[[], float],
    transport: object | None = None,
) -> AsyncGenerator[Node]:
    """Run a node for the length of the block; the yielded object is a `Host`.

    Leaving the block closes every socket within 3 seconds, even when cancelled; a router that
    forwards our port, and does not answer when we end that, costs one more.

    Args:
        config: where to listen, and the limits.
        identity: the key that the node is known by.
        clock: returns unix seconds.
        transport: what carries bytes instead of TCP; see `overlay._libp2p_memory`.

    Raises:
        LocalProtocolError: an address does not parse, or others may write into the
            state directory.
        PeerUnavailable: none of the addresses can be listened on.
    """
    from overlay._libp2p import open_driver  # noqa: PLC0415  (70 MB and a second of start-up)

    if not config.listen_addresses:
        raise LocalProtocolError("no address to listen on")
    gossip = GossipService(identity.peer_id, config.network, config.gossip, trio.current_time)
    gate = Gate(config.limits, clock, secrets.token_bytes(16))
    driver_block = open_driver(config, identity, gossip, gate, clock=clock, transport=transport)
    node_block = _open_node(config, identity, gossip, gate, driver_block=driver_block, clock=clock)
    async with unwrapped(node_block) as node:
        yield node


@asynccontextmanager
async def _open_node(
    config: HostConfig,
    identity: Identity,
    gossip: GossipService,
    gate: Gate,
    *,
    driver_block: AbstractAsyncContextManager[Driver],
    clock: Callable[[], float],
) -> AsyncGenerator[Node]:
    storage = Storage(Path(config.state_directory)) if config.state_directory else None
    rng = random.Random(identity.public_key)  # noqa: S311  (spreads load, no secret)
    async with (
        driver_block as driver,
        run_node(
            driver,
            gossip,
            gate,
            identity,
            network=config.network,
            clock=clock,
            explore_interval_s=config.dht.explore_interval_s,
            rng=rng,
        ) as node,
    ):
        if config.rendezvous_point is not None:
            nonce = secrets.token_bytes(NONCE_BYTES)
            node.rendezvous = RendezvousServer(
                config.rendezvous_point, nonce, clock=clock, blame=gate.blame
            )
            driver.serve(RENDEZVOUS_PROTOCOL, node.rendezvous.serve)
        meeting = _meeting(config, identity, node, driver, clock=clock, rng=rng)
        anchor = Anchor(
            connect=node.connect,
            more=meeting.ways,
            connected=lambda: bool(node.connected_peers()),
            known=driver.known_peers,
            gate=gate,
            storage=storage,
            addresses=config.bootstrap,
            clock=clock,
            rng=rng,
        )
        node.joining = anchor.join
        async with open_anchor(anchor), trio.open_nursery() as nursery:
            if config.local_discovery:
                nursery.start_soon(_lan(config, node, rng).run)
            if config.rendezvous:
                nursery.start_soon(meeting.run)
            yield node
            nursery.cancel_scope.cancel()


def _meeting(
    config: HostConfig,
    identity: Identity,
    node: Node,
    driver: Driver,
    *,
    clock: Callable[[], float],
    rng: random.Random,
) -> Meeting:
    return Meeting(
        identity,
        config.network,
        config.rendezvous,
        addresses=lambda: node.addresses,
        connect=node.connect,
        resolve=resolve,
        open_stream=driver.open_stream,
        clock=clock,
        rng=rng,
    )


def _lan(config: HostConfig, node: Node, rng: random.Random) -> Lan:
    return Lan(config.network, node.peer_id, lambda: node.addresses, node.connect, rng=rng)
