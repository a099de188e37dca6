"""Circuit relay v2 on libp2p: circuits become connections of the swarm, at both ends.

Upstream's relay (0.8.1) is not used: its host cannot dial a circuit address, does not
announce one, and strips the relay out of it (`BasicHost.get_addrs`); reservations are
not renewed by themselves. Only its swarm and its upgrader are.
"""
# ruff: noqa: SLF001, TID251  (the border to libp2p: its privates, its loose types)

import logging
import math
import random
from collections.abc import Awaitable, Callable, Collection
from typing import Any, Final

import trio
from libp2p.abc import INetConn
from libp2p.connection_types import ConnectionType
from libp2p.host.basic_host import BasicHost
from libp2p.identity.identify_push.identify_push import push_identify_to_peers
from libp2p.io.abc import ReadWriteCloser
from libp2p.io.exceptions import IOException
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.network.swarm import Swarm
from libp2p.peer.id import ID
from multiaddr import Multiaddr  # type: ignore[import-untyped]

from overlay import _libp2p_hardening as hardening
from overlay._libp2p_addresses import bare, parse
from overlay.addresses import is_circuit, prefix_of, relay_of
from overlay.cleanup import shielded
from overlay.dht.records import provider_key
from overlay.driver import ByteStream
from overlay.errors import OverlayError, PeerUnavailable
from overlay.ids import PeerId, short
from overlay.limits.turnstile import Newcomer, Turnstile
from overlay.relay import client
from overlay.relay.circuit import Circuit
from overlay.relay.core import RelayConfig
from overlay.relay.server import RelayServer
from overlay.relay.wire import HOP_PROTOCOL
from overlay.transport import PeerAddress

logger = logging.getLogger(__name__)

AUTO: Final = "auto"
"""Among the configured relays: take some that the DHT knows."""
AUTO_MAX: Final = 2
AUTO_FAILURES_MAX: Final = 3
AUTO_S: Final = 0.5
"""How often we look for relays in the DHT while we have too few; ever more seldom in vain."""
AUTO_S_MAX: Final = 60.0
CONNECTED_POLL_S: Final = 0.25
FAILED_MAX: Final = 64
RELAY_KEY: Final = provider_key(b"cocoon/relay/1")
"""Where relays say in the DHT that they are relays."""
RENEW_S: Final = 600.0
"""We renew a reservation this long after we got it, or at half of its life."""
RETRY_S: Final = (1.0, 5.0, 15.0, 30.0)
WATCH_S: Final = 2.0
"""How often we look whether the connection to a relay still lives."""
ASK_S: Final = 20.0
OFFER_S: Final = 1800.0
CLOSE_S: Final = 1.0
_READ_BYTES: Final = 64 * 1024


class CircuitSocket(ReadWriteCloser):
    """A circuit where libp2p expects a socket.

    Args:
        relay_address: the relay's.
        newcomer: has what comes first wait for its turns; None if we dialed.
    """

    def __init__(
        self,
        circuit: Circuit,
        relay_address: tuple[str, int] | None,
        newcomer: Newcomer | None,
    ) -> None:
        self._circuit = circuit
        self._relay_address = relay_address
        self._newcomer = newcomer

    async def read(self, n: int | None = None) -> bytes:
        """Return 1 to *n* bytes, b"" at the end."""
        try:
            data = await self._circuit.read(n or _READ_BYTES)
        except OverlayError as error:
            raise IOException(str(error)) from error
        if self._newcomer is not None:
            await self._newcomer.turn()
        return data

    async def write(self, data: bytes) -> None:
        """Send all of *data*."""
        try:
            await self._circuit.write(data)
        except OverlayError as error:
            raise IOException(str(error)) from error

    async def close(self) -> None:
        """End the circuit."""
        with shielded(CLOSE_S):
            await self._circuit.finish()
            await self._circuit.reset()

    def get_remote_address(self) -> tuple[str, int] | None:
        """Return the relay's: limits count whoever comes through it with its prefix."""
        return self._relay_address


