"""``cocoon sim compare``: two folders of results, point by point, with intervals."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

from cocoon.cli.output import Output
from simulations.records import BadResults, Manifest, read_runs
from simulations.sweep.statistics import by_point, difference, estimate, figures, keys_of, varied


@dataclass(frozen=True, slots=True)
class Row:
    """One figure at one point."""

    point: str
    figure: str
    one: str
    other: str
    difference: float
    half_width: float

    @property
    def differs(self) -> bool:
        """Whether the interval of the difference leaves out zero."""
        return abs(self.difference) > self.half_width


def rows_of(one: Sequence[Manifest], other: Sequence[Manifest]) -> list[Row]:
    """Compare every point that both have.

    Raises:
        BadResults: they have no point in common.
    """
    left, right = by_point(one), by_point(other)
    both = [point for point in left if point in right]
    if not both:
        raise BadResults("no scenario is in both: they must agree in all keys but seed and name")
    axes = varied([left[point][0] for point in both])
    rows = []
    for point in both:
        keys = keys_of(left[point][0].scenario)
        label = " ".join(f"{axis}={keys[axis]}" for axis in axes) or "all"
        first, second = figures(left[point]), figures(right[point])
        for name in first:
            if name in second:
                gap = difference(first[name], second[name])
                shown = str(estimate(first[name])), str(estimate(second[name]))
                rows.append(Row(label, name, *shown, gap.mean, gap.half_width))
    return rows


def compare(parsed: argparse.Namespace, output: Output) -> int:
    """Print what differs between two folders of results.

    Raises:
        BadResults: a folder holds none, or they have nothing in common.
    """
    rows = rows_of(
        [manifest for _, manifest in read_runs(parsed.one)],
        [manifest for _, manifest in read_runs(parsed.other)],
    )
    lines = [
        (row.point, row.figure, row.one, row.other, "differs" if row.differs else "no difference")
        for row in rows
    ]
    output.table("Mean ± 95 % (runs)", ("point", "figure", "one", "other", ""), lines)
    output.result(
        [
            {
                "point": row.point,
                "figure": row.figure,
                "difference": row.difference,
                "half_width": row.half_width,
                "differs": row.differs,
            }
            for row in rows
        ]
    )
    return 0
