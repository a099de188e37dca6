"""The jetton channel against a plain TEP-74 jetton, on the real TVM."""

from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path
from random import Random

import msgspec
import pytest
from nacl.signing import SigningKey

from contracts import channel, compiler, jetton, tlb, voucher
from contracts.cells import EMPTY, Builder, Cell, decode_boc, encode_boc, join_address
from contracts.chain import TransactionRecord
from contracts.embedded import EmbeddedChain
from contracts.errors import InvalidData, LocalContractError, MessageRejected
from contracts.jetton import NOTIFICATION_NANOTON, OPEN_VALUE_NANOTON, TRANSFER_VALUE_NANOTON
from contracts.locks import LOCKS_MAX, HashLock, KeyLock, LockedVoucher, Preimage, sign_key_payment
from contracts.rehearsal import (
    CHALLENGE_S,
    COIN,
    PAYEE,
    PAYEE_SEED,
    PAYER,
    PAYER_SEED,
    STRANGER,
    public_key,
)
from contracts.units import NanoTon
from contracts.voucher import TAG_LOCKED

USD = 1_000_000  # the unit of a jetton with six decimals
PAYER_SIGNATURE, TOO_SMALL, ALREADY_OPEN, TOO_LATE, TOO_EARLY, UNDERFUNDED = 51, 54, 58, 59, 57, 60
JETTONS = Path(__file__).with_name("tolk")
ADMIN = join_address(0, b"\xad" * 32)


@cache
def compiled(name: str) -> Cell:
    return decode_boc(compiler.compile_tolk(name, JETTONS))


def init_of(code: Cell, data: Cell) -> Cell:
    return Builder().uint(0b00110, 5).ref(code).ref(data).end()


class Jetton:
    """A minter, and the wallets of its jetton."""

    def __init__(self, chain: EmbeddedChain, supply: int = 0) -> None:
        self.chain = chain
        self.code = compiled("jetton_wallet.tolk")
        data = Builder().coins(supply).address(ADMIN).ref(self.code).end()
        self.init = init_of(compiled("jetton_minter.tolk"), data)
        self.minter = join_address(0, self.init.hash)

    def mint(self, owner: str, amount: int) -> None:
        body = Builder().uint(21, 32).uint(0, 64).address(owner).coins(amount).end()
        send(self.chain, ADMIN, self.minter, COIN, encode_boc(body), self.init)

    def wallet_of(self, owner: str) -> str:
        method, arguments = jetton.wallet_question(owner)
        answer = self.chain.run_get_method(self.minter, method, arguments)
        return jetton.read_wallet_answer(answer.stack)

    def balance(self, owner: str) -> int:
        info = self.chain.account_info(self.wallet_of(owner))
        return info.data.parse().coins() if info.data else 0

    def transfer(
        self, owner: str, to: str, amount: int, forward: int = NOTIFICATION_NANOTON
    ) -> None:
        body = jetton.transfer_body(amount, to, owner, NanoTon(forward))
        send(self.chain, owner, self.wallet_of(owner), 2 * TRANSFER_VALUE_NANOTON, body)


def send(
    chain: EmbeddedChain,
    source: str,
    to: str,
    value: int,
    body: bytes,
    init: Cell | None = None,
    *,
    bounce: bool = True,
) -> TransactionRecord:
    """Send from *source*; return what it did to *to*."""
    message = tlb.internal_message(
        source,
        to,
        value,
        body=decode_boc(body) if body else EMPTY,
        init=init,
        bounce=bounce,
        created_lt=0,
        created_unix_s=chain.now_unix_s,
    )
    before = chain.account(to).last_transaction_lt
    chain.send_internal(encode_boc(message))
    return chain.transactions(to, since_lt=before)[0]


