"""Plots of results, as PNG and SVG: one function for each table that can be drawn.

A drawing gets the columns of its table, of every run in the folder, and an empty plot. More
are added with `drawing`. The same results give the same bytes: no date, no random ids.
"""

import argparse
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

from cocoon.cli.output import Output
from simulations.records import read_runs, read_table

FIGURE_INCHES: Final = (7.0, 4.2)
PNG_DPI: Final = 144
_NO_DATE: Final[Mapping[str, Mapping[str, Any]]] = {
    "svg": {"Date": None},
    "png": {"Software": None},
}

Axes: TypeAlias = Any
Table: TypeAlias = Mapping[str, Sequence[Any]]
Draw = Callable[[Axes, Sequence[Table]], None]

DRAWINGS: Final[dict[str, tuple[str, Draw]]] = {}
"""By the name of the plot: the table it needs, and the function that draws it."""


def drawing(name: str, table: str) -> Callable[[Draw], Draw]:
    """Register a function as the plot *name* of *table*."""

    def add(draw: Draw) -> Draw:
        DRAWINGS[name] = (table, draw)
        return draw

    return add


def draw_all(results: Path) -> list[Path]:
    """Draw everything that the tables in *results* allow; return the files.

    Raises:
        BadResults: there is no finished run.
        ModuleNotFoundError: matplotlib is not installed.
    """
    import matplotlib as mpl  # noqa: PLC0415  (takes a second to load)

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "cocoon"
    folders = [folder for folder, _ in read_runs(results)]
    made: list[Path] = []
    for name, (table, draw) in DRAWINGS.items():
        columns = [found for folder in folders if (found := read_table(folder, table))]
        if columns:
            made += draw_one(results, name, draw, columns)
    return made


def draw_one(results: Path, name: str, draw: Draw, columns: Sequence[Table]) -> list[Path]:
    """Draw one plot into *results*/plots."""
    from matplotlib import pyplot as plt  # noqa: PLC0415  (takes a second to load)

    folder = results / "plots"
    folder.mkdir(exist_ok=True)
    figure, axes = plt.subplots(figsize=FIGURE_INCHES, layout="constrained")
    try:
        draw(axes, columns)
        axes.grid(visible=True, alpha=0.3)
        files = [folder / f"{name}.{kind}" for kind in ("png", "svg")]
        for file in files:
            metadata = _NO_DATE[file.suffix[1:]]
            figure.savefig(file, dpi=PNG_DPI, metadata=metadata)
    finally:
        plt.close(figure)
    return files


def cumulative(axes: Axes, values: Sequence[float], label: str) -> None:
    """Draw which share of *values* is at most x."""
    ordered = sorted(values)
    shares = [(place + 1) / len(ordered) for place in range(len(ordered))]
    axes.step(ordered, shares, where="post", label=f"{label} ({len(ordered)})")
    axes.set_ylim(0, 1.02)


def _merged(columns: Sequence[Table], name: str) -> list[Any]:
    values = [value for table in columns for value in table.get(name, ())]
    return [value for value in values if value is not None]  # a job without output has no time


@drawing("jobs", "job")
def draw_jobs(axes: Axes, columns: Sequence[Table]) -> None:
    """How long jobs took, to the first output and to the end."""
    for name, label in (("first_output_s", "to the first output"), ("total_s", "to the end")):
        cumulative(axes, _merged(columns, name), label)
    axes.set(xlabel="seconds", ylabel="share of jobs", title="Time that jobs took")
    axes.legend()


@drawing("prices", "price")
def draw_prices(axes: Axes, columns: Sequence[Table]) -> None:
    """The price level of every provider, and their mean."""
    for table in columns:
        levels: dict[Any, list[tuple[float, float]]] = {}
        rows = zip(table["provider"], table["at_s"], table["level_ppm"], strict=True)
        for provider, at_s, level_ppm in rows:
            levels.setdefault(provider, []).append((at_s, level_ppm / 1e6))
        for points in levels.values():
            axes.step(*zip(*points, strict=True), where="post", color="0.7", linewidth=0.7)
    moments, means = _mean_over_time(columns)
    axes.step(moments, means, where="post", color="C3", linewidth=2, label="mean")
    axes.set(xlabel="seconds", ylabel="price, as a multiple of base", title="Price levels")
    axes.legend()


def _mean_over_time(columns: Sequence[Table]) -> tuple[list[float], list[float]]:
    """Return moments, and the mean over all providers of the level that held then."""
    holds: dict[tuple[int, Any], float] = {}
    changes = sorted(
        (at_s, run, provider, level_ppm / 1e6)
        for run, table in enumerate(columns)
        for at_s, provider, level_ppm in zip(
            table["at_s"], table["provider"], table["level_ppm"], strict=True
        )
    )
    moments: list[float] = []
    means: list[float] = []
    for at_s, run, provider, level in changes:
        holds[run, provider] = level
        moments.append(at_s)
        means.append(sum(holds.values()) / len(holds))
    return moments, means


@drawing("refusals", "refusal")
def draw_refusals(axes: Axes, columns: Sequence[Table]) -> None:
    """Why providers did not get jobs."""
    counts = Counter(_merged(columns, "reason")).most_common(16)
    names, numbers = [name for name, _ in counts], [number for _, number in counts]
    axes.barh(names[::-1], numbers[::-1])
    axes.set(xlabel="times", title="Why providers did not get a job")


def plot_command(parsed: argparse.Namespace, output: Output) -> int:
    """Draw the plots of a folder of results again."""
    made = draw_all(parsed.out)
    for file in made:
        output.say(str(file))
    output.result([str(file) for file in made])
    return 0
