"""The provider's one-time keys: one for each offer, erased when used or out of date.

So a provider that is broken into later cannot open the jobs that it ran before
(forward secrecy per job). Pure: the time is an argument.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

from cocoon.confidential.sealing import SealBroken, SealKey
from cocoon.errors import Refused
from cocoon.messages import RefusalCode

OUTSTANDING_MAX: Final = 256
SPARE_KEYS: Final = 8
LIFETIME_S_MAX: Final = 90
"""An offer lives at most 60 s; the rest is for clocks and for the accept on its way."""


class PrekeyPool:
    """One-time keys by their public half.

    Args:
        outstanding_max: keys in offers that may still be accepted.
        spare_keys: keys made ahead of time.
        generate: makes one key.
    """

    def __init__(
        self,
        *,
        outstanding_max: int = OUTSTANDING_MAX,
        spare_keys: int = SPARE_KEYS,
        generate: Callable[[], SealKey] = SealKey.generate,
    ) -> None:
        self._outstanding_max = outstanding_max
        self._spare_keys = spare_keys
        self._generate = generate
        self._spare: deque[SealKey] = deque()
        self._keys: dict[bytes, tuple[SealKey, float]] = {}

    def __len__(self) -> int:
        return len(self._keys)

    def fill(self) -> int:
        """Make the spare keys that are missing (0.4 ms each); return how many were made.

        This alone may run in a thread beside the other methods: it only adds spares.
        """
        missing = self._spare_keys - len(self._spare)
        self._spare.extend(self._generate() for _ in range(missing))
        return missing

    def issue(self, now_unix_s: float, expires_at_unix_s: float) -> bytes:
        """Return the public half of a fresh key for one offer.

        Raises:
            Refused: too many offers are open; the requester may come back later.
        """
        self.expire(now_unix_s)
        if len(self._keys) >= self._outstanding_max:
            raise Refused(RefusalCode.BUSY.value, f"{len(self._keys)} offers are already open")
        key = self._spare.popleft() if self._spare else self._generate()
        last = min(expires_at_unix_s, now_unix_s + LIFETIME_S_MAX)
        self._keys[key.public_bytes] = (key, last)
        return key.public_bytes

    def take(self, public: bytes, now_unix_s: float) -> SealKey:
        """Return the private key, once; erase it as soon as the content key is open.

        Raises:
            SealBroken: it was used, withdrawn, out of date, or never ours.
        """
        self.expire(now_unix_s)
        held = self._keys.pop(public, None)
        if held is None:
            raise SealBroken("the offer's one-time key was used or has expired")
        return held[0]

    def discard(self, public: bytes) -> None:
        """Erase the key of an offer that was declined; unknown ones do not matter."""
        held = self._keys.pop(public, None)
        if held is not None:
            held[0].erase()

    def expire(self, now_unix_s: float) -> None:
        """Erase every key whose offer is out of date at *now_unix_s*."""
        stale = [public for public, (_, last) in self._keys.items() if last <= now_unix_s]
        for public in stale:
            self.discard(public)

    def erase_all(self) -> None:
        """Erase everything, at shutdown."""
        for public in list(self._keys):
            self.discard(public)
        while self._spare:
            self._spare.pop().erase()
