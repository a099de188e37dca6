"""Integer arithmetic.

Source: PTX ISA, "Integer Arithmetic Instructions" and "Extended-Precision Integer Arithmetic".
"""

from kernels.ptx.emitter import Emitter
from kernels.ptx.syntax import Instruction
from kernels.ptx.types import B32, TYPES, U32, PtxType


def wide_product(e: Emitter, i: Instruction, kind: PtxType) -> str:
    """Return the whole product of the first two sources, twice as wide as they are."""
    double = f"i{2 * kind.bits}"
    extend = "sext" if kind.is_signed else "zext"
    left = e.cast(extend, kind.integer, e.read(i.operands[1], kind), double)
    right = e.cast(extend, kind.integer, e.read(i.operands[2], kind), double)
    return e.binary("mul", double, left, right)


def product(e: Emitter, i: Instruction, kind: PtxType) -> tuple[str, PtxType]:
    """Return the product that ``.lo``, ``.hi`` or ``.wide`` asks for, and its type."""
    if "lo" in i.modifiers:
        left, right = (e.read(each, kind) for each in i.operands[1:3])
        return e.binary("mul", kind.integer, left, right), kind
    whole = wide_product(e, i, kind)
    double = f"i{2 * kind.bits}"
    if "wide" in i.modifiers:
        if kind.bits > 32:
            raise e.unsupported()
        return whole, TYPES[f"{kind.kind}{2 * kind.bits}"]
    high = e.binary("lshr", double, whole, str(kind.bits))
    return e.cast("trunc", double, high, kind.integer), kind


def add(e: Emitter, i: Instruction, kind: PtxType, *, operation: str) -> None:
    """``add`` and ``sub``, also with carry."""
    left, right = (e.read(each, kind) for each in i.operands[1:3])
    if "cc" in i.modifiers or i.opcode in {"addc", "subc"}:
        _with_carry(e, i, kind, (left, right), operation)
        return
    if "sat" in i.modifiers:
        name = f"{'s' if kind.is_signed else 'u'}{operation}.sat"
        e.write(i.operands[0], e.intrinsic(name, kind, left, right), kind)
        return
    e.write(i.operands[0], e.binary(operation, kind.integer, left, right), kind)


def _with_carry(
    e: Emitter, i: Instruction, kind: PtxType, sources: tuple[str, str], operation: str
) -> None:
    """Add or subtract in twice the width; the bit above is the carry or the borrow."""
    double = f"i{2 * kind.bits}"
    left, right = (e.cast("zext", kind.integer, each, double) for each in sources)
    total = e.binary(operation, double, left, right)
    if i.opcode.endswith("c") and i.opcode in {"addc", "subc", "madc"}:
        carry = e.cast("zext", "i1", e.value("load i1, ptr %carry"), double)
        total = e.binary(operation, double, total, carry)
    if "cc" in i.modifiers:
        above = e.binary("lshr", double, total, str(kind.bits))
        e.line(f"store i1 {e.cast('trunc', double, above, 'i1')}, ptr %carry")
    e.write(i.operands[0], e.cast("trunc", double, total, kind.integer), kind)


def addc(e: Emitter, i: Instruction) -> None:
    """``addc``: add with the carry of the instruction before."""
    add(e, i, e.type_of(i.modifiers), operation="add")


def subc(e: Emitter, i: Instruction) -> None:
    """``subc``: subtract with the borrow of the instruction before."""
    add(e, i, e.type_of(i.modifiers), operation="sub")


def mul(e: Emitter, i: Instruction, kind: PtxType) -> None:
    """``mul`` of integers."""
    value, result = product(e, i, kind)
    e.write(i.operands[0], value, result)


def mad(e: Emitter, i: Instruction, kind: PtxType) -> None:
    """``mad`` and ``madc`` of integers."""
    if "sat" in i.modifiers:
        raise e.unsupported()
    value, result = product(e, i, kind)
    addend = e.read(i.operands[3], result)
    if "cc" in i.modifiers or i.opcode == "madc":
        _with_carry(e, i, result, (value, addend), "add")
        return
    e.write(i.operands[0], e.binary("add", result.integer, value, addend), result)


def madc(e: Emitter, i: Instruction) -> None:
    """``madc``: multiply and add with carry."""
    mad(e, i, e.type_of(i.modifiers))


