"""What the two sides of a channel sign: vouchers, releases and the start of a close.

Every signature is over the hash of one cell without references:

    tag:uint32 network_id:int32 channel:addr_std opened_lt:uint64 [total:coins [locks:bits256]]

so it is good for one network, one channel, and one opening of that channel only.
The contract builds the same cell (`tolk/payment_channel.tolk`, function `signed`).
The layout is fixed, so the hash is one SHA-256 over bytes that we lay out
directly, twenty times faster than building cells.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from hashlib import sha256
from typing import Final

import msgspec
from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from contracts.cells import split_address
from contracts.errors import InvalidData, LocalContractError
from contracts.locks import Lock, locks_cell
from contracts.units import NanoTon

TAG_VOUCHER: Final = 0x56434831  # "VCH1"
TAG_LOCKED: Final = 0x564C4B31  # "VLK1"
TAG_RELEASE: Final = 0x52454C31  # "REL1"
TAG_START_CLOSE: Final = 0x53544131  # "STA1"

SIGNATURE_BYTES: Final = 64
KEY_BYTES: Final = 32
_PREFIX_BITS: Final = 32 + 32 + 267 + 64
_COINS_MAX: Final = (1 << 120) - 1


class ChannelRef(msgspec.Struct, frozen=True):
    """Which opening of which channel on which network a signature is for.

    Attributes:
        network_id: the network's global id (signed 32 bits).
        address: of the channel contract, raw form.
        opened_lt: logical time of the transaction that opened it.
    """

    network_id: int
    address: str
    opened_lt: int


def sign_voucher(seed: bytes, ref: ChannelRef, total: NanoTon) -> bytes:
    """Sign, as the payer, that the payee has earned *total* since the opening.

    Args:
        seed: the payer's Ed25519 seed, 32 bytes.
        ref: the channel.
        total: cumulative, so a newer voucher replaces all older ones.

    Returns:
        The 64 bytes of the signature.
    """
    return _sign(seed, _digest(TAG_VOUCHER, ref, total))


def verify_voucher(payer_key: bytes, ref: ChannelRef, total: NanoTon, signature: bytes) -> bool:
    """Tell whether *signature* is the payer's over exactly this *total*."""
    return _verify(payer_key, signature, lambda: _digest(TAG_VOUCHER, ref, total))


def sign_locked_voucher(
    seed: bytes, ref: ChannelRef, total: NanoTon, locks: Sequence[Lock]
) -> bytes:
    """Sign, as the payer, that the payee has earned *total*, and what *locks* will be worth.

    What is signed names all locks that are open at this time. A lock that was opened by
    its witness goes into *total* of the next voucher; one whose deadline is over is left out.
    A lock must not be left out earlier: older vouchers stay good.

    Args:
        seed: the payer's Ed25519 seed, 32 bytes.
        ref: the channel.
        total: cumulative, without the locks.
        locks: one to `LOCKS_MAX`; without locks it is a plain voucher.

    Raises:
        InvalidData: the locks are impossible, see `contracts.locks.check_locks`.
        LocalContractError: the rest is.
    """
    return _sign(seed, _digest(TAG_LOCKED, ref, total, locks_cell(locks).hash))


def verify_locked_voucher(
    payer_key: bytes, ref: ChannelRef, total: NanoTon, locks: Sequence[Lock], signature: bytes
) -> bool:
    """Tell whether *signature* is the payer's over exactly this *total* and these *locks*."""
    return _verify(
        payer_key, signature, lambda: _digest(TAG_LOCKED, ref, total, locks_cell(locks).hash)
    )


def sign_release(seed: bytes, ref: ChannelRef, total: NanoTon) -> bytes:
    """Sign, as the payee, that *total* settles everything and the channel may close.

    After this the payee must accept no further voucher for this opening.
    """
    return _sign(seed, _digest(TAG_RELEASE, ref, total))


def verify_release(payee_key: bytes, ref: ChannelRef, total: NanoTon, signature: bytes) -> bool:
    """Tell whether *signature* is the payee's release at *total*."""
    return _verify(payee_key, signature, lambda: _digest(TAG_RELEASE, ref, total))


def sign_start_close(seed: bytes, ref: ChannelRef) -> bytes:
    """Sign, as the payer, that the challenge period shall begin."""
    return _sign(seed, _digest(TAG_START_CLOSE, ref, None))


def verify_start_close(payer_key: bytes, ref: ChannelRef, signature: bytes) -> bool:
    """Tell whether *signature* is the payer's request to start closing."""
    return _verify(payer_key, signature, lambda: _digest(TAG_START_CLOSE, ref, None))


def _digest(tag: int, ref: ChannelRef, total: int | None, locks_hash: bytes = b"") -> bytes:
    bits, size_bits = _prefix(tag, ref), _PREFIX_BITS
    if total is not None:
        if not 0 <= total <= _COINS_MAX:
            raise LocalContractError(f"not an amount: {total}")
        length = (total.bit_length() + 7) // 8
        bits = (bits << (4 + 8 * length)) | (length << (8 * length)) | total
        size_bits += 4 + 8 * length
    if locks_hash:
        bits = (bits << 256) | int.from_bytes(locks_hash, "big")
        size_bits += 256
    whole, rest = divmod(size_bits, 8)
    d2 = 2 * whole
    if rest:
        bits = ((bits << 1) | 1) << (7 - rest)
        whole, d2 = whole + 1, d2 + 1
    return sha256(bytes((0, d2)) + bits.to_bytes(whole, "big")).digest()


@lru_cache(maxsize=4096)
def _prefix(tag: int, ref: ChannelRef) -> int:
    workchain, account = split_address(ref.address)
    if not (-(2**31) <= ref.network_id < 2**31 and 0 < ref.opened_lt < 2**64):
        raise LocalContractError(f"not an open channel: {ref}")
    bits = (tag << 32) | (ref.network_id % 2**32)
    bits = (bits << 3) | 0b100  # addr_std, no anycast
    bits = (bits << 8) | (workchain % 256)
    bits = (bits << 256) | int.from_bytes(account, "big")
    return (bits << 64) | ref.opened_lt


@lru_cache(maxsize=64)
def _signing_key(seed: bytes) -> SigningKey:
    if len(seed) != KEY_BYTES:
        raise LocalContractError(f"an Ed25519 seed has {KEY_BYTES} bytes, not {len(seed)}")
    return SigningKey(seed)


def _sign(seed: bytes, digest: bytes) -> bytes:
    return bytes(_signing_key(seed).sign(digest).signature)


def _verify(key: bytes, signature: bytes, fields: Callable[[], bytes]) -> bool:
    if len(key) != KEY_BYTES or len(signature) != SIGNATURE_BYTES:
        return False
    try:
        VerifyKey(key).verify(fields(), signature)
    except (BadSignatureError, InvalidData, LocalContractError):
        return False
    return True
