"""Locked vouchers off chain, and on the real TVM at the hands of people who mean it harm."""

import base64
from hashlib import sha256

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import channel, voucher
from contracts.cells import Builder, Cell, decode_boc, encode_boc
from contracts.embedded import EmbeddedChain
from contracts.emulator import Emulator, open_emulator
from contracts.errors import InvalidData, LocalContractError, MessageRejected
from contracts.locks import (
    LOCKS_MAX,
    HashLock,
    KeyLock,
    KeyPayment,
    Lock,
    LockedVoucher,
    Preimage,
    Witness,
    check_locks,
    fits,
    lock_id,
    locked_nanoton,
    locks_cell,
    sign_key_payment,
    unlocked,
    witnesses_cell,
)
from contracts.rehearsal import COIN, PAYEE, PAYEE_SEED, PAYER_SEED, Rehearsal, public_key
from contracts.units import NanoTon

NOW_UNIX_S, WITHIN_S = 1_780_000_000, 600
NETWORK_ID = -239
PAYER_SIGNATURE, TOO_SMALL, BAD_WITNESS, EXPIRED = 51, 54, 62, 63
UNDERFLOW = 9  # the TVM's: a cell has not what is read from it, or more
REF = voucher.ChannelRef(network_id=NETWORK_ID, address="0:" + "ab" * 32, opened_lt=77)


def secret(number: int) -> bytes:
    return sha256(bytes([number])).digest()


