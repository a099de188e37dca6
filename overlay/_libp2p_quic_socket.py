"""UDP sockets of QUIC, and the transport of addresses that end in /quic-v1.

Source: libp2p specs, quic/README.md and addressing/README.md.
"""
# ruff: noqa: ANN401, TID251  (the border to libp2p: its loose types)

import ipaddress
import logging
import secrets
import socket
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final

import trio
from libp2p.abc import IListener, IRawConnection, ITransport
from libp2p.io.exceptions import IOException
from libp2p.transport.exceptions import OpenConnectionError
from multiaddr import Multiaddr  # type: ignore[import-untyped]

from overlay._aioquic import Address, Door, Quic, configuration, connection_id_of
from overlay._libp2p_addresses import parse
from overlay._libp2p_quic import QuicLink
from overlay.addresses import is_quic
from overlay.errors import RemoteProtocolError
from overlay.identity import Identity, generate_identity
from overlay.limits.gate import Gate
from overlay.tls_certificate import make_certificate

logger = logging.getLogger(__name__)

DATAGRAM_BYTES_MAX: Final = 65_536
BATCH: Final = 64
"""Datagrams that are read before anybody else has a turn."""
BUFFER_BYTES: Final = 4 << 20
OPEN_S: Final = 10.0
HOLE_S: Final = (0.01, 0.2)
HOLE_BYTES: Final = 32
"""Too few to be taken for the start of a connection."""
LINKS_MAX: Final = 4096
"""Ids that one socket knows; a connection has up to eight."""

IP = ipaddress.IPv4Address | ipaddress.IPv6Address
Greet = Callable[[bytes, Address, dict[str, bytes]], None]


class QuicSocket:
    """One UDP socket and the connections over it, inbound and outbound.

    Args:
        address: where to listen.
        port: 0 for any.
        greet: is called for each stranger that may come in; None to let nobody in.

    Raises:
        OSError: it cannot listen there.
    """

    def __init__(self, address: IP, port: int, greet: Greet | None = None) -> None:
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        self.ip = address
        self._socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            if family == socket.AF_INET6:
                self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            for each in (socket.SO_RCVBUF, socket.SO_SNDBUF):
                self._socket.setsockopt(socket.SOL_SOCKET, each, BUFFER_BYTES)
            self._socket.bind((str(address), port))
        except OSError:
            self._socket.close()
            raise
        self.port = int(self._socket.getsockname()[1])
        self._greet = greet
        self._door = Door()
        self._links: dict[bytes, QuicLink] = {}
        self._sleep = trio.CancelScope()
        self._life = trio.CancelScope()

    async def run(self) -> None:
        """Carry datagrams until `close`."""
        with self._life:
            while True:
                deadlines = (each.deadline_s for each in self._links.values())
                deadline_s = min(deadlines, default=float("inf"))
                with trio.CancelScope(deadline=deadline_s) as self._sleep:
                    await trio.lowlevel.wait_readable(self._socket.fileno())
                await trio.lowlevel.checkpoint()
                self._receive_batch()
                now_s = trio.current_time()
                for link in {each for each in self._links.values() if each.deadline_s <= now_s}:
                    link.handle_timer(now_s)

    def close(self) -> None:
        """End every connection, saying so, and close the socket."""
        for link in set(self._links.values()):
            link.hang_up(0)
        self._links.clear()
        self._life.cancel()
        self._socket.close()

    @property
    def listens(self) -> bool:
        """Whether strangers may come in here."""
        return self._greet is not None

    def send(self, data: bytes, address: Address) -> None:
        """Send one datagram; what the system does not take is lost, and QUIC sends it again."""
        try:
            self._socket.sendto(data, address)
        except OSError as error:
            logger.debug("a datagram to %s is lost: %r", address, error)

    def add_id(self, connection_id: bytes, link: QuicLink) -> None:
        """Hand on to *link* what is for *connection_id*."""
        self._links[connection_id] = link

    def remove_id(self, connection_id: bytes) -> None:
        """Stop that."""
        self._links.pop(connection_id, None)

    def wake_at(self, deadline_s: float) -> None:
        """Look at the timers at *deadline_s* or before."""
        self._sleep.deadline = min(self._sleep.deadline, deadline_s)

    def forget(self, link: QuicLink) -> None:
        """Hand nothing on to *link* any more."""
        self._links = {key: each for key, each in self._links.items() if each is not link}

    def _receive_batch(self) -> None:
        touched: set[QuicLink] = set()
        for _ in range(BATCH):
            try:
                data, source = self._socket.recvfrom(DATAGRAM_BYTES_MAX)
            except BlockingIOError:
                break
            except OSError as error:  # the answer to a datagram that nobody took
                logger.debug("a socket of QUIC: %r", error)
                continue
            if (link := self._link_for(data, (source[0], source[1]))) is not None:
                touched.add(link)
        for link in touched:
            link.advance()

    def _link_for(self, data: bytes, address: Address) -> QuicLink | None:
        """Hand *data* on; return whose it was, if there is something to do about it now."""
        connection_id = connection_id_of(data)
        if connection_id is None:
            return None
        link = self._links.get(connection_id)
        if link is None and self._greet is not None and len(self._links) < LINKS_MAX:
            knock = self._door.knock(data, address, trio.current_time())
            if knock.answer:
                self.send(knock.answer, address)
            if knock.accepted is not None:
                self._greet(connection_id, address, knock.accepted)
                link = self._links.get(connection_id)
        return link if link is not None and link.receive(data, address) else None


