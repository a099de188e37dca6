"""Launch translated kernels."""

import ctypes
import math
import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np

from kernels.errors import LaunchError
from kernels.ptx._llvm import LoadedObject
from kernels.ptx.arena import ACCESS_BYTES, LOCAL_OFFSET, SHARED_OFFSET, Arena, Block
from kernels.ptx.errors import FaultReason, LaunchFault
from kernels.ptx.mode import Mode
from kernels.ptx.runtime_layout import (
    ORIGIN,
    SHARED_BYTES_MAX,
    THREADS_MAX,
    Env,
    Stop,
)
from kernels.ptx.translation import EntryInfo, StopRow, Translation

FUEL_MAX: Final = 2**62
GRID_MAX: Final = (2**31 - 1, 65_535, 65_535)

KernelArgument: TypeAlias = Block | int | float | bytes | np.number[Any]


@dataclass(frozen=True, slots=True)
class LaunchReport:
    """What a launch used.

    Attributes:
        fuel_used: instructions, counted a region or a turn of a loop at a time; 0 in fast mode is
            not true but close: only the regions are counted there.
    """

    fuel_used: int


class Module:
    """A translated module: its kernels, and its variables in each arena that it runs in."""

    def __init__(self, translation: Translation) -> None:
        self.mode: Final = Mode(translation.mode)
        self._translation = translation
        self._object = LoadedObject(translation.scheduler, translation.code)
        self._entries = {each.name: Entry(self, each, self._object) for each in translation.entries}
        self._statics: weakref.WeakKeyDictionary[Arena, Block] = weakref.WeakKeyDictionary()

    @property
    def names(self) -> tuple[str, ...]:
        """The kernels' names."""
        return tuple(self._entries)

    def entry(self, name: str) -> "Entry":
        """Return a kernel.

        Raises:
            LaunchError: there is none of that name.
        """
        try:
            return self._entries[name]
        except KeyError:
            raise LaunchError(f"no kernel is called {name!r}; there are {self.names}") from None

    def statics(self, arena: Arena) -> int:
        """Return the device address of the module's variables in *arena*."""
        if not self._translation.image:
            return ORIGIN
        block = self._statics.get(arena)
        if block is None:
            image = self._translation.image
            block = arena.allocate(len(image))
            arena.view(block.address, len(image))[:] = np.frombuffer(image, np.uint8)
            for start, size_bytes in self._translation.constants:
                arena.allocate_constants(block, start, size_bytes)
            self._statics[arena] = block
        return block.address


