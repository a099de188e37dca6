"""The engines that run the node's own code: events a CPU-second, and CPU-seconds of whole nodes."""

from typing import Final

import msgspec

from simulations.engines import engine_of
from simulations.exact.speed import measure
from simulations.scenario import Population, Record, Scenario, Workload

WHOLE: Final = Scenario(
    name="bench-whole-nodes",
    engine="nodes",
    duration_s=30.0,
    population=Population(providers=30, requesters=50, others=20, slots=2),
    workload=Workload(jobs_per_hour=60.0),
    record=Record(tables=()),
)
"""100 complete nodes; 50 requesters with a job a minute each."""


def exact_events_per_s() -> dict[str, float]:
    """Return events a CPU-second of the exact engine and of `heapq`; see `exact.speed.measure`."""
    return measure()


def whole_nodes_cpu_s(duration_s: float = WHOLE.duration_s) -> tuple[float, float, int]:
    """Run 100 complete nodes in virtual time.

    Returns:
        CPU-seconds to start them all, CPU-seconds a simulated second, and jobs done.
    """
    scenario = msgspec.structs.replace(WHOLE, duration_s=duration_s)
    summary = engine_of(scenario).load()(scenario, 1, lambda share: None).summary
    return (
        float(summary["setup_cpu_s"]),
        float(summary["cpu_s_per_simulated_s"]),
        int(summary.get("jobs_done", 0)),
    )
