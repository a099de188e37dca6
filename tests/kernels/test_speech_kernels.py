"""Whisper's front and one encoder block, launched kernel by kernel, against the NumPy network."""

from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest
from kernel_cases import Arrays, Sizes, open_card, run
from numpy.typing import NDArray

from kernels.device import Device
from kernels.models.whisper_network import gelu
from kernels.registry import kernel
from kernels.spec import Role

BANDS, FRAMES, HEADS, HEAD_DIM = 16, 50, 2, 32
WIDTH, POSITIONS = HEADS * HEAD_DIM, FRAMES // 2
Floats = NDArray[np.float32]


@pytest.fixture(scope="module")
def card() -> Iterator[Device]:
    with closing(open_card("ptx")) as device:
        yield device


def launch(device: Device, name: str, sizes: Sizes, **arrays: NDArray) -> Arrays:
    spec = kernel(name)
    for each in spec.arrays:
        if each.role is Role.OUT or each.name not in arrays:
            arrays[each.name] = np.zeros(each.shape_of(sizes), each.dtype.value)
    return run(device, spec, {each.name: arrays[each.name] for each in spec.arrays}, sizes)


class Weights:
    def __init__(self) -> None:
        random = np.random.default_rng(11)

        def matrix(*shape: int) -> Floats:
            return random.standard_normal(shape, np.float32) / np.float32(shape[-1] ** 0.5)

        self.mel = random.standard_normal((FRAMES, BANDS), np.float32)
        self.conv1, self.conv2 = matrix(WIDTH, BANDS, 3), matrix(WIDTH, WIDTH, 3)
        self.qkv, self.out = matrix(3 * WIDTH, WIDTH), matrix(WIDTH, WIDTH)
        self.up, self.down = matrix(4 * WIDTH, WIDTH), matrix(WIDTH, 4 * WIDTH)
        self.bias = {n: random.standard_normal(n, np.float32) / 3 for n in (64, 192, 256)}
        self.gain = 1 + random.standard_normal(WIDTH, np.float32) / 10


def on_device(device: Device, weights: Weights) -> Floats:
    bias = weights.bias

    def convolved(inputs: Floats, matrix: Floats, stride: int) -> Floats:
        frames, channels = inputs.shape
        sizes: Sizes = {"frames": frames, "channels": channels}
        sizes |= {"filters": WIDTH, "stride": stride}
        found = launch(device, "conv1d", sizes, inputs=inputs, weights=matrix, bias=bias[WIDTH])
        outputs = found["outputs"]
        sizes = {"tokens": len(outputs), "width": WIDTH}
        return launch(device, "gelu", sizes, inputs=outputs, bias=np.zeros_like(bias[WIDTH]))[
            "outputs"
        ]

    def normed(inputs: Floats) -> Floats:
        sizes: Sizes = {"tokens": POSITIONS, "columns": WIDTH, "epsilon": 1e-5}
        parts = {"inputs": inputs, "weight": weights.gain, "bias": bias[WIDTH]}
        return launch(device, "layer_norm", sizes, **parts)["outputs"]

    def product(matrix: Floats, inputs: Floats, onto: Floats | None = None) -> Floats:
        rows, columns = matrix.shape
        sizes: Sizes = {"tokens": POSITIONS, "rows": rows, "columns": columns}
        sizes["accumulate"] = int(onto is not None)
        outputs = np.zeros((POSITIONS, rows), np.float32) if onto is None else onto
        parts = {"weights": matrix, "inputs": inputs, "outputs": outputs}
        return launch(device, "matmul_f32_t8", sizes, **parts)["outputs"]

    def biased(outputs: Floats) -> Floats:
        sizes: Sizes = {"tokens": POSITIONS, "width": outputs.shape[1]}
        parts = {"outputs": outputs, "bias": bias[outputs.shape[1]]}
        return launch(device, "add_bias", sizes, **parts)["outputs"]

    hidden = convolved(convolved(weights.mel, weights.conv1, 1), weights.conv2, 2)
    qkv = biased(product(weights.qkv, normed(hidden)))
    shape: Sizes = {"tokens": POSITIONS, "heads": HEADS, "head_dim": HEAD_DIM}
    places = np.stack([np.zeros(POSITIONS), np.arange(POSITIONS)], axis=1).astype(np.int32)
    cache = {"kv_heads": HEADS, "context": POSITIONS, "slots": 1}
    heard = launch(device, "write_cache", shape | cache, qkv=qkv, places=places)
    full = {"positions": POSITIONS, "stride": 3 * WIDTH}
    parts = {"queries": qkv, "keys": heard["keys"][0], "values": heard["values"][0]}
    mixed = launch(device, "attention_full", shape | full, **parts)["outputs"]
    hidden = biased(product(weights.out, mixed.reshape(POSITIONS, WIDTH), hidden))
    sizes: Sizes = {"tokens": POSITIONS, "width": 4 * WIDTH}
    raised = product(weights.up, normed(hidden))
    active = launch(device, "gelu", sizes, inputs=raised, bias=bias[4 * WIDTH])["outputs"]
    return biased(product(weights.down, active, hidden))


