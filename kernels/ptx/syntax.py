"""What the parser makes of PTX text."""

from dataclasses import dataclass, field
from typing import TypeAlias

from kernels.ptx.types import PtxType


@dataclass(frozen=True, slots=True)
class Register:
    """A declared register."""

    name: str


@dataclass(frozen=True, slots=True)
class Special:
    """A register that the hardware fills, such as ``%tid.x``."""

    name: str


@dataclass(frozen=True, slots=True)
class Sink:
    """``_``: the value is not wanted."""


@dataclass(frozen=True, slots=True)
class Integer:
    """An integer constant."""

    value: int


@dataclass(frozen=True, slots=True)
class Float:
    """A floating-point constant, given by its bits; `width` is 32 or 64."""

    bits: int
    width: int


@dataclass(frozen=True, slots=True)
class Symbol:
    """The address of a variable, a parameter, a function or a label."""

    name: str
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Address:
    """``[base + offset]``."""

    base: "Register | Symbol | Integer"
    offset: int


@dataclass(frozen=True, slots=True)
class Vector:
    """``{a, b, ...}``."""

    items: tuple["Operand", ...]


@dataclass(frozen=True, slots=True)
class Negated:
    """``!p``."""

    register: Register


@dataclass(frozen=True, slots=True)
class Pair:
    """``a|b``: two destinations."""

    first: "Register | Sink"
    second: "Register | Sink"


@dataclass(frozen=True, slots=True)
class Arguments:
    """``(a, b, ...)`` of a call."""

    items: tuple["Operand", ...]


Operand: TypeAlias = (
    Register
    | Special
    | Sink
    | Integer
    | Float
    | Symbol
    | Address
    | Vector
    | Negated
    | Pair
    | Arguments
)


@dataclass(frozen=True, slots=True)
class Guard:
    """``@p`` or ``@!p``."""

    register: str
    negated: bool


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction.

    Attributes:
        opcode: its first word, for example ``ld``.
        modifiers: the words after the dots, for example ``("global", "v4", "f32")``.
        operands: in order.
        guard: the predicate that decides whether it runs.
        line: in the text.
    """

    opcode: str
    modifiers: tuple[str, ...]
    operands: tuple[Operand, ...]
    guard: Guard | None
    line: int

    def __str__(self) -> str:
        return ".".join((self.opcode, *self.modifiers))


@dataclass(frozen=True, slots=True)
class Label:
    """A place to jump to."""

    name: str


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of a state space, or a parameter.

    Attributes:
        name: unique in the module, or in its function once scopes are resolved.
        space: ``global``, ``const``, ``shared``, ``local`` or ``param``.
        size_bytes: 0 for an array whose size the launch gives.
        align: in bytes.
        data: its initial content; shorter than `size_bytes` means zeros follow.
        is_dynamic: the size is given at launch (``extern __shared__ x[]``).
    """

    name: str
    space: str
    size_bytes: int
    align: int
    data: bytes = b""
    is_dynamic: bool = False


@dataclass(slots=True)
class Function:
    """An entry (kernel) or a device function."""

    name: str
    is_entry: bool
    line: int
    parameters: list[Variable] = field(default_factory=list)
    result: Variable | None = None
    registers: dict[str, PtxType] = field(default_factory=dict)
    code: list[Label | Instruction] = field(default_factory=list)
    variables: dict[str, Variable] = field(default_factory=dict)
    """Its own shared and local variables, and the parameters of the calls it makes."""
    branch_tables: dict[str, tuple[str, ...]] = field(default_factory=dict)
    threads_max: int = 1024


@dataclass(slots=True)
class Program:
    """A whole PTX module."""

    entries: dict[str, Function] = field(default_factory=dict)
    functions: dict[str, Function] = field(default_factory=dict)
    declared: set[str] = field(default_factory=set)
    """Functions that are declared and have no body."""
    variables: dict[str, Variable] = field(default_factory=dict)
