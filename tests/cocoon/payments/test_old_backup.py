"""An old backup, restored after more was signed, never loses more than it says."""

import pytest

from cocoon.errors import PaymentError
from cocoon.payments.backup import exposure, restore_backup, write_backup
from cocoon.payments.channel import Phase
from cocoon.payments.notes import VoucherNote, read_note, write_note
from contracts.units import NanoTon, parse_coins

TRANSCRIPT = b"\x07" * 32
COST = parse_coins("0.005")


def restore(world, side):
    """Put the side's old backup in place of its journal, as if the disk was lost."""
    journal = world.payer_journal if side == "payer" else world.payee_journal
    journal.unlink()
    source = journal.with_suffix(".copy")
    restore_backup(source, side, journal, now_unix_s=world.chain.now_unix_s)
    return exposure(side, journal, {})


def back_up(world):
    for side, journal in (("payer", world.payer_journal), ("payee", world.payee_journal)):
        write_backup(journal, side, journal.with_suffix(".copy"))


async def spend_after_backup(world):
    """Pay 0.1, back up, pay 0.3 in all; return the channel's address."""
    async with world.both() as (payer, payee):
        channel = await world.channel(payer)
        await world.pay(channel, payee, "0.1")
        back_up(world)
        await world.pay(channel, payee, "0.2", "0.3", job="second")
        return channel.address, payee.earnings().unclaimed


async def test_a_payee_loses_no_more_than_the_restored_backup_says(world, until):
    address, due = await spend_after_backup(world)
    said = restore(world, "payee")
    async with world.both() as (payer, _payee):
        close_at = await payer.exit_alone(payer.channel(address))
        await until(lambda: world.balance(world.payee_address) > 0)
        world.chain.advance_to(close_at + 1)
        await until(lambda: payer.phase(address) is Phase.CLOSED)
    lost = due - world.balance(world.payee_address)
    assert parse_coins("0.2") <= lost <= said.lost_max + COST
    assert said.channels == 1


async def test_a_payee_loses_nothing_when_the_payer_sends_the_newest_voucher_again(world):
    address, due = await spend_after_backup(world)
    restore(world, "payee")
    async with world.both() as (payer, payee):
        channel = payer.channel(address)
        newest = channel.newest_voucher()
        note = read_note(write_note(VoucherNote(payment=channel.ref, voucher=newest)), VoucherNote)
        assert await payee.keep(note.payment, note.voucher) == parse_coins("0.2")
        await payee.settle_all()
    assert world.balance(world.payee_address) > due - COST


async def test_a_restored_payee_works_for_no_channel_that_it_may_have_released(world):
    async with world.both() as (payer, payee):
        old = await world.channel(payer)
        await world.pay(old, payee, "0.1")
        back_up(world)
        unknown = await payer.open_channel(world.payee_address, world.payee_key, parse_coins("0.4"))
        await payee.release(await payer.close_request(unknown))  # forgotten by the backup
    restore(world, "payee")
    world.chain.advance_to(world.chain.now_unix_s + 2)
    async with world.both() as (payer, payee):
        for known, words in ((old, "backup"), (unknown, "older than the backup")):
            channel = payer.channel(known.address)
            signature = channel.sign_transcript(TRANSCRIPT)
            with pytest.raises(PaymentError, match=words):
                await payee.admit(channel.ref, TRANSCRIPT, signature, spendable_min=NanoTon(1))
        new = await payer.open_channel(world.payee_address, world.payee_key, parse_coins("0.2"))
        await world.pay(new, payee, "0.1", job="new")


async def test_a_payer_gets_back_all_but_what_the_restored_backup_says(world, until):
    address, _ = await spend_after_backup(world)
    said = restore(world, "payer")
    async with world.both() as (payer, _payee):
        channel = payer.channel(address)
        hoped = channel._channel.state.total_max - channel.signed_total
        with pytest.raises(PaymentError, match="only for leaving"):
            await channel.pay(parse_coins("0.15"), "job")
        assert channel.spendable_left == 0
        close_at = await payer.exit_alone(channel)
        await until(lambda: world.balance(world.payee_address) > 0)
        world.chain.advance_to(close_at + 1)
        await until(lambda: payer.phase(address) is Phase.CLOSED)
        settled = await payer.settlement(channel)
    assert hoped - settled.refunded <= said.lost_max
    assert settled.paid > parse_coins("0.3") - COST, "the newest voucher was honoured"
    assert world.conserved()


async def test_a_payer_without_any_journal_gets_its_deposits_back(world, until):
    secret = b"\x31" * 32
    async with world.payee() as payee, world.payer(secret=secret) as payer:
        channel = await world.channel(payer)
        await world.pay(channel, payee, "0.1")
    world.payer_journal.unlink()
    async with world.payee() as payee, world.payer(secret=secret) as payer:
        (found,) = await payer.recover()
        assert await payer.recover() == []
        close_at = await payer.exit_alone(found)
        await until(lambda: world.balance(world.payee_address) > 0)
        world.chain.advance_to(close_at + 1)
        await until(lambda: payer.phase(found.address) is Phase.CLOSED)
        assert (await payer.settlement(found)).refunded > parse_coins("0.4")
    async with world.payer(secret=b"\x32" * 32) as payer:
        assert await payer.recover() == [], "another wallet's channels are not ours"
