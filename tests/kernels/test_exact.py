"""The exact path: the same bytes at every batch size, from prefill and decode, on every device.

What is compared byte for byte are the CUDA sources on the PTX route and `kernels.exact`, two
programs written apart in two languages; `test_cuda` does the same for each kernel alone.
"""

import math
import re
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_cases import Arrays, Sizes, open_card, run
from numpy.typing import NDArray
from test_llama_cuda import random_weights, token_ids

from kernels import exact
from kernels._cpu import CpuDevice
from kernels.compile import family_source
from kernels.device import Device
from kernels.exact import EXACT
from kernels.models.decoder import Step
from kernels.models.llama_cuda import DeviceDecoder
from kernels.models.sampling import Choice, Sampling, choose
from kernels.quantised import F32, dequantise_q4, quantise, quantise_q4, weights_of
from kernels.registry import kernel
from kernels.spec import Role

WIDTH, HEADS, KV_HEADS, HEAD_DIM, HIDDEN, CONTEXT, SLOTS = 96, 6, 1, 32, 160, 270, 32


@pytest.fixture(scope="module")
def card() -> Iterator[Device]:
    with closing(open_card("ptx")) as device:
        yield device


def test_exp_is_within_one_unit_of_the_last_place_and_never_rises_above_one() -> None:
    x = -np.linspace(0, 87, 200_001, dtype=np.float32)
    found, wanted = exact.exp(x), np.exp(x.astype(np.float64))
    assert (np.abs(found - wanted) <= np.spacing(wanted.astype(np.float32))).all()
    assert found.max() == exact.exp(np.zeros(1, np.float32))[0] == 1
    assert exact.exp(np.array([-87.5, -1e30, -np.inf], np.float32)).tolist() == [0, 0, 0]
    assert np.isnan(exact.exp(np.array([np.nan], np.float32))).all()


@given(st.integers(1, 300), st.integers(0, 2**32))
def test_a_sum_by_lanes_is_the_sum_of_its_terms(count: int, seed: int) -> None:
    terms = np.random.default_rng(seed).integers(-1000, 1000, (count, 3)).astype(np.float32)
    assert exact.lane_sum(terms).tolist() == terms.sum(axis=0).tolist()
    assert exact.block_sum(terms.T).tolist() == terms.sum(axis=0).tolist()


@pytest.mark.parametrize("name", sorted(EXACT))
def test_an_exact_kernel_has_no_instruction_that_devices_may_round_differently(
    card: Device, name: str
) -> None:
    from kernels._cpu_ptx import compile_to_ptx

    ptx = compile_to_ptx(family_source(kernel(name).family))
    body = re.search(rf"\.entry {name}\(.*?^}}", ptx, re.DOTALL | re.MULTILINE)
    assert body is not None
    free = r"\b(?:fma\.\S+|(?:add|sub|mul|div|sqrt|rcp)\.f(?:32|64)|\S+\.approx\S*|\S+\.ftz\S*)"
    assert re.findall(free, body[0]) == []  # what has no ".rn" may be fused by the assembler
    assert ".rn.f" in body[0]


def test_rotary_angles_are_those_of_the_formula_far_out_too() -> None:
    cosines, sines = exact.rotary_angles(10_000.0, 64, 5000)
    for position, i in ((0, 0), (1, 0), (4999, 0), (4999, 1), (4096, 31), (77, 16)):
        angle = position * 10_000.0 ** (-2 * i / 64)
        assert abs(cosines[position, i] - math.cos(angle)) < 1e-7
        assert abs(sines[position, i] - math.sin(angle)) < 1e-7


