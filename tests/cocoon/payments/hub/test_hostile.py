"""Whoever of the three cheats, dies or is cut off: nobody loses more than a chunk and the fee."""

import msgspec
import pytest
import trio

from cocoon.errors import PaymentError, PeerMisbehaved
from cocoon.messages import VoucherMessage
from cocoon.payments.channel import Phase
from cocoon.payments.hub.ledger import claimed_payments
from cocoon.payments.hub.messages import RouteFolded, RouteReady, RouteSettle, RouteSettled
from cocoon.payments.hub.terms import route_fee
from contracts.channel_client import claim_locked
from contracts.locks import KeyPayment, LockedVoucher, sign_key_payment
from contracts.units import NanoTon, parse_coins

GAS = parse_coins("0.04")
"""More than all openings, claims and closings of one party cost in gas and delivery."""


def changes(before, after):
    return {name: after[name] - before[name] for name in before}


def fee(town, capacity="0.3"):
    return route_fee(town.terms, parse_coins(capacity))


async def check_everybody(scene, before, paid: str, capacity: str = "0.3", *, chunk: int = 0):
    """All money is in wallets; the provider has *paid*, from the requester, the hub its fee."""
    await scene.leave_all()
    came = changes(before, scene.town.balances)
    due, price = parse_coins(paid), fee(scene.town, capacity)
    assert came["provider-1"] >= due - GAS - chunk
    assert came["hub"] >= -GAS, "the hub loses nothing but its channels' gas"
    assert came["requester"] >= -(due + price + GAS + chunk)
    assert scene.town.conserved()


async def test_a_hub_that_is_silent_has_the_provider_claim_alone(town):
    async with town.everybody() as scene:
        await scene.hub_opens(0)
        before = town.balances
        route = await scene.route(0)
        await scene.pay(route, 0, "0.1", "0.2")
        town.deaf |= {("hub", "provider-1"), ("requester", "hub")}
        await scene.pass_time(1000)
        earned = town.providers[0].balance - before["provider-1"]
        assert earned > parse_coins("0.2") - GAS, "claimed on the chain, before the deadline"
        await scene.pass_time(600)
        # The hub has seen the payment on the chain, and has claimed with it in its turn.
        assert town.balances["hub"] > before["hub"] + parse_coins("0.15")
        await check_everybody(scene, before, "0.2")


async def test_a_requester_that_does_not_fold_is_claimed_from(town):
    async with town.everybody() as scene:
        await scene.hub_opens(0)
        before = town.balances
        await scene.pay(await scene.route(0), 0, "0.25")
        town.deaf.add(("requester", "hub"))
        await scene.pass_time(1600)
        assert town.balances["hub"] > before["hub"] + parse_coins("0.2")
        assert scene.hub._store.book.forwards == {}
        assert scene.client._store.book.routes == {}, "what the chain paid is spent"
        (channel,) = scene.client._payer.list_channels()
        assert channel.signed_total == parse_coins("0.25") + fee(town)
        await check_everybody(scene, before, "0.25")


async def test_a_requester_that_leaves_in_mid_route_pays_what_it_signed(town):
    async with town.everybody() as scene:
        await scene.hub_opens(0)
        before = town.balances
        route = await scene.route(0)
        await scene.pay(route, 0, "0.1")
        upstream = scene.client._payer.list_channels()[0].address
        close_at = await scene.client._payer.exit_alone(scene.client._payer.channel(upstream))
        await scene.pay(route, 0, "0.2", job="more")  # the provider need not know
        town.deaf.add(("requester", "hub"))
        await scene.pass_time(1600)
        town.warp(close_at - town.chain.now_unix_s + 1)
        await scene.until(lambda: scene.client._payer.phase(upstream) is Phase.CLOSED)
        await check_everybody(scene, before, "0.2")


async def test_a_hub_that_takes_the_fee_and_does_nothing_costs_the_fee(town):
    async with town.everybody() as scene:
        await scene.hub_opens(0)
        before = town.balances
        town.deaf.add(("hub", "provider-1"))
        with pytest.raises(PaymentError):
            await scene.route(0)
        await scene.pass_time(1600)
        await scene.leave_all()
        lost = -changes(before, town.balances)["requester"]
        assert lost <= fee(town) + GAS
        assert town.conserved()


async def test_two_who_make_up_a_payment_after_the_settlement_take_nothing_from_the_hub(town):
    async with town.everybody() as scene:
        downstream = await scene.hub_opens(0)
        before = town.balances
        route = await scene.route(0)
        old = scene.payees[0]._store.book.channels[downstream.address].state
        await scene.pay(route, 0, "0.1")
        await scene.pass_time(900)
        assert all(each.settled for each in scene.hub._store.book.forwards.values())
        # The provider keeps the old voucher, and the requester signs the whole capacity.
        (mine,) = scene.client._store.book.routes.values()
        payment = sign_key_payment(mine.key_seed, town.chain.network_id, parse_coins("0.3"))
        locked = LockedVoucher(
            total_nanoton=old.best_total, locks=old.locks, signature=old.best_signature
        )
        await claim_locked(town.port, downstream.address, locked, [payment], timeout_s=5)
        assert town.balances["provider-1"] - before["provider-1"] > parse_coins("0.29")
        await scene.pass_time(700)
        await check_everybody(scene, before, "0.3")


