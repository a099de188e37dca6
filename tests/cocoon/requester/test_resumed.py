"""A job that loses its connection goes on where it was, and is paid once; no stranger joins in."""

from pathlib import Path

import numpy as np
import pytest
import trio
from shop import until

from cocoon.config import CeilingPrices, Prices
from cocoon.config_kernels import KernelsConfig
from cocoon.errors import JobFailed
from cocoon.messages import (
    JOB_PROTOCOL,
    SEGMENT_BYTES_MAX,
    Finish,
    Refusal,
    RefusalCode,
    Resume,
    Resumed,
    decode_from_provider,
    encode,
)
from cocoon.provider import open_jobs
from cocoon.receipts import verify_file
from cocoon.requester import run
from cocoon.requester.events import InputSent, KernelCame, Reconnected, Reconnecting
from cocoon.requester.kernels import outputs_of
from cocoon.requester.plan import KernelRequest
from kernels.compile import find_nvrtc
from kernels.custom import KernelJob
from kernels.custom.confinement import can_confine
from kernels.custom.job import Argument, ElementType, Language, Limits, Role
from overlay.identity import Identity

NUMBERS = 700_000
PRICE = {"gpu_ms_nanoton_per_1000": 3_000_000}
CODE = """
extern "C" __global__ void f(const unsigned* x, unsigned* y) {
    for (int i = blockIdx.x; i < 700000; i += gridDim.x) y[i] = x[i] ^ 0xffffffffu;
}
"""
X = np.random.default_rng(6).integers(0, 2**32, NUMBERS, dtype=np.uint32)
INPUT_BYTES = X.nbytes

pytestmark = pytest.mark.skipif(
    find_nvrtc() is None or bool(can_confine()),
    reason=can_confine() or "pip install nvidia-cuda-nvrtc",
)


def request() -> KernelRequest:
    arrays = (
        Argument(name="x", role=Role.IN, dtype=ElementType.UINT32, shape=X.shape, data=X.tobytes()),
        Argument(name="y", role=Role.OUT, dtype=ElementType.UINT32, shape=X.shape),
    )
    job = KernelJob(
        language=Language.CUDA,
        code=CODE,
        entry="f",
        grid=(64, 1, 1),
        block=(1, 1, 1),
        arguments=arrays,
        limits=Limits(time_ms=20_000),
    )
    return KernelRequest(job=job, device="cpu")


@pytest.fixture
async def shop(market, monkeypatch):
    """A provider of kernels and a buyer that hears of every segment that it has sent."""
    monkeypatch.setattr(run, "TOLD_EVERY_S", 0)
    monkeypatch.setattr(open_jobs, "FIRST_S", open_jobs.PATIENCE_S)  # slow machines are patient
    kernels = KernelsConfig(enabled=True, device="cpu", ms_max=20_000, chunk_ms=5)
    provider = await market.provider(
        1, models=(), kernels=kernels, price=Prices(**PRICE), unpaid_timeout_s=5
    )
    requester = await market.requester(ceiling=CeilingPrices(**PRICE), attempts_max=1)
    return provider, requester


def cut(market, requester) -> None:
    """Break every stream of the requester, on both sides."""
    for stream in [*market.network._drivers[requester.identity.peer_id]._streams]:
        stream.break_off()


async def test_cut_in_its_input_and_in_its_result_a_job_ends_once_right_and_paid_once(market, shop):
    provider, requester = shop
    events, input_cuts, output_cuts = [], [1, 4, 8], [1, 1_000_000, 2_000_000]

    async def listen(event) -> None:
        events.append(event)
        segments = event.sent_bytes // SEGMENT_BYTES_MAX if isinstance(event, InputSent) else 0
        if input_cuts and segments >= input_cuts[0]:
            input_cuts.pop(0)
            cut(market, requester)
        came = event.received_bytes if isinstance(event, KernelCame) else 0
        if output_cuts and came >= output_cuts[0]:
            output_cuts.pop(0)
            cut(market, requester)

    bought = request()
    result = await requester.run(bought, listen)
    assert (input_cuts, output_cuts) == ([], [])
    lost = [event for event in events if isinstance(event, Reconnecting)]
    assert len(lost) == len([event for event in events if isinstance(event, Reconnected)]) == 6
    sent = [event.sent_bytes for event in events if isinstance(event, InputSent)]
    assert sent == sorted(set(sent)), "no segment was sent anew by the job"
    (values,) = outputs_of(bought.job, result)
    assert (np.frombuffer(values.data, "<u4") == ~X).all()
    assert result.finish is Finish.STOP
    (attempt,) = result.attempts
    assert attempt.failure == ""
    receipt = verify_file(Path(attempt.receipt)).require()
    await until(lambda: market.events(1, "job_ended"))
    (end,) = market.events(1, "job_ended")
    assert end["cost_nanoton"] == end["paid_nanoton"] == receipt.cost_nanoton > 0
    assert result.paid_nanoton == receipt.cost_nanoton
    channel = requester.payer.channel(attempt.channel)
    assert channel.ref.signed_total_nanoton == receipt.cost_nanoton
    await until(lambda: provider.sales[0].desk.free_slots == provider.sales[0].pool.free_slots == 1)
    await market.settle()
    await until(lambda: len(provider.open_jobs) == 0)
    assert len(provider.debtors) == 0