def test_four_bits_keep_a_value_to_half_a_step() -> None:
    values = np.random.default_rng(3).standard_normal((5, 96), np.float32)
    values[0, :32] = 7  # a block without a step
    quants, scales = quantise_q4(values)
    assert (quants.nbytes, scales.nbytes) == (values.size // 2, values.size // 8)
    blocks = values.reshape(5, 3, 32)
    steps = (blocks.max(axis=-1) - blocks.min(axis=-1)) / 15
    error = np.abs(dequantise_q4(quants, scales) - values).reshape(5, 3, 32)
    assert (error <= 0.52 * steps[..., None] + 2e-3).all()


class LayerOfWeights:
    """One layer of a Llama, random; a step of it is a chain of launches."""

    def __init__(self, precision: str) -> None:
        random = np.random.default_rng(4)
        self.precision = precision
        self.gain = 1 + random.standard_normal(WIDTH, np.float32) / 10
        qkv = (HEADS + 2 * KV_HEADS) * HEAD_DIM
        sizes = {
            "qkv": (qkv, WIDTH),
            "out": (WIDTH, HEADS * HEAD_DIM),
            "gate_up": (2 * HIDDEN, WIDTH),
            "down": (WIDTH, HIDDEN),
        }
        pack = quantise if precision == "q8" else quantise_q4
        self.matrices = {
            name: pack(random.standard_normal(size, np.float32) / np.float32(size[1] ** 0.5))
            for name, size in sizes.items()
        }
        cache = (2, SLOTS, KV_HEADS, CONTEXT, HEAD_DIM)
        self.keys, self.values = random.standard_normal(cache, np.float32)
        self.angles = exact.rotary_angles(10_000.0, HEAD_DIM, CONTEXT)

    def step(
        self, device: Device, hidden: NDArray[np.float32], places: NDArray[np.int32]
    ) -> NDArray[np.float32]:
        tokens = len(hidden)
        attention: Sizes = {
            "tokens": tokens,
            "heads": HEADS,
            "kv_heads": KV_HEADS,
            "head_dim": HEAD_DIM,
            "context": CONTEXT,
            "slots": SLOTS,
        }

        def launch(name: str, sizes: Sizes, **arrays: NDArray[Any]) -> Arrays:
            spec = kernel(name)
            for each in spec.arrays:
                if each.role is Role.OUT:
                    arrays[each.name] = np.zeros(each.shape_of(sizes), each.dtype.value)
            return run(device, spec, {each.name: arrays[each.name] for each in spec.arrays}, sizes)

        def normed() -> tuple[NDArray[Any], NDArray[Any]]:
            sizes: Sizes = {"tokens": tokens, "columns": WIDTH, "epsilon": 1e-5}
            found = launch("rms_norm_q8", sizes, inputs=hidden, weight=self.gain)
            return found["quants"], found["scales"]

        def product(
            name: str,
            inputs: tuple[NDArray[Any], NDArray[Any]],
            onto: NDArray[np.float32] | None = None,
        ) -> NDArray[np.float32]:
            weights, scales = self.matrices[name]
            rows, columns = len(weights), inputs[0].shape[1]
            outputs = np.zeros((tokens, rows), np.float32) if onto is None else onto
            sizes: Sizes = {"tokens": tokens, "rows": rows, "columns": columns}
            sizes["accumulate"] = int(onto is not None)
            return launch(
                f"matmul_{self.precision}_t{1 if tokens == 1 else 8}",
                sizes,
                weights=weights,
                weight_scales=scales,
                inputs=inputs[0],
                input_scales=inputs[1],
                outputs=outputs,
            )["outputs"]

        shared = {"places": places, "keys": self.keys, "values": self.values}
        turned = launch(
            "rope_cache",
            attention,
            qkv=product("qkv", normed()),
            cosines=self.angles[0],
            sines=self.angles[1],
            **shared,
        )
        turned["outputs"] = np.zeros((tokens, HEADS, HEAD_DIM), np.float32)
        mixed = launch("attention_group", attention, **turned)["outputs"]
        blocks = mixed.size // 32
        packed = launch("quantise_q8", {"blocks": blocks}, inputs=mixed.reshape(blocks, 32))
        packed_mixed = packed["quants"].reshape(tokens, -1), packed["scales"].reshape(tokens, -1)
        hidden = product("out", packed_mixed, hidden)
        gate_up = product("gate_up", normed()).reshape(tokens, 2, HIDDEN)
        gated = launch("swiglu_q8", {"tokens": tokens, "width": HIDDEN}, gate_up=gate_up)
        return product("down", (gated["quants"], gated["scales"]), hidden)


@pytest.mark.parametrize("precision", ["q8", "q4"])
def test_a_decode_step_gives_the_same_bytes_at_batch_1_8_and_32_on_both_devices(
    card: Device, precision: str
) -> None:
    layer, random = LayerOfWeights(precision), np.random.default_rng(6)
    hidden = random.standard_normal((32, WIDTH), np.float32)
    positions = random.integers(0, 40, 32)
    positions[0] = CONTEXT - 1  # in the second chunk
    places = np.stack([np.arange(32), positions], axis=1).astype(np.int32)
    together = layer.step(card, hidden, places)
    assert np.isfinite(together).all()
    assert together.tobytes() == layer.step(CpuDevice(), hidden, places).tobytes()
    for size, starts in ((8, (0, 8, 16, 24)), (1, (0, 7, 31))):
        for start in starts:
            part = slice(start, start + size)
            found = layer.step(card, hidden[part], places[part])
            assert found.tobytes() == together[part].tobytes(), (size, start)


def test_a_whole_model_gives_the_same_bytes_in_prefill_decode_and_batch_on_both_devices(
    card: Device,
) -> None:
    weights, ids = random_weights(tied=True), token_ids(12)
    on_card, on_host = (DeviceDecoder(device, weights) for device in (card, CpuDevice()))
    whole = on_card.new_sequence(16).extend(ids)
    assert whole.tobytes() == on_host.new_sequence(16).extend(ids).tobytes()
    one_by_one = on_card.new_sequence(40)
    for token in ids:
        last = one_by_one.extend([token])
    assert last.tobytes() == whole.tobytes()
    steps = [Step(on_card.new_sequence(16 + index), ids) for index in range(8)]
    for row in on_card.extend_together(steps):
        assert row is not None
        assert row.tobytes() == whole.tobytes()


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(0.8, top_k=40, top_p=0.95, seed=1),
        Sampling(1.0, seed=2),
        Sampling(3.0, top_p=0.5, seed=2**64 - 1),
        Sampling(0.05, top_k=3, seed=4),
        Sampling(1.5, top_p=0.0, seed=5),
        Sampling(1.5, top_k=1, seed=6),
    ],
    ids=str,
)
def test_a_token_drawn_on_a_device_is_the_one_that_the_host_draws(
    card: Device, sampling: Sampling
) -> None:
    tokens, vocabulary = 25, 777
    scores = np.random.default_rng(8).normal(0, 3, (tokens, vocabulary)).astype(np.float32)
    scores[:, 5] = scores[:, 700]  # ties
    choices = [Choice(sampling, position) for position in range(tokens)]
    found = choose_on_a_device(card, scores, choices)
    wanted = [choose(row, sampling, position) for position, row in enumerate(scores)]
    assert found == wanted
    assert len(set(wanted)) > 3


