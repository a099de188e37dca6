import stat

import pytest
import trio

from cocoon.errors import PaymentError
from cocoon.payments.channel import Phase
from cocoon.payments.journal import JournalLocked
from cocoon.payments.payer import PayerService
from contracts.channel import deposit_needed
from contracts.errors import ChainUnavailable
from contracts.units import NanoTon, parse_coins
from contracts.voucher import ChannelRef, verify_voucher

HALF = parse_coins("0.5")


def deposits(world) -> list[int]:
    """Return what left the wallet for channels, bounced or not."""
    return [
        message.value_nanoton
        for record in world.chain.transactions(world.wallet.address)
        for message in record.out_messages
    ]


def bounced(world) -> int:
    records = world.chain.transactions(world.wallet.address)
    return sum(record.source not in ("", records[0].source) for record in records)


async def test_pay_returns_a_voucher_that_the_contract_accepts(world):
    async with world.payer() as payer:
        channel = await world.channel(payer)
        await channel.start_job("job", "p")
        voucher = await channel.pay(parse_coins("0.1"), "job")
        ref = channel.ref
        contract_ref = ChannelRef(ref.chain_network_id, ref.channel_address, ref.opened_lt)
        assert verify_voucher(ref.payer_key, contract_ref, parse_coins("0.1"), voucher.signature)
        assert ref.signed_total_nanoton == parse_coins("0.1")
        again = await channel.pay(parse_coins("0.1"), "job")
        assert again == voucher


async def test_pay_refuses_what_must_not_be_signed(world):
    async with world.payer() as payer:
        channel = await world.channel(payer)
        await channel.start_job("job", "p")
        await channel.pay(NanoTon(100), "job")
        for total, job, words in [
            (NanoTon(99), "job", "does not grow"),
            (NanoTon(101), "other", "does not hold"),
            (NanoTon(100), "", "does not hold"),
            (parse_coins("1"), "job", "exceeds the deposit"),
        ]:
            with pytest.raises(PaymentError, match=words):
                await channel.pay(total, job)
        assert channel.signed_total == 100


async def test_a_warm_channel_is_used_again_without_asking_the_chain(world):
    async with world.payer() as payer:
        first = await world.channel(payer)
        reads = world.payer_chain.reads
        second = await payer.ensure_channel(
            world.payee_address, world.payee_key, spendable_min=NanoTon(1), deposit=HALF
        )
        assert second.address == first.address
        assert world.payer_chain.reads == reads
        assert deposits(world) == [deposit_needed(HALF)]


async def test_a_channel_with_too_little_left_is_topped_up(world):
    async with world.payer() as payer:
        first = await world.channel(payer)
        await first.start_job("job", "p")
        await first.pay(parse_coins("0.4"), "job")
        await first.end_job("job")
        second = await world.channel(payer)
        assert second.address == first.address
        assert second.spendable_left >= HALF
        assert deposits(world) == [deposit_needed(HALF), HALF]


async def test_two_jobs_at_once_get_two_channels(world):
    async with world.payer() as payer:
        terms = {"spendable_min": NanoTon(1), "deposit": parse_coins("0.1")}
        payee = (world.payee_address, world.payee_key)
        async with (
            payer.hold_channel(*payee, **terms) as first,
            payer.hold_channel(*payee, **terms) as second,
        ):
            assert first.address != second.address
        async with payer.hold_channel(*payee, **terms) as third:
            assert third.address in (first.address, second.address)
            await third.start_job("job", "p")
        other = await payer.ensure_channel(*payee, **terms)
        assert other.address != third.address, "its job has not ended"


async def test_many_channels_at_once_share_one_wallet(world):
    async with world.payer() as payer:
        found = []

        async def open_one(number):
            channel = await payer.ensure_channel(
                world.payee_address,
                bytes([number]) * 32,
                spendable_min=NanoTon(1),
                deposit=parse_coins("0.1"),
            )
            found.append(channel.address)

        async with trio.open_nursery() as nursery:
            for number in range(4):
                nursery.start_soon(open_one, number)
        assert len(set(found)) == 4
        assert len(deposits(world)) == 4


