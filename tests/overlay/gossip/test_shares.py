"""Shares of a topic's budget: what one neighbour does not use, others get; nobody takes more."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overlay.gossip.limits import Rate
from overlay.gossip.shares import Neighbour, Shares, max_min
from overlay.ids import PeerId

RATE = Rate(rate_per_s=20.0, burst=40)
HONEST = Neighbour(PeerId("honest"), "9.9.9.0/24")
CROWD_MAX = 6
gaps_s = st.floats(0, 0.5)
hostile = st.builds(
    lambda number, prefix: Neighbour(PeerId(f"hostile {number}"), prefix),
    st.integers(0, CROWD_MAX - 2),
    st.sampled_from(["", "8.8.8.0/24", "8.8.4.0/24", HONEST.prefix]),
)


def harmonic(count: int) -> float:
    return sum(1 / each for each in range(1, count + 1))


@given(st.dictionaries(st.integers(), st.floats(0, 100), max_size=8), st.floats(0, 300))
def test_who_gets_less_than_it_wants_gets_as_much_as_anybody(wanted, amount) -> None:
    parts = max_min(wanted, amount)
    assert sum(parts.values()) == pytest.approx(min(amount, sum(wanted.values())), abs=1e-6)
    for key, part in parts.items():
        assert 0 <= part <= wanted[key]
        if part < wanted[key]:
            assert part >= max(parts.values()) - 1e-6


@given(st.lists(st.tuples(gaps_s, hostile, st.integers(1, 300), st.integers(0, 9)), max_size=60))
def test_within_its_share_a_neighbour_is_refused_nothing_whatever_the_others_do(script) -> None:
    rate = Rate(rate_per_s=500.0, burst=480)
    groups, members = 2 + CROWD_MAX, CROWD_MAX  # what `hostile` makes, and the honest one
    credit_max = rate.burst / (groups * members)
    shares, now_s, credit = Shares(rate), 0.0, credit_max
    for gap_s, each, hostile_wants, honest_wants in script:
        now_s += gap_s
        credit = min(credit_max, credit + gap_s * rate.rate_per_s / (groups * members))
        for _ in range(hostile_wants):
            shares.take(each, now_s)
        for _ in range(min(honest_wants, int(credit))):
            credit -= 1
            assert shares.take(HONEST, now_s)


@given(st.lists(st.tuples(gaps_s, hostile), max_size=200))
def test_all_together_get_the_rate_and_a_bounded_burst(script) -> None:
    shares, passed, now_s, most = Shares(RATE), 0, 0.0, 0
    for gap_s, each in script:
        now_s += gap_s
        passed += shares.take(each, now_s)
        most = max(most, len(shares))
    bound = RATE.burst * harmonic(CROWD_MAX) ** 2
    assert passed <= bound + RATE.rate_per_s * now_s + 1e-6
    assert most <= 4 * (CROWD_MAX - 1)


@given(st.lists(st.tuples(gaps_s, hostile), max_size=200))
def test_nobody_is_refused_while_the_burst_of_all_is_not_used_up(script) -> None:
    shares, now_s, waiting = Shares(RATE), 0.0, 0.0
    for gap_s, each in script:
        now_s += gap_s
        waiting = max(0.0, waiting - gap_s * RATE.rate_per_s)
        passed = shares.take(each, now_s)
        assert passed or waiting + 1 > RATE.burst - 1e-6
        waiting += passed


def test_a_flood_of_one_prefix_is_one_share_however_many_take_part() -> None:
    shares = Shares(RATE)
    crowd = [Neighbour(PeerId(f"{number}"), "8.8.8.0/24") for number in range(20)]
    counted = {"crowd": 0, "honest": 0}
    for tick in range(1, 2000):
        for each in crowd:
            counted["crowd"] += shares.take(each, tick / 100)
        counted["honest"] += shares.take(HONEST, tick / 100)
    half = RATE.rate_per_s * 20 / 2
    assert counted["honest"] >= half
    assert counted["crowd"] >= half - RATE.burst


@pytest.mark.parametrize("honest_per_s", [5, 8, 15])
def test_rates_become_max_min_fair(honest_per_s: int) -> None:
    """Two hostile neighbours ask for all; a third asks for less than, or more than, a third."""
    shares, seconds = Shares(RATE), 200
    asked = {"a": 100, "b": 100, "honest": honest_per_s}
    passed = dict.fromkeys(asked, 0)
    events = sorted(
        (number / per_s, who) for who, per_s in asked.items() for number in range(seconds * per_s)
    )
    for now_s, who in events:
        passed[who] += shares.take(Neighbour(PeerId(who)), now_s)
    fair = max_min({who: per_s * seconds for who, per_s in asked.items()}, 20.0 * seconds)
    for who, most in fair.items():
        assert passed[who] == pytest.approx(most, abs=RATE.burst)


def test_what_is_kept_is_bounded_and_ends_with_the_backlog() -> None:
    shares = Shares(RATE, neighbours_max=10)
    taken = [shares.take(Neighbour(PeerId(f"{number}")), 0.0) for number in range(20)]
    assert taken == [True] * 10 + [False] * 10
    assert len(shares) == 10
    shares.take(HONEST, 100.0)
    assert len(shares) == 1


def test_a_clock_that_steps_back_serves_nobody() -> None:
    shares = Shares(Rate(rate_per_s=1.0, burst=1))
    assert shares.take(HONEST, 100.0)
    assert not shares.take(HONEST, 50.0)
    assert shares.take(HONEST, 51.0)


@pytest.mark.parametrize("prefix", ["", "8.8.8.0/24"])
def test_who_comes_later_gets_an_ever_smaller_part_of_the_burst(prefix: str) -> None:
    """The worst that neighbours can do all together is to come one after the other, at once."""
    shares = Shares(RATE)
    counts = [
        sum(shares.take(Neighbour(PeerId(f"{number}"), prefix), 0.0) for _ in range(100))
        for number in range(5)
    ]
    assert counts == [RATE.burst // each for each in range(1, 6)]
