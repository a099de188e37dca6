"""Floating-point cases of the opcode table; see opcode_cases."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
from opcode_cases import DTYPES, Array, Case, exact

F32 = np.float32


def quiet(function: Callable[..., Any]) -> Callable[..., Array]:
    def reference(*arrays: Array) -> Array:
        with np.errstate(all="ignore"):
            return np.asarray(function(*arrays))

    return reference


def _fused(kind: type[np.generic]) -> Callable[..., Array]:
    """a * b + c rounded once: through fractions where all is finite, else as floats do."""

    def one(a: Any, b: Any, c: Any) -> Any:
        if not (np.isfinite(a) and np.isfinite(b) and np.isfinite(c)):
            return kind(np.float64(a) * np.float64(b) + np.float64(c))
        total = Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c))
        if total == 0:
            return kind(np.float64(a) * np.float64(b) + np.float64(c))
        return _nearest(total, kind)

    return quiet(lambda *arrays: np.array([one(*row) for row in zip(*arrays, strict=True)], kind))


def _half_fused(a: Array, b: Array, c: Array) -> Array:
    return (a.astype(F32) * b.astype(F32) + c.astype(F32)).astype(np.float16)


def _nearest(total: Fraction, kind: type[np.generic]) -> Any:
    """Round a fraction to the nearest float32 or float64."""
    try:
        wide = float(total)  # correctly rounded to float64
    except OverflowError:
        return kind(np.inf) if total > 0 else kind(-np.inf)
    if kind is np.float64:
        return np.float64(wide)
    guess = F32(wide)
    around = [np.nextafter(guess, F32(-np.inf)), guess, np.nextafter(guess, F32(np.inf))]
    finite = [each for each in around if np.isfinite(each)]
    if len(finite) < 3:
        return guess
    return min(finite, key=lambda x: (abs(Fraction(float(x)) - total), int(x.view(np.uint32)) & 1))


def _directed(function: Callable[..., Fraction], rounding: str) -> Callable[..., Array]:
    """The exact value rounded down, up or towards zero."""

    def one(*row: Any) -> Any:
        total = function(*[Fraction(float(each)) for each in row])
        nearest = F32(float(total))
        if Fraction(float(nearest)) == total:
            return nearest
        below = nearest if Fraction(float(nearest)) < total else np.nextafter(nearest, F32(-np.inf))
        above = np.nextafter(below, F32(np.inf))
        down = rounding == "rm" or (rounding == "rz" and total > 0)
        return below if down else above

    return lambda *arrays: np.array([one(*row) for row in zip(*arrays, strict=True)], F32)


def float_cases() -> list[Case]:
    found = []

    def add(
        text: str, kinds: tuple[str, ...], function: Callable[..., Any], error: float = 0.0,
        result: str = "",
    ) -> None:  # fmt: skip
        found.append(Case(text, kinds, result or kinds[0], quiet(function), error))

    for kind in ("f32", "f64", "f16"):
        rounding = "" if kind == "f16" else ".rn"
        add(f"add{rounding}.{kind} d, a, b", (kind, kind), lambda a, b: a + b)
        add(f"sub{rounding}.{kind} d, a, b", (kind, kind), lambda a, b: a - b)
        add(f"mul{rounding}.{kind} d, a, b", (kind, kind), lambda a, b: a * b)
        add(f"neg.{kind} d, a", (kind,), lambda a: -a)
        add(f"abs.{kind} d, a", (kind,), np.abs)
        add(f"min.{kind} d, a, b", (kind, kind), np.fmin)
        add(f"max.{kind} d, a, b", (kind, kind), np.fmax)
    add("max.NaN.f32 d, a, b", ("f32", "f32"), np.maximum)
    add("min.f32 d, a, b, c", ("f32",) * 3, lambda a, b, c: np.fmin(np.fmin(a, b), c))
    for kind in ("f32", "f64"):
        dtype = DTYPES[kind]
        add(f"div.rn.{kind} d, a, b", (kind, kind), lambda a, b: a / b)
        add(f"sqrt.rn.{kind} d, a", (kind,), np.sqrt)
        add(f"rcp.rn.{kind} d, a", (kind,), lambda a, t=dtype: t(1) / a)
        add(f"copysign.{kind} d, a, b", (kind, kind), lambda a, b: np.copysign(b, a))
        found.append(Case(f"fma.rn.{kind} d, a, b, c", (kind,) * 3, kind, _fused(dtype)))
        found.append(Case(f"mad.rn.{kind} d, a, b, c", (kind,) * 3, kind, _fused(dtype)))
    add("fma.rn.f16 d, a, b, c", ("f16",) * 3, _half_fused)
    add("add.sat.f32 d, a, b", ("f32", "f32"), lambda a, b: _saturated(a + b))
    add("div.approx.f32 d, a, b", ("f32", "f32"), lambda a, b: a / b)
    add("add.ftz.f32 d, a, b", ("f32", "f32"), lambda a, b: _flushed(_flushed(a) + _flushed(b)))
    add("mul.ftz.f32 d, a, b", ("f32", "f32"), lambda a, b: _flushed(_flushed(a) * _flushed(b)))
    wide = np.float64
    add("rsqrt.approx.f32 d, a", ("f32",), lambda a: 1 / np.sqrt(a.astype(wide)), 3e-7)
    add("ex2.approx.f32 d, a", ("f32",), lambda a: np.exp2(a.astype(wide)), 2e-7)
    add("ex2.approx.ftz.f32 d, a", ("f32",), lambda a: _flushed(np.exp2(_flushed(a))), 2e-7)
    add("ex2.approx.f16 d, a", ("f16",), lambda a: np.exp2(a.astype(F32)), 1e-3)
    add("lg2.approx.f32 d, a", ("f32",), lambda a: np.log2(a.astype(wide)), 3e-7)
    add("sin.approx.f32 d, a", ("f32",), lambda a: np.sin(a.astype(wide)), 3e-7)
    add("cos.approx.f32 d, a", ("f32",), lambda a: np.cos(a.astype(wide)), 3e-7)
    add("tanh.approx.f32 d, a", ("f32",), lambda a: np.tanh(a.astype(wide)), 3e-7)
    for name, halves in (("add", lambda x, y: x + y), ("mul", lambda x, y: x * y)):
        add(f"{name}.f16x2 d, a, b", ("f16x2", "f16x2"), lambda a, b, f=halves: f(
            a.view(np.float16), b.view(np.float16)).view(np.uint32))  # fmt: skip
    return found


def directed_cases() -> list[Case]:
    """Tame values only: the exact result must be finite."""
    found = []
    for rounding in ("rz", "rm", "rp"):
        for name, count, function in (
            ("add", 2, lambda a, b: a + b),
            ("sub", 2, lambda a, b: a - b),
            ("mul", 2, lambda a, b: a * b),
            ("fma", 3, lambda a, b, c: a * b + c),
        ):
            names = ", ".join("abc"[:count])
            reference = _directed(function, rounding)
            found.append(
                Case(f"{name}.{rounding}.f32 d, {names}", ("f32",) * count, "f32", reference)
            )
    return found


def _saturated(values: Array) -> Array:
    return np.where(np.isnan(values), F32(0), np.clip(values, F32(0), F32(1))) + F32(0)


def _flushed(values: Array) -> Array:
    tiny = np.abs(values) < F32(2.0**-126)
    return np.where(tiny, np.copysign(F32(0), values), values).astype(F32)


def _to_integer(kind: str, rounded: Callable[[Array], Array]) -> Callable[..., Array]:
    info = np.iinfo(DTYPES[kind])

    def reference(a: Array) -> Array:
        values = rounded(a.astype(np.float64))
        clamped = [
            0 if np.isnan(v) else info.max if v >= float(info.max) else max(int(v), info.min)
            for v in np.clip(values, -1e300, 1e300)
        ]
        return np.array(clamped, DTYPES[kind])

    return quiet(reference)


def _as(kind: str) -> Callable[[Array], Array]:
    return lambda a: a.astype(DTYPES[kind])


def conversion_cases() -> list[Case]:
    integers = ("u8", "s8", "u16", "s16", "u32", "s32", "u64", "s64")
    found = [
        Case(f"cvt.{target}.{source} d, a", (source,), target, exact(target, lambda a: a))
        for source in integers
        for target in integers
        if source != target and {source[1:], target[1:]} != {"8"}
    ]
    found += [
        Case(f"cvt.rn.{target}.{source} d, a", (source,), target, _as(target))
        for source in integers
        for target in ("f32", "f64")
    ]
    for name, function in (
        ("rni", np.rint), ("rzi", np.trunc), ("rmi", np.floor), ("rpi", np.ceil),
    ):  # fmt: skip
        found += [
            Case(f"cvt.{name}.{kind}.f32 d, a", ("f32",), kind, _to_integer(kind, function))
            for kind in ("s32", "u32", "s64", "u64")
        ]
        found.append(Case(f"cvt.{name}.f32.f32 d, a", ("f32",), "f32", quiet(function)))
    found += [
        Case("cvt.f64.f32 d, a", ("f32",), "f64", quiet(lambda a: a.astype(np.float64))),
        Case("cvt.rn.f32.f64 d, a", ("f64",), "f32", quiet(lambda a: a.astype(F32))),
        Case("cvt.rn.f16.f32 d, a", ("f32",), "f16", quiet(lambda a: a.astype(np.float16))),
        Case("cvt.f32.f16 d, a", ("f16",), "f32", quiet(lambda a: a.astype(F32))),
        Case("cvt.sat.f32.f32 d, a", ("f32",), "f32", quiet(_saturated)),
        Case("cvt.sat.s8.s32 d, a", ("s32",), "s8", exact("s8", lambda a: min(max(a, -128), 127))),
        Case("cvt.sat.u16.s32 d, a", ("s32",), "u16",
             exact("u16", lambda a: min(max(a, 0), 65535))),
        Case("cvt.rn.f16x2.f32 d, a, b", ("f32", "f32"), "f16x2", quiet(
            lambda a, b: np.stack([b, a], 1).astype(np.float16).reshape(-1).view(np.uint32))),
    ]  # fmt: skip
    return found


def comparison_cases() -> list[Case]:
    found = []
    ordered = {"eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal,
               "gt": np.greater, "ge": np.greater_equal}  # fmt: skip

    def add(comparison: str, kind: str, function: Callable[..., Array]) -> None:
        text = f"setp.{comparison}.{kind} p, a, b; selp.b32 d, 1, 0, p"
        found.append(
            Case(text, (kind, kind), "b32", quiet(lambda a, b: function(a, b).astype(np.uint32)))
        )

    for name, function in ordered.items():
        for kind in ("s32", "u64", "s16"):
            add(name, kind, function)
        add(name, "f32", lambda a, b, f=function: f(a, b) & ~_unordered(a, b))
        add(f"{name}u", "f32", lambda a, b, f=function: f(a, b) | _unordered(a, b))
    for name, other in (("lo", "lt"), ("ls", "le"), ("hi", "gt"), ("hs", "ge")):
        add(name, "u32", ordered[other])
    add("num", "f32", lambda a, b: ~_unordered(a, b))
    add("nan", "f64", _unordered)
    found += [
        Case("setp.lt.and.s32 p|q, a, b, !p; selp.b32 d, 1, 0, p", ("s32", "s32"), "b32",
             lambda a, b: (a < b).astype(np.uint32)),
        Case("setp.lt.or.s32 p|q, a, b, p; selp.b32 d, 1, 0, q", ("s32", "s32"), "b32",
             lambda a, b: (a >= b).astype(np.uint32)),
        Case("set.gt.u32.f32 d, a, b", ("f32", "f32"), "u32",
             quiet(lambda a, b: np.where(a > b, np.uint32(0xFFFFFFFF), np.uint32(0)))),
        Case("set.le.f32.s32 d, a, b", ("s32", "s32"), "f32", lambda a, b: (a <= b).astype(F32)),
        Case("slct.u32.s32 d, a, b, c", ("u32", "u32", "s32"), "u32",
             lambda a, b, c: np.where(c >= 0, a, b)),
        Case("slct.f32.f32 d, a, b, c", ("f32", "f32", "f32"), "f32",
             quiet(lambda a, b, c: np.where(c >= 0, a, b))),
    ]  # fmt: skip
    tests = {
        "finite": np.isfinite, "infinite": np.isinf, "notanumber": np.isnan,
        "number": lambda a: ~np.isnan(a),
        "subnormal": lambda a: (np.abs(a) < F32(2.0**-126)) & (a != 0),
        "normal": lambda a: np.isfinite(a) & (np.abs(a) >= F32(2.0**-126)),
    }  # fmt: skip
    for name, test in tests.items():
        found.append(Case(f"testp.{name}.f32 p, a; selp.b32 d, 1, 0, p", ("f32",), "b32",
                          quiet(lambda a, t=test: t(a).astype(np.uint32))))  # fmt: skip
    return found


def _unordered(a: Array, b: Array) -> Array:
    return np.isnan(a) | np.isnan(b)
