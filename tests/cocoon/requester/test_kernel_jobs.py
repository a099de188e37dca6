"""Kernels in a whole market of one process: real workers, real contract; deaths and bad kernels."""

from pathlib import Path

import numpy as np
import pytest
import trio
from shop import until

from cocoon.config import CeilingPrices, Prices
from cocoon.config_kernels import KernelsConfig
from cocoon.errors import NoProvider, Refused
from cocoon.messages import Finish
from cocoon.receipts import verify_file
from cocoon.requester.events import AttemptFailed, KernelCame, Negotiated
from cocoon.requester.kernels import outputs_of
from cocoon.requester.plan import KernelRequest
from kernels.compile import find_nvrtc
from kernels.custom import KernelJob, kernel_hash, read_manifest
from kernels.custom.confinement import can_confine
from kernels.custom.job import Argument, ElementType, Language, Limits, Role

EXAMPLES = Path(__file__).parents[3] / "examples" / "kernels"
BLOCKS = 40_000
PRICE = {"gpu_ms_nanoton_per_1000": 3_000_000}
BUSY = """
extern "C" __global__ void f(unsigned* p) {
    unsigned v = blockIdx.x + 1;
    for (int k = 0; k < 20000; ++k) { v ^= v << 13; v ^= v >> 17; v ^= v << 5; }
    p[blockIdx.x] = v;
}
"""
TRAP = 'extern "C" __global__ void f(unsigned* p) { p[0] = 1; asm volatile("trap;"); }'

pytestmark = pytest.mark.skipif(
    find_nvrtc() is None or bool(can_confine()),
    reason=can_confine() or "pip install nvidia-cuda-nvrtc",
)


def kernel(code: str, blocks: int = BLOCKS, time_ms: int = 20_000) -> KernelRequest:
    out = Argument(name="p", role=Role.OUT, dtype=ElementType.UINT32, shape=(BLOCKS,))
    job = KernelJob(
        language=Language.CUDA,
        code=code,
        entry="f",
        grid=(blocks, 1, 1),
        block=(1, 1, 1),
        arguments=(out,),
        limits=Limits(time_ms=time_ms),
    )
    return KernelRequest(job=job, device="cpu")


async def open_shop(market, sellers: int):
    kernels = KernelsConfig(enabled=True, device="cpu", ms_max=20_000, chunk_ms=200)
    settings = {"models": (), "kernels": kernels, "price": Prices(**PRICE), "unpaid_timeout_s": 5}
    providers = [await market.provider(n, **settings) for n in range(1, sellers + 1)]
    requester = await market.requester(
        stall_timeout_s=10, ceiling=CeilingPrices(**PRICE), attempts_max=4
    )
    return providers, requester


async def silent(event) -> None:
    await trio.lowlevel.checkpoint()


async def test_bad_kernels_are_told_typed_are_not_tried_elsewhere_and_both_sides_keep_receipts(
    market,
):
    providers, requester = await open_shop(market, 2)
    job = read_manifest(EXAMPLES / "nbody")
    result = await requester.run(KernelRequest(job=job, device="cpu"), silent)
    (acceleration,) = outputs_of(job, result)
    assert np.isfinite(np.frombuffer(acceleration.data, "<f4")).all()
    receipt = verify_file(Path(result.attempts[0].receipt)).require()
    assert receipt.kernel_hash == kernel_hash(job)
    assert receipt.meter.gpu_ms == result.metered_ms > 1

    trapped = await requester.run(kernel(TRAP), silent)
    assert (trapped.finish, trapped.metered_ms, len(trapped.attempts)) == (Finish.FAULT, 1, 1)
    assert "trap" in trapped.note
    assert trapped.paid_nanoton > 0
    endless = await requester.run(kernel(BUSY, time_ms=300), silent)
    assert (endless.finish, endless.metered_ms, len(endless.attempts)) == (Finish.LIMIT, 300, 1)

    events = []

    async def listen(event) -> None:
        events.append(event)

    with pytest.raises(Refused, match="does not compile"):
        await requester.run(kernel("nonsense"), listen)
    assert len([event for event in events if isinstance(event, Negotiated)]) == 1
    assert not [event for event in events if isinstance(event, AttemptFailed)]
    told = [*market.events(1, "refused"), *market.events(2, "refused")]
    assert [(one["code"], one["detail"]) for one in told] == [("input", "it does not compile:")]

    ended = [*market.events(1, "job_ended"), *market.events(2, "job_ended")]
    assert sum(one["lost_nanoton"] for one in ended) == 0
    assert sorted(one["gpu_ms"] for one in ended) == sorted(
        [0, 1, 300, result.metered_ms]
    )  # what was refused has no bill
    kept = [path for p in providers for path in p.config.receipts.glob("*.receipt")]
    assert len(kept) == 3
    assert all(verify_file(path).ok for path in kept)

    with pytest.raises(NoProvider, match="ms of a kernel wanted"):
        await requester.run(kernel(BUSY, time_ms=20_001), silent)


async def test_a_kernel_whose_provider_dies_begins_anew_elsewhere_and_is_billed_there(market):
    _, requester = await open_shop(market, 2)
    events = []

    async def listen(event) -> None:
        events.append(event)
        if (
            isinstance(event, KernelCame)
            and event.metered_ms > 500
            and len(market.network._drivers) == 3
        ):
            chosen = next(e for e in reversed(events) if isinstance(e, Negotiated))
            market.network.kill(chosen.provider)

    request = kernel(BUSY)
    result = await requester.run(request, listen)
    dead, alive = result.attempts
    assert dead.failure
    assert result.provider == alive.provider != dead.provider
    assert result.finish is Finish.STOP
    (values,) = outputs_of(request.job, result)
    assert np.frombuffer(values.data, "<u4").all()
    assert dead.paid_nanoton > 0, "it was paid while it ran, and that is lost"
    receipt = verify_file(Path(alive.receipt)).require()
    assert receipt.meter.gpu_ms == result.metered_ms > 500
    assert receipt.cost_nanoton == alive.paid_nanoton


async def test_a_cancelled_kernel_stops_at_once_and_is_paid_for_what_it_used(market):
    (provider,), requester = await open_shop(market, 1)
    with trio.CancelScope() as scope:

        async def listen(event) -> None:
            if isinstance(event, KernelCame) and event.metered_ms > 500:
                scope.cancel()

        await requester.run(kernel(BUSY), listen)
    assert scope.cancelled_caught
    await until(lambda: market.events(1, "job_ended"))
    (ended,) = market.events(1, "job_ended")
    assert ended["finish"] == "cancelled"
    assert 500 < ended["gpu_ms"] < 4000
    assert ended["paid_nanoton"] == ended["cost_nanoton"] > 0
    await until(lambda: provider.sales[0].pool.free_slots == 1)
