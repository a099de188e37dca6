"""A running provider, attacked by strangers and by customers that cheat; and its books afterwards.

Two attacks on one real node over real sockets: damaged messages to every protocol that it serves
(`overlay.soak.handlers`, with the market's own messages as seeds), and jobs of customers that do
all right up to one step (`simulations.soak.saboteur`). Honest customers buy meanwhile.
"""

import gc
import logging
import random
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

import msgspec
import trio

from cocoon.errors import CocoonError
from cocoon.market.price import chunk_cost, cost
from cocoon.messages import (
    CHANNEL_PROTOCOL,
    JOB_PROTOCOL,
    QUOTES_PROTOCOL,
    STATEMENT_PROTOCOL,
    CloseRequest,
    FromRequester,
    Kind,
    Meter,
    PriceSchedule,
    QuotesRequest,
    encode,
)
from cocoon.payments.hub.messages import HUB_PROTOCOL, HubMessage
from cocoon.requester.events import JobProgress
from contracts.errors import ContractError
from contracts.voucher import ChannelRef, verify_voucher
from overlay.errors import OverlayError
from overlay.rpc.frame import HEADER_BYTES, encode_frame
from overlay.soak.census import count_entries, grown
from overlay.soak.handlers import attack, damaged, seeds_of
from overlay.soak.quiet import silenced
from overlay.soak.rows import Row, resident_mib
from overlay.transport import Host
from simulations.soak.damage import packed
from simulations.soak.market_targets import quotes
from simulations.soak.saboteur import Memory, Saboteur
from simulations.soak.samples import variants
from simulations.soak.stall import TOKENS, Customer, Stall, open_customer, open_stall

CHEATS_AT_ONCE: Final = 5
JOBS_PER_CHEAT: Final = 6
"""Then it owes too much to be served."""
INPUTS_PER_JOB: Final = 200
"""So many plain inputs for each job of a cheat: a job is as much work."""
CHEAT_S: Final = 8.0
HONEST_S: Final = 60.0
HONEST: Final = 2
BETWEEN_S: Final = 0.3
SETTLE_S: Final = 40.0
GROWTH_MIB_MAX: Final = 64.0
TASKS_MAX: Final = 24
FILES_MAX: Final = 24
ENTRIES_MIN: Final = 500
"""Of a container that doubled; less is what follows the number of customers with a deposit."""
OURS: Final = ("open_stall.", "EmbeddedChain.")
"""What the soak itself keeps, and its chain."""


@dataclass(slots=True)
class _Done:
    """What happened meanwhile."""

    jobs: int = 0
    cheats: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    honest: int = 0
    honest_paid: int = 0
    failed: list[str] = field(default_factory=list)


class _Bugs(logging.Handler):
    """Counts what the overlay calls a bug in a handler: a refusal that has no type."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Note the error."""
        error = record.exc_info[1] if record.exc_info else None
        self.found.append(f"{record.getMessage()}: {error!r}"[:300])


def run(inputs: int, *, seed: int = 1, jobs: int | None = None) -> Iterator[Row]:
    """Attack a provider with *inputs* plain inputs, then with *jobs* of cheats.

    Args:
        inputs: damaged messages on streams of their own.
        seed: of all that is random.
        jobs: one for every `INPUTS_PER_JOB` when None.

    Yields:
        one row about the plain inputs, one about the jobs, one about the money.
    """
    with tempfile.TemporaryDirectory(prefix="cocoon-soak-") as folder:
        jobs = inputs // INPUTS_PER_JOB if jobs is None else jobs
        yield from trio.run(_run, Path(folder), inputs, jobs, seed)


async def _run(home: Path, inputs: int, jobs: int, seed: int) -> list[Row]:
    with _bugs_counted() as bugs:
        async with open_stall(home) as stall:
            stall.host.gate.blame = lambda *_: None  # type: ignore[method-assign]
            async with open_customer(stall, "first") as first:
                await _buy(stall, first)
            plain = await attack(stall.host, inputs, _seeds(stall), seed=seed, damage=_damaged)
            return [plain, *await _with_cheats(stall, jobs, seed, bugs)]


