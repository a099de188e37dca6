"""The decoder on a device against the NumPy decoder, on random weights.

The device is the one whose kernels are their references: this proves the loop (which kernel,
which buffer, which size), and `test_cuda` proves the kernels.
"""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model_files import FAMILY_SHAPE, family_bytes
from numpy.typing import NDArray

from kernels._cpu import CpuBuffer, CpuDevice
from kernels.device import Argument
from kernels.errors import DeviceUnavailable, InvalidInput, LaunchError
from kernels.models.chat import _best_device
from kernels.models.decoder import Step
from kernels.models.gguf import open_gguf
from kernels.models.llama import NumpyDecoder
from kernels.models.llama_cuda import CHUNK_TOKENS, DeviceDecoder, Precision
from kernels.models.sampling import Choice, Sampling, choose
from kernels.models.weights import LlamaConfig, LlamaLayer, LlamaWeights
from kernels.quantised import dequantise_q4, quantise_q4
from kernels.spec import KernelSpec

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


def test_four_bits_agree_with_the_same_weights_in_float() -> None:
    rough = random_weights()

    def fine(matrix: NDArray[np.float32]) -> NDArray[np.float32]:
        return dequantise_q4(*quantise_q4(matrix)).astype(np.float32)

    layers = tuple(
        replace(
            layer,
            query_key_value=fine(layer.query_key_value),
            attention_out=fine(layer.attention_out),
            gate_up=fine(layer.gate_up),
            down=fine(layer.down),
        )
        for layer in rough.layers
    )
    weights = replace(
        rough, embedding=fine(rough.embedding), layers=layers, output=fine(rough.output)
    )
    wanted = NumpyDecoder(weights).new_sequence(16).extend(token_ids(9))
    found = (
        DeviceDecoder(CpuDevice(), weights, precision="q4").new_sequence(16).extend(token_ids(9))
    )
    assert np.abs(found - wanted).max() < 0.05 * np.abs(wanted).max()


def test_a_pass_over_several_texts_gives_each_the_bits_it_gets_alone() -> None:
    decoder = DeviceDecoder(CpuDevice(), random_weights())
    prompts = [token_ids(3 + index)[::-1] for index in range(10)]
    alone = [decoder.new_sequence(20) for _ in prompts]
    wanted = [one.extend(prompt) for one, prompt in zip(alone, prompts, strict=True)]
    sequences = [decoder.new_sequence(20 + index) for index in range(10)]
    steps = [Step(one, prompt) for one, prompt in zip(sequences, prompts, strict=True)]
    for found, row in zip(decoder.extend_together(steps), wanted, strict=True):
        assert found is not None
        assert found.tobytes() == row.tobytes()
    steps = [Step(one, [index], index != 4) for index, one in enumerate(sequences)]
    for index, found in enumerate(decoder.extend_together(steps)):
        row = alone[index].extend([index])
        assert found is None if index == 4 else found.tobytes() == row.tobytes()


def test_a_pass_that_does_not_fit_is_refused_and_changes_nothing() -> None:
    decoder = DeviceDecoder(CpuDevice(), random_weights())
    one, two = decoder.new_sequence(200), decoder.new_sequence(4)
    stranger = DeviceDecoder(CpuDevice(), random_weights()).new_sequence(4)
    for steps in (
        [],
        [Step(one, [1]), Step(one, [2])],
        [Step(one, [1] * CHUNK_TOKENS), Step(two, [1])],
        [Step(one, [1]), Step(two, [1] * 5)],
        [Step(one, [1]), Step(stranger, [1])],
    ):
        with pytest.raises(InvalidInput):
            decoder.extend_together(steps)
    assert one.length_tokens == two.length_tokens == 0


def test_a_long_text_is_split_over_blocks_and_keeps_its_bits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decoder, prompt = DeviceDecoder(CpuDevice(), random_weights()), token_ids(300)
    whole = decoder.new_sequence(400)
    wanted = [whole.extend(prompt), whole.extend([5])]
    monkeypatch.setattr("kernels.models.llama_cuda.SPLIT_FROM_TOKENS", 280)
    split = decoder.new_sequence(400)
    found = [split.extend(prompt), split.extend([5])]
    assert [row.tobytes() for row in found] == [row.tobytes() for row in wanted]


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


class TalkativeDevice(CpuDevice):
    """Counts the bytes that come back."""

    returned_bytes = 0

    def copy_out(self, buffer: CpuBuffer, size_bytes: int) -> bytearray:  # type: ignore[override]
        self.returned_bytes += size_bytes
        return super().copy_out(buffer, size_bytes)


