"""The JSON in which toncenter's v2 API writes the stack of a get-method, both ways.

Pure. Source: https://toncenter.com/api/v2/, ``runGetMethod``; the types in tuples are
those of tonlib (TON `tl/generate/scheme/tonlib_api.tl`, ``tvm.StackEntry``).
"""

import base64
from typing import Any, Final

from contracts.cells import Cell, decode_boc, encode_boc
from contracts.errors import InvalidData
from contracts.vm_stack import TUPLE_NESTING_MAX, StackSlice, StackValue

Json = dict[str, Any]

_STACK_ARGUMENT_CHARS_MAX: Final = 1 << 16
_NUMBER_CHARS_MAX: Final = 80


def b64(data: bytes) -> str:
    """Return *data* in base64."""
    return base64.b64encode(data).decode()


def stack_entry(value: StackValue) -> list[Any]:
    """Return a stack value as ``[kind, value]``."""
    match value:
        case None:
            return ["list", {"@type": "tvm.list", "elements": []}]
        case int():
            return ["num", hex(value)]
        case Cell():
            return ["cell", _cell_json(value)]
        case StackSlice(cell):
            return ["slice", _cell_json(cell)]
        case tuple():
            elements = [_element(each) for each in value]
            return ["tuple", {"@type": "tvm.tuple", "elements": elements}]


def _cell_json(cell: Cell) -> Json:
    return {"bytes": b64(encode_boc(cell))}


def _element(value: StackValue) -> Json:
    """Return a value inside a tuple, where toncenter writes tonlib's own types."""
    match value:
        case None:
            return {
                "@type": "tvm.stackEntryList",
                "list": {"@type": "tvm.list", "elements": []},
            }
        case int():
            number = {"@type": "tvm.numberDecimal", "number": str(value)}
            return {"@type": "tvm.stackEntryNumber", "number": number}
        case Cell():
            return {
                "@type": "tvm.stackEntryCell",
                "cell": {"@type": "tvm.cell"} | _cell_json(value),
            }
        case StackSlice(cell):
            return {
                "@type": "tvm.stackEntrySlice",
                "slice": {"@type": "tvm.slice"} | _cell_json(cell),
            }
        case tuple():
            elements = [_element(each) for each in value]
            return {
                "@type": "tvm.stackEntryTuple",
                "tuple": {"@type": "tvm.tuple", "elements": elements},
            }


def stack_argument(kind: str, value: str | int) -> StackValue:
    """Read one argument of a get-method, ``[kind, value]``.

    Raises:
        InvalidData: it is of an unknown kind, or malformed.
    """
    if kind in ("num", "int"):
        return read_number(value)
    if not isinstance(value, str) or len(value) > _STACK_ARGUMENT_CHARS_MAX:
        raise InvalidData(f"not a {kind}")
    try:
        cell = decode_boc(base64.b64decode(value, validate=True))
    except ValueError as error:
        raise InvalidData(f"not a {kind}: {error}") from error
    match kind.lower().removeprefix("tvm."):
        case "cell":
            return cell
        case "slice":
            return StackSlice(cell)
        case _:
            raise InvalidData(f"an argument of the unsupported kind {kind[:40]!r}")


def read_number(value: str | int) -> int:
    """Read a number, which many clients send as text.

    Raises:
        InvalidData: it is none, or does not fit 257 bits.
    """
    if isinstance(value, str):
        if len(value) > _NUMBER_CHARS_MAX:
            raise InvalidData("not a number")
        try:
            number = int(value, 0)
        except ValueError as error:
            raise InvalidData(f"not a number: {value!r}") from error
    else:
        number = value
    if not -(1 << 256) <= number < 1 << 256:
        raise InvalidData("a number beyond 257 bits")
    return number


def write_argument(value: StackValue) -> list[str]:
    """Return a value as an argument, ``[kind, value]``.

    Raises:
        InvalidData: it is of a kind that nothing takes as an argument.
    """
    match value:
        case int():
            return ["num", str(value)]
        case Cell():
            return ["tvm.Cell", b64(encode_boc(value))]
        case StackSlice(cell):
            return ["tvm.Slice", b64(encode_boc(cell))]
        case _:
            raise InvalidData("only numbers, cells and slices can be arguments")


def read_entry(kind: str, value: object) -> StackValue:
    """Read what a server wrote as `stack_entry` does.

    Raises:
        InvalidData: it is of an unknown kind, or malformed.
    """
    match kind, value:
        case "num", str() | int():
            return read_number(value)
        case "null" | "list", _:
            elements = value.get("elements") if isinstance(value, dict) else None
            if elements:
                raise InvalidData("a list is not supported")
            return None
        case "cell" | "builder", {"bytes": str() as text}:
            return _read_cell(text)
        case "slice", {"bytes": str() as text}:
            return StackSlice(_read_cell(text))
        case "tuple", {"elements": list() as elements}:
            return tuple(_read_element(each, TUPLE_NESTING_MAX) for each in elements)
        case _:
            raise InvalidData(f"a stack entry of the unknown kind {kind[:40]!r}")


def _read_element(value: object, nesting: int) -> StackValue:
    if not nesting:
        raise InvalidData("tuples nest too deeply")
    match value:
        case {"@type": "tvm.stackEntryNumber", "number": {"number": str() | int() as number}}:
            return read_number(number)
        case {"@type": "tvm.stackEntryCell", "cell": {"bytes": str() as text}}:
            return _read_cell(text)
        case {"@type": "tvm.stackEntrySlice", "slice": {"bytes": str() as text}}:
            return StackSlice(_read_cell(text))
        case {"@type": "tvm.stackEntryTuple", "tuple": {"elements": list() as elements}}:
            return tuple(_read_element(each, nesting - 1) for each in elements)
        case {"@type": "tvm.stackEntryList", "list": {"elements": []}}:
            return None
        case _:
            raise InvalidData("an element of a tuple of an unknown kind")


def _read_cell(text: str) -> Cell:
    try:
        return decode_boc(base64.b64decode(text, validate=True))
    except ValueError as error:
        raise InvalidData(f"not base64: {error}") from error
