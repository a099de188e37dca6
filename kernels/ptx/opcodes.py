"""The table of opcodes: who translates each, and which modifiers it may have.

A modifier that is not in the table is refused, so that nothing is dropped in silence.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from kernels.ptx import ops_bits, ops_compare, ops_float, ops_integer, ops_memory
from kernels.ptx.emitter import Emitter
from kernels.ptx.errors import InvalidPtx, UnsupportedPtx
from kernels.ptx.flow import BARRIER_OPCODES, WARP_OPCODES, uses_and_results
from kernels.ptx.ops_compare import COMPARISONS
from kernels.ptx.ops_memory import ATOMICS
from kernels.ptx.syntax import Address, Function, Instruction, Symbol
from kernels.ptx.types import TYPES, PtxType

Handler: TypeAlias = Callable[[Emitter, Instruction], None]
TypedHandler: TypeAlias = Callable[[Emitter, Instruction, PtxType], None]


@dataclass(frozen=True, slots=True)
class Opcode:
    """One opcode.

    Attributes:
        emit: writes the LLVM IR of one instruction.
        operands: how few and how many it may have.
        modifiers: the words after its dots that have a meaning here, types aside.
        is_pure: the result follows from the operands alone, cheaply.
    """

    emit: Handler
    operands: tuple[int, int]
    modifiers: frozenset[str] = frozenset()
    is_pure: bool = False


def _by_type(floating: TypedHandler, integer: TypedHandler) -> Handler:
    """Return a handler that goes by the last type in the modifiers."""

    def handler(e: Emitter, i: Instruction) -> None:
        kind = e.type_of(i.modifiers)
        (floating if kind.is_float else integer)(e, i, kind)

    return handler


def _integer_add(operation: str) -> TypedHandler:
    def handler(e: Emitter, i: Instruction, kind: PtxType) -> None:
        ops_integer.add(e, i, kind, operation=operation)

    return handler


def _float_mad(e: Emitter, i: Instruction, _kind: PtxType) -> None:
    ops_float.fma(e, i)


_SCOPES: Final = {"cta", "gpu", "sys", "cluster"}
_ORDERS: Final = {"volatile", "relaxed", "acquire", "release", "weak", "acq_rel"} | _SCOPES
_SPACES: Final = {
    "global", "shared", "local", "param", "const",
    "shared::cta", "param::entry", "param::func",
}  # fmt: skip
_VECTORS: Final = {"v2", "v4", "v8"}
_CACHES: Final = {
    "nc", "ca", "cg", "cs", "cv", "lu", "wb", "wt",
    "L1::evict_normal", "L1::evict_unchanged", "L1::evict_first", "L1::evict_last",
    "L1::no_allocate", "L2::64B", "L2::128B", "L2::256B", "L2::evict_first", "L2::evict_last",
    "L2::evict_normal",
}  # fmt: skip
_ACCESS: Final = _ORDERS | _SPACES | _VECTORS | _CACHES
_ROUNDINGS: Final = {"rn", "rz", "rm", "rp"}
_FLOAT: Final = _ROUNDINGS | {"ftz", "sat"}
_APPROX: Final = {"approx", "full", "ftz", "rn"}
_PARTS: Final = {"lo", "hi", "wide"}
_BARRIER: Final = {"sync", "red", "cta", "aligned", "warp", "popc", "and", "or"}


def _pure(emit: Handler, operands: int, *modifiers: str) -> Opcode:
    return Opcode(emit, (operands, operands), frozenset(modifiers), is_pure=True)


def _op(emit: Handler, fewest: int, most: int, *modifiers: str) -> Opcode:
    return Opcode(emit, (fewest, most), frozenset(modifiers))


def _stop(emit: Handler, fewest: int, most: int, *modifiers: str) -> Opcode:
    """A stop; the region writes it, not the handler."""
    return Opcode(emit, (fewest, most), frozenset(modifiers))


_ADD: Final = _by_type(ops_float.arithmetic, _integer_add("add"))
_SUB: Final = _by_type(ops_float.arithmetic, _integer_add("sub"))
_MUL: Final = _by_type(ops_float.arithmetic, ops_integer.mul)
_MAD: Final = _by_type(_float_mad, ops_integer.mad)
_SMALLEST: Final = _by_type(ops_float.smallest, ops_integer.smallest)

OPCODES: Final[dict[str, Opcode]] = {
    # integer and floating-point arithmetic
    "add": _pure(_ADD, 3, "cc", *_FLOAT),
    "sub": _pure(_SUB, 3, "cc", *_FLOAT),
    "mul": _pure(_MUL, 3, *_PARTS, *_FLOAT),
    "mad": _pure(_MAD, 4, "cc", *_PARTS, *_FLOAT),
    "fma": _pure(ops_float.fma, 4, "relu", *_FLOAT),
    "div": _op(_by_type(ops_float.divide, ops_integer.divide), 3, 3, *_APPROX, *_ROUNDINGS),
    "rem": _op(ops_integer.rem, 3, 3),
    "abs": _pure(_by_type(ops_float.absolute, ops_integer.absolute), 2, "ftz"),
    "neg": _pure(_by_type(ops_float.negate, ops_integer.negate), 2, "ftz"),
    "min": _op(_SMALLEST, 3, 4, "ftz", "NaN", "relu"),
    "max": _op(_SMALLEST, 3, 4, "ftz", "NaN", "relu"),
    "addc": _op(ops_integer.addc, 3, 3, "cc"),
    "subc": _op(ops_integer.subc, 3, 3, "cc"),
    "madc": _op(ops_integer.madc, 4, 4, "cc", "lo", "hi"),
    "mul24": _op(ops_integer.mul24, 3, 3, "lo", "hi"),
    "mad24": _op(ops_integer.mul24, 4, 4, "lo", "hi"),
    "sad": _op(ops_integer.sad, 4, 4),
    "dp4a": _op(ops_integer.dot_product, 4, 4),
    "dp2a": _op(ops_integer.dot_product, 4, 4, "lo", "hi"),
    "rcp": _op(ops_float.reciprocal, 2, 2, *_APPROX, *_ROUNDINGS),
    "sqrt": _op(ops_float.square_root, 2, 2, *_APPROX, *_ROUNDINGS),
    "rsqrt": _op(ops_float.reciprocal_root, 2, 2, *_APPROX),
    "sin": _op(ops_float.sine, 2, 2, *_APPROX),
    "cos": _op(ops_float.cosine, 2, 2, *_APPROX),
    "lg2": _op(ops_float.logarithm, 2, 2, *_APPROX),
    "ex2": _op(ops_float.exponential, 2, 2, *_APPROX),
    "tanh": _op(ops_float.hyperbolic_tangent, 2, 2, *_APPROX),
    "copysign": _pure(ops_float.copy_sign, 3),
    # bits
    "and": _pure(ops_bits.logic, 3),
    "or": _pure(ops_bits.logic, 3),
    "xor": _pure(ops_bits.logic, 3),
    "not": _pure(ops_bits.invert, 2),
    "cnot": _pure(ops_bits.is_zero, 2),
    "shl": _pure(ops_bits.shift, 3),
    "shr": _pure(ops_bits.shift, 3),
    "shf": _op(ops_bits.funnel_shift, 4, 4, "l", "r", "wrap", "clamp"),
    "lop3": _op(ops_bits.lookup, 5, 5),
    "popc": _op(ops_bits.count_ones, 2, 2),
    "clz": _op(ops_bits.count_leading_zeros, 2, 2),
    "brev": _op(ops_bits.reverse, 2, 2),
    "bfind": _op(ops_bits.find_top, 2, 2, "shiftamt"),
    "bfe": _op(ops_bits.extract_field, 4, 4),
    "bfi": _op(ops_bits.insert_field, 5, 5),
    "bmsk": _op(ops_bits.make_mask, 3, 3, "clamp", "wrap"),
    "szext": _op(ops_bits.extend_low_bits, 3, 3, "clamp", "wrap"),
    "prmt": _op(ops_bits.permute, 4, 4),
    # comparison, choice, conversion, moves
    "setp": _op(ops_compare.set_predicate, 3, 4, *COMPARISONS, "and", "or", "xor", "ftz"),
    "set": _op(ops_compare.set_number, 3, 4, *COMPARISONS, "ftz"),
    "selp": _op(ops_compare.choose, 4, 4),
    "slct": _op(ops_compare.choose_by_sign, 4, 4, "ftz"),
    "testp": _op(
        ops_compare.test_property,
        2, 2, "finite", "infinite", "number", "notanumber", "normal", "subnormal",
    ),
    "cvt": Opcode(
        ops_compare.convert,
        (2, 3),
        frozenset({*_FLOAT, "rni", "rzi", "rmi", "rpi", "relu"}),
        is_pure=True,
    ),
    "cvta": _pure(ops_compare.convert_address, 2, "to", *_SPACES),
    "isspacep": _op(ops_compare.is_in_space, 2, 2, *_SPACES),
    "mov": _pure(ops_bits.move, 2),
    # memory
    "ld": _op(ops_memory.load, 2, 2, *_ACCESS),
    "ldu": _op(ops_memory.load, 2, 2, *_ACCESS),
    "st": _op(ops_memory.store, 2, 2, *_ACCESS),
    "atom": _op(ops_memory.atomic, 3, 4, *_ORDERS, *_SPACES, *ATOMICS, "noftz"),
    "red": _op(ops_memory.atomic, 2, 3, *_ORDERS, *_SPACES, *ATOMICS, "noftz"),
    "cp": _op(
        ops_memory.copy_async,
        0, 4, "async", "commit_group", "wait_group", "wait_all", "ca", "cg",
        "shared", "shared::cta", "global", "L2::64B", "L2::128B", "L2::256B",
    ),
    "prefetch": _op(ops_memory.nothing, 1, 1, "global", "local", "L1", "L2"),
    "prefetchu": _op(ops_memory.nothing, 1, 1, "L1"),
    "membar": _op(ops_memory.fence, 0, 0, "gl", *_SCOPES),
    "fence": _op(ops_memory.fence, 0, 0, "sc", *_ORDERS),
    "nanosleep": _op(ops_memory.nothing, 1, 1),
    "pmevent": _op(ops_memory.nothing, 1, 1, "mask"),
    # control; jumps are in the flow and stops in the regions
    "call": _op(ops_memory.call, 1, 3, "uni"),
    "bra": _stop(ops_memory.nothing, 1, 1, "uni"),
    "brx": _stop(ops_memory.nothing, 2, 2, "idx", "uni"),
    "ret": _stop(ops_memory.nothing, 0, 0, "uni"),
    "exit": _stop(ops_memory.nothing, 0, 0),
    "trap": _stop(ops_memory.nothing, 0, 0),
    "brkpt": _stop(ops_memory.nothing, 0, 0),
    "bar": _stop(ops_memory.nothing, 1, 4, *_BARRIER),
    "barrier": _stop(ops_memory.nothing, 1, 4, *_BARRIER),
    "shfl": _stop(ops_memory.nothing, 5, 5, "sync", "up", "down", "bfly", "idx"),
    "vote": _stop(ops_memory.nothing, 3, 3, "sync", "any", "all", "uni", "ballot"),
    "match": _stop(ops_memory.nothing, 3, 3, "sync", "any", "all"),
    "redux": _stop(ops_memory.nothing, 3, 3, "sync", "add", "min", "max", "and", "or", "xor"),
    "activemask": _stop(ops_memory.nothing, 0, 1),
}  # fmt: skip
"""By name."""

CONTROL_OPCODES: Final = (
    {"bra", "brx", "ret", "exit", "trap", "brkpt"} | BARRIER_OPCODES | WARP_OPCODES
)


def check_instruction(instruction: Instruction) -> Opcode:
    """Return the table's entry for *instruction*, after a look at its form.

    Raises:
        UnsupportedPtx: the opcode or one of its modifiers has no translation.
        InvalidPtx: it has too few or too many operands.
    """
    opcode = OPCODES.get(instruction.opcode)
    if opcode is None:
        raise UnsupportedPtx(f"instruction {instruction}", instruction.line)
    for each in instruction.modifiers:
        if each not in opcode.modifiers and each not in TYPES:
            raise UnsupportedPtx(f"{instruction}: .{each}", instruction.line)
    fewest, most = opcode.operands
    if not fewest <= len(instruction.operands) <= most:
        raise InvalidPtx(f"{instruction}: {len(instruction.operands)} operands", instruction.line)
    return opcode


def emit_instruction(e: Emitter, instruction: Instruction) -> None:
    """Write one instruction, its guard included."""
    e.instruction = instruction
    opcode = check_instruction(instruction)
    if instruction.guard is None:
        opcode.emit(e, instruction)
        return
    condition = e.read_register(instruction.guard.register)
    run, skip = e.fresh("run."), e.fresh("skip.")
    then, otherwise = (skip, run) if instruction.guard.negated else (run, skip)
    e.line(f"br i1 {condition}, label %{then}, label %{otherwise}")
    e.label(run)
    opcode.emit(e, instruction)
    e.line(f"br label %{skip}")
    e.label(skip)


def is_rematerialisable(instruction: Instruction, function: Function) -> bool:
    """Whether the result may be computed again instead of kept across a stop.

    A parameter of the kernel stays as it is; one that holds the result of a call does not.
    """
    if instruction.guard is not None or "cc" in instruction.modifiers:
        return False
    if instruction.opcode == "ld":
        return "param" in instruction.modifiers and not _reads_own(instruction, function)
    opcode = OPCODES.get(instruction.opcode)
    return opcode is not None and opcode.is_pure and len(uses_and_results(instruction)[1]) == 1


def _reads_own(instruction: Instruction, function: Function) -> bool:
    """Whether a load is from a variable of the function, or from a computed address."""
    address = instruction.operands[-1]
    if not isinstance(address, Address) or not isinstance(address.base, Symbol):
        return True
    return address.base.name in function.variables
