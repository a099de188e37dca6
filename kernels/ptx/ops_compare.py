"""Comparison, choice and conversion.

Source: PTX ISA, "Comparison and Selection Instructions", "Data Movement and Conversion".
"""

from typing import Final

from kernels.ptx.emitter import Emitter
from kernels.ptx.ops_float import flushed, saturated
from kernels.ptx.syntax import Instruction, Pair
from kernels.ptx.types import B64, F32, PRED, U64, PtxType

SIGNED: Final = {"lt": "slt", "le": "sle", "gt": "sgt", "ge": "sge"}
UNSIGNED: Final = {
    "lt": "ult", "le": "ule", "gt": "ugt", "ge": "uge",
    "lo": "ult", "ls": "ule", "hi": "ugt", "hs": "uge",
    "eq": "eq", "ne": "ne",
}  # fmt: skip
FLOATING: Final = {
    "eq": "oeq", "ne": "one", "lt": "olt", "le": "ole", "gt": "ogt", "ge": "oge",
    "equ": "ueq", "neu": "une", "ltu": "ult", "leu": "ule", "gtu": "ugt", "geu": "uge",
    "num": "ord", "nan": "uno",
}  # fmt: skip
COMPARISONS: Final = UNSIGNED.keys() | FLOATING.keys()
_COMBINATIONS: Final = ("and", "or", "xor")
_ROUND_TO_INTEGER: Final = {
    "rni": "roundeven", "rzi": "trunc", "rmi": "floor", "rpi": "ceil",
}  # fmt: skip


def compared(e: Emitter, name: str, kind: PtxType, left: str, right: str) -> str:
    """Return whether the comparison *name* holds."""
    if kind.is_float:
        if name not in FLOATING or kind.llvm.startswith("<"):
            raise e.unsupported()
        return e.value(f"fcmp {FLOATING[name]} {kind.llvm} {left}, {right}")
    predicate = (SIGNED if kind.is_signed else {}).get(name) or UNSIGNED.get(name)
    if predicate is None:
        raise e.unsupported()
    return e.compare(predicate, kind.integer, left, right)


def _comparison(e: Emitter, i: Instruction, kind: PtxType) -> str:
    left, right = (e.read(each, kind) for each in i.operands[1:3])
    if "ftz" in i.modifiers:
        left, right = (flushed(e, each, kind) for each in (left, right))
    return compared(e, i.modifiers[0], kind, left, right)


def set_predicate(e: Emitter, i: Instruction) -> None:
    """``setp``: compare, combine with a predicate, write the result and its opposite."""
    found = _comparison(e, i, e.type_of(i.modifiers))
    opposite = e.binary("xor", "i1", found, "true")
    combination = next((each for each in i.modifiers if each in _COMBINATIONS), None)
    if combination:
        other = e.read(i.operands[3], PRED)
        found = e.binary(combination, "i1", found, other)
        opposite = e.binary(combination, "i1", opposite, other)
    target = i.operands[0]
    if isinstance(target, Pair):
        e.write(target.first, found, PRED)
        e.write(target.second, opposite, PRED)
    else:
        e.write(target, found, PRED)


def set_number(e: Emitter, i: Instruction) -> None:
    """``set``: compare; true is all ones, or 1.0."""
    target, source = e.types_of(i.modifiers)
    if set(_COMBINATIONS) & set(i.modifiers):
        raise e.unsupported()
    found = _comparison(e, i, source)
    operation = "uitofp" if target.is_float else "sext"
    e.write(i.operands[0], e.cast(operation, "i1", found, target.llvm), target)


def choose(e: Emitter, i: Instruction) -> None:
    """``selp``: one of two by a predicate."""
    kind = e.type_of(i.modifiers)
    then, otherwise = (e.read(each, kind) for each in i.operands[1:3])
    condition = e.read(i.operands[3], PRED)
    e.write(i.operands[0], e.select(condition, kind.llvm, then, otherwise), kind)


def choose_by_sign(e: Emitter, i: Instruction) -> None:
    """``slct``: one of two by the sign of a number."""
    kind, tested = e.types_of(i.modifiers)
    then, otherwise = (e.read(each, kind) for each in i.operands[1:3])
    zero = e.constant(tested, 0.0) if tested.is_float else "0"
    condition = compared(e, "ge", tested, e.read(i.operands[3], tested), zero)
    e.write(i.operands[0], e.select(condition, kind.llvm, then, otherwise), kind)


def test_property(e: Emitter, i: Instruction) -> None:
    """``testp``: is it finite, infinite, a number, normal, subnormal."""
    kind = e.type_of(i.modifiers)
    value = e.read(i.operands[1], kind)
    size = e.intrinsic("fabs", kind, value)
    infinity = e.constant(kind, float("inf"))
    normal = e.constant(kind, 2.0**-126 if kind is F32 else 2.0**-1022)
    tests = {
        "finite": f"fcmp olt {kind.llvm} {size}, {infinity}",
        "infinite": f"fcmp oeq {kind.llvm} {size}, {infinity}",
        "number": f"fcmp ord {kind.llvm} {value}, {value}",
        "notanumber": f"fcmp uno {kind.llvm} {value}, {value}",
    }
    if i.modifiers[0] in tests:
        e.write(i.operands[0], e.value(tests[i.modifiers[0]]), PRED)
        return
    small = e.value(f"fcmp olt {kind.llvm} {size}, {normal}")
    if i.modifiers[0] == "subnormal":
        other = e.value(f"fcmp ogt {kind.llvm} {size}, {e.constant(kind, 0.0)}")
    else:
        other = e.value(tests["finite"])
        small = e.binary("xor", "i1", small, "true")
    e.write(i.operands[0], e.binary("and", "i1", small, other), PRED)


