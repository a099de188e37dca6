"""Churn: stationary from the first minute, and with the session lengths that were asked for."""

import math

import numpy as np
import pytest

from simulations.models.churn import Churn, live

WEIBULL = Churn()
LOG_NORMAL = Churn(session="log-normal", shape=1.2, scale_s=1800.0, gap_s=3600.0)


@pytest.mark.parametrize("churn", [WEIBULL, LOG_NORMAL], ids=["weibull", "log-normal"])
def test_the_share_online_is_stationary(churn) -> None:
    peers = 40_000
    history = live(churn, peers, 12.0, seed=1)
    expected, error = churn.availability, math.sqrt(0.25 / peers)
    for minute in (0, 60, 360, 720):
        assert abs(history.online[minute] / peers - expected) < 5 * error
    assert history.online[-1] == pytest.approx(history.online_at_end.sum(), abs=peers / 500)


def test_arrivals_and_departures_are_as_often_as_the_means_say() -> None:
    history = live(WEIBULL, 20_000, 24.0, seed=2)
    cycles = 24 * 3600 / (WEIBULL.session_s + WEIBULL.gap_s)
    assert history.changes == pytest.approx(2 * cycles * 20_000, rel=0.02)


def test_sessions_have_the_lengths_of_their_law() -> None:
    short = Churn(shape=1.0, scale_s=3600.0, gap_s=600.0)
    lengths = live(short, 20_000, 48.0, seed=3).sessions_by_hour
    for hours in (1, 2, 3):
        share = lengths[:hours].sum() / lengths.sum()
        assert share == pytest.approx(1 - math.exp(-hours), abs=0.01)


def test_the_same_seed_gives_the_same_lives_and_more_peers_change_nobody() -> None:
    one, more = live(WEIBULL, 1_000, 6.0, 1), live(WEIBULL, 1_000, 6.0, 1)
    assert np.array_equal(one.online, more.online)
    assert not np.array_equal(one.online, live(WEIBULL, 1_000, 6.0, 2).online)


@pytest.mark.parametrize("values", [{"shape": 0.0}, {"scale_s": -1.0}, {"gap_s": 0.0}])
def test_lengths_that_are_none_are_refused(values) -> None:
    with pytest.raises(ValueError, match="above zero"):
        Churn(**values)
