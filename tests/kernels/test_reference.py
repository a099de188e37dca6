"""The references against formulas written another way."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from kernels import reference

finite = st.floats(-(2.0**20), 2.0**20, width=32)


@given(arrays(np.float32, (3, 64), elements=finite))
def test_a_quantised_value_is_within_half_a_step(values: NDArray[np.float32]) -> None:
    quants, scales = reference.quantise(values)
    assert quants.shape == (3, 64)
    assert scales.shape == (3, 2)
    error = np.abs(reference.dequantise(quants, scales) - values).reshape(3, 2, 32)
    assert (error <= scales[..., None] * 0.501 + 1e-30).all()
    assert (np.abs(quants.astype(int)) <= 127).all()


@pytest.mark.parametrize("value", [0.0, 1e-42, 1e-38, 9e-31])
def test_a_block_of_next_to_nothing_is_quantised_to_zeros(value: float) -> None:
    quants, scales = reference.quantise(np.full((1, 32), value, np.float32))
    assert not quants.any()
    assert not scales.any()


def test_attention_of_one_position_returns_its_value() -> None:
    random = np.random.default_rng(0)
    qkv = random.standard_normal((1, 4 * 8), np.float32)
    keys, values = random.standard_normal((2, 1, 1, 5, 8), np.float32)
    outputs = np.zeros((1, 2, 8), np.float32)
    sizes = {"tokens": 1, "heads": 2, "kv_heads": 1, "head_dim": 8}
    reference.attention(qkv, keys, values, np.array([[0, 0]], np.int32), outputs, **sizes)
    assert np.allclose(outputs[0], values[0, 0, 0])


def test_attention_is_a_softmax_written_out() -> None:
    qkv = np.array([[1.0, 2.0, 0.0, 0.0, 0.0, 0.0]], np.float32)
    keys = np.array([[[[1.0, 0.0], [0.0, 1.0], [9.0, 9.0]]]], np.float32)
    values = np.array([[[[1.0, 0.0], [0.0, 1.0], [9.0, 9.0]]]], np.float32)
    outputs = np.zeros((1, 1, 2), np.float32)
    sizes = {"tokens": 1, "heads": 1, "kv_heads": 1, "head_dim": 2}
    reference.attention(qkv, keys, values, np.array([[0, 1]], np.int32), outputs, **sizes)
    first, second = math.exp(1 / math.sqrt(2)), math.exp(2 / math.sqrt(2))
    expected = [first / (first + second), second / (first + second)]
    assert np.allclose(outputs[0, 0], expected, rtol=1e-6)


def test_rope_turns_pairs_of_queries_and_keys_and_leaves_values() -> None:
    angle = 0.3
    tables = np.zeros((4, 1), np.float32), np.zeros((4, 1), np.float32)
    tables[0][3], tables[1][3] = math.cos(angle), math.sin(angle)
    qkv = np.array([[1.0, 0.0, 0.0, 1.0, 5.0, 6.0]], np.float32)
    keys, values = np.zeros((2, 1, 1, 4, 2), np.float32)
    sizes = {"tokens": 1, "heads": 1, "kv_heads": 1, "head_dim": 2}
    places = np.array([[0, 3]], np.int32)
    reference.rope_cache(qkv, *tables, places, keys, values, **sizes)
    assert np.allclose(qkv[0, :2], [math.cos(angle), math.sin(angle)])
    assert np.allclose(keys[0, 0, 3], [-math.sin(angle), math.cos(angle)])
    assert values[0, 0, 3].tolist() == [5.0, 6.0]
    assert not keys[0, 0, :3].any()


def test_rms_norm_of_equal_values_is_the_weight() -> None:
    outputs = np.zeros((1, 4), np.float32)
    weight = np.array([1, 2, 3, 4], np.float32)
    reference.rms_norm(np.full((1, 4), 7, np.float32), weight, outputs, epsilon=0.0)
    assert np.allclose(outputs[0], weight)


def test_swiglu_is_silu_of_gate_times_up_even_far_from_zero() -> None:
    gate_up = np.array([[[0.0, 1.0, -1e4, 1e4], [2.0, 2.0, 2.0, 2.0]]], np.float32)
    outputs = np.zeros((1, 4), np.float32)
    reference.swiglu(gate_up, outputs)
    assert np.allclose(outputs[0], [0.0, 2 / (1 + math.exp(-1)), 0.0, 2e4])


def test_matmul_accumulates_only_when_told() -> None:
    weights = np.array([[1, 2], [3, 4]], np.float32)
    outputs = np.array([[100.0, 100.0]], np.float32)
    inputs = np.array([[1.0, 1.0]], np.float32)
    reference.matmul_f32(weights, inputs, outputs, accumulate=1)
    assert outputs.tolist() == [[103.0, 107.0]]
    reference.matmul_f32(weights, inputs, outputs, accumulate=0)
    assert outputs.tolist() == [[3.0, 7.0]]


def test_argmax_takes_the_first_of_equals_and_ignores_what_is_no_number() -> None:
    scores = np.array([[1, 5, 5, 0], [np.nan, -2, -1, np.nan]], np.float32)
    best = np.zeros(2, np.int32)
    reference.argmax(scores, best)
    assert best.tolist() == [1, 2]


def test_an_unknown_id_gives_zeros() -> None:
    outputs = np.ones((3, 2), np.float32)
    table = np.array([[1.0, 2.0]], np.float32)
    reference.embed_f32(table, np.array([0, 1, -1], np.int32), outputs, vocabulary=1)
    assert outputs.tolist() == [[1.0, 2.0], [0.0, 0.0], [0.0, 0.0]]
