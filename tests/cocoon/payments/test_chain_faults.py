"""The chain stops, is slow, forks back, or its server lies: what each side may lose is bounded.

`Faulty` stands before the real contract in the real emulator, and misbehaves.
"""

import msgspec
import pytest
import trio
import trio.testing

from cocoon.errors import PaymentError
from cocoon.messages import VoucherMessage
from cocoon.payments import claiming, payee_side
from cocoon.payments.channel import Phase
from cocoon.payments.closing import channel_ref
from cocoon.payments.journal import Journal, JournalError
from cocoon.payments.limits import PayeeLimits
from contracts.cells import EMPTY, encode_boc
from contracts.errors import ChainUnavailable, InvalidData, MessageRejected
from contracts.units import NanoTon, parse_coins
from contracts.voucher import sign_voucher

TRANSCRIPT = b"\x07" * 32
TENTH = parse_coins("0.1")
COST = parse_coins("0.005")
"""More than a claim's gas and delivery."""


class Faulty:
    """A chain that misbehaves as told.

    Attributes:
        stopped: nothing answers.
        delay_s: before each answer.
        lie: added to every balance that is shown, while the transactions stay true.
        deaf_for: accounts that it does not answer for.
        history_to_lt: it shows no later transactions, while its states are new; 0: all.
        sent_at_once_max: the most messages that were on their way at one time.
        refuses: says of every message that the contract refuses it.
        garbles: shows accounts whose data does not parse.
    """

    def __init__(self, chain) -> None:
        self._chain = chain
        self.network_id = chain.network_id
        self.stopped = False
        self.delay_s = 0.0
        self.lie = 0
        self.asked = 0
        self.deaf_for = set()
        self.history_to_lt = 0
        self.sending = self.sent_at_once_max = 0
        self.refuses = self.garbles = False

    async def _ask(self) -> None:
        self.asked += 1
        await trio.sleep(self.delay_s)
        if self.stopped:
            raise ChainUnavailable("stopped")

    async def now_unix_s(self):
        await self._ask()
        return await self._chain.now_unix_s()

    async def account(self, address):
        await self._ask()
        if address in self.deaf_for:
            raise ChainUnavailable(f"nothing about {address}")
        account = await self._chain.account(address)
        balance = NanoTon(max(0, account.balance_nanoton + self.lie))
        data = encode_boc(EMPTY) if self.garbles and account.data else account.data
        return msgspec.structs.replace(account, balance_nanoton=balance, data=data)

    async def send(self, message_boc):
        self.sending += 1
        self.sent_at_once_max = max(self.sent_at_once_max, self.sending)
        try:
            await self._ask()
            if self.refuses:
                raise MessageRejected("too small", exit_code=54)
            return await self._chain.send(message_boc)
        finally:
            self.sending -= 1

    async def transactions(self, address, *, since_lt=0, limit=100, heir=""):
        await self._ask()
        shown = await self._chain.transactions(address, since_lt=since_lt, limit=limit, heir=heir)
        return [each for each in shown if not self.history_to_lt or each.lt <= self.history_to_lt]


@pytest.fixture
def faulty(world):
    world.payee_chain = Faulty(world.payee_chain)
    world.payer_chain = Faulty(world.payer_chain)
    return world.payee_chain


async def admit(channel, payee, spendable_min=1):
    signature = channel.sign_transcript(TRANSCRIPT)
    return await payee.admit(channel.ref, TRANSCRIPT, signature, spendable_min=spendable_min)


