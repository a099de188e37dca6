"""Sweeps lose nothing: not to a killed worker, not to a stop; and their intervals are right."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context

import pytest

from cocoon.errors import ConfigError
from simulations.execution import execute_all, left_to_do, write_plan
from simulations.records import read_runs
from simulations.scenario import Scenario, changed
from simulations.sweep import resilient
from simulations.sweep.command import table
from simulations.sweep.grid import axes_of, grid
from simulations.sweep.resilient import SweepBroke, do_all
from simulations.sweep.statistics import difference, estimate

pytest.importorskip("numba")
RUNS = 200


def small(**values) -> Scenario:
    return changed(
        Scenario(engine="churn", name="small", duration_s=7200.0),
        **{"churn.session": "weibull", "population.providers": 40, **values},
    )


@contextmanager
def two_workers() -> Iterator[ProcessPoolExecutor]:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as executor:
        yield executor


def results_of(folder):
    return {
        (one.scenario.churn.session_scale_s, one.seed): (
            one.summary,
            (path / "session.parquet").read_bytes(),
        )
        for path, one in read_runs(folder)
    }


def test_200_runs_survive_a_killed_worker_and_a_stop(tmp_path) -> None:
    plan = grid(small(replicas=50), axes_of(["churn.session_scale_s=600,1200,2400,4800"]))
    assert len(plan) == RUNS
    disturbed, calm = tmp_path / "disturbed", tmp_path / "calm"
    for folder in (disturbed, calm):
        (folder / "runs").mkdir(parents=True)
        write_plan(folder, plan)
    opened = []

    @contextmanager
    def watched():
        with two_workers() as executor:
            opened.append(executor)
            yield executor

    going = do_all(plan, disturbed, watched)
    for done, _ in enumerate(going):
        if done == 30:
            victim = next(iter(opened[0]._processes))
            os.kill(victim, signal.SIGKILL)
        if done == 90:
            break
    going.close()
    assert len(opened) == 2, "a new executor took over from the broken one"
    left = len(left_to_do(disturbed, plan))
    assert 0 < left < RUNS - 60
    assert len(list(do_all(plan, disturbed, two_workers))) == left
    assert len(list(execute_all(plan, calm, None))) == RUNS
    assert results_of(disturbed) == results_of(calm)


def test_workers_that_always_die_end_the_sweep_with_words(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(resilient, "BREAKDOWNS_MAX", 2)
    (tmp_path / "runs").mkdir()

    @contextmanager
    def doomed():
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
            executor.submit(os._exit, 1)
            yield executor

    with pytest.raises(SweepBroke, match="enough memory"):
        list(do_all(grid(small(), {}), tmp_path, doomed))


def test_a_stopped_command_resumes(tmp_path) -> None:
    scenario = tmp_path / "small.toml"
    scenario.write_text('engine = "churn"\nname = "small"\n[churn]\nsession = "weibull"\n')
    command = [sys.executable, "-m", "cocoon", "sim"]
    over = ["--over", "churn.session_scale_s=600,1200"]
    swept = [*command, "sweep", str(scenario), "--out", str(tmp_path / "out"), *over]
    done = subprocess.run(swept, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    runs = sorted((tmp_path / "out" / "runs").iterdir())
    assert len(runs) == 2
    (runs[0] / "manifest.json").unlink()  # as if it had been killed before the end
    again = [*command, "resume", str(tmp_path / "out")]
    done = subprocess.run(again, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "1 of 2 runs are done" in done.stderr
    assert (runs[0] / "manifest.json").exists()
    assert (tmp_path / "out" / "plots" / "sweep-online_mean.svg").exists()


def test_the_table_has_a_row_for_each_point_with_its_interval(tmp_path) -> None:
    plan = grid(small(replicas=3), axes_of(["churn.session_scale_s=600,4800"]))
    (tmp_path / "runs").mkdir()
    list(execute_all(plan, tmp_path, None))
    rows = table([manifest for _, manifest in read_runs(tmp_path)])
    assert rows["churn.session_scale_s"] == [600.0, 4800.0]
    assert rows["runs"] == [3, 3]
    assert rows["online_mean"][0] < rows["online_mean"][1]
    assert all(width > 0 for width in rows["online_mean_half_width"])


def test_a_worker_on_a_cluster_does_runs(tmp_path) -> None:
    distributed = pytest.importorskip("distributed")
    from simulations.sweep.cluster import open_cluster

    plan = grid(small(replicas=4), {})
    (tmp_path / "runs").mkdir()
    cluster = distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
    )
    with cluster:
        found = list(do_all(plan, tmp_path, lambda: open_cluster(cluster.scheduler_address)))
    assert len(found) == 4
    assert left_to_do(tmp_path, plan) == []


@pytest.mark.parametrize("pair", ["nothing", "=1", "dht.alpha="])
def test_an_axis_that_is_none_is_refused(pair) -> None:
    with pytest.raises(ConfigError, match="KEY=V1"):
        axes_of([pair])


def test_a_key_that_no_scenario_has_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"dht\.alpha"):
        grid(small(), axes_of(["dht.alpa=1,2"]))


def test_values_of_an_axis_may_be_words_and_numbers() -> None:
    assert axes_of(["latency.model=constant,lognormal"]) == {
        "latency.model": ["constant", "lognormal"]
    }
    assert axes_of(["seed=1,2"]) == {"seed": [1, 2]}


def test_intervals_cover_the_truth_as_often_as_they_say() -> None:
    rng = random.Random(1)  # noqa: S311
    hits = sum(
        abs(one.mean - 3.0) <= one.half_width
        for one in (estimate([rng.gauss(3.0, 2.0) for _ in range(5)]) for _ in range(2000))
    )
    assert 0.93 < hits / 2000 < 0.97


def test_a_difference_that_is_there_is_found_and_none_is_not() -> None:
    rng = random.Random(2)  # noqa: S311
    one, same, more = ([rng.gauss(mean, 1.0) for _ in range(30)] for mean in (5.0, 5.0, 7.0))
    assert abs(difference(one, same).mean) < difference(one, same).half_width
    assert difference(one, more).mean > difference(one, more).half_width
