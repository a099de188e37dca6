"""Routing tables that are computed, not stored: a contact is a hash into its bucket's range.

Contact j of bucket b of node n is the same whenever it is asked for, so lookups see one
fixed network, in the memory of its identifiers: 8 bytes a node. Such tables have no
history; churn and attacks on tables need explicit ones (`tables`).

The k contacts of a large bucket are drawn one from each of k equal slices of it, so that
they differ without a search; Salah, Roos and Strufe (arXiv 1408.3079) show that such
diversity shortens lookups a little, here by about 2 % of the hops.
"""

import numpy as np

from simulations.models.compiled import U64, Int32s, UInt64s, compiled_inline
from simulations.models.draws import below, draw, mixed

_PER_ID = 1.0 / 18446744073709551616.0
_STEP = 64
_BITS = 64


@compiled_inline
def _first_at_least(ids: UInt64s, value: np.uint64) -> int:
    """Guess the rank by interpolation (identifiers are uniform), gallop, then bisect."""
    nodes, step = ids.size, _STEP
    guess = min(int(np.float64(value) * (nodes * _PER_ID)), nodes - 1)
    if ids[guess] < value:
        low = guess
        while low + step < nodes and ids[low + step] < value:
            low += step
            step *= 2
        high = min(nodes, low + step)
    else:
        high = guess
        while high - step >= 0 and ids[high - step] >= value:
            high -= step
            step *= 2
        low = max(-1, high - step)
    while high - low > 1:
        middle = (low + high) >> 1
        if ids[middle] < value:
            low = middle
        else:
            high = middle
    return high


@compiled_inline
def bucket_into(
    ids: UInt64s, node: int, bucket: int, k: int, key: np.uint64, answer: Int32s, count: int
) -> int:
    """Append the contacts of one bucket of *node* to *answer*; return the new count."""
    bit = U64(1) << U64(63 - bucket)
    start = (ids[node] ^ bit) & ~(bit - U64(1))
    last = start | (bit - U64(1))
    low, high = _first_at_least(ids, start), _first_at_least(ids, last)
    if high < ids.size and ids[high] == last:
        high += 1
    size = high - low
    if size <= k:
        for rank in range(low, high):
            answer[count] = rank
            count += 1
        return count
    own = mixed(key ^ U64(node * _BITS + bucket))
    for slot in range(k):
        begin, end = size * slot // k, size * (slot + 1) // k
        answer[count] = low + begin + below(draw(own, slot), end - begin)
        count += 1
    return count
