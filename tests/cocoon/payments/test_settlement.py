"""Payer and payee on the real contract, from the deposit to the last nanoton."""

import pytest
import trio

from cocoon.errors import PaymentError, PeerMisbehaved
from cocoon.messages import CloseRelease
from cocoon.payments.channel import Phase
from contracts.errors import ChainUnavailable
from contracts.units import parse_coins

NANOTON = parse_coins("0.000000001")
CLAIM_COST = parse_coins("0.004")
"""More than the gas and the delivery of a claim at the emulator's prices; the payee bears it."""


async def silent(_request):
    await trio.sleep_forever()


async def test_a_channel_pays_exactly_what_was_signed_and_the_rest_comes_back(world):
    start = world.balance(world.wallet.address)
    async with world.both() as (payer, payee):
        channel = await world.channel(payer)
        assert channel.spendable_left >= parse_coins("0.5")
        await world.pay(channel, payee, "0.01", "0.02", "0.03")
        await world.pay(channel, payee, "0.1", "0.2", job="second")
        assert payee.earnings().unclaimed == parse_coins("0.2")
        before = world.balance(world.wallet.address)
        settled = await payer.close(channel, payee.release)
        assert payer.phase(channel.address) is Phase.CLOSED
        assert await payer.exit_alone(channel) == 0
        assert await payer.close(channel, payee.release) == settled
    payout = world.balance(world.payee_address)
    # The pay-out's delivery is the payee's; nothing else is taken from the signed total.
    assert parse_coins("0.2") - parse_coins("0.001") < payout < parse_coins("0.2")
    assert settled.paid == payout
    refund = world.chain.transactions(world.wallet.address)[-1]
    assert settled.refunded == refund.value_nanoton
    assert (
        world.balance(world.wallet.address) == before + refund.value_nanoton - refund.fees_nanoton
    )
    deposit = sum(record.value_nanoton for record in settled.txs if record.source)
    assert deposit == settled.paid + settled.refunded + settled.fees
    wallet_fees = sum(
        record.fees_nanoton for record in world.chain.transactions(world.wallet.address)
    )
    under_way = sum(
        message.value_nanoton
        for record in world.chain.transactions(world.wallet.address)
        for message in record.out_messages
    )
    assert under_way == deposit
    delivery = (
        start - world.balance(world.wallet.address) - deposit - wallet_fees + settled.refunded
    )
    assert 0 < delivery < parse_coins("0.005"), "forwarding of the deposit, and nothing else"
    assert 0 < settled.gas < 15_000
    assert len(settled.txs) == 2
    assert world.conserved()


async def test_a_channel_that_was_never_used_closes_too(world):
    async with world.both() as (payer, payee):
        channel = await world.channel(payer)
        settled = await payer.close(channel, payee.release)
    assert settled.paid == 0
    assert settled.refunded > parse_coins("0.5")
    assert world.conserved()


async def test_what_was_claimed_before_is_not_paid_again_at_the_close(world, until):
    async with world.both() as (payer, payee):
        channel = await world.channel(payer)
        await world.pay(channel, payee, "0.1")
        earned = await payee.settle_all()
        assert (earned.unclaimed, earned.settled) == (0, world.balance(world.payee_address))
        settled = await payer.close(channel, payee.release)
        assert settled.paid == world.balance(world.payee_address)
    async with world.payee() as payee:
        await until(lambda: payee._store.book.channels[channel.address].state.gone)
        assert payee.earnings().settled == settled.paid
    assert world.conserved()


async def test_the_payee_books_a_close_by_the_payer(world, until):
    async with world.both() as (payer, payee):
        channel = await world.channel(payer)
        await world.pay(channel, payee, "0.1")
        settled = await payer.close(channel, payee.release)
        await until(lambda: payee.earnings().unclaimed == 0)
        assert payee.earnings().settled == settled.paid


async def test_a_large_debt_is_claimed_without_waiting_for_the_end(world, until):
    async with world.payee(claim_worth=parse_coins("0.2")) as payee, world.payer() as payer:
        channel = await world.channel(payer)
        await world.pay(channel, payee, "0.1")
        for _ in range(50):
            await trio.lowlevel.checkpoint()
        assert world.balance(world.payee_address) == 0
        await world.pay(channel, payee, "0.25", job="second")
        await until(lambda: payee.earnings().unclaimed == 0)
        assert world.balance(world.payee_address) > parse_coins("0.25") - CLAIM_COST
        await world.pay(channel, payee, "0.26", job="third")
    assert world.conserved()


