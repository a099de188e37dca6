import msgspec
import pytest

from cocoon.messages import PaymentRef
from cocoon.payments.admission import PayeeTerms, channel_fault, funds_fault, seen
from cocoon.payments.channel import Payee, VoucherReceived
from contracts.channel import ChannelParams, ChannelState, deposit_needed
from contracts.units import NanoTon

OURS, THEIRS, OTHER = "0:" + "0a" * 32, "0:" + "0b" * 32, "0:" + "0c" * 32
TERMS = PayeeTerms(network_id=-3, payee_key=b"p" * 32, payee_address=OURS, challenge_s_min=600)
PARAMS = ChannelParams(
    payer_key=b"k" * 32,
    payer_address=THEIRS,
    payee_key=b"p" * 32,
    payee_address=OURS,
    challenge_s=600,
    open_by_unix_s=1,
    salt=1,
)
CHANNEL = ChannelState(
    params=PARAMS,
    address=OTHER,
    opened_lt=7,
    paid_nanoton=NanoTon(0),
    close_at_unix_s=0,
    balance_nanoton=deposit_needed(NanoTon(1000)),
)
PAYMENT = PaymentRef(
    chain_network_id=-3,
    channel_address=OTHER,
    opened_lt=7,
    payer_key=b"k" * 32,
    signed_total_nanoton=0,
)


def test_the_channel_that_everything_is_right_with_has_no_fault():
    assert channel_fault(PAYMENT, CHANNEL, TERMS) == ""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"address": OURS}, "another address"),
        ({"opened_lt": 0}, "not open"),
        ({"opened_lt": 8}, "another opening"),
        ({"close_at_unix_s": 99}, "closing"),
        ({"params": {"payer_key": b"x" * 32}}, "another payer key"),
        ({"params": {"payee_key": b"x" * 32}}, "payee key is not ours"),
        ({"params": {"payee_address": THEIRS}}, "does not pay to our address"),
        ({"params": {"payer_address": OURS}}, "pays its rest to our address"),
        ({"params": {"challenge_s": 599}}, "challenge of 599 s"),
    ],
)
def test_each_thing_that_can_be_wrong_is_found_and_said(change, words):
    change = dict(change)
    if "params" in change:
        change["params"] = msgspec.structs.replace(PARAMS, **change["params"])
    assert words in channel_fault(PAYMENT, msgspec.structs.replace(CHANNEL, **change), TERMS)


def test_funds_are_what_is_left_above_everything_signed_before():
    state, _ = Payee().step(seen(CHANNEL))
    spendable = state.total_max
    assert funds_fault(PAYMENT, state, spendable) == ""
    assert "needed" in funds_fault(PAYMENT, state, NanoTon(spendable + 1))
    later = msgspec.structs.replace(PAYMENT, signed_total_nanoton=1)
    assert "needed" in funds_fault(later, state, spendable)
    state, _ = state.step(VoucherReceived(total=NanoTon(1), signature=b"s"))
    assert "less than the voucher" in funds_fault(PAYMENT, state, NanoTon(1))
    assert funds_fault(later, state, NanoTon(1)) == ""
