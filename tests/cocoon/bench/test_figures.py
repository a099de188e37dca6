"""The arithmetic of the report, and its shape. Nothing here measures time."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cocoon.bench.figures import (
    Idle,
    Join,
    Machine,
    Overhead,
    Process,
    Report,
    Sample,
    Setup,
    Spread,
    overhead,
    quantile,
    sample,
    spread,
    targets,
)

MACHINE = Machine("cpu", 2, "3.11", "Linux", 0.5, 0.6)
finite = st.floats(min_value=-1e6, max_value=1e6)


def job(ttft_ms, tokens_per_s, text="same", *, vouchers=0, steps_ms=None) -> Sample:
    return Sample(ttft_ms, 64, tokens_per_s, text, vouchers, steps_ms or {})


def one(value) -> Spread:
    return Spread(1, value, value, value, value, value)


def test_a_spread_has_the_quartiles_of_its_sample():
    assert spread([4, 1, 3, 2, 5]) == Spread(5, 1, 2, 3, 4, 5)


def test_quartiles_between_two_ranks_are_interpolated():
    assert spread([0, 1]) == Spread(2, 0, 0.25, 0.5, 0.75, 1)


def test_an_empty_sample_has_no_spread():
    with pytest.raises(ValueError, match="no samples"):
        spread([])


@given(st.lists(finite, min_size=1, max_size=50))
def test_the_cuts_of_a_spread_are_in_order_and_within_the_sample(values):
    found = spread(values, 9)
    cuts = [found.min, found.q1, found.median, found.q3, found.max]
    assert cuts == sorted(cuts)
    assert found.min == pytest.approx(min(values), abs=1e-6)
    assert found.max == pytest.approx(max(values), abs=1e-6)


@given(st.lists(finite, min_size=1, max_size=30).map(sorted), st.floats(0, 1), st.floats(0, 1))
def test_quantiles_grow_with_their_share(ordered, low, high):
    first, second = sorted((low, high))
    assert quantile(ordered, first) <= quantile(ordered, second) + 1e-6


def test_speed_counts_the_intervals_between_tokens_and_not_the_wait_for_the_first():
    found = sample(10.0, [10.5, 10.6, 10.7], "abc")
    assert found.ttft_ms == pytest.approx(500)
    assert found.tokens_per_s == pytest.approx(10)
    assert found.tokens == 3


def test_one_token_has_no_speed():
    with pytest.raises(ValueError, match="too few"):
        sample(0.0, [1.0], "a")


def test_overhead_is_the_median_of_the_differences_within_pairs():
    # The machine slows down threefold in the middle: the pairs do not care.
    pairs = [
        (job(100, 30), job(110, 27)),
        (job(300, 10), job(330, 9)),
        (job(100, 30), job(120, 27)),
    ]
    found = overhead(pairs)
    assert found.ttft_added_ms.median == 20
    assert found.rate_ratio == Spread(3, 0.9, 0.9, 0.9, 0.9, 0.9)
    assert found.rate_noise.n == 2
    assert found.rate_noise.min == pytest.approx(0.3333)
    assert found.rate_noise.max == 3


def test_steps_and_vouchers_are_those_of_the_market():
    pairs = [
        (job(1, 1), job(2, 1, vouchers=5, steps_ms={"negotiate": 8.0})),
        (job(1, 1), job(2, 1, vouchers=5, steps_ms={"negotiate": 10.0})),
    ]
    found = overhead(pairs)
    assert found.vouchers == 5
    assert found.steps_ms["negotiate"].median == 9


def test_two_sides_that_answered_differently_are_not_compared():
    with pytest.raises(ValueError, match="different answers"):
        overhead([(job(1, 1, "a"), job(1, 1, "b"))] * 2)


def test_a_single_pair_is_no_measurement():
    with pytest.raises(ValueError, match="two pairs"):
        overhead([(job(1, 1), job(1, 1))])


def with_overhead(added_ms, ratio) -> Report:
    cost = Overhead(2, 64, 5.0, *[one(added_ms)] * 5, one(ratio), one(1.0), {})
    return Report(machine=MACHINE, took_s=1.0, overhead=cost)


@pytest.mark.parametrize(("ratio", "met"), [(0.971, True), (0.9699, False), (1.01, True)])
def test_less_than_three_percent_of_the_speed_may_be_lost(ratio, met):
    added, lost = targets(with_overhead(10, ratio))
    assert (added.met, lost.met) == (True, met)
    assert lost.measured == pytest.approx(100 * (1 - ratio), abs=1e-3)


def test_the_limit_itself_is_missed():
    assert not targets(with_overhead(60.0, 1.0))[0].met


def test_only_what_was_measured_is_judged():
    assert targets(Report(machine=MACHINE, took_s=0.0)) == []


def test_the_largest_node_counts_and_workers_do_not():
    nodes = [Process("a", 90.0, 80.0, 0.1), Process("b", 151.0, 90.0, 0.1)]
    idle = Idle(nodes, [Process("worker", 900.0, 400.0, 0.0)])
    (found,) = targets(Report(machine=MACHINE, took_s=1.0, idle=idle))
    assert (found.measured, found.met) == (151.0, False)


def test_the_report_goes_through_json_with_null_for_what_was_not_asked():
    report = with_overhead(10, 0.99)
    report.join = Join(20, "…", one(1.0), one(2.0), one(3.0))
    report.setup = Setup({"chain": 1.0}, 2.0)
    report.targets = targets(report)
    data = msgspec.json.encode(report)
    assert msgspec.json.decode(data, type=Report) == report
    plain = msgspec.json.decode(data)
    assert plain["idle"] is None
    assert [target["name"] for target in plain["targets"]] == [
        "first token, added",
        "tokens a second, lost",
        "first quote after joining",
        "demo set-up",
    ]
