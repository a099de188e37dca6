"""The decoder on a device against the NumPy decoder, on random weights.

The device is the one whose kernels are their references: this proves the loop (which kernel,
which buffer, which size), and `test_cuda` proves the kernels.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kernels._cpu import CpuBuffer, CpuDevice
from kernels.errors import DeviceUnavailable, InvalidInput
from kernels.models.llama import NumpyDecoder
from kernels.models.llama_cuda import CHUNK_TOKENS, DeviceDecoder, Precision
from kernels.models.weights import LlamaConfig, LlamaLayer, LlamaWeights

CONFIG = LlamaConfig(
    layers=2,
    width=96,
    feed_forward_width=160,
    heads=3,
    kv_heads=1,
    head_width=32,
    vocabulary=61,
    context_tokens=512,
    norm_epsilon=1e-5,
    rope_base=10_000.0,
)


def random_weights(config: LlamaConfig = CONFIG, *, tied: bool = False) -> LlamaWeights:
    random = np.random.default_rng(5)

    def matrix(rows: int, columns: int) -> NDArray[np.float32]:
        return random.standard_normal((rows, columns), np.float32) / np.float32(columns**0.5)

    def gain() -> NDArray[np.float32]:
        return 1 + random.standard_normal(config.width, np.float32) / 10

    layers = tuple(
        LlamaLayer(
            attention_norm=gain(),
            query_key_value=matrix(config.query_width + 2 * config.kv_width, config.width),
            attention_out=matrix(config.width, config.query_width),
            feed_forward_norm=gain(),
            gate_up=matrix(2 * config.feed_forward_width, config.width),
            down=matrix(config.width, config.feed_forward_width),
        )
        for _ in range(config.layers)
    )
    embedding = matrix(config.vocabulary, config.width) * 5
    output = embedding if tied else matrix(config.vocabulary, config.width)
    return LlamaWeights(config, embedding, layers, gain(), output)


class CountingDevice(CpuDevice):
    """A device that knows how much memory is in use."""

    def __init__(self) -> None:
        super().__init__()
        self.used_bytes = 0

    def allocate(self, size_bytes: int) -> CpuBuffer:
        self.used_bytes += size_bytes
        return super().allocate(size_bytes)

    def free(self, buffer: CpuBuffer) -> None:  # type: ignore[override]  # only its own, here
        self.used_bytes -= buffer.size_bytes
        super().free(buffer)


def token_ids(count: int) -> list[int]:
    return np.random.default_rng(7).integers(0, CONFIG.vocabulary, count).tolist()


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize(("precision", "tolerance"), [("f32", 1e-4), ("q8", 0.05)])
def test_logits_agree_with_the_numpy_decoder_in_prefill_and_in_decode(
    precision: Precision, tolerance: float, tied: bool
) -> None:
    weights = random_weights(tied=tied)
    expected = NumpyDecoder(weights).new_sequence(64)
    found = DeviceDecoder(CpuDevice(), weights, precision=precision).new_sequence(64)
    for part in (token_ids(9), [3], [60], [0], token_ids(2)):
        wanted, logits = expected.extend(part), found.extend(part)
        assert logits.shape == (CONFIG.vocabulary,)
        assert np.abs(logits - wanted).max() < tolerance * np.abs(wanted).max()
    assert found.length_tokens == expected.length_tokens == 14


def test_a_long_prompt_in_chunks_equals_the_numpy_decoder() -> None:
    weights, prompt = random_weights(), token_ids(2 * CHUNK_TOKENS + 3)
    expected = NumpyDecoder(weights).new_sequence(300).extend(prompt)
    found = DeviceDecoder(CpuDevice(), weights, precision="f32").new_sequence(300).extend(prompt)
    assert np.abs(found - expected).max() < 1e-4 * np.abs(expected).max()


def test_a_stop_is_obeyed_between_chunks() -> None:
    sequence = DeviceDecoder(CpuDevice(), random_weights()).new_sequence(400)
    sequence.extend(token_ids(3 * CHUNK_TOKENS), should_stop=lambda: True)
    assert sequence.length_tokens == CHUNK_TOKENS


def test_two_sequences_do_not_disturb_each_other() -> None:
    decoder = DeviceDecoder(CpuDevice(), random_weights())
    alone = decoder.new_sequence(8)
    expected = [alone.extend([1, 2]), alone.extend([3])]
    one, two = decoder.new_sequence(8), decoder.new_sequence(16)
    first = one.extend([1, 2])
    two.extend([9, 9, 9])
    assert np.array_equal(first, expected[0])
    assert np.array_equal(one.extend([3]), expected[1])


@pytest.mark.parametrize("ids", [[], [-1], [CONFIG.vocabulary], [0] * 5])
def test_tokens_that_do_not_fit_are_refused_and_change_nothing(ids: list[int]) -> None:
    sequence = DeviceDecoder(CpuDevice(), random_weights()).new_sequence(4)
    with pytest.raises(InvalidInput):
        sequence.extend(ids)
    assert sequence.length_tokens == 0
    assert np.isfinite(sequence.extend([1, 2, 3, 4])).all()


@pytest.mark.parametrize("capacity_tokens", [0, -1, 513])
def test_a_capacity_out_of_range_is_refused(capacity_tokens: int) -> None:
    decoder = DeviceDecoder(CpuDevice(), random_weights())
    with pytest.raises(InvalidInput):
        decoder.new_sequence(capacity_tokens)


def test_the_budget_of_keys_and_values_is_kept() -> None:
    budget = 10 * CONFIG.kv_bytes_per_token
    decoder = DeviceDecoder(CpuDevice(), random_weights(), kv_bytes_max=budget)
    decoder.new_sequence(10)
    with pytest.raises(InvalidInput):
        decoder.new_sequence(11)


def test_everything_is_given_back() -> None:
    device = CountingDevice()
    decoder = DeviceDecoder(device, random_weights())
    loaded_bytes = device.used_bytes
    assert loaded_bytes > 0
    sequence = decoder.new_sequence(16)
    sequence.extend([1])
    sequence.close()
    sequence.close()
    assert device.used_bytes == loaded_bytes
    with pytest.raises(InvalidInput):
        sequence.extend([1])
    decoder.close()
    assert device.used_bytes == 0


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"head_width": 48, "heads": 2}, "heads of 48"),
        ({"feed_forward_width": 100}, "widths"),
        ({"width": 80}, "widths"),
    ],
)
def test_a_model_that_the_kernels_cannot_do_is_refused(changes: dict[str, Any], word: str) -> None:
    config = replace(CONFIG, **changes)
    with pytest.raises(DeviceUnavailable, match=word):
        DeviceDecoder(CpuDevice(), random_weights(config))


def test_q8_needs_less_than_a_third_of_the_memory() -> None:
    whole, small = CountingDevice(), CountingDevice()
    weights = random_weights(replace(CONFIG, vocabulary=20_000))
    DeviceDecoder(whole, weights, precision="f32")
    DeviceDecoder(small, weights, precision="q8")
    assert small.used_bytes < whole.used_bytes / 3
