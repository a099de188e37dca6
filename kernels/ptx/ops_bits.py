"""Logic, shifts, and instructions on single bits and bytes.

Source: PTX ISA, "Logic and Shift Instructions", "Integer Arithmetic Instructions" (bit fields).
"""

from kernels.ptx.emitter import Emitter
from kernels.ptx.flow import constant_of
from kernels.ptx.syntax import Instruction, Vector
from kernels.ptx.types import B32, PRED, TYPES, U32, PtxType


def logic(e: Emitter, i: Instruction) -> None:
    """``and``, ``or`` and ``xor``."""
    kind = e.type_of(i.modifiers)
    left, right = (e.read(each, kind) for each in i.operands[1:3])
    e.write(i.operands[0], e.binary(i.opcode, kind.integer, left, right), kind)


def invert(e: Emitter, i: Instruction) -> None:
    """``not``."""
    kind = e.type_of(i.modifiers)
    ones = "true" if kind is PRED else "-1"
    e.write(i.operands[0], e.binary("xor", kind.integer, e.read(i.operands[1], kind), ones), kind)


def is_zero(e: Emitter, i: Instruction) -> None:
    """``cnot``: 1 for zero, else 0."""
    kind = e.type_of(i.modifiers)
    zero = e.compare("eq", kind.integer, e.read(i.operands[1], kind), "0")
    e.write(i.operands[0], e.cast("zext", "i1", zero, kind.integer), kind)


def shift(e: Emitter, i: Instruction) -> None:
    """``shl`` and ``shr``; beyond the width nothing but the sign is left."""
    kind = e.type_of(i.modifiers)
    operation = "shl" if i.opcode == "shl" else "ashr" if kind.is_signed else "lshr"
    value, amount = e.read(i.operands[1], kind), i.operands[2]
    known = constant_of(amount)
    if known is not None and 0 <= known < kind.bits:
        e.write(i.operands[0], e.binary(operation, kind.integer, value, str(known)), kind)
        return
    count = e.read(amount, U32)
    beyond = e.compare("uge", "i32", count, str(kind.bits))
    count = e.resize(count, "i32", kind.integer)
    count = e.select(beyond, kind.integer, str(kind.bits - 1), count)
    shifted = e.binary(operation, kind.integer, value, count)
    if operation != "ashr":
        shifted = e.select(beyond, kind.integer, "0", shifted)
    e.write(i.operands[0], shifted, kind)


def funnel_shift(e: Emitter, i: Instruction) -> None:
    """``shf``: shift two words together and keep one."""
    low, high, count = (e.read(each, B32) for each in i.operands[1:4])
    if "wrap" in i.modifiers:
        count = e.binary("and", "i32", count, "31")
    else:
        count = e.intrinsic("umin", U32, count, "32")
    high_part = e.binary("shl", "i64", e.cast("zext", "i32", high, "i64"), "32")
    both = e.binary("or", "i64", high_part, e.cast("zext", "i32", low, "i64"))
    wide = e.cast("zext", "i32", count, "i64")
    if "l" in i.modifiers:
        both = e.binary("lshr", "i64", e.binary("shl", "i64", both, wide), "32")
    else:
        both = e.binary("lshr", "i64", both, wide)
    e.write(i.operands[0], e.cast("trunc", "i64", both, "i32"), B32)


def lookup(e: Emitter, i: Instruction) -> None:
    """``lop3``: any function of three bits, given by its table of eight."""
    if "BoolOp" in i.modifiers or len(i.operands) != 5:
        raise e.unsupported()
    table = constant_of(i.operands[4])
    if table is None or not 0 <= table <= 255:
        raise e.invalid("the table is not a constant of eight bits")
    straight = [e.read(each, B32) for each in i.operands[1:4]]
    inverse = [e.binary("xor", "i32", each, "-1") for each in straight]
    total = "0"
    for row in range(8):
        if table >> row & 1:
            a, b, c = ((straight if row >> (2 - n) & 1 else inverse)[n] for n in range(3))
            both = e.binary("and", "i32", e.binary("and", "i32", a, b), c)
            total = e.binary("or", "i32", total, both)
    e.write(i.operands[0], total, B32)


def count_ones(e: Emitter, i: Instruction) -> None:
    """``popc``."""
    kind = e.type_of(i.modifiers)
    value = e.intrinsic("ctpop", kind, e.read(i.operands[1], kind))
    e.write(i.operands[0], e.resize(value, kind.integer, "i32"), U32)


