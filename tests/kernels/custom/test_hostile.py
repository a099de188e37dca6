"""Kernels that attack: each is stopped within its limits, and touches nothing of the host."""

import time

import msgspec
import numpy as np
import pytest

from kernels.custom import running
from kernels.custom.errors import (
    CustomKernelError,
    KernelFault,
    KernelRejected,
    LimitExceeded,
    SandboxUnavailable,
)
from kernels.custom.job import Argument, ElementType, KernelJob, Language, Limits, Role
from kernels.custom.running import run_job

pytestmark = pytest.mark.usefixtures("sandbox")


def job(code: str, *, n: int = 64, **fields) -> KernelJob:
    data = np.arange(n, dtype="<i4").tobytes()
    limits = fields.pop("limits", Limits(time_ms=1500, fuel=10**12))
    return KernelJob(
        **{
            "language": Language.CUDA,
            "code": code,
            "entry": "f",
            "grid": (2, 1, 1),
            "block": (32, 1, 1),
            "limits": limits,
            "arguments": (
                Argument(name="p", role=Role.INOUT, dtype=ElementType.INT32, shape=(n,), data=data),
            ),
        }
        | fields
    )


def kernel(body: str, before: str = "") -> str:
    return f'{before}\nextern "C" __global__ void f(int* p) {{ {body} }}'


@pytest.fixture
def run(code_cache):
    return lambda one, **options: run_job(one, device="cpu", cache=code_cache, **options)


def test_an_honest_kernel_is_run_and_metered(run) -> None:
    steps: list[str] = []
    code = kernel("int i = blockIdx.x * 32 + threadIdx.x; p[i] = 2 * p[i] + 1;")
    result = run(job(code), tell=steps.append)
    (output,) = result.outputs
    assert np.frombuffer(output.data, "<i4").tolist() == [2 * i + 1 for i in range(64)]
    assert result.usage.device == "cpu"
    assert result.usage.device_ms >= 1
    assert result.usage.fuel > 0
    assert steps == ["compiling", "translating for the cpu", "running"]


def test_the_same_job_uses_the_same_fuel_and_gives_the_same_bytes(run) -> None:
    code = kernel("for (int k = 0; k < 100 + p[threadIdx.x]; ++k) atomicAdd(&p[33], k);")
    one, two = run(job(code)), run(job(code))
    assert one.outputs == two.outputs
    assert one.usage.fuel == two.usage.fuel


WORK = "x ^= x << 13; x ^= x >> 17; x ^= x << 5;"  # xorshift32: never 0, and no short cut
ENDLESS = kernel(f"unsigned x = threadIdx.x + 1; while (x) {{ {WORK} }} p[0] = x;")
SPIN_BESIDE_A_BARRIER = kernel(
    f"unsigned x = 1; if (threadIdx.x == 0) while (x) {{ {WORK} }} __syncthreads(); p[0] = x;"
)


@pytest.mark.parametrize("code", [ENDLESS, SPIN_BESIDE_A_BARRIER], ids=["endless", "spin"])
def test_a_kernel_without_end_is_stopped_by_time(run, code) -> None:
    began_s = time.monotonic()
    with pytest.raises(LimitExceeded, match=r"stopped after|processor time"):
        run(job(code, limits=Limits(time_ms=500, fuel=10**13)))
    assert time.monotonic() - began_s < 60  # children start slowly on a loaded machine


def test_a_kernel_without_end_is_stopped_by_fuel(run) -> None:
    with pytest.raises(LimitExceeded, match="fuel of 1000000"):
        run(job(ENDLESS, limits=Limits(fuel=10**6)))


def test_wild_pointers_stay_in_the_jobs_own_memory(run) -> None:
    """They are masked into the arena: wrong results for the attacker, nothing else for anybody."""
    code = kernel(
        "long long a = 0x7f0000000000ll + threadIdx.x * 4096ll;"
        "p[threadIdx.x] = *(int*)a; *(int*)(a ^ 0x5555) = 7; p[1 << 28] = 1; p[-(1 << 28)] = 1;"
    )
    try:
        (output,) = run(job(code)).outputs
    except KernelFault:
        return
    assert len(output.data) == 256


def test_memory_is_zero_when_a_kernel_gets_it(run) -> None:
    code = kernel("__shared__ int s[1024]; p[threadIdx.x] = s[threadIdx.x * 32 + p[0] * 0];")
    out = Argument(name="p", role=Role.OUT, dtype=ElementType.INT32, shape=(64,))
    (output,) = run(job(code, arguments=(out,))).outputs
    assert set(output.data) == {0}


def test_threads_that_wait_for_each_other_in_vain_are_a_typed_fault(run) -> None:
    code = kernel(
        "if (threadIdx.x < 16) { __shfl_sync(0xffffffffu, p[0], 1); } "
        "else { __syncthreads(); } p[0] = 1;"
    )
    with pytest.raises((KernelFault, LimitExceeded)):
        run(job(code))


