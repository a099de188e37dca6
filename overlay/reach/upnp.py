"""Asking a home router by UPnP: the sockets. What is said is in `igd`."""

import ipaddress
import logging
import secrets
import socket
from collections.abc import Callable, Sequence
from typing import Final

import trio

from overlay.errors import OverlayError, PeerUnavailable, RemoteProtocolError
from overlay.reach import igd
from overlay.reach.pcp import Mapping, Port, Protocol

logger = logging.getLogger(__name__)

SEARCH_S: Final = 3.0
HTTP_S: Final = 5.0
HOPS: Final = 2
PORTS_TRIED_MAX: Final = 4
PORT_MIN: Final = 1024


class UpnpGateway:
    """A gateway that forwards ports of IPv4."""

    def __init__(self, service: igd.Service, client: str) -> None:
        self._service, self._client = service, client

    async def forward(self, port: Port, lease_s: int) -> Mapping:
        """Forward *port* to us; another port outside if it is another machine's there."""
        answer = await self._call("GetExternalIPAddress")
        ip = igd.read_external_ip(answer)
        external = port.number
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

    async def _forward(self, ip: str, port: Port, external: int, lease_s: int) -> Mapping:
        arguments = igd.forward(self._client, port, external, lease_s)
        await self._call("AddPortMapping", **arguments)
        return Mapping(Protocol.UPNP, ip, external, port, lease_s)

    async def stop(self, mapping: Mapping) -> None:
        """End a mapping of ours."""
        await self._call(
            "DeletePortMapping",
            NewRemoteHost="",
            NewExternalPort=mapping.external_port,
            NewProtocol=mapping.port.transport.name,
        )

    async def _call(self, action: str, **arguments: str | int) -> igd.Element:
        header, body = igd.encode_call(self._service, action, **arguments)
        return igd.read_answer(*await fetch(self._service.url, header, body))


class PinholeGateway:
    """A gateway that lets ports of IPv6 in through its firewall.

    Args:
        service: where it is asked.
        client: our address, for which we ask, and from which: a router opens pinholes only for
            whoever asks.
    """

    def __init__(self, service: igd.Service, client: str) -> None:
        self._service, self._client = service, client
        self._numbers: dict[Port, int] = {}

    async def forward(self, port: Port, lease_s: int) -> Mapping:
        """Let *port* in; the same again renews it."""
        if not await self._renew(port, lease_s):
            igd.check_firewall(await self._call("GetFirewallStatus"))
            answer = await self._call("AddPinhole", **igd.pinhole(self._client, port, lease_s))
            self._numbers[port] = igd.read_pinhole(answer)
        return Mapping(Protocol.UPNP, self._client, port.number, port, lease_s)

    async def stop(self, mapping: Mapping) -> None:
        """Close a pinhole of ours."""
        number = self._numbers.pop(mapping.port, None)
        if number is not None:
            await self._call("DeletePinhole", UniqueID=number)

    async def _renew(self, port: Port, lease_s: int) -> bool:
        """Return whether a pinhole is there that lasts longer now; a restarted router has none."""
        number = self._numbers.get(port)
        if number is None:
            return False
        try:
            await self._call("UpdatePinhole", UniqueID=number, NewLeaseTime=lease_s)
        except igd.Refused as error:
            if error.code != igd.NO_SUCH_PINHOLE:
                raise
            return False
        return True

    async def _call(self, action: str, **arguments: str | int) -> igd.Element:
        header, body = igd.encode_call(self._service, action, **arguments)
        source = self._client if ":" in igd.host_of(self._service.url) else ""
        return igd.read_answer(*await fetch(self._service.url, header, body, source=source))


async def describe(url: str, kinds: Sequence[str]) -> igd.Service | None:
    """Return the first service of *kinds* of the device that describes itself at *url*, if any."""
    try:
        return igd.read_description((await fetch(url))[1], url, kinds)
    except OverlayError as error:
        logger.debug("no use of %s: %s", url, error)
        return None


async def search(gateway: str) -> list[str]:
    """Return where the device on the LAN describes itself that answers first over IPv4.

    Args:
        gateway: our default gateway; if it is known, only its word counts.
    """

    def read(answer: bytes, sender: str) -> str:
        counts = sender == (gateway or sender) and is_lan(sender)
        return igd.read_location(answer, sender) if counts else ""

    with trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, HOPS)
        return await _search(asking, igd.TARGETS, igd.GROUP, read)


async def search6(client: str, gateway: str, device: str) -> list[str]:
    """Return the same for a device that has a firewall, and answers over IPv6.

    Args:
        client: our address there.
        gateway: our default gateway; if its link-local address is known, only its word counts.
        device: our interface there.
    """
    only = gateway.partition("%")[0] if "%" in gateway else ""

    def read(answer: bytes, sender: str) -> str:
        counts = sender == (only or sender) and igd.is_on_lan6(sender, client)
        return igd.read_location6(answer, client, device) if counts else ""

    with trio.socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as asking:
        try:
            index = socket.if_nametoindex(device)
            asking.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        except OSError as error:
            logger.debug("no multicast on %s: %r", device, error)
            return []
        return await _search(asking, igd.FIREWALL, igd.GROUP6, read)


async def _search(
    asking: trio.socket.SocketType,
    targets: Sequence[str],
    group: tuple[str, int],
    read: Callable[[bytes, str], str],
) -> list[str]:
    try:
        for target in targets:
            await asking.sendto(igd.encode_search(target, group), group)
        with trio.move_on_after(SEARCH_S):
            while True:
                answer, (sender, *_) = await asking.recvfrom(igd.ANSWER_BYTES_MAX + 1)
                if url := read(answer, str(sender).partition("%")[0]):
                    return [url]
    except OSError as error:
        logger.debug("no multicast here: %r", error)
    return []


def is_lan(address: str) -> bool:
    """Return whether *address* is one that a router has on a home's side.

    >>> is_lan("192.168.1.1"), is_lan("8.8.4.4"), is_lan("127.0.0.1")
    (True, False, False)
    """
    ip = ipaddress.ip_address(address)
    return ip.is_private and not ip.is_loopback


async def fetch(
    url: str, action: str = "", body: bytes = b"", *, source: str = ""
) -> tuple[int, bytes]:
    """Return status and body of what a gateway answers; no redirect is followed.

    Args:
        url: of the gateway; a link-local address names our interface.
        action: the header SOAPAction of a call, "" to read a description.
        body: of the call.
        source: our address to ask from, "" for any.

    Raises:
        PeerUnavailable: no answer.
        RemoteProtocolError: too long.
    """
    import httpx  # noqa: PLC0415  (100 ms, and most nodes never need it)

    headers = {"Host": igd.authority_of(url)}
    if action:
        headers |= {"Content-Type": 'text/xml; charset="utf-8"', "SOAPAction": action}
    transport = httpx.AsyncHTTPTransport(local_address=source or None)
    try:
        with trio.fail_after(HTTP_S):
            async with (
                httpx.AsyncClient(transport=transport, timeout=HTTP_S) as client,
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
