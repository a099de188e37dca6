"""Hole punching through real NATs, between network namespaces (`make conformance`).

relay 9.9.1.1 --+-- wan
nata  9.9.1.2 --+     192.168.1.0/24: a, c
natb  9.9.1.3 --+     192.168.2.0/24: b
pub   9.9.1.4 --+
"""

from collections.abc import AsyncGenerator, Iterator
from contextlib import ExitStack, asynccontextmanager

import pytest
import trio

from tests.namespaces import Net, open_net
from tests.overlay.js_peer import JsPeer, open_js_peer
from tests.overlay.reach.node_process import NodeProcess, running

PORT = 4001
HERE = [f"/ip4/0.0.0.0/tcp/{PORT}"]
NATS = {"nata": ("9.9.1.2", "192.168.1"), "natb": ("9.9.1.3", "192.168.2")}
INSIDE = {"a": ("nata", "192.168.1.2"), "c": ("nata", "192.168.1.3"), "b": ("natb", "192.168.2.2")}
SYMMETRIC = "fully-random"


@pytest.fixture(scope="module")
def net() -> Iterator[Net]:
    with open_net() as net:
        build(net)
        yield net


def build(net: Net) -> None:
    net.switch("wan")
    net.make("relay", "pub")
    net.plug("relay", "wan", "9.9.1.1")
    net.plug("pub", "wan", "9.9.1.4")
    for nat, (outside, inside) in NATS.items():
        net.make(nat)
        net.switch(f"{nat}-lan")
        net.plug(nat, "wan", outside)
        net.plug(nat, f"{nat}-lan", f"{inside}.1", device="lan")
    for place, (nat, address) in INSIDE.items():
        net.make(place)
        net.plug(place, f"{nat}-lan", address)
        net.route(place, address.rpartition(".")[0] + ".1")


def masquerade(net: Net, **how: str) -> None:
    """Start the routers afresh."""
    for nat, (_, inside) in NATS.items():
        net.run(nat, "nft", "flush", "ruleset")
        net.router(nat, inside=f"{inside}.0/24", how=how.get(nat, ""))


class Swarm:
    """A relay, and nodes in their places."""

    def __init__(self, net: Net, stack: ExitStack) -> None:
        self._net, self._stack = net, stack
        self.relay = self.start("relay", listen_addresses=[f"/ip4/9.9.1.1/tcp/{PORT}"], relay={})

    def start(self, place: str, **config: object) -> NodeProcess:
        return self._stack.enter_context(running(self._net.command(place), **config))

    def provider(self, place: str, **config: object) -> tuple[NodeProcess, list[str]]:
        """A node that is reached through the relay, and how."""
        config.setdefault("listen_addresses", HERE)
        node = self.start(place, relays=self.relay.addresses, **config)
        found = node.until("addresses", lambda each: any("p2p-circuit" in a for a in each))
        return node, [each for each in found if "p2p-circuit" in each]

    def requester(self, place: str, **config: object) -> NodeProcess:
        config.setdefault("listen_addresses", HERE)
        node = self.start(place, **config)
        node("connect", addresses=self.relay.addresses)
        return node


@pytest.fixture
def swarm(net: Net) -> Iterator[Swarm]:
    masquerade(net)
    with ExitStack() as stack:
        yield Swarm(net, stack)


def punched(node: NodeProcess, other: NodeProcess | JsPeer) -> str:
    return node.until("where", bool, peer=other.peer_id)


def test_two_nodes_behind_two_nats_become_direct_and_leave_the_relay(swarm: Swarm) -> None:
    provider, ways = swarm.provider("b")
    requester = swarm.requester("a")
    requester("connect", addresses=ways)
    assert requester("echo", peer=provider.peer_id, body="through the relay") == "through the relay"
    assert punched(requester, provider) == f"/ip4/9.9.1.3/tcp/{PORT}"
    assert punched(provider, requester) == f"/ip4/9.9.1.2/tcp/{PORT}"
    left = requester.until("ways", lambda each: len(each) == 1, peer=provider.peer_id)
    assert left == [f"/ip4/9.9.1.3/tcp/{PORT}"]
    assert requester("echo", peer=provider.peer_id, body="directly") == "directly"


def test_through_a_symmetric_nat_the_connection_stays_relayed_and_works(
    net: Net, swarm: Swarm
) -> None:
    masquerade(net, nata=SYMMETRIC)
    provider, ways = swarm.provider("b")
    requester = swarm.requester("a")
    requester("connect", addresses=ways)
    assert provider.until("punches", lambda each: each["failed"], within_s=60)["succeeded"] == 0
    assert requester("where", peer=provider.peer_id) == ""
    assert requester("echo", peer=provider.peer_id, body="still here") == "still here"


