"""A whole market in one process: real node code, real contract, real worker process."""

import pytest
import trio
from shop import ask, until

from cocoon.errors import JobFailed, NoProvider, PaymentError
from cocoon.messages import Finish
from cocoon.receipts import verify_file
from cocoon.requester.events import AttemptFailed, OutputCame
from contracts.errors import ChainUnavailable


async def silent(event) -> None:
    await trio.lowlevel.checkpoint()


async def test_a_job_is_asked_answered_paid_and_receipted(market):
    provider = await market.provider(1)
    requester = await market.requester()
    seen = []

    async def listen(event) -> None:
        seen.append(event)

    result = await requester.run(ask(provider, 20), listen)
    assert result.finish in (Finish.STOP, Finish.LENGTH)
    assert result.text == "".join(e.text for e in seen if isinstance(e, OutputCame))
    attempt = result.attempts[0]
    assert verify_file(market.home / attempt.receipt).require().meter.output_tokens == result.tokens
    await until(lambda: market.events(1, "job_ended"))
    (end,) = market.events(1, "job_ended")
    assert end["paid_nanoton"] == end["cost_nanoton"] == result.paid_nanoton > 0
    assert end["lost_nanoton"] == 0
    await until(lambda: list(provider.config.receipts.glob("*.receipt")))
    (kept,) = provider.config.receipts.glob("*.receipt")
    assert verify_file(kept).ok
    assert provider.sales[0].desk.free_slots == provider.sales[0].pool.free_slots == 1
    assert len(provider.prekeys) == 0
    assert requester.tracks.with_receipts() == [provider.identity.peer_id]
    assert requester.directory.book._familiar == {provider.identity.peer_id}
