"""Multiaddrs: parsing them, and which of them are worth telling others."""

import ipaddress
from collections.abc import Sequence
from typing import Final

from multiaddr import Multiaddr  # type: ignore[import-untyped]
from multiaddr.exceptions import Error as MultiaddrError  # type: ignore[import-untyped]
from multiaddr.exceptions import ProtocolLookupError
from multiaddr.utils import get_thin_waist_addresses  # type: ignore[import-untyped]

from overlay.addresses import is_quic, without_peer
from overlay.errors import LocalProtocolError

_IP_PROTOCOLS: Final = ("ip4", "ip6")


def parse(address: str) -> Multiaddr:
    """Return the multiaddr that *address* spells.

    Raises:
        LocalProtocolError: it does not parse.
    """
    try:
        return Multiaddr(address)
    except (MultiaddrError, ValueError) as error:
        raise LocalProtocolError(f"{address!r} is not a multiaddr") from error


def bare(address: Multiaddr) -> Multiaddr:
    """Return *address* without its /p2p part."""
    text = str(address)
    shorter = without_peer(text)
    return address if shorter == text else Multiaddr(shorter)


def announced_addresses(listening: Sequence[Multiaddr]) -> list[Multiaddr]:
    """Return what to tell others: never the wildcard, loopback only if there is nothing else.

    QUIC comes last: not everybody speaks it.
    """
    expanded: dict[str, Multiaddr] = {}
    for address in listening:
        for each in _expand_wildcard(address):
            expanded[str(each)] = each
    addresses = sorted(expanded.values(), key=lambda each: is_quic(str(each)))
    reachable = [each for each in addresses if not _is(each, "is_loopback")]
    return reachable or addresses


def _expand_wildcard(address: Multiaddr) -> list[Multiaddr]:
    if not _is(address, "is_unspecified"):
        return [address]
    interfaces: list[Multiaddr] = get_thin_waist_addresses(address)
    if interfaces:  # up to the port: multiaddr (0.2.0) drops what comes after it
        end = "".join(f"/{each}" for each in str(address).split("/")[5:])
        return [parse(f"{each}{end}") for each in interfaces]
    loopback = str(address).replace("/ip4/0.0.0.0/", "/ip4/127.0.0.1/").replace("/::/", "/::1/")
    return [Multiaddr(loopback)]


def _is(address: Multiaddr, property_name: str) -> bool:
    ip = _ip(address)
    return ip is not None and bool(getattr(ip, property_name))


def _ip(address: Multiaddr) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    for protocol in _IP_PROTOCOLS:
        try:
            value = address.value_for_protocol(protocol)
        except ProtocolLookupError:
            continue
        if value:
            return ipaddress.ip_address(value)
    return None
