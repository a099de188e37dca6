"""The same scenario on the exact engine and on the market model: how far are they apart?"""

import math
from dataclasses import dataclass
from typing import Final

from simulations.engines import engine_of
from simulations.scenario import Scenario, changed
from simulations.sweep.statistics import Estimate, difference, estimate

STATED_BOUND: Final = 0.05
"""The final levels of both engines differ by no more than this share, and their noise."""
LOADS: Final = {"idle, load 0.2": 20.0, "in the zone, load 0.5": 50.0, "full, load 1.3": 130.0}
"""Jobs an hour of each of 24 requesters: about 24 s each, for 8 providers of 2 slots."""

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


@dataclass(frozen=True, slots=True)
class Pair:
    """The mean over providers of the final price level (ppm of base), on both engines."""

    load: str
    exact: Estimate
    model: Estimate
    gap: Estimate

    @property
    def agrees(self) -> bool:
        """Whether they agree within the stated bound, noise on top (one seed has no noise)."""
        noise = self.gap.half_width if math.isfinite(self.gap.half_width) else 0.0
        return abs(self.gap.mean) <= STATED_BOUND * self.exact.mean + noise


def pair(load: str, exact_seeds: int, model_seeds: int) -> Pair:
    """Run both engines at one of `LOADS`."""
    scenario = changed(BASE, **{"workload.jobs_per_hour": LOADS[load]})
    exact = _levels(scenario, "level_mean_ppm", exact_seeds)
    model = _levels(changed(scenario, engine="market"), "level_end_ppm", model_seeds)
    return Pair(load, estimate(exact), estimate(model), difference(exact, model))


def _levels(scenario: Scenario, figure: str, seeds: int) -> list[float]:
    run = engine_of(scenario).load()
    outcomes = [run(scenario, seed, lambda share: None) for seed in range(1, seeds + 1)]
    return [float(outcome.summary[figure]) for outcome in outcomes]