class Relaying:
    """What one host has to do with relays, in both roles.

    Args:
        relays: full addresses of relays to be reached through, `AUTO` among them for some
            of the DHT's.
        offer: what we give to others as a relay; None for nothing.
        open_stream: opens a stream on an existing connection to a peer.
        connect: dials a peer and introduces us.
        find: returns who provides a key of the DHT; *provide* says that we do.
        source_for: says from which port to dial an address.
        turnstile: where those wait that a relay brings.
    """

    def __init__(
        self,
        host: BasicHost,
        swarm: Swarm,
        relays: tuple[str, ...],
        offer: RelayConfig | None,
        *,
        open_stream: Callable[[ID, str], Awaitable[ByteStream]],
        connect: Callable[[PeerAddress], Awaitable[None]],
        find: Callable[[str, int], Awaitable[list[PeerAddress]]],
        provide: Callable[[str], Awaitable[int]],
        source_for: hardening.SourceFor,
        turnstile: Turnstile,
        clock: Callable[[], float],
        rng: random.Random,
    ) -> None:
        self._host = host
        self._swarm = swarm
        self._relays = relays
        self._open_stream = open_stream
        self._connect = connect
        self._find = find
        self._provide = provide
        self._source_for = source_for
        self._turnstile = turnstile
        self._clock = clock
        self._rng = rng
        self._held: dict[PeerId, str] = {}
        self.changed: Callable[[], None] = lambda: None
        """Called when the addresses that lead through relays changed."""
        self.server: RelayServer | None = None
        if offer is not None:
            self.server = RelayServer(
                offer, self._open_by_id, self._where, self._direct_addresses, clock=clock
            )
        replace = hardening.replace_attribute
        own_addresses = host.get_addrs
        self._direct = own_addresses
        replace(host, "get_addrs", lambda: own_addresses() + self._circuit_addresses())

    def spares(self, peer_id: PeerId) -> bool:
        """Return whether a connection to *peer_id* is needed: a relay's, or a relayed one's."""
        return peer_id in self._held or (self.server is not None and peer_id in self.server.core)

    async def run(self) -> None:
        """Hold reservations, and offer our own service, until cancelled."""
        async with trio.open_nursery() as nursery:
            for relay in self._relays:
                if relay != AUTO:
                    nursery.start_soon(self._hold, relay)
            if AUTO in self._relays:
                nursery.start_soon(self._find_forever, nursery)
            if self.server is not None:
                nursery.start_soon(self._offer_forever)

    async def dial(self, address: Multiaddr, peer_id: ID) -> INetConn:
        """Connect to *peer_id* through the relay that *address* names.

        Raises:
            Exception: of libp2p or of the overlay; the caller tries other addresses.
        """
        relay = parse(relay_of(str(address)))
        relay_id = ID.from_string(relay.value_for_protocol("p2p"))
        if relay_id in (peer_id, self._host.get_id()):
            raise PeerUnavailable("an address that leads through ourselves, or nowhere")
        if not hardening.live_connections(self._swarm, relay_id):
            source = self._source_for(str(bare(relay)))
            await self._swarm._dial_addr_single_attempt(relay, relay_id, source)
        raw = await self._open_stream(relay_id, HOP_PROTOCOL)
        circuit = await client.dial(raw, PeerId(peer_id.to_base58()))
        return await self._swarm.upgrade_outbound_raw_conn(
            self._as_connection(circuit, relay_id, None), peer_id
        )

    async def serve_stop(self, raw: ByteStream) -> None:
        """Take a circuit that a relay of ours brings; lasts as long as the circuit."""
        try:
            circuit = await client.accept(raw, expected=raw.peer_id in self._held)
        except OverlayError as error:
            logger.debug("no circuit from %s: %r", short(raw.peer_id), error)
            with shielded(CLOSE_S):
                await raw.reset()
            return
        if circuit is not None:
            relay_id = ID.from_string(raw.peer_id)
            newcomer = Newcomer(self._turnstile, raw.peer_id, circuit.peer_id)
            connection = self._as_connection(circuit, relay_id, newcomer)
            await self._swarm._do_handle_inbound_connection(
                connection,
                Multiaddr(f"/p2p/{raw.peer_id}/p2p-circuit"),
                None,  # type: ignore[arg-type]
            )

    def _as_connection(
        self, circuit: Circuit, relay_id: ID, newcomer: Newcomer | None
    ) -> RawConnection:
        live = hardening.live_connections(self._swarm, relay_id)
        muxed: list[Any] = [each.muxed_conn for each in live]
        remote = next((each.get_remote_address() for each in muxed), None)
        route = Multiaddr(f"/p2p/{relay_id}/p2p-circuit")
        socket = CircuitSocket(circuit, remote, newcomer)
        return RawConnection(socket, newcomer is None, ConnectionType.RELAYED, [route])

    # -- being relayed --

    async def _hold(self, relay: str, failures_max: float = math.inf) -> None:
        """Hold a reservation at *relay* until it failed *failures_max* times in a row."""
        bare, _, name = relay.rpartition("/p2p/")
        failures = 0
        while failures < failures_max:
            try:
                with trio.fail_after(ASK_S):
                    expires = await self._reserve(PeerAddress(PeerId(name), (bare,)))
            except (OverlayError, trio.TooSlowError) as error:
                delay_s = RETRY_S[min(failures, len(RETRY_S) - 1)]
                log = logger.debug if failures else logger.warning
                log("no place at the relay %s, trying again: %s", short(name), error)
                failures += 1
                self._lose(PeerId(name))
                await trio.sleep(delay_s * self._rng.uniform(0.8, 1.2))
                continue
            failures = 0
            self._gain(PeerId(name), relay)
            await self._until_due(PeerId(name), expires)

    async def _reserve(self, relay: PeerAddress) -> float:
        relay_id = ID.from_string(relay.peer_id)
        if not hardening.live_connections(self._swarm, relay_id):
            await self._connect(relay)
        return await client.reserve(await self._open_stream(relay_id, HOP_PROTOCOL))

    async def _until_due(self, relay: PeerId, expires_at_unix_s: float) -> None:
        """Wait until the reservation should be renewed, or its connection is gone."""
        left_s = max(0.0, expires_at_unix_s - self._clock())
        with trio.move_on_after(min(RENEW_S, max(1.0, left_s / 2))):
            while True:
                await trio.sleep(WATCH_S)
                if not hardening.live_connections(self._swarm, ID.from_string(relay)):
                    return

    def _gain(self, relay_id: PeerId, relay: str) -> None:
        if relay_id not in self._held:
            logger.info("others reach us through the relay %s", short(relay_id))
            self._held[relay_id] = relay
            self.changed()

    def _lose(self, relay_id: PeerId) -> None:
        if self._held.pop(relay_id, None):
            logger.warning("we lost the relay %s", short(relay_id))
            self.changed()

    async def tell_neighbours(self) -> None:
        """Push our new addresses to the peers that we are connected to."""
        with trio.move_on_after(ASK_S):
            await push_identify_to_peers(self._host)

    async def _find_forever(self, nursery: trio.Nursery) -> None:
        """Hold places at up to `AUTO_MAX` relays of the DHT; give up those that fail."""
        trying: dict[PeerId, None] = {}
        failed: dict[PeerId, None] = {}

        async def hold(relay: PeerAddress) -> None:
            await self._hold(f"{relay.addresses[0]}/p2p/{relay.peer_id}", AUTO_FAILURES_MAX)
            del trying[relay.peer_id]
            failed[relay.peer_id] = None
            if len(failed) > FAILED_MAX:  # an old failure may be mended by now
                del failed[next(iter(failed))]

        delay_s = AUTO_S
        await self._until_connected()
        while True:
            if len(trying) < AUTO_MAX:
                found = await self._candidates({*trying, *failed})
                for relay in found[: AUTO_MAX - len(trying)]:
                    trying[relay.peer_id] = None
                    nursery.start_soon(hold, relay)
                if not found:
                    failed.clear()
                delay_s = AUTO_S if found else min(2 * delay_s, AUTO_S_MAX)
            await trio.sleep(delay_s * self._rng.uniform(0.8, 1.2))

    async def _until_connected(self) -> None:
        while True:
            if self._swarm.connections:
                return
            await trio.sleep(CONNECTED_POLL_S)

    async def _candidates(self, without: Collection[PeerId]) -> list[PeerAddress]:
        """Return relays that the DHT names, in random order."""
        try:
            found = await self._find(RELAY_KEY, 20)
        except OverlayError as error:
            logger.debug("looking for relays: %r", error)
            return []
        own = PeerId(self._host.get_id().to_base58())
        fresh = [
            PeerAddress(each.peer_id, direct)
            for each in found
            if each.peer_id not in without and each.peer_id != own
            and (direct := tuple(a for a in each.addresses if not is_circuit(a)))
        ]  # fmt: skip
        return self._rng.sample(fresh, len(fresh))

    # -- being a relay --

    async def _offer_forever(self) -> None:
        delay_s = AUTO_S
        while True:
            await self._until_connected()
            taken = 0
            try:
                taken = await self._provide(RELAY_KEY)
            except OverlayError as error:
                logger.debug("offering to relay: %r", error)
            delay_s = OFFER_S if taken else min(2 * delay_s, AUTO_S_MAX)
            await trio.sleep(delay_s)

    async def _open_by_id(self, peer_id: PeerId, protocol: str) -> ByteStream:
        return await self._open_stream(ID.from_string(peer_id), protocol)

    def _where(self, peer_id: PeerId) -> str | None:
        live = hardening.live_connections(self._swarm, ID.from_string(peer_id))
        for connection in live:
            if not hardening.is_relayed(connection):
                return prefix_of(hardening.remote_ip(connection.muxed_conn))
        return None

    def _direct_addresses(self) -> tuple[str, ...]:
        return tuple(str(each) for each in self._direct())

    def _circuit_addresses(self) -> list[Multiaddr]:
        own = self._host.get_id()
        return [
            parse(f"{client.circuit_address(relay)}/p2p/{own}") for relay in self._held.values()
        ]
