"""A running provider, attacked by strangers and by customers that cheat; and its books afterwards.

Two attacks on one real node over real sockets: damaged messages to every protocol that it serves
(`overlay.soak.handlers`, with the market's own messages as seeds), and jobs of customers that do
all right up to one step (`simulations.soak.saboteur`). Honest customers buy meanwhile.
"""

import random
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import trio

from cocoon.messages import (
    CHANNEL_PROTOCOL,
    JOB_PROTOCOL,
    QUOTES_PROTOCOL,
    STATEMENT_PROTOCOL,
    CloseRequest,
    FromRequester,
    QuotesRequest,
    encode,
)
from cocoon.payments.hub.messages import HUB_PROTOCOL, HubMessage
from overlay.rpc.frame import HEADER_BYTES, encode_frame
from overlay.soak.handlers import attack, damaged, seeds_of
from overlay.soak.rows import Row
from simulations.soak.books import add_up
from simulations.soak.cheats import (
    Bugs,
    Done,
    Stock,
    beside_honest,
    bugs_counted,
    buy_chat,
    cheat_until,
    row_of_jobs,
)
from simulations.soak.damage import packed
from simulations.soak.market_targets import quotes
from simulations.soak.saboteur import Memory
from simulations.soak.samples import variants
from simulations.soak.stall import Stall, open_customer, open_stall

CHEATS_AT_ONCE: Final = 5
INPUTS_PER_JOB: Final = 200
"""So many plain inputs for each job of a cheat: a job is as much work."""
CHEAT_S: Final = 8.0
HONEST: Final = 2


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
    with bugs_counted() as bugs:
        async with open_stall(home) as stall:
            async with open_customer(stall, "first") as first:
                await buy_chat(stall, first)
            plain = await attack(stall.host, inputs, _seeds(stall), seed=seed, damage=_damaged)
            return [plain, *await _with_cheats(stall, jobs, seed, bugs)]


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


async def _with_cheats(stall: Stall, jobs: int, seed: int, bugs: Bugs) -> list[Row]:
    memory, done = Memory(random.Random(seed)), Done()  # noqa: S311  (repeatable garbage)

    async def cheat() -> None:
        await cheat_until(stall, memory, jobs, done, lambda: (stall.request, CHEAT_S))

    async with open_customer(stall, "honest") as honest:
        await buy_chat(stall, honest)
        await trio.sleep(1)
        before = Stock.of(stall)
        await beside_honest(stall, honest, [buy_chat] * HONEST, [cheat] * CHEATS_AT_ONCE, done)
        growth, doubled = await before.settled(stall)
        books = await add_up(stall, [honest])
    tried = ", ".join(f"{count} {what}" for what, count in sorted(done.outcomes.items()))
    name = (
        f"{done.jobs} jobs of {done.cheats} customers that cheat at one step "
        f"({len(memory.done)} kinds of cheat: {tried})"
    )
    return [row_of_jobs(name, done, growth, doubled, bugs), books]
