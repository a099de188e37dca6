"""One job on both sides of a wire: what is sent, what is paid, and how it ends."""

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st
from stage import (
    RECEIPT,
    DeadWorker,
    Job,
    ScriptedWorker,
    SlowPurse,
    chat_job,
    ended,
    kernel_job,
    kernel_result,
    open_wire,
    speech,
    speech_job,
    started,
    tick,
    token,
)

from cocoon.errors import PeerMisbehaved
from cocoon.market.price import chunk_cost, cost
from cocoon.messages import (
    Cancel,
    Finish,
    Kind,
    Limits,
    Meter,
    PriceSchedule,
    VoucherMessage,
    encode,
)
from cocoon.provider.execution import PIECE_TEXT_MAX, WorkerFailed
from cocoon.provider.wire import TokensOut
from cocoon.requester.meter import TOKEN_CHARACTERS_MAX
from overlay.errors import PeerUnavailable, RemoteProtocolError

PRICES = st.sampled_from([0, 1, 1000, 77_777])


async def test_every_token_arrives_in_order_and_is_paid(autojump_clock):
    tokens = [token(n) for n in range(20)]
    job = Job(ScriptedWorker(started(10), *tokens, ended()), latency_s=0.05)
    await job.play()
    assert job.text == "".join(f" {n}" for n in range(20))
    assert [i for piece in job.pieces for i in piece.token_ids] == list(range(20))
    assert job.execution.finish is job.running.finish is Finish.STOP
    assert job.purse.paid == job.execution.lease.paid_nanoton == 10 + 20
    assert job.execution.countersignature == b"c" * 64
    assert job.execution.lease.settled


async def test_both_sides_hash_the_same_sealed_output(autojump_clock):
    job, seen = Job(ScriptedWorker(started(), token(1), ended(Finish.LENGTH))), []

    def check(end, watch, digest, finish) -> bytes:
        seen.append((end, digest, finish))
        return b"c" * 64

    async with open_wire() as (ours, theirs):
        prefix = job.make(ours, theirs)
        job.running.check_receipt = check
        async with trio.open_nursery() as nursery:
            nursery.start_soon(job.provide)
            await job.running.stream_output(prefix, job.take)
    assert seen == [(RECEIPT, job.execution.sealer.digest(), Finish.LENGTH)]


@pytest.mark.parametrize("schedule", [PriceSchedule(), PriceSchedule(output_token=1)])
async def test_a_job_that_costs_nothing_or_next_to_nothing_never_stalls(schedule, autojump_clock):
    tokens = [token(n) for n in range(64)]
    job = Job(ScriptedWorker(started(), *tokens, ended()), schedule=schedule)
    await job.play()
    assert len(job.text.split()) == 64
    assert trio.current_time() < 1


async def test_a_recording_is_billed_to_its_last_silence_a_chunk_at_a_time(autojump_clock):
    worker = ScriptedWorker(
        started(0, 200_000), speech(0, 4_000, "one"), speech(100_000, 104_000, "two"), ended()
    )
    job = Job(worker, job=speech_job(), audio_ms_max=200_000)
    await job.play()
    assert [s.text for piece in job.pieces for s in piece.speech] == ["one", "two"]
    assert job.running.watch.seen == Meter(audio_ms=200_000)
    assert job.purse.paid == 200_000
    assert job.execution.lease.at_risk_max_nanoton <= 30_000
    assert job.running.watch.at_risk_max_nanoton <= 30_000


async def test_a_recording_that_goes_on_elsewhere_is_billed_from_there(autojump_clock):
    worker = ScriptedWorker(started(0, 90_000), speech(60_000, 70_000, "rest"), ended())
    job = Job(worker, job=speech_job(skip_ms=60_000), audio_ms_max=30_000)
    await job.play()
    assert job.purse.paid == 30_000
    assert [s.start_ms for piece in job.pieces for s in piece.speech] == [60_000]


