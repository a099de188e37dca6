"""How GGUF files store numbers: blocks of small integers with scales, and their decoders.

Source: the layouts in ggml-common.h of the ggml repository. In the comments d and m are fp16.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kernels.models.binary import Bytes

Floats = NDArray[np.float32]

K_ITEMS: Final = 256
"""Numbers in a block of the K encodings."""

K_SCALES_BYTES: Final = 12
"""Eight scales and eight minimums of 6 bits."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """Blocks of *block_items* numbers in *block_bytes*; `decode` fills a flat fp32 array."""

    name: str
    block_items: int
    block_bytes: int
    decode: Callable[[Bytes, Floats], None]


def _half(blocks: Bytes, start: int) -> Floats:
    """Return the fp16 number at *start* of each block, as a column of fp32."""
    return blocks[:, start : start + 2].copy().view(np.float16).astype(np.float32)


def _decode_f32(raw: Bytes, out: Floats) -> None:
    out[:] = raw.view(np.float32)


def _decode_f16(raw: Bytes, out: Floats) -> None:
    out[:] = raw.view(np.float16)


def _decode_bf16(raw: Bytes, out: Floats) -> None:
    """The upper half of an fp32 number."""
    out.view(np.uint32)[:] = raw.view(np.uint16).astype(np.uint32) << 16


def _decode_q8_0(raw: Bytes, out: Floats) -> None:
    """Stores d and 32 signed bytes q: x = d*q."""
    blocks = raw.reshape(-1, Q8_0.block_bytes)
    np.multiply(blocks[:, 2:].view(np.int8), _half(blocks, 0), out=out.reshape(-1, 32))


def _decode_q4_0(raw: Bytes, out: Floats) -> None:
    """Stores d and 16 bytes; the low nibbles come first: x = d*(q - 8)."""
    blocks, target = raw.reshape(-1, Q4_0.block_bytes), out.reshape(-1, 32)
    _spread_nibbles(blocks[:, 2:], target)
    target -= np.float32(8)
    target *= _half(blocks, 0)


def _decode_q4_1(raw: Bytes, out: Floats) -> None:
    """Stores d, m and 16 bytes of nibbles: x = d*q + m."""
    blocks, target = raw.reshape(-1, Q4_1.block_bytes), out.reshape(-1, 32)
    _spread_nibbles(blocks[:, 4:], target)
    target *= _half(blocks, 0)
    target += _half(blocks, 2)


def _decode_q5_0(raw: Bytes, out: Floats) -> None:
    """Stores d, 32 fifth bits and 16 bytes of nibbles: x = d*(q - 16)."""
    blocks, target = raw.reshape(-1, Q5_0.block_bytes), out.reshape(-1, 32)
    _spread_nibbles(blocks[:, 6:], target)
    target += _fifth_bits(blocks[:, 2:6])
    target -= np.float32(16)
    target *= _half(blocks, 0)


def _decode_q5_1(raw: Bytes, out: Floats) -> None:
    """Stores d, m, 32 fifth bits and 16 bytes of nibbles: x = d*q + m."""
    blocks, target = raw.reshape(-1, Q5_1.block_bytes), out.reshape(-1, 32)
    _spread_nibbles(blocks[:, 8:], target)
    target += _fifth_bits(blocks[:, 4:8])
    target *= _half(blocks, 0)
    target += _half(blocks, 2)


def _spread_nibbles(packed: Bytes, target: Floats) -> None:
    target[:, :16] = packed & 15
    target[:, 16:] = packed >> 4


def _fifth_bits(packed: Bytes) -> Bytes:
    """Return 16 where the bit of an item is set: 32 items of four bytes, the lowest first."""
    return np.unpackbits(packed, axis=1, bitorder="little") << np.uint8(4)


def _decode_q4_k(raw: Bytes, out: Floats) -> None:
    """Stores d, m, scales and minimums of 8 groups, 128 bytes of nibbles: x = d*s*q - m*t."""
    blocks = raw.reshape(-1, Q4_K.block_bytes)
    quants = _group_nibbles(blocks[:, 4 + K_SCALES_BYTES :])
    _scale_groups(blocks, quants, out)


def _decode_q5_k(raw: Bytes, out: Floats) -> None:
    """Like Q4_K, with 32 bytes of fifth bits: bit g of byte i is that of item i of group g."""
    blocks = raw.reshape(-1, Q5_K.block_bytes)
    start = 4 + K_SCALES_BYTES
    quants = _group_nibbles(blocks[:, start + 32 :])
    fifth = blocks[:, None, start : start + 32] >> np.arange(8, dtype=np.uint8)[:, None] & np.uint8(
        1
    )
    _scale_groups(blocks, quants | fifth << np.uint8(4), out)


def _group_nibbles(packed: Bytes) -> Bytes:
    """Return (blocks, 8 groups, 32): 32 bytes hold a group in the low nibbles and the next."""
    pairs = packed.reshape(-1, 4, 1, 32)
    return np.concatenate([pairs & 15, pairs >> 4], axis=2).reshape(-1, 8, 32)


def _scale_groups(blocks: Bytes, quants: Bytes, out: Floats) -> None:
    """Write d*s*q - m*t for the 8 groups of each block."""
    packed = blocks[:, 4 : 4 + K_SCALES_BYTES]
    low, middle, high = packed[:, :4], packed[:, 4:8], packed[:, 8:]
    scales = np.concatenate([low & 63, high & 15 | low >> 6 << 4], axis=1)
    minimums = np.concatenate([middle & 63, high >> 4 | middle >> 6 << 4], axis=1)
    target = out.reshape(-1, 8, 32)
    np.multiply(quants, (_half(blocks, 0) * scales)[:, :, None], out=target)
    target -= (_half(blocks, 2) * minimums)[:, :, None]


def _decode_q6_k(raw: Bytes, out: Floats) -> None:
    """Stores 128 bytes of low nibbles, 64 of upper pairs of bits, 16 scales, d: x = d*s*(q - 32).

    Each half of a block has 4 groups of 32 items, and 2 scales for each group.
    """
    blocks = raw.reshape(-1, Q6_K.block_bytes)
    nibbles = blocks[:, :128].reshape(-1, 2, 1, 64)
    low = np.concatenate([nibbles & 15, nibbles >> 4], axis=2).reshape(-1, 2, 4, 32)
    pairs = blocks[:, 128:192].reshape(-1, 2, 1, 32)
    upper = pairs >> np.array([0, 2, 4, 6], np.uint8)[:, None] & 3
    scales = blocks[:, 192:208].view(np.int8) * _half(blocks, 208)
    target = out.reshape(-1, 16, 16)
    quants = (low | upper << 4).reshape(-1, 16, 16).astype(np.float32) - np.float32(32)
    np.multiply(quants, scales[:, :, None], out=target)


F32: Final = Encoding("F32", 1, 4, _decode_f32)
F16: Final = Encoding("F16", 1, 2, _decode_f16)
BF16: Final = Encoding("BF16", 1, 2, _decode_bf16)
Q4_0: Final = Encoding("Q4_0", 32, 18, _decode_q4_0)
Q4_1: Final = Encoding("Q4_1", 32, 20, _decode_q4_1)
Q5_0: Final = Encoding("Q5_0", 32, 22, _decode_q5_0)
Q5_1: Final = Encoding("Q5_1", 32, 24, _decode_q5_1)
Q8_0: Final = Encoding("Q8_0", 32, 34, _decode_q8_0)
Q4_K: Final = Encoding("Q4_K", K_ITEMS, 144, _decode_q4_k)
Q5_K: Final = Encoding("Q5_K", K_ITEMS, 176, _decode_q5_k)
Q6_K: Final = Encoding("Q6_K", K_ITEMS, 210, _decode_q6_k)

ENCODINGS: Final = {
    0: F32, 1: F16, 2: Q4_0, 3: Q4_1, 6: Q5_0, 7: Q5_1, 8: Q8_0, 12: Q4_K, 13: Q5_K, 14: Q6_K,
    30: BF16,
}  # fmt: skip
"""By GGUF's number."""
