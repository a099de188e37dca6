"""Locks: what a voucher pays only under a condition, and only until a deadline.

A locked voucher grants its plain total, and beyond it what each of its locks is worth:

- a `HashLock` pays its amount to whoever shows the preimage of a SHA-256 digest (payment
  for a result: the preimage is the key that the result is encrypted with);
- a `KeyLock` pays what its ephemeral key has signed, up to its amount (a virtual channel:
  a requester with one channel to a hub pays a provider that the hub has a channel with;
  chunk by chunk it signs larger payments, and the hub need not be asked).

The witness (`Preimage`, `KeyPayment`) names no channel, so one witness opens the lock on
every hop. Hence three rules for whoever makes locks:

- a digest or a key is made for one payment and never used again, for anything: whoever
  has seen its witness can show it wherever the same lock stands;
- a hop forwards a lock only with an earlier deadline than the one it holds, and with one
  no later than the challenge period from now, because the payer can close meanwhile;
- and none whose digest or key its channel to the next remembers already (`settled_nanoton`):
  the contract has one memory for both kinds, so a digest that once was a key would pay there
  without a preimage, and the hop would have none to show in turn.

What a channel has been shown once counts in every later claim, also after the deadline.

Sources of the contract: `tolk/locks.tolk`.
"""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Final

import msgspec
from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from contracts.cells import Builder, Cell, Slice
from contracts.errors import InvalidData, LocalContractError
from contracts.units import NO_MONEY, SUPPLY_NANOTON_MAX, NanoTon

LOCKS_MAX: Final = 16
"""Of one voucher. All of them, with their witnesses, fit one internal message."""

DIGEST_BYTES: Final = 32
_KEY_BYTES: Final = 32
_SIGNATURE_BYTES: Final = 64
_UNIX_S_MAX: Final = 2**32 - 1


class HashLock(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="hash"):
    """Pays *amount* for the 32 bytes whose SHA-256 is *digest*, if claimed by the deadline."""

    digest: bytes
    amount_nanoton: NanoTon
    deadline_unix_s: int


class KeyLock(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="key"):
    """Pays what the Ed25519 key *key* has signed, up to *amount*, if claimed by the deadline."""

    key: bytes
    amount_nanoton: NanoTon
    deadline_unix_s: int


Lock = HashLock | KeyLock


class Preimage(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="preimage"):
    """Opens a `HashLock`."""

    preimage: bytes


class KeyPayment(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="payment"):
    """Opens a `KeyLock` for the amount that its key has signed: cumulative, newest counts."""

    amount_nanoton: NanoTon
    signature: bytes


Witness = Preimage | KeyPayment