@settings(max_examples=40, deadline=None)
@given(
    steps=st.lists(st.tuples(st.integers(1, 9), st.sampled_from([0, 0, 0.01, 1.5])), max_size=25),
    prompt=st.integers(0, 500),
    chunk=st.integers(1, 12),
    prices=st.tuples(PRICES, PRICES),
    pay_delay_s=st.sampled_from([0, 0.02, 3]),
    latency_s=st.sampled_from([0, 0.03, 0.8]),
)
def test_no_pattern_of_output_payment_and_latency_stalls_a_chat(
    steps, prompt, chunk, prices, pay_delay_s, latency_s
):
    script = [started(prompt)]
    total = 0
    for count, pause_s in steps:
        script += [token(total + n) for n in range(count)] + [pause_s]
        total += count
    schedule = PriceSchedule(prompt_token=prices[0], output_token=prices[1])
    limits = Limits(chunk_tokens=chunk)
    job = Job(
        ScriptedWorker(*script, ended(Finish.LENGTH)),
        job=chat_job(granted_tokens=2 * chunk),
        schedule=schedule,
        limits=limits,
        purse=SlowPurse(pay_delay_s),
        latency_s=latency_s,
    )
    trio.run(job.play, clock=trio.testing.MockClock(autojump_threshold=0))
    assert [i for piece in job.pieces for i in piece.token_ids] == list(range(total))
    whole = cost(schedule, Meter(prompt_tokens=prompt, output_tokens=total))
    assert job.purse.paid == job.execution.lease.paid_nanoton == whole
    at_risk = cost(schedule, Meter(prompt_tokens=prompt)) + chunk_cost(schedule, limits, Kind.CHAT)
    assert job.execution.lease.at_risk_max_nanoton <= at_risk
    assert job.running.watch.at_risk_max_nanoton <= at_risk


@settings(max_examples=25, deadline=None)
@given(
    gaps=st.lists(st.tuples(st.integers(0, 50_000), st.integers(0, 29_000)), max_size=12),
    tail_ms=st.integers(0, 70_000),
    skip_ms=st.integers(0, 20_000),
    chunk_s=st.integers(1, 40),
    price=PRICES,
    pay_delay_s=st.sampled_from([0, 0.5]),
)
def test_no_pattern_of_speech_and_silence_stalls_a_transcription(
    gaps, tail_ms, skip_ms, chunk_s, price, pay_delay_s
):
    at_ms, script = skip_ms, []
    for silence_ms, spoken_ms in gaps:
        script.append(speech(at_ms + silence_ms, at_ms + silence_ms + spoken_ms))
        at_ms += silence_ms + spoken_ms
    schedule, limits = PriceSchedule(audio_second=price), Limits(chunk_audio_s=chunk_s)
    job = Job(
        ScriptedWorker(started(0, at_ms + tail_ms), *script, ended()),
        job=speech_job(skip_ms=skip_ms, granted_ms=2000 * chunk_s),
        schedule=schedule,
        limits=limits,
        purse=SlowPurse(pay_delay_s),
        audio_ms_max=at_ms + tail_ms - skip_ms,
    )
    trio.run(job.play, clock=trio.testing.MockClock(autojump_threshold=0))
    assert sum(len(piece.speech) for piece in job.pieces) == len(gaps)
    assert job.running.watch.seen.audio_ms == at_ms + tail_ms - skip_ms
    assert job.execution.lease.settled
    chunk = chunk_cost(schedule, limits, Kind.TRANSCRIBE)
    assert job.execution.lease.at_risk_max_nanoton <= chunk


async def test_the_device_never_computes_more_than_two_chunks_ahead(autojump_clock):
    worker = ScriptedWorker(started(), *[token(n) for n in range(100)], ended())
    job = Job(worker, purse=SlowPurse(pays_at_most=10 + 4))
    with pytest.raises(ExceptionGroup):
        await job.play()
    assert worker.made <= 4 + 2 * 4 + 1
    assert job.execution.finish is Finish.UNPAID