@contextmanager
def _bugs_counted() -> Iterator[_Bugs]:
    """Count what the overlay logs as an error, and print nothing of it."""
    bugs, logger = _Bugs(), logging.getLogger("overlay.rpc")
    propagated, logger.propagate = logger.propagate, False
    logger.addHandler(bugs)
    try:
        with silenced(logging.WARNING):
            yield bugs
    finally:
        logger.removeHandler(bugs)
        logger.propagate = propagated


# --- plain inputs ---


def _seeds(stall: Stall) -> dict[str, list[bytes]]:
    """Return valid frames by the end of a protocol's name."""
    quote, renewal = quotes()
    hub: Any = HubMessage
    question: Any = FromRequester
    ours = {
        JOB_PROTOCOL: variants(question),
        QUOTES_PROTOCOL: [QuotesRequest(resource_class=quote.resource_class), quote, renewal],
        CHANNEL_PROTOCOL: variants(CloseRequest),
        HUB_PROTOCOL: variants(hub),
    }
    framed = {name: [encode_frame(encode(each)) for each in some] for name, some in ours.items()}
    return framed | {STATEMENT_PROTOCOL: [encode_frame(bytes(32))]} | seeds_of(stall.host)


def _damaged(rng: random.Random, frames: Sequence[bytes]) -> bytes:
    """Return a sound frame around a damaged message, or its bytes with the frame damaged, too."""
    frame = rng.choice(frames)
    body = frame[HEADER_BYTES:]
    if rng.random() < 0.7 and int.from_bytes(frame[:HEADER_BYTES], "big") == len(body):
        try:
            message = packed(rng, body)
        except (msgspec.MsgspecError, UnicodeDecodeError):  # it is no MessagePack
            return damaged(rng, frames)
        return len(message).to_bytes(HEADER_BYTES, "big") + message  # it may be too long
    return damaged(rng, frames)


# --- jobs that go wrong ---


async def _ignore(_event: JobProgress) -> None:
    await trio.lowlevel.checkpoint()


async def _buy(stall: Stall, customer: Customer) -> int:
    """Buy one job; return what was paid for it.

    Raises:
        CocoonError: it failed, or its text is not what the stub says.
        trio.TooSlowError: it took too long.
    """
    with trio.fail_after(HONEST_S):
        result = await customer.requester.run(stall.request, _ignore)
    if result.text != " tok" * TOKENS:
        raise CocoonError(f"wrong text: {result.text[:80]!r}")
    return result.paid_nanoton


async def _buy_forever(stall: Stall, customer: Customer, done: _Done) -> None:
    while True:
        done.honest += 1
        try:
            done.honest_paid += await _buy(stall, customer)
        except (CocoonError, OverlayError, ContractError, trio.TooSlowError) as error:
            done.failed.append(f"{type(error).__name__}: {error}"[:300])
        await trio.sleep(BETWEEN_S)


async def _cheat_forever(stall: Stall, memory: Memory, jobs: int, done: _Done) -> None:
    """Open one cheating customer after the other, until *jobs* are done."""
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
                await _cheat_once(stall, cheat, done)
            await _close_badly(cheat, done)


async def _cheat_once(stall: Stall, cheat: Customer, done: _Done) -> None:
    outcome = "cut"
    with trio.move_on_after(CHEAT_S):
        try:
            await cheat.requester.run(stall.request, _ignore)
            outcome = "done"
        except (CocoonError, OverlayError, ContractError) as error:
            outcome = type(error).__name__
    done.outcomes[outcome] += 1


async def _close_badly(cheat: Customer, done: _Done) -> None:
    """Ask for the end of each channel, mostly with a damaged wish."""
    for status in cheat.payer.list_channels():
        with trio.move_on_after(CHEAT_S):
            try:
                await cheat.requester.close_channel(status.address)
                done.outcomes["closed"] += 1
            except (CocoonError, OverlayError, ContractError):
                done.outcomes["not closed"] += 1


