"""The 24 words by which people carry a TON wallet's key.

Not BIP-39: same word list, another derivation (HMAC-SHA-512, then 100,000 rounds of
PBKDF2), as in every TON wallet. Each function takes tens of milliseconds on purpose.
"""

from collections.abc import Sequence
from typing import Final

from pytoniq_core.crypto import keys  # noqa: TID251 - allowed in this package

from contracts.errors import InvalidData

WORDS: Final = 24
_WORD_LIST: Final = frozenset(keys.words)


def create_mnemonic() -> tuple[str, ...]:
    """Return 24 fresh words from the system's randomness."""
    return tuple(keys.mnemonic_new(WORDS))


def seed_of_mnemonic(words: Sequence[str]) -> bytes:
    """Return the Ed25519 seed, 32 bytes, of a mnemonic without password.

    Raises:
        InvalidData: a word is missing, unknown or mistyped.
    """
    normal = [word.strip().lower() for word in words]
    if len(normal) != WORDS:
        raise InvalidData(f"a wallet has {WORDS} words, not {len(normal)}")
    unknown = [number for number, word in enumerate(normal, 1) if word not in _WORD_LIST]
    if unknown:
        raise InvalidData(f"not in the list of words: number {', '.join(map(str, unknown))}")
    if not keys.mnemonic_is_valid(normal):
        raise InvalidData("these words are no wallet: one is wrong, or their order")
    return bytes(keys.mnemonic_to_private_key(normal)[1][:32])
