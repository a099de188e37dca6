"""The price report is written by one command; its figures are measured, its verdicts follow."""

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("numba")

from simulations.models.market.exchange import Market, run
from simulations.report import sessions as sessions_module
from simulations.report.making import Making
from simulations.report.price import make
from simulations.report.price_report import best, conclusions, dearest, manipulable, pays
from simulations.report.price_study import (
    LEVELS,
    QUICK,
    SCENES,
    STAYING,
    WAR,
    WASH,
    Manipulation,
    Seeds,
    Study,
    manipulations,
    shape_of,
    shock,
    smoothed,
)
from simulations.report.sessions import Sessions, Wanted, packed, unpacked
from simulations.sweep.statistics import Estimate, ratio

TINY = replace(QUICK, seeds={10: Seeds(1, 1)}, tiny={2: 1}, shared=10, shares=(0.5,))


def ignore(share: float) -> None:
    """Nobody listens."""


@pytest.fixture
def sessions(tmp_path) -> Sessions:
    return Sessions(tmp_path / "kept", nullcontext, ignore)


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


def test_washing_and_war_lose_money_and_a_high_price_loses_customers(sessions) -> None:
    names = [WASH, WAR, "hold 2.5 x the level"]
    rows = {row.strategy: row for row in manipulations(10, 1, 4, sessions, names)}
    assert set(rows) == set(names)
    for row in rows.values():
        assert row.gain.mean < -0.3
        assert row.price.mean > 0
        assert row.buyers.mean < 0


def test_requesters_that_widen_save_the_market_from_its_herd(sessions) -> None:
    before, after = (
        shock(scene, 150, 1, sessions).figures["welfare"].mean for scene in (STAYING, "demand x10")
    )
    assert after > before + 0.1


def row(
    gain: float, width: float, providers: int = 10, strategy: str = WASH, price: float = 0.0
) -> Manipulation:
    same, dearer = Estimate(0.1, 0.01, 5), Estimate(price, 0.005, 5)
    return Manipulation(providers, 1, strategy, 0.0, Estimate(gain, width, 5), dearer, same)


def test_a_gain_counts_only_beyond_its_interval() -> None:
    assert pays(row(0.3, 0.1))
    assert not pays(row(0.1, 0.2))
    assert not pays(Manipulation(10, 1, WASH, 0, *(Estimate(0.5, float("inf"), 1),) * 3))
    assert best([row(0.1, 0), row(0.2, 0), row(0.9, 0, 50)], 10).gain.mean == 0.2


def test_who_moves_the_price_at_little_cost_manipulates_too() -> None:
    cheap, dear = row(-0.07, 0.03, price=0.1), row(-0.5, 0.03, 100, price=0.3)
    assert manipulable([cheap, dear]) == [10]
    assert manipulable([row(-0.01, 0.01, price=0.024)]) == []
    assert dearest([cheap, row(-0.01, 0.01, price=0.2)], 10).price.mean == 0.2
    assert dearest([dear, row(-0.9, 0, 100, price=0.4)], 100) == dear


def test_a_ratio_is_of_the_sums_and_its_interval_shrinks_when_pairs_agree() -> None:
    assert ratio([2.0, 1.0], [1.0, 3.0]).mean == 0.75
    rng = np.random.default_rng(1)
    old = rng.uniform(1, 9, 400)
    near, far = (
        ratio(list(old * (1.5 + wide * rng.standard_normal(400))), list(old))
        for wide in (0.01, 0.5)
    )
    assert near.half_width < far.half_width / 10
    assert abs(far.mean - 1.5) < 2 * far.half_width


