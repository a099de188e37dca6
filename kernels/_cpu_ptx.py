"""The ``cpu`` device that runs the CUDA kernels themselves: NVRTC to PTX to this processor.

It needs NVRTC and llvmlite (`kernels.device.PTX_REMEDY`); without them the ``cpu`` device
is that of `kernels._cpu`, which runs the NumPy references. This one is what the tests compare
with those references, in `Mode.STRICT`, and what customers' kernels run on.
"""

import functools
import os
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kernels.compile import (
    CodeCache,
    Nvrtc,
    Source,
    Target,
    compile_cached,
    default_cache,
    family_source,
    find_nvrtc,
)
from kernels.device import (
    PTX_REMEDY,
    Argument,
    Buffer,
    DeviceKind,
    HostBytes,
    MemoryInfo,
    check_launch,
    probe_ptx,
)
from kernels.errors import DeviceUnavailable, LaunchError
from kernels.ptx import Arena, Block, Entry, Mode, translate
from kernels.spec import KernelSpec, Role


@functools.cache
def _compiler(path: Path) -> Nvrtc:
    return Nvrtc(path)


def compile_to_ptx(source: Source, cache: Path | None = None) -> str:
    """Return the PTX of *source* for the oldest cards that NVRTC knows; every newer card runs it.

    Raises:
        DeviceUnavailable: there is no NVRTC.
        CompileError: the source does not compile.
    """
    path = find_nvrtc()
    if path is None:
        raise DeviceUnavailable("the CUDA compiler library NVRTC is missing")
    compiler = _compiler(path)
    target = Target(virtual=True, capability=compiler.supported_capabilities()[0])
    code = compile_cached(compiler, source, target, CodeCache(cache or default_cache()))
    return code.rstrip(b"\0").decode()


class PtxBuffer:
    """Memory of one arena."""

    def __init__(self, block: Block) -> None:
        self.block = block

    @property
    def size_bytes(self) -> int:
        """Size in bytes."""
        return self.block.size_bytes


class PtxDevice:
    """The processor, as a device that runs PTX.

    Args:
        mode: what kernels are guarded against; see `Mode`.
        memory_bytes: how much can be allocated; the machine's memory by default.
        cache: folder of compiled kernels; the user's cache by default.

    Raises:
        DeviceUnavailable: NVRTC or llvmlite is missing.
    """

    def __init__(
        self,
        *,
        mode: Mode = Mode.MASKED,
        memory_bytes: int | None = None,
        cache: Path | None = None,
    ) -> None:
        if missing := probe_ptx():
            raise DeviceUnavailable(f"{'; '.join(missing)}; try: {PTX_REMEDY}")
        self.kind: DeviceKind = "cpu"
        self.name = f"CPU (PTX, {mode.value})"
        self._mode = mode
        self._cache = cache
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        self._arena: Arena | None = Arena(memory_bytes or total, is_checked=mode is Mode.STRICT)
        self._entries: dict[str, Entry] = {}
        self._families: set[str] = set()

    def allocate(self, size_bytes: int) -> PtxBuffer:
        """See `Device.allocate`."""
        return PtxBuffer(self._open().allocate(size_bytes))

    def free(self, buffer: Buffer) -> None:
        """See `Device.free`."""
        self._open().free(self._own(buffer))

    def clear(self, buffer: Buffer) -> None:
        """See `Device.clear`."""
        block = self._own(buffer)
        self._open().view(block.address, block.size_bytes).fill(0)

    def copy_in(self, buffer: Buffer, data: HostBytes) -> None:
        """See `Device.copy_in`."""
        source, block = np.frombuffer(data, np.uint8), self._own(buffer)
        if source.size > block.size_bytes:
            raise LaunchError(f"{source.size} bytes do not fit into {block.size_bytes}")
        self._open().view(block.address, source.size)[:] = source

    def copy_out(self, buffer: Buffer, size_bytes: int) -> bytearray:
        """See `Device.copy_out`."""
        block = self._own(buffer)
        if not 0 <= size_bytes <= block.size_bytes:
            raise LaunchError(f"{size_bytes} bytes are not in a buffer of {block.size_bytes}")
        return bytearray(self._open().view(block.address, size_bytes).data)

    def load(self, family: str) -> None:
        """See `Device.load`. The first time takes seconds; later ones read the cache.

        Raises:
            CompileError: the source does not compile.
            PtxError: its PTX cannot be translated.
        """
        if family not in self._families:
            self.load_source(family_source(family))
            self._families.add(family)

    def load_source(self, source: Source, names: Sequence[str] = ()) -> None:
        """Make the kernels of any CUDA source ready, or those of *names*.

        Raises:
            CompileError, PtxError: as `load`.
        """
        ptx = compile_to_ptx(source, self._cache)
        module = translate(ptx, mode=self._mode, entries=names, cache=self._cache)
        self._entries.update({name: module.entry(name) for name in module.names})

    def launch(self, kernel: KernelSpec, arguments: Mapping[str, Argument]) -> None:
        """See `Device.launch`.

        Raises:
            LaunchFault: the kernel was stopped; it says why and where.
        """
        arena, checked = self._open(), check_launch(kernel, arguments)
        if kernel.name not in self._entries:
            self.load(kernel.family)
        values: list[Any] = [
            checked.scalars[each.name]
            if each.role is Role.SCALAR
            else self._own(arguments[each.name])
            for each in kernel.parameters
        ]
        self._entries[kernel.name].launch(arena, checked.grid, kernel.block, values)

    def repeat(self, key: Hashable, launches: Callable[[], None]) -> None:
        """See `Device.repeat`; a launch here costs little, so nothing is recorded."""
        launches()

    def synchronise(self) -> None:
        """See `Device.synchronise`; a launch here is done when it returns."""
        self._open()

    def memory_info(self) -> MemoryInfo:
        """See `Device.memory_info`."""
        arena = self._open()
        return MemoryInfo(free_bytes=arena.free_bytes, total_bytes=arena.limit_bytes)

    def close(self) -> None:
        """See `Device.close`; the memory goes back to the system."""
        self._entries.clear()
        self._arena = None

    def _open(self) -> Arena:
        if self._arena is None:
            raise LaunchError("the device is closed")
        return self._arena

    def _own(self, buffer: Argument) -> Block:
        if not isinstance(buffer, PtxBuffer):
            raise LaunchError("the buffer belongs to another device")
        self._open().check(buffer.block)
        return buffer.block
