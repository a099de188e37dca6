"""Peers on the same LAN, by multicast DNS: the messages. Pure code.

Sources: libp2p specs, discovery/mdns.md; RFC 6762. The service is named after the network, as
that document wants for private ones. DNS itself is dnspython's. Whoever answers is only a
candidate, and only at the address that its answer came from: so nobody on a LAN can make us dial
a third machine.
"""

import hashlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from overlay.errors import OverlayError
from overlay.ids import PeerId, public_key_from_peer_id
from overlay.reach.punch import tcp_ip

DATAGRAM_BYTES_MAX: Final = 9000
"""RFC 6762, section 17."""
ADDRESSES_MAX: Final = 8
TEXT_BYTES_MAX: Final = 255
TTL_S: Final = 120
_TAG: Final = "dnsaddr="


@dataclass(frozen=True, slots=True)
class Question:
    """Somebody looks for peers."""


@dataclass(frozen=True, slots=True)
class Found:
    """A peer said where it is.

    Attributes:
        addresses: full multiaddrs of one peer, all at the IP address that it answered from.
    """

    peer_id: PeerId
    addresses: tuple[str, ...]


def service_of(network: str) -> str:
    """Return the name of the service of one network.

    >>> service_of("main")
    '_p2p-0d6e4079e36703eb._udp.local.'
    """
    return f"_p2p-{hashlib.sha256(network.encode()).hexdigest()[:16]}._udp.local."


def encode_question(service: str) -> bytes:
    """Return the question who is there."""
    return _message(dns.message.make_query(service, dns.rdatatype.PTR, use_edns=False))


def encode_answer(service: str, instance: str, addresses: Sequence[str]) -> bytes:
    """Return who we are, and where.

    Args:
        service: of the network.
        instance: a name that is ours and says nothing about us: 32 random letters, say.
        addresses: full multiaddrs; those that no TXT record holds are left out.
    """
    answer = dns.message.Message(0)
    answer.flags = dns.flags.QR | dns.flags.AA
    name = f"{instance}.{service}"
    answer.answer.append(
        dns.rrset.from_text(service, TTL_S, dns.rdataclass.IN, dns.rdatatype.PTR, name)
    )
    texts = [f"{_TAG}{each}" for each in addresses if len(_TAG) + len(each) <= TEXT_BYTES_MAX]
    quoted = " ".join(f'"{each}"' for each in texts[:ADDRESSES_MAX])
    if quoted:
        answer.additional.append(
            dns.rrset.from_text(name, TTL_S, dns.rdataclass.IN, dns.rdatatype.TXT, quoted)
        )
    return _message(answer)


def read(data: bytes, sender: str, service: str) -> Question | Found | None:
    """Return what a datagram says, None if nothing to us. Never raises.

    Args:
        data: as it came.
        sender: the IP address that it came from.
        service: of our network.
    """
    if len(data) > DATAGRAM_BYTES_MAX:
        return None
    try:
        message = dns.message.from_wire(data, ignore_trailing=True)
        if message.flags & dns.flags.QR:
            return _found(message, sender, service)
        wanted = dns.name.from_text(service)
        return Question() if any(each.name == wanted for each in message.question) else None
    except (dns.exception.DNSException, ValueError, LookupError, TypeError, AttributeError):
        return None  # dnspython's own errors, and what it was seen to raise besides


def _found(message: dns.message.Message, sender: str, service: str) -> Found | None:
    end = f".{service}"
    texts = [
        text.decode("ascii", "replace")
        for rrset in (*message.answer, *message.additional)
        if rrset.rdtype == dns.rdatatype.TXT and rrset.name.to_text().endswith(end)
        for record in rrset
        for text in record.strings
    ]
    named = [each.removeprefix(_TAG) for each in texts if each.startswith(_TAG)][:ADDRESSES_MAX]
    near = [each for each in named if _is_at(each, sender)]
    if not near:
        return None
    peer_id = PeerId(near[0].rpartition("/p2p/")[2])
    try:
        public_key_from_peer_id(peer_id)
    except OverlayError:
        return None
    return Found(peer_id, tuple(each for each in near if each.endswith(f"/p2p/{peer_id}")))


def _is_at(address: str, sender: str) -> bool:
    bare, _, peer = address.rpartition("/p2p/")
    ip = tcp_ip(bare)
    return ip is not None and bool(peer) and ip == ipaddress.ip_address(sender)


def _message(message: dns.message.Message) -> bytes:
    message.id = 0
    if not message.flags & dns.flags.QR:
        message.flags = 0
    return message.to_wire(max_size=DATAGRAM_BYTES_MAX)
