"""The channel contract played by two hostile parties and a careless public, and judged.

`ChannelModel` holds one channel on an embedded chain and knows what the page on the channel
promises. Its actions are everything that anyone can do: sign honestly or not, send what was
signed late, twice or never, attach money or not, wait for years, deploy again. After each
action it checks the promises; `ModelBroken` says which one fell.

What is drawn comes from a `Choice`: Hypothesis in the tests, a seed in `contracts.check`.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final, Protocol, TypeVar

import msgspec

from contracts import channel, voucher
from contracts.cells import (
    CELL_BITS_MAX,
    CELL_REFS_MAX,
    Builder,
    Cell,
    decode_boc,
    encode_boc,
)
from contracts.channel import RESERVE_NANOTON, ChannelState
from contracts.embedded import EmbeddedChain
from contracts.emulator import Emulator
from contracts.errors import MessageRejected
from contracts.locks import (
    HashLock,
    KeyLock,
    KeyPayment,
    Lock,
    Preimage,
    Witness,
    fits,
    lock_id,
    sign_key_payment,
)
from contracts.rehearsal import (
    CHALLENGE_S,
    COIN,
    PAYEE,
    PAYEE_SEED,
    PAYER,
    PAYER_SEED,
    Rehearsal,
    public_key,
    rehearsal_params,
)
from contracts.units import NanoTon

T = TypeVar("T")

OPEN_WITHIN_S: Final = 400 * 86_400
_START_UNIX_S: Final = 1_780_000_000
_SAFE_NANOTON: Final = 150_000_000
"""A good claim over this much, from a channel that has it, must be accepted."""

_IMPORT_NANOTON: Final = 6_000_000
"""More than the import of any message here."""

_CLAIM_FEE_NANOTON: Final = 15_000_000
"""More than the fees of any claim here."""

_FEE_NANOTON: Final = NanoTon(300_000_000)
_WAITS_S: Final = (1, 60, 600, CHALLENGE_S, 86_400, 200 * 86_400)
_HISTORY_MAX: Final = 64
_BYTE_BITS: Final = 8


class ModelBroken(Exception):
    """A promise of the contract does not hold."""


class Choice(Protocol):
    """Where the model's decisions come from."""

    def integer(self, low: int, high: int) -> int:
        """Return a number, both ends included."""

    def pick(self, options: Sequence[T]) -> T:
        """Return one of *options*, which are not empty."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was made once and may be sent at any time, by anyone, any number of times.

    Attributes:
        kind: "claim", "close", "start" or "finish" when all its signatures are good;
            "release" for a close that only the payee has signed; "" for what must be refused.
        total, locks, witnesses: of a claim or a close.
        opened_lt: the opening it was signed for.
    """

    body: bytes
    kind: str = ""
    total: int = 0
    locks: tuple[Lock, ...] = ()
    witnesses: tuple[Witness | None, ...] = ()
    opened_lt: int = 0