class Entry:
    """One kernel."""

    def __init__(self, module: Module, info: EntryInfo, code: LoadedObject) -> None:
        self.info: Final = info
        self._module = module
        self._code = code
        addresses = [
            code.address(f"{info.name}.region{number}") for number in range(len(info.stops))
        ]
        self._regions = (ctypes.c_uint64 * len(addresses))(*addresses)
        self._stops = (Stop * len(info.stops))(*map(_stop, info.stops))
        self._frames = np.empty(info.frame_bytes + 128, np.uint8)
        self._frames_address = -(-self._frames.ctypes.data // 64) * 64
        self._lock = threading.Lock()

    def launch(
        self,
        arena: Arena,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        args: Sequence[KernelArgument],
        *,
        shared_size_bytes: int = 0,
        fuel: int = FUEL_MAX,
        env: Env | None = None,
    ) -> LaunchReport:
        """Run the kernel to its end.

        Blocks run one after the other on the calling thread, in order, so the same launch gives
        the same bytes.

        Args:
            arena: the memory; in strict mode one made with `is_checked`.
            grid: blocks in x, y and z.
            block: threads of a block in x, y and z.
            args: for each parameter a buffer (its address is passed), a number, or its bytes.
            shared_size_bytes: of dynamic shared memory.
            fuel: instructions that it may execute, see `LaunchReport`.
            env: where the launch keeps its state, zeroed: so that others can read its fuel.

        Raises:
            LaunchError: the numbers or arguments do not fit the kernel.
            LaunchFault: the kernel was stopped.
        """
        self._check(arena, grid, block, shared_size_bytes)
        env = Env() if env is None else env
        packed = self._pack(args)
        ctypes.memmove(ctypes.addressof(env) + Env.parameters.offset, packed, len(packed))
        shared = self.info.shared_bytes + shared_size_bytes
        memory = self._work_memory(env, arena, block, shared, math.prod(grid))
        env.statics = self._module.statics(arena)
        env.fuel = max(0, min(fuel, FUEL_MAX))
        env.grid[:] = grid
        with self._lock:  # the frames are one block's
            self._code.run_grid(
                ctypes.addressof(env),
                ctypes.addressof(self._regions),
                ctypes.addressof(self._stops),
            )
        del memory
        if env.strict:
            arena.pass_epochs(env.epoch)
        fuel_used = max(0, min(fuel, FUEL_MAX)) - env.fuel
        if env.stop:
            fault = self._fault(env, arena)
            fault.fuel_used = min(fuel_used, fuel)
            raise fault
        return LaunchReport(fuel_used=fuel_used)

    def _check(
        self,
        arena: Arena,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        shared_size_bytes: int,
    ) -> None:
        name, threads = self.info.name, block[0] * block[1] * block[2]
        if min(block) < 1 or block[2] > 64 or threads > min(self.info.threads_max, THREADS_MAX):
            raise LaunchError(f"{name}: a block of {block}")
        if any(not 1 <= n <= most for n, most in zip(grid, GRID_MAX, strict=True)):
            raise LaunchError(f"{name}: a grid of {grid}")
        if not 0 <= shared_size_bytes <= SHARED_BYTES_MAX - self.info.shared_bytes:
            raise LaunchError(f"{name}: {shared_size_bytes} bytes of dynamic shared memory")
        if self._module.mode is Mode.STRICT and not arena.is_checked:
            raise LaunchError("strict mode needs an arena that is checked")

    def _work_memory(
        self, env: Env, arena: Arena, block: tuple[int, int, int], shared_bytes: int, blocks: int
    ) -> list[object]:
        """Point *env* at the memory of a block; the caller holds on to what is returned."""
        threads = block[0] * block[1] * block[2]
        window = 1 << max(4, (max(shared_bytes, 1) - 1).bit_length())
        env.arena, env.arena_mask = arena.base, arena.size_bytes - 1
        env.frames = self._frames_address
        env.shared, env.shared_size, env.shared_mask = SHARED_OFFSET, shared_bytes, window - 1
        env.local, env.local_stride = LOCAL_OFFSET, self.info.local_stride
        env.threads = threads
        env.block[:] = block
        memory: list[object] = []
        if self._module.mode is Mode.STRICT and arena.shadow is not None:
            races = np.zeros(max(1, shared_bytes) * ACCESS_BYTES, np.uint8)
            clocks = np.zeros(THREADS_MAX * 32, np.uint32)
            env.strict, env.shadow = 1, arena.shadow.ctypes.data
            env.races, env.clocks = races.ctypes.data, clocks.ctypes.data
            env.touches, env.first_block = arena.count_blocks(blocks)
            env.block_serial = env.first_block - 1
            env.words, env.epoch = arena.next_epoch()
            memory += [races, clocks]
        else:
            arena.bytes[SHARED_OFFSET : SHARED_OFFSET + window] = 0
        return memory

    def _pack(self, args: Sequence[KernelArgument]) -> bytes:
        """Return the parameters as the kernel reads them."""
        if len(args) != len(self.info.parameters):
            raise LaunchError(
                f"{self.info.name} takes {len(self.info.parameters)} arguments, not {len(args)}"
            )
        end = max((offset + size for offset, size in self.info.parameters), default=0)
        packed = bytearray(end)
        for (offset, size), value in zip(self.info.parameters, args, strict=True):
            data = _argument_bytes(value, size)
            if len(data) != size:
                raise LaunchError(
                    f"{self.info.name}: an argument of {len(data)} bytes, and {size} are wanted"
                )
            packed[offset : offset + size] = data
        return bytes(packed)

    def _fault(self, env: Env, arena: Arena) -> LaunchFault:
        reason = FaultReason(env.stop)
        return LaunchFault(reason, self.info.name, _detail(env, reason, arena), env.fault_line)


def _stop(row: StopRow) -> Stop:
    return Stop(row.kind, row.cost, row.line, row.constant, row.source, row.clamp, row.mask, 0)


def _argument_bytes(value: KernelArgument, size_bytes: int) -> bytes:
    if isinstance(value, Block):
        return value.address.to_bytes(8, "little")
    if isinstance(value, np.number):
        return bytes(value.tobytes())
    if isinstance(value, float):
        return np.array(value, f"<f{size_bytes}" if size_bytes in {2, 4, 8} else "<f4").tobytes()
    if isinstance(value, int):
        try:
            return value.to_bytes(size_bytes, "little", signed=value < 0)
        except OverflowError:
            raise LaunchError(f"{value} does not fit into {size_bytes} bytes") from None
    return bytes(value)


_ACCESS_REASONS: Final = {
    FaultReason.OUT_OF_BOUNDS,
    FaultReason.MISALIGNED,
    FaultReason.UNINITIALISED_SHARED,
    FaultReason.DATA_RACE,
    FaultReason.READ_ONLY,
    FaultReason.BLOCK_RACE,
}


def _detail(env: Env, reason: FaultReason, arena: Arena) -> str:
    """Say which thread did what where."""
    if reason is FaultReason.OUT_OF_FUEL:
        return ""
    block = ", ".join(map(str, env.index))
    if reason in {FaultReason.DEADLOCK, FaultReason.DIVERGENT_BARRIER, FaultReason.TRAP}:
        return f" in block ({block})"
    text = f": thread {env.fault_thread} of block ({block})"
    if reason not in _ACCESS_REASONS:
        return text
    action = "writes" if env.fault_write else "reads"
    text += f" {action} {env.fault_size} bytes "
    if env.fault_space in {1, 2}:
        window = "shared" if env.fault_space == 1 else "local"
        size = env.shared_size if env.fault_space == 1 else env.local_stride
        text += f"at byte {env.fault_address} of {size} bytes of {window} memory"
    else:
        text += arena.describe(env.fault_address)
    if reason is FaultReason.BLOCK_RACE:
        x, y = env.fault_other % env.grid[0], env.fault_other // env.grid[0]
        text += f", which block ({x}, {y % env.grid[1]}, {y // env.grid[1]}) uses too"
    if reason is FaultReason.DATA_RACE:
        text += f", which thread {env.fault_other} uses without a barrier in between"
    return text
