"""What a job cost is its own, whoever else pays through the same channel at the same time."""

import errno
from pathlib import Path

import pytest
import trio
from shop import ask

from cocoon.errors import JobFailed, PaymentError
from cocoon.gateway.allowance import Allowance
from cocoon.gateway.service import Gateway
from cocoon.messages import Finish
from cocoon.requester import agreement, service
from cocoon.requester.bill import Bill
from cocoon.requester.events import OutputCame
from contracts.units import parse_coins


async def silent(event) -> None:
    del event
    await trio.lowlevel.checkpoint()


async def test_two_jobs_over_one_channel_are_counted_once_each(market, monkeypatch):
    provider = await market.provider(1)
    requester = await market.requester()
    allowance = Allowance(limit=parse_coins("1"))
    gateway = Gateway(requester, "key", allowance, jobs_max=4, tell=lambda *_: None)
    hang_up, over, other_is_done, results = service.hang_up, trio.Event(), trio.Event(), []

    async def late(stream) -> None:
        """The first job is over and its channel free, but it has not been added up yet."""
        monkeypatch.setattr(service, "hang_up", hang_up)
        await hang_up(stream)
        over.set()
        await other_is_done.wait()

    async def first() -> None:
        results.append(await gateway._run(ask(provider), silent))

    monkeypatch.setattr(service, "hang_up", late)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(first)
        await over.wait()
        results.append(await gateway._run(ask(provider, text="again"), silent))
        other_is_done.set()
    one, two = (result.attempts[0].channel for result in results)
    assert one == two
    assert allowance.spent == sum(result.paid_nanoton for result in results) > 0


async def test_a_bill_knows_what_a_cancelled_job_cost(market):
    provider = await market.provider(1)
    requester, bill = await market.requester(), Bill()
    with trio.CancelScope() as scope:

        async def listen(event) -> None:
            if isinstance(event, OutputCame):
                scope.cancel()

        await requester.run(ask(provider, 40), listen, bill)
    (channel,) = requester.payer.list_channels()
    assert bill.paid_nanoton == channel.signed_total > 0


async def test_a_job_that_was_paid_in_part_is_not_one_to_try_again_blindly(market):
    """Clients of the API repeat what found no provider; this one would be paid twice."""
    provider = await market.provider(1)
    requester, bill = await market.requester(), Bill()

    async def listen(event) -> None:
        if isinstance(event, OutputCame) and event.tokens == 5:
            market.network.kill(provider.identity.peer_id)

    with pytest.raises(JobFailed, match="was paid for what came") as failed:
        await requester.run(ask(provider, 40), listen, bill)
    assert bill.paid_nanoton > 0
    assert str(failed.value).count(provider.identity.peer_id[-8:]) == 1, "one reason each"


async def test_no_job_begins_that_could_pass_the_limit(market):
    provider = await market.provider(1)
    requester = await market.requester()
    gateway = Gateway(requester, "key", Allowance(limit=10), jobs_max=4, tell=lambda *_: None)
    with pytest.raises(Exception, match="may spend") as refused:
        await gateway._run(ask(provider), silent)
    assert isinstance(refused.value.__cause__, PaymentError)
    assert requester.payer.list_channels() == []


@pytest.mark.parametrize("what", ["receipt", "explanation", "tracks"])
async def test_a_full_disk_does_not_lose_an_answer_that_was_paid(market, monkeypatch, what):
    provider = await market.provider(1)
    requester = await market.requester()

    def full(*_, **__):
        raise OSError(errno.ENOSPC, "no space left")

    match what:
        case "receipt":
            monkeypatch.setattr(agreement, "save_receipt", full)
        case "explanation":
            monkeypatch.setattr(Path, "write_bytes", full)
        case _:
            monkeypatch.setattr(requester.tracks, "_write", full)
    result = await requester.run(ask(provider, 8), silent)
    assert result.finish in (Finish.STOP, Finish.LENGTH)
    assert result.text
    assert bool(result.attempts[0].receipt) == (what != "receipt")
