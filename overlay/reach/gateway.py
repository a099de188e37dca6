"""Asking a home router to let a port in: which router, and the sockets of PCP and NAT-PMP.

What is said is in `pcp`; UPnP is spoken in `upnp`.
"""

import ipaddress
import logging
import secrets
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final, Protocol, TypeVar

import trio

from overlay.errors import PeerUnavailable
from overlay.reach import igd, pcp, upnp
from overlay.reach.pcp import Mapping, Port
from overlay.reach.upnp import PinholeGateway, UpnpGateway

logger = logging.getLogger(__name__)

ROUTES: Final = Path("/proc/net/route")
ROUTES6: Final = Path("/proc/net/ipv6_route")
ANYBODY6: Final = "2001:4860:4860::8888"
"""A public address, to learn which of ours is used towards such; nothing is sent to it."""
TRIES_S: Final = (0.25, 0.5, 1.0)
"""How long we wait for each answer over UDP before we ask again (RFC 6886, section 3.1)."""
_T = TypeVar("_T")


class Silent(PeerUnavailable):
    """Nobody there speaks this protocol: it is no refusal."""


class Gateway(Protocol):
    """A router that forwards ports."""

    async def forward(self, port: Port, lease_s: int) -> Mapping:
        """Forward *port* to us; the same again renews it.

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

    async def forward(self, port: Port, lease_s: int) -> Mapping:
        """Forward *port* to us."""
        return await self._map(port, lease_s, port.number)

    async def stop(self, mapping: Mapping) -> None:
        """End a mapping of ours."""
        await self._map(mapping.port, 0, 0)

    async def _map(self, port: Port, lease_s: int, wanted: int) -> Mapping:
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

    async def forward(self, port: Port, lease_s: int) -> Mapping:
        """Forward *port* to us."""
        ip = await ask_udp(self._address, pcp.encode_pmp_address(), pcp.decode_pmp_address)
        mapping = await self._map(port, lease_s, port.number)
        return replace(mapping, external_ip=ip)

    async def stop(self, mapping: Mapping) -> None:
        """End a mapping of ours."""
        await self._map(mapping.port, 0, 0)

    async def _map(self, port: Port, lease_s: int, wanted: int) -> Mapping:
        request = pcp.encode_pmp_map(port, lease_s=lease_s, external_port=wanted)
        return await ask_udp(self._address, request, lambda data: pcp.decode_pmp_map(data, port))


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
    for url in await upnp.search(address):
        service = await upnp.describe(url, igd.FORWARDING)
        if service is not None:
            found.append(UpnpGateway(service, await local_address(igd.host_of(url))))
    return found


async def find_firewalls() -> list[Gateway]:
    """Return how to ask the router for a way in through its firewall for IPv6, the best first."""
    gateway, device = await trio.to_thread.run_sync(default_gateway6)
    if not gateway:
        return []
    client = await local_address(ANYBODY6)
    if not ipaddress.ip_address(client).is_global:
        return []
    found: list[Gateway] = [PcpGateway(gateway, client)]
    urls = await upnp.search6(client, gateway, device)
    for url in urls or await upnp.search(await trio.to_thread.run_sync(default_gateway)):
        service = await upnp.describe(url, igd.FIREWALL)
        if service is not None:
            found.append(PinholeGateway(service, client))
    return found


def default_gateway(routes: Path = ROUTES) -> str:
    """Return the IPv4 address of the default gateway, "" where the system does not tell."""
    return pcp.gateway_of(_read(routes))


def default_gateway6(routes: Path = ROUTES6) -> tuple[str, str]:
    """Return the IPv6 address of the default gateway and the interface to it, or twice ""."""
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