class Rig:
    """A jetton channel between the two known keys."""

    def __init__(self, chain: EmbeddedChain) -> None:
        self.chain = chain
        self.usd = Jetton(chain)
        self.usd.mint(PAYER, 1000 * USD)
        self.params = jetton.JettonParams(
            payer_key=public_key(PAYER_SEED),
            payer_address=PAYER,
            payee_key=public_key(PAYEE_SEED),
            payee_address=PAYEE,
            minter_address=self.usd.minter,
            challenge_s=CHALLENGE_S,
            open_by_unix_s=chain.now_unix_s + 600,
            salt=1,
        )
        self.address = jetton.jetton_channel_address(self.params)

    @property
    def state(self) -> jetton.JettonChannelState:
        return jetton.parse_jetton_channel(self.chain.account(self.address))

    @property
    def ref(self) -> voucher.ChannelRef:
        return self.state.ref(self.chain.network_id)

    def open(self, source: str = PAYER, value: int = 2 * OPEN_VALUE_NANOTON) -> TransactionRecord:
        body = jetton.jetton_open_body(self.usd.wallet_of(self.address))
        init = decode_boc(jetton.jetton_state_init(self.params))
        return send(self.chain, source, self.address, value, body, init)

    def deposit(self, amount: int) -> None:
        self.usd.transfer(PAYER, self.address, amount)

    def send(
        self, body: bytes, value: int = TRANSFER_VALUE_NANOTON, *, bounce: bool = True
    ) -> TransactionRecord:
        return send(self.chain, STRANGER, self.address, value, body, bounce=bounce)

    def claim(self, total: int) -> bytes:
        amount = NanoTon(total)
        return channel.claim_body(amount, voucher.sign_voucher(PAYER_SEED, self.ref, amount))

    def locked_claim(self, total: int, secrets: list[bytes]) -> bytes:
        """A claim that opens a key-lock over nothing for each of the *secrets*."""
        deadline = self.chain.now_unix_s + 2 * CHALLENGE_S
        locks = tuple(
            KeyLock(key=public_key(each), amount_nanoton=NanoTon(1), deadline_unix_s=deadline)
            for each in secrets
        )
        witnesses = [sign_key_payment(each, self.chain.network_id, NanoTon(0)) for each in secrets]
        amount = NanoTon(total)
        signature = voucher.sign_locked_voucher(PAYER_SEED, self.ref, amount, locks)
        held = LockedVoucher(total_nanoton=amount, locks=locks, signature=signature)
        return channel.locked_claim_body(held, witnesses)

    def many_locks(self, total: int, count: int) -> bytes:
        """A good claim with any number of locks, as no client of ours would make it."""
        locks = witnesses = None
        for number in range(count):
            lock = Builder().uint(0, 1).uint(number, 256).coins(0).uint(0, 32)
            witness = Builder().uint(0, 1)
            if locks is not None and witnesses is not None:
                lock, witness = lock.ref(locks), witness.ref(witnesses)
            locks, witnesses = lock.end(), witness.end()
        assert locks is not None
        assert witnesses is not None
        fields = Builder().coins(total).ref(locks).end()
        ref = self.ref
        domain = Builder().sint(ref.network_id, 32).address(ref.address).uint(ref.opened_lt, 64)
        signed = Builder().raw(domain.end().hash).uint(TAG_LOCKED, 24).inline(fields).end()
        signature = bytes(SigningKey(PAYER_SEED).sign(signed.hash).signature)
        body = Builder().uint(channel.OP_CLAIM_LOCKED, 32).raw(signature).coins(total)
        return encode_boc(body.ref(witnesses).ref(locks).end())

    def check_books(self) -> None:
        """What the books say is there is there, and what they say was paid was received."""
        state = self.state
        assert self.usd.balance(self.address) == state.balance_units
        assert self.usd.balance(PAYEE) == state.paid_units

    def start_close(self) -> bytes:
        return channel.start_close_body(voucher.sign_start_close(PAYER_SEED, self.ref))

    def close_body(self, total: int) -> bytes:
        amount = NanoTon(total)
        signed = voucher.sign_voucher(PAYER_SEED, self.ref, amount)
        release = voucher.sign_release(PAYEE_SEED, self.ref, amount)
        return channel.close_body(amount, signed, release)

    def close(self, total: int, value: int = 2 * TRANSFER_VALUE_NANOTON) -> TransactionRecord:
        return self.send(self.close_body(total), value)

    def jettons(self) -> int:
        return sum(self.usd.balance(owner) for owner in (PAYER, PAYEE, self.address, STRANGER))


