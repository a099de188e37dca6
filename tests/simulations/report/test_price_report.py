"""The price report is written by one command; its figures are measured, its verdicts follow."""

import numpy as np
import pytest

pytest.importorskip("numba")

from simulations.models.market.exchange import Market, run
from simulations.report.price import make
from simulations.report.price_report import best, conclusions, pays
from simulations.report.price_study import (
    LEVELS,
    SCENES,
    STAYING,
    WASH,
    Manipulation,
    Study,
    manipulations,
    shape_of,
    shock,
    smoothed,
)
from simulations.sweep.statistics import Estimate


def test_a_price_that_jumps_and_stays_settles_when_it_jumps() -> None:
    session = run(Market(providers=5, duration_s=7_200), 1)
    session.price[:] = np.where(np.arange(120) < 50, 100.0, 200.0)
    session.price[60] = 0.0  # a minute without trade keeps the last price
    shape = shape_of(session, 40)
    assert shape.settles_min == pytest.approx(13, abs=1)
    assert shape.overshoot == 0
    assert shape.oscillation == 0


def test_overshoot_and_oscillation_are_seen() -> None:
    session = run(Market(providers=5, duration_s=7_200), 1)
    minutes = np.arange(120)
    session.price[:] = 100 + 20 * np.sin(minutes / 3) + np.where(minutes == 50, 400, 0)
    shape = shape_of(session, 40)
    assert shape.overshoot > 0.6
    assert shape.oscillation > 0.05
    assert shape.settles_min > 70


def test_smoothing_keeps_a_constant() -> None:
    assert smoothed(np.full(10, 7.0)) == pytest.approx(np.full(10, 7.0))


def test_washing_loses_money_and_a_high_price_loses_customers() -> None:
    rows = {row.strategy: row for row in manipulations(10, 1, 4, [WASH, "hold 2.5 x the level"])}
    assert rows[WASH].gain.mean < -0.3
    assert rows["hold 2.5 x the level"].gain.mean < -0.3
    assert all(row.buyers.mean < 0 for row in rows.values())


def test_requesters_that_widen_save_the_market_from_its_herd() -> None:
    before, after = (
        shock(scene, 150, 1).figures["welfare"].mean for scene in (STAYING, "demand x10")
    )
    assert after > before + 0.1


def row(gain: float, width: float, providers: int = 10, strategy: str = WASH) -> Manipulation:
    same = Estimate(0.1, 0.01, 5)
    return Manipulation(providers, 1, strategy, 0.0, Estimate(gain, width, 5), same, same)


def test_a_gain_counts_only_beyond_its_interval() -> None:
    assert pays(row(0.3, 0.1))
    assert not pays(row(0.1, 0.2))
    assert not pays(Manipulation(10, 1, WASH, 0, *(Estimate(0.5, float("inf"), 1),) * 3))
    assert best([row(0.1, 0), row(0.2, 0), row(0.9, 0, 50)], 10).gain.mean == 0.2


def test_conclusions_turn_round_when_the_numbers_do() -> None:
    shocks = [shock(scene, 10, 1) for scene in SCENES]
    honest = conclusions(Study(shocks, [row(-0.2, 0.1)], [row(-0.2, 0.1)]))
    gamed = conclusions(Study(shocks, [row(0.4, 0.1)], [row(0.4, 0.1)]))
    assert "No gain was found for one provider" in honest
    assert "A single hand can gain" in gamed
    assert "cartel of three in ten does gain" in gamed
    assert "cartel of three in ten does gain" not in honest


def test_one_call_writes_the_report_with_every_scene_and_plot(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("simulations.report.price.QUICK_SEEDS", {10: 1})
    shares: list[float] = []
    files = make(tmp_path, quick=True, progress=shares.append)
    text = (tmp_path / "price-report.md").read_text(encoding="utf-8")
    assert all(f"### {scene[0].upper()}{scene[1:]}" in text for scene in SCENES)
    assert text.count("hold ") >= 2 * len(LEVELS)
    assert all(file.stat().st_size > 500 for file in files)
    assert shares == sorted(shares)
    assert shares[-1] == 1
