"""The verdict of the long soak: what it calls flat, what it calls a leak, and what it counts."""

from collections import Counter
from functools import partial

import pytest

from overlay.soak.census import count_entries, grown
from overlay.soak.endurance import LIMITS, judge, slope_per_hour
from overlay.soak.swarm import Sample


def samples(*, leak_mib_per_hour: float = 0.0, tasks_per_hour: float = 0.0, noise: float = 1.0):
    return [
        Sample(
            at_s=float(second),
            rss_mib=100 + leak_mib_per_hour * second / 3600 + noise * (second // 10 % 3),
            tasks=int(80 + tasks_per_hour * second / 3600 + second // 10 % 7),
            files=15,
            done={"visits": second},
            entries={} if second % 300 else {"Swarm.connections": 5, "Node.forgotten": 5 + second},
            objects={},
        )
        for second in range(0, 3600, 10)
    ]


def test_noise_around_a_level_is_flat() -> None:
    assert judge("subject", samples(), LIMITS["subject"]).passed


@pytest.mark.parametrize("leak", [{"leak_mib_per_hour": 6.0}, {"tasks_per_hour": 12.0}])
def test_a_slow_leak_in_the_noise_is_a_leak(leak) -> None:
    assert not judge("subject", samples(**leak), LIMITS["subject"]).passed


def test_caches_that_fill_in_the_first_quarter_are_no_leak() -> None:
    filling = [
        Sample(s.at_s, s.rss_mib + min(900.0, s.at_s) / 90, s.tasks, s.files, {}, {}, {})
        for s in samples()
    ]
    assert judge("subject", filling, LIMITS["subject"]).passed


def test_a_short_run_is_judged_by_what_it_grew_in_all() -> None:
    for leak, holds in (({"leak_mib_per_hour": 30.0}, True), ({"leak_mib_per_hour": 200.0}, False)):
        short = [each for each in samples(**leak) if each.at_s <= 240]
        assert judge("subject", short, LIMITS["subject"]).passed is holds
    climbing = [each for each in samples(tasks_per_hour=900.0) if each.at_s <= 240]
    assert not judge("subject", climbing, LIMITS["subject"]).passed


def test_one_wild_sample_changes_no_verdict() -> None:
    wild = samples()
    wild[-1] = Sample(wild[-1].at_s, 900.0, 5000, 400, {}, {}, {})
    assert judge("subject", wild, LIMITS["subject"]).passed
    assert slope_per_hour([]) == slope_per_hour([(1, 2)]) == 0.0


def test_the_row_names_the_container_that_doubled() -> None:
    row = judge("subject", samples(), LIMITS["subject"])
    assert "Node.forgotten" in row.figure
    assert "Swarm.connections" not in row.figure


class _Inner:
    __slots__ = ("kept",)

    def __init__(self) -> None:
        self.kept = [1, 2, 3]


class _Outer:
    def __init__(self) -> None:
        self.by_name = {"a": _Inner(), "b": _Inner()}
        self.callback = partial(self._called, {1, 2})
        closed_over = {"x": 1, "y": 2}

        def look_up() -> int:
            return len(closed_over)

        self.look_up = look_up
        self.itself = self

    def _called(self, _seen: set[int]) -> None:
        """Nothing."""


def test_a_census_reaches_slots_closures_and_arguments_and_counts_all_of_a_name() -> None:
    found = count_entries(_Outer())
    assert found["_Outer.by_name"] == 2
    assert found["_Inner.kept"] == 6
    assert found["_Outer.closed_over"] == 2
    assert found["_Outer.callback[]"] == 2


def test_what_grew_is_what_doubled_and_by_enough() -> None:
    before, after = Counter(a=10, b=100, c=1), Counter(a=90, b=180, c=9)
    assert grown(before, after, entries_min=64) == {"a": "10 -> 90"}
