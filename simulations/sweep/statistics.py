"""Means and 95 % confidence intervals over seeds: never over what one run contains.

Deliveries or jobs of one run depend on each other; runs with different seeds do not.
"""

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from simulations.records import Manifest
from simulations.scenario import Scenario, canonical

_T_975: Final = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228),
    *(2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086),
    *(2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
)
"""Student's t, 97.5 %, for 1 to 30 degrees of freedom."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over seeds, and how far the true one can be from it (95 %)."""

    mean: float
    half_width: float
    runs: int

    def __str__(self) -> str:
        return f"{self.mean:,.4g} ± {self.half_width:.2g} ({self.runs})"


def student_t(freedom: float) -> float:
    """Return the 97.5 % quantile of Student's t; exact to 0.1 % above 30 degrees.

    >>> student_t(7), round(student_t(60), 3)
    (2.365, 2.0)
    """
    if freedom < 1:
        return math.inf
    if freedom <= len(_T_975):
        return _T_975[int(freedom) - 1]
    return 1.95996 + 2.3722 / freedom + 2.82 / freedom**2


def estimate(values: Sequence[float]) -> Estimate:
    """Return the mean of *values* with its interval; infinite for a single one.

    >>> estimate([1.0, 2.0, 3.0]).mean
    2.0
    """
    count = len(values)
    if count < 2:
        return Estimate(values[0], math.inf, 1)
    spread = statistics.stdev(values) / math.sqrt(count)
    return Estimate(statistics.fmean(values), student_t(count - 1) * spread, count)


def ratio(new: Sequence[float], old: Sequence[float]) -> Estimate:
    """Return the sum of *new* over that of *old*, pair by pair, after Cochran (1977, chapter 6).

    Unlike the mean of the ratios it is not biased when *old* is small in some pair.

    >>> ratio([2.0, 4.0, 6.0], [1.0, 2.0, 3.0])
    Estimate(mean=2.0, half_width=0.0, runs=3)
    """
    count, base = len(old), statistics.fmean(old)
    found = statistics.fmean(new) / base
    if count < 2:
        return Estimate(found, math.inf, 1)
    rest = [one - found * other for one, other in zip(new, old, strict=True)]
    spread = statistics.stdev(rest) / math.sqrt(count) / abs(base)
    return Estimate(found, student_t(count - 1) * spread, count)


def difference(one: Sequence[float], other: Sequence[float]) -> Estimate:
    """Return the mean of *other* less that of *one*, after Welch (1947)."""
    if min(len(one), len(other)) < 2:
        return Estimate(statistics.fmean(other) - statistics.fmean(one), math.inf, 1)
    parts = [statistics.variance(values) / len(values) for values in (one, other)]
    total = sum(parts)
    bottom = parts[0] ** 2 / (len(one) - 1) + parts[1] ** 2 / (len(other) - 1)
    freedom = total**2 / bottom if bottom else math.inf
    mean = statistics.fmean(other) - statistics.fmean(one)
    wide = 1.96 if math.isinf(freedom) else student_t(math.floor(freedom))
    return Estimate(mean, wide * math.sqrt(total), len(one) + len(other))


def point_of(manifest: Manifest) -> bytes:
    """Return what the seeds of one point have in common."""
    scenario = msgspec.structs.replace(manifest.scenario, seed=0, replicas=1, name="")
    return canonical(scenario)


def by_point(manifests: Sequence[Manifest]) -> dict[bytes, list[Manifest]]:
    """Group runs that differ only in their seed."""
    points: dict[bytes, list[Manifest]] = {}
    for manifest in sorted(manifests, key=lambda one: one.seed):
        points.setdefault(point_of(manifest), []).append(manifest)
    return points


def figures(manifests: Sequence[Manifest]) -> dict[str, list[float]]:
    """Return every figure of the summaries, over the runs that have it."""
    found: dict[str, list[float]] = {}
    for manifest in manifests:
        for name, value in manifest.summary.items():
            if not isinstance(value, str):
                found.setdefault(name, []).append(float(value))
    return found


def keys_of(scenario: Scenario) -> dict[str, object]:
    """Return every key of a scenario by full name."""

    def walk(prefix: str, plain: Mapping[str, object]) -> dict[str, object]:
        flat: dict[str, object] = {}
        for name, value in plain.items():
            if isinstance(value, dict):
                flat |= walk(f"{prefix}{name}.", value)
            else:
                flat[prefix + name] = value
        return flat

    return walk("", msgspec.to_builtins(scenario))


def varied(manifests: Sequence[Manifest]) -> list[str]:
    """Return the keys that differ between the runs, apart from the seed."""
    flat = [keys_of(manifest.scenario) for manifest in manifests]
    return [
        name
        for name in (flat[0] if flat else {})
        if name not in {"seed", "replicas", "name"} and len({repr(one[name]) for one in flat}) > 1
    ]
