"""Floods of gossip, and what they do to honest messages.

Three processes: the node that is attacked, its attackers, and the honest nodes around it, who take
the time. Three conditions take turns, several times, so that what else the machine does falls on
all of them alike: **quiet** (nobody attacks), **next door** (the same flood against a second node
like the first one, which shows what the flood costs the machine), **flooded**. Every attack is the
first one that its node sees of these ids and addresses: what was learnt in the round before helps
it no more. A quiet phase begins `RECOVERY_S` after a flood, and so is also the recovery.

Of each condition counts the median of the p99s of its phases. A message that was lost took
for ever.
"""

import math
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import trio

from overlay.identity import generate_identity
from overlay.node import Node
from overlay.soak.child import Child, open_child
from overlay.soak.flooders import ATTACKERS, CHUNK_S, FLOOD_PER_S, TOPIC, open_flooded
from overlay.soak.rows import Row
from overlay.transport import GossipMessage

PUBLISHERS: Final = 8
PUBLISHED_PER_S: Final = 40.0
"""By all of them: no author goes beyond its budget of five a second."""
ROUNDS: Final = 5
PHASE_S_MIN: Final = 2.5
RECOVERY_S: Final = 5.0
SETTLE_S: Final = 3.0
LATE_S: Final = 1.0
"""How long we wait for the last message of a phase."""
FACTOR: Final = 2.0
SLACK_MS: Final = 2.0
"""Two ticks of the scheduler that the honest process waits for with other programs; see the row
"next door" for what a flood costs the machine."""
GROWTH_MIB_MAX: Final = 64.0


class Condition(StrEnum):
    """What happens while we take the time."""

    QUIET = "quiet"
    NEXT_DOOR = "next door"
    FLOODED = "flooded"


FLOODS: Final = (("forged", 1), ("forged", 10), ("replayed", 10), ("sound", 10))
"""Kinds (see `overlay.soak.flooders.messages_of`), each from so many addresses."""
ATTACKS: Final = (Condition.NEXT_DOOR, Condition.FLOODED)


@dataclass(slots=True)
class _Honest:
    """Nodes around the one that is attacked: some publish, one reads."""

    publishers: list[Node]
    delays_ms: dict[bytes, float] = field(default_factory=dict)

    async def measure(self, seconds: float) -> float:
        """Publish for *seconds*; return the p99 of the delay at the reader, in ms."""
        count = int(seconds * PUBLISHED_PER_S)
        self.delays_ms = {}
        start_s = trio.current_time()
        for number in range(count):
            await trio.sleep_until(start_s + number / PUBLISHED_PER_S)
            publisher = self.publishers[number % len(self.publishers)]
            await publisher.publish(TOPIC, repr(time.perf_counter()).encode())
        await trio.sleep(LATE_S)
        return p99_ms(self.delays_ms.values(), count)

    def note(self, message: GossipMessage) -> None:
        """Take the time of a message, if it is one of ours."""
        if any(message.source == each.peer_id for each in self.publishers):
            age_s = time.perf_counter() - float(message.data)
            self.delays_ms[message.data] = 1000 * age_s


class _Flood:
    """The attackers' process, and what they counted against each node."""

    def __init__(self, child: Child, kind: str, sources: int, chunks: int) -> None:
        self._child = child
        self.kind = kind
        self.sources = sources
        self._chunks = chunks
        self._attacks = 0
        self.counted: Counter[str] = Counter()

    async def prepare(self) -> None:
        """Make new ids, and all messages."""
        await self._child.ask({"prepare": self.kind, "chunks": self._chunks})

    async def attack(self, addresses: list[str]) -> None:
        """Flood a node from addresses that it has not seen yet."""
        self._attacks += 1
        sources = [f"127.0.{self._attacks}.{66 + each}" for each in range(self.sources)]
        question = {"addresses": addresses, "sources": sources, "chunks": self._chunks}
        self.counted.update(await self._child.ask({"attack": question}))
        await self._child.ask({"home": True})

    def words(self) -> str:
        """Say how much of the flood really came about."""
        each = defaultdict[str, float](float)  # nothing of a kind may have happened
        each.update({name: value / self._attacks for name, value in self.counted.items()})
        seconds = self._chunks * CHUNK_S
        return (
            f"offered {each['offered'] / seconds:.0f}/s, "
            f"{each['sent'] / seconds:.0f}/s got onto a connection; "
            f"{each['dials']:.0f} dials, {each['connected']:.0f} let in; "
            f"attackers {100 * each['core']:.0f} % of a core"
        )


def run(seconds: float) -> Iterator[Row]:
    """Hold each kind of flood against a node for about *seconds*; yield its rows when over."""
    for kind, sources in FLOODS:
        yield from trio.run(flood, seconds, kind, sources)


