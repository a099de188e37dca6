"""Ports forwarded by a real router, miniupnpd, between network namespaces (`make conformance`).

pub 9.9.1.1 2a01:4f8:1::1 --+-- wan
nat 9.9.1.2 2a01:4f8:1::2 --+     192.168.1.0/24, 2a01:4f8:2::/64: home
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.namespaces import Net, miniupnpd, open_net
from tests.overlay.reach.node_process import NodeProcess, running

PORT = 4001
PUB6, NAT6 = "2a01:4f8:1::1", "2a01:4f8:1::2"
LAN6, HOME6 = "2a01:4f8:2::1", "2a01:4f8:2::2"
FIREWALL6 = """
table inet forwarding {
  chain pass { }
  chain forward {
    type filter hook forward priority 0; policy drop;
    iifname "lan" accept
    ct state established,related accept
    meta l4proto ipv6-icmp accept
    jump pass
  }
}
"""
OUTSIDE = "9.9.1.2"
MAPPED = f"/ip4/{OUTSIDE}/tcp/{PORT}"


@pytest.fixture(scope="module")
def net() -> Iterator[Net]:
    with open_net("miniupnpd") as net:
        net.switch("wan")
        net.make("pub", "nat", "home")
        net.plug("pub", "wan", "9.9.1.1")
        net.plug("nat", "wan", OUTSIDE)
        net.switch("lan")
        net.plug("nat", "lan", "192.168.1.1", device="lan")
        net.plug("home", "lan", "192.168.1.2")
        net.route("home", "192.168.1.1")
        net.router("nat", inside="192.168.1.0/24")
        yield net


@pytest.fixture(scope="module")
def both(net: Net) -> Net:
    """The same with IPv6, which no NAT changes."""
    net.run("nat", "sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/all/forwarding")
    for place, device, address in (
        ("pub", "wan", PUB6), ("nat", "wan", NAT6), ("nat", "lan", LAN6), ("home", "wan", HOME6),
    ):  # fmt: skip
        net.address(place, device, address, 64)
    net.run("home", "ip", "-6", "route", "add", "default", "via", LAN6)
    net.run("pub", "ip", "-6", "route", "add", "2a01:4f8:2::/64", "via", NAT6)
    return net


@pytest.fixture
def net6(both: Net) -> Iterator[Net]:
    """And with a firewall that lets nothing in of IPv6; miniupnpd takes it along when it ends."""
    both.run("nat", "nft", "flush", "ruleset")
    both.run("nat", "nft", "-f", "-", text=FIREWALL6)
    yield both
    both.run("nat", "nft", "flush", "ruleset")


@contextmanager
def home(net: Net, **config: object) -> Iterator[NodeProcess]:
    listen = config.pop("listen_addresses", [f"/ip4/0.0.0.0/tcp/{PORT}"])
    with running(net.command("home"), listen_addresses=listen, port_mapping=True, **config) as node:
        yield node


def forwarded(net: Net, kind: str = "tcp") -> bool:
    rules = net.run("nat", "nft", "list", "ruleset").splitlines()
    number = {"tcp": "0x6 ", "udp": "0x11 "}[kind]  # by nft's version, the name or the bytes
    return any(f"dport {PORT} dnat" in each and (kind in each or number in each) for each in rules)


SPOKEN = pytest.mark.parametrize(
    ("offered", "spoken"),
    [({"upnp": False, "pcp": True}, "PCP"), ({"upnp": True, "pcp": False}, "UPnP")],
)


@SPOKEN
def test_a_router_forwards_our_port_until_we_leave(
    net: Net, tmp_path: Path, offered: dict[str, bool], spoken: str
) -> None:
    with miniupnpd(net, "nat", tmp_path, **offered):
        with home(net) as node:
            said = node("router")
            assert said == f"{spoken} forwards port {PORT} of {OUTSIDE} to us"
            assert f"{MAPPED}/p2p/{node.peer_id}" in node("addresses")
            assert forwarded(net)
            with running(net.command("pub"), listen_addresses=["/ip4/9.9.1.1/tcp/0"]) as pub:
                pub("connect", addresses=[f"{MAPPED}/p2p/{node.peer_id}"])
                assert pub("echo", peer=node.peer_id, body="in") == "in"
                assert node("dialback", peer=pub.peer_id, addresses=[MAPPED]) == "reached"
        assert not forwarded(net)


@SPOKEN
def test_a_router_forwards_the_port_of_quic_too(
    net: Net, tmp_path: Path, offered: dict[str, bool], spoken: str
) -> None:
    way = f"/ip4/{OUTSIDE}/udp/{PORT}/quic-v1"
    listen = [f"/ip4/0.0.0.0/{each}" for each in (f"tcp/{PORT}", f"udp/{PORT}/quic-v1")]
    with miniupnpd(net, "nat", tmp_path, **offered):
        with home(net, listen_addresses=listen, quic=True) as node:
            both = (
                f"{spoken} forwards {kind}port {PORT} of {OUTSIDE} to us" for kind in ("", "UDP ")
            )
            assert node("router") == "; ".join(both)
            assert f"{way}/p2p/{node.peer_id}" in node("addresses")
            assert forwarded(net, "udp")
            at_pub = ["/ip4/9.9.1.1/udp/4001/quic-v1"]
            with running(net.command("pub"), listen_addresses=at_pub, quic=True) as pub:
                pub("connect", addresses=[f"{way}/p2p/{node.peer_id}"])
                assert pub("echo", peer=node.peer_id, body="in") == "in"
                assert pub("where", peer=node.peer_id) == way
                assert node("dialback", peer=pub.peer_id, addresses=[way]) == "reached"
        assert not forwarded(net)
        assert not forwarded(net, "udp")


def test_without_such_a_router_the_node_says_so(net: Net) -> None:
    with home(net) as node:
        assert node("router") == "no router here forwards ports by itself"
        assert not any(OUTSIDE in each for each in node("addresses"))


def test_a_port_that_was_forwarded_by_hand_is_left_alone(net: Net, tmp_path: Path) -> None:
    with (
        miniupnpd(net, "nat", tmp_path, upnp=True, pcp=True),
        home(net, announce_addresses=[MAPPED]) as node,
    ):
        assert node("router") == ""
        assert not forwarded(net)


WITHOUT_PCP = """
table inet deaf {
  chain input { type filter hook input priority 0; udp dport 5351 drop; }
}
"""
"""miniupnpd 2.3.1 answers PCP over IPv6, whatever its settings say."""


def let_in(net: Net) -> bool:
    return f"dport {PORT}" in net.run("nat", "nft", "list", "chain", "inet", "forwarding", "pass")


@SPOKEN
def test_a_router_lets_in_what_comes_over_ipv6_until_we_leave(
    net6: Net, tmp_path: Path, offered: dict[str, bool], spoken: str
) -> None:
    """The router's firewall, not a NAT, is what stands between: PCP's MAP, UPnP's AddPinhole."""
    listen, there = [f"/ip6/::/tcp/{PORT}"], f"/ip6/{HOME6}/tcp/{PORT}"
    with running(net6.command("pub"), listen_addresses=[f"/ip6/{PUB6}/tcp/{PORT}"]) as pub:
        with home(net6, listen_addresses=listen) as node:
            node("connect", addresses=pub.addresses)
            assert node("dialback", peer=pub.peer_id, addresses=[there]) == "silent"
        if spoken == "UPnP":
            net6.run("nat", "nft", "-f", "-", text=WITHOUT_PCP)
        with miniupnpd(net6, "nat", tmp_path, **offered):
            with home(net6, listen_addresses=listen) as node:
                assert node("router") == f"{spoken} lets in port {PORT} of {HOME6} to us"
                assert let_in(net6)
                node("connect", addresses=pub.addresses)
                assert node("dialback", peer=pub.peer_id, addresses=[there]) == "reached"
                assert node("addresses").count(f"{there}/p2p/{node.peer_id}") == 1
            assert not let_in(net6)
