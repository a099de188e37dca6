"""The least time that a kernel can take on a card: its bytes over the card's bandwidth.

Decoding reads every weight once for each token, so memory is the limit, and this floor is what a
measured time is to be held against (calm reaches 74 to 88 % of it). Bytes are those of the
kernel's own arrays, each read or written once: caches can not make it less.

Source: Williams, Waterman, Patterson, "Roofline", 2009. Bandwidths: NVIDIA's data sheets.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from kernels.spec import Dtype, KernelSpec, Role


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
    """What one launch moves and computes.

    Attributes:
        bytes_moved: to and from the card's memory.
        operations: products and additions.
        is_integer: the operations are of int8 (dp4a), else of fp32, a quarter of the rate.
    """

    bytes_moved: int
    operations: int
    is_integer: bool


_GATHERED: Final = {"embedding": "vocabulary", "rope": "context"}
"""Families that touch one entry a token of an array that is this long."""

_ELEMENTWISE: Final = {"embed_q4", "log_mel_scale"}
"""Kernels that have no products although others of their family do."""


def work(spec: KernelSpec, scalars: Mapping[str, int | float]) -> Work:
    """Return the work of one launch with these *scalars*."""
    sizes = dict(scalars)
    gathered = "vocabulary" if spec.name == "embed_q4" else _GATHERED.get(spec.family)
    if gathered:
        sizes[gathered] = scalars["tokens"]
    moved = sum(
        (2 if each.role is Role.INOUT else 1) * each.size_bytes(sizes) for each in spec.arrays
    )
    return Work(moved, _operations(spec, scalars), is_integer=_is_integer(spec))


_PRODUCTS: Final[Mapping[str, Sequence[tuple[str | int, ...]]]] = {
    "matmul": (("tokens", "rows", "columns"),),
    "matmul_q4": (("tokens", "rows", "columns"), ("tokens", "rows", "columns")),
    "attention": (("tokens", "heads", "head_dim", "context"),) * 2,
    "attention_split": (("tokens", "heads", "head_dim", "context"),) * 2,
    "attention_full": (("tokens", "heads", "head_dim", "positions"),) * 2,
    "attention_merge": (("tokens", "heads", "head_dim", "chunks"),),
    "conv1d": (("frames", "channels", "filters", 3),),
    "mel": (("frames", 201, 400, 2), ("frames", "bands", 201)),
}
"""Products of each kernel, or else of its family, as factors: numbers or names of scalars. The
sum of the inputs in a q4 product counts as a second one. Cache length stands for positions."""


def _operations(spec: KernelSpec, scalars: Mapping[str, int | float]) -> int:
    """Return products and additions; kernels without products only move bytes."""
    if spec.name in _ELEMENTWISE:
        return 0
    terms = _PRODUCTS.get(spec.name) or _PRODUCTS.get(spec.family, ())
    return sum(2 * math.prod(_factor(each, scalars) for each in term) for term in terms)


def _factor(factor: str | int, scalars: Mapping[str, int | float]) -> int:
    return factor if isinstance(factor, int) else int(scalars[factor])


def _is_integer(spec: KernelSpec) -> bool:
    return any(each.dtype is Dtype.I8 for each in spec.arrays)


def floor_us(card: Card, one: Work) -> float:
    """Return the least time of *one* launch on *card*, in microseconds."""
    by_memory_s = one.bytes_moved / (card.bandwidth_gb_s * 1e9)
    rate = card.int8_tops * 1e12 / (1 if one.is_integer else 4)
    by_arithmetic_s = one.operations / rate
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
    "slots": 1,
    "chunks": 8,
    "positions": 1500,
    "stride": 4096,
    "count": 480_000,
    "frames": 3000,
    "bands": 80,
    "channels": 384,
    "filters": 384,
    "width": 11_008,
    "vocabulary": 32_000,
    "blocks": 128,
    "epsilon": 1e-5,
}
"""One token of a model of 7 thousand million weights: the shape that anchors are quoted for. The
kernels of speech alone: 30 s of sound, and the widths of Whisper tiny."""


def decode_work(spec: KernelSpec) -> Work | None:
    """Return the work at `DECODE_SHAPE`, or None where the kernel has other scalars."""
    if not set(spec.scalar_names) <= DECODE_SHAPE.keys():
        return None
    shape = dict(DECODE_SHAPE)
    if spec.family == "conv1d":
        shape["stride"] = 2
    return work(spec, {name: shape[name] for name in spec.scalar_names})
