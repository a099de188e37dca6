"""The payer's channel keys: one for each channel, all derived from the wallet's seed.

Two channels share no key, so nobody can tell that one payer owns both. And a payer who
lost the journal, and everything but the 24 words, can still sign the way out of every
channel (`cocoon.payments.recovery`).
"""

import secrets
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

SECRET_BYTES: Final = 32


def channel_secret(wallet_seed: bytes) -> bytes:
    """Derive the secret that all channel keys of one wallet come from (HKDF, RFC 5869)."""
    return _derive(wallet_seed, b"cocoon/channel-secret/v1")


def random_secret() -> bytes:
    """Return a secret for a payer whose channels only the journal can bring back."""
    return secrets.token_bytes(SECRET_BYTES)


def channel_seed(secret: bytes, payee_address: str, salt: int) -> bytes:
    """Derive the Ed25519 seed of the channel to *payee_address* with this *salt*, 32 bytes."""
    info = b"cocoon/channel-key/v1" + salt.to_bytes(8, "big") + payee_address.encode()
    return _derive(secret, info)


def _derive(secret: bytes, info: bytes) -> bytes:
    return HKDF(hashes.SHA256(), SECRET_BYTES, salt=None, info=info).derive(secret)
