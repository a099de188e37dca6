"""Bytes from a peer, a server or a disk, decoded into types or refused: nothing else comes out.

msgspec raises more than its own errors: `UnicodeDecodeError` for text that is no UTF-8, and
`RecursionError` for what nests too deeply.
"""

from collections.abc import Callable
from typing import Final, TypeVar

import msgspec

from contracts.errors import InvalidData

T = TypeVar("T")

_FAILURES: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def decode_json(data: bytes | msgspec.Raw, kind: type[T], what: str) -> T:
    """Decode JSON.

    Raises:
        InvalidData: it is none, or not of that *kind*; begins with *what* it should be.
    """
    return _refusing(lambda: msgspec.json.decode(data, type=kind), what)


def decode_msgpack(data: bytes, kind: type[T], what: str) -> T:
    """Decode MessagePack.

    Raises:
        InvalidData: it is none, or not of that *kind*; begins with *what* it should be.
    """
    return _refusing(lambda: msgspec.msgpack.decode(data, type=kind), what)


def _refusing(decode: Callable[[], T], what: str) -> T:
    try:
        return decode()
    except _FAILURES as error:
        raise InvalidData(f"{what}: {error}") from error
