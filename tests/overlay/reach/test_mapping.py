"""Keeping a port forwarded: routers that come, refuse, forget and go. (All made for the tests.)"""

import socket
from collections.abc import Sequence

import pytest
import trio
import trio.testing

from overlay.errors import PeerUnavailable
from overlay.reach import gateway, igd, pcp
from overlay.reach.gateway import PmpGateway, Silent
from overlay.reach.mapping import LEASE_S, RENEW_S, PortMapper, renew_after_s
from overlay.reach.pcp import Mapping, Port, Protocol, Transport
from overlay.reach.upnp import PinholeGateway, UpnpGateway

PORT, QUIC = Port(4001), Port(4001, Transport.UDP)


class FakeRouter:
    """Forwards ports for a lease, as a router does; fails when told to."""

    def __init__(self, ip: str = "9.9.1.2", error: Exception | None = None) -> None:
        self.ip, self.error = ip, error
        self.asked_s: list[float] = []
        self.forwarded: set[Port] = set()

    async def forward(self, port: Port, lease_s: int) -> Mapping:
        await trio.lowlevel.checkpoint()
        self.asked_s.append(trio.current_time())
        if self.error is not None:
            raise self.error
        self.forwarded.add(port)
        return Mapping(Protocol.PCP, self.ip, 40_000, port, lease_s)

    async def stop(self, mapping: Mapping) -> None:
        await trio.lowlevel.checkpoint()
        self.forwarded.discard(mapping.port)


def mapper_of(*routers: FakeRouter, port: Port = PORT) -> tuple[PortMapper, list[tuple[str, ...]]]:
    async def find() -> Sequence[FakeRouter]:
        return routers

    changes: list[tuple[str, ...]] = []
    mapper = PortMapper(port, lambda: changes.append(mapper.addresses), find)
    return mapper, changes


async def run_for(mapper: PortMapper, seconds: float) -> None:
    with trio.move_on_after(seconds):
        await mapper.run()


async def test_a_lease_is_renewed_before_its_end_and_ended_at_ours(autojump_clock) -> None:
    router = FakeRouter()
    mapper, changes = mapper_of(router)
    await run_for(mapper, 2 * LEASE_S)
    gaps = [b - a for a, b in zip(router.asked_s, router.asked_s[1:], strict=False)]
    assert max(gaps) <= LEASE_S / 2
    assert changes == [("/ip4/9.9.1.2/tcp/40000",)]
    assert router.forwarded == set()


async def test_a_port_of_quic_is_announced_as_one(autojump_clock) -> None:
    mapper, changes = mapper_of(FakeRouter(), port=QUIC)
    said = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run_for, mapper, 5)
        await mapper.tried.wait()
        said.append(mapper.words())
    assert changes == [("/ip4/9.9.1.2/udp/40000/quic-v1",)]
    assert said == ["PCP forwards UDP port 40000 of 9.9.1.2 to us"]


async def test_the_next_router_is_asked_when_one_refuses(autojump_clock) -> None:
    refusing, willing = FakeRouter(error=PeerUnavailable("not allowed")), FakeRouter()
    mapper, changes = mapper_of(refusing, willing)
    await run_for(mapper, 5)
    assert len(changes) == 1
    assert mapper.why_not == ""


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PeerUnavailable("the router refuses"), "the router refuses"),
        (Silent("x"), "no router here forwards ports by itself"),
        (pcp.OtherVersion("x"), "no router here forwards ports by itself"),
    ],
)
async def test_a_refusal_is_told_silence_is_not(error, words, autojump_clock) -> None:
    mapper, changes = mapper_of(FakeRouter(error=error))
    await run_for(mapper, 5)
    assert (mapper.why_not, changes, mapper.addresses) == (words, [], ())
    assert mapper.tried.is_set()


async def test_an_address_that_is_lost_is_announced_no_longer_and_comes_back(
    autojump_clock,
) -> None:
    router = FakeRouter()
    mapper, changes = mapper_of(router)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(mapper.run)
        await trio.sleep(1)
        router.error = PeerUnavailable("restarting")
        await trio.sleep(RENEW_S)
        assert changes == [("/ip4/9.9.1.2/tcp/40000",), ()]
        router.error = None
        await trio.sleep(60)
        assert changes[-1] == ("/ip4/9.9.1.2/tcp/40000",)
        nursery.cancel_scope.cancel()


async def test_behind_a_second_nat_nothing_is_announced(autojump_clock) -> None:
    mapper, changes = mapper_of(FakeRouter(ip="10.0.0.7"))
    await run_for(mapper, 5)
    assert (mapper.addresses, changes) == ((), [])


async def test_a_router_that_hangs_does_not_hold_us_up(autojump_clock) -> None:
    router = FakeRouter()

    async def hang(_mapping: Mapping) -> None:
        await trio.sleep_forever()

    router.stop = hang
    mapper, _ = mapper_of(router)
    start_s = trio.current_time()
    await run_for(mapper, 1)
    assert trio.current_time() - start_s < 5


@pytest.mark.parametrize(
    ("lease_s", "after_s"), [(0, RENEW_S), (3600, RENEW_S), (120, 60), (10, 30)]
)
def test_a_lease_says_when_to_ask_again(lease_s, after_s) -> None:
    assert renew_after_s(lease_s) == after_s


