"""Runs a customer's kernel: compile, vet, translate, run; each strange part in a child of its own.

Children are confined (`kernels.custom.confinement`), limited in memory and processor time, and
killed when their time is up. The memory of a job is fresh and zeroed, and goes with its child.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

import msgspec

from kernels.custom.child import ChildDied, ask_child
from kernels.custom.compiling import compile_source
from kernels.custom.confinement import can_confine
from kernels.custom.errors import (
    KernelFault,
    KernelRejected,
    LimitExceeded,
    SandboxUnavailable,
)
from kernels.custom.job import KernelJob, KernelResult, Output, Role, Usage, check_job
from kernels.custom.vetting import vet
from kernels.device import probe_gpu
from kernels.ptx.errors import PtxError, TranslationFailed
from kernels.ptx.mode import Mode
from kernels.ptx.translator import translation_of

DeviceChoice = Literal["auto", "cpu", "cuda"]

CHILD_MEMORY_BYTES: Final = 2 << 30
"""Address space of a child beside the arrays: Python, NumPy and LLVM's code."""
GRACE_S: Final = 0.5
ANSWER_OVERHEAD_BYTES: Final = 64 << 10
SIGXCPU: Final = 24
TRANSLATE_CPU_S: Final = 30


class RunRequest(msgspec.Struct, frozen=True):
    """What the child is asked. On a card, *translation* is the PTX itself."""

    job: KernelJob
    device: str
    translation: bytes
    memory_bytes: int
    cpu_s: int
    must_confine: bool


class RunAnswer(msgspec.Struct, frozen=True):
    """What the kernel wrote, or why it was stopped."""

    outputs: tuple[bytes, ...] = ()
    device_us: int = 0
    fuel: int = 0
    fault: str = ""
    out_of_fuel: bool = False
    unconfined: str = ""


def run_job(
    job: KernelJob,
    *,
    device: DeviceChoice = "auto",
    must_confine: bool = True,
    tell: Callable[[str], None] = lambda _: None,
    cache: Path | None = None,
) -> KernelResult:
    """Run *job* and return what it wrote and used. Blocks; call it in a worker.

    Args:
        job: from `read_manifest` or `decode_job`.
        device: ``auto`` takes a card when there is one that works.
        must_confine: refuse to run where this machine cannot confine the children. Turn it off
            for code of your own only.
        tell: is told of each step, for progress.
        cache: folder of compiled code; the user's cache by default.

    Raises:
        BadManifest: the job breaks a bound.
        KernelRejected: the code is not accepted; nothing of it has run.
        KernelFault: the kernel failed: out of bounds on a card, deadlock, trap.
        LimitExceeded: it ran into a limit.
        SandboxUnavailable: see *must_confine*.
    """
    check_job(job)
    if must_confine and (missing := can_confine()):
        raise SandboxUnavailable(missing)
    kind = _device(device)
    began_s = time.monotonic()
    tell("compiling")
    ptx = compile_source(job, must_confine=must_confine, cache=cache)
    vet(job, ptx)
    tell(f"translating for the {kind}")
    code = _translate(job, ptx, cache) if kind == "cpu" else ptx.encode()
    compile_ms = round(1000 * (time.monotonic() - began_s))
    tell("running")
    answer = _run(job, kind, code, must_confine=must_confine)
    return _result(job, kind, answer, compile_ms)


def _device(choice: DeviceChoice) -> Literal["cpu", "cuda"]:
    if choice == "cpu":
        return "cpu"
    report = probe_gpu()
    if report.usable:
        return "cuda"
    if choice == "cuda":
        raise SandboxUnavailable("; ".join(report.reasons))
    return "cpu"


def _translate(job: KernelJob, ptx: str, cache: Path | None) -> bytes:
    try:
        found = translation_of(
            ptx, mode=Mode.MASKED, entries=(job.entry,), cache=cache, cpu_s=TRANSLATE_CPU_S
        )
    except TranslationFailed as error:
        raise LimitExceeded(f"the translator gave up: {error}") from error
    except PtxError as error:
        raise KernelRejected(str(error)) from error
    return found.pack()


def _run(job: KernelJob, kind: str, code: bytes, *, must_confine: bool) -> RunAnswer:
    arrays = sum(each.size_bytes for each in job.arguments if each.role is not Role.SCALAR)
    request = RunRequest(
        job=msgspec.structs.replace(job, code="-"),
        device=kind,
        translation=code,
        memory_bytes=CHILD_MEMORY_BYTES + 4 * arrays,
        cpu_s=-(-job.limits.time_ms // 1000) + 1,
        must_confine=must_confine,
    )
    time_s = job.limits.time_ms / 1000
    try:
        data = ask_child(
            "kernels.custom._run_child",
            msgspec.msgpack.encode(request),
            work_s=time_s + GRACE_S,
            answer_bytes_max=arrays + ANSWER_OVERHEAD_BYTES,
            what="the kernel",
        )
    except ChildDied as error:
        if f"signal {SIGXCPU}" in str(error):
            raise LimitExceeded(f"the kernel used {time_s:.1f} s of processor time") from error
        raise KernelFault(f"the kernel's process {error}") from error
    return msgspec.msgpack.decode(data, type=RunAnswer)


def _result(job: KernelJob, kind: str, answer: RunAnswer, compile_ms: int) -> KernelResult:
    if answer.unconfined:
        raise SandboxUnavailable(answer.unconfined)
    if answer.out_of_fuel:
        raise LimitExceeded(f"the kernel used up its fuel of {job.limits.fuel} instructions")
    if answer.fault:
        raise KernelFault(answer.fault)
    written = [each for each in job.arguments if each.role in {Role.OUT, Role.INOUT}]
    outputs = tuple(
        Output(name=each.name, dtype=each.dtype, shape=each.shape, data=data)
        for each, data in zip(written, answer.outputs, strict=True)
    )
    usage = Usage(
        device=kind,
        device_ms=-(-answer.device_us // 1000),
        fuel=answer.fuel,
        compile_ms=compile_ms,
    )
    return KernelResult(outputs=outputs, usage=usage)
