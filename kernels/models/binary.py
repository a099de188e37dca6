"""A reader over untrusted bytes in which no length is believed before it is checked."""

import mmap
import struct
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kernels.errors import InvalidModelFile, ModelUnavailable

TEXT_BYTES_MAX: Final = 1 << 20
"""Longest single string in a model file; chat templates are the longest real ones."""

Bytes = NDArray[np.uint8]


def map_file(path: Path) -> Bytes:
    """Map a file into memory, read-only, without reading it.

    Raises:
        ModelUnavailable: it is missing or unreadable.
        InvalidModelFile: it is empty.
    """
    try:
        if path.stat().st_size == 0:
            raise InvalidModelFile(f"{path.name} is empty")
        return np.asarray(np.memmap(path, dtype=np.uint8, mode="r"))
    except OSError as error:
        raise ModelUnavailable(f"{path.name} cannot be read: {error.strerror}") from error


def let_go(content: Bytes) -> None:
    """Tell the system that the pages of a mapped file are not needed for now."""
    base: object = content
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        base.madvise(mmap.MADV_DONTNEED)


class BoundedReader:
    """A little-endian cursor over bytes.

    Every method raises `InvalidModelFile` where the bytes end early.
    """

    def __init__(self, data: Bytes) -> None:
        self._view = data.data
        self.position = 0

    @property
    def remaining(self) -> int:
        """Return how many bytes are left."""
        return len(self._view) - self.position

    def take(self, size_bytes: int) -> memoryview:
        """Return the next bytes without copying them."""
        if not 0 <= size_bytes <= self.remaining:
            raise InvalidModelFile(f"{size_bytes} bytes expected, {self.remaining} are left")
        start = self.position
        self.position += size_bytes
        return self._view[start : self.position]

    def integer(self, code: str) -> int:
        """Read one integer; *code* is a `struct` letter: B, H, I or Q."""
        (value,) = struct.unpack(f"<{code}", self.take(struct.calcsize(f"<{code}")))
        return int(value)

    def numbers(self, code: str, count: int) -> tuple[int | float | bool, ...]:
        """Read *count* numbers of one kind."""
        return struct.unpack(f"<{count}{code}", self.take(struct.calcsize(f"<{code}") * count))

    def text(self, size_bytes: int) -> str:
        """Read UTF-8 of a known length; broken sequences are replaced."""
        if size_bytes > TEXT_BYTES_MAX:
            raise InvalidModelFile(f"a string of {size_bytes} bytes")
        return str(self.take(size_bytes), "utf-8", "replace")

    def texts(self, count: int) -> list[str]:
        """Read *count* strings, each after its 64-bit length; as `text` does, for many."""
        result: list[str] = []
        while len(result) < count:
            window = bytes(self._view[self.position :][: 8 + TEXT_BYTES_MAX])
            passed = _read_texts(window, count, result)
            if passed == 0:
                raise InvalidModelFile(f"a list of {count} strings ends early, or has a huge one")
            self.position += passed
        return result


def _read_texts(window: bytes, count: int, result: list[str]) -> int:
    """Read strings that are whole in *window* until there are *count*; return how many bytes.

    A copy, and one short loop: a vocabulary has a hundred thousand of them.
    """
    length_at, position, end = struct.Struct("<Q").unpack_from, 0, len(window)
    while len(result) < count and position + 8 <= end:
        start = position + 8
        after = start + length_at(window, position)[0]
        if after > end:
            break
        result.append(window[start:after].decode("utf-8", "replace"))
        position = after
    return position