class LockedVoucher(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a payee holds: *signature* is the payer's, see `contracts.voucher`.

    Attributes:
        total_nanoton: what is earned without a condition, cumulative.
        locks: everything that is open, in the order that was signed.
    """

    total_nanoton: NanoTon
    locks: tuple[Lock, ...]
    signature: bytes


def sign_key_payment(seed: bytes, network_id: int, amount: NanoTon) -> KeyPayment:
    """Sign, with the ephemeral key of a virtual channel, that *amount* is earned so far.

    Args:
        seed: the Ed25519 seed of the lock's key, 32 bytes.
        network_id: the network's global id (signed 32 bits).
        amount: cumulative.

    Raises:
        LocalContractError: the seed has a wrong length, or *amount* is none.
    """
    if len(seed) != _KEY_BYTES:
        raise LocalContractError(f"an Ed25519 seed has {_KEY_BYTES} bytes, not {len(seed)}")
    digest = _key_payment_digest(network_id, amount)
    return KeyPayment(amount, bytes(SigningKey(seed).sign(digest).signature))


def lock_id(lock: Lock) -> bytes:
    """Return the digest or key by which a channel remembers a lock."""
    return lock.digest if isinstance(lock, HashLock) else lock.key


def fits(lock: Lock, witness: Witness | None, network_id: int) -> bool:
    """Tell whether the contract takes *witness* for the lock, before its deadline.

    A payment of nothing that the lock's key has signed fits, and is worth nothing.
    Never raises for what a peer can send.
    """
    if isinstance(lock, HashLock):
        return isinstance(witness, Preimage) and _opens(lock, witness)
    return isinstance(witness, KeyPayment) and _signed(lock, witness, network_id)


def unlocked(lock: Lock, witness: Witness | None, network_id: int) -> NanoTon:
    """Return what *witness* makes the lock worth before its deadline; 0 when it does not fit.

    Never raises for what a peer can send. The deadline is the caller's to compare.
    """
    if not fits(lock, witness, network_id):
        return NO_MONEY
    shown = witness.amount_nanoton if isinstance(witness, KeyPayment) else lock.amount_nanoton
    return min(lock.amount_nanoton, shown)


def is_settled(lock: Lock, witness: Witness | None, settled: Mapping[bytes, NanoTon]) -> bool:
    """Tell whether a channel with these `settled_nanoton` has taken note of *witness*."""
    paid = settled.get(lock_id(lock), NO_MONEY)
    match witness:
        case None:
            return True
        case Preimage():
            return paid >= lock.amount_nanoton
        case KeyPayment(amount):
            return paid >= min(amount, lock.amount_nanoton)


def locked_nanoton(locks: Iterable[Lock]) -> NanoTon:
    """Return the most that all *locks* together can be worth."""
    return NanoTon(sum(lock.amount_nanoton for lock in locks))


def check_locks(locks: Sequence[Lock]) -> None:
    """Check what a channel can not: counts, sizes, and that no lock is there twice.

    Raises:
        InvalidData: something is wrong; the text says what.
    """
    if not 0 < len(locks) <= LOCKS_MAX:
        raise InvalidData(f"a locked voucher has 1 to {LOCKS_MAX} locks, not {len(locks)}")
    if len({lock_id(lock) for lock in locks}) != len(locks):
        raise InvalidData("two locks with one digest or key")
    for lock in locks:
        if len(lock_id(lock)) != DIGEST_BYTES:
            raise InvalidData(f"a digest or key has {DIGEST_BYTES} bytes, not {len(lock_id(lock))}")
        if not 0 < lock.amount_nanoton <= SUPPLY_NANOTON_MAX:
            raise InvalidData(f"a lock over {lock.amount_nanoton} nanotons")
        if not 0 < lock.deadline_unix_s <= _UNIX_S_MAX:
            raise InvalidData(f"a lock with the deadline {lock.deadline_unix_s}")


def locks_cell(locks: Sequence[Lock]) -> Cell:
    """Return the chain of cells whose hash a locked voucher signs.

    Raises:
        InvalidData: see `check_locks`.
    """
    check_locks(locks)
    return _chain([_lock_fields(lock) for lock in locks])


def _lock_fields(lock: Lock) -> Builder:
    fields = Builder().uint(isinstance(lock, KeyLock), 1).raw(lock_id(lock))
    return fields.coins(lock.amount_nanoton).uint(lock.deadline_unix_s, 32)


def witnesses_cell(witnesses: Sequence[Witness | None]) -> Cell:
    """Return the chain of cells that a claim shows beside its locks, in the same order.

    Args:
        witnesses: None for a lock that stays closed, or that the channel has paid already.

    Raises:
        LocalContractError: a witness has a wrong size.
    """
    return _chain([_witness_fields(witness) for witness in witnesses])


def _chain(fields: list[Builder]) -> Cell:
    """Let each cell refer to the next."""
    cell = fields.pop().end()
    while fields:
        cell = fields.pop().ref(cell).end()
    return cell


def read_shown(locks: Cell, witnesses: Cell) -> dict[bytes, Witness]:
    """Return the witnesses of a claim by the digest or key of their locks; nothing is verified.

    Raises:
        InvalidData: the two are no chains of locks and witnesses of one length.
    """
    shown: dict[bytes, Witness] = {}
    for _ in range(LOCKS_MAX):
        lock, witness = locks.parse(), witnesses.parse()
        is_key_lock, name = lock.flag(), lock.raw(DIGEST_BYTES)
        lock.coins()
        lock.uint(32)
        if witness.flag():
            shown[name] = _read_witness(witness, is_key_lock=is_key_lock)
        if not lock.refs_left:
            lock.end()
            witness.end()
            return shown
        locks, witnesses = lock.ref(), witness.ref()
    raise InvalidData(f"more than {LOCKS_MAX} locks")


def _read_witness(witness: Slice, *, is_key_lock: bool) -> Witness:
    if not is_key_lock:
        return Preimage(witness.raw(DIGEST_BYTES))
    signature = witness.raw(_SIGNATURE_BYTES)
    return KeyPayment(NanoTon(witness.coins()), signature)


def _witness_fields(witness: Witness | None) -> Builder:
    match witness:
        case None:
            return Builder().uint(0, 1)
        case Preimage(preimage):
            return Builder().uint(1, 1).raw(_sized(preimage, DIGEST_BYTES))
        case KeyPayment(amount, signature):
            return Builder().uint(1, 1).raw(_sized(signature, _SIGNATURE_BYTES)).coins(amount)


def _sized(data: bytes, size_bytes: int) -> bytes:
    if len(data) != size_bytes:
        raise LocalContractError(f"{size_bytes} bytes wanted in a witness, not {len(data)}")
    return data


def _opens(lock: HashLock, witness: Preimage) -> bool:
    right_size = len(witness.preimage) == DIGEST_BYTES
    return right_size and sha256(witness.preimage).digest() == lock.digest


def _signed(lock: KeyLock, payment: KeyPayment, network_id: int) -> bool:
    if len(lock.key) != _KEY_BYTES or len(payment.signature) != _SIGNATURE_BYTES:
        return False
    try:
        digest = _key_payment_digest(network_id, payment.amount_nanoton)
        VerifyKey(lock.key).verify(digest, payment.signature)
    except (BadSignatureError, LocalContractError):
        return False
    return True


def _key_payment_digest(network_id: int, amount: NanoTon) -> bytes:
    return Builder().sint(network_id, 32).coins(amount).end().hash