async def test_the_payer_leaves_alone_when_the_payee_is_dead(world, until):
    async with world.payee() as payee, world.payer() as payer:
        channel = await world.channel(payer)
        await world.pay(channel, payee, "0.1")
        claimed_nothing = world.balance(world.payee_address)
    async with world.payer() as payer:
        channel = payer.channel(channel.address)
        with pytest.raises(PaymentError, match="did not release"):
            await payer.close(channel, silent, release_timeout_s=0.05)
        close_at = await payer.exit_alone(channel)
        assert close_at == world.chain.now_unix_s + 600
        (status,) = payer.list_channels()
        assert status.words.startswith("closing, money back at ")
        assert status.money_back_unix_s == close_at
        world.chain.warp(599)
        for _ in range(20):
            await trio.sleep(0.01)
            assert payer.phase(channel.address) is Phase.CLOSING
        world.chain.warp(2)
        await until(lambda: payer.phase(channel.address) is Phase.CLOSED)
        settled = await payer.settlement(channel)
    assert claimed_nothing == 0
    assert settled.paid == 0, "a payee that is not there to claim gets nothing"
    assert settled.refunded > parse_coins("0.5")
    assert world.conserved()


async def test_a_restarted_payee_claims_in_time_while_the_payer_leaves(world, until):
    async with world.payer() as payer:
        async with world.payee() as payee:
            channel = await world.channel(payer)
            await world.pay(channel, payee, "0.1")
        await payer.exit_alone(channel)
        world.chain.warp(200)
        async with world.payee() as payee:
            await until(lambda: payee.earnings().unclaimed == 0)
            assert world.balance(world.payee_address) > parse_coins("0.1") - CLAIM_COST
            world.chain.warp(401)
            await until(lambda: payer.phase(channel.address) is Phase.CLOSED)
            await until(lambda: payee.earnings().settled == world.balance(world.payee_address))
        settled = await payer.settlement(channel)
        assert settled.paid == world.balance(world.payee_address)
    assert world.conserved()


async def test_a_payee_cut_off_from_the_chain_claims_when_it_is_back(world, until):
    async with world.both() as (payer, payee):
        channel = await world.channel(payer)
        await world.pay(channel, payee, "0.1")
        world.payee_chain.available = False
        await payer.exit_alone(channel)
        with pytest.raises(ChainUnavailable):
            await payee.settle_all()
        world.payee_chain.available = True
        await until(lambda: payee.earnings().unclaimed == 0)
    assert world.balance(world.payee_address) > parse_coins("0.1") - CLAIM_COST


async def test_an_under_funded_voucher_never_gets_that_far(world):
    async with world.both() as (payer, payee):
        channel = await world.channel(payer)
        await channel.start_job("job", "p")
        with pytest.raises(PaymentError, match="exceeds the deposit"):
            await channel.pay(channel.spendable_left + NANOTON, "job")
        assert channel.signed_total == 0
        with pytest.raises(PaymentError, match="needed"):
            await payee.admit(
                channel.ref,
                bytes(32),
                channel.sign_transcript(bytes(32)),
                spendable_min=parse_coins("0.6"),
            )


async def test_the_whole_deposit_can_be_spent_and_closed(world):
    async with world.both() as (payer, payee):
        channel = await world.channel(payer)
        everything = channel.spendable_left
        await channel.start_job("job", "p")
        signature = channel.sign_transcript(bytes(32))
        admitted = await payee.admit(channel.ref, bytes(32), signature, spendable_min=everything)
        await admitted.receive(await channel.pay(everything, "job"))
        admitted.done()
        await channel.end_job("job")
        settled = await payer.close(channel, payee.release)
        assert everything - parse_coins("0.001") < settled.paid <= everything
    assert world.conserved()


async def test_a_release_that_was_not_signed_by_the_payee_is_its_fault(world):
    async with world.both() as (payer, payee):
        channel = await world.channel(payer)
        await world.pay(channel, payee, "0.1")

        async def forged(request):
            return CloseRelease(total_nanoton=request.total_nanoton, release_signature=bytes(64))

        async def generous(request):
            release = await payee.release(request)
            return CloseRelease(total_nanoton=0, release_signature=release.release_signature)

        for lie in (forged, generous):
            with pytest.raises(PeerMisbehaved, match="not a release"):
                await payer.close(channel, lie)
        assert world.chain.account(channel.address).status == "active"
        settled = await payer.close(channel, payee.release)
        assert settled.paid == world.balance(world.payee_address)


async def test_once_release_was_asked_for_the_channel_buys_nothing_more(world):
    async with world.both() as (payer, payee):
        channel = await world.channel(payer)
        await world.pay(channel, payee, "0.1")
        request = []

        async def lost(close_request):
            request.append(await payee.release(close_request))
            raise PaymentError("the answer was lost")

        with pytest.raises(PaymentError, match="lost"):
            await payer.close(channel, lost)
        with pytest.raises(PaymentError, match="releasing"):
            await channel.start_job("next", "p")
        with pytest.raises(PaymentError, match="released"):
            await payee.admit(
                channel.ref, bytes(32), channel.sign_transcript(bytes(32)), spendable_min=NANOTON
            )
        other = await world.channel(payer)
        assert other.address != channel.address
        settled = await payer.close(channel, payee.release)
        assert settled.paid > parse_coins("0.1") - CLAIM_COST
    assert world.conserved()