@pytest.fixture
def rig(chain: EmbeddedChain, require_asset: Callable[[str], None]) -> Rig:
    require_asset(compiler.ASSET)
    return Rig(chain)


@pytest.fixture
def opened(rig: Rig) -> Rig:
    assert rig.open().exit_code == 0
    rig.deposit(100 * USD)
    return rig


def test_a_deposit_is_counted_when_the_channels_own_wallet_tells_of_it(opened: Rig) -> None:
    state = opened.state
    assert state.wallet_address == opened.usd.wallet_of(opened.address)
    assert (state.balance_units, state.paid_units) == (100 * USD, 0)
    assert opened.usd.balance(opened.address) == 100 * USD
    opened.deposit(5 * USD)
    assert opened.state.balance_units == 105 * USD


def test_a_claim_pays_the_payee_in_jettons_and_returns_the_coins(opened: Rig) -> None:
    had, coins = opened.chain.account(STRANGER).balance_nanoton, opened.state.balance_nanoton
    assert opened.send(opened.claim(30 * USD)).exit_code == 0
    assert opened.usd.balance(PAYEE) == 30 * USD
    assert (opened.state.paid_units, opened.state.balance_units) == (30 * USD, 70 * USD)
    assert opened.chain.account(STRANGER).balance_nanoton > had + TRANSFER_VALUE_NANOTON // 3
    assert opened.state.balance_nanoton >= coins
    assert opened.jettons() == 1000 * USD


def test_an_under_funded_claim_pays_what_is_there_and_the_rest_after_a_top_up(opened: Rig) -> None:
    body = opened.claim(150 * USD)
    opened.send(body)
    assert opened.usd.balance(PAYEE) == 100 * USD
    assert opened.send(body).exit_code == TOO_SMALL
    opened.deposit(80 * USD)
    opened.send(body)
    assert opened.usd.balance(PAYEE) == 150 * USD
    assert opened.state.balance_units == 30 * USD


def test_locks_work_as_with_coins(opened: Rig) -> None:
    secret = b"\x05" * 32
    lock = HashLock(
        digest=sha256(secret).digest(),
        amount_nanoton=NanoTon(7 * USD),
        deadline_unix_s=opened.chain.now_unix_s + 60,
    )
    total = NanoTon(10 * USD)
    signature = voucher.sign_locked_voucher(PAYER_SEED, opened.ref, total, [lock])
    held = LockedVoucher(total_nanoton=total, locks=(lock,), signature=signature)
    body = channel.locked_claim_body(held, [Preimage(secret)])
    assert opened.send(body, 2 * TRANSFER_VALUE_NANOTON - 1).exit_code == UNDERFUNDED
    opened.send(body, 2 * TRANSFER_VALUE_NANOTON)
    assert opened.usd.balance(PAYEE) == 17 * USD
    assert opened.state.settled_units == {lock.digest: 7 * USD}


def test_a_forged_notification_is_not_counted(opened: Rig) -> None:
    """Nor does it move a jetton: what answers it spends its own coins only."""
    note = Builder().uint(0x7362D09C, 32).uint(0, 64).coins(500 * USD).address(STRANGER).uint(0, 1)
    coins = opened.state.balance_nanoton
    record = send(opened.chain, STRANGER, opened.address, COIN, encode_boc(note.end()))
    assert record.exit_code == 0
    assert opened.state.balance_units == 100 * USD
    assert opened.usd.balance(opened.address) == 100 * USD
    assert opened.state.balance_nanoton >= coins - 1_000_000


