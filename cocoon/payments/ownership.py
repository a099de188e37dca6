"""Who names a channel must own it: the payer key's signature over a job's transcript hash."""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from cocoon.messages import signing_bytes

_KIND = "channel-owner"


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
    try:
        Ed25519PublicKey.from_public_bytes(payer_key).verify(signature, payload)
    except (InvalidSignature, ValueError):
        return False
    return True
