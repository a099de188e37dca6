"""The ``cuda`` device: the only importer of PyCUDA, and of its driver API alone.

One thread owns the context: the one that opened the device. Every other caller is refused,
because a CUDA context is current per thread and work of two threads would interleave.

All work goes through one stream of its own, in order; a launch returns before it is done. Series
of launches that repeat are recorded as CUDA graphs (`kernels._cuda_graphs`).

Built against real NVRTC and real PyCUDA, and run by every test run on an emulated driver
(tests/kernels/libcuda); never run on a card by us.
"""

import contextlib
import threading
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np

from kernels._cuda_graphs import Graphs, open_graph_calls
from kernels.compile import (
    CodeCache,
    Nvrtc,
    Target,
    choose_target,
    compile_cached,
    default_cache,
    family_source,
    find_nvrtc,
)
from kernels.device import Argument, Buffer, DeviceKind, HostBytes, MemoryInfo, check_launch
from kernels.errors import DeviceUnavailable, LaunchError
from kernels.spec import Dim3, Dtype, KernelSpec, Parameter, Role

ARGUMENT_CODES: Final = {Dtype.I32: "i", Dtype.F32: "f"}
"""Codes of scalars for PyCUDA's `Function.prepare`; they are those of `struct`."""


def open_cuda(
    *, ordinal: int = 0, cache: Path | None = None, virtual: bool = False
) -> "CudaDevice":
    """Open a card.

    Args:
        ordinal: which one, as the driver counts (`CUDA_VISIBLE_DEVICES` chooses and orders).
        cache: folder of compiled kernels; the user's cache by default.
        virtual: give the driver PTX instead of machine code.

    Raises:
        DeviceUnavailable: PyCUDA, the driver, the card or NVRTC is missing or fails to start.
    """
    driver = _import_driver()
    path = find_nvrtc()
    if path is None:
        raise DeviceUnavailable("the CUDA compiler library NVRTC is missing")
    compiler = Nvrtc(path)
    try:
        driver.init()
        card = driver.Device(ordinal)
        major, minor = card.compute_capability()
        target = choose_target(major * 10 + minor, compiler.supported_capabilities())
        if virtual:
            target = Target(virtual=True, capability=target.capability)
        context = card.make_context()
    except driver.Error as error:
        raise DeviceUnavailable(f"CUDA: {error}") from error
    return CudaDevice(
        driver=driver,
        context=context,
        card_name=card.name(),
        compiler=compiler,
        target=target,
        cache=CodeCache(cache or default_cache()),
    )


def _import_driver() -> ModuleType:
    try:
        # Untyped, and absent where there is no card; this module is the adapter, and loads it late.
        from pycuda import driver  # type: ignore[import-not-found,import-untyped,unused-ignore]  # noqa: PLC0415, TID251
    except ImportError as error:  # PyCUDA itself, or libcuda, or a symbol of a newer driver
        raise DeviceUnavailable(f"PyCUDA cannot be imported: {error}") from error
    module: ModuleType = driver
    return module


class CudaBuffer:
    """Memory of the card."""

    def __init__(self, allocation: Any, size_bytes: int) -> None:  # noqa: ANN401 - PyCUDA is untyped
        self.allocation = allocation
        self._size_bytes = size_bytes

    @property
    def size_bytes(self) -> int:
        """Size in bytes."""
        return self._size_bytes


