"""Remembers the keys and values of prompts, so that the next turn of a chat starts further on.

Two kinds of beginnings are kept. The *public* one is what every chat of a model begins
with (its template and default system message): it is in the model's file, so that its
speed tells nobody anything. All others belong to a *scope*, a name that the caller
chooses, such as a hash of the customer's key. A prompt is only ever compared with the
public beginning and with its own scope: otherwise one customer could find out, by
timing, what another has asked. Without a scope nothing is remembered.

Only engines that compute the same bits from a copy use it (see `CopyableSequence`), so an
answer does not depend on what is in the cache.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from threading import RLock
from typing import Final

from kernels.models.decoder import CopyableSequence, DecoderSequence

PUBLIC: Final = b""
"""The scope of what everybody may know."""

BYTES_MAX: Final = 128 << 20
REUSED_TOKENS_MIN: Final = 8
"""Copying fewer would save nothing."""


@dataclass(frozen=True, slots=True)
class _Kept:
    token_ids: tuple[int, ...]
    sequence: CopyableSequence


class PrefixCache:
    """Beginnings of texts, the least recently used thrown out first. Thread-safe."""

    def __init__(self, bytes_per_token: int, *, bytes_max: int = BYTES_MAX) -> None:
        self._tokens_max = bytes_max // bytes_per_token
        self._kept: OrderedDict[tuple[bytes, tuple[int, ...]], _Kept] = OrderedDict()
        self._lock = RLock()

    @property
    def size_tokens(self) -> int:
        """Return how many tokens are remembered."""
        return sum(len(kept.token_ids) for kept in self._kept.values())

    def start(self, sequence: CopyableSequence, prompt: Sequence[int], scope: bytes) -> int:
        """Let *sequence*, which is empty, begin with what is known of *prompt*.

        Returns:
            how many tokens that were; at least one of the prompt is always left to compute.
        """
        with self._lock:
            best, length = None, REUSED_TOKENS_MIN - 1
            for key, kept in self._kept.items():
                if key[0] in {PUBLIC, scope}:
                    common = min(common_length(kept.token_ids, prompt), len(prompt) - 1)
                    if common > length:
                        best, length = key, common
            if best is None:
                return 0
            self._kept.move_to_end(best)
            sequence.begin_as(self._kept[best].sequence, length)
            return length

    def give(self, scope: bytes, token_ids: Sequence[int], sequence: DecoderSequence) -> None:
        """Keep *sequence*, which has taken in *token_ids*; it is the cache's from now on."""
        ids = tuple(token_ids)
        if not isinstance(sequence, CopyableSequence) or not 0 < len(ids) <= self._tokens_max:
            sequence.close()
            return
        with self._lock:
            for key in [key for key in self._kept if key[0] == scope and key != (PUBLIC, ids)]:
                if common_length(key[1], ids) == len(key[1]):  # the new one has it all
                    self._drop(key)
            self._kept[scope, ids] = _Kept(ids, sequence)
            while self.size_tokens > self._tokens_max:
                self._drop(next(iter(self._kept)))

    def forget(self, scope: bytes) -> None:
        """Throw out what is kept for *scope*."""
        with self._lock:
            for key in [key for key in self._kept if key[0] == scope]:
                self._drop(key)

    def _drop(self, key: tuple[bytes, tuple[int, ...]]) -> None:
        self._kept.pop(key).sequence.close()


def common_length(first: Sequence[int], second: Sequence[int]) -> int:
    """Return how many tokens two texts have in common from the beginning."""
    for index, (one, other) in enumerate(zip(first, second, strict=False)):
        if one != other:
            return index
    return min(len(first), len(second))
