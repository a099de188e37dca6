import msgspec
import pytest
import trio
import trio.testing

from cocoon.errors import ConfigError, PaymentError, PeerMisbehaved
from cocoon.messages import CloseRequest, VoucherMessage
from cocoon.payments import payee_side
from cocoon.payments.ownership import sign_close, sign_ownership
from contracts.errors import ChainUnavailable
from contracts.units import NanoTon, parse_coins
from contracts.voucher import ChannelRef, sign_voucher, verify_release

TENTH = parse_coins("0.1")
ONE = NanoTon(1)
HASH = b"\x07" * 32


async def admit(payee, channel, *, spendable_min=ONE, **changes):
    payment = msgspec.structs.replace(channel.ref, **changes)
    return await payee.admit(
        payment, HASH, channel.sign_transcript(HASH), spendable_min=spendable_min
    )


def contract_ref(channel) -> ChannelRef:
    ref = channel.ref
    return ChannelRef(ref.chain_network_id, ref.channel_address, ref.opened_lt)


def close_request(channel, total, signature) -> CloseRequest:
    ref = contract_ref(channel)
    return CloseRequest(
        chain_network_id=ref.network_id,
        channel_address=ref.address,
        opened_lt=ref.opened_lt,
        total_nanoton=total,
        payer_signature=signature,
    )


async def test_a_channel_is_admitted_only_as_what_it_is(world):
    async with world.both() as (payer, payee):
        channel = await world.channel(payer)
        elsewhere = "0:" + "ab" * 32
        cases = [
            ({"chain_network_id": -239}, "network -239"),
            ({"opened_lt": channel.ref.opened_lt + 1}, "another opening"),
            ({"channel_address": channel.address.upper()}, "raw form"),
            ({"channel_address": "x" * 80}, "raw form"),
        ]
        for change, words in cases:
            with pytest.raises(PaymentError, match=words):
                await admit(payee, channel, **change)
        with pytest.raises(PeerMisbehaved, match="does not own"):
            await admit(payee, channel, channel_address=elsewhere)
        with pytest.raises(PaymentError, match="needed"):
            await admit(payee, channel, spendable_min=parse_coins("0.7"))
        with pytest.raises(PaymentError, match="needed"):
            await admit(payee, channel, signed_total_nanoton=parse_coins("3"))
        with await admit(payee, channel) as admitted:
            assert admitted.spendable_left == channel.spendable_left


async def test_a_strangers_key_does_not_own_the_channel(world):
    async with world.both() as (payer, payee):
        channel = await world.channel(payer)
        mine = b"\x55" * 32
        forged = sign_ownership(
            mine,
            network_id=channel.ref.chain_network_id,
            channel_address=channel.address,
            transcript_hash=HASH,
        )
        with pytest.raises(PeerMisbehaved, match="does not own"):
            await payee.admit(channel.ref, HASH, forged, spendable_min=NanoTon(1))
        with pytest.raises(PeerMisbehaved, match="does not own"):
            await payee.admit(
                channel.ref, bytes(32), channel.sign_transcript(HASH), spendable_min=NanoTon(1)
            )


async def test_a_channel_to_somebody_else_is_refused(world):
    async with world.both() as (payer, payee):
        strangers = await payer.ensure_channel(
            world.payee_address, b"\x09" * 32, spendable_min=NanoTon(1), deposit=TENTH
        )
        with pytest.raises(PaymentError, match="payee key is not ours"):
            await admit(payee, strangers)
        elsewhere = await payer.ensure_channel(
            "0:" + "0a" * 32, world.payee_key, spendable_min=NanoTon(1), deposit=TENTH
        )
        with pytest.raises(PaymentError, match="does not pay to our address"):
            await admit(payee, elsewhere)


async def test_a_channel_that_could_close_too_fast_is_refused(world):
    async with world.payee() as payee, world.payer(challenge_s=599) as payer:
        with pytest.raises(PaymentError, match="challenge of 599 s"):
            await admit(payee, await world.channel(payer))


async def test_a_closing_channel_is_refused_although_it_was_seen_open(world):
    async with world.payee(cache_s=0.0) as payee, world.payer() as payer:
        channel = await world.channel(payer)
        (await admit(payee, channel)).done()
        await payer.exit_alone(channel)
        with pytest.raises(PaymentError, match="closing"):
            await admit(payee, channel)


async def test_an_account_that_is_no_channel_is_refused(world):
    async with world.both() as (payer, payee):
        channel = await world.channel(payer)
        seed = payer._store.book.channels[channel.address].seed
        for address, words in (
            (world.wallet.address, "no payment channel"),
            ("0:" + "1" * 64, "no"),
        ):
            payment = msgspec.structs.replace(channel.ref, channel_address=address)
            signature = sign_ownership(
                seed,
                network_id=payment.chain_network_id,
                channel_address=address,
                transcript_hash=HASH,
            )
            with pytest.raises(PaymentError, match=words):
                await payee.admit(payment, HASH, signature, spendable_min=NanoTon(1))


