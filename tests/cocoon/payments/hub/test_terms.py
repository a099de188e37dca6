"""Every check of a route, and what a stranger may send."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cocoon.errors import PeerMisbehaved
from cocoon.payments.hub.ledger import claimed_payments
from cocoon.payments.hub.messages import HubTerms, decode_hub
from cocoon.payments.hub.terms import (
    downstream_lock,
    route_fee,
    settle_from_unix_s,
    terms_fault,
    the_lock,
    upstream_fault,
)
from contracts.channel import ChannelParams, ChannelState, locked_claim_body
from contracts.locks import HashLock, KeyLock, KeyPayment, LockedVoucher, Preimage
from contracts.units import NanoTon

NOW = 1_000_000
ACCOUNT = "0:" + "11" * 32
TERMS = HubTerms(
    chain_network_id=-3,
    payee_address=ACCOUNT,
    payee_key=bytes(32),
    challenge_s_min=600,
    fee_base_nanoton=100,
    fee_ppm=1000,
    capacity_max_nanoton=1_000_000,
    route_s_max=3000,
    margin_s=900,
)


def channel(challenge_s=3600, close_at=0) -> ChannelState:
    params = ChannelParams(
        payer_key=bytes(32),
        payer_address=ACCOUNT,
        payee_key=bytes(32),
        payee_address=ACCOUNT,
        challenge_s=challenge_s,
        open_by_unix_s=0,
        salt=0,
    )
    return ChannelState(
        params=params,
        address=ACCOUNT,
        opened_lt=1,
        paid_nanoton=NanoTon(0),
        close_at_unix_s=close_at,
        balance_nanoton=NanoTon(10**9),
    )


def lock(amount=500_000, left_s=2900) -> KeyLock:
    return KeyLock(key=bytes(32), amount_nanoton=NanoTon(amount), deadline_unix_s=NOW + left_s)


@pytest.mark.parametrize(
    ("state", "asked", "fee", "words"),
    [
        (channel(), lock(), 600, ""),
        (channel(), lock(), 599, "the fee is 600"),
        (channel(), lock(1_000_001), 10**6, "above our largest route"),
        (channel(), lock(left_s=1800), 600, "too soon to be carried"),
        (channel(), lock(left_s=3001), 600, "at most"),
        (channel(challenge_s=2800), lock(left_s=2900), 600, "we carry for 2800 s"),
        (channel(close_at=NOW + 9), lock(), 600, "closing"),
    ],
)
def test_a_hub_carries_only_what_it_can_get_back(state, asked, fee, words):
    fault = upstream_fault(TERMS, state, asked, fee_paid=NanoTon(fee), now_unix_s=NOW)
    assert (words in fault) if words else fault == ""


def test_the_providers_lock_ends_a_margin_earlier_and_is_settled_before_that():
    given_lock = downstream_lock(TERMS, lock())
    assert given_lock.deadline_unix_s == lock().deadline_unix_s - TERMS.margin_s
    assert (given_lock.key, given_lock.amount_nanoton) == (lock().key, lock().amount_nanoton)
    assert settle_from_unix_s(TERMS, given_lock) == given_lock.deadline_unix_s - 675


@given(st.integers(0, 10**12), st.integers(0, 10**6), st.integers(0, 10**9))
def test_the_fee_is_rounded_up_by_less_than_a_nanoton(capacity, ppm, base):
    terms = msgspec.structs.replace(TERMS, fee_ppm=ppm, fee_base_nanoton=base)
    exact = base * 10**6 + capacity * ppm
    assert 0 <= route_fee(terms, NanoTon(capacity)) * 10**6 - exact < 10**6


def test_a_requester_refuses_terms_that_it_cannot_live_with():
    fine = {"network_id": -3, "fee": NanoTon(5), "fee_max": NanoTon(5)}
    assert terms_fault(TERMS, **fine) == ""
    assert "network" in terms_fault(TERMS, **(fine | {"network_id": -239}))
    assert "above our limit" in terms_fault(TERMS, **(fine | {"fee": NanoTon(6)}))
    short = msgspec.structs.replace(TERMS, route_s_max=1800)
    assert "before they begin" in terms_fault(short, **fine)


def test_impossible_locks_are_none_and_never_raise():
    good = LockedVoucher(total_nanoton=NanoTon(1), locks=(lock(),), signature=bytes(64))
    assert the_lock(good, bytes(32)) == lock()
    twice = msgspec.structs.replace(good, locks=(lock(), lock()))
    hashed = HashLock(digest=bytes(32), amount_nanoton=NanoTon(1), deadline_unix_s=NOW)
    for bad in (twice, msgspec.structs.replace(good, locks=(hashed,))):
        assert the_lock(bad, bytes(32)) is None
    assert the_lock(good, b"\x01" * 32) is None


def test_payments_are_read_back_from_the_body_of_a_claim():
    keys = [bytes([n]) * 32 for n in range(3)]
    locks = (
        KeyLock(key=keys[0], amount_nanoton=NanoTon(5), deadline_unix_s=9),
        HashLock(digest=keys[1], amount_nanoton=NanoTon(6), deadline_unix_s=9),
        KeyLock(key=keys[2], amount_nanoton=NanoTon(7), deadline_unix_s=9),
    )
    voucher = LockedVoucher(total_nanoton=NanoTon(3), locks=locks, signature=bytes(64))
    last = KeyPayment(NanoTon(4), b"s" * 64)
    assert claimed_payments(locked_claim_body(voucher, [None, Preimage(bytes(32)), last])) == {
        keys[2]: last
    }


@given(st.binary(max_size=300))
def test_garbage_from_a_peer_is_the_peers_fault(data):
    with pytest.raises(PeerMisbehaved):
        decode_hub(data)


@given(st.binary(max_size=300))
def test_garbage_on_the_chain_shows_no_payment(data):
    assert claimed_payments(data) == {}
