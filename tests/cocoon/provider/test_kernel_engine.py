"""What a customer's limits become, and what is billed: instructions of a CPU, time of a card."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stage import kernel_job

from cocoon.kernel_profiles import FUEL_PER_MS, PROFILES
from cocoon.provider.grants import JobControl
from cocoon.provider.kernel_engine import (
    CPU_GRACE_MS,
    CPU_SLOWDOWN_MAX,
    KernelEngine,
    Tally,
    run_kernel,
)
from cocoon.provider.wire import JobEnded, JobStarted, KernelDone, KernelOut
from kernels.custom import KernelJob, KernelResult, encode_job
from kernels.custom.job import (
    TIME_MS_MAX,
    Argument,
    ElementType,
    Language,
    Limits,
    Output,
    Role,
    Usage,
)
from kernels.custom.oversight import Order
from kernels.custom.running import _order
from kernels.errors import InvalidInput

JOB = KernelJob(
    language=Language.CUDA,
    code="x",
    entry="f",
    grid=(1, 1, 1),
    block=(1, 1, 1),
    arguments=(Argument(name="p", role=Role.OUT, dtype=ElementType.UINT8, shape=(300_000,)),),
)
times = st.integers(1, TIME_MS_MAX)


def engine(device: str) -> KernelEngine:
    return KernelEngine(PROFILES[device], device)


def prepared(device: str, agreed_ms: int, limits: Limits = JOB.limits, **changes) -> KernelJob:
    job = encode_job(msgspec.structs.replace(JOB, limits=limits))
    return engine(device).prepare(kernel_job(job=job, ms_max=agreed_ms, **changes))


@given(times, times, st.integers(1, 10**13))
def test_a_cpu_sells_instructions_and_time_only_guards_it(agreed_ms, own_ms, own_fuel) -> None:
    limits = prepared("cpu", agreed_ms, Limits(time_ms=own_ms, fuel=own_fuel)).limits
    ms = min(agreed_ms, own_ms)
    assert limits.fuel == min(own_fuel, ms * FUEL_PER_MS)
    assert ms <= limits.time_ms <= min(TIME_MS_MAX, CPU_SLOWDOWN_MAX * ms + CPU_GRACE_MS)
    assert PROFILES["cpu"].metered_ms(fuel=limits.fuel, card_ms=0) <= ms


@given(times, times)
def test_a_card_sells_time(agreed_ms, own_ms) -> None:
    assert prepared("cuda", agreed_ms, Limits(time_ms=own_ms)).limits.time_ms == min(
        agreed_ms, own_ms
    )


def test_what_is_larger_than_agreed_or_no_job_is_refused() -> None:
    for changes in ({"memory_bytes_max": 299_999}, {"output_bytes_max": 299_999}):
        with pytest.raises(InvalidInput, match="300000 bytes, 299999 were agreed"):
            prepared("cpu", 5, **changes)
    with pytest.raises(InvalidInput, match="not a job"):
        engine("cpu").prepare(kernel_job(job=b"\xc1"))


def test_a_card_is_never_told_to_rest_for_it_cannot() -> None:
    assert _order("cuda", Order.PAUSE) is Order.GO
    assert _order("cuda", Order.STOP) is Order.STOP
    assert _order("cpu", Order.PAUSE) is Order.PAUSE


class Scripted(KernelEngine):
    """Uses what it is told to, and says so on the way."""

    def __init__(self, device: str, told_ms: int, usage: Usage) -> None:
        super().__init__(PROFILES[device], device)
        self.told_ms, self.usage = told_ms, usage

    def run(self, job: KernelJob, control: JobControl, tally: Tally) -> KernelResult:
        tally.used(self.told_ms)
        out = job.arguments[0]
        output = Output(name=out.name, dtype=out.dtype, shape=out.shape, data=bytes(out.size_bytes))
        return KernelResult(outputs=(output,), usage=self.usage)


@pytest.mark.parametrize(
    ("device", "told_ms", "usage", "billed"),
    [
        ("cuda", 40, {"device_ms": 45}, 45),
        ("cuda", 47, {"device_ms": 45}, 47),  # our clock saw a little more than the card's
        ("cuda", 0, {"device_ms": 9_999}, 100),
        ("cpu", 3, {"device_ms": 1, "fuel": 4_000_001}, 5),
        ("cpu", 0, {"device_ms": 50, "fuel": 0}, 1),
    ],
)
def test_the_bill_is_never_less_than_was_told_nor_more_than_agreed(
    device, told_ms, usage, billed
) -> None:
    one, events = kernel_job(job=encode_job(JOB), ms_max=100), []
    used = Usage(**({"device": device, "fuel": 0, "compile_ms": 1} | usage))
    run_kernel(Scripted(device, told_ms, used), one, JobControl("j", 10**6), events.append)
    (done,) = [event for event in events if isinstance(event, KernelDone)]
    assert (done.metered_ms, done.output_bytes) == (billed, 300_000)
    parts = [event.data for event in events if isinstance(event, KernelOut)]
    assert [len(part) for part in parts] == [131_072, 131_072, 37_856]
    assert isinstance(events[0], JobStarted)
    assert isinstance(events[-1], JobEnded)