def test_another_jetton_is_sent_back(opened: Rig) -> None:
    other = Jetton(opened.chain, supply=1)  # another first state, so another minter
    other.mint(STRANGER, 50)
    other.transfer(STRANGER, opened.address, 50, forward=TRANSFER_VALUE_NANOTON)
    assert opened.state.balance_units == 100 * USD
    assert other.balance(STRANGER) == 50
    assert other.balance(opened.address) == 0


def test_jettons_that_came_without_a_notification_are_recovered_at_the_end(opened: Rig) -> None:
    opened.usd.transfer(PAYER, opened.address, 3 * USD, forward=0)
    assert opened.state.balance_units == 100 * USD
    recover = jetton.recover_body(opened.state.wallet_address, 3 * USD)
    value = TRANSFER_VALUE_NANOTON
    assert send(opened.chain, PAYER, opened.address, value, recover).exit_code == TOO_EARLY
    opened.close(40 * USD)
    opened.chain.warp(CHALLENGE_S + 1)
    assert opened.send(recover).exit_code == PAYER_SIGNATURE
    assert send(opened.chain, PAYER, opened.address, value, recover).exit_code == 0
    assert opened.usd.balance(PAYER) == 960 * USD
    assert opened.usd.balance(opened.address) == 0


def test_a_transfer_that_the_wallet_refuses_comes_back_into_the_books(opened: Rig) -> None:
    """Its wallet holds less than the books say (say, an issuer has seized some)."""
    bounced = Builder().uint(0xFFFFFFFF, 32).uint(0x0F8A7EA5, 32).uint(1, 64).coins(30 * USD).end()
    opened.send(opened.claim(30 * USD))
    for source, restored in ((STRANGER, False), (opened.state.wallet_address, True)):
        message = tlb.internal_message(
            source,
            opened.address,
            COIN // 100,
            body=bounced,
            bounce=False,
            created_lt=0,
            created_unix_s=0,
        )
        size = message.size_bits
        bits = (0b0101 << (size - 4)) | (message.bits & ((1 << (size - 4)) - 1))
        opened.chain.send_internal(encode_boc(Cell(bits, size, message.refs)))
        state = opened.state
        assert (state.paid_units, state.balance_units) == (
            (0, 100 * USD) if restored else (30 * USD, 70 * USD)
        )


def test_a_wallet_that_refuses_for_real_leaves_the_claim_good(opened: Rig) -> None:
    """The books say more than the wallet holds, so it throws and the message bounces."""
    wallet = opened.state.wallet_address
    note = Builder().uint(0x7362D09C, 32).uint(0, 64).coins(900 * USD).address(PAYER).uint(0, 1)
    send(opened.chain, wallet, opened.address, COIN, encode_boc(note.end()))
    assert opened.state.balance_units == 1000 * USD
    opened.send(opened.claim(500 * USD))
    assert (opened.state.paid_units, opened.state.balance_units) == (0, 1000 * USD)
    opened.send(opened.claim(60 * USD))
    assert opened.usd.balance(PAYEE) == 60 * USD


@pytest.mark.parametrize("value", [1, 1_000_000, 20_000_000, TRANSFER_VALUE_NANOTON - 1])
def test_too_few_coins_for_the_transfer_change_nothing(opened: Rig, value: int) -> None:
    before = opened.state
    record = opened.send(opened.claim(30 * USD), value)
    assert record.aborted
    after = opened.state
    assert msgspec.structs.replace(after, balance_nanoton=before.balance_nanoton) == before
    assert opened.usd.balance(PAYEE) == 0
    assert opened.close(30 * USD, value=2 * TRANSFER_VALUE_NANOTON - 1).exit_code == UNDERFUNDED


@pytest.mark.parametrize("count", [LOCKS_MAX, LOCKS_MAX + 1, 84, 168])
@pytest.mark.parametrize("transfers", [1, 2])
def test_what_a_claim_counts_as_paid_was_paid_whatever_gas_it_takes(
    opened: Rig, count: int, transfers: int
) -> None:
    """The payer signs the locks, and could send such a claim itself.

    With 168 of them and one transfer's coins the wallet once got too few to refuse properly: all
    was counted as paid, nobody had it, and the payer fetched it by Recover.
    """
    opened.send(opened.many_locks(100 * USD, count), transfers * TRANSFER_VALUE_NANOTON)
    opened.check_books()
    paid = count <= LOCKS_MAX and transfers == 2
    assert opened.state.paid_units == (100 * USD if paid else 0)


