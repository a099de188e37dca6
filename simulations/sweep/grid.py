"""Which runs a sweep is made of."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Final

from cocoon.errors import ConfigError
from simulations.cli.scenarios import value_of
from simulations.execution import Planned, plan_of
from simulations.scenario import Scenario, changed

RUNS_MAX: Final = 1_000_000


def axes_of(pairs: Sequence[str]) -> dict[str, list[object]]:
    """Read ``KEY=V1,V2,...`` pairs; a TOML array stands for itself.

    Raises:
        ConfigError: one is not of that form, or a key comes twice.
    """
    axes: dict[str, list[object]] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key or not text:
            raise ConfigError(f"--over {pair}: not KEY=V1,V2,...")
        if key in axes:
            raise ConfigError(f"--over {key} comes twice; give all its values at once")
        listed = value_of(f"[{text}]")
        axes[key] = listed if isinstance(listed, list) else [value_of(v) for v in text.split(",")]
    return axes


def grid(scenario: Scenario, axes: Mapping[str, Sequence[object]]) -> list[Planned]:
    """Return all replicas of *scenario* at every point of the grid.

    Every point is named after its values, so that plots and folders say what it is.

    Raises:
        ConfigError: a key or value that no scenario has, or too many runs.
    """
    runs = scenario.replicas
    for axis in axes.values():
        runs *= len(axis)
    if runs > RUNS_MAX:
        raise ConfigError(f"{runs:,} runs are too many, at most {RUNS_MAX:,}")
    planned: list[Planned] = []
    for point in product(*axes.values()):
        values = dict(zip(axes, point, strict=True))
        planned += plan_of(changed(scenario, **values))
    return planned
