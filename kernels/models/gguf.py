"""GGUF: the weight file of llama.cpp, versions 2 and 3, little-endian.

Source: the GGUF specification (ggml repository, docs/gguf.md). The file is mapped,
not read; every count, length and offset is checked before anything is allocated, and
tensors may not overlap, so a file cannot make us allocate more than a small multiple
of its own size.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite, prod
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kernels.errors import InvalidModelFile
from kernels.models.binary import BoundedReader, Bytes, map_file
from kernels.models.gguf_blocks import ENCODINGS, Encoding

Floats = NDArray[np.float32]
Value = int | float | bool | str | list[int | float | bool] | list[str]

TENSORS_MAX: Final = 20_000
METADATA_KEYS_MAX: Final = 10_000
ARRAY_ITEMS_MAX: Final = 2_000_000
RANK_MAX: Final = 4
ALIGNMENT_MAX: Final = 1 << 16

_STRING, _ARRAY = 8, 9
_SCALARS: Final = {
    0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class GgufTensor:
    """A tensor as it lies in the file. `shape` is C order: (rows out, columns in)."""

    name: str
    shape: tuple[int, ...]
    encoding: Encoding
    raw: Bytes

    @property
    def items(self) -> int:
        """Return how many numbers it has."""
        return prod(self.shape)

    def to_floats(self, out: Floats | None = None) -> Floats:
        """Return the numbers as fp32, in *out* (any shape of the same size) if given."""
        target = np.empty(self.shape, np.float32) if out is None else out
        with np.errstate(all="ignore"):
            self.encoding.decode(self.raw, target.reshape(-1))
        return target


@dataclass(frozen=True, slots=True)
class GgufFile:
    """An opened GGUF file."""

    metadata: Mapping[str, Value]
    tensors: Mapping[str, GgufTensor]
    content: Bytes

    def integer(self, key: str, *, minimum: int, maximum: int, default: int | None = None) -> int:
        """Return a whole number from the metadata.

        Raises:
            InvalidModelFile: it is missing without a default, no integer, or out of range.
        """
        value = self.metadata.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not minimum <= value <= maximum:
            raise InvalidModelFile(f"{key} is {_brief(value)}, not in {minimum}..{maximum}")
        return value

    def number(self, key: str, *, minimum: float, maximum: float, default: float | None) -> float:
        """Return a real number from the metadata; see `integer`."""
        value = self.metadata.get(key, default)
        if not isinstance(value, int | float) or not minimum <= value <= maximum:
            raise InvalidModelFile(f"{key} is {_brief(value)}, not in {minimum}..{maximum}")
        return float(value)

    def text(self, key: str, default: str | None = None) -> str:
        """Return a string from the metadata; see `integer`."""
        value = self.metadata.get(key, default)
        if not isinstance(value, str):
            raise InvalidModelFile(f"{key} is {_brief(value)}, not a string")
        return value

    def texts(self, key: str) -> list[str]:
        """Return a list of strings from the metadata; see `integer`."""
        value = self.metadata.get(key)
        items = [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
        if not isinstance(value, list) or len(items) != len(value):
            raise InvalidModelFile(f"{key} is {_brief(value)}, not a list of strings")
        return items

    def numbers(self, key: str) -> list[float]:
        """Return a list of finite real numbers from the metadata; see `integer`."""
        value = self.metadata.get(key)
        items = (
            [float(item) for item in value if isinstance(item, int | float)]
            if isinstance(value, list)
            else []
        )
        if not isinstance(value, list) or len(items) != len(value) or not all(map(isfinite, items)):
            raise InvalidModelFile(f"{key} is {_brief(value)}, not a list of finite numbers")
        return items

    def flag(self, key: str, *, default: bool) -> bool:
        """Return a truth value from the metadata; see `integer`."""
        value = self.metadata.get(key, default)
        if not isinstance(value, bool):
            raise InvalidModelFile(f"{key} is {_brief(value)}, neither true nor false")
        return value

    def integers(self, key: str) -> list[int]:
        """Return a list of integers from the metadata; see `integer`."""
        value = self.metadata.get(key)
        items = [item for item in value if isinstance(item, int)] if isinstance(value, list) else []
        if not isinstance(value, list) or len(items) != len(value):
            raise InvalidModelFile(f"{key} is {_brief(value)}, not a list of integers")
        return items


def open_gguf(path: Path) -> GgufFile:
    """Map and index a GGUF file.

    Raises:
        ModelUnavailable: it is missing or unreadable.
        InvalidModelFile: it breaks the format or uses an encoding we do not know.
    """
    return index_gguf(map_file(path), path.name)


def index_gguf(content: Bytes, name: str) -> GgufFile:
    """Index the content of a GGUF file; *name* is for messages. Raises as `open_gguf` does."""
    reader = BoundedReader(content)
    if bytes(reader.take(4)) != b"GGUF":
        raise InvalidModelFile(f"{name} is not a GGUF file")
    if (version := reader.integer("I")) not in {2, 3}:
        raise InvalidModelFile(f"GGUF version {version} (2 and 3 are known)")
    tensor_count, key_count = reader.integer("Q"), reader.integer("Q")
    if tensor_count > TENSORS_MAX or key_count > METADATA_KEYS_MAX:
        raise InvalidModelFile(f"{tensor_count} tensors and {key_count} keys announced")
    metadata = _read_metadata(reader, key_count)
    tensors = _read_tensors(reader, tensor_count, _alignment(metadata), content)
    return GgufFile(metadata, tensors, content)


def _brief(value: object) -> str:
    return "missing" if value is None else repr(value)[:40]


def _alignment(metadata: Mapping[str, Value]) -> int:
    alignment = metadata.get("general.alignment", 32)
    known = isinstance(alignment, int) and 0 < alignment <= ALIGNMENT_MAX
    if not known or not isinstance(alignment, int) or alignment & (alignment - 1):
        raise InvalidModelFile(f"alignment {_brief(alignment)}")
    return alignment


def _read_text(reader: BoundedReader) -> str:
    return reader.text(reader.integer("Q"))


def _read_metadata(reader: BoundedReader, count: int) -> dict[str, Value]:
    metadata: dict[str, Value] = {}
    for _ in range(count):
        key = _read_text(reader)
        if key in metadata:
            raise InvalidModelFile(f"key {key[:80]!r} occurs twice")
        metadata[key] = _read_value(reader, reader.integer("I"))
    return metadata


def _read_value(reader: BoundedReader, kind: int) -> Value:
    if kind == _STRING:
        return _read_text(reader)
    if kind == _ARRAY:
        return _read_array(reader)
    return reader.numbers(_scalar(kind), 1)[0]


def _read_array(reader: BoundedReader) -> Value:
    kind, count = reader.integer("I"), reader.integer("Q")
    if count > min(ARRAY_ITEMS_MAX, reader.remaining):
        raise InvalidModelFile(f"an array of {count} items")
    if kind == _STRING:
        return list(reader.texts(count))
    return list(reader.numbers(_scalar(kind), count))


def _scalar(kind: int) -> str:
    if kind not in _SCALARS:
        raise InvalidModelFile(f"value type {kind}")
    return _SCALARS[kind]


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    shape: tuple[int, ...]
    encoding: Encoding
    offset: int

    @property
    def size_bytes(self) -> int:
        return prod(self.shape) // self.encoding.block_items * self.encoding.block_bytes


def _read_tensors(
    reader: BoundedReader, count: int, alignment: int, content: Bytes
) -> dict[str, GgufTensor]:
    entries = [_read_entry(reader, alignment) for _ in range(count)]
    base = -(-reader.position // alignment) * alignment
    _check_places(entries, len(content) - base)
    tensors = {
        entry.name: GgufTensor(
            entry.name,
            entry.shape,
            entry.encoding,
            content[base + entry.offset :][: entry.size_bytes],
        )
        for entry in entries
    }
    if len(tensors) != count:
        raise InvalidModelFile("two tensors share a name")
    return tensors


def _read_entry(reader: BoundedReader, alignment: int) -> _Entry:
    name = _read_text(reader)
    rank = reader.integer("I")
    if not 1 <= rank <= RANK_MAX:
        raise InvalidModelFile(f"tensor {name[:80]!r} has {rank} dimensions")
    shape = tuple(reader.integer("Q") for _ in range(rank))[::-1]
    kind, offset = reader.integer("I"), reader.integer("Q")
    if kind not in ENCODINGS:
        known = ", ".join(encoding.name for encoding in ENCODINGS.values())
        raise InvalidModelFile(
            f"tensor {name[:80]!r} has encoding {kind}, which is not supported (known: {known})"
        )
    encoding = ENCODINGS[kind]
    if min(shape) < 1 or shape[-1] % encoding.block_items or offset % alignment:
        raise InvalidModelFile(f"tensor {name[:80]!r} has an impossible shape or place")
    return _Entry(name, shape, encoding, offset)


def _check_places(entries: list[_Entry], data_bytes: int) -> None:
    ordered = sorted(entries, key=lambda entry: entry.offset)
    for entry in ordered:
        if entry.offset + entry.size_bytes > data_bytes:
            raise InvalidModelFile(f"tensor {entry.name[:80]!r} reaches beyond the file")
    for before, after in pairwise(ordered):
        if before.offset + before.size_bytes > after.offset:
            raise InvalidModelFile(f"tensor {after.name[:80]!r} overlaps its neighbour")