def test_conclusions_turn_round_when_the_numbers_do(sessions) -> None:
    shocks = [shock(scene, 10, 1, sessions) for scene in SCENES]
    bad, war, good = row(-0.2, 0.1), row(-0.3, 0.1, strategy=WAR), row(0.4, 0.1)
    honest = conclusions(Study(shocks, [bad, war], [bad, war], [bad]))
    assert "One provider manipulates it at no size tried" in honest
    assert "No lie about the load was found to pay" in honest
    assert "Three in ten in one hand do not manipulate it either" in honest
    large = row(-0.2, 0.1, 100)
    gamed = conclusions(Study(shocks, [good, war, large], [good, war], [good]))
    assert "From 100 providers on one provider" in gamed
    assert "with 10 it can" in gamed
    assert "Lying about the load pays" in gamed
    assert "Three in ten do manipulate it, at 10 providers" in gamed
    everywhere = conclusions(Study(shocks, [good, war], [bad, war], [bad]))
    assert "One hand can manipulate it at every size tried" in everywhere


def test_one_call_writes_the_report_with_every_scene_and_plot(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("simulations.report.price.QUICK", TINY)
    shares: list[float] = []
    files = make(tmp_path, Making(quick=True, progress=shares.append))
    text = (tmp_path / "price-report.md").read_text(encoding="utf-8")
    assert all(f"### {scene[0].upper()}{scene[1:]}" in text for scene in SCENES)
    assert text.count("hold ") >= 2 * len(LEVELS)
    assert all(file.stat().st_size > 500 for file in files)
    assert shares == sorted(shares)
    assert shares[-1] == 1


# --- runs are kept ------------------------------------------------------------------------


def test_a_session_survives_its_packing() -> None:
    one = run(Market(providers=7, duration_s=600, wage_war=0.1, colluding=1), 3)
    again = unpacked(packed(one))
    for name in one.__dataclass_fields__:
        assert np.array_equal(getattr(one, name), getattr(again, name)), name
        assert type(getattr(one, name)) is type(getattr(again, name)), name


def test_a_stopped_study_goes_on_and_does_nothing_twice(tmp_path, monkeypatch) -> None:
    wanted = [Wanted(Market(providers=3, duration_s=300), seed) for seed in range(1, 6)]
    done: list[int] = []

    def counted(market: Market, seed: int):
        if len(done) == 3 and seed not in done:
            raise KeyboardInterrupt
        done.append(seed)
        return run(market, seed)

    monkeypatch.setattr(sessions_module, "run", counted)
    with pytest.raises(KeyboardInterrupt):
        Sessions(tmp_path, nullcontext, ignore).make(wanted)
    assert done == [1, 2, 3]
    monkeypatch.setattr(
        sessions_module, "run", lambda market, seed: done.append(seed) or run(market, seed)
    )
    again = Sessions(tmp_path, nullcontext, ignore)
    again.make(wanted)
    assert done == [1, 2, 3, 4, 5]
    assert np.array_equal(again.get(*wanted[1]).paid, run(*wanted[1]).paid)
    assert not [file for file in tmp_path.iterdir() if file.name.startswith(".")]


def test_a_kept_session_is_of_its_market_seed_and_code(monkeypatch) -> None:
    one = Wanted(Market(providers=3), 1)
    keys = {
        sessions_module.key_of(each)
        for each in (one, Wanted(Market(providers=3), 2), Wanted(Market(providers=4), 1))
    }
    monkeypatch.setattr(sessions_module, "code_digest", lambda: b"other code")
    assert len(keys | {sessions_module.key_of(one)}) == 4


def test_a_killed_worker_says_that_nothing_is_lost(tmp_path) -> None:
    from concurrent.futures import Executor, Future
    from concurrent.futures.process import BrokenProcessPool

    class Dying(Executor):
        def submit(self, function, *arguments):
            future: Future = Future()
            future.set_exception(BrokenProcessPool("killed"))
            return future

    broken = Sessions(tmp_path, lambda: nullcontext(Dying()), ignore)
    with pytest.raises(sessions_module.WorkersDied, match="goes on where it was"):
        broken.make([Wanted(Market(providers=3, duration_s=60), 1)])
