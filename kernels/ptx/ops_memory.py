"""Loads, stores, atomics, calls and copies.

Blocks of a launch run one after the other on one thread, and threads of a block between two
stops as well, so an atomic operation is a load, an operation and a store.

Source: PTX ISA, "Data Movement and Conversion Instructions", "Parallel Synchronization and
Communication Instructions", "Control Flow Instructions".
"""

import re
from typing import Final

from kernels.ptx.emitter import ACCESS_GROUP, Emitter
from kernels.ptx.flow import constant_of
from kernels.ptx.mode import Mode
from kernels.ptx.syntax import Address, Arguments, Instruction, Operand, Symbol, Vector
from kernels.ptx.types import U32, PtxType

ATOMICS: Final = {"add", "min", "max", "and", "or", "xor", "exch", "cas", "inc", "dec"}
_FAILURES: Final = {"__assertfail", "__trap"}


def _vector_count(e: Emitter, i: Instruction) -> int:
    for each in i.modifiers:
        if match := re.fullmatch(r"v([248])", each):
            return int(match[1])
        if re.fullmatch(r"v\d+", each):
            raise e.unsupported()
    return 1


def _elements(e: Emitter, operand: Operand, count: int) -> tuple[Operand, ...]:
    items = operand.items if isinstance(operand, Vector) else (operand,)
    if len(items) != count:
        raise e.invalid(f"{count} registers are needed")
    return items


def _parameter_pointer(e: Emitter, operand: Operand, size_bytes: int) -> str:
    if not isinstance(operand, Address) or not isinstance(operand.base, Symbol):
        raise e.unsupported("a computed address of a parameter")
    found = e.parameter_bases.get(operand.base.name)
    if found is None:
        raise e.invalid(f"{operand.base.name} is not a parameter")
    base, size = found
    if operand.offset < 0 or operand.offset + size_bytes > size:
        raise e.invalid(f"outside {operand.base.name}")
    return e.offset(base, operand.offset)


def _is_ordered(e: Emitter, i: Instruction) -> bool:
    """Whether the access must stay where it is among those of other threads."""
    return bool({"volatile", "acquire", "release", "relaxed"} & set(i.modifiers))


def load(e: Emitter, i: Instruction) -> None:
    """``ld`` and ``ldu``."""
    kind, space, count = e.type_of(i.modifiers), e.space(i.modifiers), _vector_count(e, i)
    targets = _elements(e, i.operands[0], count)
    whole = kind.size_bytes * count
    if space == "param":
        pointer, group = _parameter_pointer(e, i.operands[1], whole), ""
    else:
        pointer = e.address(i.operands[1], space, whole)
        group = "" if _is_ordered(e, i) else ACCESS_GROUP
    aligned = kind.size_bytes if space == "param" else whole
    if count == 1:
        bits = e.value(f"load {kind.integer}, ptr {pointer}, align {aligned}{group}")
        e.write(targets[0], e.cast("bitcast", kind.integer, bits, kind.llvm), kind)
        return
    for number, each in enumerate(targets):
        place = e.offset(pointer, number * kind.size_bytes) if number else pointer
        align = aligned if number == 0 else kind.size_bytes
        bits = e.value(f"load {kind.integer}, ptr {place}, align {align}{group}")
        e.write(each, e.cast("bitcast", kind.integer, bits, kind.llvm), kind)


def _bits_to_check(e: Emitter, value: str, kind: PtxType) -> str:
    """Return what is stored, for the race detector, as an ``i64``."""
    return e.resize(value, kind.integer, "i64") if kind.bits <= 64 else "-1"


def store(e: Emitter, i: Instruction) -> None:
    """``st``."""
    kind, space, count = e.type_of(i.modifiers), e.space(i.modifiers), _vector_count(e, i)
    values = []
    for each in _elements(e, i.operands[1], count):
        value = e.read(each, kind)
        values.append(e.cast("bitcast", kind.llvm, value, kind.integer))
    whole = kind.size_bytes * count
    if space == "param":
        pointer, group = _parameter_pointer(e, i.operands[0], whole), ""
    else:
        checked = ""
        if e.mode is Mode.STRICT:
            checked = _bits_to_check(e, values[0], kind) if count == 1 else "-1"
        pointer = e.address(i.operands[0], space, whole, write=checked)
        group = "" if _is_ordered(e, i) else ACCESS_GROUP
    for number, value in enumerate(values):
        place = e.offset(pointer, number * kind.size_bytes) if number else pointer
        align = kind.size_bytes if number or space == "param" else whole
        e.line(f"store {kind.integer} {value}, ptr {place}, align {align}{group}")


def atomic(e: Emitter, i: Instruction) -> None:
    """``atom`` and ``red``."""
    kind, space = e.type_of(i.modifiers), e.space(i.modifiers)
    operation = next((each for each in i.modifiers if each in ATOMICS), None)
    if operation is None or _vector_count(e, i) != 1:
        raise e.unsupported()
    has_result = i.opcode == "atom"
    address, *sources = i.operands[1:] if has_result else i.operands
    pointer = e.address(address, space, kind.size_bytes)
    old_bits = e.value(f"load {kind.integer}, ptr {pointer}, align {kind.size_bytes}")
    old = e.cast("bitcast", kind.integer, old_bits, kind.llvm)
    new = _atomic_result(e, operation, kind, old, [e.read(each, kind) for each in sources])
    new_bits = e.cast("bitcast", kind.llvm, new, kind.integer)
    e.line(f"store {kind.integer} {new_bits}, ptr {pointer}, align {kind.size_bytes}")
    if has_result:
        e.write(i.operands[0], old, kind)