def mul24(e: Emitter, i: Instruction) -> None:
    """``mul24`` and ``mad24``: the product of the low 24 bits, low or high 32 bits of its 48."""
    kind = e.type_of(i.modifiers)
    shift = "ashr" if kind.is_signed else "lshr"
    sources = []
    for each in i.operands[1:3]:
        top = e.binary("shl", "i32", e.read(each, kind), "8")
        low = e.binary(shift, "i32", top, "8")
        sources.append(e.cast("sext" if kind.is_signed else "zext", "i32", low, "i64"))
    whole = e.binary("mul", "i64", *sources)
    if "hi" in i.modifiers:
        whole = e.binary("lshr", "i64", whole, "16")
    value = e.cast("trunc", "i64", whole, "i32")
    if i.opcode == "mad24":
        value = e.binary("add", "i32", value, e.read(i.operands[3], kind))
    e.write(i.operands[0], value, kind)


def divide(e: Emitter, i: Instruction, kind: PtxType) -> None:
    """``div`` and ``rem`` of integers, defined where LLVM's are not.

    By zero the quotient is all ones and the remainder the dividend, as on cards; the smallest
    number by -1 wraps.
    """
    operation = i.opcode
    left, right = (e.read(each, kind) for each in i.operands[1:3])
    by_zero = e.compare("eq", kind.integer, right, "0")
    unsafe = by_zero
    if kind.is_signed:
        by_minus_one = e.compare("eq", kind.integer, right, "-1")
        unsafe = e.binary("or", "i1", by_zero, by_minus_one)
    divisor = e.select(unsafe, kind.integer, "1", right)
    sign = "s" if kind.is_signed else "u"
    value = e.binary(f"{sign}{operation}", kind.integer, left, divisor)
    if kind.is_signed:
        negated = e.binary("sub", kind.integer, "0", left) if operation == "div" else "0"
        value = e.select(by_minus_one, kind.integer, negated, value)
    instead = "-1" if operation == "div" else left
    e.write(i.operands[0], e.select(by_zero, kind.integer, instead, value), kind)


def rem(e: Emitter, i: Instruction) -> None:
    """``rem``."""
    divide(e, i, e.type_of(i.modifiers))


def absolute(e: Emitter, i: Instruction, kind: PtxType) -> None:
    """``abs`` of integers; that of the smallest number is itself."""
    value = e.read(i.operands[1], kind)
    arguments = (f"{kind.integer} {value}", "i1 false")
    e.write(i.operands[0], e.call(kind.integer, f"llvm.abs.{kind.integer}", *arguments), kind)


def negate(e: Emitter, i: Instruction, kind: PtxType) -> None:
    """``neg`` of integers."""
    e.write(i.operands[0], e.binary("sub", kind.integer, "0", e.read(i.operands[1], kind)), kind)


def smallest(e: Emitter, i: Instruction, kind: PtxType) -> None:
    """``min`` and ``max`` of integers."""
    name = f"{'s' if kind.is_signed else 'u'}{i.opcode}"
    left, right = (e.read(each, kind) for each in i.operands[1:3])
    value = e.intrinsic(name, kind, left, right)
    if "relu" in i.modifiers:
        value = e.intrinsic("smax", kind, value, "0")
    e.write(i.operands[0], value, kind)


def sad(e: Emitter, i: Instruction) -> None:
    """``sad``: |a - b| + c."""
    kind = e.type_of(i.modifiers)
    left, right, addend = (e.read(each, kind) for each in i.operands[1:4])
    below = e.compare("slt" if kind.is_signed else "ult", kind.integer, left, right)
    up = e.binary("sub", kind.integer, right, left)
    down = e.binary("sub", kind.integer, left, right)
    distance = e.select(below, kind.integer, up, down)
    e.write(i.operands[0], e.binary("add", kind.integer, distance, addend), kind)


def dot_product(e: Emitter, i: Instruction) -> None:
    """``dp4a``: four products of bytes; ``dp2a``: two of a half word with a byte."""
    left_kind, right_kind = e.types_of(i.modifiers)
    left, right, total = (e.read(each, B32) for each in i.operands[1:4])
    count = 4 if i.opcode == "dp4a" else 2
    first = 2 if count == 2 and "hi" in i.modifiers else 0
    for lane in range(count):
        a = _field(e, left, lane * (32 // count), 32 // count, left_kind)
        b = _field(e, right, (first + lane) * 8, 8, right_kind)
        total = e.binary("add", "i32", total, e.binary("mul", "i32", a, b))
    e.write(i.operands[0], total, U32)


def _field(e: Emitter, word: str, start: int, bits: int, kind: PtxType) -> str:
    """Return *bits* of *word* from *start*, extended to 32."""
    raised = e.binary("shl", "i32", word, str(32 - bits - start))
    return e.binary("ashr" if kind.is_signed else "lshr", "i32", raised, str(32 - bits))
