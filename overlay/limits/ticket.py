"""Proof of work that a stranger shows when we are under load. Pure code.

The server hands out a challenge that it need not remember: it is a keyed hash of the
asker and the hour. The asker looks for a nonce whose SHA-256 with the challenge begins
with some zero bits. Honest peers pay once an hour and only under load; an attacker
pays for every identity. Source: A. Back, "Hashcash", 2002.
"""

import hashlib
import hmac
from collections.abc import Callable
from typing import Final

from overlay.errors import RemoteProtocolError
from overlay.ids import PeerId

BITS_MIN: Final = 14
BITS_MAX: Final = 20
"""About a million hashes: a second of one core in Python."""
EPOCH_S: Final = 3600
CHALLENGE_BYTES: Final = 16
NONCE_BYTES: Final = 8
QUESTION: Final = b"ticket?"
_CHECK_EVERY: Final = 4096


class TicketOffice:
    """The server's side.

    Args:
        secret: at least 16 random bytes, new at each start.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def challenge(self, peer_id: PeerId, now_unix_s: float) -> bytes:
        """Return the challenge of *peer_id* for this hour."""
        return self._challenge(peer_id, int(now_unix_s) // EPOCH_S)

    def accepts(self, peer_id: PeerId, nonce: bytes, bits: int, now_unix_s: float) -> bool:
        """Return whether *nonce* solves the challenge of this hour, or of the last one."""
        if len(nonce) != NONCE_BYTES:
            return False
        epoch = int(now_unix_s) // EPOCH_S
        return any(
            solves(self._challenge(peer_id, each), nonce, bits) for each in (epoch, epoch - 1)
        )

    def _challenge(self, peer_id: PeerId, epoch: int) -> bytes:
        text = f"{peer_id} {epoch}".encode()
        return hmac.digest(self._secret, text, "sha256")[:CHALLENGE_BYTES]


def bits_for(load_percent: int, from_percent: int) -> int:
    """Return the difficulty at a load: `BITS_MIN` where tickets begin, `BITS_MAX` at 100 %.

    >>> bits_for(75, 75), bits_for(90, 75), bits_for(100, 75)
    (14, 17, 20)
    """
    share = max(0, load_percent - from_percent) / max(1, 100 - from_percent)
    return BITS_MIN + int(share * (BITS_MAX - BITS_MIN))


def solves(challenge: bytes, nonce: bytes, bits: int) -> bool:
    """Return whether the hash begins with *bits* zero bits."""
    digest = hashlib.sha256(challenge + nonce).digest()
    return int.from_bytes(digest, "big") >> (256 - bits) == 0


def solve(challenge: bytes, bits: int, gone: Callable[[], bool]) -> bytes | None:
    """Return a nonce, or None once *gone* says that nobody waits any more. Blocks."""
    number = 0
    while number % _CHECK_EVERY or not gone():
        nonce = number.to_bytes(NONCE_BYTES, "big")
        if solves(challenge, nonce, bits):
            return nonce
        number += 1
    return None


def read_challenge(answer: bytes) -> tuple[bytes, int]:
    """Return the challenge and the bits in a server's answer; no bits: no ticket is needed.

    Raises:
        RemoteProtocolError: malformed, or more work than we are ready to do.
    """
    if len(answer) != CHALLENGE_BYTES + 1 or answer[-1] > BITS_MAX:
        raise RemoteProtocolError("a malformed or too hard ticket challenge")
    return answer[:-1], answer[-1]
