"""Asking a home router to forward a port: the sockets. What is said is in `pcp` and `igd`."""

import ipaddress
import logging
import secrets
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol, TypeVar
from urllib.parse import urlsplit

import trio

from overlay.errors import OverlayError, PeerUnavailable, RemoteProtocolError
from overlay.reach import igd, pcp
from overlay.reach.pcp import Mapping

logger = logging.getLogger(__name__)

ROUTES: Final = Path("/proc/net/route")
ROUTES6: Final = Path("/proc/net/ipv6_route")
ANYBODY6: Final = "2001:4860:4860::8888"
"""A public address, to learn which of ours is used towards such; nothing is sent to it."""
TRIES_S: Final = (0.25, 0.5, 1.0)
"""How long we wait for each answer over UDP before we ask again (RFC 6886, section 3.1)."""
SEARCH_S: Final = 3.0
HTTP_S: Final = 5.0
DEVICES_MAX: Final = 4
PORTS_TRIED_MAX: Final = 4
PORT_MIN: Final = 1024
_T = TypeVar("_T")


class Silent(PeerUnavailable):
    """Nobody there speaks this protocol: it is no refusal."""


class Gateway(Protocol):
    """A router that forwards ports."""

    async def forward(self, port: int, lease_s: int) -> Mapping:
        """Forward TCP *port* to us; the same again renews it.

        Raises:
            PeerUnavailable: refused, or no answer.
            RemoteProtocolError: nonsense.
        """
        ...

    async def stop(self, mapping: Mapping) -> None:
        """End a mapping of ours; raises the same."""
        ...


class PcpGateway:
    """A gateway that speaks PCP."""

    def __init__(self, address: str, client: str) -> None:
        self._address, self._client = address, client
        self._nonce = secrets.token_bytes(pcp.NONCE_BYTES)

    async def forward(self, port: int, lease_s: int) -> Mapping:
        """Forward TCP *port* to us."""
        return await self._map(port, lease_s, port)

    async def stop(self, mapping: Mapping) -> None:
        """End a mapping of ours."""
        await self._map(mapping.internal_port, 0, 0)

    async def _map(self, port: int, lease_s: int, wanted: int) -> Mapping:
        request = pcp.encode_map(
            self._nonce, self._client, port, lease_s=lease_s, external_port=wanted
        )
        return await ask_udp(
            self._address,
            request,
            lambda data: pcp.decode_map(data, self._nonce, port),
            source=self._client,
        )


class PmpGateway:
    """A gateway that speaks NAT-PMP."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def forward(self, port: int, lease_s: int) -> Mapping:
        """Forward TCP *port* to us."""
        ip = await ask_udp(self._address, pcp.encode_pmp_address(), pcp.decode_pmp_address)
        mapping = await self._map(port, lease_s, port)
        return Mapping(
            mapping.protocol, ip, mapping.external_port, mapping.internal_port, mapping.lease_s
        )

    async def stop(self, mapping: Mapping) -> None:
        """End a mapping of ours."""
        await self._map(mapping.internal_port, 0, 0)

    async def _map(self, port: int, lease_s: int, wanted: int) -> Mapping:
        request = pcp.encode_pmp_map(port, lease_s=lease_s, external_port=wanted)
        return await ask_udp(self._address, request, lambda data: pcp.decode_pmp_map(data, port))


class UpnpGateway:
    """A gateway that speaks UPnP."""

    def __init__(self, service: igd.Service, client: str) -> None:
        self._service, self._client = service, client

    async def forward(self, port: int, lease_s: int) -> Mapping:
        """Forward TCP *port* to us; another port outside if it is another machine's there."""
        answer = await self._call("GetExternalIPAddress")
        ip = igd.read_external_ip(answer)
        external = port
        for _ in range(PORTS_TRIED_MAX):
            try:
                return await self._forward(ip, port, external, lease_s)
            except igd.Refused as error:
                if error.code == igd.ONLY_FOR_EVER and lease_s:
                    lease_s = 0
                elif error.code in igd.TAKEN:
                    external = PORT_MIN + secrets.randbelow(65_536 - PORT_MIN)
                else:
                    raise
        raise PeerUnavailable("the router gave none of the ports that we tried")

    async def _forward(self, ip: str, port: int, external: int, lease_s: int) -> Mapping:
        arguments = igd.forward(self._client, port, external, lease_s)
        await self._call("AddPortMapping", **arguments)
        return Mapping(pcp.Protocol.UPNP, ip, external, port, lease_s)

    async def stop(self, mapping: Mapping) -> None:
        """End a mapping of ours."""
        await self._call(
            "DeletePortMapping",
            NewRemoteHost="",
            NewExternalPort=mapping.external_port,
            NewProtocol="TCP",
        )

    async def _call(self, action: str, **arguments: str | int) -> igd.Element:
        header, body = igd.encode_call(self._service, action, **arguments)
        return igd.read_answer(*await fetch(self._service.url, header, body))


