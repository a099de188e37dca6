"""Identifiers and routing tables of a whole network.

Identifiers are the top 64 bits of a node's key, sorted: a node is its rank, so the
nodes of a subtree of the trie are a range, and a bucket is a sample from one.

Bucket b of a node holds contacts that share exactly b leading bits with it.

Source: Maymounkov and Mazieres, Kademlia (IPTPS 2002), section 2.2.
"""

from dataclasses import dataclass

import numpy as np

from simulations.models.compiled import (
    U64,
    Bools,
    Int32s,
    Int64s,
    UInt64s,
    compiled,
    compiled_inline,
)
from simulations.models.draws import below, draw, key_of

BUCKETS_MAX = 48
_ROUNDS = 8
_PIECE = 1 << 20


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """Every node's routing table.

    Attributes:
        ids: uint64 (nodes,), ascending.
        contacts: int32 (nodes, buckets, k): ranks, -1 after the last.
    """

    ids: UInt64s
    contacts: Int32s

    @property
    def k(self) -> int:
        """Contacts in a bucket at most."""
        return int(self.contacts.shape[2])


def random_ids(nodes: int, seed: int) -> UInt64s:
    """Return sorted identifiers, uniform over 64 bits (as hashes of keys are), all different."""
    rng = np.random.default_rng([seed, 0x1D5])
    ids = rng.integers(0, 2**64, nodes, dtype=np.uint64)
    ids.sort()
    while (equal := _equal_to_next(ids)).size:
        ids[equal] = rng.integers(0, 2**64, equal.size, dtype=np.uint64)
        ids.sort()
    return ids


def _equal_to_next(ids: UInt64s) -> Int64s:
    """Return where neighbours are equal; by pieces, to stay within the memory of the array."""
    pieces = (
        start
        + np.flatnonzero(
            ids[start + 1 : start + _PIECE + 1]
            == ids[start : start + _PIECE][: ids.size - 1 - start]
        )
        for start in range(0, max(1, ids.size - 1), _PIECE)
    )
    return np.concatenate(list(pieces)).astype(np.int64)


def buckets_for(nodes: int) -> int:
    """Return how many buckets can hold anything: log2 of the nodes and a margin."""
    return min(BUCKETS_MAX, max(1, nodes - 1).bit_length() + 3)


@compiled_inline
def first_at_least(ids: UInt64s, low: int, high: int, value: np.uint64) -> int:
    """Return the first rank in [low, high) whose identifier is at least *value*, or high."""
    while low < high:
        middle = (low + high) >> 1
        if ids[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low


@compiled_inline
def _fill(
    contacts: Int32s, low: int, high: int, alive: Bools, key: np.uint64, counter: int
) -> None:
    """Put different live nodes of the range into one bucket, uniformly drawn; -1 in the rest."""
    k, size, found = contacts.size, high - low, 0
    if size <= k:
        for rank in range(low, high):
            if alive[rank]:
                contacts[found] = rank
                found += 1
    else:
        for attempt in range(k * _ROUNDS):
            if found == k:
                break
            rank = low + below(draw(key, counter + attempt), size)
            known = not alive[rank]
            for slot in range(found):
                known = known or contacts[slot] == rank
            if not known:
                contacts[found] = rank
                found += 1
    for slot in range(found, k):
        contacts[slot] = -1


@compiled
def _refresh(
    ids: UInt64s,
    contacts: Int32s,
    alive: Bools,
    due: Bools,
    key: np.uint64,
) -> None:
    nodes, buckets, k = contacts.shape
    for node in range(nodes):
        if not due[node]:
            continue
        low, high = 0, nodes
        for bucket in range(buckets):
            bit = U64(1) << U64(63 - bucket)
            edge = (ids[node] | bit) & ~(bit - U64(1))
            split = first_at_least(ids, low, high, edge)
            if ids[node] & bit:
                other_low, other_high = low, split
                low = split
            else:
                other_low, other_high = split, high
                high = split
            counter = (node * BUCKETS_MAX + bucket) * k * _ROUNDS
            _fill(contacts[node, bucket], other_low, other_high, alive, key, counter)


def build(ids: UInt64s, k: int, seed: int, alive: Bools | None = None) -> Tables:
    """Return full tables: up to *k* contacts per bucket, uniform among the live nodes of it."""
    tables = Tables(ids, np.full((ids.size, buckets_for(ids.size), k), -1, np.int32))
    everybody = np.ones(ids.size, np.bool_)
    refresh(tables, everybody if alive is None else alive, everybody, seed)
    return tables


def refresh(tables: Tables, alive: Bools, due: Bools, seed: int) -> None:
    """Fill the tables of the nodes that are *due* anew with nodes that are *alive*, in place.

    A bucket refresh asks for a random identifier in each bucket (Kademlia, section 2.3)
    and learns its live nodes; that traffic is not part of the model.
    """
    _refresh(tables.ids, tables.contacts, alive, due, key_of(seed, 0x4EF))


def table_bytes(nodes: int, k: int) -> int:
    """Return what the tables of that many nodes need, in bytes."""
    return nodes * buckets_for(nodes) * k * 4
