"""The DHT under churn and attack, in virtual time: the code that ships, a made-up wire."""

from collections.abc import Iterator
from functools import partial
from typing import Final

import trio
from trio.testing import MockClock

from overlay.dht.kademlia import Kademlia
from overlay.dht.keys import point_of, point_of_peer, provider_wire_key
from overlay.dht.model import DhtModel, open_model, populate
from overlay.dht.wire import Kind, Message
from overlay.ids import PeerId
from overlay.soak.rows import Row
from overlay.transport import PeerAddress

SYBILS: Final = 45
LOOKUP_S_MAX: Final = 60.0
PERCENT_MIN: Final = 99.0
IDS_TRIED: Final = 20_000
"""How many identities the attacker makes to get `SYBILS` near the key."""


def run(nodes: int, lookups: int) -> Iterator[Row]:
    """Run the three scenarios over *nodes* nodes with *lookups* look-ups each; yield their rows."""
    for scenario in (_killed, _surrounded, _parted):
        clock = MockClock(autojump_threshold=0)
        yield from trio.run(partial(scenario, nodes, lookups), clock=clock)


async def _killed(nodes: int, lookups: int) -> list[Row]:
    async with open_model(seed=11) as model:
        swarm = await populate(model, nodes)
        keys = await _provide_some(model, swarm[: nodes // 2])
        victims = model.rng.sample(swarm[nodes // 2 :], int(nodes * 0.3))
        for index, victim in enumerate(victims):
            model.kill(victim.table.own_id, silently=index % 2 == 0)
        found, slowest_s = await _look_up(model, keys, lookups)
    percent = 100 * found / lookups
    return [
        Row(
            f"30 % of {nodes} nodes killed at once, {lookups} look-ups",
            f"{percent:.1f} % found, slowest {slowest_s:.1f} s",
            f"{PERCENT_MIN:.0f} % within {LOOKUP_S_MAX:.0f} s",
            percent >= PERCENT_MIN and slowest_s <= LOOKUP_S_MAX,
            {"found_percent": percent, "slowest_s": slowest_s},
        )
    ]


async def _surrounded(nodes: int, lookups: int) -> list[Row]:
    found = 0
    rounds = max(1, lookups // 20)
    for number in range(rounds):
        async with open_model(seed=20 + number) as model:
            swarm = await populate(model, nodes // 2)
            key = model.rng.randbytes(32).hex()
            surround(model, key, swarm)
            provider = swarm[3]
            await provider.provide(key)
            askers = model.rng.sample(swarm[4:], 20)
            for asker in askers:
                named = {each.peer_id for each in await asker.find_providers(key, 20)}
                found += provider.table.own_id in named
    percent = 100 * found / (rounds * 20)
    return [
        Row(
            f"{SYBILS} Sybils nearest to a key, {rounds * 20} look-ups",
            f"{percent:.1f} % found an honest provider",
            f"{PERCENT_MIN:.0f} %",
            percent >= PERCENT_MIN,
            {"found_percent": percent},
        )
    ]


async def _parted(nodes: int, lookups: int) -> list[Row]:
    async with open_model(seed=31) as model:
        swarm = await populate(model, nodes // 2)
        half = [each.table.own_id for each in swarm[nodes // 4 :]]
        model.part(1, half)
        for node in swarm[::5]:
            with trio.move_on_after(60):
                await node.explore()
        model.part(0, half)
        for node in swarm:
            node.noticed(model.address(model.rng.choice(swarm)))
        await trio.sleep(30)
        for node in swarm:
            await node.explore()
        keys = await _provide_some(model, swarm[-20:])
        found, slowest_s = await _look_up(model, keys, lookups)
    percent = 100 * found / lookups
    return [
        Row(
            f"a partition of {nodes // 2} nodes healed, {lookups} look-ups",
            f"{percent:.1f} % found, slowest {slowest_s:.1f} s",
            f"{PERCENT_MIN:.0f} %",
            percent >= PERCENT_MIN,
            {"found_percent": percent, "slowest_s": slowest_s},
        )
    ]


def surround(model: DhtModel, key: str, swarm: list[Kademlia]) -> None:
    """Put `SYBILS` liars nearest to the plain position of *key*, known to all of *swarm*."""
    target = point_of(provider_wire_key(key, 0))
    ids = sorted((model.new_id() for _ in range(IDS_TRIED)), key=partial(_distance, target))
    liars = tuple(PeerAddress(each, (model.new_address(),)) for each in ids[:SYBILS])

    def lie(_sender: PeerAddress, _prefix: str, request: Message) -> Message:
        fakes = liars[:20] if request.kind is Kind.GET_PROVIDERS else ()
        return Message(request.kind, request.key, closer=liars[:20], providers=fakes)

    for liar in liars:
        model.add_liar(liar.peer_id, lie)
        for node in swarm:
            node.table.answered(liar, trio.current_time())


def _distance(target: int, peer_id: PeerId) -> int:
    return point_of_peer(peer_id) ^ target


async def _provide_some(model: DhtModel, providers: list[Kademlia]) -> list[str]:
    keys = []
    for provider in providers[:20]:
        key = model.rng.randbytes(32).hex()
        await provider.provide(key)
        keys.append(key)
    return keys


async def _look_up(model: DhtModel, keys: list[str], lookups: int) -> tuple[int, float]:
    found, slowest_s = 0, 0.0
    nodes = list(model.nodes.values())
    for number in range(lookups):
        start_s = trio.current_time()
        asker = model.rng.choice(nodes)
        found += bool(await asker.find_providers(keys[number % len(keys)], 20))
        slowest_s = max(slowest_s, trio.current_time() - start_s)
    return found, slowest_s