async def test_an_empty_wallet_is_said_in_words_and_nothing_stays_open(world):
    async with world.payer() as payer:
        with pytest.raises(PaymentError, match="the wallet cannot pay 50"):
            await world.channel(payer, "50")
        assert [status.phase for status in payer.list_channels()] == [Phase.LAPSED]


@pytest.mark.parametrize("arrives", [False, True], ids=["lost", "arrived"])
async def test_a_crash_while_funding_never_pays_twice(world, crash_type, until, arrives):
    setattr(world.payer_chain, "crash_after_send" if arrives else "crash_before_send", True)
    with pytest.raises(crash_type):
        async with world.payer() as payer:
            await world.channel(payer)
    world.payer_chain.crash_after_send = world.payer_chain.crash_before_send = False
    assert len(deposits(world)) == arrives
    async with world.payer() as payer:
        channel = await world.channel(payer)
        assert channel.spendable_left >= HALF
        assert deposits(world) == [deposit_needed(HALF)]
        assert len(payer.list_channels()) == 1


@pytest.mark.parametrize("arrives", [False, True], ids=["lost", "arrived"])
async def test_a_crash_while_topping_up_never_pays_twice(world, crash_type, until, arrives):
    async with world.payer() as payer:
        channel = await world.channel(payer)
    setattr(world.payer_chain, "crash_after_send" if arrives else "crash_before_send", True)
    with pytest.raises(crash_type):
        async with world.payer(watch_interval_s=60.0) as payer:
            await world.channel(payer, "0.7")
    world.payer_chain.crash_after_send = world.payer_chain.crash_before_send = False
    async with world.payer() as payer:
        await until(lambda: payer.channel(channel.address).spendable_left >= parse_coins("0.7"))
        again = await world.channel(payer, "0.7")
        assert again.address == channel.address
    assert deposits(world) == [deposit_needed(HALF), parse_coins("0.7")]


async def test_a_transfer_that_became_too_old_is_given_up_and_paid_once(world, crash_type, until):
    world.payer_chain.crash_before_send = True
    with pytest.raises(crash_type):
        async with world.payer() as payer:
            await world.channel(payer)
    world.payer_chain.crash_before_send = False
    world.chain.warp(3600)
    async with world.payer() as payer:
        await world.channel(payer)
        phases = [status.phase for status in payer.list_channels()]
    assert phases == [Phase.LAPSED, Phase.OPEN]
    assert deposits(world) == [deposit_needed(HALF)]


@pytest.mark.parametrize("answers", [0, 1, 2])
async def test_a_chain_lost_before_the_transfer_was_signed_costs_nothing(world, until, answers):
    world.payer_chain.unplug_after = answers
    async with world.payer(watch_interval_s=60.0) as payer:
        with pytest.raises(ChainUnavailable):
            await world.channel(payer)
    world.payer_chain.unplug_after, world.payer_chain.available = None, True
    async with world.payer() as payer:
        planned = [status.address for status in payer.list_channels()]
        assert len(planned) == (answers > 0)
        await until(lambda: all(payer.phase(each) is Phase.LAPSED for each in planned))
        await world.channel(payer)
    assert deposits(world) == [deposit_needed(HALF)]