def test_arithmetic_that_traps_a_processor_does_not_end_the_process(run) -> None:
    code = kernel("int z = p[0]; p[0] = p[5] / z; p[1] = (-2147483647 - 1) / (z - 1);")
    assert len(run(job(code)).outputs[0].data) == 256


@pytest.mark.parametrize(
    "line",
    [
        '#include "/etc/passwd"',
        "#include </etc/passwd>",
        '#include "../../../../../../etc/passwd"',
        "#define X </etc/passwd>\n#include X",
        "%:include </etc/passwd>",
        "#inc\\\nlude </etc/passwd>",
        "#if __has_include(</etc/passwd>)\n#error found it\n#endif",
    ],
)
def test_no_file_of_the_host_can_be_included(run, line) -> None:
    try:
        run(job(kernel("p[0] = 1;", line)))
    except KernelRejected as refused:
        words = str(refused)
        assert "root:" not in words
        assert "found it" not in words


def test_integer_types_can_be_included(run) -> None:
    code = kernel("p[0] = (int32_t)(uint8_t)300;", "#include <stdint.h>\n#include <cstdint>")
    (output,) = run(job(code)).outputs
    assert np.frombuffer(output.data, "<i4")[0] == 44


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (kernel('printf("%d", p[0]);'), "vprintf"),
        (kernel("p[0] = *(int*)malloc(4);"), "malloc"),
        (kernel("g(p);", "extern __device__ void g(int*);"), "g"),
        (kernel('asm volatile("mov.u32 %0, %pm0;" : "=r"(p[0]));'), "%pm0"),
        (kernel('asm volatile("brkpt;");'), "brkpt"),
        (kernel("p[0] = missing;"), "missing"),
        (kernel("p[0] = 1;").replace('extern "C"', ""), 'extern "C"'),
        (kernel("__shared__ int s[20000]; s[p[0]] = 1; p[1] = s[p[2]];"), "shared"),
        ('extern "C" __global__ void f(int* p, int n) { p[0] = n; }', "takes 2 arguments"),
        ('extern "C" __global__ void f(int n) {}', "takes 4 bytes"),
        ("", "no kernel is called"),
        ("\0\0\0", "compile|kernel"),
    ],
    ids=range(12),
)
def test_what_is_not_accepted_is_said_before_anything_runs(run, code, words) -> None:
    with pytest.raises((KernelRejected, CustomKernelError), match=words):
        run(job(code or "__device__ int x;"))


def test_a_template_bomb_is_stopped(run) -> None:
    bomb = (
        "template<int N, int M> struct B { enum { v = B<N - 1, M>::v + B<N - 1, M + N>::v }; };"
        "template<int M> struct B<0, M> { enum { v = 1 }; };"
    )
    began_s = time.monotonic()
    with pytest.raises((KernelRejected, LimitExceeded)):
        run(job(kernel("p[0] = B<40, 0>::v;", bomb)))
    assert time.monotonic() - began_s < 60


def test_ptx_is_taken_as_code_and_vetted_the_same(run) -> None:
    ptx = """
    .version 8.0
    .target sm_75
    .address_size 64
    .visible .entry f(.param .u64 p) {
        .reg .b64 %rd<3>; .reg .b32 %r<2>;
        ld.param.u64 %rd1, [p];
        cvta.to.global.u64 %rd2, %rd1;
        mov.u32 %r1, 42;
        st.global.u32 [%rd2], %r1;
        ret;
    }"""
    (output,) = run(job(ptx, language=Language.PTX)).outputs
    assert np.frombuffer(output.data, "<i4")[0] == 42
    with pytest.raises(KernelRejected):
        run(
            job(
                ptx.replace("mov.u32 %r1, 42", "tex.1d.v4.s32.s32 %r1, [x, y]"),
                language=Language.PTX,
            )
        )
    with pytest.raises(KernelRejected):
        run(job("{" * 100_000, language=Language.PTX))


def test_where_nothing_can_be_confined_nothing_is_run(monkeypatch) -> None:
    monkeypatch.setattr(running, "can_confine", lambda: "no Landlock here")
    with pytest.raises(SandboxUnavailable, match="no Landlock here"):
        run_job(job(ENDLESS))


def test_arrays_larger_than_allowed_are_refused_before_memory_is_taken(run) -> None:
    with pytest.raises(CustomKernelError, match="memory_bytes"):
        run(job(ENDLESS, limits=Limits(memory_bytes=100)))


def test_a_large_array_comes_back_whole(run) -> None:
    code = kernel("for (int i = blockIdx.x * 32 + threadIdx.x; i < (1 << 20); i += 64) p[i] += i;")
    (output,) = run(job(code, n=1 << 20, limits=Limits(time_ms=20_000))).outputs
    assert np.array_equal(np.frombuffer(output.data, "<i4"), 2 * np.arange(1 << 20))


def test_a_job_decoded_from_bytes_runs_the_same(run) -> None:
    from kernels.custom.job import decode_job, encode_job

    one = job(kernel("p[threadIdx.x] = blockIdx.x;"))
    assert run(decode_job(encode_job(one))).outputs == run(one).outputs
    assert msgspec.msgpack.encode(one) == encode_job(one)