@dataclass(frozen=True, slots=True)
class _Held:
    """What this process holds."""

    rss_mib: float
    tasks: int
    files: int

    @classmethod
    def now(cls) -> "_Held":
        """Take stock."""
        gc.collect()
        return cls(resident_mib(), _tasks(), len(list(Path("/proc/self/fd").iterdir())))


async def _with_cheats(stall: Stall, jobs: int, seed: int, bugs: _Bugs) -> list[Row]:
    memory, done = Memory(random.Random(seed)), _Done()  # noqa: S311  (repeatable garbage)
    async with open_customer(stall, "honest") as honest:
        await _buy(stall, honest)
        await trio.sleep(1)
        before, entries = _Held.now(), count_entries(stall.provider)
        await _attack_with_cheats(stall, honest, memory, jobs, done)
        growth = await _settled(stall, before)
        now = count_entries(stall.provider)
        doubled = grown(entries, now, entries_min=ENTRIES_MIN)
        doubled = {name: how for name, how in doubled.items() if not name.startswith(OURS)}
        books = await _books(stall, honest, done)
    return [_row_of_jobs(done, memory, growth, doubled, bugs), books]


async def _attack_with_cheats(
    stall: Stall, honest: Customer, memory: Memory, jobs: int, done: _Done
) -> None:
    async with trio.open_nursery() as buying:
        for _ in range(HONEST):
            buying.start_soon(_buy_forever, stall, honest, done)
        async with trio.open_nursery() as cheating:
            for _ in range(CHEATS_AT_ONCE):
                cheating.start_soon(_cheat_forever, stall, memory, jobs, done)
        buying.cancel_scope.cancel()


async def _settled(stall: Stall, before: _Held) -> _Held:
    """Wait until what the cheats left behind has ended; return what is held more than *before*."""
    with trio.move_on_after(SETTLE_S):
        while _is_busy(stall) or _tasks() > before.tasks:  # noqa: ASYNC110
            await trio.sleep(0.5)
    now = _Held.now()
    return _Held(now.rss_mib - before.rss_mib, now.tasks - before.tasks, now.files - before.files)


def _tasks() -> int:
    return trio.lowlevel.current_statistics().tasks_living


def _is_busy(stall: Stall) -> bool:
    return any(sale.pool.free_slots < sale.pool.size for sale in stall.provider.sales)


def _row_of_jobs(
    done: _Done, memory: Memory, growth: _Held, doubled: dict[str, str], bugs: _Bugs
) -> Row:
    growth_mib, tasks, files = growth.rss_mib, growth.tasks, growth.files
    tried = ", ".join(f"{count} {what}" for what, count in sorted(done.outcomes.items()))
    return Row(
        f"{done.jobs} jobs of {done.cheats} customers that cheat at one step "
        f"({len(memory.done)} kinds of cheat: {tried})",
        f"{len(done.failed)} of {done.honest} honest jobs meanwhile failed, "
        f"{len(bugs.found)} refusals without a type, {growth_mib:+.1f} MiB, {tasks:+d} tasks, "
        f"{files:+d} files; doubled: {doubled or 'nothing'}"
        f"{''.join(f'; {each}' for each in [*done.failed, *bugs.found][:3])}",
        f"no honest job fails, every refusal has a type, at most {GROWTH_MIB_MAX:.0f} MiB, "
        f"{TASKS_MAX} tasks and {FILES_MAX} files",
        not done.failed
        and not bugs.found
        and growth_mib <= GROWTH_MIB_MAX
        and tasks <= TASKS_MAX
        and files <= FILES_MAX,
        {
            "jobs": done.jobs,
            "customers": done.cheats,
            "honest_jobs": done.honest,
            "honest_failed": len(done.failed),
            "untyped_refusals": len(bugs.found),
            "growth_mib": growth_mib,
            "growth_tasks": tasks,
            "growth_files": files,
        },
    )


# --- the books ---


