"""``cocoon sim sweep``: runs the grid, then writes the table and the plots of the whole sweep."""

import argparse
from collections.abc import Sequence
from concurrent.futures import Executor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from cocoon.cli.output import Output
from simulations.cli.runs import executor_of, progress_bar
from simulations.cli.scenarios import load_changed
from simulations.engines import check_memory, engine_of
from simulations.execution import left_to_do, write_plan
from simulations.plots import draw_one
from simulations.records import Manifest, read_runs, require_results_folder, write_table
from simulations.sweep.grid import axes_of, grid
from simulations.sweep.resilient import do_all
from simulations.sweep.statistics import by_point, estimate, figures, keys_of, varied

SWEEP_TABLE = "sweep.parquet"
PLOTS_MAX = 8


def sweep(parsed: argparse.Namespace, output: Output) -> int:
    """Run a scenario for many values; what is there already is not run again.

    Raises:
        ConfigError: a key or value is wrong, or a run too large for this machine.
        SweepBroke: workers die again and again.
    """
    scenario = load_changed(parsed.file, parsed.set)
    plan = grid(scenario, axes_of(parsed.over))
    for planned in {one.scenario.population: one for one in plan}.values():
        check_memory(planned.scenario, at_once=1 if parsed.scheduler else parsed.workers)
    engine_of(plan[0].scenario).load()
    require_results_folder(parsed.out)
    write_plan(parsed.out, plan)
    todo = left_to_do(parsed.out, plan)
    output.note(f"{len(plan) - len(todo)} of {len(plan)} runs are done")

    def open_executor() -> AbstractContextManager[Executor | None]:
        return executor_of(min(parsed.workers, max(1, len(todo))), parsed.scheduler)

    with progress_bar(output, f"{len(todo)} runs") as progress:
        for done, _ in enumerate(do_all(plan, parsed.out, open_executor), start=1):
            progress(done / len(todo))
    return tell(parsed.out, output)


def tell(results: Path, output: Output) -> int:
    """Write the table of the sweep, draw it, print it."""
    manifests = [manifest for _, manifest in read_runs(results)]
    rows = table(manifests)
    write_table(results / SWEEP_TABLE, rows)
    plots = draw(results, manifests)
    axes = varied(manifests)
    shown = [name for name in rows if name.endswith("_half_width")][:PLOTS_MAX]
    names = [name.removesuffix("_half_width") for name in shown]
    lines = [
        (
            " ".join(f"{axis}={rows[axis][row]}" for axis in axes) or "all",
            *(f"{rows[name][row]:,.4g} ± {rows[f'{name}_half_width'][row]:.2g}" for name in names),
        )
        for row in range(len(rows["runs"]))
    ]
    output.table("Sweep: mean ± 95 % over seeds", ("point", *names), lines)
    for plot in plots:
        output.say(f"plot: {plot}")
    output.result({"results": str(results), "points": len(lines), "table": SWEEP_TABLE})
    return 1 if any(manifest.violations for manifest in manifests) else 0


def table(manifests: Sequence[Manifest]) -> dict[str, list[Any]]:
    """Return one row for each point: the varied keys, means and half-widths (95 %) over seeds."""
    axes, points = varied(manifests), by_point(manifests)
    names = sorted({name for runs in points.values() for name in figures(runs)})
    rows: dict[str, list[Any]] = {axis: [] for axis in axes} | {"runs": []}
    for runs in points.values():
        keys, found = keys_of(runs[0].scenario), figures(runs)
        for axis in axes:
            rows[axis].append(keys[axis])
        rows["runs"].append(len(runs))
        for name in names:
            one = estimate(found[name]) if name in found else None
            rows.setdefault(name, []).append(one.mean if one else None)
            rows.setdefault(f"{name}_half_width", []).append(one.half_width if one else None)
    order = sorted(
        range(len(rows["runs"])), key=lambda row: [_sortable(rows[a][row]) for a in axes]
    )
    return {name: [column[row] for row in order] for name, column in rows.items()}


def _sortable(value: object) -> tuple[int, float, str]:
    if isinstance(value, int | float):
        return 0, float(value), ""
    return 1, 0.0, repr(value)


def draw(results: Path, manifests: Sequence[Manifest]) -> list[Path]:
    """Draw each figure over the first varied key, one line for each value of the others."""
    rows, axes = table(manifests), varied(manifests)
    if not axes:
        return []
    made: list[Path] = []
    names = [n.removesuffix("_half_width") for n in rows if n.endswith("_half_width")]
    for name in names[:PLOTS_MAX]:

        def lines(plot: Any, _: object, name: str = name) -> None:  # noqa: ANN401
            _draw_lines(plot, rows, axes, name)

        made += draw_one(results, f"sweep-{name}", lines, [])
    return made


def _draw_lines(plot: Any, rows: dict[str, list[Any]], axes: list[str], name: str) -> None:  # noqa: ANN401
    groups: dict[str, list[int]] = {}
    for row in range(len(rows["runs"])):
        label = ", ".join(f"{axis} = {rows[axis][row]}" for axis in axes[1:])
        groups.setdefault(label, []).append(row)
    for label, members in groups.items():
        across = [rows[axes[0]][row] for row in members]
        means = [rows[name][row] for row in members]
        errors = [min(rows[f"{name}_half_width"][row], 1e300) for row in members]
        finite = [error if error < 1e299 else 0.0 for error in errors]
        plot.errorbar(across, means, yerr=finite, capsize=3, marker="o", label=label or None)
    plot.set(xlabel=axes[0], ylabel=name, title=f"{name}, mean and 95 % over seeds")
    if len(groups) > 1:
        plot.legend()
