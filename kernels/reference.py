"""What each kernel must compute: slow, obvious, float64 inside, and the judge.

A function takes a kernel's arrays and scalars by the names of its signature and writes its
results into the output arrays, as the kernel does. Shapes, formulas and sources are at the head
of the family's CUDA file.
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kernels.quantised import F32, F64, I8, I32, I64, Q8_BLOCK, dequantise, dequantise_q4, quantise
from kernels.reference_speech import SPEECH_REFERENCES

ATTENTION_CHUNK: Final = 256
"""Positions that attention mixes at a time; its partial results are by chunk."""


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


def matmul_q4(
    weights: I8,
    weight_scales: I32,
    inputs: I8,
    input_scales: F32,
    outputs: F32,
    *,
    accumulate: int,
    **_sizes: int,
) -> None:
    """Row-major q4 weights times each token's q8 row."""
    product = _wide(inputs, input_scales) @ dequantise_q4(weights, weight_scales).T
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


def rope_cache(  # noqa: PLR0917 - the kernel's arrays, in its order
    qkv: F32,
    cosines: F32,
    sines: F32,
    places: I32,
    keys: F32,
    values: F32,
    *,
    tokens: int,
    heads: int,
    kv_heads: int,
    head_dim: int,
    **_sizes: int,
) -> None:
    """Rotate queries in place; rotate keys into the cache; copy values into the cache."""
    rows = qkv.reshape(tokens, heads + 2 * kv_heads, head_dim)
    for row, (slot, position) in zip(rows, places, strict=True):
        if not _in_cache(keys, slot, position):
            continue
        cosine, sine = cosines[position].astype(np.float64), sines[position].astype(np.float64)
        turned = row[: heads + kv_heads].astype(np.float64)
        even, odd = turned[:, 0::2], turned[:, 1::2]
        rotated = np.stack([even * cosine - odd * sine, even * sine + odd * cosine], axis=-1)
        row[: heads + kv_heads] = rotated.reshape(turned.shape)
        keys[slot, :, position] = row[heads : heads + kv_heads]
        values[slot, :, position] = row[heads + kv_heads :]
        row[heads : heads + kv_heads] = turned[heads:]  # only queries are rotated in place


def write_cache(
    qkv: F32,
    places: I32,
    keys: F32,
    values: F32,
    *,
    tokens: int,
    heads: int,
    kv_heads: int,
    head_dim: int,
    **_sizes: int,
) -> None:
    """Copy keys and values into the cache."""
    rows = qkv.reshape(tokens, heads + 2 * kv_heads, head_dim)
    for row, (slot, position) in zip(rows, places, strict=True):
        if _in_cache(keys, slot, position):
            keys[slot, :, position] = row[heads : heads + kv_heads]
            values[slot, :, position] = row[heads + kv_heads :]


def _in_cache(keys: F32, slot: int, position: int) -> bool:
    slots, _, context, _ = keys.shape
    return bool(0 <= slot < slots and 0 <= position < context)


