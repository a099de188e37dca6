"""What the two sides of a channel sign: vouchers, releases and the start of a close.

Every signature is over the hash of one cell:

    domain:bits256 tag:uint24 [total:coins [locks:^Lock]]

where the domain is the hash of the cell

    network_id:int32 channel:addr_std opened_lt:uint64

so it is good for one network, one channel, and one opening of that channel only.
The contract computes the same (`tolk/payment_channel.tolk`, functions `open` and `digest`).
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

from contracts.cells import Builder, Cell
from contracts.errors import InvalidData, LocalContractError
from contracts.locks import Lock, locks_cell
from contracts.units import NanoTon

TAG_VOUCHER: Final = 0x564348  # "VCH"
TAG_LOCKED: Final = 0x564C4B  # "VLK"
TAG_RELEASE: Final = 0x52454C  # "REL"
TAG_START_CLOSE: Final = 0x535441  # "STA"

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
    return _sign(seed, _digest(TAG_LOCKED, ref, total, locks_cell(locks)))


def verify_locked_voucher(
    payer_key: bytes, ref: ChannelRef, total: NanoTon, locks: Sequence[Lock], signature: bytes
) -> bool:
    """Tell whether *signature* is the payer's over exactly this *total* and these *locks*."""
    return _verify(payer_key, signature, lambda: _digest(TAG_LOCKED, ref, total, locks_cell(locks)))


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


def _digest(tag: int, ref: ChannelRef, total: int | None, locks: Cell | None = None) -> bytes:
    data, odd = _domain(ref) + tag.to_bytes(3, "big"), 0
    if total is not None:
        if not 0 <= total <= _COINS_MAX:
            raise LocalContractError(f"not an amount: {total}")
        # Four bits of length, the amount, and the bit that ends a cell of half a byte.
        length = (total.bit_length() + 7) // 8
        data += ((((length << (8 * length)) | total) << 4) | 8).to_bytes(length + 1, "big")
        odd = 1
    descriptors = bytes((locks is not None, 2 * len(data) - odd))
    if locks is None:
        return sha256(descriptors + data).digest()
    return sha256(descriptors + data + locks.depth.to_bytes(2, "big") + locks.hash).digest()


@lru_cache(maxsize=4096)
def _domain(ref: ChannelRef) -> bytes:
    if not 0 < ref.opened_lt < 2**64:
        raise LocalContractError(f"not an open channel: {ref}")
    fields = Builder().sint(ref.network_id, 32).address(ref.address).uint(ref.opened_lt, 64)
    return fields.end().hash


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
