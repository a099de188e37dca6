"""Who names a channel must own it: what the payer key signs beside vouchers.

A job's transcript hash, and the wish to close. Both are longer than the 32 bytes that a
voucher's signature is over, so neither is ever also a voucher.
"""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from cocoon.signing import signing_bytes
from contracts.units import NanoTon
from contracts.voucher import ChannelRef

_KIND = "channel-owner"
_CLOSE_KIND = "channel-close"


def public_key(seed: bytes) -> bytes:
    """Return the Ed25519 public key of *seed*, 32 bytes (RFC 8032)."""
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def _payload(network_id: int, channel_address: str, transcript_hash: bytes) -> bytes:
    return signing_bytes(str(network_id), _KIND, channel_address.encode() + b"\0" + transcript_hash)


def sign_ownership(
    seed: bytes, *, network_id: int, channel_address: str, transcript_hash: bytes
) -> bytes:
    """Prove that the owner of *seed* pays for the job with this channel.

    The payload is longer than a hash, so it is never also a voucher (which signs 32 bytes).
    """
    payload = _payload(network_id, channel_address, transcript_hash)
    return Ed25519PrivateKey.from_private_bytes(seed).sign(payload)


def verify_ownership(
    payer_key: bytes,
    signature: bytes,
    *,
    network_id: int,
    channel_address: str,
    transcript_hash: bytes,
) -> bool:
    """Tell whether the owner of *payer_key* pays for this job with this channel."""
    payload = _payload(network_id, channel_address, transcript_hash)
    return _is_signed(payer_key, signature, payload)


def sign_close(seed: bytes, ref: ChannelRef, total: NanoTon) -> bytes:
    """Ask, as the owner of *seed*, to close this opening of the channel at *total*."""
    return Ed25519PrivateKey.from_private_bytes(seed).sign(_close_payload(ref, total))


def verify_close(payer_key: bytes, signature: bytes, ref: ChannelRef, total: NanoTon) -> bool:
    """Tell whether the owner of *payer_key* wants to close this opening at *total*."""
    return _is_signed(payer_key, signature, _close_payload(ref, total))


def _close_payload(ref: ChannelRef, total: NanoTon) -> bytes:
    wish = f"{ref.address}\0{ref.opened_lt}\0{total}".encode()
    return signing_bytes(str(ref.network_id), _CLOSE_KIND, wish)


def _is_signed(public: bytes, signature: bytes, payload: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, payload)
    except (InvalidSignature, ValueError):
        return False
    return True
