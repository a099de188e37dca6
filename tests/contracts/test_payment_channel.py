"""The contract on the real TVM, mostly at the hands of people who mean it harm."""

import msgspec
import pytest

from contracts import channel, tlb, voucher
from contracts.cells import EMPTY, Builder, Cell, decode_boc, encode_boc
from contracts.embedded import EMPTY_STACK, EmbeddedChain
from contracts.emulator import Emulator, open_emulator
from contracts.errors import MessageRejected
from contracts.rehearsal import (
    CHALLENGE_S,
    COIN,
    OPEN_WITHIN_S,
    PAYEE,
    PAYEE_SEED,
    PAYER,
    PAYER_SEED,
    STRANGER,
    Rehearsal,
    rehearsal_params,
)
from contracts.units import NanoTon

PAYER_SIGNATURE, PAYEE_SIGNATURE, STATE_INIT, TOO_SMALL, BELOW_PAID = 51, 52, 53, 54, 55
CLOSING, TOO_EARLY, ALREADY_OPEN, TOO_LATE, UNDERFUNDED, BALLAST = 56, 57, 58, 59, 60, 61
UNDERFLOW = 9  # the TVM's: a cell has not what is read from it, or more


@pytest.fixture
def opened(rig: Rehearsal) -> Rehearsal:
    rig.open(2 * COIN)
    return rig


def refused(rig: Rehearsal, body: bytes, code: int, init: Cell | None = None) -> None:
    """Check that *body* is refused both ways, and that nothing at all changes."""
    before = rig.chain.snapshot()
    with pytest.raises(MessageRejected) as caught:
        rig.external(body, init=init)
    assert caught.value.exit_code == code
    assert rig.chain.snapshot().shards == before.shards
    if init is None:
        state, got = rig.state, rig.balance(PAYEE) + rig.balance(PAYER)
        record = rig.internal(COIN, body)
        assert (record.exit_code, record.aborted) == (code, True)
        assert [out.destination for out in record.out_messages] == [STRANGER]
        assert msgspec.structs.replace(rig.state, balance_nanoton=state.balance_nanoton) == state
        assert rig.balance(PAYEE) + rig.balance(PAYER) == got
        rig.chain.restore(before)


def test_opening_stamps_the_logical_time_and_takes_the_deposit(rig: Rehearsal) -> None:
    record = rig.open(COIN)
    assert rig.state.opened_lt == record.lt
    assert rig.state.paid_nanoton == rig.state.close_at_unix_s == 0
    assert rig.state.balance_nanoton == COIN - record.fees_nanoton
    assert record.fees_nanoton < channel.OPEN_FEE_NANOTON


def test_opening_late_is_refused_and_the_money_comes_back(rig: Rehearsal) -> None:
    rig.chain.warp(OPEN_WITHIN_S + 1)
    record = rig.open(COIN)
    assert record.exit_code == TOO_LATE
    assert rig.balance(STRANGER) > 0.99 * COIN
    assert rig.balance(rig.address) == 0


def test_opening_at_the_last_second_works(rig: Rehearsal) -> None:
    rig.chain.warp(OPEN_WITHIN_S)
    assert rig.open(COIN).exit_code == 0


def test_opening_twice_is_refused_and_does_not_move_the_stamp(opened: Rehearsal) -> None:
    stamp = opened.state.opened_lt
    assert opened.open(COIN).exit_code == ALREADY_OPEN
    assert opened.state.opened_lt == stamp


