"""What the exact kernels compute, to the last bit: the same float32 operations in the same order.

A card's result can be computed again here and compared byte for byte: every operation is a
correctly rounded addition, product, division or square root, or integer arithmetic (see
``cuda/common.cuh``), and those are the same on every machine. Functions take a kernel's arrays
and scalars, as those of `kernels.reference`, which judge in float64 whether the result is right;
the two are written apart on purpose.
"""

from collections.abc import Callable, Iterator
from decimal import Context, Decimal
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kernels.quantised import F32, F64, I8, I32, I64, Q8_BLOCK, quantise, unpack_q4, weights_of

WARP: Final = 32
NORM_THREADS: Final = 256
WARPS: Final = 4
"""Warps of an attention block."""
CHUNK: Final = 256
"""Positions that attention mixes before it folds them into those before."""
HALF: Final = 16
"""Quants that one lane of a q8 product takes at a time."""
TERMS_MAX: Final = 1 << 22
"""Terms of a product that are held at a time; it bounds the memory."""
EXP_LEAST: Final = np.float32(-87)
LOWEST: Final = np.float32(-3.402823466e38)
ONE: Final = np.float32(1)
_SERIES: Final = tuple(
    map(
        np.float32,
        (
            1.9875691500e-4,
            1.3981999507e-3,
            8.3334519073e-3,
            4.1665795894e-2,
            1.6666665459e-1,
            5.0000001201e-1,
        ),
    )
)
_DIGITS: Final = Context(prec=40)


def exp(x: F32) -> F32:
    """Return the exponential of x <= 0, as ``exact_exp`` of the kernels does."""
    small = x < EXP_LEAST
    x = np.where(small, np.float32(0), x)
    n = np.rint(x * np.float32(1.44269504))
    r = (x - n * np.float32(0.693359375)) - n * np.float32(-2.12194440e-4)
    series = np.full_like(r, _SERIES[0])
    for coefficient in _SERIES[1:]:
        series = series * r + coefficient
    series = (series * (r * r) + r) + ONE
    with np.errstate(invalid="ignore"):  # of what is no number nothing comes of the power
        power = ((n.astype(np.int32) + 127) << 23).view(np.float32)
    values: F32 = np.where(small, np.float32(0), series * power)
    return values


def lane_sum(terms: F32) -> F32:
    """Sum over the first axis as a warp does: every 32nd in turn, then a butterfly of the lanes."""
    lanes = np.zeros((WARP, *terms.shape[1:]), np.float32)
    for start in range(0, len(terms), WARP):
        part = terms[start : start + WARP]
        lanes[: len(part)] += part
    return _butterfly(lanes)


def _butterfly(lanes: F32) -> F32:
    """Add the 32 lanes of the first axis in halves."""
    while len(lanes) > 1:
        middle = len(lanes) // 2
        lanes = lanes[:middle] + lanes[middle:]
    return np.asarray(lanes[0])


