"""Runs customers' kernels for the worker. Blocks; runs in the worker only.

A job is compiled, vetted and run in confined child processes of this one
(`kernels.custom`), and nothing of it touches the disk. While it runs, a thread says so
and how much it has used; it rests when that is more than what it may use so far.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Final

import msgspec

from cocoon.kernel_profiles import PROFILES, KernelDevice, KernelProfile
from cocoon.messages import Finish
from cocoon.provider.engine import engine_id
from cocoon.provider.grants import JobControl
from cocoon.provider.wire import (
    Event,
    JobEnded,
    JobStarted,
    KernelDone,
    KernelOut,
    KernelTick,
    RunKernel,
)
from kernels.custom import (
    BadManifest,
    KernelFault,
    KernelJob,
    KernelRejected,
    KernelResult,
    KernelStopped,
    LimitExceeded,
    SandboxUnavailable,
    decode_job,
    kernel_hash,
    run_job,
)
from kernels.custom.job import TIME_MS_MAX, Limits, Usage, arrays_bytes, output_bytes
from kernels.custom.oversight import Order, Reading
from kernels.device import PTX_REMEDY
from kernels.errors import InvalidInput, KernelError

TICK_S: Final = 0.25
OUT_BYTES: Final = 128 * 1024
CPU_SLOWDOWN_MAX: Final = 4
"""On a CPU a kernel is stopped after this many times what its instructions should take."""
CPU_GRACE_MS: Final = 2_000
NOTE_MAX: Final = 500

SELF_TEST: Final = """
extern "C" __global__ void self_test(unsigned* x) {
    unsigned i = blockIdx.x * blockDim.x + threadIdx.x, v = i + 1;
    for (int k = 0; k < 4000; ++k) { v ^= v << 13; v ^= v >> 17; v ^= v << 5; }
    x[i] = v;
}
"""
SELF_TEST_THREADS: Final = 1024

Out = Callable[[Event], None]


class KernelEngine:
    """What runs strangers' kernels here, as jobs see it."""

    context_tokens: Final = 0

    def __init__(self, profile: KernelProfile, device: str) -> None:
        self.profile = profile
        self.model_id = profile.profile_id
        self.device = device
        self.engine_id = engine_id(device, "ptx")
        self._speed_per_s = 0.0

    def measure_speed(self) -> float:
        """Return the metered milliseconds a second of the self-test."""
        return self._speed_per_s

    def prepare(self, order: RunKernel) -> KernelJob:
        """Read the job that a customer sent, cut to what was agreed.

        Raises:
            InvalidInput: it is none, or larger than agreed.
        """
        try:
            job = decode_job(order.job)
        except BadManifest as error:
            raise InvalidInput(str(error)) from error
        for what, size, most in (
            ("arrays", arrays_bytes(job), order.memory_bytes_max),
            ("results", output_bytes(job), order.output_bytes_max),
        ):
            if size > most:
                raise InvalidInput(f"{what} of {size} bytes, {most} were agreed")
        return msgspec.structs.replace(job, limits=self._limits(job, order.ms_max))

    def _limits(self, job: KernelJob, ms_max: int) -> Limits:
        """On a CPU fuel is what is sold, and time only guards us; on a card it is time."""
        ms = min(ms_max, job.limits.time_ms)
        if self.profile.device == "cuda":
            return msgspec.structs.replace(job.limits, time_ms=min(ms, TIME_MS_MAX))
        time_ms = min(TIME_MS_MAX, CPU_SLOWDOWN_MAX * ms + CPU_GRACE_MS)
        fuel = min(job.limits.fuel, self.profile.fuel_for(ms))
        return msgspec.structs.replace(job.limits, time_ms=time_ms, fuel=fuel)

    def metered_ms(self, usage: Usage) -> int:
        """Return what is billed for *usage*."""
        return self.profile.metered_ms(fuel=usage.fuel, card_ms=usage.device_ms)

    def run(self, job: KernelJob, control: JobControl, tally: "Tally") -> KernelResult:
        """Run *job*; see `kernels.custom.run_job` for what it raises."""

        def oversee(reading: Reading) -> Order:
            used = self.profile.metered_ms(fuel=reading.fuel, card_ms=reading.card_ms)
            tally.used(used)
            if control.cancelled():
                return Order.STOP
            return Order.GO if control.may_produce(used) else Order.PAUSE

        return run_job(
            job, device=self.profile.device, keep=False, tell=tally.begin, oversee=oversee
        )

    def self_test(self) -> None:
        """Run a kernel of our own, as a stranger's would be; learn our speed from it.

        Raises:
            KernelError: this machine cannot run or confine kernels.
        """
        job = _self_test_job()
        result = self.run(job, JobControl("self-test", 1 << 40), Tally(job.limits.time_ms))
        if not any(result.outputs[0].data):
            raise KernelFault("the self-test wrote nothing")
        usage = result.usage
        self._speed_per_s = 1000 * self.metered_ms(usage) / max(1, usage.device_ms)