async def test_nobody_else_comes_back_to_a_job_and_its_requester_not_with_lies(market, shop):
    provider, requester = shop
    host, _ = await market.host(Identity(b"stranger".ljust(32, b"!")))
    tried = []

    async def come_back(from_host, received: int):
        ((_, input_hash),) = provider.open_jobs._jobs
        stream = await from_host.open_stream(provider.identity.peer_id, JOB_PROTOCOL)
        await stream.send(encode(Resume(input_hash=input_hash, received=received)))
        answer = decode_from_provider(await stream.receive())
        await stream.reset()
        return answer

    async def listen(event) -> None:
        if isinstance(event, InputSent) and not tried:
            tried.append(await come_back(host, 0))
            tried.append(await come_back(requester.host, 10**6))

    bought = request()
    result = await requester.run(bought, listen)
    stranger, liar = tried
    assert isinstance(stranger, Refusal)
    assert stranger.code is RefusalCode.EXPIRED
    assert isinstance(liar, Resumed), "it is told how much came; a lie about ours ends its stream"
    assert len(result.attempts) == 1
    (values,) = outputs_of(bought.job, result)
    assert (np.frombuffer(values.data, "<u4") == ~X).all()


async def test_a_requester_that_stays_away_frees_all_it_held_and_is_not_waited_for_again(
    market, shop
):
    provider, requester = shop
    desk, pool, slots_held = provider.sales[0].desk, provider.sales[0].pool, []

    async def listen(event) -> None:
        if isinstance(event, InputSent) and not slots_held:
            cut(market, requester)
        if isinstance(event, Reconnecting):
            slots_held.append(desk.running)
            (job,) = provider.open_jobs._jobs.values()
            await until(lambda: job.line.away)
            job.line.give_up("its patience has ended")
            await until(lambda: len(provider.open_jobs) == 0)

    with pytest.raises(JobFailed, match="it cannot be gone on with: nothing of that job"):
        await requester.run(request(), listen)
    assert slots_held == [1], "its slot was held meanwhile"
    await until(lambda: desk.free_slots == pool.free_slots == 1)
    assert not provider.payee._active
    assert not market.events(1, "job_ended"), "it never began, and nothing was paid"
    peer, now_unix_s = requester.identity.peer_id, market.network.clock()
    assert provider.debtors.owed_by(peer, now_unix_s) == 0
    assert provider.debtors.has_wasted(peer, now_unix_s), "under another peer id it is known, too"
    assert provider.open_jobs._has_lapsed(peer)
    result = await requester.run(request(), _silent)
    assert result.finish is Finish.STOP
    await until(lambda: not provider.debtors.has_wasted(peer, market.network.clock()))


async def test_who_begins_anew_on_the_same_channel_need_not_wait_for_its_lost_job(
    market, shop, monkeypatch
):
    provider, requester = shop
    provider.sales[0].desk._slots = 2  # only the channel is in the way

    async def leave(event) -> None:
        if isinstance(event, InputSent):
            cut(market, requester)
            scope.cancel()

    with trio.CancelScope() as scope:
        await requester.run(request(), leave)
    assert scope.cancelled_caught
    await until(lambda: [job.line.away for job in provider.open_jobs._jobs.values()] == [True])
    held = provider.sales[0].pool
    held.enlist(held._members[0])  # and a worker, which the lost job never came to use
    result = await requester.run(request(), _silent)
    assert [attempt.failure for attempt in result.attempts] == [""]
    assert not provider.open_jobs._has_lapsed(requester.identity.peer_id)


async def _silent(_event) -> None:
    await trio.lowlevel.checkpoint()
