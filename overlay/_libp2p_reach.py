"""What others see of us, by identify; and dialing a peer back, on libp2p."""
# ruff: noqa: ANN401, SLF001, TID251  (the border to libp2p: its privates, its loose types)

import functools
import logging
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Final

import trio
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.x25519 import create_new_key_pair as create_x25519_key_pair
from libp2p.custom_types import TProtocol
from libp2p.host.basic_host import BasicHost
from libp2p.host.observed_addr_manager import NATDeviceType
from libp2p.identity.identify import identify
from libp2p.network.swarm import Swarm
from libp2p.peer.id import ID
from libp2p.protocol_muxer.multiselect_client import MultiselectClient
from libp2p.protocol_muxer.multiselect_communicator import MultiselectCommunicator
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE_ID
from libp2p.security.noise.transport import Transport as NoiseTransport
from libp2p.stream_muxer.yamux.yamux import PROTOCOL_ID as YAMUX_ID
from libp2p.stream_muxer.yamux.yamux import Yamux
from libp2p.transport.exceptions import OpenConnectionError, SecurityUpgradeFailure
from libp2p.transport.upgrader import TransportUpgrader
from multiaddr import Multiaddr  # type: ignore[import-untyped]

from overlay import _libp2p_hardening as hardening
from overlay._libp2p_addresses import bare, parse
from overlay._libp2p_quic import QuicLink, UdpAddress, quic_multiaddr
from overlay._libp2p_quic_socket import QuicTransport
from overlay.addresses import is_quic
from overlay.cleanup import shielded
from overlay.dht.wire import MessageReader
from overlay.errors import LocalProtocolError, RemoteProtocolError
from overlay.ids import PeerId
from overlay.reach.autonat2_wire import BACK_BYTES_MAX, BACK_PROTOCOL, encode_back, was_taken
from overlay.reach.dialback import Reply
from overlay.reach.mapping import Mappings

logger = logging.getLogger(__name__)

OBSERVERS_MAX: Final = 64
CLOSE_S: Final = 1.0


class Observations:
    """Where peers say that we come from: the latest word of the latest peers.

    It stands where upstream (0.8.1) keeps its own manager, which would announce the
    addresses that others claim to see.
    """

    def __init__(self) -> None:
        self._seen: OrderedDict[Hashable, str] = OrderedDict()
        self._mapped: OrderedDict[Hashable, str] = OrderedDict()
        self.shows_our_port: Callable[[Any], bool] = lambda _connection: False
        """Says of a connection whether our end of it is the port that we listen on."""

    def all(self) -> tuple[str, ...]:
        """Return the multiaddrs, one for each peer."""
        return tuple(self._seen.values())

    def by(self, peer: str) -> str:
        """Return what one peer said, "" if nothing."""
        return self._seen.get(peer, "")

    def mapped(self) -> tuple[str, ...]:
        """Return where others see the ports that we listen on, what most say first."""
        return tuple(each for each, _ in Counter(self._mapped.values()).most_common())

    def record_observation(self, connection: Any, observed: Multiaddr, _own: object) -> None:
        """Keep what one peer said; upstream calls it for direct connections."""
        peer = str(connection.muxed_conn.peer_id)
        address = str(bare(observed))  # js-libp2p names us in it
        _keep(self._seen, peer, address)
        if is_quic(address) is isinstance(connection.muxed_conn, QuicLink) and (
            self.shows_our_port(connection)
        ):
            _keep(self._mapped, (peer, is_quic(address)), address)

    def remove_conn(self, connection: Any) -> None:
        """Forget nothing: we come from there even when a peer has left."""

    def addrs(self) -> list[Multiaddr]:
        """Announce nothing that others claim."""
        return []

    def get_nat_type(self) -> tuple[NATDeviceType, NATDeviceType]:
        """Leave the question to `overlay.reach`."""
        return (NATDeviceType.UNKNOWN, NATDeviceType.UNKNOWN)


def _keep(seen: OrderedDict[Hashable, str], key: Hashable, observed: str) -> None:
    seen[key] = observed
    seen.move_to_end(key)
    if len(seen) > OBSERVERS_MAX:
        seen.popitem(last=False)


def observe(host: BasicHost) -> Observations:
    """Collect what identify says about us, for as long as *host* runs."""
    observations = Observations()
    hardening.replace_attribute(host, "_observed_addr_manager", observations)
    return observations


def see_nobody_through_relays(host: BasicHost) -> None:
    """Tell who comes through a relay nothing about where it comes from: we do not know.

    Upstream (0.8.1) tells it the relay's address, or a circuit without an IP address; js-libp2p
    (3.3.11) fails on that, without a word: then it knows none of our protocols, and never asks us
    for a hole. To drop: without this, js-libp2p asks in `test_holes`.
    """
    hardening.replace_attribute(identify, "_prefer_circuit_addr", lambda _host, _peer, seen: seen)
    answer = host.get_mux().handlers[identify.ID]
    if answer is None:
        raise LocalProtocolError("libp2p's identify has no handler")

    async def handle(stream: Any) -> None:
        if hardening.is_relayed(stream.muxed_conn):
            hardening.replace_attribute(stream, "get_remote_address", lambda: None)
        await answer(stream)

    host.set_stream_handler(identify.ID, handle)


