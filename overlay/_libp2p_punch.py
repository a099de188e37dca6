"""Hole punching on libp2p: dials that both sides share, and leaving the relay afterwards.

Upstream's DCUtR (0.8.1) is not used: it needs upstream's relay, which is not used either
(`overlay._libp2p_relay`), and it dials whatever addresses the other side names.
"""
# ruff: noqa: SLF001, TID251  (the border to libp2p: its privates, its loose types)

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import trio
from libp2p.abc import INetConn, INetStream, INetwork, INotifee
from libp2p.network.swarm import Swarm
from libp2p.peer.id import ID
from libp2p.rcmgr import Direction
from multiaddr import Multiaddr  # type: ignore[import-untyped]

from overlay import _libp2p_hardening as hardening
from overlay._libp2p_addresses import parse
from overlay._libp2p_dial import ListeningPort
from overlay._libp2p_quic_socket import QuicTransport
from overlay.addresses import is_quic
from overlay.cleanup import shielded
from overlay.driver import ByteStream
from overlay.errors import PeerUnavailable
from overlay.ids import PeerId, short
from overlay.reach.punch import Dial, Role, own_candidates, worth_dialing
from overlay.reach.punching import Puncher

logger = logging.getLogger(__name__)

CONNECTED_POLL_S: Final = 0.05
QUIC_AFTER_S: Final = 2.0
"""So much time has TCP, which carries more, to be there first; its second SYN comes after one."""
IDENTIFY_S: Final = 2.0
"""How long a peer may take to say where it is."""
KNOWN_S: Final = 4.0
"""Patience with the addresses that a peer announces; one that answers does so much sooner."""
LEAVE_POLL_S: Final = 1.0
LEAVE_GRACE_S: Final = 2.0
"""The other side may be about to use the relayed connection once more."""
LEAVE_S_MAX: Final = 3600.0
"""Streams that live longer keep the relayed connection, until the relay cuts it."""
CLOSE_S: Final = 1.0
QUEUED_MAX: Final = 64


