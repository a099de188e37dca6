"""The process that a test runs: our `cuda` device, on PyCUDA, on the fixture.

`connect` loads the fixture's library before anything asks for libcuda.so.1 and gives it functions
that do with `kernels.ptx` what a driver does with a card. The card that it shows is newer than any
that NVRTC knows, so the device asks NVRTC for PTX, as it would with such a card.
"""

import atexit
import ctypes
import sys
from collections.abc import Callable
from pathlib import Path

from kernels.errors import DeviceUnavailable, LaunchError
from kernels.ptx import (
    Arena,
    Block,
    Entry,
    FaultReason,
    LaunchFault,
    Mode,
    Module,
    PtxError,
    translate,
)
from kernels.ptx.runtime_layout import ORIGIN

CAPABILITY = 999
MEMORY_BYTES = 2**28
OUT_OF_MEMORY, INVALID_VALUE, INVALID_IMAGE, INVALID_PTX, INVALID_HANDLE = 2, 1, 200, 218, 400
NO_BINARY, NOT_FOUND, ILLEGAL_ADDRESS, LAUNCH_FAILED = 209, 500, 700, 719
ACCESS_FAULTS = {FaultReason.OUT_OF_BOUNDS, FaultReason.MISALIGNED, FaultReason.READ_ONLY}
CUDA_MACHINE = 190
COUNTED = (
    "contexts", "streams", "events", "modules", "launches", "graphs", "graph_starts",
    "recorded_launches",
)  # fmt: skip
"""As fixture_counts has them: those that live; launches on a stream that were run at once, graphs
that live, were started, and launches that were put into one."""

_U64, _U64_OUT = ctypes.c_uint64, ctypes.POINTER(ctypes.c_uint64)
_TYPES = {
    "allocate": (_U64, _U64_OUT),
    "release": (_U64,),
    "holds": (_U64, _U64),
    "load": (ctypes.c_void_p, _U64, _U64_OUT),
    "unload": (_U64,),
    "find": (_U64, ctypes.c_char_p, _U64_OUT),
    "launch": (_U64, ctypes.POINTER(ctypes.c_uint32), ctypes.c_void_p, _U64),
    "memory": (_U64_OUT, _U64_OUT),
}
_PROTOTYPES = {name: ctypes.CFUNCTYPE(ctypes.c_int, *types) for name, types in _TYPES.items()}


class Table(ctypes.Structure):
    _fields_ = tuple(_PROTOTYPES.items())


class Executor:
    """What the driver is asked to do, done on the CPU. Methods return a CUresult."""

    def __init__(self) -> None:
        self.arena = Arena(MEMORY_BYTES, is_checked=True)
        self.last_fault = ""
        self.images: list[bytes] = []
        self._blocks: dict[int, Block] = {}
        self._modules: dict[int, Module | bytes] = {}
        self._functions: dict[int, Entry | None] = {}
        self._serial = 0

    def _number(self) -> int:
        self._serial += 1
        return self._serial

    def buffers(self) -> list[Block]:
        """What the device has allocated and not freed."""
        return list(self._blocks.values())

    def allocate(self, size_bytes: int, address: Callable) -> int:
        try:
            block = self.arena.allocate(size_bytes)
        except DeviceUnavailable:
            return OUT_OF_MEMORY
        self.arena.view(block.address, size_bytes).fill(0xA5)  # a card's memory is not zeroed
        self._blocks[block.address] = block
        address[0] = block.address
        return 0

    def release(self, address: int) -> int:
        block = self._blocks.pop(address, None)
        if block is None:
            return INVALID_VALUE
        self.arena.free(block)
        return 0

    def holds(self, address: int, size_bytes: int) -> int:
        return 0 if size_bytes == 0 or self.arena.holds(address, size_bytes) else INVALID_VALUE

    def load(self, image: int, size_bytes: int, module: Callable) -> int:
        data = ctypes.string_at(image, size_bytes)
        self.images.append(data)
        number = self._number()
        if data.startswith(b"\x7fELF"):
            if int.from_bytes(data[18:20], "little") != CUDA_MACHINE:
                return INVALID_IMAGE
            self._modules[number] = data
        else:
            try:
                self._modules[number] = translate(data, mode=Mode.STRICT)
            except PtxError as error:
                self.last_fault = str(error)
                return INVALID_PTX
        module[0] = number
        return 0

    def unload(self, module: int) -> int:
        return 0 if self._modules.pop(module, None) is not None else INVALID_HANDLE

    def find(self, module: int, name: bytes, function: Callable) -> int:
        loaded = self._modules.get(module)
        if isinstance(loaded, bytes):
            if b"\0" + name + b"\0" not in loaded:
                return NOT_FOUND
            entry = None
        elif loaded is None or name.decode() not in loaded.names:
            return NOT_FOUND
        else:
            entry = loaded.entry(name.decode())
        function[0] = number = self._number()
        self._functions[number] = entry
        return 0

    def launch(self, function: int, sizes: Callable, parameters: int, size_bytes: int) -> int:
        entry = self._functions.get(function)
        if entry is None:
            return NO_BINARY  # machine code of a card cannot run here
        data = ctypes.string_at(parameters, size_bytes)
        if size_bytes < max((start + size for start, size in entry.info.parameters), default=0):
            return INVALID_VALUE
        arguments = [data[start : start + size] for start, size in entry.info.parameters]
        grid, block = tuple(sizes[0:3]), tuple(sizes[3:6])
        try:
            entry.launch(self.arena, grid, block, arguments, shared_size_bytes=sizes[6])
        except LaunchFault as fault:
            self.last_fault = str(fault)
            return ILLEGAL_ADDRESS if fault.reason in ACCESS_FAULTS else LAUNCH_FAILED
        except LaunchError as error:
            self.last_fault = str(error)
            return INVALID_VALUE
        return 0

    def memory(self, free_bytes: Callable, total_bytes: Callable) -> int:
        free_bytes[0], total_bytes[0] = self.arena.free_bytes, self.arena.limit_bytes
        return 0


class Fixture:
    """The library, connected to an executor."""

    def __init__(self, library_folder: Path) -> None:
        self.executor = Executor()
        self._table = Table(
            *[each(getattr(self.executor, name)) for name, each in _PROTOTYPES.items()]
        )
        path = str(library_folder / "libcuda.so.1")
        self._library = ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
        self.show_card(CAPABILITY)
        atexit.register(self._library.fixture_disconnect)

    def show_card(self, capability: int) -> None:
        """Look like a card of this compute capability, times ten."""
        self._library.fixture_connect(
            ctypes.byref(self._table),
            ctypes.c_void_p(self.executor.arena.base),
            ctypes.c_uint64(ORIGIN),
            capability,
        )

    def counts(self) -> dict[str, int]:
        """How many of what live, and what was asked of the driver so far."""
        found = (ctypes.c_uint64 * len(COUNTED))()
        self._library.fixture_counts(found)
        return dict(zip(COUNTED, found, strict=True))


def connect() -> Fixture:
    """Connect the fixture that the command line names: its folder, then PyCUDA's."""
    fixture = Fixture(Path(sys.argv[1]))
    sys.path.append(sys.argv[2])
    return fixture
