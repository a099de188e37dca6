"""One instruction a case: what goes in, what NumPy says comes out."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

DTYPES: dict[str, type[np.generic]] = {
    "u8": np.uint8, "s8": np.int8, "b8": np.uint8,
    "u16": np.uint16, "s16": np.int16, "b16": np.uint16, "f16": np.float16,
    "u32": np.uint32, "s32": np.int32, "b32": np.uint32, "f32": np.float32,
    "u64": np.uint64, "s64": np.int64, "b64": np.uint64, "f64": np.float64,
    "f16x2": np.uint32,
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    """``{}`` in *text* stands for the type; d is the result and a, b, c are the sources.

    `error` is the largest relative error, or 0 for equal bits.
    """

    text: str
    sources: tuple[str, ...]
    result: str
    reference: Callable[..., Array]
    error: float = 0.0

    @property
    def opcode(self) -> str:
        return self.text.split(".")[0].split()[0]


def _wrap(kind: str, value: Any) -> Array:
    """Keep the low bits of Python integers."""
    bits = np.dtype(DTYPES[kind]).itemsize * 8
    low = [int(each) & ((1 << bits) - 1) for each in value]
    return np.array(low, dtype=f"u{bits // 8}").view(DTYPES[kind])


def exact(kind: str, function: Callable[..., int]) -> Callable[..., Array]:
    """Return a reference made of *function* on Python's integers, which never overflow."""

    def reference(*arrays: Array) -> Array:
        rows = zip(*[[int(x) for x in array] for array in arrays], strict=True)
        return _wrap(kind, [function(*row) for row in rows])

    return reference


def _floor_to_zero(a: int, b: int) -> int:
    if b == 0:
        return -1
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


def _remainder(a: int, b: int) -> int:
    return a if b == 0 else a - _floor_to_zero(a, b) * b


def _bits(kind: str) -> int:
    return int(kind[1:])


def _saturate(kind: str) -> Callable[[int], int]:
    bits = _bits(kind)
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if kind[0] == "s" else (0, (1 << bits) - 1)
    return lambda x: min(max(x, low), high)


def _lanes(word: int, bits: int, kind: str) -> list[int]:
    parts = [word >> start & ((1 << bits) - 1) for start in range(0, 32, bits)]
    return [p - (1 << bits) if kind == "s32" and p >> (bits - 1) else p for p in parts]


def _dot(left: str, right: str, bits: int, chosen: slice) -> Callable[[int, int, int], int]:
    def dot(a: int, b: int, c: int) -> int:
        pairs = zip(_lanes(a, bits, left), _lanes(b, 8, right)[chosen], strict=True)
        return c + sum(p * q for p, q in pairs)

    return dot


def integer_cases() -> list[Case]:
    found = []

    def add(
        text: str, kind: str, count: int, function: Callable[..., int], result: str = ""
    ) -> None:
        kinds = (kind,) * count
        found.append(Case(text, kinds, result or kind, exact(result or kind, function)))

    for kind in ("u16", "s16", "u32", "s32", "u64", "s64"):
        bits = _bits(kind)
        add(f"add.{kind} d, a, b", kind, 2, lambda a, b: a + b)
        add(f"sub.{kind} d, a, b", kind, 2, lambda a, b: a - b)
        add(f"mul.lo.{kind} d, a, b", kind, 2, lambda a, b: a * b)
        add(f"mul.hi.{kind} d, a, b", kind, 2, lambda a, b, n=bits: (a * b) >> n)
        add(f"mad.lo.{kind} d, a, b, c", kind, 3, lambda a, b, c: a * b + c)
        add(f"mad.hi.{kind} d, a, b, c", kind, 3, lambda a, b, c, n=bits: ((a * b) >> n) + c)
        add(f"div.{kind} d, a, b", kind, 2, _floor_to_zero)
        add(f"rem.{kind} d, a, b", kind, 2, _remainder)
        add(f"min.{kind} d, a, b", kind, 2, min)
        add(f"max.{kind} d, a, b", kind, 2, max)
        add(f"sad.{kind} d, a, b, c", kind, 3, lambda a, b, c: abs(a - b) + c)
    for kind in ("u16", "s16", "u32", "s32"):
        wide = f"{kind[0]}{2 * _bits(kind)}"
        add(f"mul.wide.{kind} d, a, b", kind, 2, lambda a, b: a * b, wide)
    for kind in ("s16", "s32", "s64"):
        add(f"abs.{kind} d, a", kind, 1, abs)
        add(f"neg.{kind} d, a", kind, 1, lambda a: -a)
    add("add.sat.s32 d, a, b", "s32", 2, lambda a, b: _saturate("s32")(a + b))
    add("sub.sat.s32 d, a, b", "s32", 2, lambda a, b: _saturate("s32")(a - b))
    found.append(
        Case("mad.wide.u32 d, a, b, c", ("u32", "u32", "u64"), "u64",
             exact("u64", lambda a, b, c: a * b + c))
    )  # fmt: skip

    def low24(kind: str, a: int) -> int:
        a &= 0xFFFFFF
        return a - (1 << 24) if kind == "s32" and a >> 23 else a

    for kind in ("u32", "s32"):

        def product(a: int, b: int, k: str = kind) -> int:
            return low24(k, a) * low24(k, b)

        add(f"mul24.lo.{kind} d, a, b", kind, 2, product)
        add(f"mul24.hi.{kind} d, a, b", kind, 2, lambda a, b, p=product: p(a, b) >> 16)
        add(f"mad24.lo.{kind} d, a, b, c", kind, 3, lambda a, b, c, p=product: p(a, b) + c)

    for left in ("u32", "s32"):
        for right in ("u32", "s32"):
            kinds = f"{left}.{right}"
            add(f"dp4a.{kinds} d, a, b, c", "u32", 3, _dot(left, right, 8, slice(0, 4)))
            add(f"dp2a.lo.{kinds} d, a, b, c", "u32", 3, _dot(left, right, 16, slice(0, 2)))
            add(f"dp2a.hi.{kinds} d, a, b, c", "u32", 3, _dot(left, right, 16, slice(2, 4)))
    return found


