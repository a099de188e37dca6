"""Gossip over sixty nodes at ten messages a second, in two processes over loopback TCP.

A delivery counts when it comes within `PATIENCE_S` of the last message; its delay is told too. The
clock is the machine's monotonic one, which all processes share.
"""

import random
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Final

import trio

from overlay.gossip.service import GossipConfig
from overlay.host import DhtConfig, HostConfig, open_host
from overlay.identity import generate_identity
from overlay.node import Node
from overlay.soak.child import Child, answer_forever, open_child
from overlay.soak.rows import Row

NODES: Final = 60
PROCESSES: Final = 2
RATE_PER_S: Final = 10.0
DEGREE: Final = 4
MESSAGE_BYTES: Final = 300
SETTLE_S: Final = 8.0
PATIENCE_S: Final = 5.0
PERCENT_MIN: Final = 99.0
TOPIC: Final = "quotes"
LOOPBACK: Final = ("/ip4/127.0.0.1/tcp/0",)


def run(seconds: float) -> list[Row]:
    """Publish for *seconds*; return one row."""
    results = trio.run(_run, seconds)
    published = sum(each["published"] for each in results)
    delivered = sum(each["delivered"] for each in results)
    delays_ms = sorted(delay for each in results for delay in each["delays_ms"])
    percent = 100 * delivered / max(1, published * (NODES - 1))
    cpu_ms = 1000 * sum(each["cpu_s"] for each in results) / max(1, delivered)
    p50, p99 = (delays_ms[int(len(delays_ms) * share)] for share in (0.5, 0.99))
    return [
        Row(
            f"gossip of {published} messages over {NODES} nodes at {RATE_PER_S:.0f}/s",
            f"{percent:.2f} % delivered, p50 {p50:.0f} ms, p99 {p99:.0f} ms, "
            f"{cpu_ms:.2f} ms of CPU a delivery",
            f"{PERCENT_MIN:.0f} % within {PATIENCE_S:.0f} s of the last",
            percent >= PERCENT_MIN,
            {
                "delivered_percent": percent,
                "p50_ms": p50,
                "p99_ms": p99,
                "cpu_ms_per_delivery": cpu_ms,
            },
        )
    ]


async def _run(seconds: float) -> list[dict[str, Any]]:
    async with AsyncExitStack() as stack:
        children = [await stack.enter_async_context(open_child("member")) for _ in range(PROCESSES)]
        everybody: list[list[str]] = []
        for child in children:
            everybody += await child.ask({"open": NODES // PROCESSES})
        for turn, child in enumerate(children):
            await child.ask({"link": everybody, "seed": turn})
        await trio.sleep(SETTLE_S)
        results: list[dict[str, Any]] = []

        async def publish(child: Child) -> None:
            results.append(await child.ask({"publish": seconds}))

        async with trio.open_nursery() as nursery:
            for child in children:
                nursery.start_soon(publish, child)
        return results


@dataclass(slots=True)
class _Members:
    """The nodes of one process."""

    nodes: list[Node] = field(default_factory=list)
    delays_ms: list[float] = field(default_factory=list)
    published: int = 0


async def member() -> None:
    """Be half of the nodes; see `overlay.soak.child`."""
    members = _Members()
    async with trio.open_nursery() as nursery, AsyncExitStack() as stack:

        async def answer(asked: dict[str, Any]) -> object:
            if "open" in asked:
                return await _open(members, asked["open"], stack, nursery)
            if "link" in asked:
                return await _link(members, asked["link"], asked["seed"])
            return await _publish(members, asked["publish"])

        await answer_forever(answer)


async def _open(
    members: _Members, count: int, stack: AsyncExitStack, nursery: trio.Nursery
) -> list[tuple[str, ...]]:
    config = HostConfig(
        listen_addresses=LOOPBACK,
        network="soak",
        gossip=GossipConfig(),
        dht=DhtConfig(explore_interval_s=0),
    )
    for _ in range(count):
        opened = open_host(config, generate_identity(), clock=time.time)  # noqa: TID251
        node = await stack.enter_async_context(opened)
        members.nodes.append(node)
        nursery.start_soon(_follow, node, members)
    return [node.addresses for node in members.nodes]


async def _follow(node: Node, members: _Members) -> None:
    async with node.subscribe(TOPIC, lambda *_: True, queued_max=4096) as messages:
        async for message in messages:
            if message.source != node.peer_id:
                sent_s = float(message.data[:24])
                members.delays_ms.append(1000 * (time.perf_counter() - sent_s))


async def _link(members: _Members, everybody: list[list[str]], seed: int) -> int:
    """Connect each of ours to a few of all, and to its neighbour, so that all hang together."""
    rng = random.Random(seed)  # noqa: S311  (a topology)
    by_id = {addresses[0].rpartition("/")[2]: addresses for addresses in everybody}
    order = list(by_id)
    for node in members.nodes:
        before = order[order.index(node.peer_id) - 1]
        for other in {before, *rng.sample(order, DEGREE)} - {node.peer_id}:
            await node.connect(by_id[other])
    return len(order)


async def _publish(members: _Members, seconds: float) -> dict[str, object]:
    rng = random.Random(len(members.nodes))  # noqa: S311  (who speaks)
    before_s, count = time.process_time(), int(seconds * RATE_PER_S / PROCESSES)
    start_s = trio.current_time()
    for number in range(count):
        await trio.sleep_until(start_s + number * PROCESSES / RATE_PER_S)
        text = f"{time.perf_counter():<24f}".encode()
        await rng.choice(members.nodes).publish(TOPIC, text.ljust(MESSAGE_BYTES))
    await trio.sleep(PATIENCE_S)
    return {
        "published": count,
        "delivered": len(members.delays_ms),
        "delays_ms": members.delays_ms,
        "cpu_s": time.process_time() - before_s,
    }
