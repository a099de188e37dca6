"""The least time that a kernel can take on a card: its bytes over the card's bandwidth.

Decoding reads every weight once for each token, so memory is the limit, and this floor is what a
measured time is to be held against (calm reaches 74 to 88 % of it). Bytes are those of the
kernel's own arrays, each read or written once: caches can not make it less.

Source: Williams, Waterman, Patterson, "Roofline", 2009. Bandwidths: NVIDIA's data sheets.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from kernels.spec import KernelSpec, Role


@dataclass(frozen=True, slots=True)
class Card:
    """A card by its data sheet.

    Attributes:
        bandwidth_gb_s: of its memory, in 10^9 bytes a second.
        int8_tops: int8 products and additions outside the tensor cores (dp4a), in 10^12 a second;
            four times the fp32 rate.
    """

    name: str
    capability: int
    bandwidth_gb_s: float
    int8_tops: float


CARDS: Final = (
    Card("T4", 75, 320, 32),
    Card("A100 80GB", 80, 2039, 78),
    Card("RTX 3090", 86, 936, 142),
    Card("RTX 4090", 89, 1008, 330),
    Card("H100 SXM", 90, 3350, 268),
    Card("B200", 100, 8000, 320),
    Card("RTX 5090", 120, 1792, 419),
)


@dataclass(frozen=True, slots=True)
class Work:
    """What one launch moves and computes."""

    bytes_moved: int
    operations: int


_GATHERED: Final = {"embedding": "vocabulary", "rope": "context"}
"""Families that touch one entry a token of an array that is this long."""


def work(spec: KernelSpec, scalars: Mapping[str, int | float]) -> Work:
    """Return the work of one launch with these *scalars*."""
    sizes = dict(scalars)
    if spec.family in _GATHERED:
        sizes[_GATHERED[spec.family]] = scalars["tokens"]
    moved = sum(
        (2 if each.role is Role.INOUT else 1) * each.size_bytes(sizes) for each in spec.arrays
    )
    return Work(moved, _operations(spec, scalars))


def _operations(spec: KernelSpec, scalars: Mapping[str, int | float]) -> int:
    """Return the products and additions of a matrix product; other kernels only move bytes."""
    if spec.family != "matmul":
        return 0
    return 2 * int(scalars["tokens"]) * int(scalars["rows"]) * int(scalars["columns"])


def floor_us(card: Card, one: Work) -> float:
    """Return the least time of *one* launch on *card*, in microseconds."""
    by_memory_s = one.bytes_moved / (card.bandwidth_gb_s * 1e9)
    by_arithmetic_s = one.operations / (card.int8_tops * 1e12)
    return 1e6 * max(by_memory_s, by_arithmetic_s)


DECODE_SHAPE: Final[Mapping[str, int | float]] = {
    "tokens": 1,
    "rows": 4096,
    "columns": 4096,
    "accumulate": 0,
    "heads": 32,
    "kv_heads": 8,
    "head_dim": 128,
    "context": 2048,
    "first_position": 2047,
    "width": 11_008,
    "vocabulary": 32_000,
    "blocks": 128,
    "epsilon": 1e-5,
}
"""One token of a model of 7 thousand million weights: the shape that anchors are quoted for."""


def decode_work(spec: KernelSpec) -> Work | None:
    """Return the work at `DECODE_SHAPE`, or None where the kernel has other scalars."""
    if not set(spec.scalar_names) <= DECODE_SHAPE.keys():
        return None
    return work(spec, {name: DECODE_SHAPE[name] for name in spec.scalar_names})
