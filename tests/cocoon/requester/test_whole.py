"""A whole market in one process: real node code, real contract, real worker process."""

import pytest
import trio
from shop import ask, until

from cocoon.config import CeilingPrices, Prices
from cocoon.errors import JobFailed, NoProvider, PaymentError
from cocoon.messages import Finish
from cocoon.payments.journal import Journal, JournalError
from cocoon.receipts import verify_file
from cocoon.requester.bill import Bill
from cocoon.requester.events import AllBusy, AttemptFailed, OutputCame
from cocoon.words import progress_words
from contracts.errors import ChainUnavailable
from contracts.units import NanoTon


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
    await until(lambda: provider.sales[0].desk.free_slots == 1)
    assert provider.sales[0].pool.free_slots == 1
    assert len(provider.prekeys) == 0
    assert requester.tracks.with_receipts() == [provider.identity.peer_id]
    assert requester.directory.book._familiar == {provider.identity.peer_id}


async def test_a_job_costs_no_more_than_its_buyer_said_whoever_does_it(market):
    dear = {"output_token_nanoton_per_1000": 10**9}
    cheap = {"output_token_nanoton_per_1000": 10**6}
    slow = await market.provider(1, price=Prices(**cheap), tokens_per_s_max=20)
    await market.provider(2, price=Prices(**dear))
    requester = await market.requester(
        ceiling=CeilingPrices(**dear, prompt_token_nanoton_per_1000=10**6)
    )
    for limit in (10**6, 10**7):
        result = await requester.run(ask(slow, 20), silent, spend_max=NanoTon(limit))
        assert result.provider == slow.identity.peer_id
        assert 0 < result.paid_nanoton <= limit
    bill = Bill()
    with pytest.raises(NoProvider, match=r"may cost .* of 0\.000000001 to spend"):
        await requester.run(ask(slow, 20), silent, bill, spend_max=NanoTon(1))
    assert bill.paid_nanoton == 0


async def test_a_second_job_uses_the_same_channel_and_both_close_it_together(market):
    price = {"output_token_nanoton_per_1000": 10**10}
    provider = await market.provider(1, price=Prices(**price))
    requester = await market.requester(ceiling=CeilingPrices(**price))
    first = await requester.run(ask(provider), silent)
    second = await requester.run(ask(provider, text="again"), silent)
    assert first.attempts[0].channel == second.attempts[0].channel
    settlement = await requester.close_channel(first.attempts[0].channel)
    total = first.paid_nanoton + second.paid_nanoton
    assert 0 < total - settlement.paid < 10**7  # but for the fee of its message
    assert market.world.conserved()


@pytest.mark.parametrize("tokens_before", [0, 5])
async def test_another_provider_finishes_when_one_loses_power(market, tokens_before):
    slow = [await market.provider(n, tokens_per_s_max=20) for n in (1, 2)]
    requester = await market.requester(stall_timeout_s=5)
    whole = await requester.run(ask(slow[0], 30), silent)
    events = []

    async def listen(event) -> None:
        events.append(event)
        came = isinstance(event, OutputCame) and event.tokens >= tokens_before > 0
        agreed = type(event).__name__ == "ChannelReady" and tokens_before == 0
        if (came or agreed) and len(market.network._drivers) == 3:
            provider = next(e for e in reversed(events) if type(e).__name__ == "Negotiated")
            market.network.kill(provider.provider)

    result = await requester.run(ask(slow[0], 30), listen)
    assert [a.failure == "" for a in result.attempts] == [False, True]
    assert result.text == whole.text
    assert result.failovers[0].at_token >= tokens_before
    assert result.attempts[0].provider != result.provider
    assert any(isinstance(event, AttemptFailed) for event in events)
    dead = requester.tracks.view()[result.attempts[0].provider]
    assert dead.failures == 1


async def test_a_worker_that_dies_in_mid_job_is_no_fault_of_the_requester(market):
    import os
    import signal

    provider = await market.provider(1, tokens_per_s_max=20)
    requester = await market.requester(attempts_max=1)
    pid = provider.sales[0].pool._members[0].pid

    async def listen(event) -> None:
        if isinstance(event, OutputCame):
            os.kill(pid, signal.SIGKILL)

    with pytest.raises(JobFailed, match="internal"):
        await requester.run(ask(provider, 60), listen)
    assert len(provider.debtors) == 0
    assert market.events(1, "job_ended")[0]["finish"] == "failed"
    await until(lambda: provider.sales[0].pool.free_slots == 1)
    result = await (await market.requester("other")).run(ask(provider), silent)
    assert result.text


async def test_a_requester_that_stops_paying_gets_one_chunk_and_is_remembered(market, monkeypatch):
    provider = await market.provider(1, unpaid_timeout_s=1)
    requester = await market.requester(attempts_max=1)

    async def never(self, job_total):
        await trio.sleep_forever()

    with monkeypatch.context() as patch:
        patch.setattr("cocoon.requester.agreement.ChannelPurse.pay", never)
        with pytest.raises(JobFailed, match="not paid in time"):
            await requester.run(ask(provider, 60), silent)
    (end,) = market.events(1, "job_ended")
    assert end["finish"] == "unpaid"
    assert end["lost_nanoton"] > 0
    assert end["output_tokens"] <= 4
    with pytest.raises(NoProvider, match="of an earlier job was not paid"):
        await requester.run(ask(provider), silent)
    assert (await (await market.requester("other")).run(ask(provider), silent)).text