def convert(e: Emitter, i: Instruction) -> None:
    """``cvt``."""
    target, source = e.types_of(i.modifiers)[:2]
    if len(i.operands) == 3:
        _convert_pair(e, i, target)
        return
    value = e.read(i.operands[1], source)
    if "ftz" in i.modifiers:
        value = flushed(e, value, source)
    if target.is_float and source.is_float:
        value = _float_to_float(e, i, value, source, target)
    elif target.is_float:
        operation = "sitofp" if source.is_signed else "uitofp"
        value = e.cast(operation, source.llvm, value, target.llvm)
    elif source.is_float:
        value = _float_to_integer(e, i, value, source, target)
    else:
        value = _integer_to_integer(e, i, value, source, target)
    if target.is_float and {"rz", "rm", "rp"} & set(i.modifiers):
        raise e.unsupported("directed rounding")
    e.write(i.operands[0], value, target)


def _convert_pair(e: Emitter, i: Instruction, target: PtxType) -> None:
    """Narrow two floats into one register, the first into its upper half."""
    if target.name not in {"f16x2", "bf16x2"} or {"rz", "satfinite"} & set(i.modifiers):
        raise e.unsupported()
    element = target.llvm.split()[-1].rstrip(">")
    high, low = (e.cast("fptrunc", "float", e.read(each, F32), element) for each in i.operands[1:3])
    half = e.value(f"insertelement {target.llvm} zeroinitializer, {element} {low}, i32 0")
    value = e.value(f"insertelement {target.llvm} {half}, {element} {high}, i32 1")
    if "relu" in i.modifiers:
        value = e.intrinsic("maxnum", target, value, e.constant(target, 0.0))
    e.write(i.operands[0], value, target)


def _float_to_float(
    e: Emitter, i: Instruction, value: str, source: PtxType, target: PtxType
) -> str:
    for each in i.modifiers:
        if each in _ROUND_TO_INTEGER:
            value = e.intrinsic(_ROUND_TO_INTEGER[each], source, value)
    if target.bits > source.bits:
        value = e.cast("fpext", source.llvm, value, target.llvm)
    elif target.bits < source.bits:
        value = e.cast("fptrunc", source.llvm, value, target.llvm)
    elif target is not source:
        wide = e.cast("fpext", source.llvm, value, "float")
        value = e.cast("fptrunc", "float", wide, target.llvm)
    if "ftz" in i.modifiers:
        value = flushed(e, value, target)
    if "relu" in i.modifiers:
        value = e.intrinsic("maxnum", target, value, e.constant(target, 0.0))
    return saturated(e, value, target) if "sat" in i.modifiers else value


def _float_to_integer(
    e: Emitter, i: Instruction, value: str, source: PtxType, target: PtxType
) -> str:
    """Round as asked and clamp to the target's range; not-a-number gives 0."""
    if source.bits == 16:
        value = e.cast("fpext", source.llvm, value, "float")
        source = F32
    for each in i.modifiers:
        if each in _ROUND_TO_INTEGER and each != "rzi":
            value = e.intrinsic(_ROUND_TO_INTEGER[each], source, value)
    name = f"llvm.fpto{'s' if target.is_signed else 'u'}i.sat.{target.integer}.{source.suffix}"
    return e.call(target.integer, name, f"{source.llvm} {value}")


def _integer_to_integer(
    e: Emitter, i: Instruction, value: str, source: PtxType, target: PtxType
) -> str:
    if "sat" not in i.modifiers:
        return e.resize(value, source.integer, target.integer, signed=source.is_signed)
    wide = e.resize(value, source.integer, "i128", signed=source.is_signed)
    low = -(2 ** (target.bits - 1)) if target.is_signed else 0
    high = 2 ** (target.bits - (1 if target.is_signed else 0)) - 1
    wide = e.call("i128", "llvm.smax.i128", f"i128 {wide}", f"i128 {low}")
    wide = e.call("i128", "llvm.smin.i128", f"i128 {wide}", f"i128 {high}")
    return e.cast("trunc", "i128", wide, target.integer)


def convert_address(e: Emitter, i: Instruction) -> None:
    """``cvta``: between generic addresses and those of a window."""
    space, kind = e.space(i.modifiers), e.type_of(i.modifiers)
    if space in {"global", "const", "param", "generic"}:
        e.write(i.operands[0], e.read(i.operands[1], kind), kind)
        return
    if kind.bits != 64:
        raise e.unsupported("32-bit addresses")
    value, base = e.read(i.operands[1], U64), e.window_address(space)
    operation = "sub" if "to" in i.modifiers else "add"
    e.write(i.operands[0], e.binary(operation, "i64", value, base), B64)


def is_in_space(e: Emitter, i: Instruction) -> None:
    """``isspacep``: does a generic address lie in a window."""
    space, address = e.space(i.modifiers), e.read(i.operands[1], U64)
    inside = {}
    for each, size in (("shared", "%shared.mask"), ("local", "%local.mask")):
        offset = e.binary("sub", "i64", address, e.window_address(each))
        inside[each] = e.compare("ule", "i64", offset, e.cast("zext", "i32", size, "i64"))
    if space in inside:
        found = inside[space]
    elif space == "global":
        either = e.binary("or", "i1", inside["shared"], inside["local"])
        found = e.binary("xor", "i1", either, "true")
    else:
        raise e.unsupported()
    e.write(i.operands[0], found, PRED)
