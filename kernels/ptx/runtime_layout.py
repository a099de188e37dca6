"""The memory that translated code, the scheduler and Python share.

The structure `Env` of runtime/scheduler.c and the frames of a block, as offsets in bytes.
"""

import ctypes
from typing import Final

THREADS_MAX: Final = 1024
"""Threads of a block."""

PARAMETER_BYTES_MAX: Final = 4096
SHARED_BYTES_MAX: Final = 227 * 1024
"""What a block may ask for on the largest cards (CUDA programming guide, table of limits)."""

GUARD_BYTES: Final = 64 * 1024
"""Of the arena, before the window of shared memory: nothing is there."""

ORIGIN: Final = 1 << 44
"""Device address of the first byte of an arena: far from zero and from small integers."""


class Env(ctypes.Structure):
    """One launch, as the scheduler sees it. Keep in step with runtime/scheduler.c."""

    _fields_ = (
        ("arena", ctypes.c_uint64),
        ("frames", ctypes.c_uint64),
        ("shadow", ctypes.c_uint64),
        ("races", ctypes.c_uint64),
        ("words", ctypes.c_uint64),
        ("touches", ctypes.c_uint64),
        ("clocks", ctypes.c_uint64),
        ("arena_mask", ctypes.c_uint64),
        ("statics", ctypes.c_uint64),
        ("shared", ctypes.c_uint64),
        ("local", ctypes.c_uint64),
        ("fuel", ctypes.c_int64),
        ("threads", ctypes.c_uint32),
        ("shared_mask", ctypes.c_uint32),
        ("shared_size", ctypes.c_uint32),
        ("local_stride", ctypes.c_uint32),
        ("block", ctypes.c_uint32 * 3),
        ("index", ctypes.c_uint32 * 3),
        ("grid", ctypes.c_uint32 * 3),
        ("stop", ctypes.c_uint32),
        ("strict", ctypes.c_uint32),
        ("epoch", ctypes.c_uint32),
        ("first_block", ctypes.c_uint32),
        ("block_serial", ctypes.c_uint32),
        ("has_fence", ctypes.c_uint32),
        ("has_acquired", ctypes.c_uint32),
        ("acquired_epoch", ctypes.c_uint32),
        ("fault_thread", ctypes.c_uint32),
        ("fault_other", ctypes.c_uint32),
        ("fault_line", ctypes.c_uint32),
        ("fault_size", ctypes.c_uint32),
        ("fault_space", ctypes.c_uint32),
        ("fault_write", ctypes.c_uint32),
        ("fault_address", ctypes.c_uint64),
        ("parameters", ctypes.c_uint8 * PARAMETER_BYTES_MAX),
    )


class Stop(ctypes.Structure):
    """A place where threads stop: a barrier or a warp operation."""

    _fields_ = (
        ("kind", ctypes.c_uint32),
        ("cost", ctypes.c_uint32),
        ("line", ctypes.c_uint32),
        ("constant", ctypes.c_uint32),
        ("source", ctypes.c_uint32),
        ("clamp", ctypes.c_uint32),
        ("mask", ctypes.c_uint32),
        ("unused", ctypes.c_uint32),
    )


ROW_BYTES: Final = 4 * THREADS_MAX + 64
"""One 32-bit value a thread; the 64 bytes keep neighbouring rows out of one cache set."""

ROWS: Final = ("state", "value", "source", "clamp", "mask", "out", "out_predicate", "saved")
ROW_OFFSETS: Final = {name: number * ROW_BYTES for number, name in enumerate(ROWS)}
SLOTS_OFFSET: Final = len(ROWS) * ROW_BYTES
"""Where the saved registers begin, in the frames."""

EXITED: Final = 0xFFFFFFFF

STOP_KINDS: Final = {
    name: number
    for number, name in enumerate(
        (
            "start",
            "barrier",
            "barrier_and",
            "barrier_or",
            "barrier_popc",
            "shfl_up",
            "shfl_down",
            "shfl_bfly",
            "shfl_idx",
            "vote_any",
            "vote_all",
            "vote_uni",
            "vote_ballot",
            "warp_barrier",
            "match_any",
            "match_all",
            "redux_add",
            "redux_and",
            "redux_or",
            "redux_xor",
            "redux_min_u",
            "redux_max_u",
            "redux_min_s",
            "redux_max_s",
            "active",
            "step",
        )
    )
}
"""Values of `Kind` in runtime/scheduler.c."""

CONSTANT_SOURCE: Final = 1
CONSTANT_CLAMP: Final = 2
CONSTANT_MASK: Final = 4
"""Bits of `Stop.constant`: the operand is in the `Stop`, not in a row."""

SPACES: Final = {"global": 0, "shared": 1, "local": 2, "const": 3}
"""Values of `Space` in runtime/scheduler.c."""


def offset_of(field: str) -> int:
    """Return where *field* of `Env` is."""
    offset: int = getattr(Env, field).offset
    return offset