def count_leading_zeros(e: Emitter, i: Instruction) -> None:
    """``clz``."""
    kind = e.type_of(i.modifiers)
    value = _leading_zeros(e, e.read(i.operands[1], kind), kind.integer)
    e.write(i.operands[0], e.resize(value, kind.integer, "i32"), U32)


def _leading_zeros(e: Emitter, value: str, integer: str) -> str:
    return e.call(integer, f"llvm.ctlz.{integer}", f"{integer} {value}", "i1 false")


def reverse(e: Emitter, i: Instruction) -> None:
    """``brev``: the bits in reverse order."""
    kind = e.type_of(i.modifiers)
    e.write(i.operands[0], e.intrinsic("bitreverse", kind, e.read(i.operands[1], kind)), kind)


def find_top(e: Emitter, i: Instruction) -> None:
    """``bfind``: position of the highest bit that is not the sign; all ones when there is none."""
    kind = e.type_of(i.modifiers)
    value = e.read(i.operands[1], kind)
    if kind.is_signed:
        sign = e.binary("ashr", kind.integer, value, str(kind.bits - 1))
        value = e.binary("xor", kind.integer, value, sign)
    zeros = _leading_zeros(e, value, kind.integer)
    found = e.binary("sub", kind.integer, str(kind.bits - 1), zeros)
    if "shiftamt" in i.modifiers:
        nothing = e.compare("eq", kind.integer, value, "0")
        found = e.select(nothing, kind.integer, "-1", zeros)
    e.write(i.operands[0], e.resize(found, kind.integer, "i32", signed=True), U32)


def extract_field(e: Emitter, i: Instruction) -> None:
    """``bfe``: a field of bits, extended by its top bit when signed.

    In 128 bits no shift goes beyond the width.
    """
    kind = e.type_of(i.modifiers)
    right = "ashr" if kind.is_signed else "lshr"
    extend = "sext" if kind.is_signed else "zext"
    value = e.cast(extend, kind.integer, e.read(i.operands[1], kind), "i128")
    start = _clamped(e, e.binary("and", "i32", e.read(i.operands[2], U32), "255"), kind.bits)
    length = _clamped(e, e.binary("and", "i32", e.read(i.operands[3], U32), "255"), kind.bits)
    moved = e.binary(right, "i128", value, e.cast("zext", "i32", start, "i128"))
    empty = e.compare("eq", "i32", length, "0")
    rest = e.binary("sub", "i32", "128", length)
    rest = e.cast("zext", "i32", e.select(empty, "i32", "0", rest), "i128")
    field = e.binary(right, "i128", e.binary("shl", "i128", moved, rest), rest)
    field = e.select(empty, "i128", "0", field)
    e.write(i.operands[0], e.cast("trunc", "i128", field, kind.integer), kind)


def insert_field(e: Emitter, i: Instruction) -> None:
    """``bfi``: replace a field of bits."""
    kind = e.type_of(i.modifiers)
    field, base = (
        e.cast("zext", kind.integer, e.read(each, kind), "i128") for each in i.operands[1:3]
    )
    start = _clamped(e, e.binary("and", "i32", e.read(i.operands[3], U32), "255"), kind.bits)
    length = _clamped(e, e.binary("and", "i32", e.read(i.operands[4], U32), "255"), kind.bits)
    start, length = (e.cast("zext", "i32", each, "i128") for each in (start, length))
    ones = e.binary("sub", "i128", e.binary("shl", "i128", "1", length), "1")
    mask = e.binary("shl", "i128", ones, start)
    kept = e.binary("and", "i128", base, e.binary("xor", "i128", mask, "-1"))
    put = e.binary("and", "i128", e.binary("shl", "i128", field, start), mask)
    value = e.binary("or", "i128", kept, put)
    e.write(i.operands[0], e.cast("trunc", "i128", value, kind.integer), kind)


def _clamped(e: Emitter, value: str, most: int) -> str:
    return e.intrinsic("umin", U32, value, str(most))


def make_mask(e: Emitter, i: Instruction) -> None:
    """``bmsk``: ones from a position on, of a length."""
    start, length = (e.read(each, U32) for each in i.operands[1:3])
    if "wrap" in i.modifiers:
        start, length = (e.binary("and", "i32", each, "31") for each in (start, length))
    start, length = (_clamped(e, each, 32) for each in (start, length))
    start, length = (e.cast("zext", "i32", each, "i128") for each in (start, length))
    ones = e.binary("sub", "i128", e.binary("shl", "i128", "1", length), "1")
    mask = e.binary("shl", "i128", ones, start)
    e.write(i.operands[0], e.cast("trunc", "i128", mask, "i32"), B32)