def carry_cases() -> list[Case]:
    """Pairs of instructions: 64-bit arithmetic out of 32-bit halves."""
    add = exact("u32", lambda a, b, c: ((a + b) >> 32) + c + b)
    subtract = exact("u32", lambda a, b, c: c - b - (a < b))
    multiply = exact("u32", lambda a, b, c: ((a * b + c) >> 32) & 0xFFFFFFFF)
    return [
        Case("add.cc.u32 d, a, b; addc.u32 d, c, b", ("u32",) * 3, "u32", add),
        Case("sub.cc.u32 d, a, b; subc.u32 d, c, b", ("u32",) * 3, "u32", subtract),
        Case("mad.lo.cc.u32 d, a, b, c; madc.hi.u32 d, a, b, 0", ("u32",) * 3, "u32", multiply),
    ]


def bit_cases() -> list[Case]:
    found = []

    def add(text: str, kinds: tuple[str, ...], result: str, function: Callable[..., int]) -> None:
        found.append(Case(text, kinds, result, exact(result, function)))

    for bits in (16, 32, 64):
        kind, full = f"b{bits}", (1 << bits) - 1
        add(f"and.{kind} d, a, b", (kind, kind), kind, lambda a, b: a & b)
        add(f"or.{kind} d, a, b", (kind, kind), kind, lambda a, b: a | b)
        add(f"xor.{kind} d, a, b", (kind, kind), kind, lambda a, b: a ^ b)
        add(f"not.{kind} d, a", (kind,), kind, lambda a: ~a)
        add(f"cnot.{kind} d, a", (kind,), kind, lambda a: int(a == 0))
        add(f"mov.{kind} d, a", (kind,), kind, lambda a: a)
        add(f"shl.{kind} d, a, b", (kind, "b32"), kind, lambda a, b, n=bits: a << min(b, n))
        add(f"shr.u{bits} d, a, b", (f"u{bits}", "b32"), f"u{bits}",
            lambda a, b, n=bits: a >> min(b, n))  # fmt: skip
        add(f"shr.s{bits} d, a, b", (f"s{bits}", "b32"), f"s{bits}",
            lambda a, b, n=bits: a >> min(b, n))  # fmt: skip
        add(f"shl.{kind} d, a, 5", (kind,), kind, lambda a: a << 5)
        add(f"shr.u{bits} d, a, 99", (f"u{bits}",), f"u{bits}", lambda _: 0)
        if bits == 16:
            continue
        add(f"popc.{kind} d, a", (kind,), "u32", lambda a: a.bit_count())
        add(f"clz.{kind} d, a", (kind,), "u32", lambda a, n=bits: n - a.bit_length())
        add(f"brev.{kind} d, a", (kind,), kind,
            lambda a, n=bits: int(f"{a:0{n}b}"[::-1], 2))  # fmt: skip
        add(f"bfind.u{bits} d, a", (f"u{bits}",), "u32", lambda a: a.bit_length() - 1)
        add(f"bfind.s{bits} d, a", (f"s{bits}",), "u32",
            lambda a: (a if a >= 0 else ~a).bit_length() - 1)  # fmt: skip
        add(f"bfind.shiftamt.u{bits} d, a", (f"u{bits}",), "u32",
            lambda a, n=bits: n - a.bit_length() if a else -1)  # fmt: skip

        def insert(a: int, b: int, start: int, length: int, n: int = bits, f: int = full) -> int:
            start, length = start & 255, min(length & 255, n)
            mask = (((1 << length) - 1) << start) & f if start < n else 0
            return (b & ~mask) | ((a << start) & mask)

        def extract(signed: bool, n: int) -> Callable[[int, int, int], int]:
            def field(a: int, start: int, length: int) -> int:
                start, length = min(start & 255, n), min(length & 255, n)
                value = (a >> start) & ((1 << length) - 1)
                return (
                    value - (1 << length) if signed and length and value >> (length - 1) else value
                )

            return field

        add(f"bfe.u{bits} d, a, b, c", (f"u{bits}", "u32", "u32"), f"u{bits}", extract(False, bits))
        add(f"bfe.s{bits} d, a, b, c", (f"s{bits}", "u32", "u32"), f"s{bits}", extract(True, bits))
        add(f"bfi.{kind} d, a, b, c, 7", (kind, kind, "u32"), kind,
            lambda a, b, c, f=insert: f(a, b, c, 7))  # fmt: skip

    def funnel(left: bool, wrap: bool) -> Callable[[int, int, int], int]:
        def shift(low: int, high: int, count: int) -> int:
            count = count & 31 if wrap else min(count, 32)
            both = high << 32 | low
            return (both << count) >> 32 if left else both >> count

        return shift

    for direction in ("l", "r"):
        for way in ("wrap", "clamp"):
            add(f"shf.{direction}.{way}.b32 d, a, b, c", ("b32",) * 3, "b32",
                funnel(direction == "l", way == "wrap"))  # fmt: skip

    def table(lut: int) -> Callable[[int, int, int], int]:
        return lambda a, b, c: sum(
            (lut >> ((a >> n & 1) << 2 | (b >> n & 1) << 1 | c >> n & 1) & 1) << n
            for n in range(32)
        )

    for lut in (0x00, 0x96, 0xE8, 0xCA, 0xFF):
        add(f"lop3.b32 d, a, b, c, {lut}", ("b32",) * 3, "b32", table(lut))

    def permute(a: int, b: int, selector: int) -> int:
        data = (b << 32 | a).to_bytes(8, "little")
        total = 0
        for place in range(4):
            choice = selector >> (4 * place) & 15
            byte = data[choice & 7]
            if choice & 8:
                byte = 0xFF if byte & 0x80 else 0
            total |= byte << (8 * place)
        return total

    add("prmt.b32 d, a, b, c", ("b32",) * 3, "b32", permute)
    add("prmt.b32 d, a, b, 0x7c42", ("b32",) * 2, "b32", lambda a, b: permute(a, b, 0x7C42))

    def mask(wrap: bool) -> Callable[[int, int], int]:
        def ones(start: int, length: int) -> int:
            start, length = (start & 31, length & 31) if wrap else (min(start, 32), min(length, 32))
            return ((1 << length) - 1) << start

        return ones

    add("bmsk.wrap.b32 d, a, b", ("b32",) * 2, "b32", mask(True))
    add("bmsk.clamp.b32 d, a, b", ("b32",) * 2, "b32", mask(False))

    def extend(signed: bool, wrap: bool) -> Callable[[int, int], int]:
        def value(a: int, count: int) -> int:
            count = count & 31 if wrap else min(count, 32)
            low = a & ((1 << count) - 1)
            return low - (1 << count) if signed and count and low >> (count - 1) else low

        return value

    for way in ("wrap", "clamp"):
        add(f"szext.{way}.u32 d, a, b", ("u32",) * 2, "u32", extend(False, way == "wrap"))
        add(f"szext.{way}.s32 d, a, b", ("s32", "u32"), "s32", extend(True, way == "wrap"))
    add("{ .reg .b16 lo, hi; mov.b32 {lo, hi}, a; mov.b32 d, {hi, lo}; }", ("b32",), "b32",
        lambda a: (a << 16 | a >> 16) & 0xFFFFFFFF)  # fmt: skip
    return found