class ChannelModel:
    """One channel and its history.

    Args:
        emulator: may be shared.
    """

    def __init__(self, emulator: Emulator) -> None:
        self.chain = EmbeddedChain(emulator, unix_s=_START_UNIX_S, history_per_account=4)
        params = rehearsal_params(self.chain.now_unix_s)
        open_by = self.chain.now_unix_s + OPEN_WITHIN_S
        self.rig = Rehearsal(self.chain, msgspec.structs.replace(params, open_by_unix_s=open_by))
        self.messages: list[Message] = []
        self.shown: dict[bytes, int] = {}
        self.opened_lt = 0

    @property
    def alive(self) -> bool:
        """Whether the contract exists."""
        return self.chain.account(self.rig.address).status == "active"

    @property
    def open(self) -> bool:
        """Whether it exists and is open."""
        return self.alive and self.rig.state.opened_lt > 0

    # What anyone can do.

    def deploy(self, choice: Choice) -> None:
        """Open, or try to."""
        self.rig.open(1 + amount(choice))

    def top_up(self, choice: Choice) -> None:
        """Send money, bounceable or not, to whatever is there."""
        self.rig.internal(1 + amount(choice), bounce=choice.pick((True, False)))

    def wait(self, choice: Choice) -> None:
        """Let time pass, and rent fall due."""
        self.chain.warp(choice.pick(_WAITS_S))

    def sign_voucher(self, choice: Choice) -> None:
        """Sign as the payer."""
        if self.open:
            total = self._total(choice)
            self._keep(Message(kind="claim", body=self.rig.claim(total), total=total))

    def sign_locked_voucher(self, choice: Choice) -> None:
        """Sign as the payer, with locks; the payee may know witnesses, good or wrong."""
        if not self.open:
            return
        total, count = self._total(choice), choice.integer(1, 3)
        first = choice.integer(0, 4)
        locks = tuple(self._lock(choice, first + number) for number in range(count))
        witnesses = tuple(self._witness(choice, lock, first + n) for n, lock in enumerate(locks))
        body = self.rig.claim_locked(total, locks, witnesses)
        signed = Message(kind="claim", body=body, total=total, locks=locks, witnesses=witnesses)
        self._keep(signed)

    def forge(self, choice: Choice) -> None:
        """Sign for the payer with another key, for another network, or another opening."""
        if not self.open:
            return
        total, ref = NanoTon(amount(choice)), self.rig.ref
        refs = (
            ref,
            msgspec.structs.replace(ref, network_id=-239),
            msgspec.structs.replace(ref, opened_lt=ref.opened_lt + 1),
            msgspec.structs.replace(ref, address=PAYEE),
        )
        wrong = choice.pick(refs)
        seed = PAYEE_SEED if wrong == ref else PAYER_SEED
        signature = voucher.sign_voucher(seed, wrong, total)
        self._keep(Message(body=channel.claim_body(total, signature)))

    def agree_to_close(self, choice: Choice) -> None:
        """Sign a release as the payee, for a total that the payer has signed or not."""
        if not self.open:
            return
        total = NanoTon(choice.pick((amount(choice), self.rig.state.paid_nanoton)))
        release = voucher.sign_release(PAYEE_SEED, self.rig.ref, total)
        good = self.rig.voucher(total)
        payer = choice.pick((None, good, self.rig.voucher(total + 1)))
        body = channel.close_body(total, payer, release)
        self._keep(Message(kind="close" if payer == good else "release", body=body, total=total))

    def start_to_close(self, choice: Choice) -> None:
        """Sign StartClose as the payer, or as somebody else."""
        if self.open:
            seed = choice.pick((PAYER_SEED, PAYER_SEED, PAYEE_SEED))
            body = channel.start_close_body(voucher.sign_start_close(seed, self.rig.ref))
            self._keep(Message(kind="start" if seed == PAYER_SEED else "", body=body))

    def spoil(self, choice: Choice) -> None:
        """Change a message that exists: flip a bit, add ballast, cut it off."""
        if not self.messages:
            return
        original = choice.pick(self.messages)
        changed = choice.pick(_spoiled(decode_boc(original.body), choice))
        # The payer's half of a close may be anything when nothing is due.
        released = original.kind in ("close", "release")
        spoiled = Message(kind="release" if released else "", body=encode_boc(changed))
        kept = msgspec.structs.replace(spoiled, total=original.total)
        self.messages = [
            *self.messages,
            msgspec.structs.replace(kept, opened_lt=original.opened_lt),
        ]

    def send(self, choice: Choice) -> None:
        """Deliver a message: for the first time, late, or again."""
        if self.messages:
            self.deliver(choice.pick(self.messages), choice.pick((0, 0, 1 + amount(choice))))

    def send_newest(self, choice: Choice) -> None:
        """Deliver the newest message, by external message."""
        if self.messages:
            self.deliver(self.messages[-1], 0)

    def finish(self, choice: Choice) -> None:
        """Send Finish."""
        self.deliver(
            Message(kind="finish", body=channel.finish_body()), choice.pick((0, 1 + amount(choice)))
        )

    # How it is judged.

    def deliver(self, message: Message, value: int) -> None:
        """Send *message*, as an external one when *value* is 0, and check what it did.

        Raises:
            ModelBroken: what must not happen.
        """
        if self.alive:
            self.rig.internal(1)  # charges the rent until now, so that none is left to charge
        before = self.rig.state if self.alive else None
        had = self.rig.balance(PAYEE)
        accepted = self._send(message.body, value)
        after = self.rig.state if self.alive else None
        got = self.rig.balance(PAYEE) - had
        if before is None or not before.opened_lt:
            return
        if after is None:
            self._judge_end(message, before, got)
            return
        self._judge_claim(message, before, after, got)
        started = after.close_at_unix_s != before.close_at_unix_s
        expect(
            not started or self._good(message, before, "start"), "somebody else started to close"
        )
        if not accepted and _pays_its_way(message, value):
            self._judge_refusal(message, before)

    def check(self) -> None:
        """Check what holds at all times.

        Raises:
            ModelBroken: it does not.
        """
        expect(self.chain.supply() == self.chain.minted_nanoton, "a nanoton was lost or made")
        lt = self.rig.state.opened_lt if self.alive else 0
        if lt != self.opened_lt:
            self.opened_lt, self.shown = lt, {}

    def leave(self) -> None:
        """Let the payer get everything out alone, whatever has happened.

        Raises:
            ModelBroken: there is no exit, or something is left behind.
        """
        if not self.alive:
            return
        if self.open and not self.rig.state.close_at_unix_s:
            expect(self._send(self.rig.start_close(), _FEE_NANOTON), "the payer cannot start")
        before = self.rig.balance(PAYER)
        self.chain.warp(max(CHALLENGE_S, OPEN_WITHIN_S) + 1)
        expect(self._send(channel.finish_body(), _FEE_NANOTON), "the payer cannot finish")
        expect(self.rig.balance(self.rig.address) == 0, "something is left behind")
        expect(self.rig.balance(PAYER) > before, "the payer got nothing")
        self.check()

    def _send(self, body: bytes, value: int) -> bool:
        if value:
            return not self.rig.internal(value, body).aborted
        try:
            record = self.rig.external(body)
        except MessageRejected:
            return False
        expect(not record.aborted, "accepted, and then failed: a way to burn the balance")
        return True

    def _good(self, message: Message, before: ChannelState, kind: str) -> bool:
        return message.kind == kind and message.opened_lt == before.opened_lt

    def _judge_end(self, message: Message, before: ChannelState, got: int) -> None:
        if message.kind == "finish":
            over = 0 < before.close_at_unix_s < self.chain.now_unix_s
            expect(over, "finished before the end of the challenge period")
            return
        due = message.total - before.paid_nanoton
        both = self._good(message, before, "close") and due >= 0
        alone = self._good(message, before, "release") and due == 0
        expect(both or alone, "ended without the consent of both")
        expect(got >= due - _IMPORT_NANOTON, "the payee did not get its share at the end")

    def _judge_refusal(self, message: Message, before: ChannelState) -> None:
        worth = self._worth(message) if self._good(message, before, "claim") else None
        if worth is not None:
            due = message.total + worth - before.paid_nanoton
            there = before.balance_nanoton - RESERVE_NANOTON
            expect(min(due, there) < _SAFE_NANOTON, "a good claim was refused")
        if self._good(message, before, "start") and not before.close_at_unix_s:
            expect(before.balance_nanoton < RESERVE_NANOTON, "the payer's exit was refused")

    def _judge_claim(
        self, message: Message, before: ChannelState, after: ChannelState, got: int
    ) -> None:
        grown = after.paid_nanoton - before.paid_nanoton
        lost = before.balance_nanoton - after.balance_nanoton
        worth = self._worth(message) if self._good(message, before, "claim") else None
        if not grown:
            expect(got == 0, "the payee got what was not counted")
            return
        expect(worth is not None, "an invalid claim was paid")
        due = message.total + (worth or 0) - before.paid_nanoton
        there = before.balance_nanoton - RESERVE_NANOTON
        self._remember(message)
        expect(after.settled_nanoton == self.shown, "the channel forgot what a lock has shown")
        exact = grown == due <= there
        rest = there - _IMPORT_NANOTON <= grown <= min(there, due)  # its own import is gone
        expect(exact or rest, "a claim paid more or less than what was due")
        expect(lost <= grown, "a claim took more from the channel than it paid")
        least = max(0, grown - _CLAIM_FEE_NANOTON)
        expect(got > least, "the payee did not get what was counted")

    def _worth(self, message: Message) -> int | None:
        """Return what the locks are worth now; None when the contract must refuse the claim."""
        worth = 0
        for lock, shown in zip(message.locks, message.witnesses, strict=True):
            recorded = self.shown.get(lock_id(lock), 0)
            if shown is not None:
                opened = self._shown(lock, shown)
                if opened is None or self.chain.now_unix_s > lock.deadline_unix_s:
                    return None
                recorded = max(recorded, opened)
            worth += min(recorded, lock.amount_nanoton)
        return worth

    def _shown(self, lock: Lock, witness: Witness) -> int | None:
        """Return what a witness shows, without the lock's own limit; None: it does not fit."""
        if not fits(lock, witness, self.chain.network_id):
            return None
        return witness.amount_nanoton if isinstance(witness, KeyPayment) else lock.amount_nanoton

    def _remember(self, message: Message) -> None:
        for lock, shown in zip(message.locks, message.witnesses, strict=True):
            opened = self._shown(lock, shown) if shown is not None else None
            if opened is not None:
                key = lock_id(lock)
                self.shown[key] = max(opened, self.shown.get(key, 0))

    def _total(self, choice: Choice) -> int:
        """Draw a total: any, or a little more than what was paid, or far more than there is."""
        state = self.rig.state
        some = amount(choice)
        return choice.pick((some, state.paid_nanoton + some, state.balance_nanoton + some))

    def _keep(self, message: Message) -> None:
        lt = self.rig.state.opened_lt
        kept = msgspec.structs.replace(message, opened_lt=lt)
        self.messages = [*self.messages[-_HISTORY_MAX:], kept]

    def _lock(self, choice: Choice, number: int) -> Lock:
        deadline = self.chain.now_unix_s + choice.pick((0, 60, 700, 2 * CHALLENGE_S))
        worth = NanoTon(1 + amount(choice))
        if number % 2:
            key = public_key(_secret(number))
            return KeyLock(key=key, amount_nanoton=worth, deadline_unix_s=deadline)
        digest = sha256(_secret(number)).digest()
        return HashLock(digest=digest, amount_nanoton=worth, deadline_unix_s=deadline)

    def _witness(self, choice: Choice, lock: Lock, number: int) -> Witness | None:
        kind = choice.integer(0, 5)
        if kind < 2:
            return None
        secret = _secret(number if kind < 5 else number + 10)
        if isinstance(lock, HashLock):
            return Preimage(secret)
        return sign_key_payment(secret, self.chain.network_id, NanoTon(amount(choice)))


