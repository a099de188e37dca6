"""Many peers come, speak, misbehave and leave: what a node keeps of them ends, or has a bound."""

import ast
import itertools
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import trio
from trio.testing import MockClock

from overlay import OverlayError, Stream, generate_identity
from overlay._libp2p_forget import EQUIVOCATIONS_WATCHED
from overlay._libp2p_gossip import rpc_pb2
from overlay._libp2p_memory import MemoryEther, open_memory_ether
from overlay._libp2p_reach import OBSERVERS_MAX
from overlay.dht.store import PROVIDER_LIFETIME_S
from overlay.dht.table import LOST_MAX
from overlay.limits import standing
from overlay.memory import EPOCH_UNIX_S
from overlay.node import Node
from overlay.protobuf import framed
from overlay.soak.census import count_entries
from overlay.soak.flooders import MESHSUB, TOPIC, messages_of

OVERLAY = Path(__file__).parent.parent.parent / "overlay"
CROWD = 12
ABSENCE_S = 4000.0
"""After so long no fault in gossip matters any more; that of others is made to fade as fast."""
BOUNDED = {
    "Observations._mapped": OBSERVERS_MAX,
    "Observations._seen": OBSERVERS_MAX,
    "RoutingTable._lost": LOST_MAX,
    "Router.equivocation_detection": EQUIVOCATIONS_WATCHED,
}
"""What fills up to a bound, and stays."""
PROVIDED = {"ProviderStore._keys", "ProviderStore._keys[]", "ProviderStore._of_peer"}
"""Kept for two days, which is what the DHT is for."""


def clock() -> float:
    return EPOCH_UNIX_S + trio.current_time()


async def echo(stream: Stream) -> None:
    await stream.send(await stream.receive())


async def visit(ether: MemoryEther, node: Node, number: int) -> None:
    """Come as a new peer, do what peers do, and leave."""
    identity = generate_identity()
    async with ether.open_host(identity) as guest:
        guest.serve("/echo/1", echo, streams_max=8)
        deaf = number % 3 == 0
        if deaf:  # it takes no gossip stream, so that it is never quite a neighbour
            guest._driver._host.get_mux().handlers.pop(MESHSUB)
        await guest.connect(node.addresses)
        async with guest.subscribe(TOPIC, lambda *_: True):
            await trio.sleep(1)
            await guest.publish(TOPIC, b"hello %d" % number)
            for here, there in ((guest, node), (node, guest)):
                await here.request(there.peer_id, "/echo/1", b"x")
            await guest.provide(b"key %d" % number)
            kind = "sound" if deaf else ("forged", "replayed")[number % 2]
            await speak(guest, node, [*itertools.islice(messages_of(identity, kind), 4)])
            node.gate.blame(guest.peer_id, number % 4, "a fault")
            await trio.sleep(1)


async def speak(guest: Node, node: Node, said: list[bytes]) -> None:
    announced = rpc_pb2.RPC(
        subscriptions=[rpc_pb2.RPC.SubOpts(subscribe=True, topicid=f"cocoon/soak/{TOPIC}")]
    ).SerializeToString()
    with suppress(OverlayError):  # whoever is banned is cut off
        stream = await guest._driver.open_stream(node.peer_id, MESHSUB)
        await stream.write(framed(announced) + b"".join(said))


def tasks_below(task: trio.lowlevel.Task) -> int:
    return 1 + sum(
        tasks_below(each) for nursery in task.child_nurseries for each in nursery.child_tasks
    )


async def test_what_a_node_keeps_of_peers_that_left_does_not_grow(
    monkeypatch, autojump_clock: MockClock
) -> None:
    monkeypatch.setattr(time, "time", clock)  # libp2p's own clock for backoffs
    monkeypatch.setattr(standing, "HALF_LIFE_S", 600.0)
    counts: list[Counter[str]] = []
    tasks: list[int] = []
    async with (
        open_memory_ether(network="soak", clock=clock, between=lambda *_: 0.01) as ether,
        ether.open_host(generate_identity()) as node,
        node.subscribe(TOPIC, lambda *_: True, queued_max=4),
    ):
        node.serve("/echo/1", echo, streams_max=8)
        for crowd in range(3):
            for number in range(CROWD):
                await visit(ether, node, crowd * CROWD + number)
            await trio.sleep(ABSENCE_S)
            counts.append(count_entries(node))
            tasks.append(tasks_below(trio.lowlevel.current_root_task()))
    first, *_, last = counts
    grown = {name for name, size in last.items() if size >= first[name] + CROWD // 4}
    assert grown - PROVIDED <= set(BOUNDED)
    assert all(last[name] <= most for name, most in BOUNDED.items())
    assert tasks[-1] <= tasks[0]
    assert ABSENCE_S * 3 < PROVIDER_LIFETIME_S, "else these would be gone, too"


def caches(tree: ast.Module) -> list[tuple[str, bool, bool]]:
    """Return each function with a cache: its name, and whether it has arguments and a bound."""
    found = []
    for function in (each for each in ast.walk(tree) if isinstance(each, ast.FunctionDef)):
        for text in map(ast.unparse, function.decorator_list):
            if "cache" in text and "cached_property" not in text:
                takes = bool(ast.unparse(function.args))
                found.append((function.name, takes, "maxsize=" in text and "None" not in text))
    return found


def test_every_cache_of_the_package_has_a_bound() -> None:
    found = [
        each
        for path in OVERLAY.rglob("*.py")
        if path.parent.name not in ("soak", "bench")  # these end
        for each in caches(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert len(found) > 10
    assert [name for name, takes, bounded in found if takes and not bounded] == []
