"""Results are there whole or not at all, say how to redo them, and are not made twice."""

import sys

import msgspec
import pytest

from cocoon.errors import ConfigError, MissingAsset
from simulations import engines, records
from simulations.engines import Engine, Outcome, check_memory, missing
from simulations.execution import execute_all, left_to_do, plan_of, read_plan, write_plan
from simulations.records import BadResults, read_manifest, read_runs, read_table, run_key
from simulations.scenario import Scenario, changed

pytest.importorskip("pyarrow", reason="the extra `sim` is not installed")

CALLS: list[int] = []


def fake_run(scenario: Scenario, seed: int, progress) -> Outcome:
    CALLS.append(seed)
    if seed == 13:
        raise KeyboardInterrupt
    return Outcome({"seed": seed}, {"job": {"at_s": [1.0, 2.0]}}, ["a", "b"], "00", [])


@pytest.fixture
def scenario(monkeypatch) -> Scenario:
    CALLS.clear()
    sys.modules["fake_engine"] = sys.modules[__name__]
    engine = Engine("exact", "of this test", "fake_engine:fake_run", 1, 1, "any")
    monkeypatch.setitem(engines.ENGINES, "exact", engine)
    yield Scenario(replicas=4, seed=10)
    del sys.modules["fake_engine"]


def test_a_stopped_plan_goes_on_where_it_was(scenario, tmp_path) -> None:
    plan = plan_of(scenario)
    write_plan(tmp_path, plan)
    with pytest.raises(KeyboardInterrupt):
        list(execute_all(plan, tmp_path, None))
    assert [each.seed for each in left_to_do(tmp_path, read_plan(tmp_path))] == [13]
    assert [manifest.seed for _, manifest in read_runs(tmp_path)] == [10, 11, 12]
    with pytest.raises(KeyboardInterrupt):
        list(execute_all(plan, tmp_path, None))
    assert CALLS == [10, 11, 12, 13, 13]


def test_a_manifest_says_how_to_redo_the_run(scenario, tmp_path) -> None:
    (manifest, *_) = execute_all(plan_of(changed(scenario, replicas=1)), tmp_path, None)
    folder = tmp_path / "runs" / manifest.key
    assert read_manifest(folder) == manifest
    assert manifest.scenario == changed(scenario, replicas=1)
    assert manifest.versions["python"]
    assert manifest.commit
    assert read_table(folder, "job") == {"at_s": [1.0, 2.0]}
    assert (folder / "events.log").read_text() == "a\nb\n"
    assert read_table(folder, "price") == {}


def test_the_key_depends_on_scenario_seed_and_commit_but_not_on_the_name(monkeypatch) -> None:
    scenario = Scenario()
    key = run_key(scenario, 1)
    assert key == run_key(changed(scenario, name="other", replicas=9), 1)
    assert key != run_key(scenario, 2)
    assert key != run_key(changed(scenario, duration_s=1.0), 1)
    monkeypatch.setattr(records, "commit", lambda: "another")
    assert key != run_key(scenario, 1)


def test_a_half_written_run_is_no_run(scenario, tmp_path) -> None:
    (tmp_path / "runs" / run_key(scenario, 10)).mkdir(parents=True)
    assert len(left_to_do(tmp_path, plan_of(scenario))) == 4
    with pytest.raises(BadResults, match="no finished run"):
        read_runs(tmp_path)


def test_results_are_not_written_among_other_things(tmp_path) -> None:
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(ConfigError, match="holds no results"):
        records.require_results_folder(tmp_path)


def test_a_run_that_would_not_fit_says_so_before_it_starts() -> None:
    huge = changed(Scenario(), **{"population.providers": 10**9})
    with pytest.raises(ConfigError, match=r"would take about [0-9,]+ MiB"):
        check_memory(huge)
    capped = changed(Scenario(), **{"record.memory_mb_max": 1})
    with pytest.raises(ConfigError, match=r"record\.memory_mb_max"):
        check_memory(capped)


def test_a_missing_package_of_the_extra_is_named_with_its_remedy() -> None:
    absent = missing(ModuleNotFoundError(name="numba.core"), "this")
    assert isinstance(absent, MissingAsset)
    assert "pip install matplotlib numba pyarrow" in str(absent)
    ours = ModuleNotFoundError(name="simulations.typo")
    assert missing(ours, "this") is ours


def test_a_manifest_of_another_shape_is_refused(tmp_path) -> None:
    (tmp_path / "manifest.json").write_bytes(msgspec.json.encode({"key": "x"}))
    with pytest.raises(BadResults):
        read_manifest(tmp_path)


def test_what_an_engine_does_not_simulate_is_refused_and_not_left_out_silently() -> None:
    wanted = changed(Scenario(engine="nodes"), **{"faults.crashes_per_hour": 3.0})
    with pytest.raises(ConfigError, match=r"does not simulate faults\.crashes_per_hour"):
        check_memory(wanted)
    check_memory(changed(wanted, engine="exact"))
