"""The demonstration's cast: how long it takes to start, and how soon it makes an offer."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

import trio

from cocoon.bench.figures import Negotiate, Setup, spread
from cocoon.bench.market import Say, chat_request
from cocoon.bench.overhead import BREATH_S, Stopwatch
from cocoon.demo.stage import Stage, open_stage
from cocoon.market.explain import Explanation
from cocoon.messages import Kind, LossReason, resource_class
from cocoon.node import open_buyer
from cocoon.requester.inputs import CHAT_MODEL, model_id
from cocoon.requester.service import Requester

WARM_UP_JOBS: Final = 4
CHAT_PROVIDERS: Final = 4
QUOTES_TIMEOUT_S: Final = 20.0
NO_OFFER: Final = frozenset(
    reason.value
    for reason in (
        LossReason.REFUSED,
        LossReason.UNREACHABLE,
        LossReason.TOO_SLOW_TO_ANSWER,
        LossReason.PROTOCOL_VIOLATION,
    )
)


@dataclass(slots=True)
class PartTimes:
    """Hears what the stage starts, and so knows how long each part took."""

    say: Say
    began_s: float = field(default_factory=trio.current_time)
    marks: list[tuple[str, float]] = field(default_factory=list)

    def __call__(self, text: str) -> None:
        """Take the time: a new part begins, so the one before it is done."""
        self.marks.append((part_name(text), trio.current_time()))
        self.say(text)

    def setup(self, ended_s: float) -> Setup:
        """Return the parts, the stage being ready now."""
        ends_s = [at_s for _, at_s in self.marks[1:]] + [ended_s]
        parts_s = {
            name: round(end_s - at_s, 2)
            for (name, at_s), end_s in zip(self.marks, ends_s, strict=True)
        }
        return Setup(parts_s, round(ended_s - self.began_s, 2))


def part_name(text: str) -> str:
    """Return the short name of a part: "starting provider X: cheapest" is "provider X"."""
    return text.partition(":")[0].partition(" (")[0].removeprefix("starting ")


def offers_in(explanation: Explanation) -> int:
    """Return how many of the providers that were asked made an offer."""
    return sum(line.asked and line.outcome not in NO_OFFER for line in explanation.providers)


@asynccontextmanager
async def open_measured_stage(
    directory: Path, assets: Path, say: Say
) -> AsyncIterator[tuple[Stage, Setup]]:
    """Run the cast for the length of the block, and tell how long it took to start."""
    times = PartTimes(say)
    async with open_stage(directory, assets, times) as stage:
        yield stage, times.setup(trio.current_time())


async def measure_negotiate(stage: Stage, say: Say, *, jobs: int) -> Negotiate:
    """Negotiate *jobs* times with all who sell answers; each job is one token long."""
    say(f"negotiating {jobs} times with {CHAT_PROVIDERS} providers")
    choice_ms, asked, offers = list[float](), list[int](), list[int]()
    async with open_buyer(stage.requester) as (_, requester):
        await _wait_for_all(requester)
        for number in range(WARM_UP_JOBS + jobs):
            await trio.sleep(BREATH_S)
            watch = Stopwatch()
            await requester.run(chat_request(1), watch)
            if number >= WARM_UP_JOBS and watch.negotiated is not None:
                took_s = watch.at_s["negotiated"] - watch.at_s["discovered"]
                choice_ms.append(1000 * took_s)
                explanation = watch.negotiated.explanation
                asked.append(sum(line.asked for line in explanation.providers))
                offers.append(offers_in(explanation))
    return Negotiate(median(asked), median(offers), spread(choice_ms))


async def _wait_for_all(requester: Requester) -> None:
    """Wait until all four have told their price."""
    wanted = resource_class(Kind.CHAT, model_id(CHAT_MODEL, "chat"))
    book, clock = requester.directory.book, requester.clock
    book.watch([wanted])
    with trio.fail_after(QUOTES_TIMEOUT_S):
        while len(book.candidates(wanted, int(clock()))) < CHAT_PROVIDERS:
            await requester.directory.discover(wanted)
            with trio.move_on_after(1):
                await requester.directory.wait_for_news()