async def test_a_warm_channel_costs_no_question_to_the_chain(world):
    async with world.payee(watch_interval_s=60.0) as payee, world.payer() as payer:
        channel = await world.channel(payer)
        await world.pay(channel, payee, "0.01")
        reads = world.payee_chain.reads
        await world.pay(channel, payee, "0.02", job="second")
        assert world.payee_chain.reads == reads


async def test_a_chain_that_is_away_is_not_a_reason_to_trust(world):
    async with world.both() as (payer, payee):
        channel = await world.channel(payer)
        world.payee_chain.available = False
        with pytest.raises(ChainUnavailable):
            await admit(payee, channel)
        world.payee_chain.available = True
        (await admit(payee, channel)).done()


async def test_one_channel_serves_one_job_at_a_time(world):
    async with world.both() as (payer, payee):
        channel = await world.channel(payer)
        with await admit(payee, channel), pytest.raises(PaymentError, match="another job"):
            await admit(payee, channel)
        with await admit(payee, channel):
            pass


async def test_who_does_not_own_a_channel_keeps_no_job_away_from_it(world):
    async with world.both() as (payer, payee), trio.open_nursery() as nursery:
        channel = await world.channel(payer)
        refused = []

        async def ask_to_close() -> None:
            with pytest.raises(PeerMisbehaved, match="does not own"):
                await payee.release(close_request(channel, 0, bytes(64)))
            refused.append(channel.address)

        nursery.start_soon(ask_to_close)
        await trio.testing.wait_all_tasks_blocked()
        with await admit(payee, channel):
            await ask_to_close()
        assert refused


async def test_vouchers_that_do_not_count_are_refused_and_change_nothing(world):
    async with world.both() as (payer, payee):
        channel = await world.channel(payer)
        await channel.start_job("job", "p")
        other = await world.channel(payer)
        assert other.address != channel.address
        held = payer._store.book.channels[channel.address]
        ref = contract_ref(channel)

        def voucher(total, *, seed=held.seed, ref=ref):
            return VoucherMessage(total_nanoton=total, signature=sign_voucher(seed, ref, total))

        elsewhere = ChannelRef(-239, ref.address, ref.opened_lt)
        earlier = ChannelRef(ref.network_id, ref.address, ref.opened_lt - 2)
        with await admit(payee, channel) as admitted:
            await admitted.receive(voucher(TENTH))
            replayed = msgspec.structs.replace(voucher(TENTH), total_nanoton=2 * TENTH)
            for bad, kind, words in [
                (voucher(2 * TENTH, seed=b"\x44" * 32), PeerMisbehaved, "bad signature"),
                (voucher(2 * TENTH, ref=elsewhere), PeerMisbehaved, "bad signature"),
                (voucher(2 * TENTH, ref=earlier), PeerMisbehaved, "bad signature"),
                (voucher(2 * TENTH, ref=contract_ref(other)), PeerMisbehaved, "bad signature"),
                (replayed, PeerMisbehaved, "bad signature"),
                (voucher(TENTH - 1), PeerMisbehaved, "does not grow"),
                (voucher(parse_coins("30")), PaymentError, "exceeds the deposit"),
            ]:
                with pytest.raises(kind, match=words):
                    await admitted.receive(bad)
            await admitted.receive(voucher(TENTH))
            assert admitted.best_total == TENTH
        assert payee.earnings().unclaimed == TENTH


async def test_a_restarted_payee_still_holds_its_best_voucher(world):
    async with world.payer() as payer:
        async with world.payee() as payee:
            channel = await world.channel(payer)
            await world.pay(channel, payee, "0.1", "0.15")
        async with world.payee() as payee:
            assert payee.earnings().unclaimed == parse_coins("0.15")
            with pytest.raises(PaymentError, match="less than the voucher"):
                await admit(payee, channel, signed_total_nanoton=TENTH)
            await world.pay(channel, payee, "0.2", job="second")
            await payee.settle_all()
            assert world.balance(world.payee_address) > parse_coins("0.19")


async def test_a_voucher_that_was_lost_costs_the_payer_at_most_itself(world):
    async with world.both() as (payer, payee):
        channel = await world.channel(payer)
        await channel.start_job("job", "p")
        await channel.pay(NanoTon(1000), "job")
        await channel.end_job("job")
        with await admit(payee, channel) as admitted:
            assert (admitted.base_total, admitted.best_total) == (1000, 1000)


async def test_a_top_up_is_noticed_when_a_voucher_needs_it(world):
    async with world.payee(watch_interval_s=60.0) as payee, world.payer() as payer:
        channel = await world.channel(payer, "0.1")
        await world.pay(channel, payee, "0.1")
        channel = await world.channel(payer, "0.3")
        await world.pay(channel, payee, "0.35", job="second")
        assert payee.earnings().unclaimed == parse_coins("0.35")


