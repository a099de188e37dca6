"""One opening by the requester, two providers paid through the hub, on the real contract."""

import pytest

from cocoon.errors import PaymentError
from cocoon.payments.channel import Phase
from cocoon.payments.hub.terms import route_fee
from contracts.units import NanoTon, parse_coins

COST = parse_coins("0.008")
"""More than a locked claim's gas and delivery."""


async def test_two_providers_are_paid_through_one_channel_to_the_hub(town):
    async with town.everybody() as scene:
        for number in (0, 1):
            await scene.hub_opens(number)
        first, second = await scene.route(0), await scene.route(1, "0.2")
        payer = scene.client._payer
        assert len(payer.list_channels()) == 1, "one opening"
        await scene.pay(first, 0, "0.01", "0.05", "0.1")
        await scene.pay(second, 1, "0.02", "0.15")
        await scene.pay(first, 0, "0.2", job="second")
        fees = NanoTon(
            route_fee(town.terms, parse_coins("0.3")) + route_fee(town.terms, parse_coins("0.2"))
        )
        # The hub settles with the providers before they would have to claim on the chain.
        town.warp(1500 - 400 - 290)
        for key in list(scene.hub._store.book.forwards):
            await scene.hub.advance(key)
        assert [p.earnings().unclaimed for p in scene.payees] == [
            parse_coins("0.2"),
            parse_coins("0.15"),
        ]
        assert town.providers[0].balance == parse_coins("20"), "nothing was claimed on the chain"
        # After the providers' deadline the requester folds its own locks.
        town.warp(300)
        await scene.client.end_routes()
        assert scene.client._store.book.routes == {}
        assert scene.hub._store.book.forwards == {}
        (channel,) = payer.list_channels()
        spent = NanoTon(parse_coins("0.35") + fees)
        assert channel.signed_total == spent
        settled = await payer.close(payer.channel(channel.address), scene.hub._payee.release)
        assert spent - parse_coins("0.001") < settled.paid < spent
        for number, due in ((0, "0.2"), (1, "0.15")):
            await scene.payees[number].settle_all()
            earned = scene.payees[number].earnings().settled
            assert parse_coins(due) - COST < earned < parse_coins(due)
        payees = dict(zip((p.wallet.address for p in town.providers), scene.payees, strict=True))
        for each in scene.hub._payer.list_channels():
            channel = scene.hub._payer.channel(each.address)
            done = await scene.hub._payer.close(channel, payees[each.payee_address].release)
            assert done.refunded > parse_coins("0.8")
        assert all(each.phase is Phase.CLOSED for each in scene.hub._payer.list_channels())
    assert town.conserved()


async def test_a_route_serves_job_after_job_with_one_fee(town):
    async with town.everybody() as scene:
        await scene.hub_opens(0)
        route = await scene.route(0, "0.3")
        await scene.pay(route, 0, "0.1", job="one")
        again = await scene.route(0, "0.2")
        assert again.ref == route.ref
        await scene.pay(again, 0, "0.2", "0.3", job="two")
        assert again.spendable_left == 0
        assert scene.client._payer.list_channels()[0].signed_total == route_fee(
            town.terms, parse_coins("0.3")
        )


async def test_a_route_that_a_job_is_about_to_use_is_not_given_to_another(town):
    """Two jobs of one program at the same time: the second gets a route of its own."""
    async with town.everybody() as scene:
        await scene.hub_opens(0, "2")
        first = await scene.route(0, "0.3")
        with scene.client.holding(first):
            second = await scene.route(0, "0.2")
            assert second.key != first.key
            await scene.pay(second, 0, "0.1", job="two")
        assert (await scene.route(0, "0.3")).key == first.key


async def test_fees_are_rounded_up_and_routes_are_bounded(town):
    assert route_fee(town.terms, NanoTon(1)) == town.terms.fee_base_nanoton + 1
    assert route_fee(town.terms, NanoTon(0)) == town.terms.fee_base_nanoton
    assert route_fee(town.terms, parse_coins("1")) == parse_coins("0.006")
    async with town.everybody() as scene:
        with pytest.raises(PaymentError, match="reaches this provider"):
            await scene.route(0)
        await scene.hub_opens(0)
        with pytest.raises(PaymentError, match="largest route"):
            await scene.route(0, "2.1")
        with pytest.raises(PaymentError, match="reaches this provider"):
            await scene.route(0, "1.5")
        assert scene.client._payer.list_channels() == [], "nothing was opened or signed for a no"