async def test_a_requester_that_stops_paying_gets_one_chunk_and_no_more(autojump_clock):
    worker = ScriptedWorker(started(), *[token(n) for n in range(100)], ended())
    job = Job(worker, purse=SlowPurse(pays_at_most=10 + 4), unpaid_timeout_s=7)
    with pytest.raises(ExceptionGroup) as caught:
        await job.play()
    assert caught.group_contains(PeerUnavailable, match="no output within")
    lease = job.execution.lease
    assert job.execution.finish is job.running.finish is Finish.UNPAID
    assert lease.at_risk_nanoton <= chunk_cost(job.schedule, job.limits, Kind.CHAT)
    assert lease.sent.output_tokens <= 8


async def test_who_pays_each_voucher_just_in_time_does_not_keep_the_slot(autojump_clock):
    worker = ScriptedWorker(started(), *[token(n) for n in range(100)], ended())
    job = Job(worker, purse=SlowPurse(19.0), unpaid_timeout_s=20, deadline_s=10**6)
    with pytest.raises(ExceptionGroup):
        await job.play()
    assert job.execution.finish is Finish.UNPAID
    assert trio.current_time() < 60  # and not 19 s for each of 25 chunks


async def test_a_payer_that_is_steadily_slow_is_served_to_the_end(autojump_clock):
    worker = ScriptedWorker(started(), *[token(n) for n in range(100)], ended())
    job = Job(worker, purse=SlowPurse(3.9), unpaid_timeout_s=7, deadline_s=10**6)
    await job.play()
    assert job.execution.finish is Finish.STOP
    assert trio.current_time() > 10 * 3.9


async def test_a_requester_that_vanishes_stops_the_device(autojump_clock):
    worker = ScriptedWorker(started(), token(1), 1.0, *[token(n) for n in range(90)], ended())
    job = Job(worker)
    async with open_wire() as (ours, theirs):
        job.make(ours, theirs)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(job.provide)
            await trio.sleep(0.5)
            await ours.reset()
    assert job.execution.left
    assert job.execution.finish is Finish.CANCELLED
    assert job.execution.lease.at_risk_nanoton == 11
    assert worker.made == 1


async def test_a_cancel_ends_the_stream_in_order_and_is_paid(autojump_clock):
    script = [step for n in range(50) for step in (1.0, token(n))]
    job = Job(ScriptedWorker(started(), *script, ended()), cancelled_after_s=7.5)
    await job.play()
    assert trio.current_time() < 8
    assert job.execution.finish is job.running.finish is Finish.CANCELLED
    assert job.execution.lease.sent.output_tokens == 7
    assert job.purse.paid == job.execution.lease.paid_nanoton == 10 + 7
    assert job.execution.countersignature


async def test_what_came_is_paid_even_when_the_provider_does_not_hear_the_cancel(autojump_clock):
    script = [step for n in range(20) for step in (1.0, token(n))]
    job = Job(ScriptedWorker(started(), *script, ended()), limits=Limits(chunk_tokens=50))
    async with open_wire() as (ours, theirs):
        prefix = job.make(ours, theirs)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(job.execution.run)  # and nobody reads what the requester says
            with trio.move_on_after(6.5) as scope:
                await job.running.stream_output(prefix, job.take)
            assert scope.cancelled_caught
            assert trio.current_time() == pytest.approx(6.5 + 4, abs=0.1)
            nursery.cancel_scope.cancel()
    assert len(job.pieces) == 10
    assert job.purse.paid == 10 + 10


async def test_the_deadline_stops_the_job_and_leaves_the_stream_whole(autojump_clock):
    script = [step for n in range(50) for step in (1.0, token(n))]
    job = Job(ScriptedWorker(started(), *script, ended()), deadline_s=5)
    await job.play()
    assert job.execution.finish is job.running.finish is Finish.DEADLINE
    assert 4 <= job.execution.lease.sent.output_tokens <= 5
    assert job.execution.lease.settled


async def test_a_device_that_ignores_the_cancel_does_not_hold_up_the_end(autojump_clock):
    worker = ScriptedWorker(started(), token(1), 1000.0, ended(), heeds_cancel=False)
    job = Job(worker, deadline_s=5)
    await job.play()
    assert job.running.finish is Finish.DEADLINE
    assert trio.current_time() < 6


