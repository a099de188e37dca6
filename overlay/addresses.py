"""Multiaddr text: which part of the internet an address belongs to. Pure code.

Limits and routing tables count by address prefix, because addresses are what an
attacker pays for: a /24 of IPv4, a /48 of IPv6.
"""

import functools
import ipaddress
from collections.abc import Iterable
from typing import Final

IPV4_PREFIX_BITS: Final = 24
IPV6_PREFIX_BITS: Final = 48
LOCAL: Final = ""
"""The prefix of what is no public address (loopback, private, DNS names): not limited."""


@functools.lru_cache(maxsize=16_384)
def prefix_of(address: str) -> str:
    """Return the prefix of a multiaddr or of a plain IP address, `LOCAL` if it has none.

    >>> prefix_of("/ip4/198.18.7.9/tcp/4001"), prefix_of("/ip6/2a01:4f8:1:2::3/tcp/1")
    ('', '2a01:4f8:1::/48')
    >>> prefix_of("8.8.4.4")
    '8.8.4.0/24'
    """
    parts = address.split("/")
    host = parts[2] if len(parts) > 2 and parts[1] in ("ip4", "ip6") else address
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        return LOCAL
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    if not ip.is_global:
        return LOCAL
    bits = IPV4_PREFIX_BITS if ip.version == 4 else IPV6_PREFIX_BITS
    return str(ipaddress.ip_network((ip, bits), strict=False))


def first_prefix(addresses: Iterable[str]) -> str:
    """Return the prefix of the first public address among *addresses*, else `LOCAL`."""
    return next((prefix for each in addresses if (prefix := prefix_of(each))), LOCAL)


CIRCUIT: Final = "/p2p-circuit"


def without_peer(address: str) -> str:
    """Return *address* without the /p2p part at its end; a relay's in the middle stays.

    >>> without_peer("/ip4/8.8.4.4/tcp/1/p2p/A")
    '/ip4/8.8.4.4/tcp/1'
    >>> without_peer("/ip4/8.8.4.4/tcp/1/p2p/R/p2p-circuit")
    '/ip4/8.8.4.4/tcp/1/p2p/R/p2p-circuit'
    """
    head, _, tail = address.rpartition("/p2p/")
    return head if head and "/" not in tail else address


def is_circuit(address: str) -> bool:
    """Return whether *address* leads through a relay."""
    return CIRCUIT in address


def relay_of(address: str) -> str:
    """Return the full address of the relay that a circuit address leads through.

    >>> relay_of("/ip4/8.8.4.4/tcp/1/p2p/R/p2p-circuit")
    '/ip4/8.8.4.4/tcp/1/p2p/R'
    """
    return address.partition(CIRCUIT)[0]


def is_websocket(address: str) -> bool:
    """Return whether *address* is of a WebSocket.

    >>> is_websocket("/ip4/8.8.4.4/tcp/443/ws"), is_websocket("/ip4/8.8.4.4/tcp/443/p2p/ws")
    (True, False)
    """
    parts = address.split("/")
    return len(parts) > 5 and parts[5] == "ws"


def is_quic(address: str) -> bool:
    """Return whether *address* is of QUIC v1 on an IP address.

    >>> is_quic("/ip4/8.8.4.4/udp/4001/quic-v1/p2p/A"), is_quic("/dns4/a.org/udp/4001/quic-v1")
    (True, False)
    """
    parts = address.split("/")
    return len(parts) > 5 and parts[1] in ("ip4", "ip6") and parts[3:6:2] == ["udp", "quic-v1"]


def quic_beside(address: str) -> str:
    """Return where QUIC listens beside *address* of TCP, "" beside anything else.

    >>> quic_beside("/ip4/0.0.0.0/tcp/4001"), quic_beside("/ip4/0.0.0.0/tcp/4002/ws")
    ('/ip4/0.0.0.0/udp/4001/quic-v1', '')
    """
    parts = address.split("/")
    if len(parts) != 5 or parts[1] not in ("ip4", "ip6") or parts[3] != "tcp":
        return ""
    return f"/{parts[1]}/{parts[2]}/udp/{parts[4]}/quic-v1"
