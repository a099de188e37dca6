"""The DHT as a whole, in virtual time: it finds, survives, and is not fooled."""

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from overlay.dht.kademlia import REPLICAS, interleave
from overlay.dht.keys import POSITIONS, point_of, point_of_peer, provider_wire_key, value_wire_key
from overlay.dht.model import open_model, populate
from overlay.dht.table import STALE_S
from overlay.dht.wire import Kind, Message
from overlay.transport import PeerAddress

KEY = "ab" * 32


@pytest.fixture
async def model(autojump_clock: MockClock):
    async with open_model(seed=5) as model:
        yield model


async def test_everybody_finds_a_provider(model, autojump_clock) -> None:
    nodes = await populate(model, 60)
    took = await nodes[3].provide(KEY)
    assert took >= REPLICAS
    for node in nodes[::7]:
        found = await node.find_providers(KEY, 20)
        assert [each.peer_id for each in found] == [nodes[3].table.own_id]
        assert found[0].addresses


async def test_the_record_lies_at_the_nearest_of_both_positions(model, autojump_clock) -> None:
    nodes = await populate(model, 60)
    await nodes[3].provide(KEY)
    for position in range(POSITIONS):
        wire_key = provider_wire_key(KEY, position)
        target = point_of(wire_key)
        nearest = sorted(nodes, key=lambda each: point_of_peer(each.table.own_id) ^ target)[:5]
        holders = [each for each in nearest if each.server.providers.get(wire_key, 0, 1)]
        assert len(holders) >= 4


async def test_after_joining_the_bootstrap_may_vanish(model, autojump_clock) -> None:
    nodes = await populate(model, 30)
    await nodes[7].provide(KEY)
    for bootstrap in nodes[:3]:
        model.kill(bootstrap.table.own_id, silently=True)
    newcomer = model.add()
    await model.join(newcomer, nodes[20])
    assert await newcomer.find_providers(KEY, 20)


@pytest.mark.parametrize("silently", [True, False])
async def test_right_after_a_third_was_killed_lookups_succeed_at_once(
    model, silently, autojump_clock
) -> None:
    nodes = await populate(model, 80)
    provider = nodes[0]
    await provider.provide(KEY)
    for victim in model.rng.sample(nodes[1:], 24):
        model.kill(victim.table.own_id, silently=silently)
    slowest_s = 0.0
    for node in list(model.nodes.values())[1::4]:
        start_s = trio.current_time()
        assert await node.find_providers(KEY, 20)
        slowest_s = max(slowest_s, trio.current_time() - start_s)
    assert slowest_s < (2.0 if silently else 0.5)


async def test_dead_peers_leave_the_tables(model, autojump_clock) -> None:
    nodes = await populate(model, 20)
    victim = nodes[5].table.own_id
    model.kill(victim, silently=False)
    assert any(victim in node.table for node in nodes)
    living = {node.table.own_id: len(node.table) - (victim in node.table) for node in nodes}
    await trio.sleep(STALE_S)
    for node in model.nodes.values():
        while node.table.stale(trio.current_time(), 1):
            await node.tidy()
    assert not any(victim in node.table for node in model.nodes.values())
    for peer_id, node in model.nodes.items():
        assert len(node.table) >= living[peer_id] > 0, "only the dead have left"


async def test_a_node_that_was_cut_off_finds_back_by_itself(model, autojump_clock) -> None:
    nodes = await populate(model, 20)
    await nodes[3].provide(KEY)
    lonely = nodes[10]
    model.part(1, [lonely.table.own_id])
    for _ in range(3):
        await lonely.explore()
    assert len(lonely.table) < 3
    model.part(0, [lonely.table.own_id])
    assert await lonely.find_providers(KEY, 20)
    await lonely.explore()
    assert len(lonely.table) > 10


async def test_sybils_around_a_key_do_not_hide_its_provider(model, autojump_clock) -> None:
    nodes = await populate(model, 60)
    target = point_of(provider_wire_key(KEY, 0))
    ids = sorted((model.new_id() for _ in range(6000)), key=lambda e: point_of_peer(e) ^ target)
    sybils = [PeerAddress(each, (model.new_address(),)) for each in ids[:45]]
    for sybil in sybils:

        def lie(_sender: PeerAddress, _prefix: str, request: Message) -> Message:
            fakes = tuple(sybils[:20]) if request.kind is Kind.GET_PROVIDERS else ()
            return Message(request.kind, request.key, closer=tuple(sybils[:20]), providers=fakes)

        model.add_liar(sybil.peer_id, lie)
        for node in nodes:
            node.table.answered(sybil, trio.current_time())
    await nodes[3].provide(KEY)
    for node in nodes[10::10]:
        found = [each.peer_id for each in await node.find_providers(KEY, 20)]
        assert nodes[3].table.own_id in found


async def test_a_parted_swarm_finds_together_again(model, autojump_clock) -> None:
    nodes = await populate(model, 30)
    half = [each.table.own_id for each in nodes[15:]]
    model.part(1, half)
    await nodes[20].provide(KEY)
    with trio.move_on_after(30):
        await nodes[2].find_providers(KEY, 20)
    model.part(0, half)
    for node in nodes[:3]:
        node.noticed(model.address(nodes[20]))
    await trio.sleep(5)
    for node in nodes:
        await node.explore()
    await nodes[20].provide(KEY)
    assert await nodes[2].find_providers(KEY, 20)


@given(st.binary(min_size=32, max_size=32))
def test_positions_of_one_key_are_far_apart(digest) -> None:
    for wire_key in (provider_wire_key, value_wire_key):
        text = digest.hex() if wire_key is provider_wire_key else f"/cocoon/{digest.hex()}"
        points = [point_of(wire_key(text, position)) for position in range(3)]
        assert len({point >> 252 for point in points}) == 3
    assert value_wire_key(f"/cocoon/{digest.hex()}", 0) == f"/cocoon/{digest.hex()}".encode()


def test_no_list_fills_the_merged_one_alone() -> None:
    def named(*names: str) -> list[PeerAddress]:
        return [PeerAddress(name, ()) for name in names]

    merged = interleave([named("a", "b", "c"), named("x"), [], named("a", "y")], 4)
    assert [each.peer_id for each in merged] == ["a", "x", "b", "y"]
