"""Values on the stack of the TVM: what get-methods take and return.

pytoniq-core writes them. Reading is ours: its reader takes an unknown kind for null and
cuts a slice beyond its cell short in silence, and without a limit on all values
together, tuples that share their elements unfold to more than any memory.

Source: TON `crypto/block/block.tlb`, type ``VmStack``.
"""

from collections.abc import Sequence
from enum import IntEnum
from typing import Final, TypeAlias

import msgspec
from pytoniq_core.boc.cell import Cell as LibraryCell  # noqa: TID251 - an adapter
from pytoniq_core.boc.slice import Slice as LibrarySlice  # noqa: TID251 - an adapter
from pytoniq_core.tlb.vm_stack import VmStack  # noqa: TID251 - an adapter

from contracts._pytoniq import refusing
from contracts.cells import Cell, Slice
from contracts.errors import InvalidData, LocalContractError

STACK_DEPTH_MAX: Final = 255
TUPLE_NESTING_MAX: Final = 32
VALUES_MAX: Final = 1 << 14
"""All values of a stack, those in tuples too."""


class _Tag(IntEnum):
    NULL = 0x00
    TINY_INT = 0x01
    INT = 0x02
    CELL = 0x03
    SLICE = 0x04
    BUILDER = 0x05
    TUPLE = 0x07


class StackSlice(msgspec.Struct, frozen=True):
    """A slice: the part of a cell that is still to be read, as a cell of its own."""

    cell: Cell


StackValue: TypeAlias = "int | Cell | StackSlice | tuple[StackValue, ...] | None"


def encode_stack(values: Sequence[StackValue]) -> Cell:
    """Return the ``VmStack`` with *values*, the last of them on top.

    Raises:
        LocalContractError: a number does not fit 257 bits.
        InvalidData: too many values, or a kind that nothing takes as an argument.
    """
    if len(values) > STACK_DEPTH_MAX:
        raise InvalidData(f"a stack holds at most {STACK_DEPTH_MAX} values")
    with refusing("not a stack", LocalContractError):
        return Cell.of(VmStack.serialize([_to_library(value) for value in values]))


def _to_library(value: StackValue) -> int | LibraryCell | LibrarySlice | None:
    match value:
        case None | int():
            return value
        case Cell():
            return value.inner
        case StackSlice(cell):
            return cell.inner.begin_parse()
        case _:
            raise InvalidData("tuples are not supported as arguments")


def decode_stack(stack: Cell) -> list[StackValue]:
    """Return the values of a ``VmStack``, the last of them on top.

    Raises:
        InvalidData: it does not parse, is too deep, or holds continuations.
    """
    reader = stack.parse()
    depth = reader.uint(24)
    if depth > STACK_DEPTH_MAX:
        raise InvalidData(f"a stack of {depth} values")
    taker = _Taker()
    values: list[StackValue] = []
    for _ in range(depth):
        rest = reader.ref()
        values.append(taker.take(reader, TUPLE_NESTING_MAX))
        reader = rest.parse()
    return values[::-1]


class _Taker:
    """Reads values, and counts them: cells are shared, values are not."""

    def __init__(self) -> None:
        self._left = VALUES_MAX

    def take(self, reader: Slice, nesting: int) -> StackValue:
        self._left -= 1
        if not nesting or self._left < 0:
            raise InvalidData("tuples nest too deeply, or hold too much")
        match reader.uint(8):
            case _Tag.NULL:
                return None
            case _Tag.TINY_INT:
                return reader.sint(64)
            case _Tag.INT:
                if reader.uint(7):
                    raise InvalidData("not a number")
                return reader.sint(257)
            case _Tag.CELL | _Tag.BUILDER:
                return reader.ref()
            case _Tag.SLICE:
                return StackSlice(_take_slice(reader))
            case _Tag.TUPLE:
                return self._take_tuple(reader, reader.uint(16), nesting - 1)
            case tag:
                raise InvalidData(f"a stack value of the unsupported kind {tag}")

    def _take_tuple(self, reader: Slice, length: int, nesting: int) -> tuple[StackValue, ...]:
        """Read ``VmTuple length``: the last element in a reference, those before in another."""
        if length > STACK_DEPTH_MAX:
            raise InvalidData(f"a tuple of {length} values")
        values: list[StackValue] = []
        while length:
            before = reader.ref() if length > 1 else None
            values.append(self.take(reader.ref().parse(), nesting))
            length -= 1
            if before is None:
                break
            if length == 1:
                values.append(self.take(before.parse(), nesting))
                break
            reader = before.parse()
        return tuple(reversed(values))


def _take_slice(reader: Slice) -> Cell:
    cell = reader.ref()
    start, end = reader.uint(10), reader.uint(10)
    first_ref, end_ref = reader.uint(3), reader.uint(3)
    if not start <= end <= cell.size_bits or not first_ref <= end_ref <= len(cell.refs):
        raise InvalidData("a slice beyond its cell")
    bits = (cell.bits >> (cell.size_bits - end)) & ((1 << (end - start)) - 1)
    return Cell(bits, end - start, cell.refs[first_ref:end_ref])
