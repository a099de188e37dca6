"""Iterative lookups, exact to the event: who is asked when, what it answers, what times out.

A lookup asks up to `alpha` of the closest nodes that it knows at a time; each answers
with the `k` closest that it knows. It ends when the `beta` closest live ones have
answered: `beta = k` is the Kademlia paper, `beta = 3` is what libp2p waits for.

Attackers answer with the attackers nearest to the target, and dead nodes not at all.

Left out: queueing and loss of datagrams, requests that change the tables on the way.

Sources: Maymounkov and Mazieres (IPTPS 2002), section 2.3; libp2p specs, kad-dht.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from simulations.models.compiled import (
    U64,
    Bytes,
    Int32s,
    Int64s,
    UInt64s,
    compiled,
    compiled_inline,
)
from simulations.models.draws import below, key_of, mixed
from simulations.models.kademlia.implicit import bucket_into
from simulations.models.kademlia.tables import Tables, first_at_least
from simulations.models.underlay import Underlay

ALIVE, DEAD, ATTACKER = np.int8(0), np.int8(1), np.int8(2)
_NEW, _ASKED, _ANSWERED, _SILENT = 0, 1, 2, 3
_BUCKETS_IN_ANSWER = 52
ALPHA_MAX = 32


@dataclass(frozen=True, slots=True)
class Parameters:
    """How a node looks up."""

    alpha: int = 3
    beta: int = 20
    timeout_us: int = 5_000_000

    def __post_init__(self) -> None:
        """Refuse what no node can do."""
        if not 1 <= self.alpha <= ALPHA_MAX or self.beta < 1 or self.timeout_us < 1:
            raise ValueError(f"alpha 1 to {ALPHA_MAX}, beta and timeout_us at least 1: {self}")


@dataclass(frozen=True, slots=True, eq=False)
class Lookups:
    """What each lookup found and cost; arrays of one length.

    Attributes:
        found: int64 rank of the closest node that answered, -1 for none.
        hops: int64, how many answers led to it.
        requests, timeouts: int64.
        latency_us: int64.
        closest: int32 (lookups, k): the closest nodes that answered, -1 after the last.
    """

    found: Int64s
    hops: Int64s
    requests: Int64s
    timeouts: Int64s
    latency_us: Int64s
    closest: Int32s


class Net(NamedTuple):
    """What a lookup runs on, as kernels take it; an empty array is hashed or absent."""

    ids: UInt64s
    contacts: Int32s
    k: int
    key: np.uint64
    kinds: Bytes
    attackers: Int32s
    site: Int32s
    last_mile_us: Int32s
    path_us: Int32s


class Candidates(NamedTuple):
    """The nodes that a lookup has heard of, nearest first; `gaps` is room to work in."""

    ranks: Int32s
    distances: UInt64s
    states: Bytes
    depths: Bytes
    gaps: UInt64s


@compiled_inline
def shared_bits(difference: np.uint64) -> int:
    """Return how many leading bits are zero, at most 63."""
    count = 0
    if difference >> U64(32) == U64(0):
        count += 32
        difference <<= U64(32)
    if difference >> U64(48) == U64(0):
        count += 16
        difference <<= U64(16)
    if difference >> U64(56) == U64(0):
        count += 8
        difference <<= U64(8)
    if difference >> U64(60) == U64(0):
        count += 4
        difference <<= U64(4)
    if difference >> U64(62) == U64(0):
        count += 2
        difference <<= U64(2)
    if difference >> U64(63) == U64(0):
        count += 1
    return count


@compiled_inline
def keep_closest(answer: Int32s, count: int, k: int, ids: UInt64s, target: np.uint64) -> int:
    """Sort the first *count* of *answer* by distance when there are more than *k*."""
    if count <= k:
        return count
    for end in range(1, count):
        rank, slot = answer[end], end - 1
        while slot >= 0 and (ids[answer[slot]] ^ target) > (ids[rank] ^ target):
            answer[slot + 1] = answer[slot]
            slot -= 1
        answer[slot + 1] = rank
    return k


@compiled_inline
def _bucket_into(bucket: Int32s, answer: Int32s, count: int) -> int:
    for slot in range(bucket.size):
        if bucket[slot] < 0 or count == answer.size:
            break
        answer[count] = bucket[slot]
        count += 1
    return count


@compiled
def closest_known(
    ids: UInt64s, contacts: Int32s, node: int, target: np.uint64, answer: Int32s
) -> int:
    """Write the k contacts of *node* that are closest to *target*; return how many.

    The bucket of the target's prefix comes first, then all deeper ones together (they
    are as close as the node itself), then shallower ones one by one.
    """
    buckets, k = contacts.shape[1], contacts.shape[2]
    prefix = min(shared_bits(ids[node] ^ target), buckets - 1)
    count = _bucket_into(contacts[node, prefix], answer, 0)
    if count < k:
        for bucket in range(prefix + 1, buckets):
            count = _bucket_into(contacts[node, bucket], answer, count)
    bucket = prefix - 1
    while count < k and bucket >= 0:
        count = _bucket_into(contacts[node, bucket], answer, count)
        bucket -= 1
    return keep_closest(answer, count, k, ids, target)


@compiled
def closest_computed(
    ids: UInt64s, node: int, target: np.uint64, k: int, key: np.uint64, answer: Int32s
) -> int:
    """Do what `closest_known` does, with tables that are computed."""
    prefix = shared_bits(ids[node] ^ target)
    count = bucket_into(ids, node, prefix, k, key, answer, 0)
    alone = shared_bits(ids[node] ^ ids[max(0, node - 1)])
    alone = min(alone if node else 0, 63)
    if node + 1 < ids.size:
        alone = max(alone, shared_bits(ids[node] ^ ids[node + 1]))
    if count < k:
        for bucket in range(prefix + 1, alone + 1):
            if count + k <= answer.size:
                count = bucket_into(ids, node, bucket, k, key, answer, count)
    bucket = prefix - 1
    while count < k and bucket >= 0:
        count = bucket_into(ids, node, bucket, k, key, answer, count)
        bucket -= 1
    return keep_closest(answer, count, k, ids, target)


@compiled
def attackers_nearest(
    ids: UInt64s, attackers: Int32s, target: np.uint64, k: int, answer: Int32s
) -> int:
    """Write the attackers around *target* in the order of identifiers; return how many.

    The nearest by number share the longest prefixes; that is what an attacker computes.
    """
    low, high = 0, attackers.size
    while low < high:
        middle = (low + high) >> 1
        if ids[attackers[middle]] < target:
            low = middle + 1
        else:
            high = middle
    first = min(max(0, low - k), max(0, attackers.size - 2 * k))
    count = 0
    for place in range(first, min(first + 2 * k, attackers.size)):
        answer[count] = attackers[place]
        count += 1
    return keep_closest(answer, count, k, ids, target)


@compiled_inline
def insert(heard: Candidates, size: int, rank: int, distance: np.uint64, depth: int) -> int:
    """Put a node into the list of candidates, nearest first; return the new size."""
    ranks, distances, states, depths = heard.ranks, heard.distances, heard.states, heard.depths
    if size == ranks.size and distance >= distances[size - 1]:
        return size
    low, high = 0, size
    while low < high:
        middle = (low + high) >> 1
        if distances[middle] < distance:
            low = middle + 1
        else:
            high = middle
    if low < size and distances[low] == distance:
        return size
    last = min(size, ranks.size - 1)
    for slot in range(last, low, -1):
        ranks[slot] = ranks[slot - 1]
        distances[slot] = distances[slot - 1]
        states[slot] = states[slot - 1]
        depths[slot] = depths[slot - 1]
    ranks[low], distances[low] = rank, distance
    states[low], depths[low] = _NEW, depth
    return min(size + 1, ranks.size)


@compiled_inline
def is_over(states: Bytes, size: int, beta: int) -> bool:
    """Tell whether the *beta* closest that are not silent have answered."""
    answered = 0
    for slot in range(size):
        if answered == beta:
            break
        if states[slot] == _ANSWERED:
            answered += 1
        elif states[slot] != _SILENT:
            return False
    return True


@compiled_inline
def next_new(states: Bytes, size: int, k: int) -> int:
    """Return the closest candidate among the first *k* live ones that was not asked, or -1."""
    live = 0
    for slot in range(size):
        if live == k:
            break
        if states[slot] == _NEW:
            return slot
        if states[slot] != _SILENT:
            live += 1
    return -1


@compiled_inline
def earliest(due: Int64s, flying: int) -> int:
    """Return the request in flight that ends first."""
    first = 0
    for place in range(1, flying):
        if due[place] < due[first]:
            first = place
    return first


@compiled_inline
def place_of(distances: UInt64s, size: int, distance: np.uint64) -> int:
    """Return where the candidate at this distance is (distances are unique), or -1."""
    low, high = 0, size
    while low < high:
        middle = (low + high) >> 1
        if distances[middle] < distance:
            low = middle + 1
        else:
            high = middle
    return low if low < size and distances[low] == distance else -1


@compiled_inline
def _place(net: Net, node: int) -> tuple[int, int]:
    """Return the site and the last mile of a node; hashed when they are not listed."""
    if net.site.size:
        return int(net.site[node]), int(net.last_mile_us[node])
    bits = mixed(net.key ^ U64(node))
    return below(bits, net.path_us.shape[0]), 500 + below(bits << U64(32), 7000)


@compiled_inline
def _round_trip_us(net: Net, one: int, other: int) -> int:
    """Return there and back between two nodes."""
    site, last_mile_us = _place(net, one)
    other_site, other_last_mile_us = _place(net, other)
    ways = net.path_us[site, other_site] + net.path_us[other_site, site]
    return int(ways) + 2 * (last_mile_us + other_last_mile_us)


@compiled_inline
def _answer(net: Net, node: int, target: np.uint64, answer: Int32s) -> int:
    """Write what *node* answers; return how many."""
    if net.kinds.size and net.kinds[node] == ATTACKER:
        return attackers_nearest(net.ids, net.attackers, target, net.k, answer)
    if net.contacts.size:
        return closest_known(net.ids, net.contacts, node, target, answer)
    return closest_computed(net.ids, node, target, net.k, net.key, answer)


@compiled_inline
def _learn(
    net: Net,
    heard: Candidates,
    size: int,
    answer: Int32s,
    count: int,
    source: int,
    target: np.uint64,
    depth: int,
) -> int:
    """Put an answer into the list of candidates; return its new size."""
    for slot in range(count):  # independent loads: the misses overlap
        heard.gaps[slot] = net.ids[answer[slot]] ^ target
    for slot in range(count):
        if answer[slot] != source:
            size = insert(heard, size, answer[slot], heard.gaps[slot], depth)
    return size


@compiled
def _look_up(
    net: Net,
    sources: Int64s,
    targets: UInt64s,
    alpha: int,
    beta: int,
    timeout_us: int,
    room: int,
    results: Int64s,
    closest: Int32s,
) -> None:
    answer = np.zeros(net.k * _BUCKETS_IN_ANSWER, np.int32)
    heard = Candidates(
        np.zeros(room, np.int32),
        np.zeros(room, np.uint64),
        np.zeros(room, np.int8),
        np.zeros(room, np.int8),
        np.zeros(net.k, np.uint64),
    )
    asked, due = np.zeros((alpha, 2), np.int32), np.zeros(alpha, np.int64)
    for which in range(sources.size):
        source, target = sources[which], targets[which]
        flying, now, requests, timeouts = 0, 0, 0, 0
        count = _answer(net, source, target, answer)
        size = _learn(net, heard, 0, answer, count, source, target, 1)
        while not is_over(heard.states, size, beta):
            while flying < alpha:
                slot = next_new(heard.states, size, net.k)
                if slot < 0:
                    break
                node = heard.ranks[slot]
                heard.states[slot] = _ASKED
                asked[flying, 0], asked[flying, 1] = node, heard.depths[slot]
                due[flying] = now + timeout_us
                if not (net.kinds.size and net.kinds[node] == DEAD):
                    due[flying] = now + _round_trip_us(net, source, node)
                flying += 1
                requests += 1
            if flying == 0:
                break
            place = earliest(due, flying)
            node, depth, now = asked[place, 0], asked[place, 1], due[place]
            flying -= 1
            asked[place], due[place] = asked[flying], due[flying]
            silent = net.kinds.size > 0 and net.kinds[node] == DEAD
            slot = place_of(heard.distances, size, net.ids[node] ^ target)
            if slot >= 0:  # nearer ones may have pushed it off the list meanwhile
                heard.states[slot] = _SILENT if silent else _ANSWERED
            if silent:
                timeouts += 1
            else:
                count = _answer(net, node, target, answer)
                size = _learn(net, heard, size, answer, count, source, target, depth + 1)
        _write(which, heard, size, requests, timeouts, now, results, closest)


@compiled_inline
def _write(
    which: int,
    heard: Candidates,
    size: int,
    requests: int,
    timeouts: int,
    now: int,
    results: Int64s,
    closest: Int32s,
) -> None:
    results[which, 0], results[which, 1] = -1, 0
    results[which, 2], results[which, 3], results[which, 4] = requests, timeouts, now
    count = 0
    for slot in range(size):
        if heard.states[slot] == _ANSWERED and count < closest.shape[1]:
            if count == 0:
                results[which, 0], results[which, 1] = heard.ranks[slot], heard.depths[slot]
            closest[which, count] = heard.ranks[slot]
            count += 1


def look_up(
    tables: Tables,
    underlay: Underlay,
    sources: Int64s,
    targets: UInt64s,
    parameters: Parameters = Parameters(),
    kinds: Bytes | None = None,
) -> Lookups:
    """Run one lookup per source and target; lookups do not touch each other.

    Args:
        tables: routing tables.
        underlay: who is where; round trips come from it.
        sources: int64 ranks of who asks.
        targets: uint64 identifiers that are looked for.
        parameters: alpha, beta, time-out.
        kinds: int8 per node: `ALIVE` (default), `DEAD` or `ATTACKER`.
    """
    kinds = np.zeros(0, np.int8) if kinds is None else kinds
    attackers = np.flatnonzero(kinds == ATTACKER).astype(np.int32)
    places = underlay.site, underlay.last_mile_us, underlay.path_us
    net = Net(tables.ids, tables.contacts, tables.k, U64(0), kinds, attackers, *places)
    return _run(net, sources, targets, parameters)


def look_up_implicit(
    ids: UInt64s,
    path_us: Int32s,
    sources: Int64s,
    targets: UInt64s,
    parameters: Parameters = Parameters(),
    *,
    k: int = 20,
    seed: int = 1,
) -> Lookups:
    """Run lookups over computed tables and hashed places: 8 bytes a node, for up to 2^31 nodes."""
    none, no_table = np.zeros(0, np.int32), np.zeros((0, 0, 0), np.int32)
    kinds = np.zeros(0, np.int8)
    net = Net(ids, no_table, k, key_of(seed, 0x1397), kinds, none, none, none, path_us)
    return _run(net, sources, targets, parameters)


def _run(net: Net, sources: Int64s, targets: UInt64s, parameters: Parameters) -> Lookups:
    results = np.zeros((sources.size, 5), np.int64)
    closest = np.full((sources.size, net.k), -1, np.int32)
    # Only where some are silent are others needed in reserve; without, the same ones are asked.
    room = net.k * (4 if np.any(net.kinds == DEAD) else 1)
    limits = parameters.alpha, min(parameters.beta, net.k), parameters.timeout_us
    _look_up(net, sources, targets, *limits, room, results, closest)
    found, hops, requests, timeouts, latency_us = results.T.copy()
    return Lookups(found, hops, requests, timeouts, latency_us, closest)


@compiled
def _nearest(ids: UInt64s, targets: UInt64s, found: Int64s) -> None:
    for which in range(targets.size):
        low, high = 0, ids.size
        for depth in range(64):
            if high - low == 1:
                break
            bit = U64(1) << U64(63 - depth)
            edge = (ids[low] | bit) & ~(bit - U64(1))
            split = first_at_least(ids, low, high, edge)
            wants_upper = (targets[which] & bit) != U64(0)
            if split == high or (split > low and not wants_upper):
                high = split
            else:
                low = split
        found[which] = low


def truly_nearest(ids: UInt64s, targets: UInt64s) -> Int64s:
    """Return the rank of the node nearest to each target by XOR: a walk down the trie."""
    found = np.zeros(targets.size, np.int64)
    _nearest(ids, targets, found)
    return found