def in_numpy(weights: Weights) -> Floats:
    bias = weights.bias

    def convolved(inputs: Floats, matrix: Floats, stride: int) -> Floats:
        padded = np.pad(inputs, ((1, 1), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, 3, axis=0)[::stride]
        return gelu(np.einsum("fck,ock->fo", windows, matrix) + bias[WIDTH])

    def normed(inputs: Floats) -> Floats:
        centred = inputs - inputs.mean(axis=-1, keepdims=True)
        deviation = np.sqrt(np.square(centred).mean(axis=-1, keepdims=True) + 1e-5)
        return centred / deviation * weights.gain + bias[WIDTH]

    hidden = convolved(convolved(weights.mel, weights.conv1, 1), weights.conv2, 2)
    rows = (normed(hidden) @ weights.qkv.T + bias[3 * WIDTH]).reshape(-1, 3, HEADS, HEAD_DIM)
    query, key, value = rows.transpose(1, 2, 0, 3)
    scores = np.exp(query @ key.transpose(0, 2, 1) / np.sqrt(HEAD_DIM))
    mixed = (scores / scores.sum(axis=-1, keepdims=True)) @ value
    hidden = hidden + mixed.transpose(1, 0, 2).reshape(-1, WIDTH) @ weights.out.T + bias[WIDTH]
    active = gelu(normed(hidden) @ weights.up.T + bias[4 * WIDTH])
    return hidden + active @ weights.down.T + bias[WIDTH]


def test_an_encoder_block_made_of_the_kernels_is_whispers(card: Device) -> None:
    weights = Weights()
    found, wanted = on_device(card, weights), in_numpy(weights)
    assert found.shape == wanted.shape == (POSITIONS, WIDTH)
    assert np.abs(found - wanted).max() < 1e-5 * np.abs(wanted).max()


def test_cross_attention_of_new_tokens_is_a_softmax_over_all_that_was_heard(card: Device) -> None:
    random = np.random.default_rng(12)
    keys, values = random.standard_normal((2, HEADS, 333, HEAD_DIM), np.float32)
    queries = random.standard_normal((1, WIDTH), np.float32)
    sizes: Sizes = {"tokens": 1, "heads": HEADS, "head_dim": HEAD_DIM}
    sizes |= {"positions": 333, "stride": WIDTH}
    found = launch(card, "attention_full", sizes, queries=queries, keys=keys, values=values)
    for head in range(HEADS):
        scores = np.exp(keys[head] @ queries[0].reshape(HEADS, -1)[head] / np.sqrt(HEAD_DIM))
        wanted = scores @ values[head] / scores.sum()
        assert np.allclose(found["outputs"][0, head], wanted, atol=1e-5)
