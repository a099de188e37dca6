"""Does the runs of a plan: here or on any executor, nothing twice, and resumable.

A plan is written before the first run starts, so a folder of results says what belongs into
it, and ``cocoon sim resume`` can finish it after any interruption.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, as_completed
from pathlib import Path
from typing import Final

import msgspec

from cocoon.clock import wall_clock
from simulations.engines import check_memory, engine_of
from simulations.records import (
    RUNS,
    BadResults,
    Manifest,
    is_done,
    make_manifest,
    read_manifest,
    run_key,
    write_run,
)
from simulations.scenario import Scenario

PLAN: Final = "plan.json"


class Planned(msgspec.Struct, frozen=True):
    """One run that belongs into a folder of results."""

    scenario: Scenario
    seed: int


def plan_of(scenario: Scenario) -> list[Planned]:
    """Return the runs of all replicas of *scenario*."""
    return [Planned(scenario, seed) for seed in scenario.seeds]


def write_plan(results: Path, plan: list[Planned]) -> None:
    """Add *plan* to what belongs into *results*."""
    known = read_plan(results) if (results / PLAN).exists() else []
    merged = {run_key(each.scenario, each.seed): each for each in [*known, *plan]}
    new = results / f".{PLAN}"
    new.write_bytes(msgspec.json.encode(list(merged.values())))
    new.replace(results / PLAN)


def read_plan(results: Path) -> list[Planned]:
    """Return what belongs into *results*.

    Raises:
        BadResults: nothing says so.
    """
    try:
        return msgspec.json.decode((results / PLAN).read_bytes(), type=list[Planned])
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadResults(f"{results}: no plan of runs in it: {error}") from error


def left_to_do(results: Path, plan: list[Planned]) -> list[Planned]:
    """Return the runs of *plan* that are not in *results* yet."""
    return [each for each in plan if not is_done(results, each.scenario, each.seed)]


def _no_progress(share: float) -> None:
    """Nobody listens."""


def execute(
    planned: Planned, results: Path, progress: Callable[[float], None] = _no_progress
) -> Manifest:
    """Do one run and keep it; a run that is kept already is only read.

    Raises:
        ConfigError: it needs more memory than there is.
        MissingAsset: a package of the extra `sim` is not installed.
    """
    scenario, seed = planned.scenario, planned.seed
    if is_done(results, scenario, seed):
        return read_manifest(results / RUNS / run_key(scenario, seed))
    check_memory(scenario)
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    outcome = engine_of(scenario).load()(scenario, seed, progress)
    manifest = make_manifest(
        scenario,
        seed,
        outcome,
        wall_s=time.perf_counter() - wall_s,
        cpu_s=time.process_time() - cpu_s,
        now_unix_s=int(wall_clock()),
    )
    write_run(results, manifest, outcome)
    return manifest


def execute_all(
    plan: list[Planned], results: Path, executor: Executor | None
) -> Iterator[Manifest]:
    """Do every run that is left, on *executor* or here; yield each as it ends.

    Raises:
        ConfigError, MissingAsset: see `execute`; runs that ended stay.
    """
    todo = left_to_do(results, plan)
    if executor is None:
        for planned in todo:
            yield execute(planned, results)
        return
    futures: list[Future[Manifest]] = [
        executor.submit(execute, planned, results) for planned in todo
    ]
    try:
        for future in as_completed(futures):
            yield future.result()
    finally:
        for future in futures:
            future.cancel()
