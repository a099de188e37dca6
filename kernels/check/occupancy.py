"""How many warps of a kernel fit on a multiprocessor: its occupancy, from four limits.

Source: CUDA C++ Programming Guide, "Compute Capabilities" (limits of a multiprocessor), and the
occupancy calculator's rules: registers are given out to a warp in units of 256, shared memory to
a block in units of 128 bytes (1 KiB of it is the system's from compute capability 8.0 on).
"""

from dataclasses import dataclass
from typing import Final

WARP: Final = 32
REGISTERS: Final = 65_536
REGISTER_UNIT: Final = 256
SHARED_UNIT_BYTES: Final = 128
SYSTEM_SHARED_BYTES: Final = 1024
SYSTEM_SHARED_SINCE: Final = 80


@dataclass(frozen=True, slots=True)
class Multiprocessor:
    """The limits of one multiprocessor."""

    warps_max: int
    blocks_max: int
    shared_bytes_max: int


MULTIPROCESSORS: Final = {
    75: Multiprocessor(32, 16, 64 << 10),
    80: Multiprocessor(64, 32, 164 << 10),
    86: Multiprocessor(48, 16, 100 << 10),
    89: Multiprocessor(48, 24, 100 << 10),
    90: Multiprocessor(64, 32, 228 << 10),
    100: Multiprocessor(64, 32, 228 << 10),
    120: Multiprocessor(48, 24, 100 << 10),
}
"""By compute capability times ten: the generations that a provider may bring."""


def blocks_that_fit(capability: int, *, threads: int, registers: int, shared_bytes: int) -> int:
    """Return how many blocks run on one multiprocessor at the same time; 0: none fits.

    >>> blocks_that_fit(86, threads=128, registers=42, shared_bytes=0)
    10
    """
    limits = MULTIPROCESSORS[capability]
    warps = -(-threads // WARP)
    per_warp = _round_up(registers * WARP, REGISTER_UNIT)
    system = SYSTEM_SHARED_BYTES if capability >= SYSTEM_SHARED_SINCE else 0
    shared = _round_up(shared_bytes + system, SHARED_UNIT_BYTES)
    return min(
        limits.warps_max // warps,
        limits.blocks_max,
        REGISTERS // max(1, per_warp) // warps,
        limits.shared_bytes_max // shared if shared else limits.blocks_max,
    )


def occupancy_percent(capability: int, *, threads: int, registers: int, shared_bytes: int) -> int:
    """Return the share of a multiprocessor's warps that a kernel can fill, rounded down."""
    blocks = blocks_that_fit(
        capability, threads=threads, registers=registers, shared_bytes=shared_bytes
    )
    warps = blocks * -(-threads // WARP)
    return 100 * warps // MULTIPROCESSORS[capability].warps_max


def _round_up(value: int, unit: int) -> int:
    return -(-value // unit) * unit
