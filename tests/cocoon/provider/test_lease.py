"""The two halves of the billing rule agree, whatever the prices, pieces and delays."""

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cocoon.errors import PeerMisbehaved
from cocoon.market.price import chunk_cost, cost
from cocoon.messages import (
    Finish,
    Kind,
    Limits,
    Meter,
    OutputPiece,
    PriceSchedule,
    SpeechPiece,
)
from cocoon.provider.lease import Lease, units_of
from cocoon.requester.meter import MeterWatch
from contracts.units import NanoTon

prices = st.sampled_from([0, 1, 7, 999, 1000, 20_000, 10**9])
chats = st.builds(PriceSchedule, prompt_token=prices, output_token=prices, audio_second=st.just(0))
recordings = st.builds(PriceSchedule, audio_second=prices)
kernels = st.builds(PriceSchedule, gpu_ms=prices)


class Billing:
    """One job's account on both sides, with messages on their way in between."""

    def __init__(self, kind: Kind, schedule: PriceSchedule, limits: Limits, prompt: int) -> None:
        self.kind = kind
        self.schedule = schedule
        self.prompt_tokens = prompt
        self.lease = Lease(kind, schedule, limits)
        self.watch = MeterWatch(
            kind=kind,
            schedule=schedule,
            limits=limits,
            prompt_tokens_max=prompt,
            output_tokens_max=10**6,
            audio_ms_max=10**9,
            kernel_ms_max=10**6,
        )
        self.risk_max = cost(schedule, Meter(prompt_tokens=prompt)) + chunk_cost(
            schedule, limits, kind
        )
        self.pieces: deque[OutputPiece] = deque()
        self.vouchers: deque[NanoTon] = deque()

    def meter(self, units: int) -> Meter:
        if self.kind is Kind.CHAT:
            return Meter(prompt_tokens=self.prompt_tokens, output_tokens=units)
        return Meter(gpu_ms=units) if self.kind is Kind.KERNEL else Meter(audio_ms=units)

    def send(self, units: int, finish: Finish | None = None) -> None:
        before = units_of(self.kind, self.lease.sent)
        ids = (0,) * units if self.kind is Kind.CHAT else ()
        piece = OutputPiece(meter=self.meter(before + units), token_ids=ids, finish=finish)
        self.lease.record_sent(piece.meter)
        self.pieces.append(piece)
        assert self.lease.at_risk_nanoton <= self.risk_max

    def deliver_piece(self) -> None:
        piece = self.pieces.popleft()
        self.watch.receive(piece)
        due = self.watch.take_due(ended=piece.finish is not None)
        if due is not None:
            self.vouchers.append(due)

    def deliver_voucher(self) -> None:
        self.lease.record_paid(self.vouchers.popleft())


@given(
    kind_and_schedule=st.one_of(
        st.tuples(st.just(Kind.CHAT), chats),
        st.tuples(st.just(Kind.TRANSCRIBE), recordings),
        st.tuples(st.just(Kind.KERNEL), kernels),
    ),
    chunk=st.integers(1, 20),
    prompt=st.integers(0, 3000),
    total=st.integers(0, 120),
    random=st.randoms(use_true_random=False),
)
def test_both_sides_agree_and_never_wait_for_each_other(
    kind_and_schedule, chunk, prompt, total, random
):
    kind, schedule = kind_and_schedule
    scale = 1000 if kind is Kind.TRANSCRIBE else 1
    prompt = prompt if kind is Kind.CHAT else 0
    limits = Limits(chunk_tokens=chunk, chunk_audio_s=chunk, chunk_gpu_ms=chunk)
    billing = Billing(kind, schedule, limits, prompt)
    left, ended = total * scale, False
    while not ended or billing.pieces or billing.vouchers:
        possible = []
        if left and billing.lease.room():
            possible.append("send")
        if not left and not ended:
            possible.append("end")
        possible += ["piece"] * bool(billing.pieces) + ["voucher"] * bool(billing.vouchers)
        assert possible, "a deadlock: nothing can be sent, and nothing is on its way"
        match random.choice(possible):
            case "send":
                units = random.randint(1, min(left, billing.lease.room()))
                billing.send(units)
                left -= units
            case "end":
                billing.send(0, Finish.STOP)
                ended = True
            case "piece":
                billing.deliver_piece()
            case "voucher":
                billing.deliver_voucher()
    assert billing.lease.settled
    assert billing.lease.paid_nanoton == billing.watch.paid_nanoton == billing.lease.cost_nanoton
    assert billing.watch.at_risk_max_nanoton <= billing.risk_max
    assert units_of(kind, billing.watch.seen) == total * scale


def test_the_prompt_is_at_risk_once_only():
    schedule = PriceSchedule(prompt_token=1000, output_token=1000)
    billing = Billing(Kind.CHAT, schedule, Limits(chunk_tokens=4), prompt=100)
    billing.send(4)
    assert billing.lease.at_risk_nanoton == 104
    assert billing.lease.room() == 0
    billing.deliver_piece()
    billing.deliver_voucher()
    assert (billing.lease.at_risk_nanoton, billing.lease.room()) == (0, 4)
    billing.send(4)
    assert billing.lease.at_risk_nanoton == 4
    assert billing.lease.at_risk_max_nanoton == 104


