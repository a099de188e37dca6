"""Operands, registers and memory in LLVM IR: what the handlers of opcodes are written in.

Registers are stack slots, which LLVM turns into values. They start as zero, never as undefined:
LLVM may fold what is done with undefined values into anything, an address mask included.
"""

import struct
from collections.abc import Mapping
from typing import Final

from kernels.ptx.errors import InvalidPtx, UnsupportedPtx
from kernels.ptx.mode import Mode
from kernels.ptx.runtime_layout import ORIGIN, SPACES, offset_of
from kernels.ptx.syntax import (
    Address,
    Float,
    Function,
    Instruction,
    Integer,
    Negated,
    Operand,
    Program,
    Register,
    Sink,
    Special,
    Symbol,
    Variable,
)
from kernels.ptx.text import IrText
from kernels.ptx.types import PRED, TYPES, U32, U64, PtxType

ACCESS_GROUP: Final = ", !llvm.access.group !0"
STRONG: Final = {"volatile", "relaxed", "acquire", "release"}
_AXES: Final = "xyz"


class Emitter(IrText):
    """Writes the body of one LLVM function.

    Args:
        program: the module, for its variables and functions.
        function: whose registers and variables these are.
        mode: see `Mode`.
        addresses: where each variable is: offset in its window, or in the statics.
    """

    def __init__(
        self, program: Program, function: Function, mode: Mode, addresses: Mapping[str, int]
    ) -> None:
        super().__init__()
        self.program: Final = program
        self.function: Final = function
        self.mode: Final = mode
        self.called: set[str] = set()
        self.is_in_range = False
        """Accesses to global and shared memory were checked before, see `linear`."""
        self.instruction: Instruction | None = None
        self.parameter_bases: dict[str, tuple[str, int]] = {}
        """By parameter: a pointer to its bytes, and how many there are."""
        self._addresses: Final = addresses
        self._slots: Final = {name: f"%r.{n}" for n, name in enumerate(function.registers)}

    # -- trouble

    @property
    def line_number(self) -> int:
        """Line of the instruction that is being written."""
        return self.instruction.line if self.instruction else 0

    def unsupported(self, what: str = "") -> UnsupportedPtx:
        """Return the error for a form of the current instruction that has no translation."""
        return UnsupportedPtx(f"{self.instruction}{f': {what}' if what else ''}", self.line_number)

    def invalid(self, what: str) -> InvalidPtx:
        """Return the error for a wrong operand of the current instruction."""
        return InvalidPtx(f"{self.instruction}: {what}", self.line_number)

    # -- registers and constants

    def register_type(self, name: str) -> PtxType:
        """Return the declared type of a register."""
        return self.function.registers[name]

    def slot(self, name: str) -> str:
        """Return the stack slot of a register."""
        return self._slots[name]

    def read_register(self, name: str) -> str:
        """Return the bits of a register, as an integer of its width."""
        return self.value(f"load {self.register_type(name).integer}, ptr {self.slot(name)}")

    def write_register(self, name: str, value: str) -> None:
        """Set the bits of a register."""
        self.line(f"store {self.register_type(name).integer} {value}, ptr {self.slot(name)}")

    def read(self, operand: Operand, kind: PtxType) -> str:
        """Return the value of *operand* as a *kind*."""
        match operand:
            case Register(name):
                return self._read_as(name, kind)
            case Negated(Register(name)) if kind is PRED:
                return self.binary("xor", "i1", self._read_as(name, kind), "true")
            case Integer(value):
                return self._integer(value, kind)
            case Float(bits, width):
                return self._float(bits, width, kind)
            case Special(name):
                return self.resize(self._special(name), "i32", kind.integer)
            case Symbol(name, offset):
                return self._symbol(name, offset, kind)
            case _:
                raise self.invalid("operand of the wrong kind")

    def write(self, operand: Operand, value: str, kind: PtxType) -> None:
        """Set the register *operand* to a value of type *kind*."""
        if isinstance(operand, Sink):
            return
        if not isinstance(operand, Register):
            raise self.invalid("the destination is not a register")
        target = self.register_type(operand.name)
        bits = self.cast("bitcast", kind.llvm, value, kind.integer)
        if (target is PRED) != (kind is PRED):
            raise self.invalid("a predicate where a number is wanted, or the reverse")
        signed = kind.is_signed
        self.write_register(
            operand.name, self.resize(bits, kind.integer, target.integer, signed=signed)
        )

    def _read_as(self, name: str, kind: PtxType) -> str:
        source = self.register_type(name)
        if (source is PRED) != (kind is PRED):
            raise self.invalid("a predicate where a number is wanted, or the reverse")
        bits = self.resize(self.read_register(name), source.integer, kind.integer)
        return self.cast("bitcast", kind.integer, bits, kind.llvm)

    def _integer(self, value: int, kind: PtxType) -> str:
        if kind is PRED:
            return "true" if value else "false"
        if kind.llvm in {"float", "double"}:
            return self.cast("sitofp", "i64", str(value), kind.llvm)
        return self.bits_constant(value, kind)

    def bits_constant(self, value: int, kind: PtxType) -> str:
        """Return a constant of type *kind* given by its bits."""
        text = str(value & ((1 << kind.bits) - 1))
        return self.cast("bitcast", kind.integer, text, kind.llvm)

    def _float(self, bits: int, width: int, kind: PtxType) -> str:
        if width == 32 and kind.bits == 64 and kind.is_float:
            wide = struct.unpack("<f", bits.to_bytes(4, "little"))[0]
            bits = int.from_bytes(struct.pack("<d", wide), "little")
        elif width != kind.bits:
            raise self.invalid("a constant of another width")
        return self.bits_constant(bits, kind)

    def constant(self, kind: PtxType, number: float) -> str:
        """Return a floating-point constant; *number* must be exact in *kind*."""
        if kind.llvm.startswith("<"):
            element = kind.llvm.split()[-1].rstrip(">")
            return f"<{element} {_hex_double(number)}, {element} {_hex_double(number)}>"
        if kind.llvm in {"half", "bfloat"}:
            return self.cast("fptrunc", "float", _hex_double(number), kind.llvm)
        return _hex_double(number)

    def _special(self, name: str) -> str:
        stem, _, axis = name[1:].partition(".")
        if axis:
            return f"%{stem}.{axis}"
        lane = self.binary("and", "i32", "%t", "31")
        if stem == "laneid":
            return lane
        if stem == "warpid":
            return self.binary("lshr", "i32", "%t", "5")
        if stem.startswith("lanemask_"):
            return self._lane_mask(stem[-2:], lane)
        if stem == "nwarpid":
            return "32"
        if stem in {"dynamic_smem_size", "total_smem_size"}:
            raise self.unsupported("size of shared memory")
        return "0"  # clocks and identifiers of places: nothing here depends on time

    def _lane_mask(self, which: str, lane: str) -> str:
        own = self.binary("shl", "i32", "1", lane)
        below = self.binary("sub", "i32", own, "1")
        up_to = self.binary("or", "i32", own, below)
        if which in {"gt", "ge"}:
            return self.binary("xor", "i32", up_to if which == "gt" else below, "-1")
        return {"eq": own, "lt": below, "le": up_to}[which]

    # -- addresses

    def variable(self, name: str) -> Variable | None:
        """Return a variable of this function or of the module."""
        return self.function.variables.get(name) or self.program.variables.get(name)

    def _symbol(self, name: str, offset: int, kind: PtxType) -> str:
        variable = self.variable(name)
        if variable is None or variable.space == "param":
            raise self.unsupported(f"the address of {name}")
        place = self._addresses[name] + offset
        if variable.space in {"shared", "local"}:
            return self.bits_constant(place, kind)
        if kind.bits != 64:
            raise self.unsupported(f"a 32-bit address of {name}")
        return self.binary("add", "i64", "%statics", str(place))

    def window_address(self, space: str) -> str:
        """Return the generic address at which this thread's window of *space* begins."""
        if space == "shared":
            return self.binary("add", "i64", "%shared", str(ORIGIN))
        return self.binary("add", "i64", "%local.thread", str(ORIGIN))

    def space(self, modifiers: tuple[str, ...]) -> str:
        """Return the state space that *modifiers* name."""
        for each in modifiers:
            stem = each.partition("::")[0]
            if stem in {"global", "shared", "local", "param", "const"}:
                if each == "shared::cluster":
                    raise self.unsupported()
                return stem
        return "generic"

    def address(self, operand: Operand, space: str, size_bytes: int, write: str = "") -> str:
        """Return a host pointer for an access of *size_bytes* at *operand*.

        Args:
            operand: an `Address`.
            space: the state space.
            size_bytes: of the whole access; it is aligned to that.
            write: the bits that are written, as an ``i64`` value, "-1" when they do not fit one,
                or "" for a read.
        """
        if not isinstance(operand, Address):
            raise self.invalid("not an address")
        if space in {"shared", "local"}:
            return self._window_pointer(operand, space, size_bytes, write)
        place = self._generic(operand)
        if self.mode is Mode.STRICT:
            self._check(space, place, size_bytes, write)
        place = self.binary("sub", "i64", place, str(ORIGIN))
        if self.mode is Mode.MASKED and not self.is_in_range:
            aligned = self.binary("and", "i64", "%arena.mask", str(-size_bytes))
            place = self.binary("and", "i64", place, aligned)
        return self.offset("%arena", place)

    def _generic(self, operand: Address) -> str:
        base = self.read(operand.base, U64)
        if operand.offset:
            base = self.binary("add", "i64", base, str(operand.offset))
        return base

    def _window_pointer(self, operand: Address, space: str, size_bytes: int, write: str) -> str:
        place = self._window_offset(operand)
        if self.mode is Mode.STRICT:
            wide = self.cast("zext", "i32", place, "i64")
            self._check(space, wide, size_bytes, write)
        is_right = self.mode is Mode.FAST or (self.is_in_range and space == "shared")
        if self.mode is Mode.MASKED and not is_right:
            mask = "%shared.mask" if space == "shared" else "%local.mask"
            aligned = self.binary("and", "i32", mask, str(-size_bytes))
            place = self.binary("and", "i32", place, aligned)
        # Where addresses are right, the sign does not matter; LLVM then sees that they count up
        # although those of lanes that are switched off may be below zero.
        extend = "sext" if is_right else "zext"
        wide = self.cast(extend, "i32", place, "i64")
        base = "%shared.base" if space == "shared" else "%local.base"
        return self.offset(base, wide)

    def _window_offset(self, operand: Address) -> str:
        base = operand.base
        if isinstance(base, Register) and self.register_type(base.name).bits == 64:
            place = self.cast("trunc", "i64", self.read(base, U64), "i32")
        else:
            place = self.read(base, U32)
        if operand.offset:
            place = self.binary("add", "i32", place, str(operand.offset))
        return place

    def _check(self, space: str, place: str, size_bytes: int, write: str) -> None:
        """Ask the runtime whether the access is allowed; leave the region when it is not."""
        modifiers = self.instruction.modifiers if self.instruction else ()
        opcode = self.instruction.opcode if self.instruction else ""
        is_strong = bool(STRONG & set(modifiers)) or opcode in {"atom", "red"}
        flags = SPACES.get(space, 0) | (4 if write else 0) | (8 if is_strong else 0)
        if opcode in {"atom", "red"}:
            flags |= 4 if opcode == "red" else 4 | 32
        if {"acquire", "acq_rel"} & set(modifiers):
            flags |= 64
        if write not in {"", "-1"}:
            flags |= 16
        refused = self.call(
            "i32",
            "ptx_check",
            "ptr %env",
            "i32 %t",
            f"i64 {place}",
            f"i32 {size_bytes}",
            f"i32 {flags}",
            f"i64 {write or 0}",
            f"i32 {self.line_number}",
        )
        self.leave_if(self.compare("ne", "i32", refused, "0"))

    def leave_if(self, condition: str) -> None:
        """End the region at once, for all threads, when *condition* holds."""
        stay = self.fresh("stay.")
        self.line(f"br i1 {condition}, label %stop, label %{stay}")
        self.label(stay)

    def env_field(self, field: str) -> str:
        """Return a pointer to a field of `Env`."""
        return self.offset("%env", offset_of(field))

    # -- types and guards

    def type_of(self, modifiers: tuple[str, ...]) -> PtxType:
        """Return the last type that *modifiers* name."""
        for each in reversed(modifiers):
            if each in TYPES:
                return TYPES[each]
        raise self.invalid("no type")

    def types_of(self, modifiers: tuple[str, ...]) -> list[PtxType]:
        """Return all types that *modifiers* name, in order."""
        return [TYPES[each] for each in modifiers if each in TYPES]


def _hex_double(number: float) -> str:
    return f"0x{int.from_bytes(struct.pack('>d', number), 'big'):016X}"
