"""UPnP Internet gateway devices: finding one, and asking it to let a port in. Pure code.

Of IPv4 it forwards the port; of IPv6, where there is no NAT, it opens a pinhole in its firewall.

Sources: UPnP Device Architecture 1.1, sections 1.3 (SSDP), 2.3 (description), 3.1 (control), and
annex A (IPv6); WANIPConnection:1, sections 2.4.16 to 2.4.18; WANIPv6FirewallControl:1, sections
2.5.1 to 2.5.5. A router is no friend: its XML is bounded, a document type declaration is refused,
and nothing but the host that answered is asked further; of IPv6, nothing beyond the LAN.
"""

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urljoin, urlsplit
from xml.parsers import expat
from xml.sax.saxutils import escape

from overlay.errors import PeerUnavailable, RemoteProtocolError
from overlay.reach.pcp import Port

GROUP: Final = ("239.255.255.250", 1900)
GROUP6: Final = ("ff02::c", 1900)
TARGETS: Final = (
    "urn:schemas-upnp-org:device:InternetGatewayDevice:1",
    "urn:schemas-upnp-org:device:InternetGatewayDevice:2",
)
ANSWER_BYTES_MAX: Final = 2048
XML_BYTES_MAX: Final = 64 * 1024
URL_CHARACTERS_MAX: Final = 512
NAME: Final = "Cocoon"
ONLY_FOR_EVER: Final = 725
TAKEN: Final = (718, 724, 727)
"""The port is another machine's, or must be another than ours."""
NO_SUCH_PINHOLE: Final = 704
FIREWALL: Final = ("urn:schemas-upnp-org:service:WANIPv6FirewallControl:1",)
"""The services that let something in over IPv6."""
FORWARDING: Final = (
    "urn:schemas-upnp-org:service:WANIPConnection:2",
    "urn:schemas-upnp-org:service:WANIPConnection:1",
    "urn:schemas-upnp-org:service:WANPPPConnection:1",
)
"""The services that forward a port of IPv4, the best first."""
_WORDS: Final = {
    606: "it does not allow that to this machine",
    701: "it has no room for another pinhole",
    702: "its firewall for IPv6 is off",
    703: "its settings allow no pinholes",
}
_DEPTH_MAX: Final = 24
_ELEMENTS_MAX: Final = 2048


class Refused(PeerUnavailable):
    """The gateway answers with an error of its own.

    Attributes:
        code: UPnP's error code, 0 if it named none.
    """

    def __init__(self, code: int, words: str) -> None:
        why = _WORDS.get(code) or words or "no reason given"
        super().__init__(f"the router refuses: {why} (UPnP error {code})")
        self.code = code


@dataclass(frozen=True, slots=True)
class Service:
    """Where a gateway is asked.

    Attributes:
        url: absolute; on the host that was found.
        kind: the URN of the service.
    """

    url: str
    kind: str


@dataclass(slots=True)
class Element:
    """An XML element without namespaces and attributes."""

    name: str
    text: str = ""
    children: "list[Element]" = field(default_factory=list)

    def all(self, name: str) -> "Iterator[Element]":
        """Yield this element and those below it that are called *name*."""
        if self.name == name:
            yield self
        for child in self.children:
            yield from child.all(name)

    def first(self, name: str) -> str:
        """Return the text of the first element called *name*, "" if there is none."""
        return next((each.text.strip() for each in self.all(name)), "")


def encode_search(target: str, group: tuple[str, int] = GROUP, patience_s: int = 2) -> bytes:
    """Return the SSDP question for devices or services of the kind *target*."""
    lines = (
        "M-SEARCH * HTTP/1.1",
        f"HOST: {bracketed(group[0])}:{group[1]}",
        'MAN: "ssdp:discover"',
        f"MX: {patience_s}",
        f"ST: {target}",
        "",
        "",
    )
    return "\r\n".join(lines).encode()


def read_location(answer: bytes, sender: str) -> str:
    """Return where the device that answered describes itself, "" if it is of no use to us.

    Args:
        answer: a datagram.
        sender: the IP address that it came from; the description must be there too.
    """
    url = _location_of(answer)
    return url if _is_at(url, sender) else ""


def read_location6(answer: bytes, client: str, device: str) -> str:
    """Return the same of a device that answered over IPv6: it may name another of its addresses.

    Args:
        answer: a datagram.
        client: our address; the description must be on the same LAN.
        device: our interface there; a link-local address in what is returned names it.
    """
    url = _location_of(answer)
    host = host_of(url).partition("%")[0]
    if not _is_at(url, host_of(url)) or not is_on_lan6(host, client):
        return ""
    parts = urlsplit(url)
    zone = f"%{device}" if ipaddress.IPv6Address(host).is_link_local else ""
    return parts._replace(netloc=f"{bracketed(host + zone)}:{parts.port or 80}").geturl()


def is_on_lan6(host: str, client: str) -> bool:
    """Return whether *host* is an address of IPv6 on the LAN where ours is *client*.

    >>> [is_on_lan6(each, "2001:db8::7") for each in ("2001:db8::1", "2001:db8:0:1::1", "fe80::1")]
    [True, False, True]
    """
    try:
        ip = ipaddress.IPv6Address(host)
    except ValueError:
        return False
    unique_local = ip.packed[0] & 0xFE == 0xFC  # RFC 4193
    same = ip in ipaddress.ip_network((client, 64), strict=False)
    return ip.is_link_local or unique_local or (same and not ip.is_loopback)


def bracketed(host: str) -> str:
    """Return *host* as it stands in front of a port.

    >>> bracketed("fe80::1"), bracketed("192.168.1.1")
    ('[fe80::1]', '192.168.1.1')
    """
    return f"[{host}]" if ":" in host else host


