"""What others see of us, by identify; and dialing a peer back, on libp2p."""
# ruff: noqa: ANN401, TID251  (the border to libp2p: its privates, its loose types)

import logging
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any, Final

import trio
from libp2p.host.basic_host import BasicHost
from libp2p.host.observed_addr_manager import NATDeviceType
from libp2p.network.swarm import Swarm
from libp2p.peer.id import ID
from libp2p.transport.exceptions import SecurityUpgradeFailure
from multiaddr import Multiaddr  # type: ignore[import-untyped]

from overlay import _libp2p_hardening as hardening
from overlay._libp2p_addresses import bare, parse
from overlay.cleanup import shielded
from overlay.ids import PeerId
from overlay.reach.dialback import Reply
from overlay.reach.mapping import PortMapper

logger = logging.getLogger(__name__)

OBSERVERS_MAX: Final = 64
CLOSE_S: Final = 1.0


class Observations:
    """Where peers say that we come from: the latest word of the latest peers.

    It stands where upstream (0.8.1) keeps its own manager, which would announce the
    addresses that others claim to see.
    """

    def __init__(self) -> None:
        self._seen: OrderedDict[str, str] = OrderedDict()
        self._mapped: OrderedDict[str, str] = OrderedDict()
        self.shows_our_port: Callable[[Any], bool] = lambda _connection: False
        """Says of a connection whether our end of it is the port that we listen on."""

    def all(self) -> tuple[str, ...]:
        """Return the multiaddrs, one for each peer."""
        return tuple(self._seen.values())

    def by(self, peer: str) -> str:
        """Return what one peer said, "" if nothing."""
        return self._seen.get(peer, "")

    def mapped(self) -> tuple[str, ...]:
        """Return where others see the port that we listen on, what most say first."""
        return tuple(each for each, _ in Counter(self._mapped.values()).most_common())

    def record_observation(self, connection: Any, observed: Multiaddr, _own: object) -> None:
        """Keep what one peer said; upstream calls it for direct connections."""
        peer = str(connection.muxed_conn.peer_id)
        address = str(bare(observed))  # js-libp2p names us in it
        _keep(self._seen, peer, address)
        if self.shows_our_port(connection):
            _keep(self._mapped, peer, address)

    def remove_conn(self, connection: Any) -> None:
        """Forget nothing: we come from there even when a peer has left."""

    def addrs(self) -> list[Multiaddr]:
        """Announce nothing that others claim."""
        return []

    def get_nat_type(self) -> tuple[NATDeviceType, NATDeviceType]:
        """Leave the question to `overlay.reach`."""
        return (NATDeviceType.UNKNOWN, NATDeviceType.UNKNOWN)


def _keep(seen: OrderedDict[str, str], peer: str, observed: str) -> None:
    seen[peer] = observed
    seen.move_to_end(peer)
    if len(seen) > OBSERVERS_MAX:
        seen.popitem(last=False)


def observe(host: BasicHost) -> Observations:
    """Collect what identify says about us, for as long as *host* runs."""
    observations = Observations()
    hardening.replace_attribute(host, "_observed_addr_manager", observations)
    return observations


def announce(host: BasicHost, mapper: PortMapper) -> None:
    """Tell others the addresses at which a router forwards our port, besides the others."""
    own, end = host.get_addrs, f"/p2p/{host.get_id()}"
    hardening.replace_attribute(
        host, "get_addrs", lambda: [*own(), *(parse(f"{each}{end}") for each in mapper.addresses)]
    )


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


async def dial_back(swarm: Swarm, peer_id: PeerId, address: str) -> Reply:
    """Dial *peer_id* at *address* once, up to the proof of its id; nothing stays open."""
    target = parse(address)
    transport: Any = swarm.transport_manager.transport_for_dialing(target)
    if transport is None:
        return Reply.UNKNOWN
    try:
        raw = await transport.dial(target)
    except Exception as error:  # noqa: BLE001  (whatever keeps us from connecting)
        logger.debug("dialing back %s: %r", address, error)
        return Reply.SILENT
    try:
        await swarm.upgrader.upgrade_security(raw, True, ID.from_string(peer_id))
    except SecurityUpgradeFailure as error:
        logger.debug("somebody else at %s: %r", address, error)
        return Reply.ANOTHER
    except Exception as error:  # noqa: BLE001  (a stranger's handshake fails in any way)
        logger.debug("dialing back %s: %r", address, error)
        return Reply.SILENT
    else:
        return Reply.REACHED
    finally:
        with shielded(CLOSE_S):
            await _close(raw)


async def _close(raw: Any) -> None:
    try:
        await raw.close()
    except (OSError, trio.BrokenResourceError) as error:
        logger.debug("closing a dial back: %r", error)
