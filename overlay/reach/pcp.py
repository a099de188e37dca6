"""PCP and NAT-PMP, by which a home router is asked to forward a port: the messages. Pure code.

Sources: RFC 6887 (PCP), sections 7 and 11; RFC 6886 (NAT-PMP), section 3. Both are UDP to
port 5351 of the gateway; a gateway that knows only NAT-PMP answers PCP with version 0.
"""

import enum
import ipaddress
import struct
from dataclasses import dataclass
from typing import Final, NamedTuple

from overlay.errors import PeerUnavailable, RemoteProtocolError

PORT: Final = 5351
ANSWER_BYTES_MAX: Final = 1100
NONCE_BYTES: Final = 12
_PCP_VERSION: Final = 2
_MAP: Final = 1
_RESPONSE: Final = 0x80
_PCP_HEADER: Final = struct.Struct("!BBHI16s")
_PCP_ANSWER: Final = struct.Struct("!BBBBII12s")
_PCP_MAP: Final = struct.Struct("!12sB3sHH16s")
_PMP_MAP: Final = struct.Struct("!BBHHHI")
_PMP_ADDRESS_ANSWER: Final = struct.Struct("!BBHI4s")
_PMP_MAP_ANSWER: Final = struct.Struct("!BBHIHHI")
_PMP_ADDRESS: Final = 0
_UNSUPPORTED_VERSION: Final = 1
_WORDS: Final = {
    2: "not allowed by the router's settings",
    3: "the router has no address outside",
    4: "the router has no room for another mapping",
    8: "the router has no room for another mapping",
    11: "the router does not give this port",
    12: "the router sees another address than ours: there is a second NAT between",
}


class OtherVersion(PeerUnavailable):
    """The gateway does not speak PCP; it may speak NAT-PMP."""


class Transport(enum.IntEnum):
    """What a port belongs to, by the numbers of IANA."""

    TCP = 6
    UDP = 17


class Port(NamedTuple):
    """A port that we listen on."""

    number: int
    transport: Transport = Transport.TCP

    def __str__(self) -> str:
        """Return it in words; TCP goes without saying."""
        kind = "" if self.transport is Transport.TCP else f"{self.transport.name} "
        return f"{kind}port {self.number}"


_PMP_OPCODES: Final = {Transport.UDP: 1, Transport.TCP: 2}


class Protocol(enum.Enum):
    """How a port was forwarded."""

    PCP = "PCP"
    NAT_PMP = "NAT-PMP"
    UPNP = "UPnP"


@dataclass(frozen=True, slots=True)
class Mapping:
    """A port that the gateway forwards to us.

    Attributes:
        external_ip: the gateway's address outside, "" if it did not say.
        external_port: the port there.
        port: the port here.
        lease_s: how long it lasts, in seconds; 0 for ever.
    """

    protocol: Protocol
    external_ip: str
    external_port: int
    port: Port
    lease_s: int


def encode_map(
    nonce: bytes, client: str, port: Port, *, lease_s: int, external_port: int = 0
) -> bytes:
    """Return the PCP request to forward *port*; a lease of 0 s ends it.

    For a client of IPv6 it is the request to let in what comes to that address and port.

    Args:
        nonce: 12 random bytes; the same for every renewal, so that nobody else ends it.
        client: our own IP address, as the gateway sees it.
        port: what we listen on.
        lease_s: how long, in seconds.
        external_port: the port that we should like to have outside; 0 for any.
    """
    header = _PCP_HEADER.pack(_PCP_VERSION, _MAP, 0, lease_s, _as_ipv6(client))
    nowhere = _as_ipv6("::" if ":" in client else "0.0.0.0")  # noqa: S104  (any, says the RFC)
    wanted = (port.transport, bytes(3), port.number, external_port, nowhere)
    return header + _PCP_MAP.pack(nonce, *wanted)


