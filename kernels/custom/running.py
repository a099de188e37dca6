"""Runs a customer's kernel: compile, vet, translate, run; each strange part in a child of its own.

Children are confined (`kernels.custom.confinement`), limited in memory and processor time, and
killed when their time is up. The memory of a job is fresh and zeroed, and goes with its child.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import msgspec

from kernels.custom.child import ChildDied, ask_child
from kernels.custom.compiling import compile_source
from kernels.custom.confinement import can_confine
from kernels.custom.errors import (
    CustomKernelError,
    KernelFault,
    KernelRejected,
    KernelStopped,
    LimitExceeded,
    SandboxUnavailable,
)
from kernels.custom.gauge import FuelGauge
from kernels.custom.job import (
    KernelJob,
    KernelResult,
    Output,
    Usage,
    arrays_bytes,
    check_job,
    written,
)
from kernels.custom.oversight import Order, Oversee, Reading, let_it_run
from kernels.custom.translating import translate_ptx
from kernels.decoding import UNREADABLE
from kernels.device import probe_gpu

DeviceChoice = Literal["auto", "cpu", "cuda"]

CHILD_MEMORY_BYTES: Final = 2 << 30
"""Address space of a child beside the arrays: Python, NumPy and LLVM's code."""
GRACE_S: Final = 0.5
ANSWER_OVERHEAD_BYTES: Final = 64 << 10
CLOCK_LAG_MS: Final = 50
"""By how much less we say, while a kernel runs on a card, than has passed here since its start.
The bill is by the card's own clock, and must not be less than what was told, and paid, before."""


class RunRequest(msgspec.Struct, frozen=True):
    """What the child is asked. On a card, *translation* is the PTX itself.

    *gauge* is the descriptor of a `kernels.custom.gauge.FuelGauge`, or -1.
    """

    job: KernelJob
    device: str
    translation: bytes
    memory_bytes: int
    cpu_s: int
    must_confine: bool
    gauge: int = -1


class RunAnswer(msgspec.Struct, frozen=True):
    """What the kernel wrote, or why it was stopped or never ran."""

    outputs: tuple[bytes, ...] = ()
    device_us: int = 0
    fuel: int = 0
    fault: str = ""
    out_of_fuel: bool = False
    rejected: str = ""
    """Why the driver does not take the code; nothing of it has run."""
    unavailable: str = ""
    """What this machine lacks."""


def run_job(
    job: KernelJob,
    *,
    device: DeviceChoice = "auto",
    must_confine: bool = True,
    tell: Callable[[str], None] = lambda _: None,
    cache: Path | None = None,
    keep: bool = True,
    oversee: Oversee = let_it_run,
) -> KernelResult:
    """Run *job* and return what it wrote and used. Blocks; call it in a worker.

    Args:
        job: from `read_manifest` or `decode_job`.
        device: ``auto`` takes a card when there is one that works.
        must_confine: refuse to run where this machine cannot confine the children. Turn it off
            for code of your own only.
        tell: is told of each step, for progress.
        cache: folder of compiled code; the user's cache by default.
        keep: whether compiled code is kept there; without it nothing of the job touches the
            disk.
        oversee: sees what the kernel has used so far, and may pause or stop it.

    Raises:
        BadManifest: the job breaks a bound.
        KernelRejected: the code is not accepted; nothing of it has run.
        KernelFault: the kernel failed: out of bounds on a card, deadlock, trap.
        LimitExceeded: it ran into a limit.
        KernelStopped: *oversee* said so.
        SandboxUnavailable: see *must_confine*.
    """
    check_job(job)
    if must_confine and (missing := can_confine()):
        raise SandboxUnavailable(missing)
    kind = _device(device)
    began_s = time.monotonic()

    def ask() -> Order:
        return oversee(Reading())  # nothing of it has run yet

    tell("compiling")
    ptx = compile_source(job, must_confine=must_confine, cache=cache, keep=keep, ask=ask)
    tell(f"translating for the {kind}")
    code = translate_ptx(job, ptx, kind, must_confine=must_confine, cache=cache, keep=keep, ask=ask)
    compile_ms = round(1000 * (time.monotonic() - began_s))
    tell("running")
    with _open_meter(job, kind, compile_ms) as meter:
        answer = _run(job, kind, code, meter, oversee, must_confine=must_confine)
    return _result(job, kind, answer, compile_ms)