def test_a_claim_of_the_most_locks_is_paid_and_leaves_their_rent(opened: Rig) -> None:
    secrets = [bytes((n + 1,)) * 32 for n in range(LOCKS_MAX)]
    coins = opened.state.balance_nanoton
    body = opened.locked_claim(30 * USD, secrets)
    assert opened.send(body, 2 * TRANSFER_VALUE_NANOTON).exit_code == 0
    opened.check_books()
    assert len(opened.state.settled_units) == LOCKS_MAX
    assert opened.state.paid_units == 30 * USD
    assert opened.state.balance_nanoton >= coins + 19_000_000


def test_rent_that_is_due_is_no_part_of_what_a_claim_brings(opened: Rig) -> None:
    """After years the channel's coins are gone; a message that must not bounce pays its debt."""
    opened.chain.warp(12 * 365 * 86_400)
    body = opened.claim(30 * USD)
    assert opened.send(body, bounce=False).exit_code == UNDERFUNDED
    assert opened.send(body, 3 * TRANSFER_VALUE_NANOTON, bounce=False).exit_code == 0
    opened.check_books()
    assert opened.state.paid_units == 30 * USD


def test_a_channel_that_a_claim_has_emptied_outlives_the_transfer(opened: Rig) -> None:
    """Deleted at once, it would not be there when the wallet's refusal comes back."""
    opened.send(opened.start_close())
    opened.chain.warp(CHALLENGE_S)
    opened.send(opened.claim(100 * USD))
    opened.chain.warp(CHALLENGE_S)
    assert opened.send(channel.finish_body()).exit_code == TOO_EARLY
    opened.chain.warp(1)
    opened.send(channel.finish_body())
    assert opened.chain.account(opened.address).status == "nonexist"


def test_what_a_wallet_refuses_while_the_payer_leaves_can_be_claimed_again(opened: Rig) -> None:
    wallet = opened.state.wallet_address
    note = Builder().uint(0x7362D09C, 32).uint(0, 64).coins(900 * USD).address(PAYER).uint(0, 1)
    send(opened.chain, wallet, opened.address, COIN, encode_boc(note.end()))
    opened.send(opened.start_close())
    opened.chain.warp(CHALLENGE_S)
    opened.send(opened.claim(500 * USD))
    opened.chain.warp(1)
    assert opened.send(channel.finish_body()).exit_code == TOO_EARLY
    opened.send(opened.claim(60 * USD))
    assert opened.usd.balance(PAYEE) == 60 * USD


def test_an_address_is_opened_once(rig: Rig) -> None:
    """Else Recover, and a notification that comes late, would fill the books of a second life."""
    late = msgspec.structs.replace(
        rig.params, open_by_unix_s=rig.chain.now_unix_s + CHALLENGE_S, salt=2
    )
    rig.params, rig.address = late, jetton.jetton_channel_address(late)
    assert rig.open().exit_code == TOO_EARLY
    rig.chain.warp(1)
    assert rig.open().exit_code == 0
    rig.send(rig.start_close())
    rig.chain.warp(CHALLENGE_S + 1)
    rig.send(channel.finish_body())
    assert rig.chain.account(rig.address).status == "nonexist"
    assert rig.open().exit_code == TOO_LATE


@pytest.mark.parametrize("total", [0, 40 * USD, 100 * USD])
def test_closing_returns_what_the_transfers_leave_over(opened: Rig, total: int) -> None:
    had, coins = opened.chain.account(STRANGER).balance_nanoton, opened.state.balance_nanoton
    assert opened.close(total, value=COIN).exit_code == 0
    opened.check_books()
    assert opened.chain.account(STRANGER).balance_nanoton > had + COIN - 2 * TRANSFER_VALUE_NANOTON
    assert opened.state.balance_nanoton == pytest.approx(coins, abs=100_000)