def test_a_claim_pays_the_payee_and_costs_the_channel_no_more_than_granted(
    opened: Rehearsal,
) -> None:
    balance = opened.state.balance_nanoton
    opened.external(opened.claim(COIN // 2))
    assert opened.state.paid_nanoton == COIN // 2
    assert 0.99 * COIN // 2 < opened.balance(PAYEE) < COIN // 2
    assert balance - COIN // 2 <= opened.state.balance_nanoton < balance - 0.99 * COIN // 2


def test_a_claim_by_internal_message_returns_what_was_attached(opened: Rehearsal) -> None:
    balance = opened.state.balance_nanoton
    opened.internal(COIN, opened.claim(COIN // 2))
    kept = opened.state.balance_nanoton - (balance - COIN // 2)
    assert 0 <= kept < 700_000  # what an external message would cost on import
    assert 1.49 * COIN < opened.balance(PAYEE) < 1.5 * COIN


def test_an_internal_claim_cannot_use_attached_money_to_reach_the_reserve(
    opened: Rehearsal,
) -> None:
    opened.internal(COIN, opened.claim(5 * COIN))
    kept = opened.state.balance_nanoton - channel.RESERVE_NANOTON
    assert 0 <= kept < 700_000  # what an external message would cost on import
    assert opened.last.exit_code == 0


def test_anyone_may_deliver_a_claim_but_only_the_payee_is_paid(opened: Rehearsal) -> None:
    opened.internal(COIN, opened.claim(COIN // 2))
    assert opened.balance(STRANGER) == opened.balance(PAYER) == 0
    assert opened.balance(PAYEE) > 0


def test_a_replayed_and_an_older_voucher_are_refused(opened: Rehearsal) -> None:
    older, newer = opened.claim(COIN // 4), opened.claim(COIN // 2)
    opened.external(newer)
    refused(opened, newer, TOO_SMALL)
    refused(opened, older, TOO_SMALL)


def test_a_voucher_of_another_network_is_refused(opened: Rehearsal) -> None:
    total = NanoTon(COIN // 2)
    for network_id in (-239, -3, 0):
        ref = opened.state.ref(network_id)
        body = channel.claim_body(total, voucher.sign_voucher(PAYER_SEED, ref, total))
        refused(opened, body, PAYER_SIGNATURE)


def test_a_voucher_is_good_on_the_network_that_it_names() -> None:
    """The same contract under another global id: what decides is the chain, not our code."""
    chain = EmbeddedChain(open_emulator(network_id=-3), unix_s=1_780_000_000)
    rig = Rehearsal(chain)
    rig.open(COIN)
    assert rig.ref.network_id == -3
    assert rig.external(rig.claim(COIN // 2)).exit_code == 0


def test_a_voucher_of_another_channel_is_refused(opened: Rehearsal) -> None:
    other = Rehearsal(opened.chain, rehearsal_params(opened.chain.now_unix_s, salt=2))
    other.open(COIN)
    refused(opened, other.claim(COIN // 2), PAYER_SIGNATURE)


def test_a_voucher_of_an_earlier_deployment_is_refused(opened: Rehearsal) -> None:
    old = opened.claim(COIN // 2)
    opened.external(opened.close(COIN // 4))
    assert opened.balance(opened.address) == 0
    opened.open(2 * COIN)
    refused(opened, old, PAYER_SIGNATURE)
    assert opened.external(opened.claim(COIN // 2)).exit_code == 0


def test_a_forged_voucher_is_refused(opened: Rehearsal) -> None:
    total = NanoTon(COIN // 2)
    forged = voucher.sign_voucher(PAYEE_SEED, opened.ref, total)
    refused(opened, channel.claim_body(total, forged), PAYER_SIGNATURE)
    refused(opened, channel.claim_body(total, bytes(64)), PAYER_SIGNATURE)
    good = opened.voucher(total)
    refused(opened, channel.claim_body(NanoTon(total + 1), good), PAYER_SIGNATURE)


def test_a_release_is_no_voucher_and_a_voucher_no_release(opened: Rehearsal) -> None:
    total = NanoTon(COIN // 2)
    by_payer = voucher.sign_release(PAYER_SEED, opened.ref, total)
    refused(opened, channel.claim_body(total, by_payer), PAYER_SIGNATURE)
    by_payee = voucher.sign_voucher(PAYEE_SEED, opened.ref, total)
    body = channel.close_body(total, opened.voucher(total), by_payee)
    refused(opened, body, PAYEE_SIGNATURE)


def test_an_underfunded_claim_pays_what_is_there_and_the_rest_after_a_top_up(
    opened: Rehearsal,
) -> None:
    body = opened.claim(5 * COIN)
    opened.external(body)
    first = opened.state
    reserve = channel.RESERVE_NANOTON
    assert reserve <= first.balance_nanoton < reserve + channel.CLAIM_NANOTON_SURE
    assert first.paid_nanoton < 2 * COIN
    refused(opened, body, TOO_SMALL)
    opened.internal(10 * COIN)
    opened.external(body)
    assert opened.state.paid_nanoton == 5 * COIN
    assert opened.balance(PAYEE) > 4.98 * COIN


def test_the_payer_can_leave_alone(opened: Rehearsal) -> None:
    opened.external(opened.claim(COIN // 2))
    opened.external(opened.start_close())
    assert opened.state.close_at_unix_s == opened.chain.now_unix_s + CHALLENGE_S
    opened.chain.warp(CHALLENGE_S + 1)
    opened.external(channel.finish_body())
    assert opened.balance(PAYER) > 1.49 * COIN
    assert opened.chain.account(opened.address).status == "nonexist"


def test_the_payee_can_leave_alone(opened: Rehearsal) -> None:
    """It takes what it earned, and needs no signature of the payer to send back the rest."""
    opened.external(opened.claim(COIN // 2))
    paid = opened.state.paid_nanoton
    release = voucher.sign_release(PAYEE_SEED, opened.ref, paid)
    opened.external(channel.close_body(paid, None, release))
    assert opened.balance(PAYER) > 1.49 * COIN
    assert opened.balance(opened.address) == 0


def test_an_unused_channel_is_released_by_the_payee_alone(opened: Rehearsal) -> None:
    release = voucher.sign_release(PAYEE_SEED, opened.ref, NanoTon(0))
    opened.external(channel.close_body(NanoTon(0), None, release))
    assert opened.balance(PAYER) > 1.99 * COIN
    assert opened.balance(PAYEE) == 0


def test_the_payer_cannot_forge_the_release_of_an_unused_channel(opened: Rehearsal) -> None:
    release = voucher.sign_release(PAYER_SEED, opened.ref, NanoTon(0))
    refused(opened, channel.close_body(NanoTon(0), None, release), PAYEE_SIGNATURE)


def test_a_release_for_more_than_was_paid_needs_the_voucher(opened: Rehearsal) -> None:
    total = NanoTon(COIN // 2)
    release = voucher.sign_release(PAYEE_SEED, opened.ref, total)
    refused(opened, channel.close_body(total, None, release), PAYER_SIGNATURE)


def test_closing_together_pays_both_and_deletes_the_account(opened: Rehearsal) -> None:
    opened.external(opened.claim(COIN // 4))
    opened.external(opened.close(COIN))
    assert 0.99 * COIN < opened.balance(PAYEE) < COIN
    assert 0.99 * COIN < opened.balance(PAYER) < COIN
    assert opened.chain.account(opened.address).status == "nonexist"


def test_closing_below_what_was_paid_is_refused(opened: Rehearsal) -> None:
    opened.external(opened.claim(COIN))
    refused(opened, opened.close(COIN // 2), BELOW_PAID)


def test_closing_for_more_than_there_is_is_refused(opened: Rehearsal) -> None:
    balance = opened.state.balance_nanoton
    with pytest.raises(MessageRejected) as caught:
        opened.external(opened.close(balance))
    assert caught.value.exit_code == UNDERFUNDED


@pytest.mark.parametrize("due", [1, 399_999, 400_000, 400_001, 500_000, 5_000_000])
def test_closing_over_dust_never_fails_after_it_was_accepted(opened: Rehearsal, due: int) -> None:
    record = opened.external(opened.close(due))
    assert not record.aborted
    assert opened.balance(opened.address) == 0
    assert opened.balance(PAYEE) == max(0, due - 400_000)


def test_closing_works_up_to_the_last_nanoton_that_can_be_paid(opened: Rehearsal) -> None:
    """Around the limit, a close is either refused for free or done whole."""
    balance = opened.state.balance_nanoton
    here = opened.chain.snapshot()
    outcomes = set()
    for left in range(2_000_000, 8_000_000, 200_000):
        opened.chain.restore(here)
        try:
            record = opened.external(opened.close(balance - left))
        except MessageRejected as rejected:
            outcomes.add(rejected.exit_code)
            assert opened.state.balance_nanoton == balance
        else:
            outcomes.add(0)
            assert not record.aborted
            assert opened.balance(opened.address) == 0
    assert outcomes == {0, UNDERFUNDED}


def test_claims_around_the_minimum_are_refused_for_free_or_done_whole(opened: Rehearsal) -> None:
    here, outcomes = opened.chain.snapshot(), set()
    for total in range(1_000_000, 2 * channel.CLAIM_NANOTON_MIN, 100_000):
        opened.chain.restore(here)
        try:
            record = opened.external(opened.claim(total))
        except MessageRejected as rejected:
            outcomes.add(rejected.exit_code)
        else:
            outcomes.add(0)
            assert not record.aborted
            assert opened.state.paid_nanoton == total
            assert opened.balance(PAYEE) > 0
            assert total > channel.CLAIM_NANOTON_MIN - 1_000_000
    assert outcomes == {0, TOO_SMALL}


def test_the_documented_minimum_is_claimable_both_ways(opened: Rehearsal) -> None:
    body, here = opened.claim(channel.CLAIM_NANOTON_MIN), opened.chain.snapshot()
    assert opened.external(body).exit_code == 0
    opened.chain.restore(here)
    assert opened.internal(channel.MESSAGE_FEE_NANOTON, body).exit_code == 0


def test_a_claim_of_the_documented_size_is_never_too_small(opened: Rehearsal) -> None:
    opened.external(opened.claim(COIN))
    body, here = opened.claim(COIN + channel.CLAIM_NANOTON_SURE), opened.chain.snapshot()
    assert opened.external(body).exit_code == 0
    opened.chain.restore(here)
    assert opened.internal(channel.MESSAGE_FEE_NANOTON, body).exit_code == 0


def test_the_payer_can_burn_only_a_part_of_what_the_payee_has_earned(opened: Rehearsal) -> None:
    """It sends the smallest claims that are accepted, again and again."""
    earned = 200_000_000
    for total in range(500_000, earned + 1, 500_000):
        try:
            opened.external(opened.claim(total))
        except MessageRejected as refused_:
            assert refused_.exit_code == TOO_SMALL
    assert opened.state.paid_nanoton > earned - channel.CLAIM_NANOTON_SURE
    assert opened.balance(PAYEE) > 0.7 * opened.state.paid_nanoton


def test_the_payee_can_claim_while_the_payer_closes_until_it_is_finished(
    opened: Rehearsal,
) -> None:
    opened.external(opened.start_close())
    opened.external(opened.claim(COIN // 4))
    opened.chain.warp(CHALLENGE_S + 500)
    opened.external(opened.claim(COIN // 2))
    assert opened.state.paid_nanoton == COIN // 2
    opened.external(channel.finish_body())
    assert opened.balance(PAYER) > 1.49 * COIN


def test_finishing_too_early_is_refused(opened: Rehearsal) -> None:
    refused(opened, channel.finish_body(), TOO_EARLY)
    opened.external(opened.start_close())
    refused(opened, channel.finish_body(), TOO_EARLY)
    opened.chain.warp(CHALLENGE_S)
    refused(opened, channel.finish_body(), TOO_EARLY)
    opened.chain.warp(1)
    assert opened.external(channel.finish_body()).exit_code == 0


def test_only_the_payer_starts_to_close(opened: Rehearsal) -> None:
    for seed in (PAYEE_SEED, b"\x77" * 32):
        signature = voucher.sign_start_close(seed, opened.ref)
        refused(opened, channel.start_close_body(signature), PAYER_SIGNATURE)


def test_closing_again_does_not_move_the_deadline(opened: Rehearsal) -> None:
    body = opened.start_close()
    opened.external(body)
    refused(opened, body, CLOSING)
    opened.chain.warp(100)
    refused(opened, body, CLOSING)


def test_nothing_works_after_the_end(opened: Rehearsal) -> None:
    bodies = [opened.claim(COIN // 2), opened.close(COIN // 2), opened.start_close()]
    opened.external(opened.start_close())
    opened.chain.warp(CHALLENGE_S + 1)
    opened.external(channel.finish_body())
    for body in (*bodies, channel.finish_body()):
        with pytest.raises(MessageRejected):
            opened.external(body)


def test_money_sent_after_the_end_bounces_back(opened: Rehearsal) -> None:
    opened.external(opened.close(COIN))
    opened.internal(COIN)
    assert opened.balance(opened.address) == 0
    assert opened.balance(STRANGER) > 0.99 * COIN


def test_a_channel_that_was_deployed_but_never_opened_gives_the_money_back(
    rig: Rehearsal,
) -> None:
    rig.internal(COIN, init=True)
    assert rig.state.opened_lt == 0
    refused(rig, channel.finish_body(), TOO_EARLY)
    rig.chain.warp(OPEN_WITHIN_S + 1)
    rig.external(channel.finish_body())
    assert rig.balance(PAYER) > 0.99 * COIN


def test_money_stranded_without_code_is_rescued_by_deploying_late(rig: Rehearsal) -> None:
    rig.internal(COIN, bounce=False)
    rig.chain.warp(OPEN_WITHIN_S + 1)
    rig.internal(COIN, channel.finish_body(), init=True)
    assert rig.balance(PAYER) > 1.98 * COIN


def test_before_the_opening_no_signature_is_good(rig: Rehearsal) -> None:
    rig.internal(COIN, init=True)
    total = NanoTon(COIN // 2)
    ref = voucher.ChannelRef(rig.chain.network_id, rig.address, 1)
    bodies = (
        channel.claim_body(total, voucher.sign_voucher(PAYER_SEED, ref, total)),
        channel.start_close_body(voucher.sign_start_close(PAYER_SEED, ref)),
        channel.close_body(NanoTon(0), None, voucher.sign_release(PAYEE_SEED, ref, NanoTon(0))),
    )
    for body in bodies:
        refused(rig, body, PAYEE_SIGNATURE if body == bodies[2] else PAYER_SIGNATURE)


def test_a_state_init_cannot_be_used_to_inflate_what_the_channel_pays_for_import(
    opened: Rehearsal,
) -> None:
    init = decode_boc(channel.state_init(opened.params))
    for body in (opened.claim(COIN // 2), opened.start_close(), opened.close(COIN)):
        refused(opened, body, STATE_INIT, init=init)


def ballast(cell: Cell) -> Cell:
    """Return *cell* with references behind its fields, to be paid for by the channel."""
    heavy = EMPTY
    for number in range(100):
        heavy = Cell(number, 1023, (heavy,))
    return Builder().inline(cell).ref(heavy).end()


def padded(cell: Cell, behind: int) -> bytes:
    """Return *cell* with *behind* spare bits."""
    return encode_boc(Builder().inline(cell).uint(0, behind).end())


def test_whatever_stands_behind_a_message_makes_it_invalid(opened: Rehearsal) -> None:
    claim, start = opened.claim(COIN // 2), opened.start_close()
    for body, code in (
        (claim, PAYER_SIGNATURE),
        (start, PAYER_SIGNATURE),
        (opened.close(COIN), PAYEE_SIGNATURE),
    ):
        refused(opened, padded(decode_boc(body), behind=8), code)
        with pytest.raises(MessageRejected):
            opened.external(encode_boc(ballast(decode_boc(body))))
    opened.external(start)
    opened.chain.warp(CHALLENGE_S + 1)
    finish = decode_boc(channel.finish_body())
    refused(opened, encode_boc(ballast(finish)), BALLAST)
    refused(opened, padded(finish, behind=8), BALLAST)


def test_the_payer_cannot_burn_the_deposit_with_ballast_that_it_signed(opened: Rehearsal) -> None:
    """Else it could take back in fees what it has promised in vouchers."""
    heavy = ballast(Builder().end()).refs[0]
    tail = Builder().coins(COIN).ref(heavy)
    signature = opened.sign(Builder().uint(voucher.TAG_VOUCHER, 24).coins(COIN).ref(heavy))
    body = Builder().uint(channel.OP_CLAIM, 32).raw(signature).inline(tail.end()).end()
    with pytest.raises(MessageRejected):
        opened.external(encode_boc(body))
    start = opened.sign(Builder().uint(voucher.TAG_START_CLOSE, 24).ref(heavy))
    body = Builder().uint(channel.OP_START_CLOSE, 32).raw(start).ref(heavy).end()
    refused(opened, encode_boc(body), UNDERFLOW)


def test_the_payee_cannot_burn_the_change_with_ballast_that_it_signed(opened: Rehearsal) -> None:
    heavy = ballast(Builder().end()).refs[0]
    for behind in (Builder().coins(0).ref(heavy), Builder().coins(0).uint(0, 8)):
        fields = behind.end()
        signature = opened.sign(
            Builder().uint(voucher.TAG_RELEASE, 24).inline(fields), seed=PAYEE_SEED
        )
        release = Builder().raw(signature).end()
        # The reference to the release comes first, so what stands behind it is signed.
        head = Builder().uint(channel.OP_CLOSE, 32).raw(bytes(64)).ref(release)
        refused(opened, encode_boc(head.inline(fields).end()), UNDERFLOW)


def test_ballast_behind_a_release_is_refused(opened: Rehearsal) -> None:
    body = decode_boc(opened.close(COIN))
    (release,) = body.refs
    for padded_release in (ballast(release), Builder().inline(release).uint(0, 1).end()):
        replaced = Cell(body.bits, body.size_bits, (padded_release,))
        with pytest.raises(MessageRejected):
            opened.external(encode_boc(replaced))


@pytest.mark.parametrize(
    "body",
    [
        Builder().uint(0, 32).raw(b"thank you").end(),
        Builder().uint(0xDEAD, 32).end(),
        Builder().uint(1, 1).end(),
        Builder().ref(EMPTY).end(),
        Builder().uint(channel.OP_CLAIM, 32).end(),
        Builder().uint(channel.OP_CLAIM, 32).raw(bytes(64)).uint(15, 4).end(),
        Builder().uint(channel.OP_CLOSE, 32).raw(bytes(64)).coins(5).end(),
    ],
)
def test_a_message_that_is_not_understood_changes_nothing(opened: Rehearsal, body: Cell) -> None:
    before = opened.state
    with pytest.raises(MessageRejected):
        opened.external(encode_boc(body))
    record = opened.internal(COIN, encode_boc(body))
    assert record.aborted
    assert opened.balance(STRANGER) > 0.99 * COIN
    assert opened.state == before


def test_a_bounced_message_changes_nothing_but_the_balance(opened: Rehearsal) -> None:
    before = opened.state
    bounced = tlb.internal_message(
        STRANGER,
        opened.address,
        COIN,
        body=Builder().uint(0xFFFFFFFF, 32).inline(decode_boc(channel.finish_body())).end(),
        bounce=False,
        created_lt=0,
        created_unix_s=0,
    )
    flags = 0b0101  # int_msg_info$0, ihr_disabled 1, bounce 0, bounced 1
    bits = (flags << (bounced.size_bits - 4)) | (
        bounced.bits & ((1 << (bounced.size_bits - 4)) - 1)
    )
    opened.chain.send_internal(encode_boc(Cell(bits, bounced.size_bits, bounced.refs)))
    assert opened.last.exit_code == 0
    assert opened.state == msgspec.structs.replace(
        before, balance_nanoton=opened.state.balance_nanoton
    )


def test_refused_messages_cannot_drain_the_channel(opened: Rehearsal) -> None:
    balance = opened.state.balance_nanoton
    good = opened.claim(COIN // 2)
    for number in range(50):
        bad = bytearray(decode_boc(good).parse().raw(68))
        bad[4 + number] ^= 1
        body = Builder().raw(bytes(bad)).coins(COIN // 2).end()
        with pytest.raises(MessageRejected):
            opened.external(encode_boc(body))
    assert opened.state.balance_nanoton == balance


def test_internal_messages_without_gas_money_cannot_drain_the_channel(opened: Rehearsal) -> None:
    balance = opened.state.balance_nanoton
    for body in (opened.claim(COIN), channel.finish_body(), opened.start_close(), None):
        opened.internal(1, body)
        assert opened.state.balance_nanoton >= balance
    assert opened.state.paid_nanoton == opened.state.close_at_unix_s == 0


def test_many_small_claims_take_no_more_than_they_grant(opened: Rehearsal) -> None:
    """The payee pays for its own claims; it cannot burn the payer's deposit with them."""
    balance = opened.state.balance_nanoton
    step = channel.CLAIM_NANOTON_SURE
    for number in range(1, 41):
        opened.external(opened.claim(number * step))
    assert opened.state.balance_nanoton >= balance - 40 * step


def test_the_reserve_outlives_a_year_and_still_pays_for_the_exit(opened: Rehearsal) -> None:
    opened.external(opened.claim(5 * COIN))
    opened.chain.warp(365 * 86_400)
    opened.external(opened.start_close())
    opened.chain.warp(CHALLENGE_S + 1)
    assert not opened.external(channel.finish_body()).aborted
    assert opened.balance(PAYER) > 0


def test_a_channel_without_a_reserve_is_left_by_attaching_the_fees(opened: Rehearsal) -> None:
    opened.external(opened.claim(5 * COIN))
    opened.chain.warp(3 * 365 * 86_400)
    with pytest.raises(MessageRejected):
        opened.external(opened.start_close())
    fee = channel.MESSAGE_FEE_NANOTON + 2 * channel.RENT_NANOTON
    assert not opened.internal(fee, opened.start_close()).aborted
    opened.chain.warp(CHALLENGE_S + 1)
    assert not opened.internal(fee, channel.finish_body()).aborted
    assert opened.chain.account(opened.address).status == "nonexist"


def test_the_documented_message_fee_is_enough_for_every_message(opened: Rehearsal) -> None:
    fee, here = channel.MESSAGE_FEE_NANOTON, opened.chain.snapshot()
    for body in (opened.claim(COIN), opened.close(COIN), opened.start_close()):
        opened.chain.restore(here)
        assert not opened.internal(fee, body).aborted
    opened.chain.warp(CHALLENGE_S + 1)
    assert not opened.internal(fee, channel.finish_body()).aborted


def test_the_get_method_tells_what_the_data_says(opened: Rehearsal) -> None:
    opened.external(opened.claim(COIN // 2))
    result = opened.chain.run_get_method(opened.address, "channel", EMPTY_STACK)
    assert result.exit_code == 0
    assert result.stack.parse().uint(24) == 4


def test_the_deposit_that_we_ask_for_covers_the_vouchers_in_full(emulator: Emulator) -> None:
    """Also when the payee waits for a year."""
    rig = Rehearsal(EmbeddedChain(emulator, unix_s=1_780_000_000))
    wanted = NanoTon(COIN // 3)
    rig.open(channel.deposit_needed(wanted))
    assert rig.state.voucher_total_max_nanoton >= wanted
    body = rig.claim(wanted)
    rig.chain.warp(365 * 86_400)
    rig.external(body)
    assert rig.state.paid_nanoton == wanted


def test_a_poor_channel_refuses_for_free_what_it_cannot_pay_for(rig: Rehearsal) -> None:
    """Around the limit of its balance, an exit is either refused for free or done whole."""
    before, outcomes = rig.chain.snapshot(), set()
    for value in range(1_000_000, 8_000_000, 100_000):
        rig.chain.restore(before)
        rig.open(value)
        outcomes.add(("start", whole_or_free(rig, rig.start_close())))
        rig.internal(1)  # without a storage fee since, what follows is exact
        if rig.state.close_at_unix_s:
            rig.chain.warp(CHALLENGE_S + 1)
            outcomes.add(("finish", whole_or_free(rig, channel.finish_body())))
    assert {("start", True), ("start", False), ("finish", True), ("finish", False)} <= outcomes


def whole_or_free(rig: Rehearsal, body: bytes) -> bool:
    """Return whether *body* was accepted; check that it is not half done."""
    before = rig.chain.snapshot()
    try:
        record = rig.external(body)
    except MessageRejected:
        assert rig.chain.snapshot() == before
        return False
    assert (record.exit_code, record.aborted) == (0, False)
    return True
