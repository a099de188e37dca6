"""Customers that cheat at one step of a job, beside honest ones; and what they leave behind."""

import gc
import logging
import os
import resource
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import trio

from cocoon.errors import CocoonError, NoProvider
from cocoon.requester.events import JobProgress
from cocoon.requester.plan import JobRequest
from contracts.errors import ContractError
from overlay.errors import OverlayError
from overlay.soak.census import count_entries, grown
from overlay.soak.quiet import silenced
from overlay.soak.rows import Row
from overlay.transport import Host
from simulations.soak.saboteur import Memory, Saboteur
from simulations.soak.stall import TOKENS, Customer, Stall, open_customer

JOBS_PER_CHEAT: Final = 6
"""At most; most of them owe too much to be served long before."""
HONEST_S: Final = 240.0
BETWEEN_S: Final = 0.3
SETTLE_S: Final = 60.0
CLOSE_S: Final = 8.0
GROWTH_MIB_MAX: Final = 64.0
TASKS_MAX: Final = 24
FILES_MAX: Final = 24
ENTRIES_MIN: Final = 500
"""Of a container that doubled; less is what follows the number of customers with a deposit."""
OURS: Final = ("open_stall.", "EmbeddedChain.")
"""What the soak itself keeps, and its chain."""
TYPED: Final = (CocoonError, OverlayError, ContractError)

Purchase = Callable[[Stall, Customer], Awaitable[int]]
"""Buys one job and returns what was paid for it.

Raises:
    CocoonError: it failed, or its result is wrong.
    trio.TooSlowError: it took too long.
"""


@dataclass(slots=True)
class Done:
    """What happened meanwhile.

    Attributes:
        faults: what ended in another way than it has to.
    """

    jobs: int = 0
    cheats: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    honest: int = 0
    failed: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


class Bugs(logging.Handler):
    """Counts what the overlay calls a bug in a handler: a refusal that has no type."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Note the error."""
        error = record.exc_info[1] if record.exc_info else None
        self.found.append(f"{record.getMessage()}: {error!r}"[:300])


@contextmanager
def bugs_counted() -> Iterator[Bugs]:
    """Count what the overlay logs as an error, and print nothing of it."""
    bugs, logger = Bugs(), logging.getLogger("overlay.rpc")
    propagated, logger.propagate = logger.propagate, False
    logger.addHandler(bugs)
    try:
        with silenced(logging.WARNING):
            yield bugs
    finally:
        logger.removeHandler(bugs)
        logger.propagate = propagated


# --- honest customers ---


async def ignore(_event: JobProgress) -> None:
    """Hear of a step of a job."""
    await trio.lowlevel.checkpoint()


async def buy_chat(stall: Stall, customer: Customer) -> int:
    """Buy a chat, whose text must be what the stub says; see `Purchase`."""
    with trio.fail_after(HONEST_S):
        result = await customer.requester.run(stall.request, ignore)
    if result.text != " tok" * TOKENS:
        raise CocoonError(f"wrong text: {result.text[:80]!r}")
    return result.paid_nanoton


async def _buy_forever(stall: Stall, customer: Customer, buy: Purchase, done: Done) -> None:
    while True:
        done.honest += 1
        try:
            await buy(stall, customer)
        except (*TYPED, trio.TooSlowError) as error:
            done.failed.append(f"{type(error).__name__}: {error}"[:300])
        await trio.sleep(BETWEEN_S)


async def beside_honest(
    stall: Stall,
    honest: Customer,
    purchases: Sequence[Purchase],
    attackers: Sequence[Callable[[], Awaitable[None]]],
    done: Done,
) -> None:
    """Run all *attackers* to their end, while *honest* buys."""
    async with trio.open_nursery() as buying:
        for each in purchases:
            buying.start_soon(_buy_forever, stall, honest, each, done)
        async with trio.open_nursery() as attacking:
            for attack in attackers:
                attacking.start_soon(attack)
        buying.cancel_scope.cancel()


# --- customers that cheat ---


async def cheat_until(
    stall: Stall,
    memory: Memory,
    jobs: int,
    done: Done,
    order: Callable[[], tuple[JobRequest, float]],
) -> None:
    """Open one cheating customer after the other, until *jobs* are done.

    Args:
        stall: whom they cheat.
        memory: of all that they do.
        jobs: of all cheats together.
        done: counts them.
        order: returns what is bought next, and for how many seconds its customer waits.
    """
    while done.jobs < jobs:
        done.cheats += 1
        name = f"cheat-{done.cheats}"

        def disguise(host: Host, payer: Any) -> Host:  # noqa: ANN401  (a payer's service)
            return cast("Host", Saboteur(host, payer, memory))

        async with open_customer(stall, name, disguise) as cheat:
            for _ in range(JOBS_PER_CHEAT):
                if done.jobs >= jobs:
                    break
                done.jobs += 1
                if not await _cheat_once(cheat, done, *order()):
                    break
            await _close_badly(cheat, done)


