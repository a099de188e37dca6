"""The port to a device that runs kernels, the choice of one, and what a GPU lacks to be used.

A device is driven by one thread and blocks: callers give it a worker process. The numbers of a
launch are checked by the kernel's spec before any device sees them.

The ``cuda`` device was built with real NVRTC and real PyCUDA and is tested on an emulated driver;
it was never run on a card by us, and `GpuReport.note` says so to the operator.
"""

import ctypes
import functools
import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, Protocol, TypeAlias

from kernels.compile import find_nvrtc, nvrtc_major
from kernels.errors import DeviceUnavailable, LaunchError
from kernels.spec import Dim3, KernelSpec

DeviceKind: TypeAlias = Literal["cuda", "cpu"]
HostBytes: TypeAlias = bytes | bytearray | memoryview

PLANS_MAX: Final = 1024
"""Checked launches that are remembered."""

SELF_TEST_S: Final = 60
"""Seconds that the start of a card may take in the probe's child process."""

PTX_REMEDY: Final = "pip install llvmlite nvidia-cuda-nvrtc"
"""What mends all that `probe_ptx` finds. Here and below by name, not by our extras: for those pip
would build a package that libp2p pins (requirements/README.md)."""
GPU_REMEDY: Final = "PATH=/usr/local/cuda/bin:$PATH pip install pycuda nvidia-cuda-nvrtc"

UNPROVEN: Final = "the GPU path is built and emulated, and was never run on a card by us"


class Buffer(Protocol):
    """Memory of one device. It is opaque: only the device that made it can use it."""

    @property
    def size_bytes(self) -> int:
        """Its size in bytes."""


Argument: TypeAlias = Buffer | int | float


@dataclass(frozen=True, slots=True)
class MemoryInfo:
    """Memory of a device, in bytes."""

    free_bytes: int
    total_bytes: int


class Device(Protocol):
    """A place where kernels run. Every method raises `LaunchError` when the device fails."""

    kind: DeviceKind
    name: str

    def allocate(self, size_bytes: int) -> Buffer:
        """Return new memory, zeroed.

        Raises:
            DeviceUnavailable: there is not enough of it.
        """

    def free(self, buffer: Buffer) -> None:
        """Overwrite *buffer* with zeros and give it back; it is dead afterwards."""

    def clear(self, buffer: Buffer) -> None:
        """Overwrite *buffer* with zeros, so that no later job can read this one's data."""

    def copy_in(self, buffer: Buffer, data: HostBytes) -> None:
        """Copy *data* to the start of *buffer*."""

    def copy_out(self, buffer: Buffer, size_bytes: int) -> bytearray:
        """Return the first *size_bytes* of *buffer*, after all launches before it."""

    def load(self, family: str) -> None:
        """Make the kernels of `cuda/<family>.cu` ready. Doing it twice costs nothing."""

    def launch(self, kernel: KernelSpec, arguments: Mapping[str, Argument]) -> None:
        """Run *kernel*, with its arguments by name; it may still run on return."""

    def repeat(self, key: Hashable, launches: Callable[[], None]) -> None:
        """Do *launches*, or again what they did before under this *key*.

        Args:
            key: names the series: each time it must be the same launches, of the same buffers and
                numbers. What differs from time to time is data in the buffers.
            launches: calls `launch`, and nothing else of the device.
        """

    def synchronise(self) -> None:
        """Wait until every launch is done."""

    def memory_info(self) -> MemoryInfo:
        """Return free and total memory."""

    def close(self) -> None:
        """Zero and free everything. Closing twice is allowed."""


@dataclass(frozen=True, slots=True)
class Launch:
    """A launch that was checked: what a device needs beside the arguments themselves."""

    grid: Dim3
    scalars: Mapping[str, int | float]
    needed_bytes: tuple[tuple[str, int], ...]
    """For each array, its name and how many bytes the launch touches."""