async def test_release_needs_the_payers_voucher_and_all_that_we_earned(world):
    async with world.both() as (payer, payee):
        channel = await world.channel(payer)
        voucher = await world.pay(channel, payee, "0.1")
        held, ref = payer._store.book.channels[channel.address], contract_ref(channel)
        wish = sign_close(held.seed, ref, TENTH)
        lower = sign_close(held.seed, ref, TENTH - 1)
        for request, words in [
            (close_request(channel, TENTH, b""), "does not own"),
            (close_request(channel, TENTH, bytes(64)), "does not own"),
            (close_request(channel, TENTH, voucher.signature), "does not own"),  # public by a claim
            (close_request(channel, TENTH + 1, wish), "does not own"),
            (close_request(channel, TENTH - 1, lower), "less than the voucher"),
            (
                msgspec.structs.replace(close_request(channel, TENTH, wish), chain_network_id=-3),
                "does not own",
            ),
        ]:
            with pytest.raises(PeerMisbehaved, match=words):
                await payee.release(request)
        request = close_request(channel, TENTH, wish)
        release = await payee.release(request)
        assert verify_release(world.payee_key, ref, TENTH, release.release_signature)
        assert await payee.release(request) == release


@pytest.mark.parametrize(("works_s", "released"), [(0.2, True), (60, False)])
async def test_a_release_waits_a_moment_for_the_last_job_to_end(
    world, monkeypatch, works_s, released
):
    """A payer may ask as soon as it has countersigned: our side of the job ends a little later."""
    monkeypatch.setattr(payee_side, "JOB_END_S", 1.0)
    async with world.both() as (payer, payee), trio.open_nursery() as nursery:
        channel = await world.channel(payer)
        await world.pay(channel, payee, "0.1")
        held, ref = payer._store.book.channels[channel.address], contract_ref(channel)
        request = close_request(channel, TENTH, sign_close(held.seed, ref, TENTH))
        admitted = await admit(payee, channel)

        async def work() -> None:
            with admitted:
                await trio.sleep(works_s)

        nursery.start_soon(work)
        if released:
            assert (await payee.release(request)).total_nanoton == TENTH
        else:
            with pytest.raises(PaymentError, match="a job still uses"):
                await payee.release(request)
        nursery.cancel_scope.cancel()


async def test_a_release_outlives_a_restart_and_no_voucher_comes_after_it(world):
    async with world.payer() as payer:
        async with world.payee() as payee:
            channel = await world.channel(payer)
            await world.pay(channel, payee, "0.1")
            held, ref = payer._store.book.channels[channel.address], contract_ref(channel)
            await payee.release(close_request(channel, TENTH, sign_close(held.seed, ref, TENTH)))
        async with world.payee() as payee:
            with pytest.raises(PaymentError, match="released"):
                await admit(payee, channel)


async def test_a_stranger_cannot_end_a_channel_that_nothing_was_paid_on(world):
    async with world.both() as (payer, payee):
        channel = await world.channel(payer)
        for signature in (b"", bytes(64)):
            with pytest.raises(PeerMisbehaved, match="does not own"):
                await payee.release(close_request(channel, 0, signature))


async def test_a_voucher_for_a_closing_channel_is_kept_and_claimed_but_buys_nothing(world, until):
    async with world.both() as (payer, payee):
        channel = await world.channel(payer)
        await channel.start_job("job", "p")
        with await admit(payee, channel) as admitted:
            await admitted.receive(await channel.pay(TENTH, "job"))
            last = await channel.pay(2 * TENTH, "job")
            await payer.exit_alone(channel)
            await until(lambda: payee.earnings().unclaimed == 0)
            with pytest.raises(PaymentError, match="closing"):
                await admitted.receive(last)
            await until(lambda: world.balance(world.payee_address) > parse_coins("0.19"))


async def test_dust_is_not_claimed_again_and_again(world):
    async with world.both() as (payer, payee):
        channel = await world.channel(payer)
        await world.pay(channel, payee, "0.001")
        await payee.settle_all()
        reads_per_round = []
        for _ in range(3):
            sent = len(world.payee_chain.sent)
            await payee.settle_all()
            reads_per_round.append(len(world.payee_chain.sent) - sent)
        assert reads_per_round == [0, 0, 0]
        assert payee.earnings().unclaimed == parse_coins("0.001")


async def test_times_that_leave_no_room_to_claim_are_refused_at_the_start(world):
    with pytest.raises(ConfigError, match="claim_margin_s"):
        async with world.payee(claim_margin_s=600):
            pass


async def test_a_cancelled_receive_is_either_durable_or_did_not_happen(world):
    async with world.payer() as payer:
        async with world.payee() as payee:
            channel = await world.channel(payer)
            await channel.start_job("job", "p")
            with await admit(payee, channel) as admitted:
                voucher = await channel.pay(TENTH, "job")
                with trio.move_on_after(0.0005):
                    await admitted.receive(voucher)
                known = payee.earnings().unclaimed
        async with world.payee() as payee:
            assert payee.earnings().unclaimed == known
