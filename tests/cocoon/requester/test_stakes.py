"""What a buyer lets a provider ask for: the limit of the whole job, and of a chunk."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cocoon.market.price import cost
from cocoon.market.sizes import JobSize
from cocoon.messages import Kind, Limits, Meter, PriceSchedule
from cocoon.requester.bill import Bill
from cocoon.requester.plan import ChunkLimits
from cocoon.requester.stakes import Stakes
from contracts.units import NanoTon

CHUNKS = ChunkLimits(tokens_max=64, audio_s_max=30)
prices = st.integers(0, 10**9)


def stakes(left: int | None, fee_max: int = 0, tokens: int = 100, prompt: int = 50) -> Stakes:
    size = JobSize(prompt_tokens_max=prompt, output_tokens_max=tokens)
    limit = None if left is None else NanoTon(left)
    return Stakes(kind=Kind.CHAT, size=size, chunks=CHUNKS, left=limit, fee_max=NanoTon(fee_max))


@given(prices, prices, st.integers(0, 100), st.integers(0, 50), st.integers(0, 10**9))
def test_whoever_is_acceptable_cannot_come_to_more(output, prompt, tokens, read, left) -> None:
    schedule = PriceSchedule(output_token=output, prompt_token=prompt)
    if not stakes(left).objection(schedule, Limits(chunk_tokens=64)):
        assert cost(schedule, Meter(prompt_tokens=read, output_tokens=tokens)) <= left


def test_the_limit_is_reached_and_not_passed() -> None:
    schedule, limits = PriceSchedule(output_token=1000), Limits(chunk_tokens=64)
    assert stakes(100).objection(schedule, limits) == ""
    assert "may cost 0.0000001" in stakes(99).objection(schedule, limits)
    assert stakes(None).objection(schedule, limits) == ""


def test_a_hubs_fee_counts() -> None:
    schedule, limits = PriceSchedule(output_token=1000), Limits(chunk_tokens=64)
    assert stakes(105, fee_max=5).objection(schedule, limits) == ""
    assert stakes(104, fee_max=5).objection(schedule, limits)


def test_a_chunk_that_is_too_large_is_named_as_ever() -> None:
    assert "65 tokens" in stakes(None).objection(PriceSchedule(), Limits(chunk_tokens=65))


@pytest.mark.parametrize(("paid", "left"), [(0, 10), (4, 6), (10, 0), (11, 0)])
def test_what_other_providers_got_is_not_left(paid: int, left: int) -> None:
    bill = Bill(paid_nanoton=NanoTon(paid))
    assert bill.left_of(NanoTon(10)) == left
    assert bill.left_of(None) is None
