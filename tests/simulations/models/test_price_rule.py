"""The model's price rule is the market's, bit for bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cocoon.market import price
from cocoon.market.price import PPM
from cocoon.messages import PriceInputs, PriceSchedule
from simulations.models.market import price_rule

ppms = st.one_of(st.integers(0, 2 * PPM), st.integers(0, 10**12))
inputs = st.builds(
    PriceInputs,
    base=st.just(PriceSchedule()),
    previous_level_ppm=ppms,
    floor_ppm=ppms,
    cap_ppm=ppms,
    elasticity_ppm=ppms,
    step_max_ppm=ppms,
    slots=st.integers(1, 4096),
    window_ms=st.one_of(st.integers(1, 86_400_000), st.sampled_from([1, 60_000, 86_400_000])),
    busy_slot_ms=st.one_of(st.integers(0, 10**6), st.integers(0, 2**48)),
)


def stepped(one: PriceInputs) -> int:
    level = np.array([one.previous_level_ppm])
    price_rule.step_levels(
        level,
        np.array([one.busy_slot_ms]),
        np.array([one.slots * one.window_ms]),
        np.array([one.floor_ppm]),
        np.array([one.cap_ppm]),
        one.elasticity_ppm,
        one.step_max_ppm,
    )
    return int(level[0])


@settings(max_examples=400)
@given(inputs)
def test_every_step_is_the_same(one) -> None:
    assert stepped(one) == price.next_level_ppm(one)
    utilisation = price_rule.utilisation_ppm(one.busy_slot_ms, one.slots * one.window_ms)
    assert utilisation == price.utilisation_ppm(one)


@given(st.integers(0, 9 * 10**12), st.integers(0, PPM * 4))
def test_every_price_is_the_same(base, level) -> None:
    schedule = price.schedule_at(PriceSchedule(output_token=base), level)
    assert price_rule.price_at(base, level) == schedule.output_token


def test_a_long_climb_stays_the_same() -> None:
    level = 500_000
    for turn in range(500):
        one = PriceInputs(
            base=PriceSchedule(),
            previous_level_ppm=level,
            floor_ppm=500_000,
            cap_ppm=4 * PPM,
            elasticity_ppm=50_000,
            step_max_ppm=20_000,
            slots=3,
            window_ms=60_000,
            busy_slot_ms=turn * 37_777 % 180_001,
        )
        level = stepped(one)
        assert level == price.next_level_ppm(one)


def test_values_that_would_not_be_exact_are_refused() -> None:
    with pytest.raises(ValueError, match="exact"):
        price_rule.check_bounds(np.array([10**12 + 1]), np.array([0]))
    price_rule.check_bounds(np.array([10**12]), np.array([4096 * 86_400_000]))