async def test_after_a_crash_the_interrupted_job_tells_what_was_paid_and_what_is_at_risk(world):
    async with world.payer() as payer:
        channel = await world.channel(payer)
        await channel.start_job("done", "peer")
        await channel.pay(NanoTon(50), "done")
        await channel.end_job("done")
        await channel.start_job("cut off", "peer")
        await channel.pay(NanoTon(60), "cut off")
        await channel.pay(NanoTon(75), "cut off")
        assert channel.at_risk == 15
    for _ in range(2):
        async with world.payer() as payer:
            (job,) = payer.interrupted_jobs()
            assert (job.job_id, job.provider, job.channel) == ("cut off", "peer", channel.address)
            assert (job.paid_nanoton, job.at_risk_nanoton) == (25, 15)
    async with world.payer() as payer:
        assert payer.channel(channel.address).ref.signed_total_nanoton == 75
        await payer.acknowledge("cut off")
        await payer.channel(channel.address).start_job("next", "peer")
    async with world.payer() as payer:
        assert [job.job_id for job in payer.interrupted_jobs()] == ["next"]


@pytest.mark.parametrize("moment", ["crash_before_send", "crash_after_send"])
async def test_a_crash_after_the_decision_to_leave_still_leaves(world, crash_type, until, moment):
    async with world.payer() as payer:
        channel = await world.channel(payer)
    setattr(world.payer_chain, moment, True)
    with pytest.raises(crash_type):
        async with world.payer(watch_interval_s=60.0) as payer:
            await payer.exit_alone(payer.channel(channel.address))
    setattr(world.payer_chain, moment, False)
    async with world.payer() as payer:
        await until(lambda: payer.phase(channel.address) is Phase.CLOSING)
        world.chain.warp(601)
        await until(lambda: payer.phase(channel.address) is Phase.CLOSED)
        settled = await payer.settlement(payer.channel(channel.address))
    assert settled.paid == 0
    assert len(settled.txs) == 3
    assert world.conserved()


async def test_a_crash_during_the_cooperative_close_is_finished_by_the_watcher(
    world, crash_type, until
):
    async with world.payee() as payee:
        async with world.payer() as payer:
            channel = await world.channel(payer)
            await world.pay(channel, payee, "0.1")
        world.payer_chain.crash_before_send = True
        with pytest.raises(crash_type):
            async with world.payer(watch_interval_s=60.0) as payer:
                await payer.close(payer.channel(channel.address), payee.release)
        world.payer_chain.crash_before_send = False
        async with world.payer() as payer:
            await until(lambda: payer.phase(channel.address) is Phase.CLOSED)
            (status,) = payer.list_channels()
    assert status.words.startswith("closed: 0.09")
    assert status.spendable_left == 0


async def test_the_list_says_what_people_want_to_know(world):
    async with world.payer() as payer:
        channel = await world.channel(payer)
        await channel.start_job("job", "p")
        await channel.pay(parse_coins("0.09"), "job")
        (status,) = payer.list_channels()
        assert status.words.startswith("open, 0.41")
        assert status.words.endswith("GRAM left")


async def test_the_journal_is_private_and_has_one_owner(world):
    async with world.payer():
        assert stat.S_IMODE(world.payer_journal.stat().st_mode) == 0o600
        with pytest.raises(JournalLocked):
            async with world.payer():
                pass


async def test_two_payers_channels_do_not_mix(world):
    async with world.payer() as payer:
        channel = await world.channel(payer)
        assert isinstance(payer, PayerService)
        with pytest.raises(PaymentError, match="no channel"):
            payer.channel("0:" + "00" * 32)
        assert channel.payee_key == world.payee_key


async def test_a_chain_that_is_away_does_not_stop_a_running_job(world):
    async with world.payer() as payer:
        channel = await world.channel(payer)
        await channel.start_job("job", "p")
        world.payer_chain.available = False
        await trio.sleep(0.1)
        await channel.pay(NanoTon(10), "job")
        world.payer_chain.available = True
        assert bounced(world) == 0


async def test_a_top_up_of_exactly_what_is_missing_is_enough(world):
    async with world.payer() as payer:
        channel = await world.channel(payer)
        more = NanoTon(channel.spendable_left + 1)
        terms = {"spendable_min": more, "deposit": NanoTon(1)}
        again = await payer.ensure_channel(world.payee_address, world.payee_key, **terms)
        assert again.address == channel.address
        assert again.spendable_left >= more