def check_launch(kernel: KernelSpec, arguments: Mapping[str, Argument]) -> Launch:
    """Check names, types and sizes of *arguments* against *kernel*.

    Raises:
        LaunchError: something does not fit.
    """
    if len(arguments) != len(kernel.parameters):
        raise LaunchError(f"{kernel.name}: {_difference(kernel, arguments)}")
    try:
        scalars: list[Any] = [arguments[name] for name in kernel.scalar_names]
        launch = _planned(kernel, *scalars)
        for name, needed_bytes in launch.needed_bytes:
            argument = arguments[name]
            if isinstance(argument, int | float):
                raise LaunchError(f"{kernel.name}: {name} must be a buffer")
            if argument.size_bytes < needed_bytes:
                raise LaunchError(
                    f"{kernel.name}: {name} has {argument.size_bytes} bytes, "
                    f"and the launch touches {needed_bytes}"
                )
    except KeyError:
        raise LaunchError(f"{kernel.name}: {_difference(kernel, arguments)}") from None
    return launch


@functools.lru_cache(maxsize=PLANS_MAX, typed=True)
def _planned(kernel: KernelSpec, *values: object) -> Launch:
    """Check the scalars. A decode step launches a few plans hundreds of times."""
    scalars = kernel.scalars(values)
    needed_bytes = tuple((each.name, each.size_bytes(scalars)) for each in kernel.arrays)
    return Launch(kernel.launch_grid(scalars), scalars, needed_bytes)


def _difference(kernel: KernelSpec, arguments: Mapping[str, Argument]) -> str:
    names = {each.name for each in kernel.parameters}
    return f"arguments differ: {sorted(names ^ set(arguments))}"


@dataclass(frozen=True, slots=True)
class GpuReport:
    """What `probe_gpu` found, in words for the operator.

    Attributes:
        present: there is an NVIDIA card.
        usable: `open_device("cuda")` works.
        reasons: what is missing, one plain sentence each.
        remedy: the one command that mends the first of them, or "" when there is none.
        note: what the operator should know even if all is well.
    """

    present: bool
    usable: bool
    reasons: tuple[str, ...]
    remedy: str
    note: str = UNPROVEN


@dataclass(frozen=True, slots=True)
class GpuFacts:
    """What there is on this machine, before it is judged.

    Attributes:
        card_seen: the system shows an NVIDIA device.
        driver_version: CUDA version that the driver speaks, major * 1000 + minor * 10, or None
            when its library cannot be loaded.
        driver_trouble: why the driver's library shows no card, or "".
        has_pycuda: the package is installed.
        nvrtc_major: CUDA major version of NVRTC, 0 when unknown, None when there is none.
        start_trouble: why the device did not start although everything is there, or "".
    """

    card_seen: bool
    driver_version: int | None = None
    driver_trouble: str = ""
    has_pycuda: bool = False
    nvrtc_major: int | None = None
    start_trouble: str = ""


def judge_gpu(facts: GpuFacts) -> GpuReport:
    """Say what *facts* mean, and which command helps."""
    if not facts.card_seen:
        return GpuReport(False, False, ("there is no NVIDIA card: jobs run on the CPU",), "")
    found = tuple(_troubles(facts))
    reasons = tuple(reason for reason, _ in found)
    return GpuReport(True, not found, reasons, found[0][1] if found else "")


def _troubles(facts: GpuFacts) -> list[tuple[str, str]]:
    """Return (reason, remedy) for all that is missing, the deepest first."""
    found = []
    if facts.driver_version is None or facts.driver_trouble:
        why = facts.driver_trouble or "its library libcuda.so.1 is missing"
        found.append((f"the NVIDIA driver does not work: {why}", _driver_command()))
    if not facts.has_pycuda:
        found.append(("PyCUDA is not installed (building it needs a CUDA toolkit)", GPU_REMEDY))
    if facts.nvrtc_major is None:
        found.append(
            ("the CUDA compiler library NVRTC is missing", "pip install nvidia-cuda-nvrtc")
        )
    elif facts.driver_version and facts.driver_version < facts.nvrtc_major * 1000:
        reason = (
            f"the driver speaks CUDA {facts.driver_version // 1000}, and NVRTC makes code "
            f"for CUDA {facts.nvrtc_major}"
        )
        found.append((reason, _driver_command()))
    if facts.start_trouble:
        found.append((f"the card does not start: {facts.start_trouble}", "nvidia-smi"))
    return found


def _driver_command() -> str:
    if shutil.which("ubuntu-drivers"):
        return "sudo ubuntu-drivers install"
    return "sudo apt-get install nvidia-driver && sudo reboot"


