"""Joining works by list, by name and by memory, and one dead way costs only itself."""

import random

import pytest
import trio
from trio.testing import MockClock

from overlay import DhtConfig, HostConfig, PeerId, PeerUnavailable, generate_identity, open_host
from overlay.bootstrap import DIAL_S, ENOUGH_PEERS, join, resolve
from overlay.transport import PeerAddress

A = "/ip4/127.0.0.1/tcp/1/p2p/A"


class Dialer:
    """Answers for some peers, waits in vain for others."""

    def __init__(self, alive: str, silent: str = "") -> None:
        self.alive, self.silent = alive, silent
        self.dialed: list[str] = []

    async def connect(self, addresses) -> PeerId:
        name = addresses[0].rpartition("/p2p/")[2]
        self.dialed.append(name)
        await trio.lowlevel.checkpoint()
        if name in self.silent:
            await trio.sleep_forever()
        if name not in self.alive:
            raise PeerUnavailable("refused")
        return PeerId(name)


def rng() -> random.Random:
    return random.Random(3)  # noqa: S311  (an order)


def listed(names: str) -> list[str]:
    return [f"/ip4/127.0.0.1/tcp/1/p2p/{name}" for name in names]


async def test_joining_stops_when_a_few_answered() -> None:
    dialer = Dialer("ABCDEFGHIJKL")
    answered = await join(dialer.connect, listed("ABCDEFGHIJKL"), [], rng=rng())
    assert ENOUGH_PEERS <= answered < 12


async def test_the_memory_is_tried_when_the_list_is_dead(autojump_clock: MockClock) -> None:
    dialer = Dialer("M", silent="AB")
    remembered = [PeerAddress(PeerId("M"), ("/ip4/127.0.0.1/tcp/2",))]
    start_s = trio.current_time()
    assert await join(dialer.connect, listed("ABC"), remembered, rng=rng()) == 1
    assert set(dialer.dialed) == set("ABCM")
    assert trio.current_time() - start_s <= DIAL_S


async def test_further_ways_are_tried_before_the_memory() -> None:
    dialer = Dialer("M")
    remembered = [PeerAddress(PeerId("M"), ("/ip4/127.0.0.1/tcp/2",))]

    async def meet() -> int:
        await trio.lowlevel.checkpoint()
        return ENOUGH_PEERS

    assert await join(dialer.connect, [], remembered, rng=rng(), more=[meet]) >= ENOUGH_PEERS
    assert await join(dialer.connect, [], [], rng=rng(), more=[meet, meet]) == 2 * ENOUGH_PEERS


async def test_nobody_is_no_error() -> None:
    assert await join(Dialer("").connect, listed("A"), [], rng=rng()) == 0
    assert await join(Dialer("").connect, [], [], rng=rng()) == 0


async def txt(name: str) -> list[str]:
    await trio.lowlevel.checkpoint()
    return {
        "_dnsaddr.swarm.example": [
            f"dnsaddr={A}",
            "dnsaddr=/dnsaddr/more.example/p2p/B",
            "v=spf1 -all",
        ],
        "_dnsaddr.more.example": ["dnsaddr=/ip4/127.0.0.1/tcp/2/p2p/B", f"dnsaddr={A}"],
        "_dnsaddr.loop.example": ["dnsaddr=/dnsaddr/loop.example"],
        "_dnsaddr.many.example": [f"dnsaddr=/ip4/1.1.1.1/tcp/{n}/p2p/A" for n in range(999)],
    }[name]


@pytest.mark.parametrize(
    ("address", "found"),
    [
        (A, [A]),
        ("/dnsaddr/swarm.example", [A, "/ip4/127.0.0.1/tcp/2/p2p/B"]),
        ("/dnsaddr/swarm.example/p2p/A", [A]),
        ("/dnsaddr/loop.example", []),
        ("/dns4/localhost/tcp/9/p2p/A", ["/ip4/127.0.0.1/tcp/9/p2p/A"]),
    ],
)
async def test_names_resolve(address, found) -> None:
    assert await resolve(address, txt) == found


async def test_a_name_cannot_flood_us() -> None:
    assert len(await resolve("/dnsaddr/many.example", txt)) == 64


async def test_a_name_that_does_not_resolve_is_unavailable() -> None:
    with pytest.raises(PeerUnavailable):
        await resolve("/dns4/no-such-host.invalid/tcp/1/p2p/A", txt)


async def test_after_a_restart_a_node_joins_without_its_bootstrap(tmp_path) -> None:
    def config(state: str = "", bootstrap: tuple[str, ...] = ()) -> HostConfig:
        return HostConfig(
            listen_addresses=("/ip4/127.0.0.1/tcp/0",),
            network="test",
            dht=DhtConfig(explore_interval_s=0),
            state_directory=state,
            bootstrap=bootstrap,
        )

    def clock() -> float:
        return 1_800_000_000.0

    identity, state = generate_identity(), str(tmp_path / "state")
    async with open_host(config(), generate_identity(), clock=clock) as other:
        async with open_host(config(state, other.addresses), identity, clock=clock) as node:
            with trio.fail_after(20):
                assert await node.join() == 1
            node.gate.standing.ban("12D3KooWBad", "flood", clock())
        async with open_host(config(state), identity, clock=clock) as node:
            with trio.fail_after(20):
                assert await node.join() == 1
            assert node.connected_peers() == (other.peer_id,)
            assert node.gate.banned(PeerId("12D3KooWBad"))
