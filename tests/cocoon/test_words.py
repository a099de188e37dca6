"""Words: what people and scripts are told of jobs."""

import dataclasses

import pytest

from cocoon.kernel_profiles import PROFILES
from cocoon.market.explain import Explanation
from cocoon.messages import Finish, PriceSchedule
from cocoon.payments.payer_book import InterruptedJob
from cocoon.requester.events import (
    Attempt,
    AttemptFailed,
    ChannelReady,
    Discovered,
    FailOver,
    InputSent,
    JobResult,
    KernelCame,
    Negotiated,
    OutputCame,
    Reconnected,
    Reconnecting,
)
from cocoon.words import (
    interrupted_words,
    kernel_words,
    progress_words,
    receipt_words,
    result_json,
    result_words,
)
from contracts.units import NanoTon

PEER = "12D3KooWJBpp6qFurkDfbfv23fuPFGEhz3EByap3LoxJPLKULL3f"
OTHER = "12D3KooWMstdGhvbXX7a8Ac1DC9QJ9x8eHrVLpfyPD5pnpnATEGH"


def result() -> JobResult:
    died = Attempt(provider=OTHER, vouchers=2, paid_nanoton=NanoTon(10), failure="died")
    died.at_risk_max_nanoton = NanoTon(7)
    done = Attempt(provider=PEER, vouchers=3, paid_nanoton=NanoTon(32), receipt="/r/1.receipt")
    done.at_risk_max_nanoton = NanoTon(5)
    return JobResult(
        job_id="j1",
        resource_class="chat/00",
        text="hello",
        tokens=40,
        finish=Finish.STOP,
        time_to_first_token_s=0.25,
        tokens_per_s=20.0,
        total_s=2.0,
        attempts=[died, done],
        failovers=[FailOver(OTHER, PEER, 12, "died")],
    )


def test_a_result_adds_up_over_all_attempts() -> None:
    told = result_json(result())
    assert told["paid_nanoton"] == 42
    assert told["vouchers"] == 5
    assert told["at_risk_max_nanoton"] == 7
    assert told["provider"] == PEER
    assert told["receipts"] == ["/r/1.receipt"]
    assert told["interrupted_jobs"] == []


def test_a_result_in_words_names_price_risk_and_receipt() -> None:
    text = "\n".join(result_words(result()))
    for part in ("job j1", "40 tokens", "0.000000042", "5 vouchers", "0.000000007", "1.receipt"):
        assert part in text


def test_an_interrupted_job_says_what_was_paid_and_what_is_in_doubt() -> None:
    job = InterruptedJob(
        job_id="j1",
        provider=PEER,
        channel="0:00",
        paid_nanoton=NanoTon(3_000_000_000),
        at_risk_nanoton=NanoTon(500_000_000),
    )
    text = interrupted_words(job)
    assert "3 GRAM paid" in text
    assert "0.5 may have bought nothing" in text
    assert PEER[-8:] in text


def test_every_step_has_one_line_and_output_has_none() -> None:
    empty = Explanation(job_id="j", at_unix_s=0, resource_class="chat/00", providers=())
    prices = PriceSchedule(prompt_token=1, cached_token=1, output_token=1, audio_second=1, gpu_ms=1)
    steps = [
        (Discovered(3, ()), "3 providers found"),
        (Negotiated(PEER, prices, NanoTon(7), empty), "agreed with Asel"),
        (ChannelReady(PEER, "0:abcdef0123", NanoTon(9)), "0:abcdef01"),
        (AttemptFailed(PEER, "gone", 12), "Asel failed after 12 tokens (gone)"),
        (AttemptFailed(PEER, "gone", 0), "Asel failed (gone)"),
        (OutputCame("text", 1), ""),
        (KernelCame("running", 1200, 0), ""),
    ]
    for event, words in steps:
        line = progress_words(event, lambda _peer: "Asel")
        assert words in line
        assert bool(line) == bool(words)
        assert "\n" not in line


def test_a_kernels_account_says_what_its_milliseconds_are() -> None:
    job = dataclasses.replace(
        result(), resource_class=PROFILES["cpu"].resource_class, metered_ms=1200
    )
    text = kernel_words(job)
    assert "1200 ms metered (kernels-cpu: 1 ms is 1000000 PTX instructions on a CPU)" in text
    assert any("1.receipt" in line for line in receipt_words(job))


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (InputSent(2_500_000, 64_000_000), "sent 2.5 of 64.0 MB of input"),
        (Reconnecting(PEER), "the connection to alice was lost; dialing it again"),
        (Reconnected(PEER), "alice still has the job: going on where it was"),
    ],
)
def test_uploads_and_lost_connections_are_told(event, words) -> None:
    assert progress_words(event, {PEER: "alice"}.__getitem__) == words