def test_no_external_message_is_accepted(opened: Rig) -> None:
    for body in (opened.claim(USD), opened.start_close(), channel.finish_body()):
        with pytest.raises(MessageRejected):
            opened.chain.send_external(channel.external_message(opened.address, body))


def test_vouchers_of_others_are_refused(opened: Rig) -> None:
    total = NanoTon(USD)
    refs = (
        msgspec.structs.replace(opened.ref, network_id=-239),
        msgspec.structs.replace(opened.ref, address=PAYEE),
        msgspec.structs.replace(opened.ref, opened_lt=opened.ref.opened_lt + 1),
    )
    for ref in refs:
        body = channel.claim_body(total, voucher.sign_voucher(PAYER_SEED, ref, total))
        assert opened.send(body).exit_code == PAYER_SIGNATURE
    forged = channel.claim_body(total, voucher.sign_voucher(PAYEE_SEED, opened.ref, total))
    assert opened.send(forged).exit_code == PAYER_SIGNATURE


def test_closing_together_pays_both_and_later_the_account_goes(opened: Rig) -> None:
    assert opened.close(40 * USD).exit_code == 0
    assert opened.usd.balance(PAYEE) == 40 * USD
    assert opened.usd.balance(PAYER) == 960 * USD
    assert opened.send(channel.finish_body()).exit_code == TOO_EARLY
    opened.chain.warp(CHALLENGE_S + 1)
    had = opened.chain.account(PAYER).balance_nanoton
    opened.send(channel.finish_body())
    assert opened.chain.account(opened.address).status == "nonexist"
    assert opened.chain.account(PAYER).balance_nanoton > had + OPEN_VALUE_NANOTON
    assert opened.chain.supply() == opened.chain.minted_nanoton


