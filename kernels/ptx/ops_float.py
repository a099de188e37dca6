"""Floating-point arithmetic.

The basic operations are rounded as IEEE 754 says and never fused or reordered, so a result is
the same on every host. Approximate instructions are at least as accurate as a card's, and so not
bit-equal to it. Fused multiply-add of half floats goes through float: it can round twice.

Source: PTX ISA, "Floating Point Instructions", "Half Precision Floating Point Instructions".
"""

import math
import struct
from collections.abc import Callable
from typing import Final, TypeAlias

from kernels.ptx.emitter import Emitter
from kernels.ptx.syntax import Instruction, Operand
from kernels.ptx.types import F32, TYPES, PtxType

Handler: TypeAlias = Callable[[Emitter, Instruction], None]

_DIRECTED: Final = {"rz", "rm", "rp"}
_F64: Final = TYPES["f64"]
_BINARY: Final = {"add": "fadd", "sub": "fsub", "mul": "fmul"}
_SMALLEST_NORMAL: Final = 2.0**-126


def flushed(e: Emitter, value: str, kind: PtxType) -> str:
    """Return *value* with subnormal numbers replaced by zeros of their sign (``.ftz``)."""
    if kind is not F32:
        return value
    size = e.intrinsic("fabs", kind, value)
    tiny = e.value(f"fcmp olt float {size}, {e.constant(kind, _SMALLEST_NORMAL)}")
    zero = e.intrinsic("copysign", kind, "0.0", value)
    return e.select(tiny, "float", zero, value)


def _source(e: Emitter, i: Instruction, operand: Operand, kind: PtxType) -> str:
    value = e.read(operand, kind)
    return flushed(e, value, kind) if "ftz" in i.modifiers else value


def _finish(e: Emitter, i: Instruction, value: str, kind: PtxType) -> None:
    """Write a result, saturated or flushed as the instruction asks."""
    if "ftz" in i.modifiers:
        value = flushed(e, value, kind)
    if "sat" in i.modifiers:
        value = saturated(e, value, kind)
    if "relu" in i.modifiers:
        value = e.intrinsic("maxnum", kind, value, e.constant(kind, 0.0))
    e.write(i.operands[0], value, kind)


def saturated(e: Emitter, value: str, kind: PtxType) -> str:
    """Return *value* within [0, 1]; not-a-number becomes 0."""
    value = e.intrinsic("maxnum", kind, value, e.constant(kind, 0.0))
    return e.intrinsic("minnum", kind, value, e.constant(kind, 1.0))


def _rounding(e: Emitter, i: Instruction, kind: PtxType) -> str:
    """Return the directed rounding that is asked for, or ""."""
    found = _DIRECTED & set(i.modifiers)
    if found and kind is not F32:
        raise e.unsupported("directed rounding")
    return found.pop() if found else ""


def arithmetic(e: Emitter, i: Instruction, kind: PtxType) -> None:
    """``add``, ``sub`` and ``mul``."""
    left, right = (_source(e, i, each, kind) for each in i.operands[1:3])
    rounding = _rounding(e, i, kind)
    if not rounding:
        _finish(e, i, e.binary(_BINARY[i.opcode], kind.llvm, left, right), kind)
        return
    left, right = (e.cast("fpext", "float", each, "double") for each in (left, right))
    if i.opcode == "mul":  # exact in double
        total, error = e.binary("fmul", "double", left, right), "0.0"
    else:
        right = e.value(f"fneg double {right}") if i.opcode == "sub" else right
        total, error = _sum_and_error(e, left, right)
    _finish(e, i, _narrowed(e, total, error, rounding), kind)


def fma(e: Emitter, i: Instruction) -> None:
    """``fma``, and ``mad`` of floats."""
    kind = e.type_of(i.modifiers)
    sources = [_source(e, i, each, kind) for each in i.operands[1:4]]
    rounding = _rounding(e, i, kind)
    if rounding:
        a, b, c = (e.cast("fpext", "float", each, "double") for each in sources)
        total, error = _sum_and_error(e, e.binary("fmul", "double", a, b), c)
        _finish(e, i, _narrowed(e, total, error, rounding), kind)
        return
    if kind.bits == 16 or kind.llvm.startswith("<"):
        wide = "<2 x float>" if kind.llvm.startswith("<") else "float"
        suffix = "v2f32" if kind.llvm.startswith("<") else "f32"
        operands = [f"{wide} {e.cast('fpext', kind.llvm, each, wide)}" for each in sources]
        total = e.call(wide, f"llvm.fma.{suffix}", *operands)
        _finish(e, i, e.cast("fptrunc", wide, total, kind.llvm), kind)
        return
    _finish(e, i, e.intrinsic("fma", kind, *sources), kind)