class Punching:
    """What one host has to do with holes.

    Args:
        swarm: of our host.
        port: dials from the port that we listen on.
        mapped: returns where others see that port.
        seen: returns all multiaddrs that others see us at.
        announced: returns our own addresses.
        open_stream: opens a stream on an existing connection.
        busy: says of a connection whether a job runs on it.
        move: takes the gossip with a peer to its best connection.
    """

    def __init__(
        self,
        swarm: Swarm,
        port: ListeningPort,
        *,
        mapped: Callable[[], Sequence[str]],
        seen: Callable[[], Sequence[str]],
        announced: Callable[[], Sequence[str]],
        open_stream: Callable[[ID, str], Awaitable[ByteStream]],
        busy: Callable[[Any], bool],
        move: Callable[[ID], None],
    ) -> None:
        self._swarm, self._port, self._busy, self._move = swarm, port, busy, move
        self._mapped, self._announced = mapped, announced
        self._open_stream = open_stream
        self.puncher = Puncher(self._own, seen, self._open_by_id, self._dial, self._dial_known)
        arrived, self._arrivals = trio.open_memory_channel[ID](QUEUED_MAX)
        self._nursery: trio.Nursery | None = None
        swarm.register_notifee(_Arrivals(arrived))

    async def run(self) -> None:
        """Make direct what comes in through relays, until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            async for peer_id in self._arrivals:
                nursery.start_soon(self._upgrade, PeerId(peer_id.to_base58()))

    async def serve(self, raw: ByteStream) -> None:
        """Answer one stream of the protocol."""
        if self._relayed(raw.peer_id):
            await self.puncher.serve(raw)
            if self._direct(raw.peer_id) and self._nursery is not None:
                self._nursery.start_soon(self._leave_relays, raw.peer_id)
            return
        with shielded(CLOSE_S):
            await raw.reset()

    async def _upgrade(self, peer_id: PeerId) -> None:
        if self._direct(peer_id) or await self.puncher.upgrade(peer_id):
            await self._leave_relays(peer_id)

    # -- what the puncher is given --

    def _own(self) -> tuple[str, ...]:
        direct = [each.rpartition("/p2p/")[0] for each in self._announced()]
        return own_candidates(self._mapped(), direct)

    async def _open_by_id(self, peer_id: PeerId, protocol: str) -> ByteStream:
        return await self._open_stream(ID.from_string(peer_id), protocol)

    async def _dial(self, peer_id: PeerId, dial: Dial) -> None:
        attempt = self._as_client if dial.role is Role.CLIENT else self._as_server
        async with trio.open_nursery() as nursery:
            for each in dial.addresses:
                nursery.start_soon(attempt, peer_id, each)
            await self._until_direct(peer_id)
            nursery.cancel_scope.cancel()

    async def _dial_known(self, peer_id: PeerId) -> None:
        """Dial the public addresses that the peer announces: it may not be behind a NAT."""
        target = ID.from_string(peer_id)
        with trio.move_on_after(IDENTIFY_S):
            while not (known := hardening.known_addresses(self._swarm, target)):  # noqa: ASYNC110
                await trio.sleep(CONNECTED_POLL_S)
        addresses = worth_dialing([str(each).partition("/p2p/")[0] for each in known], ())
        if not addresses:
            raise PeerUnavailable("it announces no public address")
        with trio.move_on_after(KNOWN_S):
            async with trio.open_nursery() as nursery:
                for each in addresses:
                    nursery.start_soon(self._as_client, peer_id, each)
        if not self._direct(peer_id):
            raise PeerUnavailable("no address answered")

    async def _until_direct(self, peer_id: PeerId) -> None:
        while not self._direct(peer_id):  # noqa: ASYNC110  (in either direction, by any task)
            await trio.sleep(CONNECTED_POLL_S)

    async def _as_client(self, peer_id: PeerId, address: str) -> None:
        if is_quic(address):
            await trio.sleep(QUIC_AFTER_S)
        source = self._port.source_for(address)
        try:
            await self._swarm._dial_addr_single_attempt(
                parse(address), ID.from_string(peer_id), source
            )
        except Exception as error:  # noqa: BLE001  (any failure: another address may do)
            logger.debug("punching to %s: %r", address, error)

    async def _as_server(self, peer_id: PeerId, address: str) -> None:
        """Dial, and then behave as if we had been dialed; who it is, the handshake tells."""
        if is_quic(address):
            await self._open_nat(address)
        source = self._port.source_for(address)
        if source is None or self._nursery is None:
            return
        try:
            raw = await self._port.dial(address, source)
        except OSError as error:
            logger.debug("punching to %s: %r", address, error)
            return
        handle: Any = self._swarm._do_handle_inbound_connection
        self._nursery.start_soon(handle, raw.stream, parse(address), None)
        try:
            await trio.sleep_forever()  # the handshake goes on; `_until_direct` sees its end
        finally:
            if not self._direct(peer_id):  # else the pair of ports stays taken
                with shielded(CLOSE_S):
                    await raw.close()

    async def _open_nat(self, address: str) -> None:
        """Have our NAT let in what comes by QUIC from *address*, until cancelled."""
        transport = self._swarm.transport_manager.transport_for_dialing(parse(address))
        if isinstance(transport, QuicTransport):
            await transport.open_nat(parse(address))

    # -- leaving the relay --

    def _direct(self, peer_id: PeerId) -> bool:
        return any(not hardening.is_relayed(each) for each in self._connections(peer_id))

    def _relayed(self, peer_id: PeerId) -> list[INetConn]:
        return [each for each in self._connections(peer_id) if hardening.is_relayed(each)]

    def _connections(self, peer_id: PeerId) -> list[INetConn]:
        return hardening.live_connections(self._swarm, ID.from_string(peer_id))

    async def _leave_relays(self, peer_id: PeerId) -> None:
        """Close the relayed connections to *peer_id* once no job runs on them."""
        with trio.move_on_after(LEAVE_S_MAX):
            self._move(ID.from_string(peer_id))
            await trio.sleep(LEAVE_GRACE_S)
            while relayed := self._relayed(peer_id):
                for each in relayed:
                    if self._direct(peer_id) and not self._busy(each):
                        logger.debug("leaving the relay to %s", short(peer_id))
                        with shielded(CLOSE_S):
                            await each.close()
                await trio.sleep(LEAVE_POLL_S)


class _Arrivals(INotifee):
    """Tells of peers that reach us through a relay."""

    def __init__(self, arrived: trio.MemorySendChannel[ID]) -> None:
        self._arrived = arrived

    async def connected(self, network: INetwork, conn: INetConn) -> None:
        """Note a connection; a full queue loses it: then it stays relayed."""
        del network
        if getattr(conn, "direction", None) is Direction.INBOUND and hardening.is_relayed(conn):
            try:
                self._arrived.send_nowait(conn.muxed_conn.peer_id)
            except (trio.WouldBlock, trio.BrokenResourceError):
                logger.debug("too many relayed connections at once to punch for all")

    async def disconnected(self, network: INetwork, conn: INetConn) -> None:
        """Nothing, like all the following."""

    async def opened_stream(self, network: INetwork, stream: INetStream) -> None:
        """Nothing."""

    async def closed_stream(self, network: INetwork, stream: INetStream) -> None:
        """Nothing."""

    async def listen(self, network: INetwork, multiaddr: Multiaddr) -> None:
        """Nothing."""

    async def listen_close(self, network: INetwork, multiaddr: Multiaddr) -> None:
        """Nothing."""
