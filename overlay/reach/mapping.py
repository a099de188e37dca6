"""Keeping a port open at the home router, for as long as the node runs.

Of IPv4 it is forwarded; of IPv6, where the address is ours, the router's firewall lets it in.
"""

import ipaddress
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import trio

from overlay.cleanup import shielded
from overlay.errors import OverlayError
from overlay.reach.gateway import Gateway, Silent, find_firewalls, find_gateways
from overlay.reach.pcp import Mapping, OtherVersion, Port, Transport

logger = logging.getLogger(__name__)

LEASE_S: Final = 3600
RENEW_S: Final = 600.0
"""A router that was restarted has forgotten us: we ask well before half of the lease."""
RENEW_S_MIN: Final = 30.0
RETRY_S: Final = (30.0, 300.0, 1800.0)
"""When no router forwards: it may be restarting, or we were carried to another network."""
STOP_S: Final = 1.0
NOBODY: Final = "no router here forwards ports by itself"


class PortMapper:
    """Has one port forwarded.

    Args:
        port: the port that we listen on.
        changed: called when `addresses` changed.
        find: returns the routers to ask, the best first.
    """

    def __init__(
        self,
        port: Port,
        changed: Callable[[], None],
        find: Callable[[], Awaitable[Sequence[Gateway]]] = find_gateways,
    ) -> None:
        self._port, self._changed, self._find = port, changed, find
        self._held: tuple[Gateway, Mapping] | None = None
        self.tried = trio.Event()
        """Set when the routers have answered, or nobody did."""
        self.why_not = ""
        """Why no port is forwarded, in words; "" while one is, or before anybody was asked."""

    @property
    def mapping(self) -> Mapping | None:
        """What is forwarded now."""
        return None if self._held is None else self._held[1]

    @property
    def addresses(self) -> tuple[str, ...]:
        """Multiaddrs at which others reach us thereby: none behind a second NAT."""
        mapping = self.mapping
        if mapping is None or not is_public(mapping.external_ip):
            return ()
        kind = "ip6" if ":" in mapping.external_ip else "ip4"
        is_tcp = mapping.port.transport is Transport.TCP
        end = f"tcp/{mapping.external_port}" if is_tcp else f"udp/{mapping.external_port}/quic-v1"
        return (f"/{kind}/{mapping.external_ip}/{end}",)

    def words(self) -> str:
        """Return what came of it, in words."""
        mapping = self.mapping
        if mapping is None:
            return self.why_not
        where = mapping.external_ip or "an address that it does not tell"
        does = "lets in" if ":" in where else "forwards"
        port = mapping.port._replace(number=mapping.external_port)
        done = f"{mapping.protocol.value} {does} {port} of {where} to us"
        return f"{done}, but {self.why_not}" if self.why_not else done

    async def run(self) -> None:
        """Keep the port forwarded until cancelled; then end it, within `STOP_S`."""
        failures = 0
        try:
            while True:
                if self._held is None:
                    await self._acquire()
                else:
                    await self._renew()
                self.tried.set()
                if self._held is None:
                    await trio.sleep(RETRY_S[min(failures, len(RETRY_S) - 1)])
                    failures += 1
                else:
                    failures = 0
                    await trio.sleep(renew_after_s(self._held[1].lease_s))
        finally:
            with shielded(STOP_S):
                await self._stop()

    async def _acquire(self) -> None:
        self.why_not = NOBODY
        try:
            gateways = await self._find()
        except OverlayError as error:
            logger.debug("looking for routers: %r", error)
            return
        for gateway in gateways:
            try:
                self._hold(gateway, await gateway.forward(self._port, LEASE_S))
            except OverlayError as error:
                logger.debug("%s is not forwarded: %s", self._port, error)
                if not isinstance(error, Silent | OtherVersion):
                    self.why_not = str(error)
            else:
                return

    async def _renew(self) -> None:
        if self._held is None:
            return
        gateway, _ = self._held
        try:
            self._hold(gateway, await gateway.forward(self._port, LEASE_S))
        except OverlayError as error:
            logger.warning("the router forwards %s no longer: %s", self._port, error)
            self._held = None
            self._changed()
            await self._acquire()

    def _hold(self, gateway: Gateway, mapping: Mapping) -> None:
        before = self.addresses
        self._held = gateway, mapping
        self.why_not = ""
        if self.addresses != before:
            logger.info("%s forwards a port to us: %s", mapping.protocol.value, self.addresses)
            self._changed()
        elif not is_public(mapping.external_ip):
            self.why_not = f"the router is behind another NAT ({mapping.external_ip} outside)"

    async def _stop(self) -> None:
        if self._held is None:
            return
        gateway, mapping = self._held
        self._held = None
        try:
            await gateway.stop(mapping)
        except OverlayError as error:
            logger.info("the router keeps %s forwarded: %s", self._port, error)


class Mappings:
    """What the home router does for one node: a port of TCP and one of QUIC, of IPv4 and of IPv6.

    Args:
        ports: returns the ports of one version of IP that we listen on.
        changed: called when `addresses` changed.
    """

    def __init__(self, ports: Callable[[int], Sequence[Port]], changed: Callable[[], None]) -> None:
        ways = ((4, find_gateways), (6, find_firewalls))
        self._mappers = [
            PortMapper(port, changed, find)
            for version, find in ways
            for port in first_of_each(ports(version))
        ]

    @property
    def addresses(self) -> tuple[str, ...]:
        """Multiaddrs at which others reach us thereby."""
        return tuple(address for each in self._mappers for address in each.addresses)

    async def run(self) -> None:
        """Keep the ports open until cancelled; then end that."""
        async with trio.open_nursery() as nursery:
            for each in self._mappers:
                nursery.start_soon(each.run)

    async def words(self) -> str:
        """Return what came of it, in words, when all routers have answered or did not."""
        for each in self._mappers:
            await each.tried.wait()
        said = [each.words() for each in self._mappers]
        told = [each for each in dict.fromkeys(said) if each != NOBODY]
        return "; ".join(told) or (NOBODY if said else "")


def first_of_each(ports: Sequence[Port]) -> list[Port]:
    """Return the first port of each transport, that of TCP before that of QUIC.

    >>> first_of_each([Port(3, Transport.UDP), Port(1), Port(2)])
    [Port(number=1, transport=<Transport.TCP: 6>), Port(number=3, transport=<Transport.UDP: 17>)]
    """
    first: dict[Transport, Port] = {}
    for port in ports:
        first.setdefault(port.transport, port)
    return [first[each] for each in Transport if each in first]


def renew_after_s(lease_s: int) -> float:
    """Return when to ask again for a lease of *lease_s* seconds, 0 being one without an end."""
    return max(RENEW_S_MIN, min(RENEW_S, lease_s / 2 or RENEW_S))


def is_public(ip: str) -> bool:
    """Return whether *ip* is an address that others can dial.

    >>> is_public("9.9.1.2"), is_public("192.168.1.2"), is_public("")
    (True, False, False)
    """
    try:
        return ipaddress.ip_address(ip).is_global
    except ValueError:
        return False