def _atomic_result(e: Emitter, operation: str, kind: PtxType, old: str, sources: list[str]) -> str:
    value = sources[0]
    if kind.is_float and operation not in {"add", "min", "max", "exch"}:
        raise e.unsupported()
    match operation:
        case "exch":
            result = value
        case "cas":
            found = e.compare("eq", kind.integer, old, value)
            result = e.select(found, kind.llvm, sources[1], old)
        case "inc" | "dec":
            result = _wrapping(e, operation, kind, old, value)
        case "min" | "max":
            sign = "s" if kind.is_signed else "u"
            name = f"{operation}imumnum" if kind.is_float else f"{sign}{operation}"
            result = e.intrinsic(name, kind, old, value)
        case _:
            name = f"f{operation}" if kind.is_float else operation
            result = e.binary(name, kind.llvm, old, value)
    return result


def _wrapping(e: Emitter, operation: str, kind: PtxType, old: str, limit: str) -> str:
    """Count up to *limit* and then from zero, or down to zero and then from *limit*."""
    if operation == "inc":
        ends = e.compare("uge", kind.integer, old, limit)
        return e.select(ends, kind.integer, "0", e.binary("add", kind.integer, old, "1"))
    ends = e.binary(
        "or",
        "i1",
        e.compare("eq", kind.integer, old, "0"),
        e.compare("ugt", kind.integer, old, limit),
    )
    return e.select(ends, kind.integer, limit, e.binary("sub", kind.integer, old, "1"))


def copy_async(e: Emitter, i: Instruction) -> None:
    """``cp.async``: done at once; the groups and waits that go with it have nothing to do."""
    if i.modifiers[0] != "async" or {"bulk", "mbarrier", "reduce"} & set(i.modifiers):
        raise e.unsupported()
    if {"commit_group", "wait_group", "wait_all"} & set(i.modifiers):
        return
    size = constant_of(i.operands[2])
    if size not in {4, 8, 16}:
        raise e.invalid("the size is not 4, 8 or 16")
    integer = f"i{8 * size}"
    source = e.address(i.operands[1], "global", size)
    value = e.value(f"load {integer}, ptr {source}, align {size}")
    if len(i.operands) > 3:  # bytes after the given count are zeros
        count = e.intrinsic("umin", U32, e.read(i.operands[3], U32), str(size))
        bits = e.cast("zext", "i32", e.binary("shl", "i32", count, "3"), "i256")
        ones = e.binary("sub", "i256", e.binary("shl", "i256", "1", bits), "1")
        value = e.binary("and", integer, value, e.cast("trunc", "i256", ones, integer))
    checked = "-1" if e.mode is Mode.STRICT else ""
    target = e.address(i.operands[0], "shared", size, write=checked)
    e.line(f"store {integer} {value}, ptr {target}, align {size}")


def nothing(_e: Emitter, _i: Instruction) -> None:
    """Prefetches and pauses."""


def fence(e: Emitter, _i: Instruction) -> None:
    """``membar`` and ``fence``: one thread runs everything, in order; strict mode takes note."""
    if e.mode is Mode.STRICT:
        e.line(f"store i32 1, ptr {e.env_field('has_fence')}")


def call(e: Emitter, i: Instruction) -> None:
    """``call`` of a function of the module; arguments and result are parameters in memory."""
    names = [each for each in i.operands if isinstance(each, Symbol)]
    if len(names) != 1:
        raise e.unsupported("an indirect call")
    name = names[0].name
    if name in _FAILURES:
        e.line(f"store i32 3, ptr {e.env_field('stop')}")
        e.line("br label %stop")
        e.label(e.fresh("unreached."))
        return
    target = e.program.functions.get(name)
    if target is None:
        raise e.unsupported(f"call of {name}")
    at = i.operands.index(names[0])
    results = i.operands[0] if at else None
    arguments = i.operands[at + 1] if len(i.operands) > at + 1 else Arguments(())
    pointers = [_whole_parameter(e, each) for each in _items(e, results)]
    given = [_whole_parameter(e, each) for each in _items(e, arguments)]
    wanted = ([target.result] if target.result else []) + target.parameters
    if [size for _, size in pointers + given] != [each.size_bytes for each in wanted]:
        raise e.invalid(f"the arguments do not fit {name}")
    e.called.add(name)
    context = "ptr %env, ptr %frames, ptr %arena, i32 %t, i32 %tid.x, i32 %tid.y, i32 %tid.z"
    passed = "".join(f", ptr {pointer}" for pointer, _ in pointers + given)
    fuel = e.env_field("fuel")
    if e.mode.burns_fuel:
        e.line(f"store i64 {e.value('load i64, ptr %fuel')}, ptr {fuel}")
    stopped = e.value(f'call i1 @"fn.{name}"({context}{passed})')
    if e.mode.burns_fuel:
        e.line(f"store i64 {e.value(f'load i64, ptr {fuel}')}, ptr %fuel")
    e.leave_if(stopped)


def _items(e: Emitter, operand: Operand | None) -> tuple[Operand, ...]:
    if operand is None:
        return ()
    if not isinstance(operand, Arguments):
        raise e.invalid("arguments are wanted")
    return operand.items


def _whole_parameter(e: Emitter, operand: Operand) -> tuple[str, int]:
    if not isinstance(operand, Symbol) or operand.name not in e.parameter_bases:
        raise e.unsupported("an argument that is not a parameter")
    return e.parameter_bases[operand.name]
