"""What each kernel must compute: slow, obvious, float64 inside, and the judge.

A function takes a kernel's arrays and scalars by the names of its signature and writes its
results into the output arrays, as the kernel does. Shapes, formulas and sources are at the head
of the family's CUDA file.
"""

from collections.abc import Callable
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

F32: TypeAlias = NDArray[np.float32]
F64: TypeAlias = NDArray[np.float64]
I8: TypeAlias = NDArray[np.int8]
I32: TypeAlias = NDArray[np.int32]

Q8_BLOCK: Final = 32
Q8_LEAST: Final = np.float32(1e-30)
"""A block of smaller values is stored as zeros: the inverse of its step would be infinite."""


def quantise(values: F32) -> tuple[I8, F32]:
    """Return the q8 quants and scales of *values* (..., n), n a multiple of 32.

    Scales are (..., n / 32). The steps are those of the kernel in float32, so that the two agree
    to the last bit wherever their inputs do.
    """
    blocks = values.astype(np.float32, copy=False).reshape(*values.shape[:-1], -1, Q8_BLOCK)
    largest = np.abs(blocks).max(axis=-1)
    scales = np.where(largest >= Q8_LEAST, largest / np.float32(127), np.float32(0))
    inverse = np.divide(np.float32(1), scales, out=np.zeros_like(scales), where=scales > 0)
    quants = np.clip(np.rint(blocks * inverse[..., None]), -127, 127).astype(np.int8)
    return quants.reshape(values.shape), scales


def dequantise(quants: I8, scales: F32) -> F32:
    """Return the values of q8 *quants* (..., n) with *scales* (..., n / 32)."""
    blocks = quants.reshape(*scales.shape, Q8_BLOCK).astype(np.float32)
    return (blocks * scales[..., None]).reshape(quants.shape)


def matmul_f32(weights: F32, inputs: F32, outputs: F32, *, accumulate: int, **_sizes: int) -> None:
    """Row-major weights times each token's row."""
    product = inputs.astype(np.float64) @ weights.astype(np.float64).T
    outputs[...] = product + outputs if accumulate else product


def matmul_q8(
    weights: I8,
    weight_scales: F32,
    inputs: I8,
    input_scales: F32,
    outputs: F32,
    *,
    accumulate: int,
    **_sizes: int,
) -> None:
    """Row-major q8 weights times each token's q8 row."""
    product = _wide(inputs, input_scales) @ _wide(weights, weight_scales).T
    outputs[...] = product + outputs if accumulate else product


def rms_norm(inputs: F32, weight: F32, outputs: F32, *, epsilon: float, **_sizes: int) -> None:
    """RMS normalisation of each row."""
    outputs[...] = _normalised(inputs, weight, epsilon)


def rms_norm_q8(
    inputs: F32, weight: F32, quants: I8, scales: F32, *, epsilon: float, **_sizes: int
) -> None:
    """RMS normalisation of each row, quantised."""
    quants[...], scales[...] = quantise(_normalised(inputs, weight, epsilon).astype(np.float32))


def quantise_q8(inputs: F32, quants: I8, scales: F32, *, blocks: int) -> None:
    """Quantise blocks of 32 values; all arrays have *blocks* rows."""
    quants[...], found = quantise(inputs)
    scales[...] = found.reshape(blocks)


def rope_cache(
    qkv: F32,
    cosines: F32,
    sines: F32,
    keys: F32,
    values: F32,
    *,
    tokens: int,
    heads: int,
    kv_heads: int,
    head_dim: int,
    first_position: int,
    **_sizes: int,
) -> None:
    """Rotate queries in place; rotate keys into the cache; copy values into the cache."""
    rows = qkv.reshape(tokens, heads + 2 * kv_heads, head_dim)
    positions = slice(first_position, first_position + tokens)
    cosine = cosines[positions, None].astype(np.float64)
    sine = sines[positions, None].astype(np.float64)
    turned = rows[:, : heads + kv_heads]
    even, odd = turned[..., 0::2].astype(np.float64), turned[..., 1::2].astype(np.float64)
    rotated = np.stack([even * cosine - odd * sine, even * sine + odd * cosine], axis=-1)
    rotated = rotated.reshape(tokens, heads + kv_heads, head_dim)
    rows[:, :heads] = rotated[:, :heads]
    keys[:, positions] = rotated[:, heads:].transpose(1, 0, 2)
    values[:, positions] = rows[:, heads + kv_heads :].transpose(1, 0, 2)


