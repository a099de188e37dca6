"""Event queues: exact order, nothing lost, the same whatever runs beside."""

import heapq

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from simulations.models.draws import draw, exponential, key_of, mixed, unit
from simulations.models.queues import (
    LOOKAHEAD,
    phold_calendar,
    phold_heap,
    sift_down,
    sift_up,
)

PENDING, EVENTS = 200, 20_000


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=40))
def test_the_heap_gives_back_in_order_what_was_put_in(times) -> None:
    heap, items = np.zeros(len(times) + 1), np.zeros(len(times) + 1, np.int32)
    for size, time in enumerate(times):
        sift_up(heap, items, size, time, size)
    found = []
    for size in range(len(times) - 1, -1, -1):
        found.append((heap[0], times[items[0]]))
        sift_down(heap, items, size, heap[size], items[size])
    assert [one for one, _ in found] == sorted(times)
    assert all(time == own for time, own in found)


def test_phold_on_the_heap_is_what_the_standard_library_gives() -> None:
    key, counter, handled = key_of(3, 0), 0, [0] * PENDING

    def entity(bits: int) -> int:
        return int((bits << 32 & 0xFFFFFFFFFFFFFFFF) >> 32) * PENDING >> 32

    queue = []
    for place in range(PENDING):
        bits = int(draw(key, counter))
        counter += 1
        queue.append((exponential(np.uint64(bits)), place, entity(bits)))
    heapq.heapify(queue)
    for number in range(EVENTS):
        now, _, one = queue[0]
        handled[one] += 1
        bits = int(draw(key, counter))
        counter += 1
        due = now + LOOKAHEAD + exponential(np.uint64(bits))
        heapq.heapreplace(queue, (due, PENDING + number, entity(bits)))
    run = phold_heap(PENDING, EVENTS, seed=3)
    assert run.handled.tolist() == handled
    assert run.until == queue[0][0]


def test_the_calendar_handles_as_many_events_in_the_same_time() -> None:
    heap, calendar = phold_heap(1_000, 200_000), phold_calendar(1_000, 200_000)
    assert 200_000 <= calendar.events < 200_000 + 1_000
    assert calendar.handled.sum() == calendar.events
    assert abs(calendar.until / heap.until - 1) < 0.02
    assert phold_calendar(1_000, 200_000).handled.tolist() == calendar.handled.tolist()


def test_draws_are_uniform_and_depend_on_key_and_counter() -> None:
    key = key_of(1, 1)
    values = np.array([unit(np.uint64(draw(key, number))) for number in range(20_000)])
    counts, _ = np.histogram(values, bins=20, range=(0, 1))
    assert ((counts - 1000) ** 2 / 1000).sum() < 43.8, "chi-square, 19 degrees, 0.1 %"
    assert abs(np.corrcoef(values[:-1], values[1:])[0, 1]) < 0.03
    assert draw(key, 7) != draw(key_of(1, 2), 7)
    assert len({mixed(np.uint64(word)) for word in range(1000)}) == 1000
