"""Event queues of discrete-event simulation, as arrays: a binary heap and a calendar queue.

PHOLD is the field's standard load: `pending` events, each of which makes the next one
at a random entity after a look-ahead and an exponential delay.

Sources: Fujimoto, Performance of Time Warp under synthetic workloads (1990) for PHOLD;
Brown, Calendar queues (CACM 31(10), 1988). The calendar's buckets are no wider than
the look-ahead, so nothing that happens in a bucket can add to it, and the order inside
a bucket is free (the argument of conservative parallel simulation, Chandy and Misra 1979).
"""

from dataclasses import dataclass

import numpy as np

from simulations.models.compiled import U64, Floats, Int32s, Int64s, compiled, compiled_inline
from simulations.models.draws import below, draw, exponential, key_of

LOOKAHEAD = 0.1


@compiled_inline
def sift_down(times: Floats, items: Int32s, size: int, time: float, item: int) -> None:
    """Put (time, item) into the hole at the top of a heap of *size*, which is filled again."""
    hole = 0
    while True:
        child = 2 * hole + 1
        if child >= size:
            break
        if child + 1 < size and times[child + 1] < times[child]:
            child += 1
        if times[child] >= time:
            break
        times[hole] = times[child]
        items[hole] = items[child]
        hole = child
    times[hole] = time
    items[hole] = item


@compiled_inline
def sift_up(times: Floats, items: Int32s, size: int, time: float, item: int) -> None:
    """Add (time, item) to a heap of *size*; the caller counts one more."""
    hole = size
    while hole > 0:
        parent = (hole - 1) >> 1
        if times[parent] <= time:
            break
        times[hole] = times[parent]
        items[hole] = items[parent]
        hole = parent
    times[hole] = time
    items[hole] = item


@dataclass(frozen=True, slots=True)
class PholdRun:
    """What a run of PHOLD did.

    Attributes:
        events: how many were handled.
        until: simulated time of the last one (the end of its bucket for a calendar).
        handled: events per entity, int64.
    """

    events: int
    until: float
    handled: Int64s


@compiled
def _phold_heap(pending: int, events: int, key: np.uint64, handled: Int64s) -> float:
    times, items = np.empty(pending + 1), np.empty(pending + 1, np.int32)
    counter = 0
    for size in range(pending):
        bits = draw(key, counter)
        counter += 1
        sift_up(times, items, size, exponential(bits), below(bits << U64(32), pending))
    for _ in range(events):
        handled[items[0]] += 1
        bits = draw(key, counter)
        counter += 1
        due = times[0] + LOOKAHEAD + exponential(bits)
        sift_down(times, items, pending, due, below(bits << U64(32), pending))
    return float(times[0])


@compiled
def _phold_calendar(
    pending: int, events: int, key: np.uint64, buckets: int, handled: Int64s
) -> tuple[int, float]:
    """Buckets are chains of events in arrays; *buckets* is a power of two."""
    head, following = np.full(buckets, -1, np.int32), np.empty(pending, np.int32)
    times, items = np.empty(pending), np.empty(pending, np.int32)
    per_width, wrap, counter, done, now = 1.0 / LOOKAHEAD, buckets - 1, 0, 0, 0
    for event in range(pending):
        bits = draw(key, counter)
        counter += 1
        times[event] = exponential(bits)
        items[event] = below(bits << U64(32), pending)
        bucket = np.int64(times[event] * per_width) & wrap
        following[event] = head[bucket]
        head[bucket] = event
    while done < events:
        event = head[now & wrap]
        head[now & wrap] = -1
        while event >= 0:
            after = following[event]
            if np.int64(times[event] * per_width) <= now:
                handled[items[event]] += 1
                done += 1
                bits = draw(key, counter)
                counter += 1
                times[event] = times[event] + LOOKAHEAD + exponential(bits)
                items[event] = below(bits << U64(32), pending)
            bucket = np.int64(times[event] * per_width) & wrap
            following[event] = head[bucket]
            head[bucket] = event
            event = after
        now += 1
    return done, now * LOOKAHEAD


def phold_heap(pending: int, events: int, seed: int = 1) -> PholdRun:
    """Run PHOLD on a binary heap: events in exact order of time."""
    handled = np.zeros(pending, np.int64)
    until = _phold_heap(pending, events, key_of(seed, 0), handled)
    return PholdRun(events, until, handled)


def phold_calendar(pending: int, events: int, seed: int = 1, buckets: int = 256) -> PholdRun:
    """Run PHOLD on a calendar queue; the last bucket is finished, so a few more are handled."""
    handled = np.zeros(pending, np.int64)
    done, until = _phold_calendar(pending, events, key_of(seed, 0), buckets, handled)
    return PholdRun(done, until, handled)
