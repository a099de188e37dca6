"""What goes wrong in a run, as a list that can be written down, replayed and made shorter.

Crashes, partitions, outages and absences are drawn before the run starts. What happens to
single messages follows from a hash of the message's name, so leaving one fault out changes
no other. A plan can be restricted to some of its faults: that is how a failure is shrunk.
"""

from collections.abc import Collection, Iterator
from typing import Final

import msgspec

from simulations.exact.chance import Chance, hashed_shares
from simulations.exact.events import SECOND_US
from simulations.scenario import Scenario
from simulations.traces import read_sessions

HOUR_US: Final = 3600 * SECOND_US


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that goes wrong.

    Attributes:
        name: unique in the run, and the same in every run of the seed.
        kind: "crash", "away", "partition" or "outage".
        nodes: whom it concerns; of a partition one side.
        at_write: of a crash: it waits for the node's next write and strikes in the middle.
        share: how much of that write reached the disk: from nothing to all of it.
    """

    name: str
    kind: str
    at_us: int
    for_us: int
    nodes: tuple[int, ...] = ()
    at_write: bool = False
    share: float = 0.0


class Mishap(msgspec.Struct, frozen=True):
    """What happens to one message."""

    lost: bool = False
    twice: bool = False
    late_us: int = 0
    jitter: float = 0.0


NO_MISHAP: Final = Mishap()


class FaultPlan:
    """All faults of one run.

    Attributes:
        scheduled: in order of time.
        struck: the names of the faults that have happened, in order.
    """

    def __init__(self, scenario: Scenario, seed: int, only: Collection[str] | None = None) -> None:
        """Draw the faults of *seed*; with *only*, leave out all whose names are not in it."""
        self._link = scenario.link
        self._jitter = scenario.latency.jitter
        self._key = f"messages/{seed}".encode()[:64]
        self._only = None if only is None else frozenset(only)
        self._end_us = int(scenario.duration_s * SECOND_US)
        self.struck: dict[str, None] = {}
        drawn = sorted(_drawn(scenario, seed), key=lambda fault: (fault.at_us, fault.name))
        self.scheduled = [fault for fault in drawn if self._allowed(fault.name)]

    def _allowed(self, name: str) -> bool:
        return self._only is None or name in self._only

    def _strike(self, name: str) -> bool:
        if not self._allowed(name):
            return False
        self.struck[name] = None
        return True

    def skew_us(self, scenario: Scenario, seed: int, node: int) -> int:
        """Return how far a node's clock is off."""
        drawn = Chance(seed, "skew", node).share() * 2.0 - 1.0
        skew_us = int(drawn * scenario.faults.clock_skew_s * SECOND_US)
        return skew_us if skew_us and self._strike(f"skew:{node}") else 0

    def mishap(self, name: str, now_us: int) -> Mishap:
        """Return what happens to the message called *name*; nothing after the end."""
        link = self._link
        if not (link.loss or link.duplication or link.reordering or self._jitter):
            return NO_MISHAP
        loss, twice, late, jitter = hashed_shares(self._key, name)
        spread = self._jitter * (2.0 * jitter - 1.0)
        if now_us > self._end_us:
            return Mishap(jitter=spread)
        reordered = late < link.reordering and self._strike(f"late:{name}")
        return Mishap(
            lost=loss < link.loss and self._strike(f"loss:{name}"),
            twice=twice < link.duplication and self._strike(f"twice:{name}"),
            late_us=int(link.reorder_s * SECOND_US) if reordered else 0,
            jitter=spread,
        )


def _drawn(scenario: Scenario, seed: int) -> Iterator[Fault]:
    yield from _crashes(scenario, seed)
    yield from _cuts(scenario, seed)
    yield from _outages(scenario, seed)
    if scenario.churn.session == "trace":
        yield from _traced_absences(scenario)
    elif scenario.churn.session != "none":
        yield from _absences(scenario, seed)


def _moments(chance: Chance, per_hour: float, until_us: int) -> Iterator[int]:
    """Yield the moments of a Poisson process."""
    now_us = 0
    while per_hour > 0:
        now_us += int(chance.exponential(HOUR_US / per_hour))
        if now_us >= until_us:
            return
        yield now_us


def _crashes(scenario: Scenario, seed: int) -> Iterator[Fault]:
    faults, chance = scenario.faults, Chance(seed, "crashes")
    end_us = int(scenario.duration_s * SECOND_US)
    for number, at_us in enumerate(_moments(chance, faults.crashes_per_hour, end_us)):
        node = chance.below(scenario.population.nodes)
        at_write, share = chance.share() < faults.torn_writes, 1.5 * chance.share() - 0.25
        yield Fault(
            name=f"crash:{number}:{node}",
            kind="crash",
            at_us=at_us,
            for_us=int(faults.restart_s * SECOND_US * (0.5 + chance.share())) + 1,
            nodes=(node,),
            at_write=at_write,
            share=min(1.0, max(0.0, share)),
        )


def _cuts(scenario: Scenario, seed: int) -> Iterator[Fault]:
    faults, chance = scenario.faults, Chance(seed, "partitions")
    end_us = int(scenario.duration_s * SECOND_US)
    for number, at_us in enumerate(_moments(chance, faults.partitions_per_hour, end_us)):
        side = tuple(node for node in range(scenario.population.nodes) if chance.share() < 0.5)
        yield Fault(
            name=f"partition:{number}",
            kind="partition",
            at_us=at_us,
            for_us=int(faults.partition_s * SECOND_US) + 1,
            nodes=side,
        )


def _outages(scenario: Scenario, seed: int) -> Iterator[Fault]:
    faults, chance = scenario.faults, Chance(seed, "outages")
    end_us = int(scenario.duration_s * SECOND_US)
    for number, at_us in enumerate(_moments(chance, faults.chain_outages_per_hour, end_us)):
        yield Fault(
            name=f"outage:{number}",
            kind="outage",
            at_us=at_us,
            for_us=int(faults.chain_outage_s * SECOND_US) + 1,
        )


def _absences(scenario: Scenario, seed: int) -> Iterator[Fault]:
    churn, people = scenario.churn, scenario.population
    end_us = int(scenario.duration_s * SECOND_US)
    for node in range(people.providers if churn.who == "providers" else people.nodes):
        chance, now_us, number = Chance(seed, "churn", node), 0, 0
        while True:
            now_us += chance.duration_us(churn.session, churn.session_scale_s, churn.session_shape)
            if now_us >= end_us:
                break
            away_us = chance.duration_us(churn.away, churn.away_scale_s, churn.away_shape)
            name = f"away:{node}:{number}"
            yield Fault(name=name, kind="away", at_us=now_us, for_us=away_us, nodes=(node,))
            now_us, number = now_us + away_us, number + 1


def _traced_absences(scenario: Scenario) -> Iterator[Fault]:
    """Yield the gaps between the sessions of a trace; before the first, a node is away."""
    end_us = int(scenario.duration_s * SECOND_US)
    up_until: dict[int, int] = {}
    gaps: list[tuple[int, int, int]] = []
    for node, up_us, down_us in read_sessions(scenario.churn):
        gaps.append((node, up_until.get(node, 0), up_us))
        up_until[node] = down_us
    gaps += [(node, down_us, end_us) for node, down_us in up_until.items()]
    for number, (node, from_us, until_us) in enumerate(gaps):
        if node < scenario.population.nodes and from_us < min(until_us, end_us):
            name = f"away:{node}:{number}"
            yield Fault(
                name=name, kind="away", at_us=from_us, for_us=until_us - from_us, nodes=(node,)
            )
