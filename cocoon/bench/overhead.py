"""What the market adds to a job, against calling the same kind of worker directly.

Both sides do the same work on the same machine in the same minutes: pairs of one
direct job and one job through the market, the order within a pair changing (ABBA), so
that what else the machine does, and its drift, falls out of the differences.
"""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import msgspec
import trio

from cocoon.bench.figures import Overhead, Sample, overhead, sample
from cocoon.bench.market import Market, Say, chat_request
from cocoon.demo.cast import CHAT_MODEL
from cocoon.errors import JobFailed
from cocoon.node import open_buyer
from cocoon.provider.runner import Worker, open_worker
from cocoon.provider.service import worker_spec
from cocoon.provider.wire import RunChat, TokensOut
from cocoon.requester.events import ChannelReady, Discovered, JobProgress, Negotiated, OutputCame
from cocoon.requester.plan import ChatRequest
from cocoon.requester.service import Requester

WARM_UP_JOBS: Final = 2
BREATH_S: Final = 0.5
"""Between two jobs: the provider keeps its receipt, then its one slot is free again."""


@dataclass(slots=True)
class Stopwatch:
    """Listens to a job of the market and notes when each step was done."""

    began_s: float = field(default_factory=trio.current_time)
    at_s: dict[str, float] = field(default_factory=dict)
    arrivals_s: list[float] = field(default_factory=list)
    negotiated: Negotiated | None = None

    async def __call__(self, event: JobProgress) -> None:
        """Take the time of one event."""
        now_s = trio.current_time()
        match event:
            case Discovered():
                self.at_s["discovered"] = now_s
            case Negotiated():
                self.negotiated = event
                self.at_s["negotiated"] = now_s
            case ChannelReady():
                self.at_s["channel"] = now_s
            case OutputCame(tokens=tokens):
                self.arrivals_s += [now_s] * (tokens - len(self.arrivals_s))
            case _:
                pass

    def steps_ms(self) -> dict[str, float]:
        """Return how long each step took until the first token."""
        marks = [
            ("start", self.began_s),
            ("find quotes", self.at_s["discovered"]),
            ("negotiate", self.at_s["negotiated"]),
            ("hold channel", self.at_s["channel"]),
            ("seal, accept, first token", self.arrivals_s[0]),
        ]
        return {name: 1000 * (now_s - before_s) for (_, before_s), (name, now_s) in pairwise(marks)}


async def direct_job(worker: Worker, request: ChatRequest) -> Sample:
    """Run the job on a worker without any market.

    Raises:
        JobFailed: the worker died.
    """
    await trio.sleep(BREATH_S)
    began_s, arrivals_s, text = trio.current_time(), list[float](), ""
    job = RunChat(
        job_id="direct",
        turns=request.turns,
        prefix_token_ids=(),
        output_tokens_max=request.output_tokens_max,
        prompt_tokens_max=request.output_tokens_max + 4096,
        sampling=request.sampling,
        granted_tokens=request.output_tokens_max + 1,
    )
    async with worker.run(job) as events:
        async for event in events:
            if isinstance(event, TokensOut):
                arrivals_s += [trio.current_time()] * len(event.token_ids)
                text += "".join(event.texts)
    if worker.dead.is_set():
        raise JobFailed("the worker that is called directly died")
    return sample(began_s, arrivals_s, text)


async def market_job(requester: Requester, request: ChatRequest) -> Sample:
    """Run the job through the market: negotiation, sealing, vouchers, receipt."""
    await trio.sleep(BREATH_S)
    watch = Stopwatch()
    result = await requester.run(request, watch)
    seen = sample(watch.began_s, watch.arrivals_s, result.text)
    vouchers = sum(attempt.vouchers for attempt in result.attempts)
    return msgspec.structs.replace(seen, vouchers=vouchers, steps_ms=watch.steps_ms())


async def measure_overhead(market: Market, say: Say, *, pairs: int, tokens: int) -> Overhead:
    """Run *pairs* pairs of jobs of *tokens* output tokens."""
    request = chat_request(tokens)
    spec = worker_spec(market.provider, CHAT_MODEL)
    async with open_worker(spec) as worker, open_buyer(market.requester) as (_, requester):
        for _ in range(WARM_UP_JOBS):  # the first one opens the channel
            await direct_job(worker, request)
            await market_job(requester, request)
        found: list[tuple[Sample, Sample]] = []
        for number in range(pairs):
            direct_first = number % 2 == 0
            early = await direct_job(worker, request) if direct_first else None
            paid = await market_job(requester, request)
            found.append((early or await direct_job(worker, request), paid))
            say(f"overhead: pair {number + 1} of {pairs}: {_words(*found[-1])}")
        return overhead(found)


def _words(direct: Sample, market: Sample) -> str:
    added_ms = market.ttft_ms - direct.ttft_ms
    ratio = market.tokens_per_s / direct.tokens_per_s
    return f"+{added_ms:.0f} ms to the first token, {100 * ratio:.1f} % of the speed"
