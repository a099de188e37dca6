"""Names and counts that the benchmark takes from the demonstration."""

import trio

from cocoon.bench.overhead import Stopwatch
from cocoon.bench.stage import PartTimes, offers_in, part_name
from cocoon.market.explain import Explanation, ProviderLine
from cocoon.requester.events import ChannelReady, Discovered, OutputCame
from contracts.units import NanoTon


def line(outcome, *, asked=True) -> ProviderLine:
    return ProviderLine(
        peer=outcome,
        price_nanoton=1,
        speed_milli_per_s=1,
        reliability_ppm=1,
        tier="OPEN",
        asked=asked,
        outcome=outcome,
    )


def test_parts_have_short_names():
    assert part_name("starting provider Asel: cheapest") == "provider Asel"
    assert part_name("starting a TON chain of our own (TVM)") == "a TON chain of our own"


def test_offers_are_those_of_who_was_asked_and_answered_with_one():
    lines = [
        line("won"),
        line("more_expensive"),
        line("refused"),
        line("unreachable"),
        line("not_asked", asked=False),
    ]
    explanation = Explanation(job_id="j", at_unix_s=1, resource_class="c", providers=tuple(lines))
    assert offers_in(explanation) == 2


async def test_each_part_lasts_until_the_next_one_begins(autojump_clock):
    said = []
    times = PartTimes(said.append)
    times("starting a chain (x)")
    await trio.sleep(2)
    times("starting provider A: y")
    await trio.sleep(3)
    setup = times.setup(trio.current_time())
    assert setup.parts_s == {"a chain": 2, "provider A": 3}
    assert setup.total_s == 5
    assert said == ["starting a chain (x)", "starting provider A: y"]


async def test_the_steps_of_a_job_add_up_to_its_time_to_first_token(autojump_clock):
    watch = Stopwatch()
    await trio.sleep(0.001)
    await watch(Discovered(1, ()))
    watch.at_s["negotiated"] = trio.current_time() + 0.010
    await trio.sleep(0.015)
    await watch(ChannelReady("p", "0:00", NanoTon(1)))
    await trio.sleep(0.200)
    await watch(OutputCame("a b", 2))
    steps = watch.steps_ms()
    assert list(steps) == ["find quotes", "negotiate", "hold channel", "seal, accept, first token"]
    assert abs(sum(steps.values()) - 216) < 1e-6
    assert len(watch.arrivals_s) == 2