def attention(
    qkv: F32,
    keys: F32,
    values: F32,
    places: I32,
    outputs: F32,
    *,
    tokens: int,
    heads: int,
    kv_heads: int,
    head_dim: int,
    **_sizes: int,
) -> None:
    """Causal softmax attention, the queries of a group over one key-value head."""
    queries = qkv.reshape(tokens, heads + 2 * kv_heads, head_dim)[:, :heads].astype(np.float64)
    for token, (slot, position) in enumerate(places):
        if _in_cache(keys, slot, position):
            grouped = queries[token].reshape(kv_heads, heads // kv_heads, head_dim)
            seen = slice(0, position + 1)
            found = _softmax_mix(grouped, keys[slot, :, seen], values[slot, :, seen])
            outputs[token] = (found[0] / found[2][..., None]).reshape(heads, head_dim)


def attention_split(
    qkv: F32,
    keys: F32,
    values: F32,
    places: I32,
    partials: F32,
    *,
    tokens: int,
    heads: int,
    kv_heads: int,
    head_dim: int,
    chunks: int,
    **_sizes: int,
) -> None:
    """Softmax attention over each chunk of positions alone, before the division."""
    queries = qkv.reshape(tokens, heads + 2 * kv_heads, head_dim)[:, :heads].astype(np.float64)
    for token, (slot, position) in enumerate(places):
        for chunk in range(chunks):
            first, end = chunk * ATTENTION_CHUNK, (chunk + 1) * ATTENTION_CHUNK
            if not _in_cache(keys, slot, position) or first > position:
                continue
            grouped = queries[token].reshape(kv_heads, heads // kv_heads, head_dim)
            seen = slice(first, min(end, position + 1))
            mixed, largest, total = _softmax_mix(
                grouped, keys[slot, :, seen], values[slot, :, seen]
            )
            partials[token, :, chunk, :head_dim] = mixed.reshape(heads, head_dim)
            partials[token, :, chunk, head_dim] = largest.reshape(heads)
            partials[token, :, chunk, head_dim + 1] = total.reshape(heads)


def attention_merge(
    partials: F32,
    places: I32,
    outputs: F32,
    *,
    head_dim: int,
    context: int,
    slots: int,
    chunks: int,
    **_sizes: int,
) -> None:
    """Put the chunks of each token together, each scaled to the largest score of all."""
    for token, (slot, position) in enumerate(places):
        if 0 <= slot < slots and 0 <= position < min(context, chunks * ATTENTION_CHUNK):
            seen = partials[token, :, : position // ATTENTION_CHUNK + 1].astype(np.float64)
            largest = seen[..., head_dim].max(axis=-1, keepdims=True)
            weights = np.exp(seen[..., head_dim] - largest)[..., None]
            mixed = (seen[..., :head_dim] * weights).sum(axis=1)
            outputs[token] = mixed / (seen[..., head_dim + 1 :] * weights).sum(axis=1)


def attention_full(
    queries: F32,
    keys: F32,
    values: F32,
    outputs: F32,
    *,
    tokens: int,
    heads: int,
    head_dim: int,
    **_sizes: int,
) -> None:
    """Softmax attention of every token to every position."""
    rows = queries[:, : heads * head_dim].reshape(tokens, heads, head_dim)
    mixed, _, total = _softmax_mix(rows.transpose(1, 0, 2), keys, values)
    outputs[...] = (mixed / total[..., None]).transpose(1, 0, 2)


def _softmax_mix(queries: NDArray[Any], keys: F32, values: F32) -> tuple[F64, F64, F64]:
    """Return the weighted values (G, Q, W), the largest scores (G, Q) and the sums of weights.

    Queries are (G, Q, W), keys and values (G, P, W).
    """
    scores = queries.astype(np.float64) @ keys.astype(np.float64).transpose(0, 2, 1)
    scores /= np.sqrt(queries.shape[-1])
    largest = scores.max(axis=-1)
    weights = np.exp(scores - largest[..., None])
    return weights @ values.astype(np.float64), largest, weights.sum(axis=-1)


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


def embed_q4(
    table: I8, scales: I32, ids: I32, outputs: F32, *, vocabulary: int, **_sizes: int
) -> None:
    """Copy and dequantise the rows of *ids*; unknown ids give zeros."""
    known = (ids >= 0) & (ids < vocabulary)
    rows = np.where(known, ids, 0)
    outputs[...] = np.where(known[:, None], dequantise_q4(table[rows], scales[rows]), 0)


def argmax(scores: F32, best: I32, **_sizes: int) -> None:
    """Index of each row's largest score, the lower of equals."""
    numbers = np.nan_to_num(scores, nan=-np.inf, posinf=np.inf, neginf=-np.inf)
    best[...] = numbers.argmax(axis=-1)


def sample_weights(scores: F32, best: I32, temperatures: F64, weights: I64, **_sizes: int) -> None:
    """Likelihood of each token against the likeliest, in units of 2^-44; no number weighs 0."""
    wide = scores.astype(np.float64)
    with np.errstate(invalid="ignore"):  # infinity less infinity
        below = wide - np.take_along_axis(wide, best[:, None].astype(np.intp), axis=1)
        shares = np.exp(np.minimum(below, 0) / temperatures[:, None])
    known = (below <= 0) & (below / temperatures[:, None] >= -31)
    weights[...] = np.where(known, np.nan_to_num(shares) * 2.0**44, 0)


def sample(
    scores: F32, weights: I64, best: I32, rules: I64, chosen: I32, *, vocabulary: int, **_sizes: int
) -> None:
    """Choose by top_k, top_p and a draw in integers; -1 if the largest score is not finite."""
    for token, (top_k, top_p, draw) in enumerate(rules.tolist()):
        chosen[token] = best[token]
        if not np.isfinite(scores[token, best[token]]):
            chosen[token] = -1
        elif top_k != 1:
            order = np.argsort(-scores[token], kind="stable")[: top_k or vocabulary]
            sums = np.cumsum(weights[token, order])
            needed = min(int(sums[-1]), -(-int(sums[-1]) * top_p >> 53))
            kept = int(np.searchsorted(sums, max(1, needed)))
            drawn = int(sums[kept]) * draw >> 53
            chosen[token] = order[np.searchsorted(sums, drawn, side="right")]


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


REFERENCES: Final[dict[str, Callable[..., Any]]] = SPEECH_REFERENCES | {
    each.__name__: each
    for each in (
        matmul_f32,
        matmul_q8,
        matmul_q4,
        rms_norm,
        rms_norm_q8,
        quantise_q8,
        rope_cache,
        write_cache,
        attention,
        attention_split,
        attention_merge,
        attention_full,
        swiglu,
        swiglu_q8,
        embed_f32,
        embed_q8,
        embed_q4,
        argmax,
        sample_weights,
        sample,
    )
}
"""By `KernelSpec.reference`."""
