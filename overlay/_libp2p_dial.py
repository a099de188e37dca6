"""Dialing from the port that we listen on, so that a NAT gives both the same way in.

Source: libp2p specs, connections/hole-punching.md: what a peer observes of such a connection
is where the listening port is mapped to.
"""
# ruff: noqa: ANN401, TID251  (the border to libp2p: its privates, its loose types)

import errno
import logging
import socket
from collections import OrderedDict
from typing import Any, Final

import trio
from libp2p.io.trio import TrioTCPStream
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.network.swarm import Swarm
from libp2p.rcmgr import Direction
from libp2p.transport.exceptions import OpenConnectionError
from libp2p.transport.tcp.tcp import TCP
from multiaddr import Multiaddr  # type: ignore[import-untyped]

from overlay import _libp2p_hardening as hardening
from overlay._libp2p_quic import QuicLink
from overlay.addresses import is_quic
from overlay.reach.pcp import Port, Transport
from overlay.reach.punch import direct_ip, tcp_ip
from overlay.reach.verdict import port_of

logger = logging.getLogger(__name__)

Endpoint = tuple[str, int]
REMEMBERED_MAX: Final = 512
_TAKEN: Final = (errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EINVAL, errno.ENETUNREACH)
"""The pair of ports is in use, or the listening address cannot be the source."""


class ListeningPort:
    """Dials with the listening port as the source; remembers which connections are such."""

    def __init__(self, swarm: Swarm, ledger: hardening.SocketLedger) -> None:
        self._swarm = swarm
        self._ledger = ledger
        self._dialed: OrderedDict[Endpoint, None] = OrderedDict()
        for transport in swarm.transport_manager.get_transports():
            if isinstance(transport, TCP):
                hardening.replace_attribute(transport, "dial_with_source", self._dial_or_plainly)

    def source_for(self, address: str) -> Endpoint | None:
        """Return where to dial *address* from; None for another port: to ourselves, no TCP."""
        target = tcp_ip(address)
        if target is None or target.is_loopback:
            return None
        wildcard = "0.0.0.0" if target.version == 4 else "::"  # noqa: S104  (a comparison)
        for listening in self._listening():
            ip = tcp_ip(listening)
            if ip is not None and ip.version == target.version and not ip.is_loopback:
                return (wildcard if ip.is_unspecified else str(ip), port_of(listening))
        return None

    def forwardable(self, version: int) -> tuple[Port, ...]:
        """Return the ports of IPv4 or IPv6 that we listen on, and a router could let in."""
        return tuple(
            Port(port_of(each), Transport.UDP if is_quic(each) else Transport.TCP)
            for each in self._listening()
            if (ip := direct_ip(each)) is not None and ip.version == version and not ip.is_loopback
        )

    def shows_our_port(self, connection: Any) -> bool:
        """Return whether *connection* uses the listening port at our end."""
        if connection.direction is Direction.INBOUND:
            return True
        muxed = connection.muxed_conn
        if isinstance(muxed, QuicLink):
            return muxed.is_from_listener
        return muxed.get_remote_address() in self._dialed

    async def dial(self, address: str, source: Endpoint) -> RawConnection:
        """Dial *address* from *source*, or not at all.

        Raises:
            OSError: nobody answers, or the pair of ports is in use.
        """
        family = socket.AF_INET6 if ":" in source[0] else socket.AF_INET
        below = trio.socket.socket(family, socket.SOCK_STREAM)
        target = (str(tcp_ip(address)), port_of(address))
        try:
            below.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            below.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            await below.bind(source)
            await below.connect(target)
        except BaseException:
            below.close()
            raise
        self._remember(target)
        connection = RawConnection(TrioTCPStream(trio.SocketStream(below)), True)
        self._ledger.note(connection)
        return connection

    async def _dial_or_plainly(self, maddr: Multiaddr, source: Endpoint) -> Any:
        """Dial from *source* if that can be, else from any port; what libp2p calls."""
        address = str(maddr).partition("/p2p/")[0]
        try:
            return await self.dial(address, source)
        except OSError as error:
            if error.errno not in _TAKEN:
                raise OpenConnectionError(f"{address}: {error}") from error
            logger.debug("dialing %s from any port: %r", address, error)
        transport: Any = self._swarm.transport_manager.transport_for_dialing(maddr)
        return await transport.dial(maddr)

    def _remember(self, target: Endpoint) -> None:
        self._dialed[target] = None
        self._dialed.move_to_end(target)
        if len(self._dialed) > REMEMBERED_MAX:
            self._dialed.popitem(last=False)

    def _listening(self) -> list[str]:
        return [
            str(each)
            for listener in self._swarm.listeners.values()
            for each in listener.get_addrs()
        ]