@functools.cache
def see_who_comes_by_quic() -> None:
    """Tell who comes by QUIC at which UDP port we see it.

    Upstream (0.8.1) says that it is a TCP port. To drop: without this, `test_libp2p_quic` finds
    where peers see the port.
    """
    original = identify._remote_address_to_multiaddr

    def as_multiaddr(remote: tuple[str, int] | None) -> Multiaddr | None:
        return quic_multiaddr(remote) if isinstance(remote, UdpAddress) else original(remote)

    hardening.replace_attribute(identify, "_remote_address_to_multiaddr", as_multiaddr)


def announce(host: BasicHost, mappings: Mappings) -> None:
    """Tell others the addresses at which a router lets them in, besides the others."""
    own, end = host.get_addrs, f"/p2p/{host.get_id()}"

    def addresses() -> list[Multiaddr]:
        direct = own()
        mapped = (parse(f"{each}{end}") for each in mappings.addresses)
        return [*direct, *(each for each in mapped if each not in direct)]

    hardening.replace_attribute(host, "get_addrs", addresses)


def ways(swarm: Swarm, peer_id: PeerId) -> tuple[str, ...]:
    """Return one multiaddr for each connection to a peer; those through relays name the relay."""
    found = hardening.live_connections(swarm, ID.from_string(peer_id))
    return tuple(next((str(a) for a in each.get_transport_addresses()), "") for each in found)


def where(swarm: Swarm, peer_id: PeerId) -> str:
    """Return the multiaddr that a connected peer comes from, "" if only through a relay."""
    for connection in hardening.live_connections(swarm, ID.from_string(peer_id)):
        if not hardening.is_relayed(connection):
            return next((str(each) for each in connection.get_transport_addresses()), "")
    return ""


async def dial_back(swarm: Swarm, peer_id: PeerId, address: str, nonce: int | None = None) -> Reply:
    """Dial *peer_id* at *address* once, up to the proof of its id; nothing stays open.

    A *nonce* is then said there by AutoNAT v2. We dial from any port, under an id for this dial
    only: a second connection between the same two would disturb the first one.
    """
    target, expected = parse(address), ID.from_string(peer_id)
    transport: Any = swarm.transport_manager.transport_for_dialing(target)
    if transport is None:
        return Reply.UNKNOWN
    if isinstance(transport, QuicTransport):
        return await _dial_back_by_quic(transport.stranger(), f"{address}/p2p/{peer_id}", nonce)
    try:
        raw = await transport.dial(target)
    except Exception as error:  # noqa: BLE001  (whatever keeps us from connecting)
        logger.debug("dialing back %s: %r", address, error)
        return Reply.SILENT
    upgrader, reply = _passing_upgrader(), Reply.SILENT
    try:
        secured = await upgrader.upgrade_security(raw, True, expected)
        reply = Reply.REACHED
        if nonce is not None:
            reply = Reply.ANOTHER
            muxed = await upgrader.upgrade_connection(secured, expected)
            if await _say_back(muxed, nonce):
                reply = Reply.REACHED
    except SecurityUpgradeFailure as error:
        logger.debug("somebody else at %s: %r", address, error)
        reply = Reply.ANOTHER
    except Exception as error:  # noqa: BLE001  (a stranger's handshake fails in any way)
        logger.debug("dialing back %s: %r", address, error)
    finally:
        with shielded(CLOSE_S):
            await _close(raw)
    return reply


async def _dial_back_by_quic(stranger: QuicTransport, address: str, nonce: int | None) -> Reply:
    reply = Reply.SILENT
    async with trio.open_nursery() as nursery:
        stranger.set_background_nursery(nursery)
        try:
            link = await stranger.dial(parse(address))
            reply = Reply.REACHED if nonce is None else Reply.ANOTHER
            if nonce is not None and await _say_back(link, nonce):
                reply = Reply.REACHED
        except OpenConnectionError as error:
            logger.debug("dialing back: %r", error)
            if isinstance(error.__cause__, RemoteProtocolError):
                reply = Reply.ANOTHER
        except Exception as error:  # noqa: BLE001  (a stranger's stream fails in any way)
            logger.debug("dialing back %s: %r", address, error)
        finally:
            await stranger.close()
    return reply


def _passing_upgrader() -> TransportUpgrader:
    key_pair = create_new_key_pair()
    noise = NoiseTransport(key_pair, noise_privkey=create_x25519_key_pair().private_key)
    return TransportUpgrader({NOISE_ID: noise}, {TProtocol(YAMUX_ID): Yamux})


async def _say_back(muxed: Any, nonce: int) -> bool:
    """Say *nonce* on a stream of a fresh connection; return whether it was taken."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(muxed.start)
        await muxed.event_started.wait()
        stream = await muxed.open_stream()
        await MultiselectClient().select_one_of(
            [TProtocol(BACK_PROTOCOL)], MultiselectCommunicator(stream)
        )
        await stream.write(encode_back(nonce))
        reader = MessageReader(BACK_BYTES_MAX)
        while (answer := reader.next_message()) is None:
            reader.feed(await stream.read(BACK_BYTES_MAX))
        await stream.close()
        nursery.cancel_scope.cancel()
    return was_taken(answer)


async def _close(raw: Any) -> None:
    try:
        await raw.close()
    except (OSError, trio.BrokenResourceError) as error:
        logger.debug("closing a dial back: %r", error)
