"""TL, the binary format of TON's network protocols: bounded, typed, for a few messages.

A message is a frozen struct; its fields say how they are written (`Int`, `Long`, `Hash`,
`Data`, ...), and `encode` and `decode` follow. pytoniq-core's own codec is not used on what
strangers send: it believes counts, guesses whether bytes are a nested message, and reads
past the end as zeros. The constructor numbers and bytes are compared with it in the tests.

Source: https://core.telegram.org/mtproto/serialize; the schemas are TON's
`tl/generate/scheme/lite_api.tl` and `ton_api.tl`.
"""

import types
from collections.abc import Callable
from functools import cache
from typing import (
    Annotated,
    Any,
    ClassVar,
    Final,
    NamedTuple,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

import msgspec

from contracts.errors import InvalidData, LocalContractError

MESSAGE_BYTES_MAX: Final = 1 << 24
VECTOR_MAX: Final = 1 << 12
"""Elements: several times the signatures under a block, the longest vector that is ever read."""

_LONG_BYTES: Final = 0xFE
_TRUE: Final = 0x997275B5
_FALSE: Final = 0xBC799737

M = TypeVar("M", bound="Boxed")


class Reader:
    """Reads from front to back; reading past the end raises InvalidData."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    @property
    def left(self) -> int:
        """How many bytes have not been read."""
        return len(self._data) - self._position

    def raw(self, size_bytes: int) -> bytes:
        """Read that many bytes."""
        if size_bytes > self.left:
            raise InvalidData("a TL message ends too early")
        start = self._position
        self._position += size_bytes
        return self._data[start : self._position]

    def number(self, size_bytes: int, *, signed: bool = False) -> int:
        """Read a little-endian number."""
        return int.from_bytes(self.raw(size_bytes), "little", signed=signed)

    def data(self) -> bytes:
        """Read ``bytes``: a length, the bytes, zeros up to the next multiple of four."""
        first, header = self.number(1), 1
        if first > _LONG_BYTES:
            raise InvalidData("bytes of an unknown form")
        size = first
        if first == _LONG_BYTES:
            size, header = self.number(3), 4
        value = self.raw(size)
        if any(self.raw(-(header + size) % 4)):
            raise InvalidData("padding that is not zero")
        return value


def write_data(value: bytes) -> bytes:
    """Write ``bytes``."""
    size = len(value)
    if size >= 1 << 24:
        raise LocalContractError("too many bytes for TL")
    short = size < _LONG_BYTES
    header = bytes((size,)) if short else bytes((_LONG_BYTES,)) + size.to_bytes(3, "little")
    return header + value + bytes(-(len(header) + size) % 4)


class Codec(NamedTuple):
    """How one field is read and written."""

    read: Callable[[Reader], Any]
    write: Callable[[Any], bytes]


class OnlyIf(NamedTuple):
    """The field is there only if this bit of the field ``mode`` is set."""

    bit: int


def _fixed(size_bytes: int, *, signed: bool) -> Codec:
    def write(value: int) -> bytes:
        try:
            return value.to_bytes(size_bytes, "little", signed=signed)
        except OverflowError as error:
            raise LocalContractError(f"{value} does not fit {size_bytes} bytes") from error

    return Codec(lambda reader: reader.number(size_bytes, signed=signed), write)


def _write_hash(value: bytes) -> bytes:
    if len(value) != 32:
        raise LocalContractError(f"a hash of {len(value)} bytes")
    return value


def _read_flag(reader: Reader) -> bool:
    number = reader.number(4)
    if number not in (_TRUE, _FALSE):
        raise InvalidData("not a Bool")
    return number == _TRUE


def _read_text(reader: Reader) -> str:
    return reader.data().decode("utf-8", "replace")


Int = Annotated[int, _fixed(4, signed=True)]
Unsigned = Annotated[int, _fixed(4, signed=False)]
Long = Annotated[int, _fixed(8, signed=True)]
UnsignedLong = Annotated[int, _fixed(8, signed=False)]
Hash = Annotated[bytes, Codec(lambda reader: reader.raw(32), _write_hash)]
Data = Annotated[bytes, Codec(Reader.data, write_data)]
Text = Annotated[str, Codec(_read_text, lambda text: write_data(text.encode()))]
Flag = Annotated[
    bool, Codec(_read_flag, lambda value: (_TRUE if value else _FALSE).to_bytes(4, "little"))
]


class Bare(msgspec.Struct, frozen=True):
    """A value without a constructor number in front."""


class Boxed(Bare, frozen=True):
    """A value with its constructor number in front.

    Attributes:
        NUMBER: CRC-32 of the constructor's line in the schema.
    """

    NUMBER: ClassVar[int] = 0


def encode(message: Boxed) -> bytes:
    """Return a message with its constructor number.

    Raises:
        LocalContractError: a field does not fit its place.
    """
    return message.NUMBER.to_bytes(4, "little") + _write_fields(message)


def decode(data: bytes, *kinds: type[M]) -> M:
    """Return the one message that *data* is.

    Raises:
        InvalidData: it is malformed, of none of *kinds*, too long, or followed by something.
    """
    reader = Reader(data)
    message = decode_first(reader, *kinds)
    if reader.left:
        raise InvalidData(f"{reader.left} bytes after a {type(message).__name__}")
    return message


def decode_first(reader: Reader, *kinds: type[M]) -> M:
    """Return the message at the reader's place, and leave it after that.

    Raises:
        InvalidData: it is malformed, or of none of *kinds*.
    """
    if reader.left > MESSAGE_BYTES_MAX:
        raise InvalidData("a TL message that is too long")
    number = reader.number(4)
    for kind in kinds:
        if number == kind.NUMBER:
            return _read_fields(reader, kind)
    raise InvalidData(f"a TL message of the unexpected kind {number:08x}")


class _Field(NamedTuple):
    name: str
    codec: Codec
    only_if: int | None


@cache
def _fields(kind: type[Bare]) -> tuple[_Field, ...]:
    hints = get_type_hints(kind, include_extras=True)
    return tuple(_field(name, hints[name]) for name in kind.__struct_fields__)


def _field(name: str, hint: Any) -> _Field:  # noqa: ANN401 - a type, as typing has them
    if get_origin(hint) is Annotated and isinstance(hint.__metadata__[-1], OnlyIf):
        some = next(each for each in get_args(hint.__origin__) if each is not types.NoneType)
        codec = hint.__metadata__[0] if len(hint.__metadata__) > 1 else _codec(some)
        return _Field(name, codec, hint.__metadata__[-1].bit)
    return _Field(name, _codec(hint), None)


def _codec(hint: Any) -> Codec:  # noqa: ANN401
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        codec: Codec = hint.__metadata__[0]
        return codec
    if origin is tuple:
        return _vector(_codec(arguments[0]))
    if origin in (types.UnionType, Union):
        return Codec(lambda reader: decode_first(reader, *arguments), encode)
    return Codec(lambda reader: _read_fields(reader, hint), _write_fields)


def _vector(element: Codec) -> Codec:
    def read(reader: Reader) -> tuple[Any, ...]:
        count = reader.number(4)
        if count > VECTOR_MAX or 4 * count > reader.left:  # no element is shorter
            raise InvalidData("a vector that is too long, or longer than its message")
        return tuple(element.read(reader) for _ in range(count))

    def write(values: tuple[Any, ...]) -> bytes:
        return len(values).to_bytes(4, "little") + b"".join(map(element.write, values))

    return Codec(read, write)


B = TypeVar("B", bound=Bare)


def _read_fields(reader: Reader, kind: type[B]) -> B:
    values: dict[str, Any] = {}
    for name, codec, only_if in _fields(kind):
        if only_if is not None and not values["mode"] >> only_if & 1:
            values[name] = None
        else:
            values[name] = codec.read(reader)
    return kind(**values)


def _write_fields(message: Bare) -> bytes:
    parts = []
    for name, codec, only_if in _fields(type(message)):
        value = getattr(message, name)
        if only_if is None or getattr(message, "mode") >> only_if & 1:  # noqa: B009 - not of all
            parts.append(codec.write(value))
    return b"".join(parts)