@pytest.mark.parametrize(
    ("script", "bad_input", "words"),
    [
        ([started(), token(1)], False, "died"),
        ([started(), ended(Finish.FAILED, detail="no memory")], False, "no memory"),
        ([ended(Finish.FAILED, detail="no audio", bad_input=True)], True, "no audio"),
    ],
)
async def test_a_worker_that_fails_says_whose_fault_it_is(script, bad_input, words, autojump_clock):
    job = Job(ScriptedWorker(*script))
    async with open_wire() as ends:
        job.make(*ends)
        with pytest.raises(WorkerFailed, match=words) as caught:
            await job.execution.run()
    assert caught.value.bad_input is bad_input


async def test_a_worker_that_is_dead_already_is_no_bug_of_ours(autojump_clock):
    job = Job(DeadWorker())
    async with open_wire() as ends:
        job.make(*ends)
        with pytest.raises(WorkerFailed, match="gone"):
            await job.execution.run()
        await job.execution._stop_with(Finish.CANCELLED)


@pytest.mark.parametrize(
    ("frame", "error"),
    [(b"\xc1garbage", RemoteProtocolError), (encode(Cancel())[:-1], RemoteProtocolError)],
)
async def test_garbage_in_mid_job_is_the_requesters_fault(frame, error, autojump_clock):
    job = Job(ScriptedWorker(started(), 100.0, ended()))
    async with open_wire() as (ours, theirs):
        job.make(ours, theirs)
        await ours.send(frame)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(job.execution.read_frames)
            with pytest.raises(error):
                await job.execution.run()
        assert job.execution.stream._sending.name == "OPEN"  # a refusal can still be sent


async def test_a_bad_voucher_is_the_requesters_fault(autojump_clock):
    class Strict:
        async def receive(self, voucher: VoucherMessage):
            raise PeerMisbehaved("bad signature on a voucher")

    job = Job(ScriptedWorker(started(), 100.0, ended()))
    async with open_wire() as (ours, theirs):
        job.make(ours, theirs)
        job.execution.till = Strict()
        await ours.send(encode(VoucherMessage(total_nanoton=5, signature=bytes(64))))
        await job.execution.read_frames()
        with pytest.raises(PeerMisbehaved, match="voucher"):
            job.execution.check_fault()
        await job.execution.wait_settled()
        await job.execution.wait_countersigned()
    assert job.execution.lease.paid_nanoton == 0


async def test_long_texts_are_cut_so_that_they_fit_a_segment(autojump_clock):
    texts = ("x" * TOKEN_CHARACTERS_MAX,) * 120
    words = [TokensOut(job_id="j", token_ids=(n,) * 120, texts=texts) for n in range(8)]
    job = Job(ScriptedWorker(started(), *words, ended()), limits=Limits(chunk_tokens=1000))
    job.job = chat_job(granted_tokens=2000)
    await job.play()
    assert len(job.text) == 8 * 120 * TOKEN_CHARACTERS_MAX
    assert len(job.pieces) >= 8 * 120 * TOKEN_CHARACTERS_MAX // PIECE_TEXT_MAX


async def test_a_requester_that_does_not_read_is_gone_after_a_while(autojump_clock):
    text = "x" * 200_000
    worker = ScriptedWorker(started(), *[token(n, text) for n in range(8)], ended())
    job = Job(worker, schedule=PriceSchedule())
    async with open_wire() as (ours, theirs):
        job.make(ours, theirs)
        await job.execution.run()
    assert job.execution.left
    assert trio.current_time() == pytest.approx(30, abs=1)


# --- kernels -------------------------------------------------------------------------------


