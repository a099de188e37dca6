"""Nodes on IPv6, and on both, between network namespaces (`make conformance`).

relay 2a01:4f8:1::1 9.9.1.1 --+
both  2a01:4f8:1::2 9.9.1.2 --+-- wan
six   2a01:4f8:1::3         --+
"""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.namespaces import Net, open_net
from tests.overlay.reach.node_process import NodeProcess, running

PORT = 4001
SIX = {"relay": "2a01:4f8:1::1", "both": "2a01:4f8:1::2", "six": "2a01:4f8:1::3"}
FOUR = {"relay": "9.9.1.1", "both": "9.9.1.2"}
ANYWHERE = [f"/ip4/0.0.0.0/tcp/{PORT}", f"/ip6/::/tcp/{PORT}"]
FIREWALL = """
table inet filter {
  chain input {
    type filter hook input priority 0; policy drop;
    iif lo accept
    meta l4proto ipv6-icmp accept
    ct state established,related accept
  }
}
"""


@pytest.fixture(scope="module")
def net() -> Iterator[Net]:
    with open_net() as net:
        net.switch("wan")
        net.make(*SIX)
        for place, address in SIX.items():
            net.plug(place, "wan", address)
            if place in FOUR:
                net.address(place, "wan", FOUR[place])
        yield net


class Nodes:
    def __init__(self, net: Net, stack: ExitStack) -> None:
        self._net, self._stack = net, stack

    def run(self, place: str, **config: object) -> NodeProcess:
        config.setdefault("listen_addresses", ANYWHERE)
        return self._stack.enter_context(running(self._net.command(place), **config))


@pytest.fixture
def nodes(net: Net) -> Iterator[Nodes]:
    with ExitStack() as stack:
        yield Nodes(net, stack)


def at(node: NodeProcess, ip: str) -> list[str]:
    return [each for each in node.addresses if f"/{ip}/" in each]


def test_a_node_on_both_is_reached_on_either_and_dials_back_there(nodes: Nodes) -> None:
    both, other = nodes.run("both"), nodes.run("relay")
    for own, ip in ((SIX["relay"], SIX["both"]), (FOUR["relay"], FOUR["both"])):
        kind = "ip6" if ":" in ip else "ip4"
        assert at(both, ip) == [f"/{kind}/{ip}/tcp/{PORT}/p2p/{both.peer_id}"]
        with ExitStack() as stack:
            asker = stack.enter_context(
                running(nodes._net.command("relay"), listen_addresses=[f"/{kind}/{own}/tcp/4002"])
            )
            asker("connect", addresses=at(both, ip))
            assert asker("where", peer=both.peer_id) == f"/{kind}/{ip}/tcp/{PORT}"
            assert both("where", peer=asker.peer_id) == f"/{kind}/{own}/tcp/4002"
            assert asker("echo", peer=both.peer_id, body=ip) == ip
            for port, reply in ((4002, "reached"), (9, "silent")):
                asked = [f"/{kind}/{own}/tcp/{port}"]
                assert asker("dialback", peer=both.peer_id, addresses=asked) == reply
    assert other.peer_id


def test_a_node_on_ipv6_alone_is_reached_through_a_relay(net: Net, nodes: Nodes) -> None:
    net.run("six", "nft", "-f", "-", text=FIREWALL)
    try:
        relay = nodes.run("relay", relay={})
        hidden = nodes.run(
            "six", listen_addresses=[f"/ip6/::/tcp/{PORT}"], relays=at(relay, SIX["relay"])
        )
        found = hidden.until("addresses", lambda each: any("p2p-circuit" in a for a in each))
        way = [each for each in found if "p2p-circuit" in each]
        buyer = nodes.run("both")
        buyer("connect", addresses=at(relay, FOUR["relay"]))
        buyer("connect", addresses=way)
        assert buyer("echo", peer=hidden.peer_id, body="hi") == "hi"
        punched = hidden.until("where", bool, peer=buyer.peer_id)
        assert punched == f"/ip6/{SIX['both']}/tcp/{PORT}"
    finally:
        net.run("six", "nft", "flush", "ruleset")


def test_two_nodes_behind_firewalls_of_ipv6_meet_by_a_hole(net: Net, nodes: Nodes) -> None:
    for place in ("six", "both"):
        net.run(place, "nft", "-f", "-", text=FIREWALL)
    try:
        relay = nodes.run("relay", relay={})
        six = [f"/ip6/::/tcp/{PORT}"]
        seller = nodes.run("six", listen_addresses=six, relays=at(relay, SIX["relay"]))
        found = seller.until("addresses", lambda each: any("p2p-circuit" in a for a in each))
        buyer = nodes.run("both", listen_addresses=six)
        buyer("connect", addresses=at(relay, SIX["relay"]))
        buyer("connect", addresses=[each for each in found if "p2p-circuit" in each])
        way = buyer.until("where", bool, within_s=40, peer=seller.peer_id)
        assert way == f"/ip6/{SIX['six']}/tcp/{PORT}"
        assert buyer("echo", peer=seller.peer_id, body="hi") == "hi"
    finally:
        for place in ("six", "both"):
            net.run(place, "nft", "flush", "ruleset")


def test_the_peers_of_one_prefix_share_its_places(nodes: Nodes) -> None:
    """Connections are counted for a /48, so that a /64 full of addresses gains nothing."""
    full = nodes.run("both", limits={"connections": {"total": 300, "prefix": 1, "peer": 4}})
    first = nodes.run("six", listen_addresses=[f"/ip6/::/tcp/{PORT}"])
    first("connect", addresses=at(full, SIX["both"]))
    second = nodes.run("relay")
    try:
        second("connect", addresses=at(full, SIX["both"]))
    except AssertionError:
        pass
    assert full.until("peers", lambda each: second.peer_id not in each) == [first.peer_id]


def test_two_nodes_on_one_lan_find_each_other_over_ipv6_alone(nodes: Nodes) -> None:
    """By multicast DNS, at the address of IPv6 that no link-local one stands for."""
    six = [f"/ip6/::/tcp/{PORT}"]
    one = nodes.run("six", listen_addresses=six, local_discovery=True)
    other = nodes.run("both", listen_addresses=six, local_discovery=True)
    assert one.until("peers", bool) == [other.peer_id]
    assert other("peers") == [one.peer_id]
    assert one("where", peer=other.peer_id) == f"/ip6/{SIX['both']}/tcp/{PORT}"
