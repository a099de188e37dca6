"""The measurement of floods: what it counts, and that it runs."""

import math

import pytest

from overlay.soak import flood
from overlay.soak.flood import Condition, p99_ms, verdict


def test_the_p99_of_many_is_not_their_maximum_and_what_was_lost_took_for_ever() -> None:
    delays_ms = [float(number) for number in range(1, 201)]
    assert p99_ms(delays_ms, 200) == 198.0
    assert p99_ms(delays_ms[:198], 200) == 198.0
    assert p99_ms(delays_ms[:197], 200) == math.inf


@pytest.mark.parametrize(
    ("quiet_ms", "flooded_ms", "holds"), [(4.0, 10.0, True), (4.0, 10.1, False), (1.0, 50.0, False)]
)
def test_twice_the_quiet_p99_and_a_tick_are_the_limit(quiet_ms, flooded_ms, holds) -> None:
    p99s_ms = {Condition.QUIET: [quiet_ms] * 3, Condition.FLOODED: [0.0, flooded_ms, 1000.0]}
    assert verdict(p99s_ms) == holds


def test_a_short_run_offers_the_whole_flood(monkeypatch) -> None:
    for name, value in {"ROUNDS": 1, "PHASE_S_MIN": 0.5, "RECOVERY_S": 0.5}.items():
        monkeypatch.setattr(flood, name, value)
    monkeypatch.setattr(flood, "FLOODS", (("forged", 10),))
    rows = list(flood.run(0.5))
    assert len(rows) == 2
    assert "offered 1000/s" in rows[0].name
    assert "next door" in rows[0].figure
