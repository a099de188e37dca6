"""CTranslate2's model.bin, binary version 6: how converted Whisper weights come.

Layout, all little-endian, learnt from files and CTranslate2's model converter: u32
version; string (u16 length with the closing NUL) of the specification; u32
revision; u32 count and as many variables (string name; u8 rank; u32 dimensions; u8
kind; u32 bytes; data); u32 count and as many aliases (string alias, string target).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kernels.errors import InvalidModelFile
from kernels.models.binary import BoundedReader, Bytes, map_file

Floats = NDArray[np.float32]

VERSION: Final = 6
VARIABLES_MAX: Final = 20_000
RANK_MAX: Final = 4

_KINDS: Final[dict[int, type[np.generic]]] = {
    0: np.float32,
    1: np.int8,
    2: np.int16,
    3: np.int32,
    4: np.float16,
}


@dataclass(frozen=True, slots=True)
class Ct2File:
    """An opened model.bin; arrays are views of the mapped file."""

    specification: str
    variables: Mapping[str, NDArray[Any]]
    content: Bytes

    def floats(self, name: str, *shape: int) -> Floats:
        """Return a variable as a new fp32 array; -1 in *shape* allows any length.

        Raises:
            InvalidModelFile: it is missing, quantised, or has another shape.
        """
        array = self._variable(name)
        fits = len(array.shape) == len(shape) and all(
            wanted in {-1, found} for wanted, found in zip(shape, array.shape, strict=True)
        )
        if array.dtype not in {np.dtype(np.float16), np.dtype(np.float32)} or not fits:
            raise InvalidModelFile(f"{name}: {array.dtype} {array.shape}, not floats {shape}")
        with np.errstate(all="ignore"):
            return array.astype(np.float32)

    def shape(self, name: str, rank: int) -> tuple[int, ...]:
        """Return the shape of a variable.

        Raises:
            InvalidModelFile: it is missing, or has not *rank* dimensions.
        """
        found = self._variable(name).shape
        if len(found) != rank:
            raise InvalidModelFile(f"{name} has {len(found)} dimensions, not {rank}")
        return found

    def halves(self, name: str, *shape: int) -> NDArray[np.float16]:
        """Return a variable of fp16 as it is, contiguous and aligned.

        Raises:
            InvalidModelFile: it is missing, of another type, or has another shape.
        """
        array = self._variable(name)
        if array.dtype != np.float16 or array.shape != shape:
            raise InvalidModelFile(f"{name}: {array.dtype} {array.shape}, not fp16 {shape}")
        return np.require(array, np.float16, ["C", "A"])

    def integer(self, name: str, *, minimum: int, maximum: int) -> int:
        """Return a scalar variable.

        Raises:
            InvalidModelFile: it is missing, no scalar integer, or out of range.
        """
        array = self._variable(name)
        if array.size != 1 or array.dtype.kind != "i":
            raise InvalidModelFile(f"{name} is not an integer")
        value = int(array.reshape(-1)[0])
        if not minimum <= value <= maximum:
            raise InvalidModelFile(f"{name} is {value}, not in {minimum}..{maximum}")
        return value

    def _variable(self, name: str) -> NDArray[Any]:
        if name not in self.variables:
            raise InvalidModelFile(f"{name} is missing")
        return self.variables[name]


def open_ct2(path: Path) -> Ct2File:
    """Map and index a model.bin.

    Raises:
        ModelUnavailable: it is missing or unreadable.
        InvalidModelFile: it breaks the format.
    """
    content = map_file(path)
    reader = BoundedReader(content)
    if (version := reader.integer("I")) != VERSION:
        raise InvalidModelFile(f"{path.name}: version {version}, not {VERSION}")
    specification = _read_text(reader)
    reader.integer("I")  # revision of the specification
    variables = dict(_read_variable(reader) for _ in range(_read_count(reader)))
    for _ in range(_read_count(reader)):
        alias, target = _read_text(reader), _read_text(reader)
        if target not in variables:
            raise InvalidModelFile(f"alias {alias[:80]!r} has no target")
        variables[alias] = variables[target]
    if reader.remaining:
        raise InvalidModelFile(f"{reader.remaining} bytes follow the end")
    return Ct2File(specification, variables, content)


def _read_count(reader: BoundedReader) -> int:
    if (count := reader.integer("I")) > VARIABLES_MAX:
        raise InvalidModelFile(f"{count} variables announced")
    return count


def _read_text(reader: BoundedReader) -> str:
    return reader.text(reader.integer("H")).removesuffix("\0")


def _read_variable(reader: BoundedReader) -> tuple[str, NDArray[Any]]:
    name = _read_text(reader)
    if (rank := reader.integer("B")) > RANK_MAX:
        raise InvalidModelFile(f"{name[:80]!r} has {rank} dimensions")
    shape = tuple(reader.integer("I") for _ in range(rank))
    kind = reader.integer("B")
    data = np.frombuffer(reader.take(reader.integer("I")), np.uint8)
    if kind not in _KINDS:
        raise InvalidModelFile(f"{name[:80]!r} has number type {kind}, which is not supported")
    dtype = np.dtype(_KINDS[kind])
    if len(data) != prod(shape) * dtype.itemsize:
        raise InvalidModelFile(f"{name[:80]!r}: {len(data)} bytes for shape {shape}")
    return name, data.view(dtype).reshape(shape)
