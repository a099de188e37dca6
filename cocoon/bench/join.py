"""How soon a newcomer to a swarm of 20 nodes knows a price."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

import trio

from cocoon.bench.figures import Join, spread
from cocoon.bench.market import Market, Say
from cocoon.demo.processes import open_child

MEMBER: Final = "cocoon.bench.member"
SWARM_NODES: Final = 20
CROWD_PROCESSES: Final = 2
SETTLE_S: Final = 3.0
"""Routing tables and gossip meshes fill in for a moment after the last one joined."""


@asynccontextmanager
async def open_crowd(market: Market, directory: Path, say: Say) -> AsyncIterator[None]:
    """Fill the swarm up to `SWARM_NODES` for the length of the block."""
    plain = SWARM_NODES - 2
    share = plain // CROWD_PROCESSES
    say(f"starting {plain} more nodes in {CROWD_PROCESSES} processes")
    async with AsyncExitStack() as stack:
        for number in range(CROWD_PROCESSES):
            home = directory / f"crowd-{number}"
            home.mkdir(parents=True)
            arguments = ["crowd", "--home", str(home), "--bootstrap", market.bootstrap]
            arguments += ["--nodes", str(share)]
            child = open_child(f"crowd {number}", arguments, home / "log", module=MEMBER)
            await stack.enter_async_context(child)
        await trio.sleep(SETTLE_S)
        yield


async def measure_join(market: Market, directory: Path, say: Say, *, newcomers: int) -> Join:
    """Let newcomers join one after another, each in a process of its own."""
    started_ms, quoted_ms, joined_ms = list[float](), list[float](), list[float]()
    for number in range(newcomers):
        home = directory / f"newcomer-{number}"
        home.mkdir(parents=True)
        arguments = ["newcomer", "--home", str(home), "--bootstrap", market.bootstrap]
        began_s = trio.current_time()
        async with open_child("newcomer", arguments, home / "log", module=MEMBER) as child:
            started_ms.append(1000 * (trio.current_time() - began_s))
            quoted_ms.append(float(str(child.ready["first_quote_ms"])))
            joined_ms.append(float(str(child.ready["join_ms"])))
        say(f"join: newcomer {number + 1}: first quote after {quoted_ms[-1]:.0f} ms")
    return Join(
        nodes=SWARM_NODES,
        layout=(
            f"first node, provider and newcomer: a process each; the other {SWARM_NODES - 2} "
            f"in {CROWD_PROCESSES} processes; one of them all sells"
        ),
        from_process_start_ms=spread(started_ms, 1),
        from_open_node_ms=spread(quoted_ms, 1),
        join_ms=spread(joined_ms, 1),
    )