async def _books(stall: Stall, honest: Customer, done: _Done) -> Row:
    """Claim, close, and add up: every nanoton must be where it belongs."""
    faults = [*_voucher_faults(stall), *_job_faults(stall), *_honest_faults(stall, honest)]
    held = {each.address: each.state for each in stall.book.channels.values()}
    granted = sum(state.best_total for state in held.values())
    earned = sum(_ended(stall, "cost_nanoton"))
    if granted > earned:
        faults.append(f"{granted} nanoton granted for work worth {earned}")
    earnings = await stall.payee.settle_all()
    faults += _settling_faults(stall)
    if earnings.settled > earned:
        faults.append(f"{earnings.settled} nanoton settled for work worth {earned}")
    for status in honest.payer.list_channels():
        await honest.requester.close_channel(status.address)
    supply = await stall.devnet.supply()
    if supply.total_nanoton != supply.minted_nanoton:
        faults.append(f"{supply.total_nanoton} of {supply.minted_nanoton} minted nanoton")
    lost, begun = sum(_ended(stall, "lost_nanoton")), len(_ended(stall, "lost_nanoton"))
    return Row(
        f"the books after it: {len(held)} channels, {begun} jobs begun",
        f"{len(faults)} faults; work for {earned} nanoton, vouchers for {granted}, "
        f"{earnings.settled} settled on chain, {lost} owed by cheats"
        f"{''.join(f'; {fault}' for fault in faults[:5])}",
        "no voucher above a deposit or without a good signature, nobody owes more than a prompt "
        "and a chunk, nobody is paid more than the work, no nanoton made or lost",
        not faults,
        {
            "channels": len(held),
            "faults": len(faults),
            "earned_nanoton": earned,
            "granted_nanoton": granted,
            "settled_nanoton": earnings.settled,
            "owed_nanoton": lost,
            "honest_paid_nanoton": done.honest_paid,
        },
    )


def _ended(stall: Stall, field_name: str) -> list[int]:
    """Return a field of every job that has ended."""
    return [int(str(f[field_name])) for name, f in stall.told if name == "job_ended"]


def _settling_faults(stall: Stall) -> Iterator[str]:
    """Yield the channels that paid out more than both agreed on, or that were not cashed."""
    for held in stall.book.channels.values():
        state = held.state
        due = max(state.best_total, state.released_total)  # a lost voucher comes with the close
        if state.received > due or state.unclaimed:
            yield f"{state.received} of {due} received, {state.unclaimed} unclaimed"


def _voucher_faults(stall: Stall) -> Iterator[str]:
    for held in stall.book.channels.values():
        state, total = held.state, held.state.best_total
        if total > state.total_max:
            yield f"a voucher of {total} on a deposit for {state.total_max}"
        ref = ChannelRef(stall.chain.network_id, held.address, state.opened_lt)
        if total > state.paid_total and not verify_voucher(
            held.payer_key, ref, total, state.best_signature
        ):
            yield f"a voucher of {total} that nobody signed"


def _job_faults(stall: Stall) -> Iterator[str]:
    """Yield the jobs that were worked on for more than a prompt and a chunk unpaid."""
    sale = stall.provider.sales[0]
    quote = stall.provider.quoters[sale.resource_class].last(sale.resource_class)
    if quote is None:
        yield "no quote"
        return
    dearest = PriceSchedule(
        prompt_token=2 * quote.inputs.base.prompt_token,
        output_token=2 * quote.inputs.base.output_token,
    )
    risk = chunk_cost(dearest, sale.model.limits, Kind.CHAT) + cost(
        dearest, Meter(prompt_tokens=64)
    )
    for lost in _ended(stall, "lost_nanoton"):
        if lost > risk:
            yield f"{lost} nanoton were owed, at most {risk}"


def _honest_faults(stall: Stall, honest: Customer) -> Iterator[str]:
    """Yield where provider and honest customer differ about a channel."""
    for status in honest.payer.list_channels():
        signed = honest.payer.channel(status.address).signed_total
        held = stall.book.channels[status.address].state.best_total
        if signed != held:
            yield f"{signed} nanoton signed by an honest customer, {held} held"
