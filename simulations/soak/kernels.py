"""A provider of kernels under attack: by what its customers order, and by how they behave.

The stall sells kernels to the same swarm that buys chats from it. Its workers are real processes,
and so are the confined ones that compile, translate and run what is ordered. Three kinds of
customers come: honest ones; those who pay as agreed for a job that does harm
(`simulations.soak.orders`), which has to end as such a job must, at its price; and those whose
job may be sound and who cheat at one step, or lose their patience (`simulations.soak.cheats`).
"""

import os
import random
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

import trio

from cocoon.config_kernels import KernelsConfig
from cocoon.errors import CocoonError
from cocoon.kernel_profiles import KernelDevice
from cocoon.market.price import cost
from cocoon.messages import Meter, PriceSchedule, RefusalCode
from cocoon.requester.bill import Bill
from cocoon.requester.events import JobProgress, Negotiated
from cocoon.requester.plan import JobRequest
from contracts.assets import assets_directory
from contracts.units import NO_MONEY
from overlay.soak.rows import Row
from simulations.soak.books import add_up
from simulations.soak.cheats import (
    HONEST_S,
    TYPED,
    Bugs,
    Done,
    Held,
    Stock,
    beside_honest,
    bugs_counted,
    buy_chat,
    cheat_until,
    ignore,
    processes_below,
    row_of_jobs,
)
from simulations.soak.orders import (
    LIMIT,
    MARK,
    REFUSED,
    HostileOrder,
    Terms,
    honest_request,
    honest_result,
    large_request,
    orders,
)
from simulations.soak.saboteur import Memory
from simulations.soak.stall import Customer, Stall, open_customer, open_stall

SLOTS: Final = 3
"""One for each kind of customer; who finds none free waits, as buyers do."""
CHUNK_MS: Final = {"cpu": 2, "cuda": 100}
TERMS: Final[dict[KernelDevice, Terms]] = {
    "cpu": Terms("cpu", honest_ms=2_000, limit_ms=20),
    "cuda": Terms("cuda", honest_ms=5_000, limit_ms=200),
}
"""A millisecond of a CPU is so many instructions, wherever it is; one of a card is time."""
STOOD_STILL: Final = ("was stopped after", "of processor time")
"""A machine that stood still for seconds stops a kernel before its fuel does; a card always so."""
ORDER_S: Final = 240.0
CHEAT_S: Final = 20.0
SLOW_FROM: Final = 50
"""From so many orders on there are some among them that take a minute."""
HASTE: Final = 0.4
"""Share of the cheats that leave after `HASTE_S` at most, whatever their job is at."""
HASTE_S: Final = 3.0
SOUND_SHARE: Final = 0.6
"""Share of the cheats' jobs that are sound: in them there is something to pay for."""


def run(jobs: int, *, seed: int = 1, device: KernelDevice = "cpu") -> Iterator[Row]:
    """Attack a provider of kernels with *jobs* orders, half of them by customers that pay.

    Args:
        jobs: in all.
        seed: of all that is random.
        device: what runs the kernels. For ``cuda`` a card must be found by the workers.

    Yields:
        one row about the jobs, one about the money, one about what is left when all have gone.
    """
    with tempfile.TemporaryDirectory(prefix="cocoon-soak-") as folder:
        yield from trio.run(_run, Path(folder), jobs, seed, TERMS[device])