async def test_a_kernel_is_paid_while_it_runs_and_its_result_comes_whole(autojump_clock):
    data = bytes(range(256)) * 4
    worker = ScriptedWorker(
        started(0), tick(0, "compiling"), 1, *(tick(ms) for ms in range(50, 450, 50)), 1,
        *kernel_result(500, data), ended(),
    )  # fmt: skip
    job = Job(worker, job=kernel_job(), output_bytes=len(data), latency_s=0.05)
    await job.play()
    assert job.data == data
    assert [piece.note for piece in job.pieces if piece.note] == ["compiling", "running"]
    assert job.running.finish is job.execution.finish is Finish.STOP
    assert job.purse.paid == job.execution.lease.paid_nanoton == 500
    assert len(job.running.vouchers) >= 5
    assert job.execution.lease.at_risk_max_nanoton <= 100


async def test_a_kernel_that_fails_is_paid_for_what_it_used_and_says_why(autojump_clock):
    worker = ScriptedWorker(
        started(0), tick(80), *kernel_result(250, b""), ended(Finish.FAULT, detail="f: trap")
    )
    job = Job(worker, job=kernel_job(), output_bytes=64)
    await job.play()
    assert job.running.finish is Finish.FAULT
    assert job.pieces[-1].note == "f: trap"
    assert job.purse.paid == 250
    assert job.execution.countersignature


async def test_a_kernel_rests_unpaid_and_the_job_ends_with_one_chunk_lost(autojump_clock):
    worker = ScriptedWorker(started(0), *(tick(ms) for ms in range(50, 5000, 50)), ended())
    job = Job(worker, job=kernel_job(), purse=SlowPurse(pays_at_most=120))
    with pytest.RaisesGroup(PeerUnavailable, allow_unwrapped=True, flatten_subgroups=True):
        await job.play()
    assert job.execution.finish is Finish.UNPAID
    assert worker.made <= 120 + 2 * 100 + 50, "it worked on unpaid"
    assert job.execution.lease.at_risk_nanoton <= 100


async def test_a_cancelled_kernel_is_paid_for_what_it_used_until_then(autojump_clock):
    script = [step for ms in range(10, 10_000, 10) for step in (tick(ms), 0.1)]
    worker = ScriptedWorker(started(0), *script, ended())
    job = Job(worker, job=kernel_job(), cancelled_after_s=2.05, output_bytes=8)
    await job.play()
    assert job.execution.finish is Finish.CANCELLED
    assert 150 <= job.execution.lease.paid_nanoton == job.purse.paid <= 220


@settings(max_examples=25, deadline=None)
@given(
    ticks=st.lists(st.tuples(st.integers(0, 300), st.sampled_from([0, 0.01, 0.5])), max_size=12),
    rest_ms=st.integers(1, 900),
    size=st.integers(0, 3000),
    chunk=st.integers(20, 400),
    price=PRICES,
    pay_delay_s=st.sampled_from([0, 0.02, 3]),
    latency_s=st.sampled_from([0, 0.8]),
)
def test_no_pattern_of_progress_payment_and_latency_stalls_a_kernel(
    ticks, rest_ms, size, chunk, price, pay_delay_s, latency_s
):
    script, at_ms = [started(0)], 0
    for more_ms, pause_s in ticks:
        at_ms += more_ms
        script += [tick(at_ms), pause_s]
    data = bytes(n % 251 for n in range(size))
    job = Job(
        ScriptedWorker(*script, *kernel_result(at_ms + rest_ms, data), ended()),
        job=kernel_job(granted_ms=2 * chunk),
        schedule=PriceSchedule(gpu_ms=price),
        limits=Limits(chunk_gpu_ms=chunk),
        purse=SlowPurse(pay_delay_s),
        output_bytes=size,
        latency_s=latency_s,
        deadline_s=10**6,
    )
    trio.run(job.play, clock=trio.testing.MockClock(autojump_threshold=0))
    assert job.data == data
    whole = cost(job.schedule, Meter(gpu_ms=at_ms + rest_ms))
    assert job.purse.paid == job.execution.lease.paid_nanoton == whole
    at_risk = chunk_cost(job.schedule, job.limits, Kind.KERNEL)
    assert job.execution.lease.at_risk_max_nanoton <= at_risk
    assert job.running.watch.at_risk_max_nanoton <= at_risk