def hash_lock(number: int, amount: int = COIN // 10, within_s: int = WITHIN_S) -> HashLock:
    return HashLock(
        digest=sha256(secret(number)).digest(),
        amount_nanoton=NanoTon(amount),
        deadline_unix_s=NOW_UNIX_S + within_s,
    )


def key_lock(number: int, amount: int = COIN // 10, within_s: int = WITHIN_S) -> KeyLock:
    return KeyLock(
        key=public_key(secret(number)),
        amount_nanoton=NanoTon(amount),
        deadline_unix_s=NOW_UNIX_S + within_s,
    )


def some_locks(count: int) -> list[Lock]:
    return [key_lock(number) if number % 2 else hash_lock(number) for number in range(count)]


def witness(rig: Rehearsal, number: int, amount: int = COIN // 20) -> Witness:
    """Open lock *number* of `some_locks`."""
    if number % 2:
        return sign_key_payment(secret(number), rig.chain.network_id, NanoTon(amount))
    return Preimage(secret(number))


@pytest.fixture
def opened(rig: Rehearsal) -> Rehearsal:
    rig.open(10 * COIN)
    return rig


def held(total: int, locks: list[Lock], signature: bytes) -> LockedVoucher:
    return LockedVoucher(total_nanoton=NanoTon(total), locks=tuple(locks), signature=signature)


def refused(rig: Rehearsal, body: bytes) -> int | None:
    """Check that *body* is refused both ways, and that nothing changes; return the code."""
    before = rig.chain.snapshot()
    with pytest.raises(MessageRejected) as caught:
        rig.external(body)
    assert rig.chain.snapshot().shards == before.shards
    state = rig.state
    record = rig.internal(COIN, body)
    assert record.aborted
    assert rig.balance(PAYEE) == 0
    assert msgspec.structs.replace(rig.state, balance_nanoton=state.balance_nanoton) == state
    rig.chain.restore(before)
    return caught.value.exit_code


def test_a_preimage_opens_its_hash_lock_and_no_other() -> None:
    lock = hash_lock(0)
    assert unlocked(lock, Preimage(secret(0)), NETWORK_ID) == lock.amount_nanoton
    for wrong in (None, Preimage(secret(1)), Preimage(b""), Preimage(secret(0) + b"\0")):
        assert unlocked(lock, wrong, NETWORK_ID) == 0
    assert unlocked(lock, sign_key_payment(secret(0), NETWORK_ID, NanoTon(5)), NETWORK_ID) == 0


@given(st.integers(0, 2 * COIN), st.integers(1, 2 * COIN))
def test_a_key_lock_is_worth_what_its_key_signed_up_to_its_amount(paid: int, most: int) -> None:
    payment = sign_key_payment(secret(1), NETWORK_ID, NanoTon(paid))
    lock = key_lock(1, amount=most)
    assert unlocked(lock, payment, NETWORK_ID) == min(paid, most)
    assert unlocked(lock, payment, NETWORK_ID + 1) == 0
    assert unlocked(key_lock(3, amount=most), payment, NETWORK_ID) == 0
    more = msgspec.structs.replace(payment, amount_nanoton=NanoTon(paid + 1))
    assert unlocked(lock, more, NETWORK_ID) == 0
    assert unlocked(lock, Preimage(secret(1)), NETWORK_ID) == 0


@given(st.binary(max_size=80), st.integers(-5, 1 << 130), st.binary(max_size=40))
def test_hostile_witnesses_are_worth_nothing(signature: bytes, amount: int, key: bytes) -> None:
    lock = KeyLock(key=key, amount_nanoton=COIN, deadline_unix_s=1)
    assert unlocked(lock, KeyPayment(NanoTon(amount), signature), NETWORK_ID) == 0
    assert unlocked(key_lock(1), KeyPayment(NanoTon(amount), signature), NETWORK_ID) == 0


@given(st.integers(1, LOCKS_MAX), st.integers(0, 10**12))
def test_a_locked_voucher_is_bound_to_its_total_and_to_every_lock(count: int, amount: int) -> None:
    locks, total = some_locks(count), NanoTon(amount)
    signature = voucher.sign_locked_voucher(PAYER_SEED, REF, total, locks)
    key = public_key(PAYER_SEED)

    def good(locks: list[Lock], total: int = total, ref: voucher.ChannelRef = REF) -> bool:
        return voucher.verify_locked_voucher(key, ref, NanoTon(total), locks, signature)

    assert good(locks)
    assert not good(locks, total + 1)
    assert not good(locks, ref=msgspec.structs.replace(REF, opened_lt=78))
    assert not good([*locks, hash_lock(99)])
    assert not good(locks[1:])
    first = locks[0]
    for change in ({"amount_nanoton": 1}, {"deadline_unix_s": 1}):
        assert not good([msgspec.structs.replace(first, **change), *locks[1:]])
    assert not voucher.verify_voucher(key, REF, total, signature)


def test_a_plain_voucher_is_no_locked_one() -> None:
    plain = voucher.sign_voucher(PAYER_SEED, REF, COIN)
    key = public_key(PAYER_SEED)
    assert not voucher.verify_locked_voucher(key, REF, COIN, some_locks(1), plain)
    assert not voucher.verify_locked_voucher(key, REF, COIN, [], plain)


@pytest.mark.parametrize(
    "locks",
    [
        [],
        some_locks(LOCKS_MAX + 1),
        [hash_lock(0), hash_lock(0, amount=5)],
        [hash_lock(0, amount=0)],
        [hash_lock(0, amount=-1)],
        [hash_lock(0, amount=1 << 120)],
        [hash_lock(0, within_s=2**32)],
        [HashLock(digest=b"short", amount_nanoton=COIN, deadline_unix_s=1)],
        [KeyLock(key=bytes(33), amount_nanoton=COIN, deadline_unix_s=1)],
    ],
)
def test_impossible_locks_are_refused_and_never_verified(locks: list[Lock]) -> None:
    with pytest.raises(InvalidData):
        check_locks(locks)
    with pytest.raises(InvalidData):
        voucher.sign_locked_voucher(PAYER_SEED, REF, COIN, locks)
    key = public_key(PAYER_SEED)
    assert not voucher.verify_locked_voucher(key, REF, COIN, locks, bytes(64))


def test_locks_travel_as_tagged_records() -> None:
    locks = some_locks(2)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(locks), type=list[Lock]) == locks
    with pytest.raises(msgspec.ValidationError):
        msgspec.msgpack.decode(msgspec.msgpack.encode([{"type": "other"}]), type=list[Lock])


def test_a_witness_of_a_wrong_size_is_our_mistake() -> None:
    with pytest.raises(LocalContractError):
        witnesses_cell([Preimage(b"short")])
    with pytest.raises(LocalContractError):
        channel.locked_claim_body(held(COIN, some_locks(2), bytes(64)), [None])


@pytest.mark.parametrize("number", [0, 1])
def test_an_external_claim_pays_the_total_and_the_opened_lock(
    opened: Rehearsal, number: int
) -> None:
    balance, lock = opened.state.balance_nanoton, some_locks(number + 1)[number]
    opened.external(opened.claim_locked(COIN, [lock], [witness(opened, number)]))
    worth = COIN // 20 if number else COIN // 10
    assert opened.state.paid_nanoton == COIN + worth
    assert 0.99 * opened.state.paid_nanoton < opened.balance(PAYEE) < opened.state.paid_nanoton
    assert opened.state.balance_nanoton >= balance - opened.state.paid_nanoton
    assert len(opened.state.settled_nanoton) == 1


@pytest.mark.parametrize("count", [2, 3, 8, LOCKS_MAX])
def test_many_locks_are_claimed_by_an_internal_message(opened: Rehearsal, count: int) -> None:
    balance, locks = opened.state.balance_nanoton, some_locks(count)
    witnesses = [witness(opened, number) for number in range(count)]
    record = opened.internal(
        channel.locked_claim_fee(count), opened.claim_locked(COIN, locks, witnesses)
    )
    assert record.exit_code == 0
    worth = sum(COIN // 20 if number % 2 else COIN // 10 for number in range(count))
    assert opened.state.paid_nanoton == COIN + worth <= COIN + locked_nanoton(locks)
    left = opened.state.balance_nanoton - (balance - opened.state.paid_nanoton)
    assert 0 <= left < count * 500_000 + 500_000  # what an external message would cost on import
    assert len(opened.state.settled_nanoton) == count


@pytest.mark.parametrize("number", [0, 1])
def test_as_many_locks_as_we_say_can_be_claimed_by_an_external_message(
    opened: Rehearsal, number: int
) -> None:
    count = channel.EXTERNAL_LOCKS_MAX
    numbers = range(number, 2 * count + number, 2)  # all of one kind
    locks: list[Lock] = [key_lock(i) if number else hash_lock(i) for i in numbers]
    witnesses = [witness(opened, i) for i in numbers]
    balance = opened.state.balance_nanoton
    opened.external(opened.claim_locked(COIN, locks, witnesses))
    assert opened.state.paid_nanoton > COIN
    assert opened.state.balance_nanoton >= balance - opened.state.paid_nanoton


def test_without_a_witness_a_lock_is_worth_nothing(opened: Rehearsal) -> None:
    opened.external(opened.claim_locked(COIN, some_locks(2), [None, None]))
    assert opened.state.paid_nanoton == COIN
    assert not opened.state.settled_nanoton


def test_a_wrong_witness_is_refused(opened: Rehearsal) -> None:
    network_id = opened.chain.network_id
    cases: list[tuple[Lock, Witness]] = [
        (hash_lock(0), Preimage(secret(2))),
        (hash_lock(0), sign_key_payment(secret(0), network_id, COIN)),
        (key_lock(1), sign_key_payment(secret(2), network_id, COIN)),
        (key_lock(1), sign_key_payment(secret(1), network_id + 1, COIN)),
        (key_lock(1), KeyPayment(COIN, bytes(64))),
        (key_lock(1), sign_key_payment(secret(2), network_id, NanoTon(0))),
    ]
    for lock, wrong in cases:
        assert not fits(lock, wrong, network_id)
        assert refused(opened, opened.claim_locked(COIN, [lock], [wrong])) in (
            BAD_WITNESS,
            UNDERFLOW,
        )


def test_a_lock_is_good_until_its_deadline_and_not_after(opened: Rehearsal) -> None:
    body = opened.claim_locked(0, [hash_lock(0)], [witness(opened, 0)])
    before = opened.chain.snapshot()
    opened.chain.advance_to(NOW_UNIX_S + WITHIN_S)
    opened.external(body)
    assert opened.state.paid_nanoton == COIN // 10
    opened.chain.restore(before)
    opened.chain.advance_to(NOW_UNIX_S + WITHIN_S + 1)
    assert refused(opened, body) == EXPIRED


def test_a_lock_that_was_paid_counts_after_its_deadline(opened: Rehearsal) -> None:
    """So a payee that must go on chain for one lock loses none of the later ones."""
    early, late = hash_lock(0, within_s=100), hash_lock(2, within_s=1000)
    opened.external(opened.claim_locked(COIN, [early, late], [witness(opened, 0), None]))
    opened.chain.advance_to(NOW_UNIX_S + 500)
    opened.external(opened.claim_locked(COIN, [early, late], [None, witness(opened, 2)]))
    assert opened.state.paid_nanoton == COIN + 2 * COIN // 10


def test_the_payer_cannot_make_the_channel_forget_what_a_lock_has_paid(opened: Rehearsal) -> None:
    early, late = hash_lock(0, within_s=100), hash_lock(2, within_s=1000)
    both = [early, late]
    opened.external(opened.claim_locked(COIN, both, [witness(opened, 0), None]))
    decoy = hash_lock(4, amount=COIN // 20)
    opened.external(opened.claim_locked(COIN + COIN // 10, [decoy], [witness(opened, 4)]))
    opened.chain.advance_to(NOW_UNIX_S + 500)
    opened.external(opened.claim_locked(COIN, both, [None, witness(opened, 2)]))
    assert opened.state.paid_nanoton == COIN + 2 * COIN // 10


def test_a_key_lock_pays_a_larger_payment_the_difference(opened: Rehearsal) -> None:
    lock = key_lock(1, amount=COIN)
    for amount in (COIN // 4, COIN // 2, 2 * COIN):
        opened.external(opened.claim_locked(0, [lock], [witness(opened, 1, amount)]))
        assert opened.state.paid_nanoton == min(amount, COIN)
    smaller = opened.claim_locked(0, [lock], [witness(opened, 1, COIN // 4)])
    with pytest.raises(MessageRejected) as caught:
        opened.external(smaller)
    assert caught.value.exit_code == TOO_SMALL


def test_a_lock_pays_once_however_often_it_is_claimed(opened: Rehearsal) -> None:
    body = opened.claim_locked(COIN, [hash_lock(0)], [witness(opened, 0)])
    opened.external(body)
    with pytest.raises(MessageRejected) as caught:
        opened.external(body)
    assert caught.value.exit_code == TOO_SMALL
    folded = opened.claim(COIN + COIN // 10)
    with pytest.raises(MessageRejected):
        opened.external(folded)
    opened.external(opened.claim(2 * COIN))
    assert opened.state.paid_nanoton == 2 * COIN


def test_the_payer_cannot_make_a_channel_unreadable_by_locks_of_its_own(rig: Rehearsal) -> None:
    """Who cannot read a channel cannot claim from it by our software, and the payer would leave."""
    rig.open(1000 * COIN)
    for number in range(65):
        secrets = [sha256(bytes([number, each])).digest() for each in range(LOCKS_MAX)]
        locks = [
            HashLock(
                digest=sha256(each).digest(),
                amount_nanoton=NanoTon(1),
                deadline_unix_s=NOW_UNIX_S + WITHIN_S,
            )
            for each in secrets
        ]
        body = rig.claim_locked((number + 1) * COIN, locks, [Preimage(each) for each in secrets])
        assert rig.internal(channel.locked_claim_fee(LOCKS_MAX), body).exit_code == 0
    assert len(rig.state.settled_nanoton) == 65 * LOCKS_MAX
    rig.external(rig.claim(100 * COIN))
    assert rig.state.paid_nanoton == 100 * COIN


def test_an_underfunded_locked_claim_works_again_after_a_top_up_and_the_deadline(
    opened: Rehearsal,
) -> None:
    locks: list[Lock] = [hash_lock(0, amount=20 * COIN)]
    opened.external(opened.claim_locked(COIN, locks, [witness(opened, 0)]))
    assert opened.state.paid_nanoton < 10 * COIN
    opened.chain.warp(WITHIN_S + 1)
    opened.internal(30 * COIN)
    opened.external(opened.claim_locked(COIN, locks, [None]))
    assert opened.state.paid_nanoton == 21 * COIN


@pytest.mark.parametrize("count", [1, 4])
def test_the_payer_can_burn_only_a_part_of_the_payees_money_with_locks(
    opened: Rehearsal, count: int
) -> None:
    """It sends the smallest claims that are accepted, with as many locks as they may have."""
    locks, here = some_locks(count), opened.chain.snapshot()
    for total in range(5_000_000, 50_000_000, 1_000_000):
        opened.chain.restore(here)
        try:
            opened.external(opened.claim_locked(total, locks, [None] * count))
        except MessageRejected as refused:
            assert refused.exit_code == TOO_SMALL
        else:
            break
    assert opened.state.paid_nanoton == total
    assert opened.balance(PAYEE) > 0.7 * total


def test_other_locks_than_the_signed_ones_are_refused(opened: Rehearsal) -> None:
    signature = voucher.sign_locked_voucher(PAYER_SEED, opened.ref, COIN, [hash_lock(0)])
    larger: list[Lock] = [hash_lock(0, amount=COIN)]
    body = channel.locked_claim_body(held(COIN, larger, signature), [witness(opened, 0)])
    assert refused(opened, body) == PAYER_SIGNATURE
    forged = voucher.sign_locked_voucher(PAYEE_SEED, opened.ref, COIN, larger)
    body = channel.locked_claim_body(held(COIN, larger, forged), [witness(opened, 0)])
    assert refused(opened, body) == PAYER_SIGNATURE


def with_witnesses(body: bytes, witnesses: Cell) -> bytes:
    cell = decode_boc(body)
    return encode_boc(Cell(cell.bits, cell.size_bits, (witnesses, cell.refs[1])))


def test_ballast_behind_a_witness_is_refused(opened: Rehearsal) -> None:
    body = opened.claim_locked(COIN, [hash_lock(0)], [witness(opened, 0)])
    good = decode_boc(body).refs[0]
    spare_bits = Builder().inline(good).uint(0, 1).end()
    spare_ref = Builder().inline(good).ref(good).end()
    for wrong in (spare_bits, spare_ref, Builder().end(), Builder().uint(1, 1).end()):
        assert refused(opened, with_witnesses(body, wrong)) == UNDERFLOW


def publish(emulator: Emulator, published: Cell) -> None:
    """Let the network of *emulator* know a cell as a public library."""
    label = Builder().uint(0b10, 2).uint(256, 9).raw(published.hash)
    libraries = encode_boc(label.ref(published).end())
    pointer, ask = emulator._instance.new_string(base64.b64encode(libraries)), emulator._ask

    def ask_with_libraries(function: str, before: tuple, *others: tuple) -> dict:
        if function == "_emulate_with_emulator":
            before = (before[0], pointer)
        return ask(function, before, *others)

    emulator._ask = ask_with_libraries  # type: ignore[method-assign]


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("number", [0, 1])
def test_a_witness_cannot_be_hidden_in_a_library(
    opened: Rehearsal, number: int, count: int
) -> None:
    """The contract alone could read it there: the hop before would pay, and have none to show.

    Anybody can publish a library, for its rent.
    """
    locks = [some_locks(2)[number], hash_lock(7)][:count]
    shown = [witness(opened, number), None][:count]
    hidden = witnesses_cell(shown)
    network = open_emulator()
    publish(network, hidden)
    rig = Rehearsal(EmbeddedChain(network, unix_s=NOW_UNIX_S))
    rig.open(10 * COIN)
    body = rig.claim_locked(COIN, locks, shown)
    library = Cell(int.from_bytes(b"\x02" + hidden.hash), 8 + 256, exotic=True)
    assert refused(rig, with_witnesses(body, library)) == UNDERFLOW
    rig.external(body)
    assert rig.balance(PAYEE) > COIN


def test_ballast_in_the_payers_own_lock_is_refused(opened: Rehearsal) -> None:
    """The payer cannot inflate what the payee is charged for the import of its claim."""
    lock = locks_cell([hash_lock(0)])
    for padded in (Builder().inline(lock).uint(0, 1).end(), Builder().inline(lock).ref(lock).end()):
        signature = opened.sign(Builder().uint(voucher.TAG_LOCKED, 24).coins(COIN).ref(padded))
        fields = Builder().uint(channel.OP_CLAIM_LOCKED, 32).raw(signature).coins(COIN)
        body = fields.ref(witnesses_cell([witness(opened, 0)])).ref(padded).end()
        assert refused(opened, encode_boc(body)) == UNDERFLOW


def test_a_locked_claim_with_spare_references_is_refused(opened: Rehearsal) -> None:
    body = decode_boc(opened.claim_locked(COIN, [hash_lock(0)], [witness(opened, 0)]))
    assert refused(opened, encode_boc(Builder().inline(body).ref(body).end())) == PAYER_SIGNATURE


def test_a_locked_claim_is_read_back_from_its_message(opened: Rehearsal) -> None:
    body = opened.claim_locked(COIN, some_locks(3), [None] * 3)
    assert channel.read_action(body) == channel.ChannelAction("claim_locked", COIN)


def test_the_witnesses_of_a_claim_are_read_back_from_its_message(opened: Rehearsal) -> None:
    locks, shown = some_locks(3), [witness(opened, 0), witness(opened, 1), None]
    body = opened.claim_locked(COIN, locks, shown)
    assert channel.read_witnesses(body) == {
        lock_id(lock): each for lock, each in zip(locks, shown, strict=True) if each
    }
    assert channel.read_witnesses(opened.claim(COIN)) == {}


@given(st.binary(max_size=120))
def test_anything_else_shows_no_witnesses(data: bytes) -> None:
    head = Builder().uint(channel.OP_CLAIM_LOCKED, 32).raw(bytes(64)).coins(5)
    junk = Builder().raw(data).end()
    assert channel.read_witnesses(encode_boc(head.ref(junk).ref(junk).end())) == {}
    assert channel.read_witnesses(data) == {}


def test_locks_are_laid_out_as_the_contract_reads_them() -> None:
    reader = locks_cell([key_lock(1, amount=300)]).parse()
    assert (reader.uint(1), reader.raw(32)) == (1, public_key(secret(1)))
    assert (reader.coins(), reader.uint(32)) == (300, NOW_UNIX_S + WITHIN_S)
    reader.end()