async def flood(seconds: float, kind: str, sources: int) -> list[Row]:
    """Hold one *kind* of flood from *sources* addresses against a node, for *seconds* in all."""
    phase_s = max(PHASE_S_MIN, seconds / ROUNDS / len(Condition))
    async with trio.open_nursery() as nursery, AsyncExitStack() as stack:
        target, decoy, attackers = [
            await stack.enter_async_context(open_child(role))
            for role in ("target", "target", "attackers")
        ]
        addresses = [(await each.ask({}))["addresses"] for each in (target, decoy)]
        honest = await _open_honest(stack, nursery, addresses[0])
        attack = _Flood(attackers, kind, sources, round(phase_s / CHUNK_S))
        p99s_ms: dict[Condition, list[float]] = {each: [] for each in Condition}
        await honest.measure(phase_s)  # the first messages find code and tables cold
        samples = [await target.ask({})]
        p99s_ms[Condition.QUIET].append(await honest.measure(phase_s))
        for _ in range(ROUNDS):
            for condition, attacked in zip(ATTACKS, reversed(addresses), strict=True):
                await attack.prepare()
                async with trio.open_nursery() as meanwhile:
                    meanwhile.start_soon(attack.attack, attacked)
                    p99s_ms[condition].append(await honest.measure(phase_s))
            samples.append(await target.ask({}))
            await trio.sleep(RECOVERY_S)
            p99s_ms[Condition.QUIET].append(await honest.measure(phase_s))
        nursery.cancel_scope.cancel()
    return _rows(attack, p99s_ms, samples)


async def _open_honest(
    stack: AsyncExitStack, nursery: trio.Nursery, addresses: list[str]
) -> _Honest:
    nodes = [
        await stack.enter_async_context(open_flooded(generate_identity()))
        for _ in range(PUBLISHERS + 1)
    ]
    for node in nodes:
        await node.connect(addresses)
    honest = _Honest(nodes[1:])
    nursery.start_soon(_read, nodes[0], honest.note)
    await trio.sleep(SETTLE_S)
    return honest


async def _read(node: Node, take: Callable[[GossipMessage], None]) -> None:
    async with node.subscribe(TOPIC, lambda *_: True, queued_max=4096) as messages:
        async for message in messages:
            take(message)


def p99_ms(delays_ms: Iterable[float], sent: int) -> float:
    """Return the p99 of so many messages; those without a delay were lost, and took for ever."""
    known_ms = sorted(delays_ms)
    rank = math.ceil(0.99 * sent)
    return known_ms[rank - 1] if rank <= len(known_ms) else math.inf


def verdict(p99s_ms: Mapping[Condition, list[float]]) -> bool:
    """Return whether the median of the flooded phases is at most doubled, but for `SLACK_MS`."""
    quiet_ms, flooded_ms = (
        statistics.median(p99s_ms[each]) for each in (Condition.QUIET, Condition.FLOODED)
    )
    return flooded_ms <= FACTOR * quiet_ms + SLACK_MS


def _rows(
    flood: _Flood, p99s_ms: dict[Condition, list[float]], samples: list[dict[str, Any]]
) -> list[Row]:
    medians_ms = {each: statistics.median(found) for each, found in p99s_ms.items()}
    first_ms = p99s_ms[Condition.QUIET][0]
    quiet_ms = medians_ms[Condition.QUIET]
    growth_mib = max(each["resident_mib"] for each in samples) - samples[0]["resident_mib"]
    figures = ", ".join(
        f"{each} {medians_ms[each]:.1f} ({min(found):.1f} to {max(found):.1f})"
        for each, found in p99s_ms.items()
    )
    return [
        Row(
            f"{flood.kind} quotes at {FLOOD_PER_S}/s from {ATTACKERS} peers at {flood.sources} "
            f"addresses ({flood.words()}): honest p99",
            f"{figures} ms; {samples[-1]['refused']}",
            f"flooded at most twice quiet and {SLACK_MS:.0f} ms, median of {ROUNDS} rounds",
            verdict(p99s_ms),
            {f"{each.name.lower()}_p99_ms": found for each, found in medians_ms.items()},
        ),
        Row(
            f"the same, {RECOVERY_S:.0f} s after each flood, and memory",
            f"{quiet_ms:.1f} ms, {first_ms:.1f} before the first; {growth_mib:+.0f} MiB",
            f"twice the first and {SLACK_MS:.0f} ms; {GROWTH_MIB_MAX:.0f} MiB",
            quiet_ms <= FACTOR * first_ms + SLACK_MS and growth_mib <= GROWTH_MIB_MAX,
            {"quiet_p99_ms": quiet_ms, "first_p99_ms": first_ms, "growth_mib": growth_mib},
        ),
    ]
