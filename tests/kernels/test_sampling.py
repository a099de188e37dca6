from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels.errors import InvalidInput, LaunchError
from kernels.exact import EXACT
from kernels.models.sampling import Choice, Sampling, choose, uniform
from kernels.reference import REFERENCES

logits_lists = st.lists(st.floats(-20, 20, width=32), min_size=1, max_size=40)


def as_logits(values: list[float]) -> np.ndarray:
    return np.array(values, np.float32)


@given(logits_lists, st.integers(0, 2**64 - 1), st.integers(0, 10_000))
def test_no_temperature_takes_the_first_likeliest(values, seed, position) -> None:
    logits = as_logits(values)
    assert choose(logits, Sampling(seed=seed), position) == logits.tolist().index(logits.max())


@given(logits_lists, st.integers(1, 40), st.integers(0, 99))
def test_top_k_takes_one_of_the_k_likeliest(values, top_k, position) -> None:
    logits = as_logits(values)
    chosen = choose(logits, Sampling(1.0, top_k=top_k, seed=1), position)
    assert sorted(logits, reverse=True).index(logits[chosen]) < top_k


@given(
    st.lists(st.floats(-90, 90, width=32) | st.sampled_from([0, 1, -np.inf]), max_size=60),
    st.floats(0, 100) | st.sampled_from([0, 1e-320, 1e-9]),
    st.integers(0, 70) | st.just(2**70),
    st.floats(0, 1),
    st.integers(0, 2**64 - 1),
    st.integers(0, 10**6),
)
def test_a_device_chooses_the_same_token(values, temperature, top_k, top_p, seed, position) -> None:
    logits = as_logits([*values, 0.5])
    choice = Choice(Sampling(temperature, top_k, top_p, seed), position)
    sizes = {"tokens": 1, "vocabulary": len(logits)}
    best, chosen = np.zeros(1, np.int32), np.zeros(1, np.int32)
    weights = np.zeros((1, len(logits)), np.int64)
    REFERENCES["argmax"](logits[None], best, **sizes)
    temperatures = np.array([temperature or 1.0])
    EXACT["sample_weights"](logits[None], best, temperatures, weights, **sizes)
    REFERENCES["sample"](logits[None], weights, best, np.array([choice.rule]), chosen, **sizes)
    assert chosen[0] == choose(logits, choice.sampling, position)


def test_top_k_takes_each_of_the_k_likeliest_and_no_other() -> None:
    logits = as_logits([1.0, 1.2, 1.1, 0.9])
    drawn = {choose(logits, Sampling(1.0, top_k=2, seed=1), position) for position in range(200)}
    assert drawn == {1, 2}


@given(logits_lists, st.floats(0, 1), st.integers(0, 99))
def test_top_p_never_goes_beyond_what_is_needed(values, top_p, position) -> None:
    logits = as_logits(values)
    chosen = choose(logits, Sampling(1.0, top_p=top_p, seed=1), position)
    shares = np.exp(logits.astype(np.float64) - logits.max())
    shares /= shares.sum()
    likelier = shares[logits > logits[chosen]].sum()
    assert likelier <= top_p + 1e-9


def test_the_choice_depends_on_seed_and_position_only() -> None:
    logits = as_logits([0.0] * 1000)
    settings = Sampling(1.0, seed=42)
    row = [choose(logits, settings, position) for position in range(50)]
    assert row == [choose(logits, settings, position) for position in range(50)]
    assert row != [choose(logits, Sampling(1.0, seed=43), position) for position in range(50)]
    assert len(set(row)) > 30


def test_tokens_are_drawn_as_often_as_they_are_likely() -> None:
    logits = np.log(np.array([0.5, 0.3, 0.2], np.float32))
    drawn = Counter(choose(logits, Sampling(1.0, seed=5), position) for position in range(4000))
    assert [round(drawn[index] / 4000, 1) for index in range(3)] == [0.5, 0.3, 0.2]


def test_a_high_temperature_flattens_and_a_low_one_sharpens() -> None:
    logits = as_logits([1.0, 0.0])
    hot = sum(choose(logits, Sampling(50.0, seed=5), position) for position in range(1000))
    cold = sum(choose(logits, Sampling(0.05, seed=5), position) for position in range(1000))
    assert 420 < hot < 580
    assert cold == 0


def test_the_random_numbers_are_fixed_for_ever() -> None:
    assert uniform(0, 0) == pytest.approx(0.9870630107823126, abs=1e-15)
    assert uniform(1, 0) != uniform(0, 1)


def test_forbidden_tokens_are_never_drawn() -> None:
    logits = as_logits([-np.inf, 1.0, -np.inf, 0.5])
    drawn = {choose(logits, Sampling(2.0, seed=9), position) for position in range(200)}
    assert drawn == {1, 3}


@pytest.mark.parametrize("values", [[np.nan, 1.0], [np.inf, 1.0], [-np.inf, -np.inf]])
def test_logits_that_are_no_numbers_are_an_error(values) -> None:
    with pytest.raises(LaunchError):
        choose(as_logits(values), Sampling(1.0), 0)


@pytest.mark.parametrize(
    "settings",
    [
        {"temperature": -0.1},
        {"temperature": float("nan")},
        {"top_k": -1},
        {"top_p": 1.5},
        {"top_p": float("nan")},
        {"seed": -1},
        {"seed": 2**64},
    ],
)
def test_settings_out_of_range_are_refused(settings) -> None:
    with pytest.raises(InvalidInput):
        Sampling(**settings)
