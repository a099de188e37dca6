"""The sockets of multicast DNS: one for each of our addresses on a LAN, which sends from there.

Sources: RFC 6762, sections 3, 5 and 11; RFC 3542, section 6 (the address that IPv6 sends from).
"""

import ipaddress
import socket
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import trio

from overlay.reach.punch import tcp_ip

PORT: Final = 5353
GROUP4: Final = "224.0.0.251"
GROUP6: Final = "ff02::fb"
HOPS: Final = 255
INTERFACES: Final = Path("/proc/net/if_inet6")
INTERFACES_MAX: Final = 8


class Channel:
    """Multicast DNS on one LAN.

    Args:
        ip: our address there, which we send from.
        index: the number of the interface, for IPv6; 0 for IPv4.
        port: tests use another than `PORT`.

    Raises:
        OSError: the port is taken by a program that does not share it, or there is no multicast.
    """

    def __init__(self, ip: str, index: int = 0, port: int = PORT) -> None:
        self.ip = ip
        self._index, self._port = index, port
        own = socket.socket(socket.AF_INET6 if index else socket.AF_INET, socket.SOCK_DGRAM)
        try:
            own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if hasattr(socket, "SO_REUSEPORT"):
                own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if index:
                self._open6(own)
            else:
                self._open4(own)
        except OSError:
            own.close()
            raise
        self._socket = trio.socket.from_stdlib_socket(own)

    def _open4(self, own: socket.socket) -> None:
        ip = socket.inet_aton(self.ip)
        own.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, HOPS)
        own.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, ip)
        own.bind((GROUP4, self._port))
        own.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(GROUP4) + ip)

    def _open6(self, own: socket.socket) -> None:
        joined = ipaddress.IPv6Address(GROUP6).packed + struct.pack("@I", self._index)
        own.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        own.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, HOPS)
        own.bind((GROUP6, self._port, 0, self._index))
        own.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, joined)

    def close(self) -> None:
        """Leave the LAN."""
        self._socket.close()

    async def send(self, data: bytes) -> None:
        """Say *data* to the LAN; raises `OSError` if there is none now."""
        if not self._index:
            await self._socket.sendto(data, (GROUP4, self._port))
            return
        # left to itself, the system would send from a link-local address, which no multiaddr has
        own = struct.pack("@16sI", ipaddress.IPv6Address(self.ip).packed, self._index)
        source = [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, own)]
        await self._socket.sendmsg([data], source, 0, (GROUP6, self._port, 0, self._index))

    async def receive(self, bytes_max: int) -> tuple[bytes, str]:
        """Return what somebody said, and the IP address that it came from."""
        data, sender = await self._socket.recvfrom(bytes_max)
        return data, str(sender[0])


def open_channels(addresses: Sequence[str], port: int = PORT) -> list[Channel]:
    """Return a channel for each of our LANs that *addresses*, our full multiaddrs, are on.

    Raises:
        OSError: no multicast on any of them.
    """
    channels, failed = list[Channel](), list[OSError]()
    for ip, index in lan_addresses(addresses, _read_interfaces()):
        try:
            channels.append(Channel(ip, index, port))
        except OSError as error:
            failed.append(error)
    if failed and not channels:
        raise failed[0]
    return channels


def lan_addresses(addresses: Sequence[str], interfaces: str) -> list[tuple[str, int]]:
    """Return our IP addresses on LANs, and for those of IPv6 the number of their interface.

    Args:
        addresses: our full multiaddrs.
        interfaces: the text of /proc/net/if_inet6; "" where the system has none, for IPv4 only.

    >>> table = "fd000000000000000000000000000007 02 40 00 80 eth0"
    >>> lan_addresses(["/ip4/192.168.1.2/tcp/1", "/ip4/8.8.4.4/tcp/1", "/ip6/fd00::7/tcp/1"], table)
    [('192.168.1.2', 0), ('fd00::7', 2)]
    """
    numbers = {fields[0]: fields[1] for line in interfaces.splitlines() if (fields := line.split())}
    found: dict[str, int] = {}
    for address in addresses:
        ip = tcp_ip(address.partition("/p2p/")[0])
        if ip is None or ip.is_loopback or ip.is_link_local:
            continue
        index = int(numbers.get(ip.packed.hex(), "0"), 16)
        if index if ip.version == 6 else ip.is_private:
            found[str(ip)] = index if ip.version == 6 else 0
    return list(found.items())[:INTERFACES_MAX]


def _read_interfaces() -> str:
    try:
        return INTERFACES.read_text("ascii")
    except (OSError, UnicodeError):
        return ""
