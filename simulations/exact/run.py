"""The engine `exact`: runs one world and turns what happened into tables and figures."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, Protocol

from cocoon.errors import ConfigError
from simulations.engines import Outcome
from simulations.exact.events import SECOND_US
from simulations.exact.log import Event
from simulations.exact.world import Role, World
from simulations.scenario import Scenario


class Metric(Protocol):
    """Something that is measured: hears every event, and has a value at the end."""

    @property
    def name(self) -> str:
        """What it is called in the summary."""
        ...

    def hear(self, event: Event) -> None:
        """Take one event in."""
        ...

    def value(self) -> float | str:
        """Return the figure."""
        ...


def _silent(share: float) -> None:
    """Nobody wants to know how far it is."""


def run(scenario: Scenario, seed: int, progress: Callable[[float], None]) -> Outcome:
    """Run *scenario* with *seed*; see `simulations.engines.Run`."""
    return simulate(scenario, seed, progress=progress)


def simulate(
    scenario: Scenario,
    seed: int | None = None,
    *,
    cast: Mapping[str, Role] | None = None,
    metrics: Sequence[Metric] = (),
    only: Collection[str] | None = None,
    keep_log: bool | None = None,
    progress: Callable[[float], None] = _silent,
) -> Outcome:
    """Run a swarm of the production cores.

    Args:
        scenario: what to run.
        seed: of everything; the scenario's own by default.
        cast: classes of single nodes by name ("seller-0", "buyer-2"): your attackers.
        metrics: your own figures; they stand in the summary under their names.
        only: names of the faults that may strike; None for all.
        keep_log: keep the event log; as the scenario says by default.
        progress: told the share that is done.

    Raises:
        ConfigError: the scenario asks for what this engine has not.
    """
    if scenario.attackers.sybils:
        raise ConfigError("attackers.sybils: the exact engine has none; `kademlia` and `gossip` do")
    if scenario.workload.arrivals != "trace" and not scenario.population.providers:
        raise ConfigError("population.providers: nobody sells")
    keep = scenario.record.event_log if keep_log is None else keep_log
    with World(
        scenario, seed=scenario.seed if seed is None else seed, only=only, cast=cast, keep_log=keep
    ) as world:
        recorder = Recorder()
        world.log.listeners.append(recorder.hear)
        world.log.listeners += [metric.hear for metric in metrics]
        world.run(progress)
        outcome = recorder.outcome(world)
    outcome.summary |= {metric.name: metric.value() for metric in metrics}
    return outcome


JOB_FIELDS: Final = ("job", "outcome", "attempts", "tokens", "paid")


class Recorder:
    """Turns events into tables."""

    def __init__(self) -> None:
        self._jobs: list[Event] = []
        self._quotes: list[Event] = []
        self._losses: list[Event] = []
        self._counts: Counter[str] = Counter()

    def hear(self, event: Event) -> None:
        """Keep what the tables need."""
        self._counts[event.kind] += 1
        if event.kind == "job":
            self._jobs.append(event)
        elif event.kind == "quote":
            self._quotes.append(event)
        elif event.kind in ("loss", "refused"):
            self._losses.append(event)

    def outcome(self, world: World) -> Outcome:
        """Return everything that the run found."""
        kept = set(world.scenario.record.tables)
        tables = {
            "job": self._job_table(),
            "price": self._price_table(),
            "refusal": self._refusal_table(),
            "channel": _channel_table(world),
        }
        return Outcome(
            summary=self._summary(world),
            tables={name: table for name, table in tables.items() if name in kept},
            log=world.log.lines,
            log_hash=world.log.hexdigest(),
            violations=world.checkers.violations,
        )

    def _job_table(self) -> dict[str, list[Any]]:
        table: dict[str, list[Any]] = {
            "at_s": [event.at_us / 1e6 for event in self._jobs],
            "requester": [event.node for event in self._jobs],
        }
        for name in JOB_FIELDS:
            table[name] = [event.fields[name] for event in self._jobs]
        firsts = [int(str(event.fields["first_output_us"])) for event in self._jobs]
        table["first_output_s"] = [None if first < 0 else first / 1e6 for first in firsts]
        table["total_s"] = [int(str(event.fields["total_us"])) / 1e6 for event in self._jobs]
        return table

    def _price_table(self) -> dict[str, list[Any]]:
        return {
            "at_s": [event.at_us / 1e6 for event in self._quotes],
            "provider": [event.node for event in self._quotes],
            "seq": [event.fields["seq"] for event in self._quotes],
            "level_ppm": [event.fields["level_ppm"] for event in self._quotes],
            "free_slots": [event.fields["free"] for event in self._quotes],
        }

    def _refusal_table(self) -> dict[str, list[Any]]:
        return {
            "at_s": [event.at_us / 1e6 for event in self._losses],
            "node": [event.node for event in self._losses],
            "reason": [
                str(event.fields.get("reason") or f"refused: {event.fields.get('code')}")
                for event in self._losses
            ],
        }

    def _in_time(self, world: World) -> dict[str, int | float]:
        """Return what models can be held against: jobs begun, and quotes made, before the end.

        After it nobody wants a job any more, those that wait are served, and prices fall.
        """
        end_us = int(world.scenario.duration_s * SECOND_US)
        begun = [
            str(event.fields["outcome"])
            for event in self._jobs
            if event.at_us - int(str(event.fields["total_us"])) <= end_us
        ]
        quoted = [event for event in self._quotes if event.at_us <= end_us]
        return {
            "served_share": begun.count("done") / max(1, len(begun)),
            "level_end_ppm": _mean_level_ppm(quoted),
        }

    def _summary(self, world: World) -> dict[str, int | float | str]:
        outcomes = Counter(str(event.fields["outcome"]) for event in self._jobs)
        firsts = sorted(
            int(str(event.fields["first_output_us"]))
            for event in self._jobs
            if event.fields["outcome"] == "done"
        )
        return {
            "jobs": len(self._jobs),
            **{f"jobs_{name}": count for name, count in sorted(outcomes.items())},
            "tokens": sum(int(str(event.fields["tokens"])) for event in self._jobs),
            "paid_nanoton": sum(int(str(event.fields["paid"])) for event in self._jobs),
            "first_output_p50_s": _quantile_s(firsts, 0.5),
            "first_output_p95_s": _quantile_s(firsts, 0.95),
            "level_mean_ppm": _mean_level_ppm(self._quotes),
            **self._in_time(world),
            "failovers": self._counts["failed"],
            "refusals": self._counts["refused"],
            "channels": len(world.chain.ledger.history),
            "messages": world.wire.messages,
            "message_bytes": world.wire.bytes,
            "faults": len(world.faults.struck),
            "events": world.events.handled,
            "event_log_sha256": world.log.hexdigest(),
        }


def _mean_level_ppm(quotes: Sequence[Event]) -> int:
    """Return the mean of each provider's last level among *quotes*."""
    levels = {event.node: int(str(event.fields["level_ppm"])) for event in quotes}
    return sum(levels.values()) // max(1, len(levels))


def _quantile_s(ordered_us: list[int], share: float) -> float:
    if not ordered_us:
        return 0.0
    return ordered_us[min(len(ordered_us) - 1, int(share * len(ordered_us)))] / 1e6


def _channel_table(world: World) -> dict[str, list[Any]]:
    ledger = world.chain.ledger
    rows = [(address, moved) for address, history in ledger.history.items() for moved in history]
    return {
        "channel": [address for address, _ in rows],
        "step": [moved.step for _, moved in rows],
        "at_s": [float(moved.now_unix_s - world.epoch_unix_s) for _, moved in rows],
        "came_nanoton": [moved.came for _, moved in rows],
        "to_payee_nanoton": [moved.to_payee for _, moved in rows],
        "to_payer_nanoton": [moved.to_payer for _, moved in rows],
        "fee_nanoton": [moved.fee for _, moved in rows],
    }