def _location_of(answer: bytes) -> str:
    if len(answer) > ANSWER_BYTES_MAX or not answer.startswith(b"HTTP/1.1 200"):
        return ""
    for line in answer.decode("ascii", "replace").split("\r\n"):
        name, _, value = line.partition(":")
        if name.strip().lower() == "location":
            return value.strip()
    return ""


def host_of(url: str) -> str:
    """Return the host in *url*, "" if there is none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def authority_of(url: str) -> str:
    """Return host and port in *url* as the header Host has them: without our own interface.

    >>> authority_of("http://[fe80::1%eth0]:5000/x")
    '[fe80::1]:5000'
    """
    parts = urlsplit(url)
    return f"{bracketed(host_of(url).partition('%')[0])}:{parts.port or 80}"


def _is_at(url: str, host: str) -> bool:
    if len(url) > URL_CHARACTERS_MAX or not url.isascii() or not url.isprintable():
        return False
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    return parts.scheme == "http" and parts.hostname == host and port != 0


def read_description(data: bytes, location: str, kinds: Sequence[str] = FORWARDING) -> Service:
    """Return the first service of *kinds* that the description of a device names.

    Raises:
        RemoteProtocolError: no XML, or it points at another host.
        PeerUnavailable: the device has none of them.
    """
    root = parse_xml(data)
    found = {each.first("serviceType"): each.first("controlURL") for each in root.all("service")}
    for kind in kinds:
        if url := found.get(kind):
            absolute = urljoin(location, url)
            if not _is_at(absolute, host_of(location)):
                raise RemoteProtocolError("a gateway that is controlled elsewhere")
            return Service(absolute, kind)
    raise PeerUnavailable("this gateway lets nothing in when it is asked")


def encode_call(service: Service, action: str, **arguments: str | int) -> tuple[str, bytes]:
    """Return the header SOAPAction and the body that call *action*."""
    inner = "".join(f"<{key}>{escape(str(value))}</{key}>" for key, value in arguments.items())
    body = (
        '<?xml version="1.0"?>\r\n'
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" '
        's:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body>'
        f'<u:{action} xmlns:u="{service.kind}">{inner}</u:{action}>'
        "</s:Body></s:Envelope>"
    )
    return f'"{service.kind}#{action}"', body.encode()


def forward(client: str, port: Port, external_port: int, lease_s: int) -> dict[str, str | int]:
    """Return the arguments of AddPortMapping."""
    return {
        "NewRemoteHost": "",
        "NewExternalPort": external_port,
        "NewProtocol": port.transport.name,
        "NewInternalPort": port.number,
        "NewInternalClient": client,
        "NewEnabled": 1,
        "NewPortMappingDescription": NAME,
        "NewLeaseDuration": lease_s,
    }


def pinhole(client: str, port: Port, lease_s: int) -> dict[str, str | int]:
    """Return the arguments of AddPinhole: whoever comes to *port* of *client* is let in."""
    return {
        "RemoteHost": "",
        "RemotePort": 0,
        "InternalClient": client,
        "InternalPort": port.number,
        "Protocol": int(port.transport),
        "LeaseTime": lease_s,
    }


def check_firewall(answer: Element) -> None:
    """Pass if GetFirewallStatus says that pinholes are of use, and allowed.

    Raises:
        PeerUnavailable: they are not.
    """
    if answer.first("FirewallEnabled") == "0":
        raise PeerUnavailable("the router's firewall for IPv6 is off: everything passes")
    if answer.first("InboundPinholeAllowed") == "0":
        raise PeerUnavailable("the router's settings allow no port of IPv6 to be opened")


def read_pinhole(answer: Element) -> int:
    """Return the number by which the pinhole is renewed and closed.

    Raises:
        RemoteProtocolError: there is none.
    """
    text = answer.first("UniqueID")
    if not text.isdecimal() or len(text) > 5 or int(text) >= 1 << 16:
        raise RemoteProtocolError("a pinhole without a number")
    return int(text)


def read_answer(status: int, data: bytes) -> Element:
    """Return the body of the answer to a call.

    Raises:
        Refused: with UPnP's error code.
        RemoteProtocolError: malformed.
    """
    root = parse_xml(data)
    if status != 200 or next(root.all("Fault"), None) is not None:
        code = root.first("errorCode")
        raise Refused(int(code) if code.isdecimal() else 0, root.first("errorDescription")[:80])
    return root


def read_external_ip(answer: Element) -> str:
    """Return the address in the answer to GetExternalIPAddress, "" if there is none."""
    text = answer.first("NewExternalIPAddress")
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""


def parse_xml(data: bytes) -> Element:
    """Return the root of a small document.

    Raises:
        RemoteProtocolError: malformed, too long, too deep, or with a document type (by which
            entities would grow).
    """
    if len(data) > XML_BYTES_MAX:
        raise RemoteProtocolError("XML too long")
    builder = _Builder()
    parser = expat.ParserCreate()
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.text
    parser.StartDoctypeDeclHandler = builder.refuse
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise RemoteProtocolError(f"no XML: {error}") from error
    return builder.root.children[0]


class _Builder:
    def __init__(self) -> None:
        self.root = Element("")
        self._open = [self.root]
        self._count = 0

    def start(self, name: str, _attributes: object) -> None:
        self._count += 1
        if len(self._open) > _DEPTH_MAX or self._count > _ELEMENTS_MAX:
            raise RemoteProtocolError("XML too deep")
        element = Element(name.rpartition(":")[2])
        self._open[-1].children.append(element)
        self._open.append(element)

    def end(self, _name: str) -> None:
        self._open.pop()

    def text(self, data: str) -> None:
        self._open[-1].text += data

    def refuse(self, *_declaration: object) -> None:
        raise RemoteProtocolError("XML with a document type")