async def find_gateways() -> list[Gateway]:
    """Return the routers to ask, the best first; empty when there is none, or none is needed.

    A machine whose own address is public needs none.
    """
    found: list[Gateway] = []
    address = await trio.to_thread.run_sync(default_gateway)
    if address:
        client = await local_address(address)
        if ipaddress.ip_address(client).is_global:
            return []
        found += [PcpGateway(address, client), PmpGateway(address)]
    for url in await search(address):
        try:
            service = igd.read_description((await fetch(url))[1], url)
        except OverlayError as error:
            logger.debug("no use of %s: %s", url, error)
            continue
        host = urlsplit(url).hostname or ""
        found.append(UpnpGateway(service, await local_address(host)))
    return found


async def find_firewalls() -> list[Gateway]:
    """Return the router to ask for a way in through its firewall for IPv6, if there is one."""
    gateway = await trio.to_thread.run_sync(default_gateway6)
    if not gateway:
        return []
    client = await local_address(ANYBODY6)
    return [PcpGateway(gateway, client)] if ipaddress.ip_address(client).is_global else []


def default_gateway(routes: Path = ROUTES) -> str:
    """Return the IPv4 address of the default gateway, "" where the system does not tell."""
    return pcp.gateway_of(_read(routes))


def default_gateway6(routes: Path = ROUTES6) -> str:
    """Return the IPv6 address of the default gateway, "" where the system does not tell."""
    return pcp.gateway6_of(_read(routes))


def _read(routes: Path) -> str:
    try:
        return routes.read_text("ascii")
    except (OSError, UnicodeError):
        return ""


async def local_address(other: str) -> str:
    """Return the address that we have towards *other*; nothing is sent.

    Raises:
        PeerUnavailable: there is no way there.
    """
    with trio.socket.socket(_family(other), socket.SOCK_DGRAM) as probe:
        try:
            await probe.connect((other, pcp.PORT))
        except OSError as error:
            raise PeerUnavailable(f"no way to {other}: {error}") from error
        return str(probe.getsockname()[0])


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


async def ask_udp(
    address: str,
    request: bytes,
    read: Callable[[bytes], _T | None],
    port: int = pcp.PORT,
    *,
    source: str = "",
) -> _T:
    """Send *request*, from *source* if it is given, until *address* answers what *read* takes.

    Raises:
        PeerUnavailable: none came.
        OverlayError: of *read*.
    """
    with trio.socket.socket(_family(address), socket.SOCK_DGRAM) as asking:
        try:
            if source:
                await asking.bind((source, 0))
            await asking.connect((address, port))  # so the kernel drops what others send
            for patience_s in TRIES_S:
                await asking.send(request)
                with trio.move_on_after(patience_s):
                    while True:
                        answer = read(await asking.recv(pcp.ANSWER_BYTES_MAX + 1))
                        if answer is not None:
                            return answer
        except OSError as error:
            raise Silent(f"{address} is no gateway that forwards: {error}") from error
    raise Silent(f"{address} does not answer")


async def search(gateway: str) -> list[str]:
    """Return where devices on the LAN that forward ports describe themselves.

    Args:
        gateway: our default gateway; if it is known, only its word counts.
    """
    found: dict[str, None] = {}
    with trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 2)
        try:
            for target in igd.TARGETS:
                await asking.sendto(igd.encode_search(target), igd.GROUP)
            with trio.move_on_after(SEARCH_S):
                while len(found) < DEVICES_MAX:
                    answer, (sender, *_) = await asking.recvfrom(igd.ANSWER_BYTES_MAX + 1)
                    url = igd.read_location(answer, sender)
                    if url and sender == (gateway or sender) and is_lan(sender):
                        found[url] = None
                        break
        except OSError as error:
            logger.debug("no multicast here: %r", error)
    return list(found)


def is_lan(address: str) -> bool:
    """Return whether *address* is one that a router has on a home's side.

    >>> is_lan("192.168.1.1"), is_lan("8.8.4.4"), is_lan("127.0.0.1")
    (True, False, False)
    """
    ip = ipaddress.ip_address(address)
    return ip.is_private and not ip.is_loopback


async def fetch(url: str, action: str = "", body: bytes = b"") -> tuple[int, bytes]:
    """Return status and body of what a gateway answers; no redirect is followed.

    Raises:
        PeerUnavailable: no answer.
        RemoteProtocolError: too long.
    """
    import httpx  # noqa: PLC0415  (100 ms, and most nodes never need it)

    headers = {"Content-Type": 'text/xml; charset="utf-8"', "SOAPAction": action} if action else {}
    try:
        with trio.fail_after(HTTP_S):
            async with (
                httpx.AsyncClient(trust_env=False, timeout=HTTP_S) as client,
                client.stream(
                    "POST" if action else "GET", url, content=body, headers=headers
                ) as answer,
            ):
                data = b""
                async for chunk in answer.aiter_raw(4096):
                    data += chunk
                    if len(data) > igd.XML_BYTES_MAX:
                        raise RemoteProtocolError("a gateway that does not come to an end")
                return answer.status_code, data
    except (httpx.HTTPError, httpx.InvalidURL, trio.TooSlowError, OSError) as error:
        raise PeerUnavailable(f"{url} does not answer: {error!r}") from error
