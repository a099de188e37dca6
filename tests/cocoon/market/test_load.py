"""Load windows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cocoon.market.load import WINDOW_MS_MAX, Load, LoadWindow
from overlay.errors import LocalProtocolError


def test_busy_time_is_summed_over_slots():
    window = LoadWindow(slots=2, now_ms=0, window_ms=1_000)
    window.started(100)
    window.started(300)
    window.ended(400)
    assert window.take(1_000) == Load(slots=2, window_ms=1_000, busy_slot_ms=900 + 100)


def test_a_window_is_taken_only_when_it_is_over_and_the_next_begins_there():
    window = LoadWindow(slots=1, now_ms=0, window_ms=1_000)
    window.started(500)
    assert window.take(999) is None
    assert window.take(1_250) == Load(1, 1_250, 750)
    assert window.take(2_249) is None
    assert window.take(2_250) == Load(1, 1_000, 1_000)


def test_a_clock_that_goes_backwards_stands_still():
    window = LoadWindow(slots=1, now_ms=1_000, window_ms=1_000)
    window.started(900)
    window.ended(1_500)
    assert window.take(2_000) == Load(1, 1_000, 500)


def test_a_job_that_runs_on_is_busy_in_the_next_window_too():
    window = LoadWindow(slots=1, now_ms=0, window_ms=1_000)
    window.started(400)
    assert window.take(1_000) == Load(1, 1_000, 600)
    assert window.take(2_000) == Load(1, 1_000, 1_000)
    assert window.free_slots == 0


def test_a_window_longer_than_the_wire_allows_is_cut_off():
    window = LoadWindow(slots=1, now_ms=0)
    window.started(0)
    assert window.take(10**9) == Load(1, WINDOW_MS_MAX, WINDOW_MS_MAX)


def test_more_jobs_than_slots_and_fewer_than_none_are_our_bugs():
    window = LoadWindow(slots=1, now_ms=0)
    with pytest.raises(LocalProtocolError):
        window.ended(0)
    window.started(0)
    with pytest.raises(LocalProtocolError):
        window.started(0)
    with pytest.raises(LocalProtocolError):
        LoadWindow(slots=0, now_ms=0)


@given(
    st.integers(1, 8),
    st.lists(st.tuples(st.sampled_from(["start", "end", "take"]), st.integers(0, 3_000))),
)
def test_windows_cover_all_time_once_and_hold_no_more_busy_time_than_there_is(slots, steps):
    window, now_ms, covered_ms, busy_ms, running = (
        LoadWindow(slots=slots, now_ms=0, window_ms=1_000),
        0,
        0,
        0,
        0,
    )
    loads = []
    for action, passed_ms in steps:
        now_ms += passed_ms
        busy_ms += running * passed_ms
        if action == "start" and window.free_slots:
            window.started(now_ms)
            running += 1
        elif action == "end" and window.running:
            window.ended(now_ms)
            running -= 1
        elif (load := window.take(now_ms)) is not None:
            loads.append(load)
            covered_ms = now_ms
    now_ms += 1_000
    busy_ms += running * 1_000
    last = window.take(now_ms)
    assert last is not None
    loads.append(last)
    assert covered_ms <= now_ms == sum(load.window_ms for load in loads)
    assert sum(load.busy_slot_ms for load in loads) == busy_ms
    assert all(load.busy_slot_ms <= load.slots * load.window_ms for load in loads)
