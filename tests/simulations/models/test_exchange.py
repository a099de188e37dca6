"""The market: money adds up, shocks do what they must, and the optimum is one."""

from dataclasses import replace

import numpy as np
import pytest

from simulations.models.market.clearing import clearing_price, optimum_by_minute
from simulations.models.market.exchange import Market, Terms, provider_costs, run
from simulations.models.market.fee_market import FeeMarket, mean_block_bound, orbit
from simulations.models.market.trading import COST_NANOTON, VALUE_BINS

SMALL = Market(providers=60, duration_s=3_600)


def test_what_buyers_and_sellers_gain_is_the_welfare() -> None:
    session = run(SMALL, 1)
    gained = session.bought.sum() + session.profit.sum()
    assert gained == pytest.approx(session.welfare.sum(), rel=1e-12)
    assert 0 < session.served_s.sum() <= session.wanted_s.sum() * 1.0001


def test_nobody_sells_below_the_floor_or_above_a_value() -> None:
    session = run(SMALL, 1)
    assert session.profit.min() >= 0, "the floor is the cost"
    assert (session.bought >= 0).all()
    assert ((session.level >= 0.5) & (session.level <= 4)).all()


def test_the_same_seed_gives_the_same_market() -> None:
    one, other, third = run(SMALL, 1), run(SMALL, 1), run(SMALL, 2)
    assert np.array_equal(one.price, other.price)
    assert np.array_equal(one.profit, other.profit)
    assert not np.array_equal(one.price, third.price)


def test_welfare_stays_below_the_optimum_and_not_far() -> None:
    session = run(replace(SMALL, duration_s=7_200), 1)
    assert 0.8 < session.welfare.sum() / session.optimum.sum() <= 1


def test_prices_rise_with_demand_and_with_lost_providers() -> None:
    calm = run(SMALL, 1)
    more = run(replace(SMALL, shock_at_s=900, shock_factor=10.0), 1)
    fewer = run(replace(SMALL, shock_at_s=900, lost=0.5), 1)
    assert np.array_equal(calm.price[:15], more.price[:15])
    assert more.price[-5:].mean() > 1.4 * calm.price[-5:].mean()
    assert fewer.price[-5:].mean() > 1.15 * calm.price[-5:].mean()


def test_no_demand_takes_prices_to_the_floor_at_the_rules_pace() -> None:
    idle = run(replace(SMALL, load=0.0, duration_s=3_000), 1)
    assert idle.level[20] == pytest.approx(0.98**20, rel=0.03)
    assert idle.level[-1] == 0.5
    assert idle.served_s.sum() == 0


def test_a_manipulator_holds_the_level_that_it_wants() -> None:
    held = run(replace(SMALL, colluding=60, pretend_level_ppm=1_300_000), 1)
    assert held.level[-1] == pytest.approx(1.3, rel=0.02)
    honest = run(replace(SMALL, colluding=60), 1)
    assert np.array_equal(honest.price, run(SMALL, 1).price), "without a strategy it is honest"


def test_washed_slots_sell_nothing() -> None:
    washed = run(replace(SMALL, colluding=60, wash_slots=2), 1)
    assert washed.served_s.sum() == 0


def test_haggling_takes_idle_providers_below_their_quote() -> None:
    quiet = replace(SMALL, load=0.15)
    haggled = run(replace(quiet, haggle_below_ppm=100_000), 1)
    assert haggled.price[5:10].mean() == run(quiet, 1).price[5:10].mean(), "a tenth is refused"
    steady = replace(SMALL, load=0.25)
    fair = run(replace(steady, haggle_below_ppm=350_000), 1)
    assert fair.price[5:10].mean() < run(steady, 1).price[5:10].mean()


def test_the_rule_that_runs_is_the_scenarios() -> None:
    fixed = run(replace(SMALL, terms=Terms(elasticity_ppm=0)), 1)
    assert (fixed.level[1:] == 1).all()


FULL = Market(providers=8, load=1.3, job_s=24.0, patience_s=1, value_median=8, duration_s=3_600)


def served_share(market: Market) -> float:
    session = run(market, 1)
    return float(session.served_s.sum() / session.wanted_s.sum())


def test_a_requester_has_one_job_at_a_time() -> None:
    alone = replace(SMALL, requesters=1)
    session = run(alone, 1)
    longest_job_s = 20 * alone.job_s
    assert 0 < session.served_s.sum() <= alone.duration_s + longest_job_s