async def test_a_requester_that_vanishes_stops_the_device_and_is_remembered(market):
    provider = await market.provider(1, tokens_per_s_max=20)
    requester = await market.requester()
    vanished = trio.Event()

    async def listen(event) -> None:
        if isinstance(event, OutputCame) and event.tokens >= 3 and not vanished.is_set():
            vanished.set()
            market.network.kill(requester.identity.peer_id)

    with trio.move_on_after(8), pytest.raises((NoProvider, JobFailed)):
        await requester.run(ask(provider, 60), listen)
    await until(lambda: market.events(1, "job_ended"))
    (end,) = market.events(1, "job_ended")
    assert end["finish"] == "cancelled"
    assert end["output_tokens"] < 20
    await until(lambda: provider.sales[0].pool.free_slots == 1)
    assert provider.sales[0].desk.free_slots == 1
    assert (await (await market.requester("other")).run(ask(provider), silent)).text


async def test_ctrl_c_in_mid_job_pays_what_came_and_keeps_the_receipt(market):
    provider = await market.provider(1, tokens_per_s_max=20)
    requester = await market.requester()
    with trio.CancelScope() as scope:

        async def listen(event) -> None:
            if isinstance(event, OutputCame) and event.tokens >= 6:
                scope.cancel()

        await requester.run(ask(provider, 60), listen)
    assert scope.cancelled_caught
    await until(lambda: market.events(1, "job_ended"))
    (end,) = market.events(1, "job_ended")
    assert end["finish"] == "cancelled"
    assert end["lost_nanoton"] == 0
    assert 6 <= end["output_tokens"] < 20
    (receipt,) = requester.config.receipts.glob("*.receipt")
    assert verify_file(receipt).ok
    assert len(provider.debtors) == 0
    assert provider.identity.peer_id not in [
        peer for peer, track in requester.tracks.view().items() if track.failures
    ]
    again = await requester.run(ask(provider), silent)  # the channel is free, the slot too
    assert again.text


@pytest.mark.parametrize("moment", ["Discovered", "Negotiated", "ChannelReady"])
async def test_ctrl_c_before_the_job_leaves_nothing_behind(market, moment):
    provider = await market.provider(1)
    requester = await market.requester()
    with trio.CancelScope() as scope:

        async def listen(event) -> None:
            if type(event).__name__ == moment:
                scope.cancel()
                await trio.lowlevel.checkpoint()

        await requester.run(ask(provider), listen)
    assert scope.cancelled_caught
    desk = provider.sales[0].desk
    await until(lambda: desk.outstanding == 0 and len(provider.prekeys) == 0)
    await until(lambda: desk.free_slots == provider.sales[0].pool.free_slots == 1)
    assert (await requester.run(ask(provider), silent)).text


async def test_a_chain_that_is_down_is_said_so_and_costs_the_provider_nothing(market):
    provider = await market.provider(1)
    requester = await market.requester()
    market.world.payer_chain.available = False
    with pytest.raises(ChainUnavailable, match="nothing is lost"):
        await requester.run(ask(provider), silent)
    market.world.payer_chain.available = True
    assert requester.tracks.view().get(provider.identity.peer_id, None) is None
    assert (await requester.run(ask(provider), silent)).text


async def test_a_providers_blind_chain_is_a_typed_refusal(market):
    provider = await market.provider(1)
    requester = await market.requester(attempts_max=1)
    market.world.payee_chain.available = False
    with pytest.raises(JobFailed, match="our view of the chain is down"):
        await requester.run(ask(provider), silent)


async def test_a_providers_full_disk_is_a_refusal_that_names_no_file_and_no_debt(
    market, monkeypatch
):
    provider = await market.provider(1)
    requester = await market.requester()
    append = Journal.append_many

    def full(journal, records):
        if journal._path.name.startswith("payee"):
            raise JournalError(f"cannot write {journal._path}: no space left")
        append(journal, records)

    monkeypatch.setattr(Journal, "append_many", full)
    with pytest.raises((JobFailed, NoProvider), match="our disk takes no records") as failed:
        await requester.run(ask(provider, 8), silent)
    assert "payee" not in str(failed.value)
    assert len(provider.debtors) == 0
    track = requester.tracks.view()[provider.identity.peer_id]
    assert track.failures == 1, "it offered, had a channel opened, and then did not do it"


async def test_an_empty_wallet_ends_in_words_about_money(market):
    provider = await market.provider(1)
    requester = await market.requester(
        deposit_coins="1000", channel_coins_max="1000", peer_coins_max="1000"
    )
    with pytest.raises(PaymentError):
        await requester.run(ask(provider), silent)


