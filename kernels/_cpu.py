"""The ``cpu`` device: each kernel is NumPy.

Kernels that promise the same bits everywhere are those of `kernels.exact`, and give them here
too; the others are their references. It is slow. It is there so that everything that drives a
device runs on every machine and so that a result of a card can be checked anywhere; CPU-only
nodes serve chats with the NumPy engine of `kernels.models`, which does not go through this port.
"""

import os
from collections.abc import Callable, Hashable, Mapping

import numpy as np
from numpy.typing import NDArray

from kernels.device import Argument, Buffer, DeviceKind, HostBytes, MemoryInfo, check_launch
from kernels.errors import DeviceUnavailable, LaunchError
from kernels.exact import EXACT
from kernels.reference import REFERENCES
from kernels.registry import FAMILIES
from kernels.spec import KernelSpec, Parameter, Scalars


class CpuBuffer:
    """Bytes of host memory."""

    def __init__(self, size_bytes: int) -> None:
        self.data: NDArray[np.uint8] | None = np.zeros(size_bytes, np.uint8)
        self._size_bytes = size_bytes

    @property
    def size_bytes(self) -> int:
        """Size in bytes."""
        return self._size_bytes


class CpuDevice:
    """The device without a card. See the module."""

    def __init__(self) -> None:
        self.kind: DeviceKind = "cpu"
        self.name = "CPU (NumPy)"

    def allocate(self, size_bytes: int) -> CpuBuffer:
        """See `Device.allocate`."""
        if size_bytes <= 0:
            raise LaunchError(f"cannot allocate {size_bytes} bytes")
        try:
            return CpuBuffer(size_bytes)
        except MemoryError as error:
            raise DeviceUnavailable(f"no memory for {size_bytes} bytes") from error

    def free(self, buffer: Buffer) -> None:
        """See `Device.free`."""
        self.clear(buffer)
        _own(buffer).data = None

    def clear(self, buffer: Buffer) -> None:
        """See `Device.clear`."""
        _bytes(buffer).fill(0)

    def copy_in(self, buffer: Buffer, data: HostBytes) -> None:
        """See `Device.copy_in`."""
        source = np.frombuffer(data, np.uint8)
        if source.size > buffer.size_bytes:
            raise LaunchError(f"{source.size} bytes do not fit into {buffer.size_bytes}")
        _bytes(buffer)[: source.size] = source

    def copy_out(self, buffer: Buffer, size_bytes: int) -> bytearray:
        """See `Device.copy_out`."""
        if not 0 <= size_bytes <= buffer.size_bytes:
            raise LaunchError(f"{size_bytes} bytes are not in a buffer of {buffer.size_bytes}")
        return bytearray(_bytes(buffer)[:size_bytes].data)

    def load(self, family: str) -> None:
        """See `Device.load`."""
        if family not in FAMILIES:
            raise LaunchError(f"no kernel family is called {family!r}")

    def launch(self, kernel: KernelSpec, arguments: Mapping[str, Argument]) -> None:
        """See `Device.launch`."""
        checked = check_launch(kernel, arguments)
        arrays = {
            parameter.name: _view(arguments[parameter.name], parameter, checked.scalars)
            for parameter in kernel.arrays
        }
        compute = EXACT.get(kernel.name) or REFERENCES[kernel.reference]
        compute(**arrays, **checked.scalars)

    def repeat(self, key: Hashable, launches: Callable[[], None]) -> None:
        """See `Device.repeat`; a launch here costs little, so nothing is recorded."""
        launches()

    def synchronise(self) -> None:
        """See `Device.synchronise`; a launch here is done when it returns."""

    def memory_info(self) -> MemoryInfo:
        """See `Device.memory_info`."""
        page_bytes = os.sysconf("SC_PAGE_SIZE")
        return MemoryInfo(
            free_bytes=os.sysconf("SC_AVPHYS_PAGES") * page_bytes,
            total_bytes=os.sysconf("SC_PHYS_PAGES") * page_bytes,
        )

    def close(self) -> None:
        """See `Device.close`; memory goes with its last reference."""


def _own(buffer: Argument) -> CpuBuffer:
    if not isinstance(buffer, CpuBuffer):
        raise LaunchError("the buffer belongs to another device")
    return buffer


def _bytes(buffer: Argument) -> NDArray[np.uint8]:
    data = _own(buffer).data
    if data is None:
        raise LaunchError("the buffer was freed")
    return data


def _view(buffer: Argument, parameter: Parameter, scalars: Scalars) -> NDArray[np.generic]:
    """Return the part of *buffer* that the launch touches, typed and shaped."""
    used = _bytes(buffer)[: parameter.size_bytes(scalars)]
    view: NDArray[np.generic] = used.view(parameter.dtype.value)
    return view.reshape(parameter.shape_of(scalars))