async def _cheat_once(cheat: Customer, done: Done, request: JobRequest, patience_s: float) -> bool:
    """Order one job; return whether this customer is served again."""
    outcome = "cut"
    with trio.move_on_after(patience_s):
        try:
            await cheat.requester.run(request, ignore)
            outcome = "done"
        except TYPED as error:
            outcome = type(error).__name__
    done.outcomes[outcome] += 1
    return outcome != NoProvider.__name__


async def _close_badly(cheat: Customer, done: Done) -> None:
    """Ask for the end of each channel, mostly with a damaged wish."""
    for status in cheat.payer.list_channels():
        with trio.move_on_after(CLOSE_S):
            try:
                await cheat.requester.close_channel(status.address)
                done.outcomes["closed"] += 1
            except TYPED:
                done.outcomes["not closed"] += 1


# --- what is left behind ---


@dataclass(frozen=True, slots=True)
class Held:
    """What this process and those below it hold."""

    rss_mib: float
    tasks: int
    files: int
    processes: int

    @classmethod
    def now(cls) -> "Held":
        """Take stock."""
        gc.collect()
        below = processes_below()
        every = [os.getpid(), *below]
        return cls(sum(map(_rss_mib, every)), _tasks(), sum(map(_files, every)), len(below))

    def since(self, before: "Held") -> "Held":
        """Return what is held more than *before*."""
        return Held(
            self.rss_mib - before.rss_mib,
            self.tasks - before.tasks,
            self.files - before.files,
            self.processes - before.processes,
        )


def processes_below() -> list[int]:
    """Return the processes that this one started, and those that they started."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = path.read_text().rsplit(")", 1)[1].split()[:2]
        except OSError:
            continue
        if state != "Z":
            children.setdefault(int(parent), []).append(int(path.parent.name))
    found: list[int] = []
    waiting = [os.getpid()]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def _rss_mib(pid: int) -> float:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except OSError:  # it has ended
        return 0.0
    return pages * resource.getpagesize() / (1 << 20)


def _files(pid: int) -> int:
    try:
        return len(list(Path(f"/proc/{pid}/fd").iterdir()))
    except OSError:
        return 0


def _tasks() -> int:
    return trio.lowlevel.current_statistics().tasks_living


@dataclass(frozen=True, slots=True)
class Stock:
    """What was there before the attack."""

    held: Held
    entries: Counter[str]

    @classmethod
    def of(cls, stall: Stall) -> "Stock":
        """Take stock of *stall*, which is at rest."""
        return cls(Held.now(), count_entries(stall.provider))

    async def settled(self, stall: Stall) -> tuple[Held, dict[str, str]]:
        """Wait until what the cheats left behind has ended.

        Returns:
            what is held more than before, and the containers that doubled.
        """
        with trio.move_on_after(SETTLE_S):
            while _is_busy(stall) or _tasks() > self.held.tasks:  # noqa: ASYNC110
                await trio.sleep(0.5)
        now = count_entries(stall.provider)
        doubled = grown(self.entries, now, entries_min=ENTRIES_MIN)
        doubled = {name: how for name, how in doubled.items() if not name.startswith(OURS)}
        return Held.now().since(self.held), doubled


def _is_busy(stall: Stall) -> bool:
    return any(sale.pool.free_slots < sale.pool.size for sale in stall.provider.sales)


def row_of_jobs(name: str, done: Done, growth: Held, doubled: dict[str, str], bugs: Bugs) -> Row:
    """Return what the attack did to others."""
    seen = [*done.failed, *done.faults, *bugs.found]
    return Row(
        name,
        f"{len(done.failed)} of {done.honest} honest jobs meanwhile failed, "
        f"{len(done.faults)} ended in another way than they have to, "
        f"{len(bugs.found)} refusals without a type, {growth.rss_mib:+.1f} MiB, "
        f"{growth.tasks:+d} tasks, {growth.files:+d} files, {growth.processes:+d} processes; "
        f"doubled: {doubled or 'nothing'}{''.join(f'; {each}' for each in seen[:3])}",
        f"no honest job fails, every refusal has a type, at most {GROWTH_MIB_MAX:.0f} MiB, "
        f"{TASKS_MAX} tasks and {FILES_MAX} files, no process",
        not seen
        and growth.rss_mib <= GROWTH_MIB_MAX
        and growth.tasks <= TASKS_MAX
        and growth.files <= FILES_MAX
        and growth.processes <= 0,
        {
            "jobs": done.jobs,
            "customers": done.cheats,
            "honest_jobs": done.honest,
            "honest_failed": len(done.failed),
            "wrong_ends": len(done.faults),
            "untyped_refusals": len(bugs.found),
            "growth_mib": growth.rss_mib,
            "growth_tasks": growth.tasks,
            "growth_files": growth.files,
            "growth_processes": growth.processes,
        },
    )
