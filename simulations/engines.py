"""The engines that can run a scenario, and what each of them costs in memory.

An engine is a function: it takes a scenario and one seed and returns an `Outcome`. It is
named here as ``module:function`` and loaded only when it runs, so that listing engines
loads no numba, and an engine that misses a package says which.
"""

import importlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from cocoon.errors import ConfigError, MissingAsset
from simulations.scenario import Scenario, Section

MIB: Final = 1 << 20
EXTRA: Final = ("numba", "pyarrow", "matplotlib", "scipy", "distributed", "dask")
"""Packages of the extra `sim`."""

Columns = Mapping[str, Sequence[Any]]
"""One table: columns of one length; NumPy arrays are welcome."""
Progress = Callable[[float], None]
"""Told the share that is done, from 0 to 1; may raise KeyboardInterrupt."""


@dataclass(slots=True)
class Outcome:
    """What one run found.

    Attributes:
        summary: the figures that a person looks at first, by name with unit.
        tables: by name (see `simulations.scenario.Table`).
        log: the event log, one line each; empty unless `record.event_log`.
        log_hash: hex SHA-256 over the whole event log, also when it is not kept.
        violations: what the checkers found; empty when all is well.
    """

    summary: dict[str, int | float | str]
    tables: dict[str, Columns] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    log_hash: str = ""
    violations: list[str] = field(default_factory=list)


class Run(Protocol):
    """The function behind an engine."""

    def __call__(self, scenario: Scenario, seed: int, progress: Progress) -> Outcome:
        """Run *scenario* with *seed*."""
        ...


@dataclass(frozen=True, slots=True)
class Engine:
    """One way to run a scenario.

    Attributes:
        run: ``module:function``, of type `Run`.
        base_bytes: what it takes with nobody in it.
        node_bytes: more for each node.
        nodes: how many it is meant for, in words.
        ignores: keys, or whole tables, of a scenario that it does not simulate.
    """

    name: str
    summary: str
    run: str
    base_bytes: int
    node_bytes: int
    nodes: str
    extra_bytes: Callable[[Scenario], int] = lambda scenario: 0
    ignores: tuple[str, ...] = ()

    def load(self) -> Run:
        """Return the function.

        Raises:
            MissingAsset: a package of the extra `sim` is not installed.
        """
        module, _, function = self.run.partition(":")
        loaded: Run = getattr(_import(module, self.name), function)
        return loaded

    def ignored(self, scenario: Scenario) -> list[str]:
        """Return the keys that *scenario* sets and this engine does not simulate."""
        return [
            name
            for ignored in self.ignores
            for name in _keys(ignored)
            if _value(scenario, name) != _value(Scenario(), name)
        ]

    def estimate_bytes(self, scenario: Scenario) -> int:
        """Return about how much memory one run of *scenario* takes, at its highest."""
        nodes = scenario.population.nodes + scenario.attackers.sybils
        return self.base_bytes + nodes * self.node_bytes + self.extra_bytes(scenario)


def _value(scenario: Scenario, name: str) -> object:
    value: object = scenario
    for part in name.split("."):
        value = getattr(value, part)
    return value


def _keys(name: str) -> list[str]:
    """Return the full names of all keys below a table, or the key itself."""
    table = _value(Scenario(), name)
    if isinstance(table, Section):
        return [f"{name}.{key}" for key in table.__struct_fields__]
    return [name]


def _import(module: str, what: str) -> Any:  # noqa: ANN401  (a module)
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise missing(error, what) from error


def missing(error: ModuleNotFoundError, what: str) -> Exception:
    """Turn a missing package into words that say how to get it."""
    if (error.name or "").partition(".")[0] not in EXTRA:
        return error
    return MissingAsset(f"{what} needs {error.name}: pip install matplotlib numba pyarrow")


def _events_bytes(scenario: Scenario) -> int:
    """Return what the kept event log takes: a line for each message of each job."""
    work, people = scenario.workload, scenario.population
    jobs = people.requesters * work.jobs_per_hour * scenario.duration_s / 3600
    messages = 12 + 2 * work.output_tokens_median / work.chunk_tokens
    lines = int(jobs * messages * 2)
    return lines * (180 if scenario.record.event_log else 24)


