"""Peers on the same LAN, by multicast DNS: the sockets and the timing. Messages: `mdns`."""

import ipaddress
import logging
import random
import socket
import string
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import trio

from overlay.errors import OverlayError
from overlay.ids import PeerId, short
from overlay.reach import mdns
from overlay.reach.mdns import Found, Question
from overlay.reach.punch import tcp_ip

logger = logging.getLogger(__name__)

ASK_S: Final = (1.0, 4.0, 15.0, 60.0)
"""Pauses between our questions; the last one for ever."""
ANSWER_PAUSE_S: Final = 1.0
"""We answer all questions of so long with one datagram (RFC 6762, section 6)."""
ANSWER_DELAY_S: Final = (0.02, 0.12)
DIAL_S: Final = 10.0
AGAIN_S: Final = 300.0
"""A peer that was dialed, in vain or not, is left alone for so long."""
PEERS_MAX: Final = 256
DIALS_MAX: Final = 4
INTERFACES_MAX: Final = 8
INSTANCE_LETTERS: Final = 32


class Lan:
    """Looks for peers on our LANs, and tells them where we are.

    Args:
        network: whose peers.
        own_id: our own peer id.
        addresses: returns our full multiaddrs.
        connect: dials a peer.
        rng: names us, spreads answers in time.
        group: where to ask; tests use another port.
    """

    def __init__(
        self,
        network: str,
        own_id: PeerId,
        addresses: Callable[[], Sequence[str]],
        connect: Callable[[Sequence[str]], Awaitable[PeerId]],
        *,
        rng: random.Random,
        group: tuple[str, int] = mdns.GROUP,
    ) -> None:
        self._service = mdns.service_of(network)
        self._own_id, self._addresses, self._connect = own_id, addresses, connect
        self._rng, self._group = rng, group
        self._instance = "".join(rng.choices(string.ascii_lowercase, k=INSTANCE_LETTERS))
        self._dialed: OrderedDict[PeerId, float] = OrderedDict()
        self._dialing = 0
        self._asked = trio.Event()

    async def run(self) -> None:
        """Look until cancelled; a machine without multicast looks in vain."""
        interfaces = interfaces_of(self._addresses())
        if not interfaces:
            return
        try:
            listening = open_group(self._group, interfaces)
        except OSError as error:
            logger.warning("no multicast DNS here: %s", error)
            return
        with listening:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._listen, listening, nursery)
                nursery.start_soon(self._answer, listening, interfaces)
                nursery.start_soon(self._ask, listening, interfaces)

    async def _ask(self, sock: trio.socket.SocketType, interfaces: Sequence[str]) -> None:
        self._asked.set()  # who is there already hears of us at once
        question = mdns.encode_question(self._service)
        pauses = iter(ASK_S)
        pause_s = 0.0
        while True:
            await self._send(sock, question, interfaces)
            pause_s = next(pauses, pause_s)
            await trio.sleep(pause_s * self._rng.uniform(0.8, 1.2))

    async def _answer(self, sock: trio.socket.SocketType, interfaces: Sequence[str]) -> None:
        while True:
            await self._asked.wait()
            await trio.sleep(self._rng.uniform(*ANSWER_DELAY_S))
            self._asked = trio.Event()
            near = [each for each in self._addresses() if _ip_text(each) in interfaces]
            if near:
                data = mdns.encode_answer(self._service, self._instance, near)
                await self._send(sock, data, interfaces)
            await trio.sleep(ANSWER_PAUSE_S)

    async def _send(
        self, sock: trio.socket.SocketType, data: bytes, interfaces: Sequence[str]
    ) -> None:
        for each in interfaces:
            try:
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(each))
                await sock.sendto(data, self._group)
            except OSError as error:
                logger.debug("no multicast on %s: %r", each, error)

    async def _listen(self, sock: trio.socket.SocketType, nursery: trio.Nursery) -> None:
        while True:
            try:
                data, (sender, *_) = await sock.recvfrom(mdns.DATAGRAM_BYTES_MAX + 1)
            except OSError as error:
                logger.debug("the LAN is away: %r", error)
                await trio.sleep(ANSWER_PAUSE_S)
                continue
            said = mdns.read(data, sender, self._service)
            if isinstance(said, Question):
                self._asked.set()
            elif said is not None and self._is_new(said):
                nursery.start_soon(self._dial, said)

    def _is_new(self, found: Found) -> bool:
        now_s = trio.current_time()
        if found.peer_id == self._own_id or self._dialing >= DIALS_MAX:
            return False
        if now_s - self._dialed.get(found.peer_id, -AGAIN_S) < AGAIN_S:
            return False
        self._dialed[found.peer_id] = now_s
        self._dialed.move_to_end(found.peer_id)
        if len(self._dialed) > PEERS_MAX:
            self._dialed.popitem(last=False)
        return True

    async def _dial(self, found: Found) -> None:
        self._dialing += 1
        try:
            with trio.move_on_after(DIAL_S):
                await self._connect(found.addresses)
                logger.info("%s is on our LAN", short(found.peer_id))
        except OverlayError as error:
            logger.debug("%s on our LAN does not answer: %r", short(found.peer_id), error)
        finally:
            self._dialing -= 1


def interfaces_of(addresses: Sequence[str]) -> tuple[str, ...]:
    """Return the IPv4 addresses of LANs among our full multiaddrs.

    >>> interfaces_of(["/ip4/192.168.1.2/tcp/1/p2p/A", "/ip4/8.8.4.4/tcp/1/p2p/A"])
    ('192.168.1.2',)
    """
    found = (tcp_ip(each.partition("/p2p/")[0]) for each in addresses)
    lan = (str(ip) for ip in found if ip is not None and ip.version == 4 and _is_lan(ip))
    return tuple(dict.fromkeys(lan))[:INTERFACES_MAX]


def open_group(group: tuple[str, int], interfaces: Sequence[str]) -> trio.socket.SocketType:
    """Return a socket that hears *group* on *interfaces*.

    Raises:
        OSError: the port is taken by a program that does not share it, or there is no multicast.
    """
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "SO_REUSEPORT"):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
        sock.bind(group)
        for each in interfaces:
            joined = socket.inet_aton(group[0]) + socket.inet_aton(each)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, joined)
    except OSError:
        sock.close()
        raise
    return trio.socket.from_stdlib_socket(sock)


def _is_lan(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return ip.is_private and not ip.is_loopback


def _ip_text(address: str) -> str:
    return str(tcp_ip(address.partition("/p2p/")[0]))
