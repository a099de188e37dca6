"""The child process that runs a customer's kernel. See `kernels.custom.running`."""

import sys
import time
from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np

from kernels.custom.child import DONE, STARTED, say
from kernels.custom.confinement import can_confine, confine, die_with_parent, limit_resources
from kernels.custom.gauge import shared_env
from kernels.custom.job import Argument, KernelJob, Role
from kernels.custom.running import RunAnswer, RunRequest
from kernels.errors import DeviceUnavailable, KernelError, LaunchError
from kernels.ptx.arena import Arena, Block
from kernels.ptx.errors import FaultReason, LaunchFault
from kernels.ptx.run import KernelArgument, Module
from kernels.ptx.translation import Translation

if TYPE_CHECKING:
    from kernels._cuda import CudaBuffer, CudaDevice

PAGE: Final = 256


class _Progress:
    """Tells the parent, one byte each and in this order, when the kernel begins and is over."""

    def __init__(self) -> None:
        self._began_s: float | None = None
        self._is_over = False
        self.passed_us = 0

    @property
    def began(self) -> bool:
        """Whether anything of the customer's has run."""
        return self._began_s is not None

    def begin(self) -> None:
        """The kernel starts now."""
        say(STARTED)
        self._began_s = time.perf_counter()

    def end(self) -> None:
        """The kernel is over, or there was none."""
        if self._is_over:
            return
        self._is_over = True
        if self._began_s is None:
            say(STARTED)
        else:
            self.passed_us = max(1, round(1e6 * (time.perf_counter() - self._began_s)))
        say(DONE)


def _answer(request: RunRequest, progress: _Progress) -> RunAnswer:
    missing = can_confine()
    if missing and request.must_confine:
        return RunAnswer(unavailable=missing)
    if request.device == "cuda":
        return _on_card(request, progress)
    return _on_cpu(request, progress, confined=not missing)


def _on_cpu(request: RunRequest, progress: _Progress, *, confined: bool) -> RunAnswer:
    job = request.job
    arena = Arena(sum(each.size_bytes + PAGE for each in job.arguments) + PAGE)
    arguments = _placed(job, arena)
    env = shared_env(request.gauge) if request.gauge >= 0 else None
    limit_resources(memory_bytes=request.memory_bytes + arena.size_bytes, cpu_s=request.cpu_s)
    if confined:
        confine()
    module = Module(Translation.unpack(request.translation))  # machine code of a stranger's
    progress.begin()
    try:
        report = module.entry(job.entry).launch(
            arena,
            job.grid,
            job.block,
            arguments,
            shared_size_bytes=job.shared_bytes,
            fuel=job.limits.fuel,
            env=env,
        )
    except LaunchFault as fault:
        progress.end()
        out_of_fuel = fault.reason is FaultReason.OUT_OF_FUEL
        return RunAnswer(
            fault=str(fault),
            out_of_fuel=out_of_fuel,
            device_us=progress.passed_us,
            fuel=job.limits.fuel if out_of_fuel else fault.fuel_used,
        )
    progress.end()
    return RunAnswer(
        outputs=_outputs(job.arguments, arguments, arena),
        device_us=progress.passed_us,
        fuel=report.fuel_used,
    )


def _placed(job: KernelJob, arena: Arena) -> list[KernelArgument]:
    """Put the arrays into the arena; return what each parameter gets."""
    placed: list[KernelArgument] = []
    for each in job.arguments:
        if each.role is Role.SCALAR:
            placed.append(each.data)
            continue
        block = arena.allocate(each.size_bytes)
        if each.data:
            arena.view(block.address, block.size_bytes)[:] = np.frombuffer(each.data, np.uint8)
        placed.append(block)
    return placed


def _outputs(
    arguments: Sequence[Argument], placed: Sequence[KernelArgument], arena: Arena
) -> tuple[bytes, ...]:
    return tuple(
        arena.view(block.address, block.size_bytes).tobytes()
        for each, block in zip(arguments, placed, strict=True)
        if each.role in {Role.OUT, Role.INOUT} and isinstance(block, Block)
    )


def _on_card(request: RunRequest, progress: _Progress) -> RunAnswer:
    """Run on a card. The driver needs its devices and files, so it is not confined here.

    A process of its own has its own address space on the card, and its memory is zeroed before
    anybody else gets it; the parent kills it when its time is up.
    """
    from kernels._cuda import open_cuda  # noqa: PLC0415  (loads the driver)

    die_with_parent()
    try:
        with closing(open_cuda()) as device:
            return _on_open_card(device, request, progress)
    except DeviceUnavailable as error:
        return RunAnswer(unavailable=str(error))
    except LaunchError as error:
        if not progress.began:
            return RunAnswer(rejected=str(error))
        return RunAnswer(fault=str(error), device_us=progress.passed_us)


def _on_open_card(device: "CudaDevice", request: RunRequest, progress: _Progress) -> RunAnswer:
    job = request.job
    values: list[CudaBuffer | np.number[Any]] = []
    for each in job.arguments:
        if each.role is Role.SCALAR:
            values.append(np.frombuffer(each.data, np.dtype(each.dtype.value))[0])
            continue
        buffer = device.allocate(each.size_bytes)
        if each.data:
            device.copy_in(buffer, each.data)
        values.append(buffer)
    try:
        device_us = device.run_code(
            request.translation,
            job.entry,
            grid=job.grid,
            block=job.block,
            shared_bytes=job.shared_bytes,
            values=values,
            before=progress.begin,
        )
    finally:
        progress.end()
    outputs = tuple(
        bytes(device.copy_out(value, each.size_bytes))
        for each, value in zip(job.arguments, values, strict=True)
        if each.role in {Role.OUT, Role.INOUT} and not isinstance(value, np.number)
    )
    return RunAnswer(outputs=outputs, device_us=max(1, device_us))


def main() -> None:
    """Serve one request."""
    request = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=RunRequest)
    progress = _Progress()
    try:
        answer = _answer(request, progress)
    except KernelError as error:
        answer = RunAnswer(fault=str(error))
    progress.end()
    say(msgspec.msgpack.encode(answer))


if __name__ == "__main__":
    main()