NOT_IN_WHOLE_NODES: Final = (
    *("attackers", "faults", "churn", "workload.arrivals", "workload.trace"),
    *("workload.shock_at_s", "workload.providers_lost", "prices.counter_below_ppm"),
)
NOT_ON_MEMORY: Final = (
    *("link.upload_mbps", "link.download_mbps", "link.duplication", "link.reordering"),
)

ENGINES: Final[dict[str, Engine]] = {
    engine.name: engine
    for engine in (
        Engine(
            name="exact",
            summary="the production protocol cores under seeded events: every fault, checkers",
            run="simulations.exact.run:run",
            base_bytes=110 * MIB,
            node_bytes=350_000,
            nodes="2 to 1,000",
            extra_bytes=_events_bytes,
            ignores=("attackers.sybils",),
        ),
        Engine(
            name="nodes",
            summary="whole nodes (their trio services) in one process in virtual time",
            run="simulations.whole.run:run",
            base_bytes=125 * MIB,
            node_bytes=500_000,
            nodes="2 to 500",
            ignores=(*NOT_IN_WHOLE_NODES, *NOT_ON_MEMORY),
        ),
        Engine(
            name="libp2p",
            summary="whole nodes on unmodified py-libp2p over an in-memory transport",
            run="simulations.whole.run:run_libp2p",
            base_bytes=160 * MIB,
            node_bytes=4_500_000,
            nodes="2 to 100",
            ignores=(*NOT_IN_WHOLE_NODES, "link"),
        ),
    )
}
"""By name. The vectorised models add theirs in `simulations.models.engines` (see `register`)."""


def register(engine: Engine) -> None:
    """Add an engine; `simulations.models.engines` does so for the vectorised ones."""
    ENGINES[engine.name] = engine


def engines() -> list[Engine]:
    """Return every engine, the models included; loads nothing heavy."""
    try:
        importlib.import_module("simulations.models.engines")
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("simulations.models"):
            raise missing(error, "the vectorised models") from error
    return list(ENGINES.values())


def engine_of(scenario: Scenario) -> Engine:
    """Return the engine that *scenario* names.

    Raises:
        ConfigError: it is not installed.
    """
    known = {engine.name: engine for engine in engines()}
    found = known.get(scenario.engine)
    if found is None:
        raise ConfigError(f"engine: {scenario.engine!r} is not here; there are: {', '.join(known)}")
    return found


def check_supported(scenario: Scenario) -> None:
    """Make sure that the engine simulates everything that the scenario asks for.

    Raises:
        ConfigError: names what it does not.
    """
    engine = engine_of(scenario)
    ignored = engine.ignored(scenario)
    if ignored:
        raise ConfigError(
            f"{scenario.name}: engine {engine.name!r} does not simulate {', '.join(ignored)}; "
            "leave them at their defaults, or take another engine (`cocoon sim list`)"
        )


def free_bytes() -> int:
    """Return how much memory this machine can still give, as its kernel says."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:  # noqa: PTH123  (no file on a disk)
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def check_memory(scenario: Scenario, *, at_once: int = 1) -> int:
    """Return the estimate in bytes of *at_once* runs of *scenario*.

    Raises:
        ConfigError: it is more than the scenario allows or the machine has, or the
            engine does not simulate all of it.
    """
    check_supported(scenario)
    engine = engine_of(scenario)
    needed = engine.estimate_bytes(scenario) * at_once
    allowed = scenario.record.memory_mb_max * MIB or free_bytes()
    if needed > allowed:
        raise ConfigError(
            f"{scenario.name}: {scenario.population.nodes:,} nodes on engine {engine.name!r} "
            f"would take about {needed // MIB:,} MiB, {allowed // MIB:,} MiB are "
            f"{'allowed (record.memory_mb_max)' if scenario.record.memory_mb_max else 'free'}; "
            f"that engine is meant for {engine.nodes} nodes"
        )
    return needed
