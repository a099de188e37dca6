"""The memory that kernels see: one block of address space, a power of two in size.

Device addresses are offsets into it from `ORIGIN`, never addresses of the host. In front are a
page that nothing uses (null pointers end up there) and the windows of shared and local memory,
so that a generic pointer to either is an address like any other.
"""

import ctypes
import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kernels.errors import DeviceUnavailable, LaunchError
from kernels.ptx.layout import LOCAL_BYTES_MAX
from kernels.ptx.runtime_layout import GUARD_BYTES, ORIGIN, THREADS_MAX

SHARED_WINDOW_BYTES: Final = 256 * 1024
LOCAL_WINDOW_BYTES: Final = LOCAL_BYTES_MAX * THREADS_MAX
SHARED_OFFSET: Final = GUARD_BYTES
LOCAL_OFFSET: Final = SHARED_OFFSET + SHARED_WINDOW_BYTES
HEAP_OFFSET: Final = 32 * 2**20
ARENA_BYTES_MIN: Final = 64 * 2**20
ARENA_BYTES_MAX: Final = 2**40
ALIGN: Final = 256

TOUCH_BYTES: Final = 12
"""`Touch` of runtime/scheduler.c: what strict mode notes for a byte of global memory."""

ACCESS_BYTES: Final = 72
"""`Access` of runtime/scheduler.c: what strict mode notes for a byte of shared memory and for a
word of global memory."""

EPOCHS_MAX: Final = 2**31
"""From here on they are counted anew, so that none of a launch reaches 2^32."""

_ADDRESSABLE: Final = 1
_CONSTANT: Final = 4


@dataclass(frozen=True, slots=True)
class Block:
    """An allocation: its device address and its size in bytes."""

    address: int
    size_bytes: int