def _self_test_job() -> KernelJob:
    from kernels.custom.job import Argument, ElementType, Language, Role  # noqa: PLC0415

    out = Argument(name="x", role=Role.OUT, dtype=ElementType.UINT32, shape=(SELF_TEST_THREADS,))
    return KernelJob(
        language=Language.CUDA,
        code=SELF_TEST,
        entry="self_test",
        grid=(SELF_TEST_THREADS // 128, 1, 1),
        block=(128, 1, 1),
        arguments=(out,),
    )


def open_kernel_engine(device: str) -> KernelEngine:
    """Find out what can run kernels here, and try it.

    Args:
        device: "cuda", "cpu", or "auto" for a card where one works.

    Raises:
        KernelError: nothing can, or strangers' code cannot be confined here.
    """
    if find_spec("llvmlite") is None:  # the children need it
        raise SandboxUnavailable(f"kernels need more packages: {PTX_REMEDY} (no llvmlite)")
    profile, name = _choose(device)
    engine = KernelEngine(profile, name)
    engine.self_test()
    return engine


def _choose(device: str) -> tuple[KernelProfile, str]:
    kind: KernelDevice = "cpu"
    if device != "cpu":
        from kernels.device import probe_gpu  # noqa: PLC0415  (loads the driver)

        report = probe_gpu()
        if report.usable:
            kind = "cuda"
        elif device == "cuda":
            raise SandboxUnavailable("; ".join(report.reasons))
    return PROFILES[kind], kind


class Tally:
    """What a job is at and has used: written by the job's thread, read by the one that tells.

    Args:
        ms_max: what was agreed. A kernel that is killed at its limit has run a little longer; that
            is not metered.
    """

    def __init__(self, ms_max: int) -> None:
        self.step = ""
        self._ms_max = ms_max
        self.metered_ms = 0

    def begin(self, step: str) -> None:
        """Another step begins."""
        self.step = step

    def used(self, metered_ms: int) -> None:
        """So much was used until now, at least."""
        self.metered_ms = max(self.metered_ms, min(metered_ms, self._ms_max))


@contextmanager
def _telling(job_id: str, tally: Tally, out: Out) -> Iterator[None]:
    """Say every `TICK_S` how far the job is, whatever its own thread waits for."""
    over = threading.Event()

    def tell() -> None:
        while not over.wait(TICK_S):
            out(KernelTick(job_id=job_id, step=tally.step, metered_ms=tally.metered_ms))

    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def run_kernel(engine: KernelEngine, order: RunKernel, control: JobControl, out: Out) -> None:
    """Run one kernel and report its result.

    Raises:
        InvalidInput: the job is refused, and nothing of it has run.
        KernelError: this machine is at fault.
    """
    job, tally = engine.prepare(order), Tally(order.ms_max)
    out(JobStarted(job_id=order.job_id, prompt_tokens=0, audio_ms=0, kernel_hash=kernel_hash(job)))
    try:
        with _telling(order.job_id, tally, out):
            result = engine.run(job, control, tally)
    except KernelStopped:
        out(JobEnded(job_id=order.job_id, finish=Finish.CANCELLED))
    except (BadManifest, KernelRejected, KernelFault, LimitExceeded) as error:
        _report_failure(engine, order, tally, error, out)
    else:
        _report_result(engine, order, tally, result, out)


def _billed_ms(engine: KernelEngine, order: RunKernel, tally: Tally, usage: Usage) -> int:
    """Never less than was told on the way, and never more than agreed."""
    return min(order.ms_max, max(1, tally.metered_ms, engine.metered_ms(usage)))


def _report_failure(
    engine: KernelEngine, order: RunKernel, tally: Tally, error: KernelError, out: Out
) -> None:
    usage = getattr(error, "usage", None)
    if not isinstance(usage, Usage):  # nothing of it has run, so nothing is billed
        raise InvalidInput(str(error)) from error
    metered_ms = _billed_ms(engine, order, tally, usage)
    out(KernelDone(job_id=order.job_id, metered_ms=metered_ms, output_bytes=0))
    finish = Finish.LIMIT if isinstance(error, LimitExceeded) else Finish.FAULT
    out(JobEnded(job_id=order.job_id, finish=finish, detail=str(error)[:NOTE_MAX]))


def _report_result(
    engine: KernelEngine, order: RunKernel, tally: Tally, result: KernelResult, out: Out
) -> None:
    usage = result.usage
    total = sum(len(each.data) for each in result.outputs)
    metered_ms = _billed_ms(engine, order, tally, usage)
    out(KernelDone(job_id=order.job_id, metered_ms=metered_ms, output_bytes=total))
    for each in result.outputs:
        for at in range(0, len(each.data), OUT_BYTES):
            out(KernelOut(job_id=order.job_id, data=each.data[at : at + OUT_BYTES]))
    speed = 1_000_000 * metered_ms // usage.device_ms if usage.device_ms >= 5 else 0
    out(JobEnded(job_id=order.job_id, finish=Finish.STOP, speed_milli_per_s=speed))