def test_a_peer_that_can_be_dialed_is_dialed(swarm: Swarm) -> None:
    provider, ways = swarm.provider("b")
    requester = swarm.requester("pub")
    requester("connect", addresses=ways)
    assert punched(provider, requester) == f"/ip4/9.9.1.4/tcp/{PORT}"
    assert requester("echo", peer=provider.peer_id, body="hi") == "hi"


def test_two_nodes_behind_one_nat_meet_at_their_private_addresses(swarm: Swarm) -> None:
    provider, ways = swarm.provider("c")
    requester = swarm.requester("a")
    requester("connect", addresses=ways)
    assert punched(requester, provider) == f"/ip4/192.168.1.3/tcp/{PORT}"


def test_it_can_be_switched_off(swarm: Swarm) -> None:
    provider, ways = swarm.provider("b", hole_punching=False)
    requester = swarm.requester("a")
    requester("connect", addresses=ways)
    assert requester("echo", peer=provider.peer_id, body="hi") == "hi"
    assert requester.until("where", bool, within_s=3, peer=provider.peer_id) == ""


QUIC = {"quic": True, "listen_addresses": [*HERE, f"/ip4/0.0.0.0/udp/{PORT}/quic-v1"]}


def test_where_the_nat_has_no_hole_for_tcp_quic_finds_one(net: Net, swarm: Swarm) -> None:
    """The NAT of the one who dials gives TCP, and only TCP, another port to each destination."""
    rule = 'insert rule ip nat from_inside oifname "wan" meta l4proto tcp masquerade fully-random'
    net.run("nata", "nft", rule)
    provider, ways = swarm.provider("b", **QUIC)
    requester = swarm.requester("a", **QUIC)
    requester("connect", addresses=ways)
    assert punched(requester, provider) == f"/ip4/9.9.1.3/udp/{PORT}/quic-v1"
    assert punched(provider, requester) == f"/ip4/9.9.1.2/udp/{PORT}/quic-v1"
    left = requester.until("ways", lambda each: len(each) == 1, peer=provider.peer_id)
    assert left == [f"/ip4/9.9.1.3/udp/{PORT}/quic-v1"]
    assert requester("echo", peer=provider.peer_id, body="by quic") == "by quic"


def test_a_relay_of_quic_tells_where_the_nat_has_put_our_port(net: Net, swarm: Swarm) -> None:
    """Both NATs give UDP another port than ours, the same to everybody; nobody can guess it.

    Ours is one that no other test has used: the NATs remember the flows of those.
    """
    for nat, port in (("nata", 5001), ("natb", 5002)):
        rule = (
            f'insert rule ip nat from_inside oifname "wan" meta l4proto udp masquerade to :{port}'
        )
        net.run(nat, "nft", rule)
    only = {"quic": True, "listen_addresses": ["/ip4/0.0.0.0/udp/4003/quic-v1"]}
    swarm.relay = swarm.start(
        "relay", listen_addresses=["/ip4/9.9.1.1/udp/4002/quic-v1"], quic=True, relay={}
    )
    provider, ways = swarm.provider("b", **only)
    requester = swarm.requester("a", **only)
    requester("connect", addresses=ways)
    assert punched(requester, provider) == "/ip4/9.9.1.3/udp/5002/quic-v1"
    assert punched(provider, requester) == "/ip4/9.9.1.2/udp/5001/quic-v1"
    assert requester("echo", peer=provider.peer_id, body="by quic") == "by quic"


PUBLIC = f"/ip4/9.9.1.4/tcp/{PORT}"
JS = {"listen": f"/ip4/0.0.0.0/tcp/{PORT}"}


async def js_is_direct(js: JsPeer, peer_id: str) -> bool:
    """Wait until js-libp2p has a connection that no relay carries."""
    with trio.move_on_after(30):
        while all("p2p-circuit" in each for each in await js("ways", peer=peer_id)):  # noqa: ASYNC110
            await trio.sleep(0.1)
        return True
    return False


async def test_js_libp2p_behind_a_nat_is_asked_by_us(net: Net, swarm: Swarm) -> None:
    """It dials us through the relay; we ask, and it dials what the relay sees of us."""
    ours, ways = swarm.provider("pub", announce_addresses=[f"/ip4/10.9.9.9/tcp/{PORT}"])
    async with open_js_peer("test", "dcutr", prefix=net.command("a"), **JS) as js:
        await js("dial", address=f"{ways[0]}")
        assert await js_is_direct(js, ours.peer_id)
        assert ours.until("punches", lambda each: each["succeeded"])["succeeded"] == 1