class Arena:
    """Device memory of the CPU.

    Args:
        size_bytes: address space, rounded up to a power of two; memory is used when written to.
        is_checked: keep what strict mode needs: which bytes belong to an allocation.

    Raises:
        DeviceUnavailable: there is not so much address space.
    """

    def __init__(self, size_bytes: int = 2**32, *, is_checked: bool = False) -> None:
        wanted = max(size_bytes + HEAP_OFFSET, ARENA_BYTES_MIN)
        if wanted > ARENA_BYTES_MAX:
            raise DeviceUnavailable(f"an arena of {size_bytes} bytes")
        self.size_bytes: Final = 1 << (wanted - 1).bit_length()
        self.is_checked: Final = is_checked
        self._memory = _reserve(self.size_bytes)
        self.bytes: Final = np.frombuffer(self._memory, np.uint8)
        self.base: Final = self.bytes.ctypes.data
        # Lanes that are switched off may point below the window of shared memory. A vector load
        # that is partly on a page which is not there yet takes hundreds of cycles.
        self.bytes[:SHARED_OFFSET] = 0
        self.shadow: Final = (
            np.frombuffer(_reserve(self.size_bytes), np.uint8) if is_checked else None
        )
        self._touches: mmap.mmap | None = None
        self._words: mmap.mmap | None = None
        self._blocks_run = self._epochs = 0
        self._blocks: dict[int, Block] = {}
        self._free: list[tuple[int, int]] = [(HEAP_OFFSET, self.size_bytes)]
        self._limit_bytes = size_bytes
        self._used_bytes = 0

    @property
    def free_bytes(self) -> int:
        """How much can still be allocated."""
        return self._limit_bytes - self._used_bytes

    @property
    def limit_bytes(self) -> int:
        """How much can be allocated in all."""
        return self._limit_bytes

    def count_blocks(self, blocks: int) -> tuple[int, int]:
        """Return where it is noted which block of a launch used what, and the first one's number.

        Blocks are numbered from 1 in the order of launches, so older notes have lower numbers.
        """
        if self._touches is None or (self._blocks_run and self._blocks_run + blocks >= 2**32):
            self._touches, self._blocks_run = _reserve(TOUCH_BYTES * self.size_bytes), 0
        first = self._blocks_run + 1
        self._blocks_run += min(blocks, 2**32 - 2)
        return np.frombuffer(self._touches, np.uint8).ctypes.data, first

    def next_epoch(self) -> tuple[int, int]:
        """Return where it is noted which thread used which word when, and the epoch that begins.

        Epochs of a block end at its barriers, and at its end; see `pass_epochs`.
        """
        if self._words is None or self._epochs >= EPOCHS_MAX:
            self._words, self._epochs = _reserve(ACCESS_BYTES * self.size_bytes // 4), 0
        return np.frombuffer(self._words, np.uint8).ctypes.data, self._epochs + 1

    def pass_epochs(self, last: int) -> None:
        """A launch is over, in the epoch *last*."""
        self._epochs = last

    def __iter__(self) -> Iterator[Block]:
        return iter(self._blocks.values())

    def allocate(self, size_bytes: int) -> Block:
        """Return new memory, zeroed, its address a multiple of 256.

        A gap follows each allocation, so that strict mode sees an access that is off by one.

        Raises:
            LaunchError: the size is not positive.
            DeviceUnavailable: there is not enough.
        """
        if size_bytes <= 0:
            raise LaunchError(f"cannot allocate {size_bytes} bytes")
        span = -(-(size_bytes + 1) // ALIGN) * ALIGN
        place = next((n for n, (_, room) in enumerate(self._rooms()) if room >= span), None)
        if place is None or self._used_bytes + size_bytes > self._limit_bytes:
            raise DeviceUnavailable(f"no memory for {size_bytes} bytes")
        start, end = self._free[place]
        self._free[place : place + 1] = [(start + span, end)] if start + span < end else []
        block = Block(ORIGIN + start, size_bytes)
        self._blocks[block.address] = block
        self._used_bytes += size_bytes
        self._mark(start, size_bytes, _ADDRESSABLE)
        return block

    def allocate_constants(self, block: Block, start: int, size_bytes: int) -> None:
        """Make a part of *block* read-only for strict mode."""
        self._mark(block.address - ORIGIN + start, size_bytes, _ADDRESSABLE | _CONSTANT)

    def _rooms(self) -> list[tuple[int, int]]:
        return [(start, end - start) for start, end in self._free]

    def free(self, block: Block) -> None:
        """Zero *block* and give it back.

        Raises:
            LaunchError: it was freed, or belongs to another arena.
        """
        self.check(block)
        del self._blocks[block.address]
        self.view(block.address, block.size_bytes).fill(0)
        self._used_bytes -= block.size_bytes
        start = block.address - ORIGIN
        self._mark(start, block.size_bytes, 0)
        span = -(-(block.size_bytes + 1) // ALIGN) * ALIGN
        self._free = _merged([*self._free, (start, start + span)])

    def check(self, block: Block) -> None:
        """Refuse a block that this arena does not hold.

        Raises:
            LaunchError: it was freed, or belongs to another arena.
        """
        if self._blocks.get(block.address) is not block:
            raise LaunchError("the buffer was freed or belongs to another device")

    def view(self, address: int, size_bytes: int) -> NDArray[np.uint8]:
        """Return the bytes at a device address.

        Raises:
            LaunchError: they are not in the arena.
        """
        start = address - ORIGIN
        if start < 0 or size_bytes < 0 or start + size_bytes > self.size_bytes:
            raise LaunchError(f"{size_bytes} bytes at {address:#x} are not in the arena")
        return self.bytes[start : start + size_bytes]

    def holds(self, address: int, size_bytes: int) -> bool:
        """Whether these bytes lie in one allocation."""
        return any(
            each.address <= address and address + size_bytes <= each.address + each.size_bytes
            for each in self._blocks.values()
        )

    def describe(self, address: int) -> str:
        """Say where a device address lies, for an error message."""
        below = [each for each in self._blocks.values() if each.address <= address]
        if not below:
            return f"at {address:#x}, far from every buffer"
        nearest = max(below, key=lambda each: each.address)
        offset = address - nearest.address
        if offset > nearest.size_bytes + 2**20:
            return f"at {address:#x}, far from every buffer"
        return f"at byte {offset} of a buffer of {nearest.size_bytes} bytes"

    def _mark(self, start: int, size_bytes: int, flags: int) -> None:
        if self.shadow is not None:
            self.shadow[start : start + size_bytes] = flags


def _reserve(size_bytes: int) -> mmap.mmap:
    """Return address space that takes memory only where it is written to."""
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0x4000)
    try:
        return mmap.mmap(-1, size_bytes, flags=flags)
    except (OSError, ValueError, OverflowError) as error:
        raise DeviceUnavailable(f"no address space for {size_bytes} bytes") from error


def _merged(rooms: list[tuple[int, int]]) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for start, end in sorted(rooms):
        if found and found[-1][1] == start:
            found[-1] = found[-1][0], end
        else:
            found.append((start, end))
    return found


def pointer(array: NDArray[np.generic]) -> int:
    """Return where the bytes of *array* are."""
    address: int = array.ctypes.data_as(ctypes.c_void_p).value or 0
    return address
