"""A real worker for kernels: it runs, rests, stops, refuses and fails as its buyer may rely on."""

import os
import signal
from pathlib import Path

import msgspec
import pytest
import trio
from stage import kernel_job

from cocoon.kernel_profiles import PROFILES
from cocoon.messages import Finish, Kind
from cocoon.provider.runner import Worker, WorkerDied, WorkerSpec, open_worker
from cocoon.provider.wire import JobEnded, JobStarted, KernelDone, KernelOut, KernelTick, RunKernel
from kernels.compile import find_nvrtc
from kernels.custom import encode_job, kernel_hash, read_manifest
from kernels.custom.confinement import can_confine
from kernels.custom.job import Argument, ElementType, KernelJob, Language, Role

EXAMPLES = Path(__file__).parents[3] / "examples" / "kernels"
BLOCKS = 12_000
MS_OF_BUSY = 1500  # about: so many blocks of 20 000 turns of 6 instructions
BUSY = """
extern "C" __global__ void f(unsigned* p) {
    unsigned v = blockIdx.x + 1;
    for (int k = 0; k < 20000; ++k) { v ^= v << 13; v ^= v >> 17; v ^= v << 5; }
    p[blockIdx.x] = v;
}
"""

pytestmark = pytest.mark.skipif(
    find_nvrtc() is None or bool(can_confine()),
    reason=can_confine() or "pip install nvidia-cuda-nvrtc",
)


def busy(code: str = BUSY) -> KernelJob:
    out = Argument(name="p", role=Role.OUT, dtype=ElementType.UINT32, shape=(BLOCKS,))
    return KernelJob(
        language=Language.CUDA,
        code=code,
        entry="f",
        grid=(BLOCKS, 1, 1),
        block=(1, 1, 1),
        arguments=(out,),
    )


def order(kernel: KernelJob, **changes) -> RunKernel:
    return kernel_job(
        **({"job": encode_job(kernel), "ms_max": 10_000, "granted_ms": 10**6} | changes)
    )


async def until_end(events) -> tuple[list, JobEnded]:
    seen = [event async for event in events]
    assert isinstance(seen[-1], JobEnded)
    return seen[:-1], seen[-1]


async def run(worker: Worker, one: RunKernel) -> tuple[list, JobEnded]:
    async with worker.run(one) as events:
        return await until_end(events)


def metered(events: list) -> int:
    (done,) = [event for event in events if isinstance(event, KernelDone)]
    return done.metered_ms


async def test_one_worker_through_everything_that_can_happen_to_a_kernel() -> None:
    """One test, for a worker takes a second to start: it has to survive each step."""
    spec = WorkerSpec(kind=Kind.KERNEL, device="cpu")
    async with open_worker(spec) as worker:
        await says_what_it_is(worker)
        await runs_an_example(worker)
        await rests_where_its_grant_ends(worker)
        await stops_when_it_is_told_to(worker)
        await refuses_what_is_larger_than_agreed(worker)
        await refuses_what_does_not_compile(worker)
        await fails_at_its_limit(worker)
        await runs_an_example(worker)
        assert worker.alive
        await leaves_no_kernel_running_when_it_is_killed(worker)


async def says_what_it_is(worker: Worker) -> None:
    assert worker.ready.model_id == PROFILES["cpu"].profile_id
    assert (worker.ready.kind, worker.ready.device) == (Kind.KERNEL, "cpu")
    assert worker.ready.speed_milli_per_s > 0


async def runs_an_example(worker: Worker) -> None:
    job = read_manifest(EXAMPLES / "saxpy")
    events, end = await run(worker, order(job))
    assert end.finish is Finish.STOP
    assert isinstance(events[0], JobStarted)
    assert events[0].kernel_hash == kernel_hash(job)
    data = b"".join(event.data for event in events if isinstance(event, KernelOut))
    assert len(data) == 40_000
    assert metered(events) == 1


async def rests_where_its_grant_ends(worker: Worker) -> None:
    one = order(busy(), granted_ms=100)
    async with worker.run(one) as events:
        used = 0
        with trio.fail_after(20):
            while used <= 100:
                event = await events.receive()
                used = max(used, event.metered_ms if isinstance(event, KernelTick) else 0)
        with trio.move_on_after(0.6):  # ticks go on, and tell the same
            while True:
                event = await events.receive()
                assert isinstance(event, KernelTick)
                used = max(used, event.metered_ms)
        assert used < MS_OF_BUSY / 2, "it did not rest"
        await worker.grant(one.job_id, 10_000)
        rest, end = await until_end(events)
    assert end.finish is Finish.STOP
    assert MS_OF_BUSY / 2 < metered(rest) < MS_OF_BUSY * 2


async def stops_when_it_is_told_to(worker: Worker) -> None:
    one = order(busy(), granted_ms=50)
    async with worker.run(one) as events:
        while True:
            event = await events.receive()
            if isinstance(event, KernelTick) and event.metered_ms:
                break
        await worker.cancel(one.job_id)
        with trio.fail_after(5):
            _, end = await until_end(events)
    assert end.finish is Finish.CANCELLED


async def refuses_what_is_larger_than_agreed(worker: Worker) -> None:
    for changes in ({"memory_bytes_max": 47_999}, {"output_bytes_max": 47_999}, {"job": b"no"}):
        events, end = await run(worker, order(busy(), **changes))
        assert (end.finish, end.bad_input) == (Finish.FAILED, True)
        assert not events, "nothing has begun"


async def refuses_what_does_not_compile(worker: Worker) -> None:
    events, end = await run(worker, order(busy("nonsense")))
    assert (end.finish, end.bad_input) == (Finish.FAILED, True)
    assert "does not compile" in end.detail
    assert not [event for event in events if isinstance(event, KernelDone)]


async def fails_at_its_limit(worker: Worker) -> None:
    events, end = await run(worker, order(busy(), ms_max=30))
    assert (end.finish, end.bad_input) == (Finish.LIMIT, False)
    assert metered(events) == 30
    limits = msgspec.structs.replace(busy().limits, time_ms=20)
    shorter = msgspec.structs.replace(busy(), limits=limits)
    events, end = await run(worker, order(shorter, ms_max=30))
    assert metered(events) == 20, "the customer's own limit holds"


def children_of(pid: int) -> set[int]:
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = path.read_text().rsplit(")", 1)[1].split()[:2]
        except OSError:
            continue
        if int(parent) == pid and state != "Z":
            found.add(int(path.parent.name))
    return found


async def leaves_no_kernel_running_when_it_is_killed(worker: Worker) -> None:
    """Not even one that rests."""
    async with worker.run(order(busy(), granted_ms=50)) as events:
        while True:
            event = await events.receive()
            if isinstance(event, KernelTick) and event.metered_ms > 50:
                break
        await trio.sleep(0.1)
        (kernel,) = children_of(worker.pid)
        os.kill(worker.pid, signal.SIGKILL)
        with trio.fail_after(5):
            while state_of(kernel) != "Z":  # noqa: ASYNC110  (it is another process)
                await trio.sleep(0.02)


def state_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return "Z"


async def test_where_no_card_is_a_worker_for_one_does_not_start() -> None:
    spec = WorkerSpec(kind=Kind.KERNEL, device="cuda")
    with pytest.raises(WorkerDied, match="customers' kernels cannot be served"):
        async with open_worker(spec):
            pass
