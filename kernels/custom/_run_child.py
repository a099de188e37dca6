"""The child process that runs a customer's kernel. See `kernels.custom.running`."""

import sys
import time
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import numpy as np

from kernels.custom.child import STARTED
from kernels.custom.confinement import can_confine, confine, limit_resources
from kernels.custom.gauge import shared_env
from kernels.custom.job import Argument, KernelJob, Role
from kernels.custom.running import RunAnswer, RunRequest
from kernels.errors import KernelError
from kernels.ptx.arena import Arena, Block
from kernels.ptx.errors import FaultReason, LaunchFault
from kernels.ptx.run import KernelArgument, Module
from kernels.ptx.translation import Translation

PAGE: Final = 256


def _answer(request: RunRequest) -> RunAnswer:
    missing = can_confine()
    if missing and request.must_confine:
        return RunAnswer(unconfined=missing)
    if request.device == "cuda":
        return _on_card(request)
    return _on_cpu(request, confined=not missing)


def _on_cpu(request: RunRequest, *, confined: bool) -> RunAnswer:
    job = request.job
    module = Module(Translation.unpack(request.translation))
    arena = Arena(sum(each.size_bytes + PAGE for each in job.arguments) + PAGE)
    arguments = _placed(job, arena)
    env = shared_env(request.gauge) if request.gauge >= 0 else None
    limit_resources(memory_bytes=request.memory_bytes + arena.size_bytes, cpu_s=request.cpu_s)
    if confined:
        confine()
    _write(STARTED)
    began_s = time.perf_counter()
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
        out_of_fuel = fault.reason is FaultReason.OUT_OF_FUEL
        return RunAnswer(
            fault=str(fault),
            out_of_fuel=out_of_fuel,
            device_us=_passed_us(began_s),
            fuel=job.limits.fuel if out_of_fuel else fault.fuel_used,
        )
    device_us = _passed_us(began_s)
    return RunAnswer(
        outputs=_outputs(job.arguments, arguments, arena),
        device_us=device_us,
        fuel=report.fuel_used,
    )


def _passed_us(began_s: float) -> int:
    return max(1, round(1e6 * (time.perf_counter() - began_s)))


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


def _on_card(request: RunRequest) -> RunAnswer:
    """Run on a card. The driver needs its devices, so only resources are limited here.

    A process of its own has its own address space on the card, and its memory is zeroed before
    anybody else gets it; the parent kills it when its time is up.
    """
    from kernels._cuda import CudaBuffer, open_cuda  # noqa: PLC0415  (loads the driver)

    job = request.job
    device = open_cuda()
    try:
        values: list[CudaBuffer | np.number[Any]] = []
        for each in job.arguments:
            if each.role is Role.SCALAR:
                values.append(np.frombuffer(each.data, np.dtype(each.dtype.value))[0])
                continue
            buffer = device.allocate(each.size_bytes)
            if each.data:
                device.copy_in(buffer, each.data)
            values.append(buffer)
        device_us = device.run_code(
            request.translation,
            job.entry,
            grid=job.grid,
            block=job.block,
            shared_bytes=job.shared_bytes,
            values=values,
            before=lambda: _write(STARTED),
        )
        outputs = tuple(
            bytes(device.copy_out(value, each.size_bytes))
            for each, value in zip(job.arguments, values, strict=True)
            if each.role in {Role.OUT, Role.INOUT} and isinstance(value, CudaBuffer)
        )
        return RunAnswer(outputs=outputs, device_us=max(1, device_us))
    finally:
        device.close()


def _write(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def main() -> None:
    """Serve one request."""
    request = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=RunRequest)
    try:
        answer = _answer(request)
    except KernelError as error:
        answer = RunAnswer(fault=str(error))
    if answer.unconfined:
        _write(STARTED)
    _write(msgspec.msgpack.encode(answer))


if __name__ == "__main__":
    main()