def probe_gpu(*, start: bool = True) -> GpuReport:
    """Find out whether a GPU can be used, and say what is missing.

    Without a card this takes a few milliseconds. With one, a child process starts the device to
    see that it works, so that this process never holds a context.

    Args:
        start: False leaves that out: all is there, and may still fail.
    """
    facts = _gather()
    report = judge_gpu(facts)
    if not report.usable or not start:
        return report
    return judge_gpu(_with_start_trouble(facts, _start_trouble()))


def _with_start_trouble(facts: GpuFacts, trouble: str) -> GpuFacts:
    return GpuFacts(
        card_seen=facts.card_seen,
        driver_version=facts.driver_version,
        has_pycuda=facts.has_pycuda,
        nvrtc_major=facts.nvrtc_major,
        start_trouble=trouble,
    )


def _gather() -> GpuFacts:
    if not _card_seen():
        return GpuFacts(card_seen=False)
    version, trouble = _driver()
    nvrtc = find_nvrtc()
    return GpuFacts(
        card_seen=True,
        driver_version=version,
        driver_trouble=trouble,
        has_pycuda=importlib.util.find_spec("pycuda") is not None,
        nvrtc_major=None if nvrtc is None else nvrtc_major(nvrtc) or 0,
    )


def _card_seen() -> bool:
    """Look for a card without loading anything: device files, WSL's included, or the PCI bus."""
    if any(Path("/dev").glob("nvidia[0-9]*")) or Path("/usr/lib/wsl/lib/libcuda.so.1").exists():
        return True
    return any(_is_nvidia_display(each) for each in Path("/sys/bus/pci/devices").glob("*"))


def _is_nvidia_display(device: Path) -> bool:
    try:
        vendor, kind = (device / "vendor").read_text(), (device / "class").read_text()
    except OSError:
        return False
    return vendor.strip() == "0x10de" and kind.startswith("0x03")


def _driver() -> tuple[int | None, str]:
    """Return the CUDA version of the driver and what is wrong with it, or ""."""
    try:
        library = ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        return None, str(error)
    version = ctypes.c_int()
    library.cuDriverGetVersion(ctypes.byref(version))
    return version.value, ""


def _start_trouble() -> str:
    """Open and close the device in a child process; return its last words if that fails."""
    code = "from kernels._cuda import open_cuda; open_cuda().close()"
    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SELF_TEST_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"it gave no answer in {SELF_TEST_S} s"
    if done.returncode == 0:
        return ""
    return (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1][:300]


def probe_ptx() -> tuple[str, ...]:
    """Return what running CUDA sources on the processor lacks, a sentence each, or nothing."""
    found = []
    if importlib.util.find_spec("llvmlite") is None:
        found.append("llvmlite is not installed")
    if find_nvrtc() is None:
        found.append("the CUDA compiler library NVRTC is missing")
    return tuple(found)


def available_devices() -> tuple[DeviceKind, ...]:
    """Return the kinds that `open_device` can open here, the best first."""
    return ("cuda", "cpu") if probe_gpu().usable else ("cpu",)


def open_device(choice: Literal["auto"] | DeviceKind = "auto") -> Device:
    """Open a device; close it when done.

    The thread that opens a device must be the one that uses it.

    Args:
        choice: ``auto`` takes a card when one can be used, and the CPU otherwise.

    Raises:
        DeviceUnavailable: *choice* is ``cuda`` and it cannot be used; the message says why and
            which command helps.
    """
    if choice == "cpu":
        return _open_cpu()
    report = probe_gpu(start=False)
    if not report.usable:
        if choice == "auto":
            return _open_cpu()
        remedy = f"; try: {report.remedy}" if report.remedy else ""
        raise DeviceUnavailable("; ".join(report.reasons) + remedy)
    from kernels._cuda import open_cuda  # noqa: PLC0415 - loads the driver, only with a card

    try:
        return open_cuda()
    except DeviceUnavailable:
        if choice == "cuda":
            raise
        return _open_cpu()  # `cocoon doctor` says why the card does not start


def _open_cpu() -> Device:
    """Open the device that runs the CUDA sources, or the NumPy references where it cannot be."""
    from kernels._cpu import CpuDevice  # noqa: PLC0415 - NumPy is loaded only when used

    try:
        from kernels._cpu_ptx import PtxDevice  # noqa: PLC0415 - and llvmlite may be absent

        return PtxDevice()
    except (DeviceUnavailable, ImportError):
        return CpuDevice()
