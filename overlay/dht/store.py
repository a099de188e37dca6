"""What we keep for others: provider entries and signed records. Pure code; bounded.

Nobody can make it grow past its bounds, nor fill it alone: every publisher and every
address prefix has a share. When a key is full, an entry of the most crowded prefix goes.
"""

from collections import Counter, OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, islice, zip_longest
from typing import Final, TypeVar

from overlay.addresses import LOCAL
from overlay.ids import PeerId
from overlay.transport import PeerAddress

T = TypeVar("T")

PROVIDER_LIFETIME_S: Final = 48 * 3600.0
"""libp2p specs, kad-dht: provider records expire after 48 hours."""
PROVIDERS_PER_KEY_MAX: Final = 64
ENTRIES_MAX: Final = 32_768
"""Provider entries in all; about 12 MB."""
ENTRIES_PER_PEER_MAX: Final = 512
ENTRIES_PER_PREFIX_MAX: Final = 4096
VALUES_MAX: Final = 2048
"""Records in all; about 34 MB if all are of the greatest length."""
VALUES_PER_PEER_MAX: Final = 64


@dataclass(slots=True)
class _Provider:
    peer: PeerAddress
    prefix: str
    expires_at_s: float


class ProviderStore:
    """Who provides what, by the providers' own word."""

    def __init__(self) -> None:
        self._keys: OrderedDict[bytes, dict[PeerId, _Provider]] = OrderedDict()
        self._of_peer: Counter[PeerId] = Counter()
        self._of_prefix: Counter[str] = Counter()

    def __len__(self) -> int:
        return self._of_peer.total()

    def add(self, key: bytes, peer: PeerAddress, prefix: str, now_s: float) -> bool:
        """Note that *peer*, seen at an address of *prefix*, provides *key*.

        Returns:
            False when it has used up its share.
        """
        entry = _Provider(peer, prefix, now_s + PROVIDER_LIFETIME_S)
        entries = self._keys.get(key, {})
        if peer.peer_id in entries:
            self._remove(key, peer.peer_id)
        elif self._of_peer[peer.peer_id] >= ENTRIES_PER_PEER_MAX:
            return False
        if prefix and self._of_prefix[prefix] >= ENTRIES_PER_PREFIX_MAX:
            return False
        if len(entries) >= PROVIDERS_PER_KEY_MAX and not self._make_room(key, prefix):
            return False
        self._keys.setdefault(key, {})[peer.peer_id] = entry
        self._keys.move_to_end(key)
        self._of_peer[peer.peer_id] += 1
        self._of_prefix[prefix] += 1
        while len(self) > ENTRIES_MAX:
            self._forget_key(next(iter(self._keys)))
        return True

    def get(self, key: bytes, now_s: float, count: int) -> list[PeerAddress]:
        """Return at most *count* providers of *key*, one of each prefix first."""
        self._expire_key(key, now_s)
        by_prefix: dict[str, list[PeerAddress]] = {}
        for peer_id, each in reversed(self._keys.get(key, {}).items()):
            # what has no public prefix is one group for each peer
            by_prefix.setdefault(each.prefix or peer_id, []).append(each.peer)
        rounds = chain.from_iterable(zip_longest(*by_prefix.values()))
        return list(islice((peer for peer in rounds if peer is not None), count))

    def expire(self, now_s: float) -> None:
        """Forget what is over."""
        for key in list(self._keys):
            self._expire_key(key, now_s)

    def _expire_key(self, key: bytes, now_s: float) -> None:
        entries = self._keys.get(key, {})
        for peer_id in [peer for peer, each in entries.items() if each.expires_at_s <= now_s]:
            self._remove(key, peer_id)

    def _make_room(self, key: bytes, newcomer_prefix: str) -> bool:
        """Drop the oldest entry of the most crowded prefix, unless the newcomer adds to it."""
        entries = self._keys[key]
        crowds = Counter(each.prefix for each in entries.values() if each.prefix)
        prefix, crowd = max(crowds.items(), key=lambda item: item[1], default=(LOCAL, 0))
        if crowd < 2 or prefix == newcomer_prefix:
            return False
        self._remove(key, next(peer for peer, each in entries.items() if each.prefix == prefix))
        return True

    def _forget_key(self, key: bytes) -> None:
        for peer_id in list(self._keys.get(key, {})):
            self._remove(key, peer_id)

    def _remove(self, key: bytes, peer_id: PeerId) -> None:
        entries = self._keys[key]
        entry = entries.pop(peer_id)
        _count_down(self._of_peer, peer_id)
        _count_down(self._of_prefix, entry.prefix)
        if not entries:
            del self._keys[key]


@dataclass(slots=True)
class _Value:
    owner: str
    seq: int
    data: bytes
    expires_at_s: float


class ValueStore:
    """Signed records; the highest seq of each key. The caller has checked them."""

    def __init__(self) -> None:
        self._values: OrderedDict[bytes, _Value] = OrderedDict()
        self._of_owner: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._values)

    def put(self, key: bytes, owner: str, seq: int, data: bytes, expires_at_s: float) -> bool:
        """Keep a checked record; return False if a newer one is here, or the share is used up."""
        known = self._values.get(key)
        if known is not None and known.seq > seq:
            return False
        if known is None and self._of_owner[owner] >= VALUES_PER_PEER_MAX:
            return False
        if known is not None:
            self._remove(key)
        self._values[key] = _Value(owner, seq, data, expires_at_s)
        self._of_owner[owner] += 1
        if len(self._values) > VALUES_MAX:
            self._remove(next(iter(self._values)))
        return True

    def get(self, key: bytes, now_s: float) -> bytes | None:
        """Return the record under *key* that has not expired."""
        known = self._values.get(key)
        if known is None:
            return None
        if known.expires_at_s <= now_s:
            self._remove(key)
            return None
        return known.data

    def expire(self, now_s: float) -> None:
        """Forget what is over."""
        for key in list(self._expired(now_s)):
            self._remove(key)

    def _expired(self, now_s: float) -> Iterator[bytes]:
        return (key for key, each in self._values.items() if each.expires_at_s <= now_s)

    def _remove(self, key: bytes) -> None:
        _count_down(self._of_owner, self._values.pop(key).owner)


def _count_down(counter: Counter[T], name: T) -> None:
    counter[name] -= 1
    if not counter[name]:
        del counter[name]
