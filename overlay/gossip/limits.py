"""How many messages a peer may make us handle. Pure code; the time is an argument.

Token bucket: each peer may send *burst* messages at once, and then *rate_per_s*.
The table of peers is bounded. When it is full, whoever brought most of them loses the one heard
from longest ago: ever new names of one neighbour push out nobody whom another one brought. Whose
bucket is full again is as good as unknown, and forgotten, too: memory holds who was busy lately.
Source: the token bucket of RFC 2697, section 3.
"""

import math
from collections import Counter, OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final

PEERS_REMEMBERED_MAX: Final = 4096
TOPIC_CHARS_MAX: Final = 128
"""Of the name of a topic, with the network in front."""
TOPICS_MAX: Final = 100
"""Topics of one node: neighbours take note of no more."""
KNOWN_S: Final = 600.0
"""Where newcomers get less, so long somebody who is silent is none."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A limit.

    Attributes:
        rate_per_s: messages per second, in the long run.
        burst: messages at once, after a silence.
        first: messages at once of whoever was not heard of yet; as many as *burst* if None.
    """

    rate_per_s: float
    burst: int
    first: int | None = None

    @property
    def refill_s(self) -> float:
        """How long an empty bucket takes until it is full."""
        return self.burst / self.rate_per_s if self.rate_per_s else math.inf


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled_at_s: float
    owner: Hashable


class RateLimits:
    """One token bucket for each key, at most *keys_max* of them."""

    def __init__(self, rate: Rate, *, keys_max: int) -> None:
        self._rate = rate
        self._keys_max = keys_max
        self._forget_s = rate.refill_s if rate.first is None else max(rate.refill_s, KNOWN_S)
        self._buckets: OrderedDict[Hashable, _Bucket] = OrderedDict()
        self._owned: Counter[Hashable] = Counter()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: Hashable, now_s: float, *, owner: Hashable = None) -> bool:
        """Return whether *key*, which *owner* brought, may go on, and count it if so."""
        self._forget_full(now_s)
        bucket = self._bucket(key, now_s, owner)
        bucket.tokens = self._tokens(bucket, now_s)
        bucket.filled_at_s = now_s
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True

    def has(self, key: Hashable, now_s: float) -> bool:
        """Return whether `take` would let *key* go on, and count nothing."""
        bucket = self._buckets.get(key)
        return (self._tokens_first() if bucket is None else self._tokens(bucket, now_s)) >= 1

    def _tokens(self, bucket: _Bucket, now_s: float) -> float:
        elapsed_s = max(0.0, now_s - bucket.filled_at_s)
        return min(self._rate.burst, bucket.tokens + elapsed_s * self._rate.rate_per_s)

    def _bucket(self, key: Hashable, now_s: float, owner: Hashable) -> _Bucket:
        bucket = self._buckets.get(key)
        if bucket is None:
            if len(self._buckets) >= self._keys_max:
                self._forget(self._most_dispensable())
            bucket = self._buckets[key] = _Bucket(self._tokens_first(), now_s, owner)
            self._owned[owner] += 1
        elif self._owned[owner] < self._owned[bucket.owner]:  # with fewer it is safer
            self._disown(bucket)
            bucket.owner = owner
            self._owned[owner] += 1
        self._buckets.move_to_end(key)
        return bucket

    def _most_dispensable(self) -> Hashable:
        """Return the key heard from longest ago of whoever brought most of them."""
        owner, _ = self._owned.most_common(1)[0]
        return next(key for key, bucket in self._buckets.items() if bucket.owner == owner)

    def _forget_full(self, now_s: float) -> None:
        """Forget who was silent for so long that it makes no difference; the oldest come first."""
        while self._buckets:
            key, bucket = next(iter(self._buckets.items()))
            if now_s - bucket.filled_at_s <= self._forget_s:
                return
            self._forget(key)

    def _forget(self, key: Hashable) -> None:
        self._disown(self._buckets.pop(key))

    def _disown(self, bucket: _Bucket) -> None:
        self._owned[bucket.owner] -= 1
        if not self._owned[bucket.owner]:
            del self._owned[bucket.owner]

    def _tokens_first(self) -> int:
        first = self._rate.first
        return self._rate.burst if first is None else min(first, self._rate.burst)
