"""The routing table: whom we know, near and far. Pure code; the time is an argument.

Only peers that answered us are in it. A bucket takes few peers of one address prefix,
so that a landlord of addresses does not become all of our neighbourhood.
Source: Kademlia, sections 2.2 and 2.4 (k-buckets; old contacts that live are kept).
"""

import heapq
from collections import Counter, OrderedDict
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from overlay.addresses import first_prefix
from overlay.dht.keys import common_bits, point_of_peer
from overlay.ids import PeerId
from overlay.transport import PeerAddress

BUCKET_SIZE: Final = 20
"""k of the paper."""
PREFIX_PER_BUCKET_MAX: Final = 2
PREFIX_PER_TABLE_MAX: Final = 8
LOST_MAX: Final = 64
FEW: Final = 3
STALE_S: Final = 1800.0
"""A contact that did not answer for so long may be replaced, and should be asked."""


@dataclass(slots=True)
class _Contact:
    peer: PeerAddress
    point: int
    prefix: str
    answered_at_s: float


class RoutingTable:
    """Peers that answered, in buckets by how many leading bits they share with us.

    Invariant: at most `BUCKET_SIZE` peers in a bucket, `PREFIX_PER_BUCKET_MAX` of them
    (`PREFIX_PER_TABLE_MAX` in all) of one public prefix.
    """

    def __init__(self, own_id: PeerId) -> None:
        self.own_id = own_id
        self._own_point = point_of_peer(own_id)
        self._contacts: dict[PeerId, _Contact] = {}
        self._buckets: dict[int, dict[PeerId, _Contact]] = {}
        self._prefixes: Counter[str] = Counter()
        self._lost: OrderedDict[PeerId, PeerAddress] = OrderedDict()

    def __len__(self) -> int:
        return len(self._contacts)

    def __contains__(self, peer_id: PeerId) -> bool:
        return peer_id in self._contacts

    def peers(self) -> list[PeerAddress]:
        """Return everybody, the latest to answer first."""
        contacts = sorted(self._contacts.values(), key=lambda each: -each.answered_at_s)
        return [each.peer for each in contacts]

    def answered(self, peer: PeerAddress, now_s: float) -> bool:
        """Note that *peer* answered us; return whether it is in the table now."""
        self._lost.pop(peer.peer_id, None)
        known = self._contacts.get(peer.peer_id)
        if known is not None:
            self._refresh(known, peer, now_s)
            return True
        contact = self._contact(peer, now_s)
        bucket_index = self._bucket_index(contact.point)
        if not self._admits(contact, bucket_index, now_s):
            return False
        bucket = self._buckets.setdefault(bucket_index, {})
        if len(bucket) >= BUCKET_SIZE:
            self.failed(min(bucket.values(), key=lambda each: each.answered_at_s).peer.peer_id)
        bucket[peer.peer_id] = self._contacts[peer.peer_id] = contact
        self._prefixes[contact.prefix] += 1
        return True

    def moved(self, peer: PeerAddress, now_s: float) -> None:
        """Note that *peer*, which we know, says itself that it is reached elsewhere now."""
        known = self._contacts.get(peer.peer_id)
        if known is None or not peer.addresses or known.peer == peer:
            return
        if first_prefix(peer.addresses) == known.prefix:
            known.peer = peer
            return
        self.failed(peer.peer_id)
        self.answered(peer, now_s)

    def failed(self, peer_id: PeerId) -> bool:
        """Drop a peer that did not answer; return whether it was here.

        It is remembered for the case that nobody answers: then it is we who were cut off.
        """
        contact = self._contacts.pop(peer_id, None)
        if contact is None:
            return False
        self._lost[peer_id] = contact.peer
        if len(self._lost) > LOST_MAX:
            self._lost.popitem(last=False)
        index = self._bucket_index(contact.point)
        del self._buckets[index][peer_id]
        if not self._buckets[index]:
            del self._buckets[index]
        self._prefixes[contact.prefix] -= 1
        if not self._prefixes[contact.prefix]:
            del self._prefixes[contact.prefix]
        return True

    def wants(self, peer: PeerAddress, now_s: float) -> bool:
        """Return whether an unknown *peer* would be let in if it answered."""
        if peer.peer_id in self._contacts or peer.peer_id == self.own_id:
            return False
        contact = self._contact(peer, now_s)
        return self._admits(contact, self._bucket_index(contact.point), now_s)

    def closest(
        self, point: int, count: int, *, without: Collection[PeerId] = ()
    ) -> list[PeerAddress]:
        """Return the *count* known peers nearest to *point*, nearest first.

        When hardly anybody is left, those that we lost are worth another try.
        """
        contacts = (each for each in self._contacts.values() if each.peer.peer_id not in without)
        nearest = heapq.nsmallest(count, contacts, key=lambda each: each.point ^ point)
        peers = [each.peer for each in nearest]
        if len(self._contacts) < FEW:
            peers += [each for each in self._lost.values() if each.peer_id not in without]
        return peers[:count]

    def stale(self, now_s: float, count: int) -> list[PeerAddress]:
        """Return at most *count* peers that we have not heard for `STALE_S`, oldest first."""
        old = (c for c in self._contacts.values() if now_s - c.answered_at_s >= STALE_S)
        return [c.peer for c in heapq.nsmallest(count, old, key=lambda c: c.answered_at_s)]

    def depth(self) -> int:
        """Return the number of the deepest bucket that has a peer."""
        return max(self._buckets, default=0)

    def _contact(self, peer: PeerAddress, now_s: float) -> _Contact:
        return _Contact(peer, point_of_peer(peer.peer_id), first_prefix(peer.addresses), now_s)

    def _bucket_index(self, point: int) -> int:
        return common_bits(self._own_point, point)

    def _refresh(self, known: _Contact, peer: PeerAddress, now_s: float) -> None:
        known.answered_at_s = now_s
        if peer.addresses and first_prefix(peer.addresses) == known.prefix:
            known.peer = peer

    def _admits(self, contact: _Contact, bucket_index: int, now_s: float) -> bool:
        if contact.peer.peer_id == self.own_id:
            return False
        bucket = self._buckets.get(bucket_index, {})
        if contact.prefix:
            same = sum(each.prefix == contact.prefix for each in bucket.values())
            if same >= PREFIX_PER_BUCKET_MAX:
                return False
            if self._prefixes[contact.prefix] >= PREFIX_PER_TABLE_MAX:
                return False
        if len(bucket) < BUCKET_SIZE:
            return True
        return any(now_s - each.answered_at_s >= STALE_S for each in bucket.values())
