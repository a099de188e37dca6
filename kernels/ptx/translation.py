"""A translated module as data: what a child process returns and the cache keeps."""

from typing import Final

import msgspec

from kernels.decoding import UNREADABLE
from kernels.ptx.errors import InvalidPtx, TranslationFailed

FORMAT: Final = 1
TRANSLATION_BYTES_MAX: Final = 128 * 2**20
"""Of a packed translation."""


class StopRow(msgspec.Struct, frozen=True, array_like=True):
    """A barrier or warp operation; see `runtime_layout.Stop`."""

    kind: int
    cost: int
    line: int
    constant: int
    source: int
    clamp: int
    mask: int


class EntryInfo(msgspec.Struct, frozen=True):
    """A kernel, as the host must know it.

    Attributes:
        name: as in the PTX.
        parameters: offset and size in bytes of each.
        shared_bytes: of its static shared memory.
        local_stride: bytes of local memory of a thread.
        frame_bytes: what its registers need across stops.
        threads_max: largest block.
        stops: by number; the first is the start.
    """

    name: str
    parameters: tuple[tuple[int, int], ...]
    shared_bytes: int
    local_stride: int
    frame_bytes: int
    threads_max: int
    stops: tuple[StopRow, ...]


class Translation(msgspec.Struct, frozen=True):
    """A module.

    Attributes:
        mode: name of the `Mode`.
        entries: its kernels.
        constants: offset and size of each constant variable in the image.
        image: initial content of its global and constant variables.
        code: the object file.
        scheduler: that of the scheduler, so that whoever runs the kernels compiles nothing.
    """

    mode: str
    entries: tuple[EntryInfo, ...]
    constants: tuple[tuple[int, int], ...]
    image: bytes
    code: bytes = b""
    scheduler: bytes = b""

    def with_code(self, code: bytes, scheduler: bytes) -> "Translation":
        """Return the same with the object files."""
        return msgspec.structs.replace(self, code=code, scheduler=scheduler)

    def pack(self) -> bytes:
        """Return it as bytes.

        Raises:
            InvalidPtx: it is larger than `TRANSLATION_BYTES_MAX`, and so nobody reads it.
        """
        packed = msgspec.msgpack.encode(self)
        if len(packed) > TRANSLATION_BYTES_MAX:
            raise InvalidPtx(f"it becomes {len(packed)} bytes, at most {TRANSLATION_BYTES_MAX}")
        return packed

    @classmethod
    def unpack(cls, data: bytes) -> "Translation":
        """Read what `pack` wrote.

        Raises:
            TranslationFailed: something else wrote it.
        """
        if len(data) > TRANSLATION_BYTES_MAX:
            raise TranslationFailed(f"a translation of {len(data)} bytes")
        try:
            return msgspec.msgpack.decode(data, type=cls)
        except UNREADABLE as error:
            raise TranslationFailed(f"not a translation: {error}") from error
