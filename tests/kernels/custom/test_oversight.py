"""Whoever has a kernel run sees what it uses, can let it rest and stop it; nothing is left over."""

import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels.custom.errors import KernelFault, KernelRejected, KernelStopped, LimitExceeded
from kernels.custom.gauge import FuelGauge
from kernels.custom.job import Argument, ElementType, KernelJob, Language, Limits, Role
from kernels.custom.oversight import Order, Reading
from kernels.custom.running import run_job

BLOCKS = 3000
BUSY = """
extern "C" __global__ void f(unsigned* p) {
    unsigned v = blockIdx.x + 1;
    for (int k = 0; k < 20000; ++k) { v ^= v << 13; v ^= v >> 17; v ^= v << 5; }
    p[blockIdx.x] = v;
}
"""
TRAP = 'extern "C" __global__ void f(unsigned* p) { p[0] = 1; asm volatile("trap;"); }'


def job(code: str = BUSY, **limits: int) -> KernelJob:
    out = Argument(name="p", role=Role.OUT, dtype=ElementType.UINT32, shape=(BLOCKS,))
    return KernelJob(
        language=Language.CUDA,
        code=code,
        entry="f",
        grid=(BLOCKS, 1, 1),
        block=(1, 1, 1),
        arguments=(out,),
        limits=Limits(**limits),
    )


class Overseer:
    """Lets a kernel rest once, for a while, as soon as it has used something."""

    def __init__(self, rest_s: float) -> None:
        self.rest_s = rest_s
        self.readings: list[Reading] = []
        self.while_resting: list[int] = []
        self._until_s: float | None = None

    def __call__(self, reading: Reading) -> Order:
        self.readings.append(reading)
        now_s = time.monotonic()
        if self._until_s is None and reading.fuel > 0:
            self._until_s = now_s + self.rest_s
        if self._until_s is not None and now_s < self._until_s:
            self.while_resting.append(reading.fuel)
            return Order.PAUSE
        return Order.GO


def test_a_kernel_rests_when_it_is_told_to_and_its_time_stands_still(sandbox, code_cache) -> None:
    plain = run_job(job(), device="cpu", cache=code_cache)
    resting = Overseer(rest_s=1.2)
    rested = run_job(job(time_ms=1000), device="cpu", cache=code_cache, oversee=resting)
    assert rested.outputs == plain.outputs
    assert rested.usage.fuel == plain.usage.fuel
    fuels = [reading.fuel for reading in resting.readings]
    assert fuels == sorted(fuels)
    assert 0 < max(fuels) <= plain.usage.fuel
    assert len(set(resting.while_resting[1:])) == 1, "it worked on"


def test_a_kernel_that_is_stopped_says_what_it_has_used(sandbox, code_cache) -> None:
    def oversee(reading: Reading) -> Order:
        return Order.STOP if reading.fuel else Order.GO

    with pytest.raises(KernelStopped) as stopped:
        run_job(job(), device="cpu", cache=code_cache, oversee=oversee)
    assert stopped.value.usage.fuel > 0


def test_whoever_stops_at_once_stops_the_compiler(sandbox, code_cache) -> None:
    with pytest.raises(KernelStopped, match="the compiler"):
        run_job(job(BUSY + "// anew"), device="cpu", cache=code_cache, oversee=lambda _: Order.STOP)


def test_a_failure_says_what_was_used_and_a_refusal_that_nothing_was(sandbox, code_cache) -> None:
    with pytest.raises(KernelFault) as fault:
        run_job(job(TRAP), device="cpu", cache=code_cache)
    assert 0 < fault.value.usage.fuel < 1000
    with pytest.raises(LimitExceeded) as limit:
        run_job(job(fuel=10**6), device="cpu", cache=code_cache)
    assert limit.value.usage.fuel == 10**6
    with pytest.raises(KernelRejected) as refused:
        run_job(job("int x;"), device="cpu", cache=code_cache)
    assert refused.value.usage is None


def test_nothing_of_a_job_is_kept_when_nothing_shall_be(sandbox, tmp_path, monkeypatch) -> None:
    for name in ("XDG_CACHE_HOME", "TMPDIR", "HOME"):
        folder = tmp_path / name
        folder.mkdir()
        monkeypatch.setenv(name, str(folder))
    run_job(job(), device="cpu", keep=False)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@given(st.lists(st.binary(min_size=8, max_size=8), max_size=20), st.integers(1, 10**13))
def test_whatever_a_child_writes_the_gauge_never_falls_and_never_passes_the_fuel(
    writes: list[bytes], fuel: int
) -> None:
    gauge, seen = FuelGauge(fuel), [0]
    try:
        for data in writes:
            gauge._write(int.from_bytes(data, "little", signed=True))
            seen.append(gauge.used())
    finally:
        gauge.close()
    assert seen == sorted(seen)
    assert 0 <= seen[-1] <= fuel


def test_who_only_sends_a_job_away_needs_no_compiler_and_no_translator() -> None:
    code = (
        "import sys; sys.modules['llvmlite'] = None; sys.modules['pycuda'] = None\n"
        "import cocoon.cli.kernel_orders, cocoon.requester.service\n"
        "from pathlib import Path\n"
        "from kernels.custom import encode_job, kernel_hash, read_manifest\n"
        "assert encode_job(read_manifest(Path('examples/kernels/saxpy')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
