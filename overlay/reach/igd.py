"""UPnP Internet gateway devices: finding one, and asking it to forward a port. Pure code.

Sources: UPnP Device Architecture 1.1, sections 1.3 (SSDP), 2.3 (description), 3.1 (control);
WANIPConnection:1, sections 2.4.16 to 2.4.18. A router is no friend: its XML is bounded, a
document type declaration is refused, and nothing but the host that answered is asked further.
"""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urljoin, urlsplit
from xml.parsers import expat
from xml.sax.saxutils import escape

from overlay.errors import PeerUnavailable, RemoteProtocolError

GROUP: Final = ("239.255.255.250", 1900)
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
_SERVICES: Final = (
    "urn:schemas-upnp-org:service:WANIPConnection:2",
    "urn:schemas-upnp-org:service:WANIPConnection:1",
    "urn:schemas-upnp-org:service:WANPPPConnection:1",
)
_DEPTH_MAX: Final = 24
_ELEMENTS_MAX: Final = 2048


class Refused(PeerUnavailable):
    """The gateway answers with an error of its own.

    Attributes:
        code: UPnP's error code, 0 if it named none.
    """

    def __init__(self, code: int, words: str) -> None:
        super().__init__(f"the router refuses: {words or 'no reason given'} (UPnP error {code})")
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


def encode_search(target: str, patience_s: int = 2) -> bytes:
    """Return the SSDP question for devices of the kind *target*."""
    lines = (
        "M-SEARCH * HTTP/1.1",
        f"HOST: {GROUP[0]}:{GROUP[1]}",
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
    if len(answer) > ANSWER_BYTES_MAX or not answer.startswith(b"HTTP/1.1 200"):
        return ""
    for line in answer.decode("ascii", "replace").split("\r\n"):
        name, _, value = line.partition(":")
        if name.strip().lower() == "location":
            url = value.strip()
            return url if _is_at(url, sender) else ""
    return ""


def _is_at(url: str, host: str) -> bool:
    if len(url) > URL_CHARACTERS_MAX or not url.isascii() or not url.isprintable():
        return False
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    return parts.scheme == "http" and parts.hostname == host and port != 0


def read_description(data: bytes, location: str) -> Service:
    """Return the service that forwards ports, from the description of a device.

    Raises:
        RemoteProtocolError: no XML, or it points at another host.
        PeerUnavailable: the device forwards no ports.
    """
    root = parse_xml(data)
    found = {each.first("serviceType"): each.first("controlURL") for each in root.all("service")}
    for kind in _SERVICES:
        if url := found.get(kind):
            absolute = urljoin(location, url)
            if not _is_at(absolute, urlsplit(location).hostname or ""):
                raise RemoteProtocolError("a gateway that is controlled elsewhere")
            return Service(absolute, kind)
    raise PeerUnavailable("this gateway forwards no ports")


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


def forward(client: str, port: int, external_port: int, lease_s: int) -> dict[str, str | int]:
    """Return the arguments of AddPortMapping."""
    return {
        "NewRemoteHost": "",
        "NewExternalPort": external_port,
        "NewProtocol": "TCP",
        "NewInternalPort": port,
        "NewInternalClient": client,
        "NewEnabled": 1,
        "NewPortMappingDescription": NAME,
        "NewLeaseDuration": lease_s,
    }


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
