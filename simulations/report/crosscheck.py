"""The same scenario on the exact engine and on the market model: how far are they apart?

The criterion is one of equivalence (Schuirmann 1987): the whole 95 %
interval of the difference of the two means, over seeds (after Welch, or pair by pair where both
have the same world), has to lie within `BOUND` of the exact engine's mean. So noise counts
against agreement, never for it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from simulations.engines import engine_of
from simulations.execution import Planned, execute
from simulations.report.making import Making
from simulations.scenario import Scenario, changed
from simulations.sweep.resilient import do_all
from simulations.sweep.statistics import Estimate, difference, estimate

BOUND: Final = 0.08
LOADS: Final[dict[str, dict[str, int | float]]] = {
    "idle, load 0.2": {"workload.jobs_per_hour": 20.0},
    "in the zone, load 0.5": {"workload.jobs_per_hour": 50.0},
    "full, load 1.3": {"workload.jobs_per_hour": 130.0},
    "full, load 1.3, of four times the requesters": {
        "workload.jobs_per_hour": 32.5,
        "population.requesters": 96,
    },
}
"""Jobs of about 24 s; three requesters to a provider of 2 slots, who have one job at a time."""
EXACT_SEEDS, MODEL_SEEDS = 6, 40

BASE: Final = changed(
    Scenario(engine="exact", name="crosscheck", duration_s=1_200.0),
    **{
        "population.providers": 8,
        "population.requesters": 24,
        "population.slots": 2,
        "workload.output_tokens_median": 38,
        "workload.tokens_per_s": 2.0,
        "record.tables": [],
    },
)
REDUCED: Final = changed(
    BASE, **{"population.providers": 4, "population.requesters": 12, "duration_s": 600.0}
)
"""For the tests: a tenth of the work."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One figure on both engines, with 95 % intervals over seeds."""

    scene: str
    figure: str
    exact: Estimate
    model: Estimate
    gap: Estimate

    @property
    def apart(self) -> float:
        """The end of the difference's interval that is further from zero, over the exact mean."""
        return (abs(self.gap.mean) + self.gap.half_width) / self.exact.mean

    @property
    def agrees(self) -> bool:
        """Whether the whole interval of the difference lies within the stated bound."""
        return math.isfinite(self.apart) and self.apart <= BOUND


def compared(
    scene: str, figure: str, exact: Sequence[float], model: Sequence[float], *, paired: bool = False
) -> Pair:
    """Put two samples beside each other; *paired*: both engines had the same world at each seed."""
    if paired:
        gap = estimate([ours - theirs for ours, theirs in zip(model, exact, strict=True)])
    else:
        gap = difference(exact, model)
    return Pair(scene, figure, estimate(exact), estimate(model), gap)


def pairs(
    load: str, making: Making, base: Scenario = BASE, seeds: tuple[int, int] | None = None
) -> list[Pair]:
    """Run both engines at one of `LOADS`; *seeds* are of the exact engine and of the model."""
    exact_seeds, model_seeds = seeds or (EXACT_SEEDS, MODEL_SEEDS)
    scenario = changed(base, **LOADS[load])
    exact = _exact(scenario, exact_seeds, making)
    model = _model(changed(scenario, engine="market"), model_seeds)
    return [
        compared(
            load,
            "price level at the end, ppm of base",
            [one["level_end_ppm"] for one in exact],
            [one["level_end_ppm"] for one in model],
        ),
        compared(
            load,
            "share of the wanted work that was done",
            [one["served_share"] for one in exact],
            [one["served_share"] for one in model],
        ),
    ]


Summary = dict[str, float]


def _numbers(summary: dict[str, int | float | str]) -> Summary:
    return {name: float(value) for name, value in summary.items() if not isinstance(value, str)}


def _exact(scenario: Scenario, seeds: int, making: Making) -> list[Summary]:
    """Run the exact engine; runs are kept and done again only when the code has changed."""
    plan = [Planned(scenario, seed) for seed in range(1, seeds + 1)]
    with making.folder() as results:
        (results / "runs").mkdir(parents=True, exist_ok=True)
        for _ in do_all(plan, results, making.open_executor):
            pass
        found = [execute(planned, results) for planned in plan]
    return [_numbers(manifest.summary) for manifest in found]


def _model(scenario: Scenario, seeds: int) -> list[Summary]:
    run = engine_of(scenario).load()
    return [
        _numbers(run(scenario, seed, lambda share: None).summary) for seed in range(1, seeds + 1)
    ]