Action = Callable[[ChannelModel, Choice], None]

ACTIONS: Final[dict[str, Action]] = {
    "deploy": ChannelModel.deploy,
    "top_up": ChannelModel.top_up,
    "wait": ChannelModel.wait,
    "sign_voucher": ChannelModel.sign_voucher,
    "sign_locked_voucher": ChannelModel.sign_locked_voucher,
    "forge": ChannelModel.forge,
    "agree_to_close": ChannelModel.agree_to_close,
    "start_to_close": ChannelModel.start_to_close,
    "spoil": ChannelModel.spoil,
    "send": ChannelModel.send,
    "send_newest": ChannelModel.send_newest,
    "finish": ChannelModel.finish,
}
"""Everything that can happen, by name."""


WEIGHTS: Final = {"sign_voucher": 2, "sign_locked_voucher": 4, "send": 4, "send_newest": 8}
"""How often an action is taken by those who draw at random, when not once."""


def amount(choice: Choice) -> int:
    """Draw nanotons: dust, about the size of the fees, or coins."""
    return choice.integer(0, choice.pick((10, 50_000_000, 3 * COIN)))


def expect(holds: bool, promise: str) -> None:
    """Check a promise.

    Raises:
        ModelBroken: it does not hold.
    """
    if not holds:
        raise ModelBroken(promise)


def _pays_its_way(message: Message, value: int) -> bool:
    """Tell whether the gas before the acceptance is there: the credit, or what is attached."""
    witnesses = sum(shown is not None for shown in message.witnesses)
    if value:
        return value >= channel.locked_claim_fee(len(message.locks))
    return witnesses < channel.EXTERNAL_LOCKS_MAX


def _spoiled(cell: Cell, choice: Choice) -> list[Cell]:
    """Return what can be made of a cell that was spoiled before, maybe often."""
    size = cell.size_bits
    found = [Builder().end()]
    if size:
        found.append(Cell(cell.bits ^ (1 << choice.integer(0, size - 1)), size, cell.refs))
    if size >= _BYTE_BITS:
        found.append(Cell(cell.bits >> _BYTE_BITS, size - _BYTE_BITS, cell.refs))
    if size < CELL_BITS_MAX:
        found.append(Builder().inline(cell).uint(0, 1).end())
    if len(cell.refs) < CELL_REFS_MAX:
        found.append(Builder().inline(cell).ref(cell).end())
    return found


def _secret(number: int) -> bytes:
    return sha256(number.to_bytes(4, "big")).digest()