class QuicListener(IListener):
    """Listens on one address; who may stay is asked before any handshake.

    Attributes:
        background_nursery: set by the swarm before `listen`.
    """

    background_nursery: trio.Nursery

    def __init__(
        self, transport: "QuicTransport", handler: Callable[[Any], Awaitable[None]]
    ) -> None:
        self._transport = transport
        self._handler = handler
        self._socket: QuicSocket | None = None

    async def listen(self, maddr: Multiaddr) -> None:
        """Start to listen.

        Raises:
            OSError: the address is taken.
        """
        ip, port = endpoint_of(maddr)
        self._socket = QuicSocket(ip, port, self._greet)
        self._transport.sockets.append(self._socket)
        self.background_nursery.start_soon(self._socket.run)
        await trio.lowlevel.checkpoint()

    def get_addrs(self) -> tuple[Multiaddr, ...]:
        """Return where we listen."""
        if self._socket is None:
            return ()
        ip = self._socket.ip
        return (parse(f"/ip{ip.version}/{ip}/udp/{self._socket.port}/quic-v1"),)

    async def close(self) -> None:
        """Close the socket, and all connections over it."""
        if self._socket is not None:
            self._socket.close()
        await trio.lowlevel.checkpoint()

    def _greet(self, connection_id: bytes, address: Address, accepted: dict[str, bytes]) -> None:
        if self._socket is None:
            return
        link = self._transport.link(address, self._socket, **accepted)
        self._socket.add_id(connection_id, link)
        self.background_nursery.start_soon(self._handler, link)


class QuicTransport(ITransport):
    """QUIC for one host: one certificate, made at its start, for all of its connections."""

    def __init__(self, identity: Identity, gate: Gate, clock: Callable[[], float]) -> None:
        own = make_certificate(identity, clock())
        self._as_client = configuration(own, is_client=True)
        self._as_server = configuration(own, is_client=False)
        self._gate = gate
        self._clock = clock
        self._nursery: trio.Nursery | None = None
        self.sockets: list[QuicSocket] = []

    def set_background_nursery(self, nursery: trio.Nursery) -> None:
        """Run sockets of our own in *nursery*; the swarm calls it."""
        self._nursery = nursery

    def link(self, address: Address, below: QuicSocket, **accepted: bytes) -> QuicLink:
        """Return a connection that did no handshake yet, inbound if it was *accepted*."""
        settings = self._as_server if accepted else self._as_client
        make_quic = partial(Quic, configuration=settings, **accepted)
        return QuicLink(address, make_quic, below, self._gate, self._clock)

    async def dial(self, maddr: Multiaddr) -> IRawConnection:
        """Connect to *maddr*, which ends in the id of the peer.

        Raises:
            OpenConnectionError: that peer is not there.
        """
        ip, port = endpoint_of(maddr)
        try:
            link = self.link((str(ip), port), self._socket_to(ip))
        except OSError as error:
            raise OpenConnectionError(f"{maddr}: {error}") from error
        try:
            with trio.fail_after(OPEN_S):
                await link.open(maddr.value_for_protocol("p2p"))
        except (IOException, RemoteProtocolError, trio.TooSlowError) as error:
            link.hang_up(0)
            raise OpenConnectionError(f"{maddr}: {error!r}") from error
        except BaseException:
            link.hang_up(0)
            raise
        return link  # type: ignore[return-value]  # the swarm knows a muxer when it sees one

    def create_listener(self, handler_function: Any) -> QuicListener:
        """Return a listener that hands what comes to *handler_function*."""
        return QuicListener(self, handler_function)

    def can_dial(self, maddr: Multiaddr) -> bool:
        """Return whether *maddr* is one of QUIC v1."""
        return is_quic(str(maddr))

    can_listen = can_dial

    def protocols(self) -> list[str]:
        """Return the names that make an address one of ours."""
        return ["quic-v1"]

    async def close(self) -> None:
        """Close every socket."""
        for each in self.sockets:
            each.close()
        self.sockets.clear()
        await trio.lowlevel.checkpoint()

    def _socket_to(self, target: IP) -> QuicSocket:
        """Return a socket that reaches *target*: one that listens if there is one, for the NATs."""
        for each in self.sockets:
            reaches = each.ip.is_unspecified or each.ip.is_loopback == target.is_loopback
            if each.ip.version == target.version and reaches:
                return each
        if self._nursery is None:
            raise OSError("the host does not run")
        wildcard = ipaddress.ip_address("0.0.0.0" if target.version == 4 else "::")  # noqa: S104
        made = QuicSocket(wildcard, 0)
        self.sockets.append(made)
        self._nursery.start_soon(made.run)
        return made

    def stranger(self) -> "QuicTransport":
        """Return the same for one dial under an id, and from a port, of its own."""
        return QuicTransport(generate_identity(), self._gate, self._clock)

    async def open_nat(self, maddr: Multiaddr) -> None:
        """Send random bytes to *maddr* until cancelled, from where we listen, if we do.

        So the NAT before us takes what comes from there for the answer.

        Source: libp2p specs, relay/DCUtR.md, section "The Protocol".
        """
        ip, port = endpoint_of(maddr)
        below = self._socket_to(ip)
        while below.listens:
            below.send(secrets.token_bytes(HOLE_BYTES), (str(ip), port))
            await trio.sleep(HOLE_S[0] + secrets.randbelow(1000) / 1000 * (HOLE_S[1] - HOLE_S[0]))


def endpoint_of(maddr: Multiaddr) -> tuple[IP, int]:
    """Return the address and the port of a multiaddr of QUIC."""
    parts = str(maddr).split("/")
    return ipaddress.ip_address(parts[2]), int(parts[4])