def _row_parts(rows: int, terms_per_row: int) -> Iterator[slice]:
    step = max(1, TERMS_MAX // max(1, terms_per_row))
    return (slice(row, row + step) for row in range(0, rows, step))


def _dots(weights: NDArray[Any], inputs: NDArray[Any], per_term: int) -> F32:
    """Return products of *per_term* quants, (terms, rows, tokens).

    They are integers below 2^24, which float32 adds without rounding, in any order.
    """
    left = weights.reshape(len(weights), -1, per_term).transpose(1, 0, 2).astype(np.float32)
    right = inputs.reshape(len(inputs), -1, per_term).transpose(1, 2, 0).astype(np.float32)
    return left @ right


def matmul_q8(
    weights: I8,
    weight_scales: F32,
    inputs: I8,
    input_scales: F32,
    outputs: F32,
    *,
    tokens: int,
    rows: int,
    columns: int,
    accumulate: int,
) -> None:
    """Row-major q8 weights times each token's q8 row."""
    input_scale = np.repeat(input_scales, 2, axis=1).T[:, None, :]
    for part in _row_parts(rows, tokens * columns // HALF):
        scales = np.repeat(weight_scales[part], 2, axis=1).T[:, :, None] * input_scale
        sums = lane_sum(_dots(weights[part], inputs, HALF) * scales).T
        outputs[:, part] = outputs[:, part] + sums if accumulate else sums


def matmul_q4(
    weights: I8,
    weight_scales: I32,
    inputs: I8,
    input_scales: F32,
    outputs: F32,
    *,
    tokens: int,
    rows: int,
    columns: int,
    accumulate: int,
) -> None:
    """Row-major q4 weights times each token's q8 row; an input's sum takes part in each block."""
    quants, halves = unpack_q4(weights, weight_scales)
    sums = inputs.reshape(tokens, -1, Q8_BLOCK).astype(np.float32).sum(axis=-1).T[:, None, :]
    for part in _row_parts(rows, tokens * columns // Q8_BLOCK):
        step, least = halves[part].transpose(2, 1, 0)[..., None]  # each (blocks, rows, 1)
        products = step * _dots(quants[part], inputs, Q8_BLOCK)
        terms = input_scales.T[:, None, :] * (products + least * sums)
        found = lane_sum(terms).T
        outputs[:, part] = outputs[:, part] + found if accumulate else found


def embed_q4(
    table: I8,
    scales: I32,
    ids: I32,
    outputs: F32,
    *,
    tokens: int,
    vocabulary: int,
    columns: int,
) -> None:
    """Dequantise the rows of *ids*; unknown ids give zeros."""
    known = (ids >= 0) & (ids < vocabulary)
    rows = np.where(known, ids, 0)
    quants, halves = unpack_q4(table[rows], scales[rows])
    blocks = quants.reshape(tokens, -1, Q8_BLOCK).astype(np.float32)
    values = halves[..., :1] * blocks + halves[..., 1:]
    outputs[...] = np.where(known[:, None], values.reshape(tokens, columns), np.float32(0))


def rms_norm(
    inputs: F32, weight: F32, outputs: F32, *, tokens: int, columns: int, epsilon: float
) -> None:
    """RMS normalisation of each row."""
    outputs[...] = _normalised(inputs, weight, epsilon)


def rms_norm_q8(
    inputs: F32,
    weight: F32,
    quants: I8,
    scales: F32,
    *,
    tokens: int,
    columns: int,
    epsilon: float,
) -> None:
    """RMS normalisation of each row, quantised."""
    quants[...], scales[...] = quantise(_normalised(inputs, weight, epsilon))


def _normalised(inputs: F32, weight: F32, epsilon: float) -> F32:
    mean = block_sum(inputs * inputs) / np.float32(inputs.shape[1])
    factor = ONE / np.sqrt(mean + np.float32(epsilon))
    normalised: F32 = (inputs * factor[:, None]) * weight
    return normalised


def layer_norm(
    inputs: F32,
    weight: F32,
    bias: F32,
    outputs: F32,
    *,
    tokens: int,
    columns: int,
    epsilon: float,
) -> None:
    """Layer normalisation of each row."""
    outputs[...] = _centred(inputs, weight, bias, epsilon)


def layer_norm_q8(
    inputs: F32,
    weight: F32,
    bias: F32,
    quants: I8,
    scales: F32,
    *,
    tokens: int,
    columns: int,
    epsilon: float,
) -> None:
    """Layer normalisation of each row, quantised."""
    quants[...], scales[...] = quantise(_centred(inputs, weight, bias, epsilon))


def _centred(inputs: F32, weight: F32, bias: F32, epsilon: float) -> F32:
    width = np.float32(inputs.shape[1])
    difference = inputs - (block_sum(inputs) / width)[:, None]
    variance = block_sum(difference * difference) / width
    factor = ONE / np.sqrt(variance + np.float32(epsilon))
    normalised: F32 = (difference * factor[:, None]) * weight + bias
    return normalised


def gelu(inputs: F32, bias: F32, outputs: F32, *, tokens: int, width: int) -> None:
    """GELU of each row and the bias."""
    outputs[...] = _gelu(inputs + bias)


def gelu_q8(inputs: F32, bias: F32, quants: I8, scales: F32, *, tokens: int, width: int) -> None:
    """GELU of each row and the bias, quantised."""
    quants[...], scales[...] = quantise(_gelu(inputs + bias))


def _gelu(x: F32) -> F32:
    magnitude = np.abs(x) * np.float32(0.70710678)
    t = ONE / (ONE + np.float32(0.3275911) * magnitude)
    series = np.float32(1.061405429) * t - np.float32(1.453152027)
    for coefficient in (1.421413741, -0.284496736, 0.254829592):
        series = series * t + np.float32(coefficient)
    erf = np.copysign(ONE - (series * t) * exp(-(magnitude * magnitude)), x)
    activated: F32 = (np.float32(0.5) * x) * (ONE + erf)
    return activated


def block_sum(terms: F32) -> F32:
    """Sum (rows, n) over n as a block of 256 threads does: threads, warps, then the block."""
    threads = np.zeros((len(terms), NORM_THREADS), np.float32)
    for start in range(0, terms.shape[1], NORM_THREADS):
        part = terms[:, start : start + NORM_THREADS]
        threads[:, : part.shape[1]] += part
    warps = _butterfly(threads.reshape(len(terms), -1, WARP).transpose(2, 0, 1))
    return lane_sum(np.ascontiguousarray(warps.T))


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
    context: int,
    slots: int,
) -> None:
    """Rotate queries in place; rotate keys into the cache; copy values into the cache."""
    rows = qkv.reshape(tokens, heads + 2 * kv_heads, head_dim)
    known = _known(places, context, slots)
    slot, position = places[known].T
    cosine, sine = cosines[position, None], sines[position, None]
    turned = rows[known][:, : heads + kv_heads]
    even, odd = turned[..., 0::2], turned[..., 1::2]
    rotated = np.stack([even * cosine - odd * sine, even * sine + odd * cosine], axis=-1)
    rotated = rotated.reshape(len(slot), heads + kv_heads, head_dim)
    rows[known, :heads] = rotated[:, :heads]
    keys[slot, :, position] = rotated[:, heads:]
    values[slot, :, position] = rows[known, heads + kv_heads :]


def _known(places: I32, context: int, slots: int) -> NDArray[np.bool_]:
    """Return which places, (tokens, 2), are in the cache."""
    return np.asarray(((places >= 0) & (places < [slots, context])).all(axis=1))


class _Mix:
    """Weighted values (..., W), the largest score (...) and the sum of weights (...)."""

    def __init__(self, shape: tuple[int, ...], width: int) -> None:
        self.largest = np.full(shape, LOWEST)
        self.total = np.zeros(shape, np.float32)
        self.values = np.zeros((*shape, width), np.float32)

    def fold(self, largest: F32, total: F32, values: F32, where: NDArray[np.bool_]) -> None:
        """Fold other results into those *where*, in the kernels' order of operations."""
        above = np.maximum(self.largest, largest)
        fade, gain = exp(_minus(self.largest, above)), exp(_minus(largest, above))
        total = self.total * fade + total * gain
        values = self.values * fade[..., None] + gain[..., None] * values
        self.largest = np.where(where, above, self.largest)
        self.total = np.where(where, total, self.total)
        self.values = np.where(where[..., None], values, self.values)

    def result(self) -> F32:
        """Return the values over the weights."""
        return np.asarray(self.values / self.total[..., None])


def _minus(least: F32, above: F32) -> F32:
    with np.errstate(over="ignore"):  # the lowest float less a large one: exp gives 0
        return least - above


def _mix_chunk(queries: F32, keys: F32, values: F32, counts: I32, first: int) -> _Mix:
    """Mix one chunk: four warps, each with every fourth position, then merged.

    Args:
        queries: scaled, (G, Q, W).
        keys: from the chunk's first position on, (G, P, W), P at most a chunk.
        values: (G, P, W).
        counts: positions that a query may look at, broadcast with (G, Q).
        first: position at which the chunk begins.
    """
    scores = _scores(queries, keys)
    shape = (*scores.shape[:2], WARPS)
    warps = _Mix(shape, queries.shape[-1])
    for step in range(0, keys.shape[1], WARPS):
        here = slice(step, step + WARPS)
        score = _pad(scores[..., here], 2)
        value = np.broadcast_to(_pad(values[:, here], 1)[:, None], warps.values.shape)
        positions = first + step + np.arange(WARPS)
        where = np.broadcast_to(positions < np.asarray(counts)[..., None], shape)
        warps.fold(score, np.broadcast_to(ONE, shape), value, where)
    return _merge_warps(warps)


def _scores(queries: F32, keys: F32) -> F32:
    """Return (G, Q, P): each lane adds every 32nd product, then the butterfly."""
    q = queries.reshape(*queries.shape[:2], -1, WARP)
    k = keys.reshape(*keys.shape[:2], -1, WARP)
    lanes = np.zeros((len(q), q.shape[1], k.shape[1], WARP), np.float32)
    for i in range(q.shape[2]):
        lanes += q[:, :, None, i] * k[:, None, :, i]
    return _butterfly(np.moveaxis(lanes, -1, 0))


def _pad(part: F32, axis: int) -> F32:
    """Fill *axis* up to one position a warp."""
    missing = WARPS - part.shape[axis]
    widths = [(0, missing if each == axis else 0) for each in range(part.ndim)]
    return np.pad(part, widths) if missing else part


def _merge_warps(warps: _Mix) -> _Mix:
    merged = _Mix(warps.largest.shape[:2], warps.values.shape[-1])
    merged.largest = warps.largest.max(axis=-1)
    for w in range(WARPS):
        fade = exp(_minus(warps.largest[..., w], merged.largest))
        merged.total = merged.total + warps.total[..., w] * fade
        merged.values = merged.values + warps.values[..., w, :] * fade[..., None]
    return merged


def _attend(queries: F32, keys: F32, values: F32, counts: I32) -> F32:
    """Return the mixed values (G, Q, W) of *queries* (G, Q, W) over *keys* (G, P, W)."""
    scaled = queries * (ONE / np.sqrt(np.float32(queries.shape[-1])))
    counts = np.broadcast_to(counts, queries.shape[:2])
    mix = _Mix(queries.shape[:2], queries.shape[-1])
    for first in range(0, int(counts.max(initial=0)), CHUNK):
        here = slice(first, first + CHUNK)
        chunk = _mix_chunk(scaled, keys[:, here], values[:, here], counts, first)
        mix.fold(chunk.largest, chunk.total, chunk.values, first < counts)
    return mix.result()


def _grouped(qkv: F32, token: int, heads: int, kv_heads: int, head_dim: int) -> F32:
    width = heads * head_dim
    return qkv[token, :width].reshape(kv_heads, heads // kv_heads, head_dim)


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
    context: int,
    slots: int,
) -> None:
    """Causal attention; the order of operations is the same in all exact versions."""
    group = heads // kv_heads
    queries = qkv[:, : heads * head_dim].reshape(tokens, kv_heads, group, head_dim)
    known = np.flatnonzero(_known(places, context, slots))
    for slot in np.unique(places[known, 0]):
        rows = known[places[known, 0] == slot]
        for part in _row_parts(len(rows), heads * CHUNK * WARP):
            some = rows[part]
            counts = np.repeat(places[some, 1] + 1, group)
            visible = slice(0, int(counts.max()))
            mixed = _attend(
                queries[some].transpose(1, 0, 2, 3).reshape(kv_heads, -1, head_dim),
                keys[slot, :, visible],
                values[slot, :, visible],
                counts,
            )
            by_token = mixed.reshape(kv_heads, len(some), group, head_dim).transpose(1, 0, 2, 3)
            outputs[some] = by_token.reshape(len(some), heads, head_dim)


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
    context: int,
    slots: int,
    chunks: int,
) -> None:
    """Mix every chunk alone; entries of chunks that a token does not see are left as they are."""
    scale = ONE / np.sqrt(np.float32(head_dim))
    for token in map(int, np.flatnonzero(_known(places, context, slots))):
        slot, position = places[token]
        queries = _grouped(qkv, token, heads, kv_heads, head_dim) * scale
        for chunk in range(min(chunks, position // CHUNK + 1)):
            here = slice(chunk * CHUNK, min(position + 1, (chunk + 1) * CHUNK))
            counts = np.asarray(position + 1, np.int32)
            mix = _mix_chunk(
                queries, keys[slot, :, here], values[slot, :, here], counts, here.start
            )
            entry = partials[token, :, chunk]
            entry[:, :head_dim] = mix.values.reshape(heads, head_dim)
            entry[:, head_dim] = mix.largest.reshape(heads)
            entry[:, head_dim + 1] = mix.total.reshape(heads)


def attention_merge(
    partials: F32,
    places: I32,
    outputs: F32,
    *,
    tokens: int,
    heads: int,
    head_dim: int,
    context: int,
    slots: int,
    chunks: int,
) -> None:
    """Fold the chunks of each token and head."""
    for token in map(int, np.flatnonzero(_known(places, context, slots))):
        position = places[token, 1]
        if position >= chunks * CHUNK:
            continue
        mix = _Mix((heads,), head_dim)
        for chunk in range(position // CHUNK + 1):
            entry = partials[token, :, chunk]
            parts = entry[:, head_dim], entry[:, head_dim + 1], entry[:, :head_dim]
            mix.fold(*parts, np.ones(heads, np.bool_))
        outputs[token] = mix.result()


def attention_full(
    queries: F32,
    keys: F32,
    values: F32,
    outputs: F32,
    *,
    tokens: int,
    heads: int,
    head_dim: int,
    positions: int,
    stride: int,
) -> None:
    """Attention of every token to every position."""
    rows = queries[:, : heads * head_dim].reshape(tokens, heads, head_dim)
    for part in _row_parts(tokens, heads * CHUNK * WARP):
        mixed = _attend(
            rows[part].transpose(1, 0, 2), keys, values, np.asarray(positions, np.int32)
        )
        outputs[part] = mixed.transpose(1, 0, 2)


def swiglu(gate_up: F32, outputs: F32, *, tokens: int, width: int) -> None:
    """Gated activation of each row."""
    outputs[...] = _gated(gate_up)


def swiglu_q8(gate_up: F32, quants: I8, scales: F32, *, tokens: int, width: int) -> None:
    """Gated activation of each row, quantised."""
    quants[...], scales[...] = quantise(_gated(gate_up))


def _gated(gate_up: F32) -> F32:
    gate, up = gate_up[:, 0], gate_up[:, 1]
    fall = exp(-np.abs(gate))
    above = np.where(gate < 0, gate * fall, gate)
    gated: F32 = (above / (ONE + fall)) * up
    return gated


def sample_weights(
    scores: F32, best: I32, temperatures: F64, weights: I64, *, tokens: int, vocabulary: int
) -> None:
    """Likelihood of each token against the likeliest, in units of 2^-44."""
    wide = scores.astype(np.float64)
    with np.errstate(all="ignore"):  # what is no number weighs nothing
        below = wide - np.take_along_axis(wide, best[:, None].astype(np.intp), axis=1)
        x = below / temperatures[:, None]
    weights[...] = weights_of(x)


def rotary_angles(base: float, head_dim: int, tokens: int) -> tuple[F32, F32]:
    """Return cosines and sines, (tokens, head_dim / 2), of the rotary angles.

    The frequencies are rounded from 40 digits, and cosine and sine are series of float64
    products and sums: the system's `pow`, `cos` and `sin` differ in last bits between machines.
    """
    exponents = [Decimal(-2 * i) / head_dim for i in range(head_dim // 2)]
    frequencies = np.array([float(_DIGITS.power(Decimal(base), each)) for each in exponents])
    return _turn(np.arange(tokens, dtype=np.float64)[:, None] * frequencies)


def _turn(angles: F64) -> tuple[F32, F32]:
    """Return cosine and sine of *angles*, 0 to 2^20, from Taylor's series about multiples of pi/2.

    The quarter turns are taken off in two parts (Cody and Waite), so the rest has full precision.
    """
    quarters = np.rint(angles * 0.6366197723675814)
    rest = (angles - quarters * 1.5707963267341256) - quarters * 6.077100506506192e-11
    square = rest * rest
    sine, cosine = np.zeros_like(rest), np.zeros_like(rest)
    for n in range(17, 1, -2):
        sine = (1 + sine) * square / -(n * (n - 1.0))
        cosine = (1 + cosine) * square / -((n - 1.0) * (n - 2.0)) if n > 2 else cosine
    sine, cosine = rest * (1 + sine), 1 + cosine
    turns = quarters.astype(np.int64) % 4
    cosines = np.choose(turns, [cosine, -sine, -cosine, sine])
    sines = np.choose(turns, [sine, cosine, -sine, -cosine])
    return cosines.astype(np.float32), sines.astype(np.float32)


EXACT: Final[dict[str, Callable[..., None]]] = {
    "embed_q4": embed_q4,
    "gelu": gelu,
    "gelu_q8": gelu_q8,
    "layer_norm": layer_norm,
    "layer_norm_q8": layer_norm_q8,
    "matmul_q4_t1": matmul_q4,
    "matmul_q4_t8": matmul_q4,
    "attention": attention,
    "attention_full": attention_full,
    "attention_group": attention,
    "attention_merge": attention_merge,
    "attention_split": attention_split,
    "matmul_q8_t1": matmul_q8,
    "matmul_q8_t8": matmul_q8,
    "rms_norm": rms_norm,
    "rms_norm_q8": rms_norm_q8,
    "rope_cache": rope_cache,
    "sample_weights": sample_weights,
    "swiglu": swiglu,
    "swiglu_q8": swiglu_q8,
}
"""By the name of the kernel. What moves or rounds values and computes nothing (embeddings,
``quantise_q8``, ``argmax``, ``sample``) is exact in `kernels.reference` already."""