class _Attack:
    """What is done to a stall."""

    def __init__(self, stall: Stall, terms: Terms, rng: random.Random, jobs: int) -> None:
        self.stall = stall
        self.terms = terms
        self.rng = rng
        self.jobs = jobs
        self.done = Done()
        self.cheating = Done()
        self.memory = Memory(rng)
        self.orders = orders(terms, rng, slow=jobs >= SLOW_FROM)
        self.kinds: set[str] = set()

    async def run(self, honest: Customer, payer: Customer) -> None:
        """Attack, while *honest* buys; *payer* pays for what does harm."""

        async def buy_kernel(_: Stall, customer: Customer) -> int:
            return await _buy_kernel(self.terms, customer)

        async def order() -> None:
            while self.done.jobs < self.jobs - self.jobs // 2:
                self.done.jobs += 1
                await self._order(payer, next(self.orders))

        async def cheat() -> None:
            jobs = self.jobs // 2
            await cheat_until(self.stall, self.memory, jobs, self.cheating, self._next_of_cheat)

        await beside_honest(self.stall, honest, [buy_chat, buy_kernel], [order, cheat], self.done)
        self.done.faults += self.cheating.faults
        self.done.cheats = self.cheating.cheats

    def _next_of_cheat(self) -> tuple[JobRequest, float]:
        """Return a job, and for how long its customer waits."""
        sound = self.rng.choice((honest_request, large_request))(self.terms)
        is_sound = self.rng.random() < SOUND_SHARE
        request = sound if is_sound else next(self.orders).request
        in_haste = self.rng.random() < HASTE
        return request, self.rng.uniform(0, HASTE_S) if in_haste else CHEAT_S

    async def _order(self, payer: Customer, order: HostileOrder) -> None:
        """Buy what does harm, and note what is wrong with how it ends, or with its price."""
        bill, prices = Bill(), [PriceSchedule()]

        async def listen(event: JobProgress) -> None:
            await trio.lowlevel.checkpoint()
            if isinstance(event, Negotiated):
                prices.append(event.schedule)

        end, note, metered_ms = "unended", "", 0
        with trio.move_on_after(ORDER_S):
            try:
                result = await payer.requester.run(order.request, listen, bill)
            except TYPED as error:
                end, note = _refusal(error), str(error)
            else:
                end, note, metered_ms = result.finish.value, result.note, result.metered_ms
        self.kinds.add(order.kind)
        self.done.outcomes[end] += 1
        due = cost(prices[-1], Meter(gpu_ms=metered_ms)) if metered_ms else NO_MONEY
        most_ms = order.request.job.limits.time_ms
        if end == LIMIT and any(words in note for words in STOOD_STILL):
            self.done.outcomes["stopped by the clock"] += 1
        elif end not in order.ends:
            self.done.faults.append(f"{order.kind!r} ended {end!r}: {note}"[:300])
        elif end == LIMIT and metered_ms != most_ms:
            self.done.faults.append(f"{order.kind!r} was stopped after {metered_ms} ms")
        if metered_ms > most_ms:
            self.done.faults.append(f"{order.kind!r} was billed for {metered_ms} ms")
        if bill.paid_nanoton != due:
            self.done.faults.append(f"{order.kind!r} cost {bill.paid_nanoton}, not {due} nanoton")

    def row(self, growth: Held, doubled: dict[str, str], bugs: Bugs) -> Row:
        """Return what came of it."""
        tried = ", ".join(f"{count} {what}" for what, count in sorted(self.done.outcomes.items()))
        cheated = self.cheating.outcomes
        cut = ", ".join(f"{count} {what}" for what, count in sorted(cheated.items()))
        name = (
            f"{self.done.jobs} orders of {len(self.kinds)} kinds of harmful kernels ({tried}); "
            f"{self.cheating.jobs} of {self.cheating.cheats} customers that cheat at one step or "
            f"leave ({len(self.memory.done)} kinds of cheat: {cut})"
        )
        return row_of_jobs(name, self.done, growth, doubled, bugs)


def _refusal(error: Exception) -> str:
    """Return how a job ended that has no receipt: refused, unless the provider failed."""
    return "failed" if RefusalCode.INTERNAL.value in str(error) else REFUSED


async def _buy_kernel(terms: Terms, customer: Customer) -> int:
    """Buy a kernel that is sound; see `simulations.soak.cheats.Purchase`."""
    with trio.fail_after(HONEST_S):
        result = await customer.requester.run(honest_request(terms), ignore)
    if result.data != honest_result():
        raise CocoonError(f"wrong result of {len(result.data)} bytes: {result.note}")
    return result.paid_nanoton


async def _run(home: Path, jobs: int, seed: int, terms: Terms) -> list[Row]:
    before = set(processes_below())
    with bugs_counted() as bugs, _private_folders(home) as folders:
        async with _open(home, terms) as (stall, honest, payer):
            attack = _Attack(stall, terms, random.Random(seed), jobs)  # noqa: S311
            stock = Stock.of(stall)
            await attack.run(honest, payer)
            row = attack.row(*await stock.settled(stall), bugs)
            books = await add_up(stall, [honest, payer])
        return [row, books, _row_of_rest(home, folders, set(processes_below()) - before)]


@asynccontextmanager
async def _open(home: Path, terms: Terms) -> AsyncIterator[tuple[Stall, Customer, Customer]]:
    """Run a stall and its customers, who have all bought already."""
    kernels = KernelsConfig(
        enabled=True, device=terms.device, slots=SLOTS, chunk_ms=CHUNK_MS[terms.device]
    )
    async with (
        open_stall(home, kernels) as stall,
        open_customer(stall, "honest") as honest,
        open_customer(stall, "payer") as payer,
    ):
        for each in (honest, payer):
            await buy_chat(stall, each)
            await _buy_kernel(terms, each)
        yield stall, honest, payer


@contextmanager
def _private_folders(home: Path) -> Iterator[tuple[Path, Path]]:
    """Let all processes have their temporary files and caches where we can look."""
    temporary, cache = home / "tmp", home / "cache"
    for folder in (temporary, cache):
        folder.mkdir()
    kept = dict(os.environ)
    os.environ["COCOON_ASSETS"] = str(assets_directory())  # else they would be in the cache
    os.environ |= {"TMPDIR": str(temporary), "XDG_CACHE_HOME": str(cache)}
    try:
        yield temporary, cache
    finally:
        os.environ.clear()
        os.environ |= kept


def _row_of_rest(home: Path, folders: tuple[Path, Path], processes: set[int]) -> Row:
    """Return what is left when the stall has closed."""
    files = [path for path in home.rglob("*") if path.is_file()]
    kept = [path for path in files if any(map(path.is_relative_to, folders))]
    kept += [path for path in files if MARK.encode() in path.read_bytes()]
    names = [str(path.relative_to(home)) for path in kept]
    return Row(
        "what is left when the provider has closed",
        f"{len(processes)} processes, {len(kept)} files of customers"
        f"{''.join(f'; {each}' for each in names[:3])}",
        "no process, no temporary file, nothing of a customer's code on the disk",
        not processes and not kept,
        {"processes": len(processes), "files": len(kept)},
    )