class CudaDevice:
    """A card, its context, and the kernels loaded so far. Opened by `open_cuda`.

    PyCUDA has no type information, so its objects are `Any` in here and nowhere else.
    """

    def __init__(
        self,
        *,
        driver: Any,  # noqa: ANN401
        context: Any,  # noqa: ANN401
        card_name: str,
        compiler: Nvrtc,
        target: Target,
        cache: CodeCache,
    ) -> None:
        self.kind: DeviceKind = "cuda"
        self.name = card_name
        self._driver = driver
        self._context = context
        self._compiler = compiler
        self._target = target
        self._cache = cache
        self._stream = driver.Stream()
        self._graphs = Graphs(open_graph_calls(self._stream.handle))
        self._owner = threading.get_ident()
        self._modules: dict[str, Any] = {}
        self._functions: dict[str, Any] = {}
        self._buffers: set[CudaBuffer] = set()

    def allocate(self, size_bytes: int) -> CudaBuffer:
        """See `Device.allocate`."""
        if size_bytes <= 0:
            raise LaunchError(f"cannot allocate {size_bytes} bytes")
        with self._translated():
            try:
                allocation = self._driver.mem_alloc(size_bytes)
            except self._driver.MemoryError as error:
                raise DeviceUnavailable(f"no memory on the card for {size_bytes} bytes") from error
            buffer = CudaBuffer(allocation, size_bytes)
            self._buffers.add(buffer)
            self._zero(buffer)
        return buffer

    def free(self, buffer: Buffer) -> None:
        """See `Device.free`."""
        own = self._own(buffer)
        with self._translated():
            self._graphs.forget(own)
            self._zero(own)
            self._release(own)

    def clear(self, buffer: Buffer) -> None:
        """See `Device.clear`."""
        own = self._own(buffer)
        with self._translated():
            self._zero(own)

    def copy_in(self, buffer: Buffer, data: HostBytes) -> None:
        """See `Device.copy_in`."""
        size_bytes = memoryview(data).nbytes
        if size_bytes > buffer.size_bytes:
            raise LaunchError(f"{size_bytes} bytes do not fit into {buffer.size_bytes}")
        own = self._own(buffer)
        with self._translated():
            self._driver.memcpy_htod_async(own.allocation, data, self._stream)
            self._stream.synchronize()  # the caller may change its data

    def copy_out(self, buffer: Buffer, size_bytes: int) -> bytearray:
        """See `Device.copy_out`."""
        if not 0 <= size_bytes <= buffer.size_bytes:
            raise LaunchError(f"{size_bytes} bytes are not in a buffer of {buffer.size_bytes}")
        own, data = self._own(buffer), bytearray(size_bytes)
        if data:
            with self._translated():
                self._driver.memcpy_dtoh_async(data, own.allocation, self._stream)
                self._stream.synchronize()
        return data

    def load(self, family: str) -> None:
        """See `Device.load`. The first time takes about 0.3 s, later ones read the cache.

        Raises:
            CompileError: the source does not compile for this card.
        """
        if family in self._modules:
            return
        code = compile_cached(self._compiler, family_source(family), self._target, self._cache)
        with self._translated():
            self._modules[family] = self._driver.module_from_buffer(code)

    def launch(self, kernel: KernelSpec, arguments: Mapping[str, Argument]) -> None:
        """See `Device.launch`."""
        checked = check_launch(kernel, arguments)
        values = [
            checked.scalars[each.name]
            if each.role is Role.SCALAR
            else self._used(arguments[each.name])
            for each in kernel.parameters
        ]
        function = self._function(kernel)
        with self._translated():
            function.prepared_async_call(checked.grid, kernel.block, self._stream, *values)

    def repeat(self, key: Hashable, launches: Callable[[], None]) -> None:
        """See `Device.repeat`. From the third time on it is one call of the driver."""
        with self._translated():
            self._graphs.run(key, launches)

    def run_code(
        self,
        code: bytes,
        name: str,
        *,
        grid: Dim3,
        block: Dim3,
        shared_bytes: int,
        values: Sequence["CudaBuffer | np.number[Any]"],
        before: Callable[[], None] = lambda: None,
    ) -> int:
        """Run a kernel that is not of the registry, once; return its time in microseconds.

        Args:
            code: PTX or a cubin.
            name: of the entry.
            grid: blocks in x, y and z.
            block: threads of a block in x, y and z.
            shared_bytes: of dynamic shared memory.
            values: the arguments, in order.
            before: is called when all is loaded, right before the launch.

        Raises:
            LaunchError: the driver refuses the code, or the kernel fails.
        """
        with self._translated():
            function = self._driver.module_from_buffer(code).get_function(name)
            begin, end = self._driver.Event(), self._driver.Event()
            arguments = [
                each.allocation if isinstance(each, CudaBuffer) else each for each in values
            ]
            before()
            begin.record()
            function(*arguments, grid=grid, block=block, shared=shared_bytes)
            end.record()
            end.synchronize()
            elapsed_us: int = round(1000 * begin.time_till(end))
        return elapsed_us

    def synchronise(self) -> None:
        """See `Device.synchronise`."""
        with self._translated():
            self._stream.synchronize()

    def memory_info(self) -> MemoryInfo:
        """See `Device.memory_info`."""
        with self._translated():
            free_bytes, total_bytes = self._driver.mem_get_info()
        return MemoryInfo(free_bytes, total_bytes)

    def close(self) -> None:
        """See `Device.close`.

        After a failed launch nothing can be zeroed any more; the driver then destroys the context
        and zeroes its memory before another process gets it.
        """
        if self._context is None:
            return
        self._check_owner()
        with contextlib.suppress(LaunchError), self._translated():
            self._graphs.clear()
            for buffer in tuple(self._buffers):
                self._zero(buffer)
                self._release(buffer)
        self._functions.clear()
        self._modules.clear()
        self._buffers.clear()
        self._stream = None
        context, self._context = self._context, None
        context.pop()
        context.detach()

    def _function(self, kernel: KernelSpec) -> Any:  # noqa: ANN401 - PyCUDA is untyped
        found = self._functions.get(kernel.name)
        if found is None:
            self.load(kernel.family)
            with self._translated():
                found = self._modules[kernel.family].get_function(kernel.name)
                found.prepare("".join(map(_argument_code, kernel.parameters)))
            self._functions[kernel.name] = found
        return found

    def _own(self, buffer: Argument) -> CudaBuffer:
        if not isinstance(buffer, CudaBuffer) or buffer not in self._buffers:
            raise LaunchError("the buffer was freed or belongs to another device")
        return buffer

    def _used(self, buffer: Argument) -> Any:  # noqa: ANN401 - PyCUDA is untyped
        own = self._own(buffer)
        self._graphs.note(own)
        return own.allocation

    def _zero(self, buffer: CudaBuffer) -> None:
        self._driver.memset_d8_async(buffer.allocation, 0, buffer.size_bytes, self._stream)

    def _release(self, buffer: CudaBuffer) -> None:
        self._buffers.discard(buffer)
        buffer.allocation.free()

    def _check_owner(self) -> None:
        if threading.get_ident() != self._owner:
            raise LaunchError("the device belongs to the thread that opened it")

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """Refuse other threads and a closed device; turn the driver's errors into ours."""
        if self._context is None:
            raise LaunchError("the device is closed")
        self._check_owner()
        try:
            yield
        except self._driver.Error as error:
            raise LaunchError(f"CUDA: {error}") from error


def _argument_code(parameter: Parameter) -> str:
    return ARGUMENT_CODES[parameter.dtype] if parameter.role is Role.SCALAR else "P"