def test_the_device_may_be_so_many_chunks_ahead_of_what_is_paid():
    lease = Lease(Kind.CHAT, PriceSchedule(output_token=1000), Limits(chunk_tokens=8))
    lease.record_sent(Meter(output_tokens=8))
    assert lease.computable(2) == 16
    lease.record_paid(8)
    assert lease.computable(2) == 24


def test_what_costs_nothing_is_covered_at_once():
    lease = Lease(Kind.CHAT, PriceSchedule(), Limits(chunk_tokens=2))
    for tokens in range(2, 40, 2):
        lease.record_sent(Meter(output_tokens=tokens))
        assert lease.room() == 2
    assert lease.settled


def test_an_older_voucher_that_comes_late_takes_nothing_back():
    lease = Lease(Kind.CHAT, PriceSchedule(output_token=1000), Limits(chunk_tokens=8))
    lease.record_sent(Meter(output_tokens=8))
    lease.record_paid(8)
    lease.record_paid(3)
    assert lease.paid_nanoton == 8


# --- the requester's half refuses a dishonest meter ------------------------------------------

SCHEDULE = PriceSchedule(prompt_token=1000, output_token=2000, audio_second=1_000_000)


def watch(kind: Kind = Kind.CHAT, **changes) -> MeterWatch:
    bounds = {"prompt_tokens_max": 50, "output_tokens_max": 40, "audio_ms_max": 90_000}
    return MeterWatch(
        kind=kind,
        schedule=SCHEDULE,
        limits=Limits(chunk_tokens=8, chunk_audio_s=30),
        **(bounds | changes),
    )


def tokens(count: int, **meter) -> OutputPiece:
    return OutputPiece(meter=Meter(**meter), token_ids=(1,) * count)


@pytest.mark.parametrize(
    ("piece", "words"),
    [
        (tokens(1, prompt_tokens=10, output_tokens=2), "2 tokens billed, 1 received"),
        (tokens(3, prompt_tokens=10, output_tokens=2), "2 tokens billed, 3 received"),
        (tokens(1, prompt_tokens=51, output_tokens=1), "the prompt cannot be 51"),
        (tokens(1, prompt_tokens=30, cached_tokens=30, output_tokens=1), "cannot be 60"),
        (tokens(9, prompt_tokens=10, output_tokens=9), "one chunk costs"),
        (tokens(1, output_tokens=1, gpu_ms=1), "GPU time is not sold"),
    ],
)
def test_a_dishonest_first_piece_is_refused_and_owes_nothing(piece, words):
    account = watch()
    with pytest.raises(PeerMisbehaved, match=words):
        account.receive(piece)
    assert account.take_due(ended=True) is None
    assert account.seen == Meter()


@pytest.mark.parametrize(
    ("piece", "words"),
    [
        (tokens(0, prompt_tokens=10, output_tokens=3), "ran backwards"),
        (tokens(1, prompt_tokens=9, output_tokens=5), "ran backwards"),
        (tokens(1, prompt_tokens=11, output_tokens=5), "the prompt grew from 10"),
        (tokens(1, prompt_tokens=10, cached_tokens=2, output_tokens=5), "the prompt grew from 10"),
        (tokens(37, prompt_tokens=10, output_tokens=41), "more than the 40 tokens"),
    ],
)
def test_a_dishonest_later_piece_is_refused(piece, words):
    account = watch()
    account.receive(tokens(4, prompt_tokens=10, output_tokens=4))
    due = account.take_due(ended=False)
    with pytest.raises(PeerMisbehaved, match=words):
        account.receive(piece)
    assert account.paid_nanoton == due == 10 + 8
    assert account.take_due(ended=True) is None


def test_audio_beyond_the_recording_or_in_one_great_leap_is_refused():
    account = watch(Kind.TRANSCRIBE)
    with pytest.raises(PeerMisbehaved, match="one chunk costs"):
        account.receive(OutputPiece(meter=Meter(audio_ms=30_001)))
    for audio_ms in (30_000, 60_000, 90_000):
        account.receive(OutputPiece(meter=Meter(audio_ms=audio_ms)))
        assert account.take_due(ended=False) == audio_ms
    with pytest.raises(PeerMisbehaved, match="only 90000 ms"):
        account.receive(OutputPiece(meter=Meter(audio_ms=90_001)))


def test_a_voucher_is_due_for_the_first_piece_then_for_each_full_chunk_and_at_the_end():
    account, dues = watch(), []
    for count in range(1, 20):
        account.receive(tokens(1, prompt_tokens=10, output_tokens=count))
        dues.append(account.take_due(ended=count == 19))
    assert [n for n, due in enumerate(dues, start=1) if due is not None] == [1, 9, 17, 19]
    assert dues[-1] == 10 + 2 * 19


