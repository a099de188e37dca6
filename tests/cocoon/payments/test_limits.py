"""Nobody locks up, or lets others owe, more than the settings allow."""

import pytest

from cocoon.errors import PaymentError
from cocoon.payments.limits import PayeeLimits, PayerLimits
from contracts.units import NanoTon, parse_coins

TRANSCRIPT = b"\x07" * 32
ONE = parse_coins("1")


async def test_a_channel_holds_no_more_than_its_limit(world):
    limits = PayerLimits(channel_max=parse_coins("0.7"), peer_max=parse_coins("5"))
    async with world.payer(limits=limits) as payer:
        with pytest.raises(PaymentError, match="channel_coins_max"):
            await payer.open_channel(world.payee_address, world.payee_key, parse_coins("0.8"))
        channel = await payer.open_channel(world.payee_address, world.payee_key, parse_coins("0.5"))
        with pytest.raises(PaymentError, match="channel_coins_max"):
            await payer.top_up(channel, parse_coins("0.3"))
        await payer.top_up(channel, parse_coins("0.1"))
        assert channel.spendable_left < parse_coins("0.7")


async def test_all_channels_to_one_payee_hold_no_more_than_its_limit(world):
    limits = PayerLimits(channel_max=ONE, peer_max=ONE)
    async with world.payer(limits=limits) as payer:
        await payer.open_channel(world.payee_address, world.payee_key, parse_coins("0.6"))
        with pytest.raises(PaymentError, match="peer_coins_max"):
            await payer.open_channel(world.payee_address, world.payee_key, parse_coins("0.6"))
        elsewhere = world.wallet.address
        await payer.open_channel(elsewhere, world.payee_key, parse_coins("0.6"))


async def test_a_wished_deposit_is_cut_to_the_limit_and_a_needed_one_is_not(world):
    limits = PayerLimits(channel_max=parse_coins("0.4"))
    async with world.payer(limits=limits) as payer:
        channel = await payer.ensure_channel(
            world.payee_address,
            world.payee_key,
            spendable_min=parse_coins("0.1"),
            deposit=parse_coins("0.5"),
        )
        assert parse_coins("0.4") <= channel.spendable_left < parse_coins("0.41")
        with pytest.raises(PaymentError, match="locked up"):
            await payer.ensure_channel(
                world.payee_address,
                world.payee_key,
                spendable_min=parse_coins("0.9"),
                deposit=parse_coins("0.9"),
            )


async def test_a_channel_that_is_full_and_not_claimed_from_does_not_stop_the_next_job(world):
    limits = PayerLimits(channel_max=parse_coins("0.5"), peer_max=ONE)
    async with world.payee() as payee, world.payer(limits=limits) as payer:
        first = await world.channel(payer, "0.5")
        await world.pay(first, payee, "0.45")
        second = await world.channel(payer, "0.3")
        assert second.address != first.address
        assert second.spendable_left >= parse_coins("0.3")
        await world.pay(second, payee, "0.3")
        with pytest.raises(PaymentError, match="peer_coins_max"):
            await world.channel(payer, "0.4")


async def test_a_payer_that_owes_too_much_is_claimed_from_before_it_gets_another_job(world):
    limits = PayeeLimits(peer_unclaimed_max=parse_coins("0.15"))
    async with world.payee(limits=limits) as payee, world.payer() as payer:
        channel = await world.channel(payer)
        await world.pay(channel, payee, "0.2")
        assert payee.earnings().unclaimed == parse_coins("0.2")
        other = await payer.open_channel(world.payee_address, world.payee_key, parse_coins("0.3"))
        signature = other.sign_transcript(TRANSCRIPT)
        with await payee.admit(other.ref, TRANSCRIPT, signature, spendable_min=NanoTon(1)):
            assert payee.earnings().unclaimed == 0, "claimed, over all channels of this payer"