def decode_map(data: bytes, nonce: bytes, port: Port) -> Mapping | None:
    """Return what came of `encode_map`; None if *data* answers something else.

    Raises:
        OtherVersion: the gateway does not speak PCP.
        PeerUnavailable: refused.
        RemoteProtocolError: malformed.
    """
    if len(data) >= 2 and data[0] != _PCP_VERSION:
        raise OtherVersion(f"the gateway speaks version {data[0]}, not PCP")
    if len(data) < _PCP_ANSWER.size or len(data) > ANSWER_BYTES_MAX:
        raise RemoteProtocolError("a PCP answer of no valid length")
    _, opcode, _, result, lease_s, _, _ = _PCP_ANSWER.unpack_from(data)
    if opcode != _RESPONSE | _MAP:
        return None
    if result == _UNSUPPORTED_VERSION:
        raise OtherVersion("the gateway does not speak PCP 2")
    if len(data) < _PCP_ANSWER.size + _PCP_MAP.size:
        raise RemoteProtocolError("a PCP answer that was cut")
    echoed, protocol, _, internal, external, ip = _PCP_MAP.unpack_from(data, _PCP_ANSWER.size)
    if (echoed, internal, protocol) != (nonce, *port):
        return None
    _check(result)
    return Mapping(Protocol.PCP, _ip_text(ip), external, port, lease_s)


def encode_pmp_address() -> bytes:
    """Return the NAT-PMP question for the gateway's address outside."""
    return bytes((0, _PMP_ADDRESS))


def decode_pmp_address(data: bytes) -> str | None:
    """Return the address; None if *data* answers something else.

    Raises:
        PeerUnavailable: refused.
    """
    if len(data) != _PMP_ADDRESS_ANSWER.size or data[:2] != bytes((0, _RESPONSE | _PMP_ADDRESS)):
        return None
    _, _, result, _, ip = _PMP_ADDRESS_ANSWER.unpack(data)
    _check(result)
    return str(ipaddress.IPv4Address(ip))


def encode_pmp_map(port: Port, *, lease_s: int, external_port: int = 0) -> bytes:
    """Return the NAT-PMP request to forward *port*; a lease of 0 s ends it."""
    opcode = _PMP_OPCODES[port.transport]
    return _PMP_MAP.pack(0, opcode, 0, port.number, external_port, lease_s)


def decode_pmp_map(data: bytes, port: Port) -> Mapping | None:
    """Return what came of `encode_pmp_map`; None if *data* answers something else.

    Raises:
        PeerUnavailable: refused.
    """
    if len(data) < 4 or data[:2] != bytes((0, _RESPONSE | _PMP_OPCODES[port.transport])):
        return None
    _check(int.from_bytes(data[2:4], "big"))
    if len(data) != _PMP_MAP_ANSWER.size:
        return None
    _, _, _, _, internal, external, lease_s = _PMP_MAP_ANSWER.unpack(data)
    if internal != port.number:
        return None
    return Mapping(Protocol.NAT_PMP, "", external, port, lease_s)


def gateway_of(routes: str) -> str:
    r"""Return the IPv4 default gateway in the text of /proc/net/route, "" if there is none.

    >>> gateway_of("Iface Destination Gateway Flags\neth0 00000000 0101A8C0 0003")
    '192.168.1.1'
    """
    for line in routes.splitlines()[1:]:
        fields = line.split()
        if len(fields) >= 4 and fields[1] == "00000000" and fields[2] != "00000000":
            try:
                return str(ipaddress.IPv4Address(bytes.fromhex(fields[2])[::-1]))
            except ValueError:
                continue
    return ""


def gateway6_of(routes: str) -> tuple[str, str]:
    """Return the IPv6 default gateway in the text of /proc/net/ipv6_route, and its interface.

    Both "" if there is none. A link-local address names the interface, too, as sockets need it.

    >>> gateway6_of(f"{0:032x} 00 {0:032x} 00 fe8000000000000000000000000000{1:02x} 0 0 0 3 eth0")
    ('fe80::1%eth0', 'eth0')
    """
    for line in routes.splitlines():
        fields = line.split()
        if len(fields) < 10 or fields[:2] != ["0" * 32, "00"] or fields[4] == "0" * 32:
            continue
        try:
            ip = ipaddress.IPv6Address(bytes.fromhex(fields[4]))
        except ValueError:
            continue
        device = fields[9]
        return (f"{ip}%{device}" if ip.is_link_local else str(ip)), device
    return "", ""


def _check(result: int) -> None:
    if result:
        raise PeerUnavailable(_WORDS.get(result, f"the router refuses (code {result})"))


def _as_ipv6(address: str) -> bytes:
    ip = ipaddress.ip_address(address)
    return ip.packed if ip.version == 6 else b"\0" * 10 + b"\xff\xff" + ip.packed


def _ip_text(data: bytes) -> str:
    ip = ipaddress.IPv6Address(data)
    return str(ip.ipv4_mapped or ip)