class RepeatingDevice(CpuDevice):
    """Holds every series of launches against what was launched under the same key before."""

    def __init__(self) -> None:
        super().__init__()
        self.series: dict[Hashable, list[tuple[str, dict[str, Argument]]]] = {}
        self.repeats = 0
        self._launched: list[tuple[str, dict[str, Argument]]] = []

    def launch(self, kernel: KernelSpec, arguments: Mapping[str, Argument]) -> None:
        self._launched.append((kernel.name, dict(arguments)))
        super().launch(kernel, arguments)

    def repeat(self, key: Hashable, launches: Callable[[], None]) -> None:
        self._launched = launched = []
        launches()
        self._launched = []
        if key in self.series:
            assert launched == self.series[key], key
            self.repeats += 1
        self.series[key] = launched


def test_launches_under_one_key_are_the_same_whatever_is_decoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("kernels.models.llama_cuda.SPLIT_FROM_TOKENS", 254)
    device = RepeatingDevice()
    decoders = [DeviceDecoder(device, random_weights(), precision=each) for each in ("q8", "q4")]
    for decoder in decoders:
        texts = [decoder.new_sequence(300) for _ in range(3)]
        texts[0].extend(token_ids(250))
        for turn in range(8):
            texts[0].extend([turn])
            choice = Choice(SAMPLINGS[turn % 2], turn)
            texts[1].extend_and_choose(token_ids(1 + turn % 2), choice)
            group = texts[turn % 2 :]
            decoder.choose_together([Step(each, [turn]) for each in group], [choice] * len(group))
            decoder.extend_together([Step(each, [turn]) for each in reversed(group)])
    assert device.repeats > 40
    layers = [key for key in device.series if key[0] == "layers"]
    assert max(chunks for key in layers for _, chunks in key[1:]) == 2
    assert all(len(series) > 1 for series in device.series.values())


SAMPLINGS = [
    Sampling(),
    Sampling(0.8, top_k=20, top_p=0.95, seed=3),
    Sampling(4.0, seed=2**64 - 1),
    Sampling(1.0, top_k=1),
    Sampling(2.5, top_p=0.3, seed=9),
]


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=str)
def test_the_device_chooses_what_the_host_would_and_only_the_choice_comes_back(
    sampling: Sampling,
) -> None:
    device = TalkativeDevice()
    decoder = DeviceDecoder(device, random_weights())
    told, asked = decoder.new_sequence(40), decoder.new_sequence(40)
    pending = token_ids(9)
    for count in range(12):
        choice = Choice(sampling, told.length_tokens + len(pending))
        expected = choose(told.extend(pending), sampling, choice.position)
        before = device.returned_bytes
        assert asked.extend_and_choose(pending, choice) == expected
        assert device.returned_bytes - before == 4
        pending = [expected, count]


def test_several_texts_get_the_tokens_that_each_would_get_alone() -> None:
    decoder = DeviceDecoder(CpuDevice(), random_weights())
    samplings = [SAMPLINGS[index % 5] for index in range(19)]
    prompts = [token_ids(3 + index % 5) for index in range(19)]
    choices = [Choice(each, len(ids)) for each, ids in zip(samplings, prompts, strict=True)]
    alone = [
        decoder.new_sequence(20).extend_and_choose(ids, choice)
        for ids, choice in zip(prompts, choices, strict=True)
    ]
    steps = [Step(decoder.new_sequence(20), ids, len(ids) != 4) for ids in prompts]
    found = decoder.choose_together(steps, choices)
    for step, together, single in zip(steps, found, alone, strict=True):
        assert together == (single if step.wants_logits else None)


def test_a_choice_is_not_made_after_a_stop() -> None:
    sequence = DeviceDecoder(CpuDevice(), random_weights()).new_sequence(400)
    ids = token_ids(2 * CHUNK_TOKENS)
    assert sequence.extend_and_choose(ids, Choice(Sampling(), 1), should_stop=lambda: True) is None
    assert sequence.length_tokens == CHUNK_TOKENS


def test_logits_that_are_no_numbers_are_an_error_when_the_device_chooses() -> None:
    weights = random_weights()
    broken = replace(weights, output_norm=np.full_like(weights.output_norm, np.nan))
    sequence = DeviceDecoder(CpuDevice(), broken, precision="f32").new_sequence(8)
    with pytest.raises(LaunchError):
        sequence.extend_and_choose([1], Choice(Sampling(), 1))


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
    weights = random_weights(replace(CONFIG, width=384, vocabulary=20_000))
    DeviceDecoder(whole, weights, precision="f32")
    DeviceDecoder(small, weights, precision="q8")
    assert small.used_bytes < whole.used_bytes / 3


@pytest.mark.parametrize(("family", "device"), [("llama", "cuda"), ("qwen2", "cpu")])
def test_auto_takes_the_card_for_models_that_it_can_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, family: str, device: str
) -> None:
    monkeypatch.setattr("kernels.device.available_devices", lambda: ("cuda", "cpu"))
    monkeypatch.setitem(FAMILY_SHAPE, "attention.key_length", 32)
    path = tmp_path / "model.gguf"
    path.write_bytes(family_bytes(family))
    assert _best_device(open_gguf(path)) == device