async def test_nat_pmp_over_sockets(monkeypatch) -> None:
    """A router of our own that loses the first datagram, and answers others' questions first."""
    with trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as router:
        await router.bind(("127.0.0.1", 0))
        port = router.getsockname()[1]
        monkeypatch.setattr(pcp, "PORT", port)
        monkeypatch.setattr(gateway.ask_udp, "__defaults__", (port,))
        seen = []

        async def serve() -> None:
            while True:
                data, peer = await router.recvfrom(100)
                seen.append(data)
                if len(seen) == 1:
                    continue
                await router.sendto(b"\0\x81", peer)
                if data == b"\0\0":
                    await router.sendto(bytes.fromhex("008000000000000709090102"), peer)
                else:
                    await router.sendto(
                        bytes.fromhex("0082000000000007") + data[4:6] + b"\x9c\x40" + data[8:12],
                        peer,
                    )

        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            asking = PmpGateway("127.0.0.1")
            mapping = await asking.forward(PORT, 3600)
            assert mapping == Mapping(Protocol.NAT_PMP, "9.9.1.2", 40_000, PORT, 3600)
            await asking.stop(mapping)
            assert seen[-1] == pcp.encode_pmp_map(PORT, lease_s=0)
            nursery.cancel_scope.cancel()


class FakeUpnp(UpnpGateway):
    """Answers with the errors that it is given, in turn."""

    def __init__(self, *codes: int) -> None:
        super().__init__(igd.Service("http://192.168.1.1/", "urn:x"), "192.168.1.2")
        self.codes, self.calls = list(codes), []

    async def _call(self, action: str, **arguments: str | int) -> igd.Element:
        await trio.lowlevel.checkpoint()
        self.calls.append((action, arguments))
        if action == "AddPortMapping" and self.codes:
            raise igd.Refused(self.codes.pop(0), "as told")
        return igd.parse_xml(b"<a><NewExternalIPAddress>9.9.1.2</NewExternalIPAddress></a>")


async def test_upnp_takes_another_port_or_a_lease_for_ever_when_it_must() -> None:
    mapping = await FakeUpnp(igd.ONLY_FOR_EVER).forward(PORT, 3600)
    assert (mapping.external_port, mapping.lease_s) == (PORT.number, 0)
    mapping = await FakeUpnp(718).forward(PORT, 3600)
    assert mapping.external_port != PORT.number
    assert mapping.lease_s == 3600
    with pytest.raises(igd.Refused, match="501"):
        await FakeUpnp(501).forward(PORT, 3600)
    with pytest.raises(PeerUnavailable, match="none of the ports"):
        await FakeUpnp(*[718] * 9).forward(PORT, 3600)


SIX = "2001:4860::7"


class FakeFirewall(PinholeGateway):
    """Answers as WANIPv6FirewallControl:1, sections 2.5.1 to 2.5.5, says; forgets when told to."""

    def __init__(self, *, enabled: int = 1, allowed: int = 1) -> None:
        super().__init__(igd.Service("http://[fe80::1%lan]:1/", igd.FIREWALL[0]), SIX)
        self.status = (
            f"<FirewallEnabled>{enabled}</FirewallEnabled>"
            f"<InboundPinholeAllowed>{allowed}</InboundPinholeAllowed>"
        )
        self.calls: list[tuple[str, dict[str, str | int]]] = []
        self.held: dict[int, dict[str, str | int]] = {}
        self._next = 7

    async def _call(self, action: str, **arguments: str | int) -> igd.Element:
        await trio.lowlevel.checkpoint()
        self.calls.append((action, arguments))
        said = ""
        match action:
            case "GetFirewallStatus":
                said = self.status
            case "AddPinhole":
                self.held[self._next] = arguments
                said, self._next = f"<UniqueID>{self._next}</UniqueID>", self._next + 1
            case _ if arguments["UniqueID"] not in self.held:
                raise igd.Refused(igd.NO_SUCH_PINHOLE, "NoSuchEntry")
            case "DeletePinhole":
                del self.held[arguments["UniqueID"]]
        return igd.parse_xml(f"<a>{said}</a>".encode())


async def test_a_pinhole_is_opened_renewed_by_its_number_and_closed(autojump_clock) -> None:
    router = FakeFirewall()
    mapper, changes = mapper_of(router)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run_for, mapper, 2 * RENEW_S + 1)
        await mapper.tried.wait()
        assert mapper.words() == f"UPnP lets in port 4001 of {SIX} to us"
    assert [action for action, _ in router.calls] == [
        "GetFirewallStatus", "AddPinhole", "UpdatePinhole", "UpdatePinhole", "DeletePinhole",
    ]  # fmt: skip
    assert router.calls[1][1] == {
        "RemoteHost": "", "RemotePort": 0, "InternalClient": SIX, "InternalPort": 4001,
        "Protocol": 6, "LeaseTime": LEASE_S,
    }  # fmt: skip
    assert router.calls[2][1] == {"UniqueID": 7, "NewLeaseTime": LEASE_S}
    assert changes == [(f"/ip6/{SIX}/tcp/4001",)]
    assert router.held == {}


async def test_a_router_that_was_restarted_gets_the_pinhole_again(autojump_clock) -> None:
    router = FakeFirewall()
    mapper, changes = mapper_of(router)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run_for, mapper, RENEW_S + 1)
        await mapper.tried.wait()
        router.held.clear()
    assert [each for each, _ in router.calls].count("AddPinhole") == 2
    assert (len(changes), router.held) == (1, {})


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ({"enabled": 0}, "the router's firewall for IPv6 is off: everything passes"),
        ({"allowed": 0}, "the router's settings allow no port of IPv6 to be opened"),
    ],
)
async def test_a_firewall_that_opens_nothing_says_why(status, words, autojump_clock) -> None:
    router = FakeFirewall(**status)
    mapper, changes = mapper_of(router)
    await run_for(mapper, 5)
    assert (mapper.why_not, changes, router.held) == (words, [], {})
