"""Hole punching, the decisions: who says what, and when both sides dial. Pure code.

Two peers behind NATs that meet through a relay send each other a TCP SYN at the same moment,
each from the port that it listens on: each NAT takes the other's SYN for the answer to its own.
Over QUIC only the client dials; the server sends random bytes, which open its NAT for that.

Source: libp2p specs, relay/DCUtR.md. There the *asker* is B, whom a relayed connection
reached, and the *answerer* is A, who dialed it. On the new connection A is the client.
"""

import enum
import ipaddress
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from overlay.addresses import is_quic
from overlay.errors import RemoteProtocolError
from overlay.reach.punch_wire import ADDRESSES_MAX, Kind, Message

IP = ipaddress.IPv4Address | ipaddress.IPv6Address
ATTEMPTS_MAX: Final = 3
"""The asker tries again twice, says the specification."""
RTT_S_MAX: Final = 4.0
"""A relayed round trip beyond this is no help to anybody."""
QUIC_ADDRESSES_MAX: Final = 3
"""Of those that a stranger may make us dial: each costs a few datagrams of 1200 bytes."""
_TCP: Final = ("tcp",)
_QUIC: Final = ("udp", "quic-v1")


class Role(enum.Enum):
    """Who speaks first on a connection that two dialers share."""

    CLIENT = "client"
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class Dial:
    """Dial all *addresses* at *at_s*, and take *role* on what answers."""

    addresses: tuple[str, ...]
    at_s: float
    role: Role


class Asker:
    """The side that a relayed connection reached: it measures, and says when.

    Args:
        own: where we believe that we are reached.
        behind: IP addresses that others see us at.
    """

    def __init__(self, own: Sequence[str], behind: Collection[str]) -> None:
        self._own = tuple(own)
        self._behind = behind
        self._sent_at_s = 0.0

    def start(self, now_s: float) -> Message:
        """Return the message to send now."""
        self._sent_at_s = now_s
        return Message(Kind.CONNECT, self._own[:ADDRESSES_MAX])

    def take(self, answer: Message, now_s: float) -> tuple[Message, Dial]:
        """Return what to send now, and the dial half a round trip later.

        Raises:
            RemoteProtocolError: it is no answer to ours, or comes too late to be of use.
        """
        if answer.kind is not Kind.CONNECT:
            raise RemoteProtocolError("a punch that is answered with no CONNECT", penalty=5)
        rtt_s = now_s - self._sent_at_s
        if not 0 <= rtt_s <= RTT_S_MAX:
            raise RemoteProtocolError("a round trip too long to punch")
        addresses = worth_dialing(answer.addresses, self._behind)
        return Message(Kind.SYNC), Dial(addresses, now_s + rtt_s / 2, Role.SERVER)


class Answerer:
    """The side that dialed through the relay; arguments as for `Asker`."""

    def __init__(self, own: Sequence[str], behind: Collection[str]) -> None:
        self._own = tuple(own)
        self._behind = behind
        self._addresses: tuple[str, ...] | None = None

    def take(self, message: Message, now_s: float) -> Message | Dial:
        """Return what to send, or whom to dial at once.

        Raises:
            RemoteProtocolError: it is not its turn.
        """
        if self._addresses is None and message.kind is Kind.CONNECT:
            self._addresses = worth_dialing(message.addresses, self._behind)
            return Message(Kind.CONNECT, self._own[:ADDRESSES_MAX])
        if self._addresses is not None and message.kind is Kind.SYNC:
            return Dial(self._addresses, now_s, Role.CLIENT)
        raise RemoteProtocolError("a punch out of turn", penalty=5)


def worth_dialing(addresses: Iterable[str], behind: Collection[str]) -> tuple[str, ...]:
    """Return the addresses, at most `ADDRESSES_MAX`, that a stranger may make us dial.

    Public addresses of TCP, and a few of QUIC, only, so that nobody explores our network through
    us; private ones when the peer is seen at an address of *behind*: then it sits behind the same
    NAT.

    >>> worth_dialing(["/ip4/8.8.4.4/tcp/4001", "/ip4/10.0.0.7/tcp/22"], ["1.1.1.1"])
    ('/ip4/8.8.4.4/tcp/4001',)
    """
    found = [(each, ip) for each in dict.fromkeys(addresses) if (ip := direct_ip(each)) is not None]
    neighbour = any(str(ip) in behind for _, ip in found if ip.is_global)
    chosen = [
        each
        for each, ip in found
        if (ip.is_global and not ip.is_multicast)
        or (neighbour and ip.is_private and not _is_special(ip))
    ]
    tcp = [each for each in chosen if not is_quic(each)]
    quic = [each for each in chosen if is_quic(each)][:QUIC_ADDRESSES_MAX]
    return (*tcp[: ADDRESSES_MAX - len(quic)], *quic)


def tcp_ip(address: str) -> IP | None:
    """Return the IP address of a plain TCP multiaddr, None of any other.

    >>> tcp_ip("/ip4/8.8.4.4/tcp/4001"), tcp_ip("/ip4/8.8.4.4/udp/1"), tcp_ip("/tcp/1")
    (IPv4Address('8.8.4.4'), None, None)
    """
    return _ip_of(address, _TCP)


def direct_ip(address: str) -> IP | None:
    """Return the IP address of a multiaddr of plain TCP or of QUIC, None of any other.

    >>> direct_ip("/ip4/8.8.4.4/udp/4001/quic-v1"), direct_ip("/ip4/8.8.4.4/tcp/1/ws")
    (IPv4Address('8.8.4.4'), None)
    """
    return _ip_of(address, _TCP) or _ip_of(address, _QUIC)


def _ip_of(address: str, kind: Sequence[str]) -> IP | None:
    """Return the IP address of a multiaddr of ip4 or ip6, a port, and nothing but *kind*."""
    parts = address.split("/")
    if len(parts) < 5 or parts[1] not in ("ip4", "ip6") or (parts[3], *parts[5:]) != kind:
        return None
    if not parts[4].isdecimal() or not 0 < int(parts[4]) < 1 << 16:
        return None
    try:
        return ipaddress.ip_address(parts[2])
    except ValueError:
        return None


def own_candidates(mapped: Sequence[str], direct: Sequence[str]) -> tuple[str, ...]:
    """Return what to tell the other side: the best first.

    Args:
        mapped: where others see the ports that we listen on, one for each that said so.
        direct: what we announce. Of use to a peer behind the same NAT; and most NATs keep the
            port, so each kind of it is a guess for each IP address of *mapped*.

    >>> own_candidates(["/ip4/8.8.4.4/tcp/5"], ["/ip4/10.0.0.2/udp/1/quic-v1"])
    ('/ip4/8.8.4.4/tcp/5', '/ip4/8.8.4.4/udp/1/quic-v1', '/ip4/10.0.0.2/udp/1/quic-v1')
    """
    plain = [each for each in direct if (ip := direct_ip(each)) is not None and not _is_special(ip)]
    kinds: dict[tuple[str, bool], str] = {}
    for each in plain:
        _, version, _, port = each.split("/", 3)
        kinds.setdefault((version, is_quic(each)), port)
    guesses = [
        "/".join(("", version, ip, port))
        for _, seen, ip, *_ in (each.split("/") for each in mapped)
        for (version, _), port in kinds.items()
        if version == seen
    ]
    return tuple(dict.fromkeys((*mapped, *guesses, *plain)))[:ADDRESSES_MAX]


def _is_special(ip: IP) -> bool:
    return ip.is_loopback or ip.is_unspecified or ip.is_multicast or ip.is_link_local