def permute(e: Emitter, i: Instruction) -> None:
    """``prmt``: choose four of eight bytes, each as it is or as its sign."""
    if set(i.modifiers) - {"b32"}:
        raise e.unsupported()
    low, high, selector = (e.read(each, B32) for each in i.operands[1:4])
    known = constant_of(i.operands[3])
    high_part = e.binary("shl", "i64", e.cast("zext", "i32", high, "i64"), "32")
    both = e.binary("or", "i64", high_part, e.cast("zext", "i32", low, "i64"))
    total = "0"
    for place in range(4):
        byte = _chosen_byte(e, both, selector, place, known)
        wide = e.cast("zext", "i8", byte, "i32")
        total = e.binary("or", "i32", total, e.binary("shl", "i32", wide, str(8 * place)))
    e.write(i.operands[0], total, B32)


def _chosen_byte(e: Emitter, both: str, selector: str, place: int, known: int | None) -> str:
    if known is not None:
        choice = known >> (4 * place) & 15
        moved = e.binary("lshr", "i64", both, str(8 * (choice & 7)))
        byte = e.cast("trunc", "i64", moved, "i8")
        return e.binary("ashr", "i8", byte, "7") if choice & 8 else byte
    nibble = e.binary("and", "i32", e.binary("lshr", "i32", selector, str(4 * place)), "15")
    index = e.binary("shl", "i32", e.binary("and", "i32", nibble, "7"), "3")
    moved = e.binary("lshr", "i64", both, e.cast("zext", "i32", index, "i64"))
    byte = e.cast("trunc", "i64", moved, "i8")
    wants_sign = e.compare("uge", "i32", nibble, "8")
    return e.select(wants_sign, "i8", e.binary("ashr", "i8", byte, "7"), byte)


def extend_low_bits(e: Emitter, i: Instruction) -> None:
    """``szext``: extend the low bits, their number given, by their sign or by zero."""
    kind = e.type_of(i.modifiers)
    value, count = e.read(i.operands[1], kind), e.read(i.operands[2], U32)
    if "wrap" in i.modifiers:
        count = e.binary("and", "i32", count, "31")
    rest = e.binary("sub", "i32", "64", _clamped(e, count, 32))
    empty = e.compare("eq", "i32", rest, "64")
    rest = e.cast("zext", "i32", e.select(empty, "i32", "0", rest), "i64")
    raised = e.binary("shl", "i64", e.cast("zext", "i32", value, "i64"), rest)
    moved = e.binary("ashr" if kind.is_signed else "lshr", "i64", raised, rest)
    narrow = e.cast("trunc", "i64", moved, "i32")
    e.write(i.operands[0], e.select(empty, "i32", "0", narrow), kind)


def move(e: Emitter, i: Instruction) -> None:
    """``mov``, also to and from vectors whose parts make up one register."""
    kind = e.type_of(i.modifiers)
    target, source = i.operands
    if isinstance(target, Vector):
        _unpack(e, target, e.cast("bitcast", kind.llvm, e.read(source, kind), kind.integer), kind)
    elif isinstance(source, Vector):
        e.write(target, _pack(e, source, kind), TYPES[f"b{kind.bits}"])
    else:
        e.write(target, e.read(source, kind), kind)


def _part(e: Emitter, vector: Vector, kind: PtxType) -> PtxType:
    part = TYPES.get(f"b{kind.bits // max(1, len(vector.items))}")
    if part is None or part.bits * len(vector.items) != kind.bits:
        raise e.invalid("the parts do not make up the whole")
    return part


def _unpack(e: Emitter, target: Vector, value: str, kind: PtxType) -> None:
    part = _part(e, target, kind)
    for number, each in enumerate(target.items):
        moved = e.binary("lshr", kind.integer, value, str(number * part.bits))
        e.write(each, e.cast("trunc", kind.integer, moved, part.integer), part)


def _pack(e: Emitter, source: Vector, kind: PtxType) -> str:
    part = _part(e, source, kind)
    total = "0"
    for number, each in enumerate(source.items):
        wide = e.cast("zext", part.integer, e.read(each, part), kind.integer)
        moved = e.binary("shl", kind.integer, wide, str(number * part.bits))
        total = e.binary("or", kind.integer, total, moved)
    return total