async def test_chunks_larger_than_the_requester_allows_are_not_bought(market):
    provider = await market.provider(1)
    requester = await market.requester(chunk_tokens_max=3)
    with pytest.raises(NoProvider, match="chunks of 4 tokens, at most 3"):
        await requester.run(ask(provider), silent)
    assert not market.events(1, "lost")


async def test_a_restarted_provider_goes_on_with_its_numbers_and_price(market):
    provider = await market.provider(1)
    await until((provider.config.home / "quotes.bin").exists)
    (sale,) = provider.sales
    last = provider.quoters[sale.resource_class].last(sale.resource_class)
    market.network.kill(provider.identity.peer_id)
    await trio.sleep(0.05)
    from cocoon.provider.kept_quotes import KeptQuotes

    (kept,) = KeptQuotes(provider.config.home / "quotes.bin", provider.identity.peer_id).get(
        sale.resource_class
    )
    assert kept == last


async def test_three_requesters_at_once_get_three_answers_from_two_providers(market):
    providers = [await market.provider(n) for n in (1, 2)]
    requesters = [await market.requester(f"requester-{n}") for n in range(2)]
    results = []

    async def buy(requester) -> None:
        results.append(await requester.run(ask(providers[0]), silent))

    async with trio.open_nursery() as nursery:
        for requester in requesters:
            nursery.start_soon(buy, requester)
    assert len({result.text for result in results}) == 1
    assert market.world.conserved()


async def test_refused_as_busy_it_asks_the_dearer_one_that_is_free_and_explains_both(market):
    cheap = await market.provider(1)
    dear = await market.provider(2, price=Prices(output_token_nanoton_per_1000=190_000))
    requester = await market.requester(ask_max=1)
    cheap.sales[0].desk._slots = 0  # its quote still says that one is free
    result = await requester.run(ask(cheap), silent)
    assert result.provider == dear.identity.peer_id
    assert [attempt.failure for attempt in result.attempts] == [""]
    first, second = result.explanations
    assert {line.peer: (line.asked, line.outcome) for line in first.providers} == {
        cheap.identity.peer_id: (True, "refused"),
        dear.identity.peer_id: (False, "not_asked"),
    }
    assert {line.peer: (line.asked, line.outcome) for line in second.providers} == {
        cheap.identity.peer_id: (False, "no_free_slot"),
        dear.identity.peer_id: (True, "won"),
    }


async def test_the_last_round_that_is_refused_as_busy_ends_in_all_the_reasons(market):
    cheap = await market.provider(1)
    await market.provider(2, price=Prices(output_token_nanoton_per_1000=190_000))
    requester = await market.requester(ask_max=1, attempts_max=1, busy_wait_s=0)
    cheap.sales[0].desk._slots = 0
    with pytest.raises(NoProvider, match="busy: all 0 slots taken"):
        await requester.run(ask(cheap), silent)


async def test_when_everybody_is_busy_a_job_waits_for_the_first_free_slot(market):
    provider = await market.provider(1)
    requester = await market.requester()
    desk = provider.sales[0].desk
    slots, desk._slots = desk._slots, 0
    waits = []

    async def listen(event):
        if isinstance(event, AllBusy):
            waits.append(event)
            if len(waits) == 3:
                desk._slots = slots

    result = await requester.run(ask(provider), listen)
    assert result.provider == provider.identity.peer_id
    assert [event.waits for event in waits] == [1, 2, 3]
    left = [event.patience_s for event in waits]
    assert left == sorted(left, reverse=True)
    assert progress_words(waits[0]).startswith("everybody who suits is busy")
    assert not progress_words(waits[1])


async def test_patience_ends(market):
    provider = await market.provider(1)
    requester = await market.requester(busy_wait_s=2)
    provider.sales[0].desk._slots = 0
    began_s = trio.current_time()
    with pytest.raises(NoProvider, match="busy: all 0 slots taken"):
        await requester.run(ask(provider), silent)
    assert trio.current_time() - began_s >= 2


async def test_while_a_first_channel_opens_nobody_takes_the_slot(market):
    provider = await market.provider(1)
    slow, quick = [await market.requester(name) for name in ("slow", "quick")]
    await quick.run(ask(provider), silent)  # from here on its channel is open
    await until(lambda: provider.sales[0].desk.free_slots == 1)
    desk, kept = provider.sales[0].desk, []
    open_channel = slow.payer.hold_channel

    def opening(*args, **kwargs):
        kept.append((desk.free_slots, desk.running))
        return open_channel(*args, **kwargs)

    slow.payer.hold_channel = opening
    result = await slow.run(ask(provider), silent)
    assert kept == [(0, 0)]
    assert [attempt.failure for attempt in result.attempts] == [""]
    await until(lambda: desk.free_slots == 1)


async def test_who_loses_the_slot_before_its_channel_opens_has_opened_none(market):
    provider = await market.provider(1)
    requester = await market.requester(attempts_max=1)
    desk = provider.sales[0].desk

    async def listen(event) -> None:
        if type(event).__name__ == "Negotiated":
            desk._slots = 0

    with pytest.raises(JobFailed, match="taken since the offer"):
        await requester.run(ask(provider), listen)
    assert requester.payer.list_channels() == []