@dataclass(slots=True)
class _Meter:
    """What a running kernel has used; on a card only the clock tells."""

    device: str
    gauge: FuelGauge | None
    compile_ms: int
    began_s: float | None = None
    ended_s: float | None = None

    def started(self) -> None:
        """The kernel runs from now on."""
        self.began_s = time.monotonic()

    def done(self) -> None:
        """The kernel is over; what follows is not metered."""
        self.ended_s = time.monotonic()

    def _passed_ms(self) -> int:
        if self.began_s is None:
            return 0
        return int(1000 * ((self.ended_s or time.monotonic()) - self.began_s))

    def read(self) -> Reading:
        """Return what was used so far."""
        if self.device == "cpu":
            return Reading(fuel=self.gauge.used() if self.gauge is not None else 0)
        return Reading(card_ms=max(0, self._passed_ms() - CLOCK_LAG_MS))

    def usage(self, answer: "RunAnswer | None" = None) -> Usage:
        """Return what was used in the end; without an answer, as far as we could see."""
        seen_us = 1000 * self._passed_ms()
        device_us, fuel = (answer.device_us, answer.fuel) if answer else (seen_us, 0)
        return Usage(
            device=self.device,
            device_ms=max(1, -(-device_us // 1000)),
            fuel=max(fuel, self.read().fuel),
            compile_ms=self.compile_ms,
        )


@contextmanager
def _open_meter(job: KernelJob, device: str, compile_ms: int) -> Iterator[_Meter]:
    gauge = FuelGauge(job.limits.fuel) if device == "cpu" and sys.platform == "linux" else None
    try:
        yield _Meter(device, gauge, compile_ms)
    finally:
        if gauge is not None:
            gauge.close()


def _device(choice: DeviceChoice) -> Literal["cpu", "cuda"]:
    if choice == "cpu":
        return "cpu"
    report = probe_gpu(start=choice == "auto")  # "cuda": the kernel's own process starts the card
    if report.usable:
        return "cuda"
    if choice == "cuda":
        raise SandboxUnavailable("; ".join(report.reasons))
    return "cpu"


def _run(
    job: KernelJob,
    kind: str,
    code: bytes,
    meter: _Meter,
    oversee: Oversee,
    *,
    must_confine: bool,
) -> RunAnswer:
    arrays = arrays_bytes(job)
    gauge = meter.gauge.descriptor if meter.gauge is not None else -1
    request = RunRequest(
        job=msgspec.structs.replace(job, code="-"),
        device=kind,
        translation=code,
        memory_bytes=CHILD_MEMORY_BYTES + 4 * arrays,
        cpu_s=-(-job.limits.time_ms // 1000) + 1,
        must_confine=must_confine,
        gauge=gauge,
    )
    time_s = job.limits.time_ms / 1000
    try:
        data = ask_child(
            "kernels.custom._run_child",
            msgspec.msgpack.encode(request),
            work_s=time_s + GRACE_S,
            answer_bytes_max=arrays + ANSWER_OVERHEAD_BYTES,
            what="the kernel",
            ask=lambda: _order(kind, oversee(meter.read())),
            descriptors=(gauge,) if gauge >= 0 else (),
            started=meter.started,
            done=meter.done,
            environment=card_environment() if kind == "cuda" else {},
        )
    except ChildDied as error:
        if meter.began_s is None:  # it had not begun with the customer's code
            raise SandboxUnavailable(f"the kernel's process {error}") from error
        if error.used_up_cpu:
            raise LimitExceeded(
                f"the kernel used {time_s:.1f} s of processor time", meter.usage()
            ) from error
        raise KernelFault(f"the kernel's process {error}", meter.usage()) from error
    except (LimitExceeded, KernelStopped) as error:
        error.usage = meter.usage()
        raise
    try:
        answer = msgspec.msgpack.decode(data, type=RunAnswer)
    except UNREADABLE as error:
        raise KernelFault(f"the kernel's process spoke nonsense: {error}", meter.usage()) from error
    _check(job, answer, meter)
    return answer


def card_environment() -> dict[str, str]:
    """Return what tells a driver where it is and which card to take; it keeps no code on disk."""
    names = [each for each in os.environ if each.startswith(("CUDA_", "NVIDIA_"))]
    kept = {each: os.environ[each] for each in ("LD_LIBRARY_PATH", *names) if each in os.environ}
    return kept | {"CUDA_CACHE_DISABLE": "1"}


def _order(kind: str, order: Order) -> Order:
    """A launch on a card goes on while its process rests, so there it does not rest."""
    return Order.GO if order is Order.PAUSE and kind != "cpu" else order


def _check(job: KernelJob, answer: RunAnswer, meter: _Meter) -> None:
    """Raise what stopped the kernel."""
    if answer.unavailable:
        raise SandboxUnavailable(answer.unavailable)
    if answer.rejected:
        raise KernelRejected(answer.rejected)
    stopped: CustomKernelError | None = None
    if answer.out_of_fuel:
        stopped = LimitExceeded(f"the kernel used up its fuel of {job.limits.fuel} instructions")
    elif answer.fault:
        stopped = KernelFault(answer.fault)
    elif [len(data) for data in answer.outputs] != [each.size_bytes for each in written(job)]:
        stopped = KernelFault("the kernel's process gave back other arrays")
    if stopped is not None:
        stopped.usage = meter.usage(answer)
        raise stopped


def _result(job: KernelJob, kind: str, answer: RunAnswer, compile_ms: int) -> KernelResult:
    outputs = tuple(
        Output(name=each.name, dtype=each.dtype, shape=each.shape, data=data)
        for each, data in zip(written(job), answer.outputs, strict=True)
    )
    usage = Usage(
        device=kind,
        device_ms=-(-answer.device_us // 1000),
        fuel=answer.fuel,
        compile_ms=compile_ms,
    )
    return KernelResult(outputs=outputs, usage=usage)