def test_jobs_that_wait_for_their_own_requester_find_a_slot_more_often() -> None:
    few, many = replace(FULL, requesters=24), replace(FULL, requesters=2_400)
    assert served_share(few) > served_share(many) + 0.015
    assert served_share(many) == pytest.approx(served_share(FULL), abs=0.03)


def test_a_slot_is_held_while_a_channel_opens_and_not_counted_as_busy() -> None:
    at_once = replace(FULL, requesters=400)
    opening = replace(at_once, opening_s=8)
    assert served_share(opening) < served_share(at_once) - 0.03
    assert run(opening, 1).level[-1] < run(at_once, 1).level[-1]


def test_a_deal_keeps_its_slot_before_the_job_begins() -> None:
    assert served_share(replace(FULL, dealing_ms=1000)) < served_share(FULL) - 0.01


def test_asking_the_full_ones_too_finds_slots_that_are_free_by_now() -> None:
    assert served_share(replace(FULL, asks_full=True)) > served_share(FULL) + 0.01


@pytest.mark.parametrize("requesters", [-1, 1 << 30])
def test_impossible_numbers_of_requesters_are_refused(requesters: int) -> None:
    with pytest.raises(ValueError, match="pairs"):
        replace(FULL, requesters=requesters, opening_s=1)


def brute_optimum(values, costs):
    """Return the best welfare of unit demands and unit capacities."""
    values, costs = sorted(values, reverse=True), sorted(costs)
    return sum(max(0.0, v - c) for v, c in zip(values, costs, strict=False))


def test_the_optimum_is_that_of_matching_the_highest_with_the_cheapest() -> None:
    rng = np.random.default_rng(1)
    edges = COST_NANOTON * 2.0 ** np.linspace(-4, 10, VALUE_BINS + 1)
    middles = np.sqrt(edges[1:] * edges[:-1])
    for _ in range(20):
        bins = rng.integers(100, 300, rng.integers(1, 30))
        costs = rng.integers(5_000, 200_000, 12)
        wanted = np.zeros((1, VALUE_BINS))
        np.add.at(wanted[0], bins, 60.0)
        best = optimum_by_minute(wanted, costs, 1)[0]
        assert best == pytest.approx(60 * brute_optimum(middles[bins], costs), rel=1e-9)


def test_the_clearing_price_leaves_as_much_demand_as_there_is() -> None:
    wanted = np.ones(VALUE_BINS)
    price = clearing_price(wanted, 100.0)
    edges = COST_NANOTON * 2.0 ** np.linspace(-4, 10, VALUE_BINS + 1)
    assert (edges[1:] > price).sum() == pytest.approx(100, abs=1)
    assert clearing_price(wanted, 1000.0) == 0


def test_costs_differ_as_asked() -> None:
    costs = provider_costs(replace(SMALL, providers=20_000), 1)
    assert np.log(costs).std() == pytest.approx(0.25, rel=0.02)


@pytest.mark.parametrize(
    "values", [{"providers": 0}, {"slots": 65}, {"delay_s": 0}, {"colluding": 61}]
)
def test_markets_that_cannot_be_are_refused(values) -> None:
    with pytest.raises(ValueError, match=r"providers|delay_s|colluding"):
        replace(SMALL, **values)


@pytest.mark.parametrize(
    ("market", "critical"),
    [
        (FeeMarket(10, 210, 40), 0.0325),
        (FeeMarket(3, 195, 10), 0.0331),
        (FeeMarket(2, 200, 100), 0.4),
    ],
)
def test_a_fee_market_is_stable_just_below_its_critical_step_and_not_above(
    market, critical
) -> None:
    assert market.step_critical == pytest.approx(critical, rel=0.01)
    below = orbit(market, 0.9 * market.step_critical, 2_000)
    above = orbit(market, 1.3 * market.step_critical, 2_000)
    assert below.fees.std() / below.fees.mean() < 1e-6
    assert below.lyapunov < 0
    assert above.fees.std() / above.fees.mean() > 1e-3


def test_chaotic_blocks_are_larger_than_their_target_within_the_bound() -> None:
    found = orbit(FeeMarket(10, 210, 40), 0.125, 100_000)
    assert found.lyapunov > 0.2
    assert 1.05 < found.blocks.mean() < mean_block_bound(0.125)
    assert mean_block_bound(0.125) == pytest.approx(1.063, abs=0.001)
