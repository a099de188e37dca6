"""Numbers as integers: the layouts q8 and q4, and the weights that tokens are drawn by.

What they mean is in the heads of ``cuda/``.
"""

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

F32: TypeAlias = NDArray[np.float32]
F64: TypeAlias = NDArray[np.float64]
I8: TypeAlias = NDArray[np.int8]
I32: TypeAlias = NDArray[np.int32]
I64: TypeAlias = NDArray[np.int64]

Q8_BLOCK: Final = 32
"""Values that share their scales."""

WEIGHT_BITS: Final = 44
"""A token's weight is this many bits long; a row of 2^18 of them has a sum that fits 63."""

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


def quantise_q4(values: F32) -> tuple[I8, I32]:
    """Return the q4 quants (..., n / 2) and scales (..., n / 32) of *values*, n a multiple of 32.

    The layout is that of ``cuda/matmul_q4.cu``; a block's steps go from its least value to its
    largest, as in GGML's Q4_1.
    """
    blocks = values.astype(np.float32, copy=False).reshape(*values.shape[:-1], -1, Q8_BLOCK)
    least = blocks.min(axis=-1).astype(np.float16)
    step = ((blocks.max(axis=-1) - least) / np.float32(15)).astype(np.float16)
    wide = step.astype(np.float32)
    inverse = np.divide(np.float32(1), wide, out=np.zeros_like(wide), where=wide > 0)
    quants = (blocks - least.astype(np.float32)[..., None]) * inverse[..., None]
    quants = np.clip(np.rint(quants), 0, 15).astype(np.uint8)
    packed = quants[..., :16] | quants[..., 16:] << 4
    scales = np.stack([step, least], axis=-1).view(np.int32)[..., 0]
    return packed.reshape(*values.shape[:-1], -1).view(np.int8), scales


def unpack_q4(quants: I8, scales: I32) -> tuple[NDArray[np.uint8], F32]:
    """Return the values 0..15 (..., n), and step and least of each block (..., n / 32, 2)."""
    packed = quants.view(np.uint8).reshape(*scales.shape, 16)
    nibbles = np.concatenate([packed & 15, packed >> 4], axis=-1)
    halves = np.ascontiguousarray(scales)[..., None].view(np.float16).astype(np.float32)
    return nibbles.reshape(*scales.shape[:-1], -1), halves


def dequantise_q4(quants: I8, scales: I32) -> F64:
    """Return the values of q4 *quants* (..., n / 2) with *scales* (..., n / 32)."""
    nibbles, halves = unpack_q4(quants, scales)
    wide = halves.astype(np.float64)
    values: F64 = nibbles.reshape(*scales.shape, Q8_BLOCK) * wide[..., :1] + wide[..., 1:]
    return values.reshape(nibbles.shape)


def weights_of(x: F64) -> I64:
    """Return floor(exp(x) * 2^44) for x of -31 to 0, and 0 elsewhere.

    In products and sums that are the same on every machine, in the kernel's order.
    """
    known = (x <= 0) & (x >= -31)
    x = np.where(known, x, 0.0)
    n = np.rint(x * 1.4426950408889634)
    r = (x - n * 0.693147180369123816490) - n * 1.90821492927058770002e-10
    series = np.ones_like(r)
    for i in range(13, 0, -1):  # in place: a row of a vocabulary just fits the cache
        series *= r
        series *= 1.0 / i
        series += 1.0
    series *= ((n.astype(np.int64) + (1023 + WEIGHT_BITS)) << 52).view(np.float64)
    series *= known
    return series.astype(np.int64)
