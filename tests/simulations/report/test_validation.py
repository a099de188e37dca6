"""The comparison with published results holds at reduced size; so do the engines' own."""

import pytest

pytest.importorskip("numba")

from simulations.report import validation
from simulations.report.crosscheck import REDUCED, compared, pairs
from simulations.report.crosscheck_swarm import churn_pair, gossip_pairs
from simulations.report.making import Making


@pytest.mark.parametrize("measure", validation.PUBLISHED, ids=lambda one: one.__name__)
def test_what_can_be_compared_agrees(measure) -> None:
    rows = measure(True)
    assert rows
    assert [(row.what, row.theirs, row.ours) for row in rows if row.agrees is False] == []
    assert all(row.why for row in rows if row.agrees is None), "says why it cannot be compared"


@pytest.mark.parametrize("load", ["idle, load 0.2", "full, load 1.3"])
def test_the_exact_engine_and_the_model_end_at_the_same_price(load: str) -> None:
    level, served = pairs(load, Making(quick=True), REDUCED, seeds=(5, 20))
    assert level.exact.runs == 5
    assert level.agrees, f"{level.exact} and {level.model} are {level.apart:.1%} apart"
    if load.startswith("idle"):
        assert level.model.mean < 920_000, "the level did move"
        assert served.agrees
    else:
        assert level.model.mean > 1_050_000, "the level did move"


def test_gossip_arrives_when_the_exact_engine_says() -> None:
    found, worst, arrivals = gossip_pairs(2)
    assert arrivals > 3_000
    assert worst <= 1, "an arrival that the order of copies does not explain"
    assert all(abs(one.gap.mean) < 0.01 * one.exact.mean for one in found)


def test_under_churn_as_many_are_there_as_in_the_model() -> None:
    one = churn_pair("exponential", 5)
    assert one.agrees, one
    assert 0.35 < one.model.mean < 0.45  # 60 s there, 90 s away


def test_agreement_needs_the_whole_interval_within_the_bound() -> None:
    near, noisy = [100.0, 101.0, 99.0], [80.0, 120.0, 100.0]
    assert compared("", "", near, [102.0, 103.0, 101.0]).agrees
    assert not compared("", "", near, [112.0, 113.0, 111.0]).agrees
    assert not compared("", "", near, noisy).agrees, "noise is no agreement"
    assert not compared("", "", [100.0], [100.0]).agrees, "one seed proves nothing"
    assert compared("", "", noisy, [each + 1 for each in noisy], paired=True).agrees
