"""Customers' kernels on a card: the driver is the tests' own (tests/kernels/libcuda).

Each job runs from a process that finds a card there, as a provider's worker does, and in a process
of its own that opens the card with PyCUDA.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "libcuda"))

import fixture

from kernels.custom.running import card_environment

Run = Callable[..., dict[str, Any]]

RUNNER = """
import json, sys, time
from kernels.custom import CustomKernelError, run_job
from kernels.custom.job import Argument, ElementType, KernelJob, Language, Limits, Role
from kernels.custom.oversight import Order

asked = json.loads(sys.argv[1])
out = Argument(name="p", role=Role.OUT, dtype=ElementType.UINT32, shape=(32,))
job = KernelJob(
    language=Language.CUDA, code=asked["code"], entry="f", grid=(1, 1, 1), block=(32, 1, 1),
    arguments=(out,), limits=Limits(time_ms=asked["time_ms"]),
)
found, readings, began_s = {}, [0], time.monotonic()

def oversee(reading):
    readings.append(reading.card_ms)
    return Order.GO

try:
    result = run_job(job, device="cuda", keep=False, oversee=oversee)
    found = {"usage": result.usage, "output": result.outputs[0].data.hex()}
except CustomKernelError as error:
    found = {"error": type(error).__name__, "text": str(error), "usage": error.usage}
if found["usage"] is not None:
    usage = found["usage"]
    found["usage"] = {"device": usage.device, "ms": usage.device_ms}
found |= {"told_ms": max(readings), "seconds": time.monotonic() - began_s}
print(json.dumps(found))
"""
WRITES = 'extern "C" __global__ void f(unsigned* p) { p[threadIdx.x] = 3 * threadIdx.x; }'
ENDLESS = """
extern "C" __global__ void f(unsigned* p) {
    unsigned x = threadIdx.x + 1;
    while (x) { x ^= x << 13; x ^= x >> 17; x ^= x << 5; }
    p[0] = x;
}
"""
WILD = 'extern "C" __global__ void f(unsigned* p) { p[1 << 24] = 1; }'
NEIGHBOUR = 'extern "C" __global__ void f(unsigned* p) { p[0] = p[32 + threadIdx.x]; }'
REFUSED = """
__device__ __noinline__ void meet() { __syncthreads(); }
extern "C" __global__ void f(unsigned* p) { meet(); p[0] = 1; }
"""
"""Vetted, and more than this driver takes: a barrier in a function."""


@pytest.fixture(scope="module")
def run(sandbox: None, tmp_path_factory: pytest.TempPathFactory) -> Run:
    try:
        card = fixture.pretend(tmp_path_factory.mktemp("card") / "path")
    except fixture.CannotBuild as error:
        pytest.skip(str(error))

    def run(
        code: str, *, time_ms: int = 10_000, environment: dict[str, str] | None = None
    ) -> dict[str, Any]:
        order = {"code": code, "time_ms": time_ms}
        done = subprocess.run(
            [sys.executable, "-c", RUNNER, json.dumps(order)],
            capture_output=True, text=True, timeout=120, check=False,
            env={**os.environ, **card, **(environment or {})},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    return run


def test_a_kernel_is_metered_by_the_cards_clock_and_not_by_what_surrounds_it(run: Run) -> None:
    done = run(WRITES)
    assert bytes.fromhex(done["output"]) == b"".join(
        (3 * i).to_bytes(4, "little") for i in range(32)
    )
    assert done["usage"]["device"] == "cuda"
    assert done["told_ms"] <= done["usage"]["ms"] < 1000 * done["seconds"] / 2


def test_an_endless_kernel_is_killed_and_costs_the_time_that_it_had(run: Run) -> None:
    done = run(ENDLESS, time_ms=300)
    assert done["error"] == "LimitExceeded"
    assert 300 <= done["usage"]["ms"] < 3000
    assert 200 < done["told_ms"] <= done["usage"]["ms"]


@pytest.mark.parametrize("code", [WILD, NEIGHBOUR], ids=["wild", "neighbour"])
def test_a_wild_pointer_is_the_kernels_fault(run: Run, code: str) -> None:
    done = run(code)
    assert done["error"] == "KernelFault"
    assert "illegal memory access" in done["text"]
    assert done["usage"]["ms"] >= 1


def test_code_that_the_driver_refuses_costs_nothing(run: Run) -> None:
    done = run(REFUSED)
    assert done["error"] == "KernelRejected"
    assert "PTX JIT compilation failed" in done["text"]
    assert done["usage"] is None
    assert done["told_ms"] == 0


def test_a_card_that_does_not_start_is_no_fault_of_the_kernel(run: Run, tmp_path: Path) -> None:
    broken = tmp_path / "pycuda"
    broken.mkdir()
    (broken / "__init__.py").write_text("raise ImportError('libcuda.so.1: wrong version')")
    path = os.pathsep.join([str(tmp_path), str(Path(__file__).parents[3])])
    (tmp_path / "sitecustomize.py").write_text(fixture.A_CARD_IS_SEEN)
    done = run(WRITES, environment={"PYTHONPATH": path})
    assert done["error"] == "SandboxUnavailable"
    assert "wrong version" in done["text"]
    assert done["usage"] is None


def test_the_kernels_process_hears_which_card_to_take_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in tuple(os.environ):
        monkeypatch.delenv(name)
    told = {"CUDA_VISIBLE_DEVICES": "1", "LD_LIBRARY_PATH": "/opt/nvidia", "NVIDIA_X": "y"}
    for name, value in {**told, "SECRET": "s", "CUDA_CACHE_DISABLE": "0"}.items():
        monkeypatch.setenv(name, value)
    assert card_environment() == told | {"CUDA_CACHE_DISABLE": "1"}