async def test_a_hub_that_says_the_provider_got_more_is_not_believed(town):
    async with town.everybody() as scene:
        await scene.hub_opens(0)
        before = town.balances
        await scene.pay(await scene.route(0), 0, "0.1")
        (mine,) = scene.client._store.book.routes.values()
        forged = KeyPayment(parse_coins("0.3"), bytes(64))

        def bend(sender, _, answer):
            ours = sender == "requester" and isinstance(answer, RouteSettled)
            return RouteSettled(payment=forged) if ours else answer

        town.bend = bend
        await scene.pass_time(1200)
        assert mine.lock.key in scene.client._store.book.routes, "not folded on a lie"
        town.bend = None
        await scene.pass_time(500)
        await check_everybody(scene, before, "0.1")


async def test_a_hub_lets_no_lock_go_while_the_provider_can_still_claim(town):
    async with town.everybody() as scene:
        await scene.hub_opens(0)
        before = town.balances
        route = await scene.route(0)
        await scene.pay(route, 0, "0.1")
        await scene.pass_time(900)
        assert all(each.settled for each in scene.hub._store.book.forwards.values())
        channel = scene.client._payer.channel(route.upstream)
        total = NanoTon(channel.signed_total + parse_coins("0.1"))
        voucher = await channel.fold(route.key, total)
        early = RouteFolded(payment=channel.ref, lock_id=route.key, voucher=voucher)
        with pytest.raises(PaymentError, match="too early"):
            await scene.hub.handle("requester", early)
        town.warp(300)
        await scene.hub.handle("requester", early)
        assert scene.hub._store.book.forwards == {}
        await check_everybody(scene, before, "0.1")


async def test_a_provider_takes_no_payment_that_it_could_not_claim(town):
    async with town.everybody() as scene:
        await scene.hub_opens(0)
        route = await scene.route(0)
        transcript = b"\x07" * 32
        await route.start_job("job", "provider")
        signature = route.sign_transcript(transcript)
        payee = scene.payees[0]
        till = await payee.admit(route.ref, transcript, signature, spendable_min=NanoTon(1))
        good = await route.pay(parse_coins("0.1"), "job")
        await till.receive(good)
        await till.receive(good)
        forged = msgspec.structs.replace(good, total_nanoton=parse_coins("0.2"))
        with pytest.raises(PeerMisbehaved):
            await till.receive(forged)
        beyond = sign_key_payment(
            scene.client._store.book.routes[route.key].key_seed,
            town.chain.network_id,
            parse_coins("0.31"),
        )
        with pytest.raises(PaymentError, match="more than the route carries"):
            await till.receive(
                VoucherMessage(total_nanoton=beyond.amount_nanoton, signature=beyond.signature)
            )
        assert till.best_total == parse_coins("0.1")
        with pytest.raises(PaymentError, match="in use"):
            await payee.admit(route.ref, transcript, signature, spendable_min=NanoTon(1))
        till.done()
        with pytest.raises(PeerMisbehaved, match="does not own"):
            await payee.admit(route.ref, b"\x08" * 32, signature, spendable_min=NanoTon(1))
        with pytest.raises(PaymentError, match="left on the route"):
            await payee.admit(route.ref, transcript, signature, spendable_min=parse_coins("0.25"))
        with pytest.raises(PaymentError, match="cannot go through"):
            await route.pay(parse_coins("0.4"), "job")


async def test_a_provider_that_settled_takes_nothing_more(town):
    async with town.everybody() as scene:
        await scene.hub_opens(0)
        route = await scene.route(0)
        await scene.pay(route, 0, "0.1")
        await scene.pass_time(900)
        with pytest.raises(PaymentError):
            await scene.pay(route, 0, "0.2", job="late")


async def test_an_answer_of_the_wrong_kind_is_the_hubs_fault(town):
    async with town.everybody() as scene:
        await scene.hub_opens(0)
        town.bend = lambda sender, _, answer: (
            RouteSettled(payment=None)
            if sender == "requester" and isinstance(answer, RouteReady)
            else answer
        )
        with pytest.raises(PeerMisbehaved):
            await scene.route(0)


@pytest.mark.parametrize("body", [b"", b"\x00" * 40])
def test_only_a_locked_claim_shows_payments(body):
    assert claimed_payments(body) == {}


async def test_a_stranger_cannot_settle_or_take_over_a_route(town):
    async with town.everybody() as scene:
        await scene.hub_opens(0)
        route = await scene.route(0)
        await scene.pay(route, 0, "0.1")
        (forward,) = scene.hub._store.book.forwards.values()
        assert forward.requester == "requester"
        with trio.fail_after(5):
            answer = await scene.hub.handle("stranger", RouteSettle(lock_id=forward.key))
        assert answer.payment is None or answer.payment.amount_nanoton <= parse_coins("0.1")
        await scene.pay(route, 0, "0.2", job="more")