def _sum_and_error(e: Emitter, a: str, b: str) -> tuple[str, str]:
    """Return a + b and what rounding took from it (Knuth's two-sum)."""
    total = e.binary("fadd", "double", a, b)
    b_part = e.binary("fsub", "double", total, a)
    a_part = e.binary("fsub", "double", total, b_part)
    b_rest = e.binary("fsub", "double", b, b_part)
    a_rest = e.binary("fsub", "double", a, a_part)
    return total, e.binary("fadd", "double", a_rest, b_rest)


def _narrowed(e: Emitter, total: str, error: str, rounding: str) -> str:
    """Return total + error as a float, rounded down, up, or towards zero."""
    nearest = e.cast("fptrunc", "double", total, "float")
    back = e.cast("fpext", "float", nearest, "double")
    over = e.binary("fsub", "double", back, total)
    over = e.binary("fsub", "double", over, error)  # > 0: the nearest lies above the exact sum
    above = e.value(f"fcmp ogt double {over}, 0.0")
    below = e.value(f"fcmp olt double {over}, 0.0")
    negative = e.value(f"fcmp olt double {total}, 0.0")
    if rounding == "rz":
        positive = e.binary("xor", "i1", negative, "true")
        down = e.binary("and", "i1", above, positive)
        up = e.binary("and", "i1", below, negative)
    else:
        down, up = (above, "false") if rounding == "rm" else ("false", below)
    finite = e.value(f"fcmp ord float {nearest}, {nearest}")
    stepped = _step(e, nearest, down, up)
    return e.select(finite, "float", stepped, nearest)


def _step(e: Emitter, value: str, down: str, up: str) -> str:
    """Return the neighbour of *value* below or above it, as the conditions say."""
    bits = e.cast("bitcast", "float", value, "i32")
    zero = e.value(f"fcmp oeq float {value}, 0.0")
    negative = e.compare("slt", "i32", bits, "0")
    towards_zero = e.binary("sub", "i32", bits, "1")
    away = e.binary("add", "i32", bits, "1")
    lower = e.select(negative, "i32", away, towards_zero)
    lower = e.select(zero, "i32", str(-(2**31) + 1), lower)
    upper = e.select(negative, "i32", towards_zero, away)
    upper = e.select(zero, "i32", "1", upper)
    bits = e.select(down, "i32", lower, e.select(up, "i32", upper, bits))
    return e.cast("bitcast", "i32", bits, "float")


def divide(e: Emitter, i: Instruction, kind: PtxType) -> None:
    """``div``: rounded to nearest, ``.approx`` and ``.full`` included."""
    if _DIRECTED & set(i.modifiers):
        raise e.unsupported("directed rounding")
    left, right = (_source(e, i, each, kind) for each in i.operands[1:3])
    _finish(e, i, e.binary("fdiv", kind.llvm, left, right), kind)


def absolute(e: Emitter, i: Instruction, kind: PtxType) -> None:
    """``abs``."""
    _finish(e, i, e.intrinsic("fabs", kind, e.read(i.operands[1], kind)), kind)


def negate(e: Emitter, i: Instruction, kind: PtxType) -> None:
    """``neg``."""
    _finish(e, i, e.value(f"fneg {kind.llvm} {e.read(i.operands[1], kind)}"), kind)


def smallest(e: Emitter, i: Instruction, kind: PtxType) -> None:
    """``min`` and ``max``, of two or three; a number wins over not-a-number without ``.NaN``."""
    if "xorsign" in i.modifiers or "abs" in i.modifiers:
        raise e.unsupported()
    name = f"{i.opcode}imum" if "NaN" in i.modifiers else f"{i.opcode}imumnum"
    sources = [_source(e, i, each, kind) for each in i.operands[1:]]
    value = sources[0]
    for each in sources[1:]:
        value = e.intrinsic(name, kind, value, each)
    _finish(e, i, value, kind)