def attention(
    qkv: F32,
    keys: F32,
    values: F32,
    outputs: F32,
    *,
    tokens: int,
    heads: int,
    kv_heads: int,
    head_dim: int,
    first_position: int,
    **_sizes: int,
) -> None:
    """Causal softmax attention, the queries of a group over one key-value head."""
    queries = qkv.reshape(tokens, heads + 2 * kv_heads, head_dim)[:, :heads].astype(np.float64)
    for token in range(tokens):
        count = first_position + token + 1
        grouped = queries[token].reshape(kv_heads, heads // kv_heads, head_dim)
        scores = grouped @ keys[:, :count].astype(np.float64).transpose(0, 2, 1)
        scores /= np.sqrt(head_dim)
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        weights /= weights.sum(axis=-1, keepdims=True)
        outputs[token] = (weights @ values[:, :count].astype(np.float64)).reshape(heads, head_dim)


def swiglu(gate_up: F32, outputs: F32, **_sizes: int) -> None:
    """Gated activation of each row."""
    outputs[...] = _gated(gate_up)


def swiglu_q8(gate_up: F32, quants: I8, scales: F32, **_sizes: int) -> None:
    """Gated activation of each row, quantised."""
    quants[...], scales[...] = quantise(_gated(gate_up).astype(np.float32))


def embed_f32(table: F32, ids: I32, outputs: F32, *, vocabulary: int, **_sizes: int) -> None:
    """Copy the rows of *ids*; unknown ids give zeros."""
    known = (ids >= 0) & (ids < vocabulary)
    outputs[...] = np.where(known[:, None], table[np.where(known, ids, 0)], 0)


def embed_q8(
    table: I8, scales: F32, ids: I32, outputs: F32, *, vocabulary: int, **_sizes: int
) -> None:
    """Copy and dequantise the rows of *ids*; unknown ids give zeros."""
    known = (ids >= 0) & (ids < vocabulary)
    rows = np.where(known, ids, 0)
    outputs[...] = np.where(known[:, None], dequantise(table[rows], scales[rows]), 0)


def argmax(scores: F32, best: I32, **_sizes: int) -> None:
    """Index of each row's largest score, the lower of equals."""
    numbers = np.nan_to_num(scores, nan=-np.inf, posinf=np.inf, neginf=-np.inf)
    best[...] = numbers.argmax(axis=-1)


def _wide(quants: I8, scales: F32) -> F64:
    blocks = quants.reshape(*scales.shape, Q8_BLOCK).astype(np.float64)
    return (blocks * scales[..., None].astype(np.float64)).reshape(quants.shape)


def _normalised(inputs: F32, weight: F32, epsilon: float) -> F64:
    wide = inputs.astype(np.float64)
    mean = np.square(wide).mean(axis=-1, keepdims=True)
    normalised: F64 = wide / np.sqrt(mean + epsilon) * weight
    return normalised


def _gated(gate_up: F32) -> F64:
    gate, up = gate_up[:, 0].astype(np.float64), gate_up[:, 1].astype(np.float64)
    with np.errstate(over="ignore"):  # exp of a large negative gate is infinity, and 1/inf is 0
        gated: F64 = gate / (1 + np.exp(-gate)) * up
    return gated


REFERENCES: Final[dict[str, Callable[..., Any]]] = {
    each.__name__: each
    for each in (
        matmul_f32,
        matmul_q8,
        rms_norm,
        rms_norm_q8,
        quantise_q8,
        rope_cache,
        attention,
        swiglu,
        swiglu_q8,
        embed_f32,
        embed_q8,
        argmax,
    )
}
"""By `KernelSpec.reference`."""