@asynccontextmanager
async def js_behind_a_nat(
    net: Net, swarm: Swarm, announce: str = ""
) -> AsyncGenerator[tuple[JsPeer, str]]:
    """js-libp2p in place a, reached through our relay; and how."""
    async with open_js_peer(
        "test", "dcutr", prefix=net.command("a"), announce=announce, **JS
    ) as js:
        await js("listen", address=f"{swarm.relay.addresses[0]}/p2p-circuit")
        with trio.fail_after(30):
            while not (way := [a for a in await js("addresses") if "p2p-circuit" in a]):  # noqa: ASYNC110
                await trio.sleep(0.1)
        yield js, way[0]


async def test_js_libp2p_asks_us_and_we_dial_through_its_router(net: Net, swarm: Swarm) -> None:
    """Both behind NATs; the port of js-libp2p is forwarded, and it names that when it asks."""
    net.run(
        "nata", "nft", f"add rule ip nat to_inside iifname wan tcp dport {PORT} dnat to 192.168.1.2"
    )
    async with js_behind_a_nat(net, swarm, f"/ip4/9.9.1.2/tcp/{PORT}") as (js, way):
        ours = swarm.requester("b")
        ours("connect", addresses=[way])
        assert await js_is_direct(js, ours.peer_id)
        assert punched(ours, js) == f"/ip4/9.9.1.2/tcp/{PORT}"


async def test_js_libp2p_behind_a_nat_dials_us_when_we_can_be_dialed(
    net: Net, swarm: Swarm
) -> None:
    async with js_behind_a_nat(net, swarm) as (js, way):
        ours = swarm.requester("pub")
        ours("connect", addresses=[way])
        assert await js_is_direct(js, ours.peer_id)
        assert punched(ours, js).startswith("/ip4/9.9.1.2/tcp/")


async def test_we_ask_js_libp2p_from_behind_a_nat_that_lets_everybody_in(
    net: Net, swarm: Swarm
) -> None:
    """Ours keeps its port open to all who come (RFC 4787, endpoint-independent filtering)."""
    net.run(
        "natb", "nft", f"add rule ip nat to_inside iifname wan tcp dport {PORT} dnat to 192.168.2.2"
    )
    ours, ways = swarm.provider("b")
    async with open_js_peer("test", "dcutr", prefix=net.command("a"), **JS) as js:
        await js("dial", address=ways[0])
        assert await js_is_direct(js, ours.peer_id)
        assert ours.until("punches", lambda each: each["succeeded"])["succeeded"] == 1
        assert punched(ours, js).startswith("/ip4/9.9.1.2/tcp/")


async def test_between_two_strict_nats_js_libp2p_stays_relayed_and_works(
    net: Net, swarm: Swarm
) -> None:
    """Its TCP dials from another port than it listens on, so no hole of its own is ever there."""
    async with js_behind_a_nat(net, swarm) as (js, way):
        ours = swarm.requester("b")
        ours("connect", addresses=[way])
        with trio.move_on_after(8):
            assert not await js_is_direct(js, ours.peer_id)
        assert ours("where", peer=js.peer_id) == ""
        said = ours("echo", peer=js.peer_id, body="desserts", protocol="/interop/1")
        assert said == "stressed"


async def test_js_libp2p_learns_from_us_that_it_is_reachable(net: Net, swarm: Swarm) -> None:
    """By AutoNAT: it tells nobody its public address before somebody dialed it there."""
    async with open_js_peer("test", "autonat", prefix=net.command("pub"), **JS) as js:
        assert not any("9.9.1.4" in each for each in await js("addresses"))
        await js("dial", address=swarm.relay.addresses[0])
        with trio.fail_after(30):
            while not any("9.9.1.4" in each for each in await js("addresses")):  # noqa: ASYNC110
                await trio.sleep(0.1)


def test_two_nodes_on_one_lan_find_each_other_by_multicast_dns(net: Net) -> None:
    """Nobody told them of anybody; a third, which did not switch it on, stays alone."""
    with ExitStack() as stack:
        one, other, silent = (
            stack.enter_context(
                running(net.command(place), listen_addresses=[listen], local_discovery=on)
            )
            for place, listen, on in (
                ("a", HERE[0], True), ("c", HERE[0], True), ("c", "/ip4/0.0.0.0/tcp/4002", False),
            )
        )  # fmt: skip
        assert one.until("peers", bool) == [other.peer_id]
        assert other("peers") == [one.peer_id]
        assert silent("peers") == []