def reciprocal(e: Emitter, i: Instruction) -> None:
    """``rcp``."""
    kind = e.type_of(i.modifiers)
    if _DIRECTED & set(i.modifiers):
        raise e.unsupported("directed rounding")
    value = _source(e, i, i.operands[1], kind)
    _finish(e, i, e.binary("fdiv", kind.llvm, e.constant(kind, 1.0), value), kind)


def square_root(e: Emitter, i: Instruction) -> None:
    """``sqrt``."""
    kind = e.type_of(i.modifiers)
    if _DIRECTED & set(i.modifiers):
        raise e.unsupported("directed rounding")
    _finish(e, i, e.intrinsic("sqrt", kind, _source(e, i, i.operands[1], kind)), kind)


def reciprocal_root(e: Emitter, i: Instruction) -> None:
    """``rsqrt``."""
    kind = e.type_of(i.modifiers)
    root = e.intrinsic("sqrt", kind, _source(e, i, i.operands[1], kind))
    _finish(e, i, e.binary("fdiv", kind.llvm, e.constant(kind, 1.0), root), kind)


def library(name: str) -> Handler:
    """Return a handler that calls the LLVM intrinsic *name* on one float."""

    def handler(e: Emitter, i: Instruction) -> None:
        kind = e.type_of(i.modifiers)
        value = _source(e, i, i.operands[1], kind)
        if kind is F32:
            _finish(e, i, e.intrinsic(name, kind, value), kind)
            return
        wide = "<2 x float>" if kind.llvm.startswith("<") else "float"
        suffix = "v2f32" if kind.llvm.startswith("<") else "f32"
        found = e.call(wide, f"llvm.{name}.{suffix}", f"{wide} {_widened(e, value, kind, wide)}")
        _finish(e, i, e.cast("fptrunc", wide, found, kind.llvm), kind)

    return handler


def _widened(e: Emitter, value: str, kind: PtxType, wide: str) -> str:
    if kind.bits == 64:
        raise e.unsupported()
    return e.cast("fpext", kind.llvm, value, wide)


sine = library("sin")
cosine = library("cos")
logarithm = library("log2")
hyperbolic_tangent = library("tanh")

_EXP2_DEGREE: Final = 7


def exponential(e: Emitter, i: Instruction) -> None:
    """``ex2``: two to a power.

    Of floats by a polynomial of degree 7 on [-1/2, 1/2] (error below 2e-7 relative, checked over
    the range by a test), so that LLVM can do many threads at once.
    """
    kind = e.type_of(i.modifiers)
    if kind is not F32:
        library("exp2")(e, i)
        return
    value = _source(e, i, i.operands[1], kind)
    high, low = e.constant(kind, 130.0), e.constant(kind, -160.0)
    x = e.select(e.value(f"fcmp ogt float {value}, {high}"), "float", high, value)
    x = e.select(e.value(f"fcmp olt float {x}, {low}"), "float", low, x)
    whole = e.intrinsic("roundeven", kind, x)
    rest = e.binary("fsub", "float", x, whole)
    total = e.constant(kind, _as_float(_coefficient(_EXP2_DEGREE)))
    for degree in reversed(range(_EXP2_DEGREE)):
        factor = e.constant(kind, _as_float(_coefficient(degree)))
        total = e.intrinsic("fma", kind, total, rest, factor)
    power = e.call("i32", "llvm.fptosi.sat.i32.f32", f"float {whole}")
    half = e.binary("ashr", "i32", power, "1")
    for part in (half, e.binary("sub", "i32", power, half)):  # two steps: the range is wide
        bits = e.binary("shl", "i32", e.binary("add", "i32", part, "127"), "23")
        total = e.binary("fmul", "float", total, e.cast("bitcast", "i32", bits, "float"))
    _finish(e, i, total, kind)


def _coefficient(degree: int) -> float:
    return math.log(2) ** degree / math.factorial(degree)


def _as_float(number: float) -> float:
    found: float = struct.unpack("<f", struct.pack("<f", number))[0]
    return found


def copy_sign(e: Emitter, i: Instruction) -> None:
    """``copysign``: the size of the second source with the sign of the first."""
    kind = e.type_of(i.modifiers)
    sign, size = (e.read(each, kind) for each in i.operands[1:3])
    e.write(i.operands[0], e.intrinsic("copysign", kind, size, sign), kind)