async def test_a_running_job_goes_on_while_the_chain_is_stopped(world, faulty, until):
    async with world.both() as (payer, payee):
        channel = await world.channel(payer)
        await channel.start_job("job", "peer")
        with await admit(channel, payee) as till:
            faulty.stopped = world.payer_chain.stopped = True
            for number in range(1, 21):
                await till.receive(await channel.pay(NanoTon(number * TENTH // 10), "job"))
            assert payee.earnings().unclaimed == 2 * TENTH
            with pytest.raises(ChainUnavailable):
                await payee.settle_all()
            faulty.stopped = False
            assert (await payee.settle_all()).unclaimed == 0
        assert payee.earnings().settled == world.balance(world.payee_address)


async def test_a_new_job_waits_for_the_chain_and_nothing_is_credited_blindly(world, faulty):
    async with world.payee(cache_s=0) as payee, world.payer() as payer:
        channel = await world.channel(payer)
        faulty.stopped = True
        with pytest.raises(ChainUnavailable):
            await admit(channel, payee)
        faulty.stopped = False
        (await admit(channel, payee)).done()


async def test_work_that_the_chain_cannot_vouch_for_is_bounded(world, faulty):
    limits = PayeeLimits(unseen_max=TENTH)
    # Safe for a tenth of a second after each look: then a payer could be leaving unseen.
    async with (
        world.payee(claim_margin_s=599.9, limits=limits, watch_interval_s=0.04) as payee,
        world.payer() as payer,
    ):
        channel = await world.channel(payer)
        await channel.start_job("job", "peer")
        till = await admit(channel, payee)
        faulty.stopped = True
        await trio.sleep(0.2)
        await till.receive(await channel.pay(TENTH, "job"))
        beyond = await channel.pay(NanoTon(2 * TENTH), "job")
        with pytest.raises(PaymentError, match="the work waits for it"):
            await till.receive(beyond)
        assert payee.earnings().unclaimed == 2 * TENTH, "it is kept: it pays for work done"
        faulty.stopped = False
        await till.receive(await channel.pay(NanoTon(3 * TENTH), "job"))


async def test_a_voucher_above_the_deposit_is_the_payers_fault_on_a_stopped_chain_too(
    world, faulty, monkeypatch
):
    """Else a job would end as our failure, and its payer would be served again at once."""
    monkeypatch.setattr(payee_side, "TOP_UP_LOOK_S", 0)
    async with world.both() as (payer, payee):
        channel = await world.channel(payer)
        await channel.start_job("job", "peer")
        held, ref = payer.store.book.channels[channel.address], channel.ref
        total = parse_coins("30")
        signature = sign_voucher(held.seed, channel_ref(ref.chain_network_id, held), total)
        with await admit(channel, payee) as till:
            faulty.stopped = True
            with pytest.raises(PaymentError, match="exceeds the deposit"):
                await till.receive(VoucherMessage(total_nanoton=total, signature=signature))


async def test_vouchers_do_not_wait_for_a_slow_chain(world, faulty):
    async with world.both() as (payer, payee):
        channel = await world.channel(payer)
        await channel.start_job("job", "peer")
        with await admit(channel, payee) as till:
            faulty.delay_s = world.payer_chain.delay_s = 3600
            with trio.fail_after(20):
                for number in range(1, 51):
                    await till.receive(await channel.pay(NanoTon(number * 1000), "job"))


@pytest.mark.parametrize("lie", [parse_coins("1"), 1, -1, -parse_coins("0.3")])
async def test_a_balance_that_the_transactions_contradict_admits_nobody(world, faulty, lie):
    async with world.both() as (payer, payee):
        channel = await world.channel(payer)
        faulty.lie = lie
        with pytest.raises(ChainUnavailable, match="while its transactions leave"):
            await admit(channel, payee)
        faulty.lie = 0
        (await admit(channel, payee)).done()


async def test_a_true_balance_is_believed_after_claims_too_and_a_higher_one_is_not(world, faulty):
    async with world.payee(cache_s=0) as payee, world.payer() as payer:
        channel = await world.channel(payer)
        for number, total in enumerate(("0.1", "0.2", "0.3")):
            await world.pay(channel, payee, total, job=f"job {number}")
            await payee.settle_all()
        (await admit(channel, payee)).done()
        faulty.lie = parse_coins("0.001")  # less hides behind the prepaid delivery of claims
        with pytest.raises(ChainUnavailable, match="while its transactions leave"):
            await admit(channel, payee)


async def test_a_lie_in_mid_job_neither_credits_nor_takes_anything(world, faulty):
    async with world.both() as (payer, payee):
        channel = await world.channel(payer)
        await channel.start_job("job", "peer")
        with await admit(channel, payee) as till:
            known = till.spendable_left
            await till.receive(await channel.pay(TENTH, "job"))
            for lie in (parse_coins("5"), -parse_coins("0.4")):
                faulty.lie = lie
                await trio.sleep(0.1)  # the watcher looks several times
                assert till.spendable_left == known - TENTH
            voucher = await channel.pay(NanoTon(2 * TENTH), "job")
            await till.receive(voucher)
        assert payee.earnings().unclaimed == 2 * TENTH


async def test_a_claim_does_not_wait_for_an_honest_balance(world, faulty, until):
    async with world.both() as (payer, payee):
        channel = await world.channel(payer)
        await world.pay(channel, payee, "0.1")
        faulty.lie = parse_coins("3")
        await payer.exit_alone(channel)
        await until(lambda: world.balance(world.payee_address) > TENTH - COST)


async def test_a_claim_does_not_wait_for_a_history_that_the_server_lacks(world, faulty, until):
    """An index that lags behind the state must not cost what the challenge period is there for."""
    async with world.payer() as payer:
        async with world.payee() as payee:
            channel = await world.channel(payer)
            await world.pay(channel, payee, "0.1")
            await payee.settle_all()
            await world.pay(channel, payee, "0.2", job="more")
        faulty.history_to_lt = channel.ref.opened_lt
        async with world.payee():
            before = world.balance(world.payee_address)
            await payer.exit_alone(channel)
            await until(lambda: world.balance(world.payee_address) > before)


async def test_a_refusal_that_only_the_server_made_up_does_not_hold_a_claim_up_for_ever(
    world, faulty, monkeypatch
):
    async with world.both() as (payer, payee):
        channel = await world.channel(payer)
        await world.pay(channel, payee, "0.1")
        faulty.refuses = True
        assert (await payee.settle_all()).unclaimed == TENTH
        faulty.refuses = False
        assert (await payee.settle_all()).unclaimed == TENTH  # not again soon
        monkeypatch.setattr(claiming, "REFUSED_AGAIN_S", 0.0)
        assert (await payee.settle_all()).unclaimed == 0


async def test_from_a_channel_that_cannot_be_read_is_claimed_all_the_same(world, faulty):
    """The payer could have made it so, and be leaving."""
    async with world.both() as (payer, payee):
        channel = await world.channel(payer)
        await world.pay(channel, payee, "0.1")
        faulty.garbles = True
        with pytest.raises(InvalidData):
            await payee.settle_all()
        assert world.balance(world.payee_address) > TENTH - COST
        faulty.garbles = False
        assert (await payee.settle_all()).unclaimed == 0


async def several(payer, payee, world, count: int):
    """Open channels that have paid a tenth each."""
    channels = []
    for number in range(count):
        channel = await payer.open_channel(world.payee_address, world.payee_key, 2 * TENTH)
        await world.pay(channel, payee, "0.1", job=f"job {number}")
        channels.append(channel)
    return channels


async def test_payers_that_leave_together_are_claimed_from_side_by_side(world, faulty, until):
    """One after another, the last of many would be over before its turn came."""
    async with world.payer() as payer:
        async with world.payee() as payee:
            channels = await several(payer, payee, world, 6)
        for each in channels:
            await payer.exit_alone(each)
        faulty.delay_s = 0.02
        async with world.payee() as payee:
            await until(lambda: payee.earnings().unclaimed == 0, 20)
    assert faulty.sent_at_once_max >= 4


async def test_a_channel_that_nothing_is_heard_of_holds_up_no_other(world, faulty, until):
    async with world.payer() as payer:
        async with world.payee() as payee:
            channels = await several(payer, payee, world, 5)
        silent = channels[:4]  # they are the first to close
        for each in channels:
            await payer.exit_alone(each)
        faulty.deaf_for = {each.address for each in silent}
        async with world.payee() as payee:
            await until(lambda: payee.earnings().unclaimed == 4 * TENTH)
            faulty.deaf_for = set()
            await until(lambda: payee.earnings().unclaimed == 0)


async def test_open_channels_that_nothing_is_heard_of_hold_up_no_other(world, faulty, until):
    async with world.payer() as payer:
        async with world.payee() as payee:
            channels = await several(payer, payee, world, 6)
        faulty.deaf_for = {each.address for each in channels[:5]}
        await payer.exit_alone(channels[5])
        async with world.payee() as payee:
            await until(lambda: payee.earnings().unclaimed == 5 * TENTH)


async def test_a_full_disk_stops_work_and_no_claim(world, faulty, until, monkeypatch):
    async with world.both() as (payer, payee):
        channel = await world.channel(payer)
        await world.pay(channel, payee, "0.1")
        append = Journal.append_many

        def full(journal, records):
            if journal._path == world.payee_journal:
                raise JournalError("no space left")
            append(journal, records)

        monkeypatch.setattr(Journal, "append_many", full)
        await channel.start_job("job", "peer")
        till = await admit(channel, payee)
        with pytest.raises(JournalError):
            await till.receive(await channel.pay(NanoTon(2 * TENTH), "job"))
        till.done()
        await channel.end_job("job")
        await payer.exit_alone(channel)
        await until(lambda: world.balance(world.payee_address) > TENTH - COST)
        monkeypatch.setattr(Journal, "append_many", append)
        await until(lambda: payee.earnings().unclaimed == 0)
        assert payee.earnings().settled == world.balance(world.payee_address)


async def test_a_fork_that_undoes_a_top_up_costs_nobody_and_the_top_up_comes_again(
    world, faulty, until
):
    async with world.both() as (payer, payee):
        channel = await world.channel(payer, "0.1")
        before = world.chain.snapshot()
        await payer.top_up(channel, 3 * TENTH)
        top_up = world.payer_chain._chain.sent[-1]
        await world.pay(channel, payee, "0.3")
        world.chain.restore(before)
        # The payee claims what is there; the voucher stays good for the rest.
        await payee.settle_all()
        assert 0 < world.balance(world.payee_address) < parse_coins("0.12")
        assert payee.earnings().unclaimed > parse_coins("0.17")
        world.chain.send_external(top_up)
        await payee.settle_all()
        assert payee.earnings().unclaimed == 0
        assert world.balance(world.payee_address) > parse_coins("0.3") - 2 * COST
        assert payee.earnings().settled == world.balance(world.payee_address)
    assert world.conserved()


async def test_a_fork_that_undoes_a_claim_only_delays_it(world, faulty, until):
    async with world.both() as (payer, payee):
        channel = await world.channel(payer)
        await world.pay(channel, payee, "0.1")
        before = world.chain.snapshot()
        await payee.settle_all()
        world.chain.restore(before)
        assert world.balance(world.payee_address) == 0
        close_at = await payer.exit_alone(channel)
        await until(lambda: world.balance(world.payee_address) > TENTH - COST)
        world.chain.advance_to(close_at + 1)
        await until(lambda: payer.phase(channel.address) is Phase.CLOSED)
        await until(lambda: payee.earnings().settled == world.balance(world.payee_address))
    assert world.conserved()


async def test_a_lone_exit_ends_by_itself_whatever_the_chain_does_meanwhile(world, faulty, until):
    async with world.payer() as payer:
        channel = await world.channel(payer)
        close_at = await payer.exit_alone(channel)
        world.payer_chain.stopped = True
        world.chain.advance_to(close_at + 1)
        await trio.sleep(0.1)
        assert payer.phase(channel.address) is Phase.CLOSING
        world.payer_chain.stopped = False
        world.payer_chain.delay_s = 0.01
        await until(lambda: payer.phase(channel.address) is Phase.CLOSED)
    assert world.conserved()
