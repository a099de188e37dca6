"""``cocoon sim run``, ``resume`` and ``seeds``: progress with time left, and what came out."""

import argparse
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path

import msgspec
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from cocoon.cli.output import Output
from cocoon.errors import ConfigError
from simulations.cli.scenarios import load_changed
from simulations.engines import Outcome, check_memory, engine_of
from simulations.execution import (
    Planned,
    execute,
    left_to_do,
    plan_of,
    read_plan,
    write_plan,
)
from simulations.records import Manifest, read_runs, require_results_folder
from simulations.scenario import Scenario
from simulations.sweep.resilient import do_all

VIOLATED = 1
"""Exit code when a checker found something."""


@contextmanager
def progress_bar(output: Output, what: str) -> Iterator[Callable[[float], None]]:
    """Show a bar with the time left on stderr; the function takes the share that is done."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=output.progress, transient=True) as bar:
        task = bar.add_task(what, total=1.0)
        yield lambda share: bar.update(task, completed=min(share, 1.0))


@contextmanager
def executor_of(workers: int, scheduler: str | None = None) -> Iterator[Executor | None]:
    """Make what runs the runs: nothing (here), processes, or a Dask cluster.

    Raises:
        ConfigError: the scheduler does not answer.
    """
    if scheduler:
        # Of the extra `sim`, and with hundreds of modules: loaded only when asked for.
        with import_module("simulations.sweep.cluster").open_cluster(scheduler) as executor:
            yield executor
    elif workers == 1:
        yield None
    else:
        # Spawned, not forked: a fork would copy the locks of threads that are not in it.
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as executor:
            yield executor


def with_seed(scenario: Scenario, seed: int | None) -> Scenario:
    """Return the scenario with the seed of the command line, if there is one."""
    return scenario if seed is None else msgspec.structs.replace(scenario, seed=seed)


def run(parsed: argparse.Namespace, output: Output) -> int:
    """Run a scenario and all its replicas.

    Raises:
        ConfigError: the scenario is wrong, or too large.
    """
    scenario = with_seed(load_changed(parsed.file, parsed.set), parsed.seed)
    engine_of(scenario).load()
    check_memory(scenario, at_once=min(parsed.workers, scenario.replicas))
    results = parsed.out or Path("results") / scenario.name
    require_results_folder(results)
    plan = plan_of(scenario)
    write_plan(results, plan)
    return do_plan(plan, results, parsed, output)


def resume(parsed: argparse.Namespace, output: Output) -> int:
    """Finish the runs that a stopped run or sweep left.

    Raises:
        BadResults: the folder holds no plan.
    """
    plan = read_plan(parsed.out)
    left = left_to_do(parsed.out, plan)
    output.note(f"{len(plan) - len(left)} of {len(plan)} runs are done")
    return do_plan(plan, parsed.out, parsed, output)


def do_plan(plan: list[Planned], results: Path, parsed: argparse.Namespace, output: Output) -> int:
    """Do what is left of *plan*, draw the plots, and say what came out."""
    todo = left_to_do(results, plan)
    if len(todo) == 1 and not parsed.scheduler:
        with progress_bar(output, todo[0].scenario.name) as progress:
            execute(todo[0], results, progress)
    elif todo:
        workers = min(parsed.workers, len(todo))
        with progress_bar(output, f"{len(todo)} runs") as progress:
            going = do_all(todo, results, lambda: executor_of(workers, parsed.scheduler))
            for done, _ in enumerate(going, start=1):
                progress(done / len(todo))
    found = _of_plan(plan, results)
    plots = [] if getattr(parsed, "no_plots", False) else _plots(results)
    return tell(found, results, plots, output)


def _of_plan(plan: list[Planned], results: Path) -> list[tuple[Path, Manifest]]:
    wanted = {(each.scenario, each.seed) for each in plan}
    return [one for one in read_runs(results) if (one[1].scenario, one[1].seed) in wanted]


def _plots(results: Path) -> list[Path]:
    from simulations.plots import draw_all  # noqa: PLC0415  (matplotlib takes a second to load)

    return draw_all(results)


def tell(
    found: list[tuple[Path, Manifest]], results: Path, plots: list[Path], output: Output
) -> int:
    """Print the figures of the runs, and what the checkers found; return the exit code."""
    for folder, manifest in found[:1]:
        rows = [(name, _figure(value)) for name, value in manifest.summary.items()]
        title = f"{manifest.scenario.name}, seed {manifest.seed} ({manifest.cpu_s:g} CPU-s)"
        output.table(title, ("figure", "value"), rows)
        output.say(f"tables: {folder}")
    if len(found) > 1:
        output.say(f"{len(found)} runs; see `cocoon sim plot {results}` and the manifests")
    for plot in plots:
        output.say(f"plot: {plot}")
    bad = [one for one in found if one[1].violations]
    for folder, manifest in bad[:10]:
        output.note(f"seed {manifest.seed}: {manifest.violations[0]}")
        output.note(f"  commit {manifest.commit}")
        output.note(f"  again, and shrunk: cocoon sim replay {folder} --shrink")
    output.result(
        {
            "results": str(results),
            "runs": [
                {"key": m.key, "seed": m.seed, "summary": m.summary, "violations": m.violations}
                for _, m in found
            ],
            "plots": [str(plot) for plot in plots],
        }
    )
    return VIOLATED if bad else 0


def _figure(value: float | str) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.4g}" if isinstance(value, float) else value


# --- many seeds, for the checkers --------------------------------------------------------


def _one_seed(scenario: Scenario, seed: int) -> tuple[int, Outcome]:
    return seed, engine_of(scenario).load()(scenario, seed, lambda share: None)


def run_seeds(
    scenario: Scenario, count: int, executor: Executor | None
) -> Iterable[tuple[int, Outcome]]:
    """Run *count* seeds from the scenario's on; yield each with what it found."""
    wanted = range(scenario.seed, scenario.seed + count)
    if executor is None:
        return (_one_seed(scenario, seed) for seed in wanted)
    return executor.map(_one_seed, [scenario] * count, wanted)


