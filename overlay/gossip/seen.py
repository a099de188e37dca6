"""Which messages we had already. Pure code; bounded in number and in time."""

import hashlib
from collections import OrderedDict
from typing import Final

SEEN_MAX: Final = 32_768
SEEN_S: Final = 300.0
ID_BYTES: Final = 20


def message_id(topic: str, source: bytes, data: bytes) -> bytes:
    """Return the id of a message: by its content, so that a new number does not renew it.

    The author is part of it, so that nobody can make a message "seen" by publishing a
    copy first. A node of another implementation must be given this function for its
    IHAVE and IWANT to be understood: the first 20 bytes of SHA-256 over the topic in
    UTF-8, a zero byte, the bytes of the author's peer id, and the data.
    """
    return hashlib.sha256(topic.encode() + b"\0" + source + data).digest()[:ID_BYTES]


class SeenCache:
    """Ids of messages, each for `SEEN_S`, at most `SEEN_MAX`; the oldest are forgotten."""

    def __init__(self) -> None:
        self._expiry_s: OrderedDict[bytes, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._expiry_s)

    def has(self, message: bytes, now_s: float) -> bool:
        """Return whether we had *message*."""
        expires_at_s = self._expiry_s.get(message)
        return expires_at_s is not None and now_s < expires_at_s

    def add(self, message: bytes, now_s: float) -> bool:
        """Note *message*; return whether it is new."""
        if self.has(message, now_s):
            return False
        self._expiry_s.pop(message, None)
        self._expiry_s[message] = now_s + SEEN_S
        self._forget(now_s)
        return True

    def _forget(self, now_s: float) -> None:
        while self._expiry_s:
            oldest = next(iter(self._expiry_s))
            if len(self._expiry_s) <= SEEN_MAX and now_s < self._expiry_s[oldest]:
                return
            del self._expiry_s[oldest]
