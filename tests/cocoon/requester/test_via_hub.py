"""Whole nodes over one overlay: two providers are paid through a hub, with one opening."""

import shop
from shop import ask, until

from cocoon.config import CeilingPrices, Prices
from cocoon.payments.channel import Phase
from cocoon.payments.hub.terms import route_fee
from cocoon.receipts import verify_file
from cocoon.requester.bill import Bill
from contracts.units import NanoTon, parse_coins


async def silent(event) -> None:
    del event


async def test_jobs_at_two_providers_are_paid_through_one_channel_to_a_hub(market, monkeypatch):
    monkeypatch.setattr(shop, "CHALLENGE_S", 3600)
    world = market.world
    dear = {"output_token_nanoton_per_1000": 4 * 10**9}
    cheap = {"output_token_nanoton_per_1000": 2 * 10**9}
    first = await market.provider(1, price=Prices(**dear))
    second = await market.provider(2, price=Prices(**cheap))
    stage = await market.hub([first, second])
    requester = await market.requester(
        via_hub=stage.peer_id,
        challenge_s=3600,
        route_coins="0.3",
        deposit_coins="1",
        ceiling=CeilingPrices(output_token_nanoton_per_1000=10**10),
    )
    bill = Bill()

    one = await requester.run(ask(second), silent, bill)
    assert bill.paid_nanoton == one.paid_nanoton + route_fee(stage.terms, parse_coins("0.3"))
    assert one.paid_nanoton > 0
    market.network.partition(requester.identity.peer_id, second.identity.peer_id)
    other = await requester.run(ask(first, text="again"), silent)
    for result in (one, other):
        assert verify_file(market.home / result.attempts[0].receipt).require().payment.routed
    assert [one.provider, other.provider] == [second.identity.peer_id, first.identity.peer_id]
    assert one.paid_nanoton > 0
    assert other.paid_nanoton > one.paid_nanoton
    (upstream,) = requester.payer.list_channels()
    openings = [t for t in world.chain.transactions(world.wallet.address) if t.out_messages]
    assert len(openings) == 1, "one opening for two providers"
    assert len(requester.payer.store.book.routes) == 2

    # Time passes: the hub settles with both, then the requester folds its locks.
    world.chain.advance_to(world.chain.now_unix_s + 3000 - 900 - 600)
    forwards = stage.payer.store.book.forwards
    await until(lambda: all(each.settled for each in forwards.values()))
    world.chain.advance_to(world.chain.now_unix_s + 700)
    await requester.hub.end_routes()
    assert requester.payer.store.book.routes == {}
    assert forwards == {}
    paid = one.paid_nanoton + other.paid_nanoton
    fee = route_fee(stage.terms, parse_coins("0.3"))
    (upstream,) = requester.payer.list_channels()
    assert upstream.signed_total == paid + 2 * fee, "to the nanoton"

    settled = await requester.close_channel(upstream.address)
    delivery = NanoTon(upstream.signed_total - settled.paid)
    assert 0 < delivery < parse_coins("0.001")
    due = {c.payee_address: c.signed_total for c in stage.payer.list_channels()}
    assert due == {
        second.payee_identity.address: one.paid_nanoton,
        first.payee_identity.address: other.paid_nanoton,
    }
    for channel in stage.payer.list_channels():
        payee = market.payees[channel.payee_address]
        assert payee.earnings().unclaimed == channel.signed_total
        done = await stage.payer.close(stage.payer.channel(channel.address), payee.release)
        assert 0 <= channel.signed_total - done.paid < parse_coins("0.001")
    assert all(each.phase is Phase.CLOSED for each in stage.payer.list_channels())
    assert world.conserved()


async def test_a_hub_that_is_away_costs_an_opening_and_no_job(market):
    provider = await market.provider(1)
    requester = await market.requester(via_hub="12D3KooWNobodyIsHere")
    result = await requester.run(ask(provider), silent)
    assert result.attempts[0].failure == ""
    (channel,) = requester.payer.list_channels()
    assert channel.payee_address == provider.payee_identity.address