def said(start_ms: int, end_ms: int, text: str) -> SpeechPiece:
    return SpeechPiece(start_ms=start_ms, end_ms=end_ms, text=text)


def speech(end_ms: int, text: str, *, audio_ms: int) -> OutputPiece:
    return OutputPiece(meter=Meter(audio_ms=audio_ms), speech=(said(0, end_ms, text),))


def kernel_watch() -> MeterWatch:
    return MeterWatch(
        kind=Kind.KERNEL,
        schedule=PriceSchedule(gpu_ms=1000),
        limits=Limits(chunk_gpu_ms=100),
        prompt_tokens_max=0,
        output_tokens_max=0,
        audio_ms_max=0,
        kernel_ms_max=250,
        output_bytes=8,
    )


@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        ([OutputPiece(meter=Meter(gpu_ms=101))], "one chunk costs"),
        ([OutputPiece(meter=Meter(gpu_ms=n)) for n in (90, 180, 251)], "more than the 250 ms"),
        ([OutputPiece(meter=Meter(gpu_ms=1), data=bytes(9))], "more than the 8 bytes"),
        ([OutputPiece(meter=Meter(gpu_ms=1), data=bytes(7), finish=Finish.STOP)], "7 bytes of 8"),
        ([OutputPiece(meter=Meter(gpu_ms=1, output_tokens=1), token_ids=(1,))], "0 tokens"),
        ([OutputPiece(meter=Meter(gpu_ms=1, audio_ms=1))], "audio is only 0 ms"),
    ],
    ids=["a leap", "more than allowed", "too many bytes", "cut off", "tokens", "audio"],
)
def test_a_dishonest_bill_for_a_kernel_is_refused(pieces, words):
    account = kernel_watch()
    with pytest.raises(PeerMisbehaved, match=words):
        for piece in pieces:
            account.receive(piece)
            account.take_due(ended=False)


def test_a_kernel_is_paid_first_then_chunk_by_chunk_and_a_failed_one_may_have_no_result():
    account, dues = kernel_watch(), []
    for ms in range(20, 241, 20):
        account.receive(OutputPiece(meter=Meter(gpu_ms=ms)))
        dues.append(account.take_due(ended=False))
    assert [due for due in dues if due is not None] == [20, 120, 220]
    account.receive(OutputPiece(meter=Meter(gpu_ms=240), finish=Finish.FAULT, note="trap"))
    assert account.take_due(ended=True) == 240


def test_bytes_that_belong_to_no_kernel_are_refused():
    with pytest.raises(PeerMisbehaved, match="more than the 0 bytes"):
        watch().receive(OutputPiece(meter=Meter(), data=b"x"))


@pytest.mark.parametrize(
    ("account", "piece", "words"),
    [
        (watch(), OutputPiece(meter=Meter(prompt_tokens=9), text="x"), "at most 0 can be"),
        (
            watch(),
            OutputPiece(
                meter=Meter(prompt_tokens=9, output_tokens=1), token_ids=(1,), text="x" * 513
            ),
            "513 characters of text came, at most 512",
        ),
        (watch(Kind.TRANSCRIBE), speech(1000, "x" * 32_000, audio_ms=1000), "at most 31000"),
        (
            watch(Kind.TRANSCRIBE),
            OutputPiece(meter=Meter(audio_ms=1), speech=(said(0, 0, ""),) * 2000),
            "32000 characters",
        ),
        (watch(Kind.TRANSCRIBE), speech(1001, "x", audio_ms=1000), "after the 1000 ms"),
        (watch(Kind.TRANSCRIBE, skip_ms=70), speech(1071, "x", audio_ms=1000), "after the 1000 ms"),
        (kernel_watch(), OutputPiece(meter=Meter(gpu_ms=1), text="x"), "at most 0 can be"),
        (kernel_watch(), OutputPiece(meter=Meter(), speech=(said(0, 0, ""),)), "at most 0 can be"),
    ],
)
def test_text_that_cannot_come_of_what_is_billed_is_refused(account, piece, words):
    with pytest.raises(PeerMisbehaved, match=words):
        account.receive(piece)
    assert account.take_due(ended=True) is None


def test_free_text_does_not_add_up():
    account = watch()
    account.receive(tokens(1, prompt_tokens=9, output_tokens=1))
    flood = OutputPiece(meter=account.seen, text="x" * 100)
    with pytest.raises(PeerMisbehaved, match="characters of text came"):
        for _ in range(6):
            account.receive(flood)


def test_as_much_text_as_so_much_output_can_have_is_fine():
    chat, heard = watch(), watch(Kind.TRANSCRIBE, skip_ms=70)
    meter = Meter(prompt_tokens=9, output_tokens=2)
    chat.receive(OutputPiece(meter=meter, token_ids=(1, 2), text="x" * 1024))
    heard.receive(speech(1070, "x" * 30_000, audio_ms=1000))