def test_a_release_sent_again_does_not_put_off_the_end(opened: Rig) -> None:
    opened.close(40 * USD)
    end = opened.state.close_at_unix_s
    opened.chain.warp(CHALLENGE_S // 2)
    opened.close(40 * USD)
    assert opened.state.close_at_unix_s == end


def test_the_payer_leaves_alone_in_two_steps(opened: Rig) -> None:
    assert opened.send(channel.finish_body()).exit_code == TOO_EARLY
    opened.send(opened.start_close())
    opened.send(opened.claim(10 * USD))
    opened.chain.warp(CHALLENGE_S + 1)
    opened.send(channel.finish_body())
    assert opened.usd.balance(PAYER) == 990 * USD
    assert opened.send(channel.finish_body()).exit_code == TOO_EARLY
    opened.deposit(USD)  # late, and not lost
    opened.chain.warp(CHALLENGE_S + 1)
    opened.send(channel.finish_body())
    opened.chain.warp(CHALLENGE_S + 1)
    opened.send(channel.finish_body())
    assert opened.usd.balance(PAYER) == 990 * USD
    assert opened.chain.account(opened.address).status == "nonexist"


def test_only_the_payer_opens_in_time_and_once(rig: Rig) -> None:
    assert rig.open(source=STRANGER).exit_code == PAYER_SIGNATURE
    assert rig.open(value=OPEN_VALUE_NANOTON - 1).exit_code == UNDERFUNDED
    here = rig.chain.snapshot()
    rig.chain.warp(601)
    assert rig.open().exit_code == TOO_LATE
    rig.chain.restore(here)
    assert rig.open().exit_code == 0
    assert rig.open().exit_code == ALREADY_OPEN


def test_a_deposit_before_the_opening_is_sent_back(rig: Rig) -> None:
    init = decode_boc(jetton.jetton_state_init(rig.params))
    send(rig.chain, STRANGER, rig.address, COIN, b"", init)
    rig.usd.transfer(PAYER, rig.address, 5 * USD, forward=TRANSFER_VALUE_NANOTON)
    assert rig.usd.balance(PAYER) == 1000 * USD


def test_the_state_is_believed_only_when_the_address_commits_to_it(opened: Rig) -> None:
    account = opened.chain.account(opened.address)
    for changes in ({"code_hash": bytes(32)}, {"data": None}, {"address": PAYER}):
        with pytest.raises(InvalidData):
            jetton.parse_jetton_channel(msgspec.structs.replace(account, **changes))
    assert opened.state.params == opened.params


def test_impossible_terms_are_our_mistake(rig: Rig) -> None:
    for wrong in ({"challenge_s": 0}, {"payer_key": b""}, {"minter_address": "-1:" + "00" * 32}):
        with pytest.raises(LocalContractError):
            jetton.jetton_channel_address(msgspec.structs.replace(rig.params, **wrong))


def test_an_answer_that_is_no_address_is_refused() -> None:
    with pytest.raises(InvalidData):
        jetton.read_wallet_answer(Builder().uint(0, 24).end())


VALUES = (
    1,
    20_000_000,
    TRANSFER_VALUE_NANOTON,
    TRANSFER_VALUE_NANOTON,
    2 * TRANSFER_VALUE_NANOTON,
    COIN,
)
WAITS = (1, 600, CHALLENGE_S, CHALLENGE_S + 1, 86_400)


class Game:
    """Both sides, and strangers, at their worst: everything that is signed may be sent any time."""

    def __init__(self, rig: Rig, seed: int) -> None:
        self.rig, self.random = rig, Random(seed)  # noqa: S311 - a game
        self.kept = [rig.start_close(), channel.finish_body()]

    def step(self) -> None:
        self.random.choice((self.sign, self.sign, self.close, self.deposit, self.wait,
                            self.recover, self.send, self.send, self.send))()  # fmt: skip

    def amount(self) -> int:
        return self.random.choice((1, self.random.randrange(1, 150 * USD), 100 * USD))

    def sign(self) -> None:
        """A voucher: plain, with locks that it opens, or with any number that cost gas only."""
        total, count = self.amount(), self.random.randrange(4)
        body = self.rig.claim(total)
        if count == 3:
            body = self.rig.many_locks(total, self.random.choice((16, 17, 80, 84, 166, 168, 170)))
        elif count:
            body = self.rig.locked_claim(total, [bytes([n + 1]) * 32 for n in range(count)])
        self.kept.append(body)

    def close(self) -> None:
        self.kept.append(self.rig.close_body(self.amount()))

    def deposit(self) -> None:
        self.rig.usd.transfer(
            PAYER, self.rig.address, self.amount(), self.random.choice((0, NOTIFICATION_NANOTON))
        )

    def wait(self) -> None:
        self.rig.chain.warp(self.random.choice(WAITS))

    def recover(self) -> None:
        body = jetton.recover_body(self.rig.usd.wallet_of(self.rig.address), self.amount())
        send(self.rig.chain, PAYER, self.rig.address, self.random.choice(VALUES), body)

    def send(self) -> None:
        body = self.random.choice((self.kept[-1], self.random.choice(self.kept)))
        value = self.random.choice(VALUES)
        source = self.random.choice((PAYER, PAYEE, STRANGER))
        bounce = self.random.choice((True, True, False))
        send(self.rig.chain, source, self.rig.address, value, body, bounce=bounce)


@pytest.mark.parametrize("seed", range(24))
def test_whatever_comes_the_books_are_covered_and_what_they_call_paid_was_received(
    opened: Rig, seed: int
) -> None:
    game = Game(opened, seed)
    coins = opened.state.balance_nanoton
    for _ in range(16):
        game.step()
        if opened.chain.account(opened.address).status != "active":
            break
        state = opened.state
        assert opened.usd.balance(opened.address) >= state.balance_units
        assert opened.usd.balance(PAYEE) == state.paid_units
        assert opened.jettons() == 1000 * USD
        assert state.balance_nanoton >= coins - 1_000_000, "others spend the channel's coins"
    assert opened.chain.supply() == opened.chain.minted_nanoton
