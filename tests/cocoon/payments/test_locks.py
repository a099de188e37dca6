"""Locks in both cores: what is promised is covered, and no voucher that comes is worth less."""

from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from cocoon.payments.channel import (
    LOCKS_OPEN_MAX,
    ChannelSeen,
    CloseStarted,
    JobStarted,
    LockExpired,
    LockFolded,
    LockRequested,
    Payee,
    Payer,
    Phase,
    Refuse,
    ReleaseAsked,
    SignRequested,
    VoucherReceived,
    WitnessSeen,
)
from contracts.locks import HashLock, KeyLock, KeyPayment, Preimage, lock_id, locked_nanoton
from contracts.units import NanoTon

TOTAL_MAX = 1000
KEYS = [bytes([n]) * 32 for n in range(3)]
amounts = st.integers(1, 600)
totals = st.integers(0, 1200)
locks = st.builds(
    KeyLock,
    key=st.sampled_from(KEYS),
    amount_nanoton=amounts,
    deadline_unix_s=st.integers(1, 9),
)
payer_events = st.one_of(
    st.builds(LockRequested, lock=locks, total=totals),
    st.builds(LockFolded, lock_id=st.sampled_from(KEYS), total=totals),
    st.builds(LockExpired, lock_id=st.sampled_from(KEYS), now_unix_s=st.integers(0, 12)),
    st.builds(SignRequested, job_id=st.just("job"), total=totals),
    st.builds(JobStarted, job_id=st.just("job"), provider=st.just("peer")),
    st.builds(ReleaseAsked),
    st.builds(CloseStarted),
)


@given(st.lists(payer_events, max_size=30))
def test_a_payer_never_promises_more_than_the_deposit_covers(events):
    payer = Payer(phase=Phase.OPEN, opened_lt=1, total_max=TOTAL_MAX)
    for event in events:
        after, effects = payer.step(event)
        refused = any(isinstance(effect, Refuse) for effect in effects)
        assert not refused or after == payer
        assert after.signed_total >= payer.signed_total
        assert after.signed_total + locked_nanoton(after.locks) <= TOTAL_MAX
        assert len(after.locks) <= LOCKS_OPEN_MAX
        assert not (after.locks and after.job_id), "a channel serves routes or a job, not both"
        assert not (after.locks and after.phase is Phase.RELEASING)
        gone = [each for each in payer.locks if each not in after.locks]
        early = isinstance(event, LockExpired) and any(
            each.deadline_unix_s >= event.now_unix_s for each in gone
        )
        assert not early, "a lock is let go only after its deadline"
        payer = after


payee_events = st.one_of(
    st.builds(
        VoucherReceived,
        total=totals,
        signature=st.just(bytes(64)),
        locks=st.lists(locks, max_size=3, unique_by=lock_id).map(tuple),
    ),
    st.builds(
        lambda key, worth: WitnessSeen(
            lock_id=key, witness=KeyPayment(worth, bytes(64)), worth=worth
        ),
        st.sampled_from(KEYS),
        amounts,
    ),
)


@given(st.lists(payee_events, max_size=30))
def test_what_a_payee_can_claim_only_grows_and_is_covered(events):
    payee = Payee(opened_lt=1, total_max=TOTAL_MAX)
    for event in events:
        after, _ = payee.step(event)
        assert after.worth >= payee.worth
        assert after.worth <= TOTAL_MAX
        assert len(after.locks) <= LOCKS_OPEN_MAX
        for lock in after.locks:
            assert after.worth_of(lock) <= lock.amount_nanoton
        payee = after


def test_a_lock_that_was_not_claimed_in_time_is_worth_what_the_chain_paid():
    key = KeyLock(key=KEYS[0], amount_nanoton=100, deadline_unix_s=50)
    preimage = b"p" * 32
    hashed = HashLock(digest=sha256(preimage).digest(), amount_nanoton=30, deadline_unix_s=90)
    payee = Payee(opened_lt=1, total_max=TOTAL_MAX)
    events = [
        VoucherReceived(total=NanoTon(10), signature=bytes(64), locks=(key, hashed)),
        WitnessSeen(lock_id=key.key, witness=KeyPayment(80, bytes(64)), worth=80),
        WitnessSeen(lock_id=hashed.digest, witness=Preimage(preimage), worth=30),
    ]
    for event in events:
        payee, _ = payee.step(event)
    assert (payee.worth, payee.claim_by_unix_s) == (120, 50)
    (claim,) = payee.claim(worth=NanoTon(120))
    assert claim.locks == (key, hashed)
    assert claim.witnesses == (KeyPayment(80, bytes(64)), Preimage(preimage))
    settled = {key.key.hex(): NanoTon(60)}
    seen = ChannelSeen(
        opened_lt=1,
        total_max=TOTAL_MAX,
        paid_total=70,
        close_at_unix_s=0,
        lt=3,
        now_unix_s=51,
        settled=settled,
    )
    payee, _ = payee.step(seen)
    assert payee.worth == 10 + 60 + 30
    assert payee.unclaimed == 30


def test_an_opened_lock_cannot_be_made_smaller_under_its_key():
    """What was shown for the old lock would count for more than the new one can pay."""
    lock = KeyLock(key=KEYS[0], amount_nanoton=100, deadline_unix_s=50)
    payee = Payee(opened_lt=1, total_max=TOTAL_MAX)
    payee, _ = payee.step(VoucherReceived(total=NanoTon(0), signature=bytes(64), locks=(lock,)))
    payee, _ = payee.step(
        WitnessSeen(lock_id=lock.key, witness=KeyPayment(40, bytes(64)), worth=40)
    )
    for changed in (
        KeyLock(key=KEYS[0], amount_nanoton=1, deadline_unix_s=50),
        KeyLock(key=KEYS[0], amount_nanoton=100, deadline_unix_s=49),
    ):
        event = VoucherReceived(total=NanoTon(999), signature=b"s" * 64, locks=(changed,))
        after, effects = payee.step(event)
        assert after == payee
        assert effects[0].peer_at_fault


def test_a_voucher_that_drops_an_opened_lock_must_contain_it():
    lock = KeyLock(key=KEYS[0], amount_nanoton=100, deadline_unix_s=50)
    payee = Payee(opened_lt=1, total_max=TOTAL_MAX)
    payee, _ = payee.step(VoucherReceived(total=NanoTon(10), signature=bytes(64), locks=(lock,)))
    payee, _ = payee.step(
        WitnessSeen(lock_id=lock.key, witness=KeyPayment(40, bytes(64)), worth=40)
    )
    short, effects = payee.step(VoucherReceived(total=NanoTon(49), signature=b"s" * 64))
    assert short == payee
    assert effects[0].peer_at_fault
    folded, _ = payee.step(VoucherReceived(total=NanoTon(50), signature=b"s" * 64))
    assert (folded.worth, folded.locks, folded.opened) == (50, (), {})
