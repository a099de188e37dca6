"""What following a topic costs a node while nobody speaks: ``python -m overlay.bench.topics``.

Whole libp2p hosts over the in-memory transport, in virtual time, all connected to all, each
following so many topics: CPU and bytes are those of one host, of which a part does not depend on
topics (pings, the DHT). CPU is that of this machine; bytes are those that a TCP socket would get.
"""

import argparse
import json
import logging
import time
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from typing import Final

import trio
from trio.testing import MockClock

from overlay._libp2p_memory import MemoryEther, open_memory_ether
from overlay.gossip.limits import TOPICS_MAX
from overlay.identity import generate_identity
from overlay.memory import EPOCH_UNIX_S
from overlay.node import Node
from overlay.soak.rows import resident_mib

HOSTS: Final = 12
COUNTS: Final = (1, 10, TOPICS_MAX)
SETTLE_S: Final = 60.0
MEASURED_S: Final = 300.0


@dataclass(frozen=True, slots=True)
class Cost:
    """What one of `HOSTS` hosts spends.

    Attributes:
        topics: how many it follows.
        cpu_ms_per_s: of virtual time.
        sent_bytes_per_s: on all its connections together.
        resident_mib: more than before, for each host.
    """

    topics: int
    cpu_ms_per_s: float
    sent_bytes_per_s: float
    resident_mib: float


async def measure(topics: int) -> Cost:
    """Let hosts follow so many topics for `MEASURED_S`, and say nothing."""
    before_mib = resident_mib()
    async with (
        open_memory_ether(network="bench", clock=_clock, between=lambda *_: 0.02) as ether,
        AsyncExitStack() as stack,
    ):
        hosts: list[Node] = []
        for _ in range(HOSTS):
            hosts.append(await _open(stack, ether, topics))
            for other in hosts[:-1]:
                await hosts[-1].connect(other.addresses)
        await trio.sleep(SETTLE_S)
        cpu_s, sent_bytes = time.process_time(), ether.sent_bytes
        await trio.sleep(MEASURED_S)
        return Cost(
            topics,
            1000 * (time.process_time() - cpu_s) / HOSTS / MEASURED_S,
            (ether.sent_bytes - sent_bytes) / HOSTS / MEASURED_S,
            (resident_mib() - before_mib) / HOSTS,
        )


async def _open(stack: AsyncExitStack, ether: MemoryEther, topics: int) -> Node:
    host = await stack.enter_async_context(ether.open_host(generate_identity()))
    for number in range(topics):
        await stack.enter_async_context(host.subscribe(f"class {number}", lambda *_: True))
    return host


def _clock() -> float:
    return EPOCH_UNIX_S + trio.current_time()


def main() -> None:
    """Measure each count and print a line."""
    parser = argparse.ArgumentParser(prog="python -m overlay.bench.topics", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON, one object a line")
    as_json = parser.parse_args().json
    logging.disable(logging.ERROR)
    for topics in COUNTS:
        cost = trio.run(measure, topics, clock=MockClock(autojump_threshold=0))
        words = (
            f"{cost.topics:4} topics: {cost.cpu_ms_per_s:.2f} ms of CPU and "
            f"{cost.sent_bytes_per_s:.0f} bytes a second, {cost.resident_mib:+.2f} MiB"
        )
        print(json.dumps(asdict(cost)) if as_json else words, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