def seeds(parsed: argparse.Namespace, output: Output) -> int:
    """Run many seeds under the checkers and stop at the first violation.

    Raises:
        ConfigError: the engine has no checkers.
    """
    scenario = with_seed(load_changed(parsed.file, parsed.set), parsed.seed)
    if scenario.engine != "exact":
        raise ConfigError(f"engine {scenario.engine!r} has no checkers; `exact` has")
    started_s, events = time.process_time(), 0
    with executor_of(parsed.workers) as executor, progress_bar(output, "seeds") as progress:
        for done, (seed, outcome) in enumerate(
            run_seeds(scenario, parsed.count, executor), start=1
        ):
            progress(done / parsed.count)
            events += int(outcome.summary.get("events", 0))
            if outcome.violations:
                return _tell_violation(parsed, seed, outcome, output)
    used_s = time.process_time() - started_s
    output.say(f"{parsed.count:,} seeds, {events:,} events: no checker found anything")
    output.result({"seeds": parsed.count, "events": events, "cpu_s": used_s, "violations": []})
    return 0


def _tell_violation(parsed: argparse.Namespace, seed: int, outcome: Outcome, output: Output) -> int:
    from simulations.records import commit  # noqa: PLC0415  (runs git)

    for violation in outcome.violations[:10]:
        output.note(violation)
    sets = "".join(f" --set '{pair}'" for pair in parsed.set)
    output.note(f"seed {seed}, commit {commit()}; again, and shrunk:")
    output.note(f"  cocoon sim replay {parsed.file} --seed {seed} --shrink{sets}")
    output.result({"seed": seed, "violations": outcome.violations})
    return VIOLATED
