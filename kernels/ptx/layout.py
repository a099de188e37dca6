"""Where the variables of a module and the parameters of its entries are."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from kernels.ptx.errors import InvalidPtx, UnsupportedPtx
from kernels.ptx.runtime_layout import PARAMETER_BYTES_MAX, SHARED_BYTES_MAX
from kernels.ptx.syntax import Address, Arguments, Function, Instruction, Program, Symbol, Variable

LOCAL_BYTES_MAX: Final = 16 * 2**10
"""Of one thread, a power of two."""

STATICS_BYTES_MAX: Final = 16 * 2**20


@dataclass(frozen=True, slots=True)
class Statics:
    """The variables of a module in global and constant memory.

    Attributes:
        offsets: by name.
        constants: offset and size of those that no kernel may write to.
        image: their initial content.
    """

    offsets: dict[str, int]
    constants: tuple[tuple[int, int], ...]
    image: bytes


@dataclass(frozen=True, slots=True)
class EntryLayout:
    """The memory of one entry.

    Attributes:
        addresses: of all variables that it or its functions use: offsets in their windows, and in
            the statics.
        shared_bytes: of its static shared variables; dynamic ones begin there.
        local_stride: bytes of a thread's local window, a power of two.
        parameters: offset and size of each, by name.
    """

    addresses: dict[str, int]
    shared_bytes: int
    local_stride: int
    parameters: dict[str, tuple[int, int]]


def place_statics(program: Program) -> Statics:
    """Lay out the module's variables.

    Raises:
        InvalidPtx: they are too large.
    """
    offsets, constants = {}, []
    image = bytearray()
    for variable in program.variables.values():
        if variable.space == "shared":
            continue
        start = _aligned(len(image), max(16, variable.align))
        offsets[variable.name] = start
        if start + variable.size_bytes > STATICS_BYTES_MAX:
            raise InvalidPtx(f"variables of more than {STATICS_BYTES_MAX} bytes")
        image += bytes(start - len(image)) + variable.data.ljust(variable.size_bytes, b"\0")
        if variable.space == "const":
            constants.append((start, variable.size_bytes))
    return Statics(offsets, tuple(constants), bytes(image))


def place_entry(program: Program, entry: Function, statics: Statics) -> EntryLayout:
    """Lay out what *entry* and the functions that it calls use.

    Raises:
        InvalidPtx: it is larger than a block or a thread may have.
        UnsupportedPtx: functions call each other in a circle.
    """
    functions = [entry, *called_functions(program, entry)]
    used = {name for each in functions for name in _symbols(each.code)}
    addresses = dict(statics.offsets)
    shared = [each for each in program.variables.values() if each.space == "shared"]
    shared = [each for each in shared if each.name in used]
    own = [each for function in functions for each in function.variables.values()]
    shared += [each for each in own if each.space == "shared"]
    shared_bytes = _place([each for each in shared if not each.is_dynamic], addresses)
    for each in shared:
        if each.is_dynamic:
            shared_bytes = _aligned(shared_bytes, each.align)
    addresses.update({each.name: shared_bytes for each in shared if each.is_dynamic})
    if shared_bytes > SHARED_BYTES_MAX:
        raise InvalidPtx(f"{entry.name}: {shared_bytes} bytes of shared memory")
    local_bytes = _place([each for each in own if each.space == "local"], addresses)
    if local_bytes > LOCAL_BYTES_MAX:
        raise InvalidPtx(f"{entry.name}: {local_bytes} bytes of local memory a thread")
    stride = 16
    while stride < local_bytes:
        stride *= 2
    return EntryLayout(addresses, shared_bytes, stride, _place_parameters(entry))


def called_functions(program: Program, entry: Function) -> list[Function]:
    """Return the functions that *entry* calls, directly or not.

    Raises:
        UnsupportedPtx: they call each other in a circle, which would need a stack without end.
    """
    found: dict[str, Function] = {}
    path: list[str] = []

    def visit(function: Function) -> None:
        if function.name in path:
            raise UnsupportedPtx(f"{function.name} calls itself", function.line)
        path.append(function.name)
        for name in dict.fromkeys(_symbols(_calls(function))):
            target = program.functions.get(name)
            if target is not None and (name in path or name not in found):
                visit(target)
                found[name] = target
        path.pop()

    visit(entry)
    return list(found.values())


def _calls(function: Function) -> list[Instruction]:
    return [e for e in function.code if isinstance(e, Instruction) and e.opcode == "call"]


def _symbols(code: Iterable[object]) -> Iterable[str]:
    for each in code:
        if isinstance(each, Instruction):
            for operand in each.operands:
                yield from _names(operand)


def _names(operand: object) -> Iterable[str]:
    match operand:
        case Symbol(name, _) | Address(Symbol(name, _), _):
            yield name
        case Arguments(items):
            for each in items:
                yield from _names(each)
        case _:
            return


def _place(variables: list[Variable], addresses: dict[str, int]) -> int:
    """Give each of *variables* an offset and return where they end."""
    end = 0
    for each in variables:
        if each.name in addresses:
            raise UnsupportedPtx(f"two variables are called {each.name}")
        addresses[each.name] = start = _aligned(end, each.align)
        end = start + each.size_bytes
    return _aligned(end, 16)


def _place_parameters(entry: Function) -> dict[str, tuple[int, int]]:
    found, end = {}, 0
    for each in entry.parameters:
        start = _aligned(end, each.align)
        found[each.name] = start, each.size_bytes
        end = start + each.size_bytes
    if end > PARAMETER_BYTES_MAX:
        raise InvalidPtx(f"{entry.name}: {end} bytes of parameters", entry.line)
    return found


def _aligned(offset: int, align: int) -> int:
    return -(-offset // align) * align