def choose_on_a_device(card: Device, scores: F32, choices: list[Choice]) -> list[int]:
    tokens, vocabulary = scores.shape
    sizes: Sizes = {"tokens": tokens, "vocabulary": vocabulary}
    arrays: Arrays = {
        "scores": scores,
        "best": np.zeros(tokens, np.int32),
        "temperatures": np.array([each.sampling.temperature for each in choices]),
        "weights": np.zeros((tokens, vocabulary), np.int64),
        "rules": np.array([each.rule for each in choices]),
        "chosen": np.zeros(tokens, np.int32),
    }
    for name in ("argmax", "sample_weights", "sample"):
        spec = kernel(name)
        arrays |= run(card, spec, {each.name: arrays[each.name] for each in spec.arrays}, sizes)
    return [int(each) for each in arrays["chosen"]]


def test_a_draw_on_the_very_border_of_two_tokens_is_the_same_on_device_and_host(
    card: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One step of a draw before each border, and on it: sums in float64 would often differ."""
    scores = np.random.default_rng(9).normal(0, 2, 50).astype(np.float32)
    sampling = Sampling(1.3, top_p=0.9)
    falling = -np.sort(-scores.astype(np.float64))
    sums = np.cumsum(weights_of((falling - falling[0]) / 1.3))
    needed = -(-int(sums[-1]) * int(0.9 * 2**53) >> 53)
    sums = sums[: np.searchsorted(sums, needed) + 1]
    borders = [-(-int(each) * 2**53 // int(sums[-1])) for each in sums[:-1]]
    draws = [0, *(border - back for border in borders for back in (1, 0)), 2**53 - 1]
    monkeypatch.setattr(
        "kernels.models.sampling.uniform", lambda _seed, position: draws[position] / 2**53
    )
    choices = [Choice(sampling, position) for position in range(len(draws))]
    wanted = [choose(scores, sampling, position) for position in range(len(draws))]
    order = np.argsort(-scores, kind="stable")[: len(sums)]
    assert wanted == np.repeat(order, 2).tolist()
    assert choose_on_a_device(card, np.tile(scores, (len(draws), 1)), choices) == wanted
