"""One swarm in virtual time: who is in it, what arrives, what breaks, and how it ends."""

import tempfile
from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from cocoon.payments.channel import ENDED
from simulations.exact.attacks import cast_of
from simulations.exact.buyer import Buyer
from simulations.exact.chain import SimChain
from simulations.exact.chance import Chance
from simulations.exact.checkers import Checkers
from simulations.exact.disk import RAM_DISK
from simulations.exact.events import SECOND_US, EventQueue
from simulations.exact.faults import Fault, FaultPlan
from simulations.exact.log import EventLog
from simulations.exact.node import Node
from simulations.exact.seller import Seller
from simulations.exact.wire import Wire
from simulations.latency import latency_model
from simulations.scenario import Scenario
from simulations.traces import read_arrivals

EPOCH_UNIX_S: Final = 1_767_225_600
"""2026-01-01: what clocks say at the start."""
WALLET_NANOTON: Final = 10**15
IDLE_WAIT_US: Final = 900 * SECOND_US
DRAIN_STEP_US: Final = 10 * SECOND_US
ALONE_SHARE: Final = 0.3
"""Of the channels that are left open at the end, so many are left without the payee."""

Role = Callable[..., Node]


class World:
    """A swarm. Use it in a ``with`` block: journals are files, in memory where there is a place.

    Attributes:
        nodes: sellers first, then buyers, then others; their index is their place.
    """

    def __init__(
        self,
        scenario: Scenario,
        seed: int,
        *,
        only: Collection[str] | None = None,
        cast: Mapping[str, Role] | None = None,
        keep_log: bool = False,
    ) -> None:
        """Build the swarm.

        Args:
            scenario: what to build.
            seed: of everything.
            only: names of the faults that may strike; None for all.
            cast: classes of single nodes by name ("seller-0", "buyer-2", "other-1").
            keep_log: keep the lines of the event log.
        """
        self.scenario = scenario
        self.seed = seed
        self.epoch_unix_s = EPOCH_UNIX_S
        self.events = EventQueue()
        self.log = EventLog(keep=keep_log)
        self.faults = FaultPlan(scenario, seed, only)
        self.checkers = Checkers(self)
        self.chain = SimChain(self)
        self.draining = False
        latency = latency_model(scenario.latency, nodes=scenario.population.nodes, seed=seed)
        self.wire = Wire(self, latency)
        place = RAM_DISK if RAM_DISK.is_dir() else None
        self._folder = tempfile.TemporaryDirectory(prefix="cocoon-sim-", dir=place)
        self.nodes: list[Node] = []
        self._lost: set[Node] = set()
        self._populate(cast or {})
        self.sellers = [node for node in self.nodes if isinstance(node, Seller)]
        self.buyers = [node for node in self.nodes if isinstance(node, Buyer)]
        self.by_peer: dict[str, Node] = {node.peer_id: node for node in self.nodes}
        self._mesh()

    def unix_s(self, at_us: int) -> int:
        """Return a moment in whole unix seconds."""
        return self.epoch_unix_s + at_us // SECOND_US

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for seller in self.sellers:
            seller.till.close_file()
        for buyer in self.buyers:
            buyer.purse.close_file()
        self._folder.cleanup()

    # --- building ---

    def _populate(self, cast: Mapping[str, Role]) -> None:
        people = self.scenario.population
        roles: dict[str, Any] = cast_of(
            self.scenario.attackers,
            sellers=people.providers,
            buyers=people.requesters,
            others=people.others,
        )
        roles |= cast
        folder = Path(self._folder.name)
        for prefix, count, role in (
            ("seller", people.providers, Seller),
            ("buyer", people.requesters, Buyer),
        ):
            for at in range(count):
                name = f"{prefix}-{at}"
                self.nodes.append(roles.get(name, role)(self, len(self.nodes), name, folder))
        for at in range(people.others):
            name = f"other-{at}"
            self.nodes.append(roles.get(name, Node)(self, len(self.nodes), name))
        for node in self.nodes:
            if isinstance(node, Buyer):
                self.chain.ledger.mint(node.purse.wallet, WALLET_NANOTON)

    def _mesh(self) -> None:
        """Link the nodes: a ring, so that all hang together, and random chords."""
        chance, count = Chance(self.seed, "mesh"), len(self.nodes)
        links = {frozenset((at, (at + 1) % count)) for at in range(count)}
        wanted = min(self.scenario.gossip.degree, count - 1) * count // 2
        for _ in range(20 * wanted):
            if len(links) >= wanted:
                break
            links.add(frozenset((chance.below(count), chance.below(count))))
        for one, other in sorted(tuple(sorted(link)) for link in links if len(link) > 1):
            self.nodes[one].neighbours.append(self.nodes[other])
            self.nodes[other].neighbours.append(self.nodes[one])

    # --- running ---

    def run(self, progress: Callable[[float], None]) -> None:
        """Run the scenario to its end, let everything settle, and check what is left."""
        end_us = int(self.scenario.duration_s * SECOND_US)
        for node in self.nodes:
            self.events.after(node.chance.below(SECOND_US), self._begin, node)
        self._schedule_faults()
        self._schedule_arrivals()
        steps = 50
        for step in range(1, steps + 1):
            self.events.run(end_us * step // steps)
            progress(0.9 * step / steps)
        self._drain(end_us)
        progress(1.0)

    def _begin(self, node: Node) -> None:
        if node.up and not node.life:  # who has crashed before begins when it restarts
            node.begin()

    def _schedule_faults(self) -> None:
        for fault in self.faults.scheduled:
            self.events.after(fault.at_us, self._strike, fault)
        work = self.scenario.workload
        if work.shock_at_s and work.providers_lost:
            self.events.after(int(work.shock_at_s * SECOND_US), self._lose_providers)

    def _strike(self, fault: Fault) -> None:
        now_us = self.events.now_us
        self.faults.struck[fault.name] = None
        self.log.line(f"{now_us} fault {fault.name}")
        if fault.kind in ("crash", "away"):
            node = self.nodes[fault.nodes[0]]
            if fault.at_write and isinstance(node, Seller | Buyer):
                node.armed = partial(self._crash, node, fault)
            else:
                self._crash(node, fault)
        elif fault.kind == "partition":
            self.wire.cut(fault.nodes, now_us + fault.for_us)
            self.events.after(fault.for_us, self.wire.heal)
        else:
            self.chain.go_away(now_us + fault.for_us)

    def _crash(self, node: Node, fault: Fault) -> None:
        if node.up:
            node.crash(fault.share)
            self.events.after(fault.for_us, self._restart, node, node.life)

    def _restart(self, node: Node, life: int) -> None:
        if not node.up and node.life == life and node not in self._lost:
            node.restart()

    def _lose_providers(self) -> None:
        count = int(self.scenario.workload.providers_lost * len(self.sellers))
        for seller in self.sellers[:count]:
            self._lost.add(seller)
            if seller.up:
                seller.crash(0.0)

    # --- demand ---

    def _schedule_arrivals(self) -> None:
        work = self.scenario.workload
        if work.arrivals == "trace":
            for at, (at_us, prompt, output) in enumerate(read_arrivals(work)):
                buyer = self.buyers[at % len(self.buyers)]
                self.events.after(at_us, buyer.want, prompt, output)
            return
        for buyer in self.buyers:
            if work.jobs_per_hour > 0:
                chance = Chance(self.seed, "demand", buyer.index)
                self.events.after(self._pause_us(chance), self._arrive, buyer, chance)

    def _pause_us(self, chance: Chance) -> int:
        work = self.scenario.workload
        rate = work.jobs_per_hour
        if work.shock_at_s and self.events.now_us >= work.shock_at_s * SECOND_US:
            rate *= work.shock_factor
        mean_us = 3600 * SECOND_US / max(rate, 1e-9)
        return int(mean_us if work.arrivals == "regular" else chance.exponential(mean_us)) + 1

    def _arrive(self, buyer: Buyer, chance: Chance) -> None:
        if self.events.now_us >= self.scenario.duration_s * SECOND_US:
            return
        work = self.scenario.workload
        prompt = int(chance.lognormal(work.prompt_tokens_median, work.tokens_sigma)) + 1
        output = int(chance.lognormal(work.output_tokens_median, work.tokens_sigma)) + 1
        buyer.want(min(prompt, 20_000), min(output, work.output_tokens_max))
        self.events.after(self._pause_us(chance), self._arrive, buyer, chance)

    # --- the end ---

    def _drain(self, end_us: int) -> None:
        """Let jobs end, close every channel, and look at what is left."""
        self.wire.heal()
        for node in self.nodes:
            node.armed = None
            if not node.up and node not in self._lost:
                node.restart()
        self._until(lambda: not any(buyer.busy for buyer in self.buyers), end_us + IDLE_WAIT_US)
        self.draining = True
        limit_us = self.events.now_us + (self.scenario.prices.challenge_s + 900) * SECOND_US
        self._until(self._all_closed, limit_us)
        self.checkers.all_is_settled()
        payees = {seller.till.terms.payee_address: seller for seller in self.sellers}
        for address, history in self.chain.ledger.history.items():
            if history[-1].last:
                payee = payees[self.chain.ledger.parties[address][0]]
                honest = payee.up and payee not in self._lost
                self.checkers.channel_ended(address, self.chain.ledger, honest_payee=honest)

    def _all_closed(self) -> bool:
        for buyer in self.buyers:
            buyer.leave_channels(alone_share=ALONE_SHARE)
        phases = [
            channel.state.phase
            for buyer in self.buyers
            for channel in buyer.purse.book.channels.values()
        ]
        return all(phase in ENDED for phase in phases) and not self.chain.ledger.channels

    def _until(self, condition: Callable[[], bool], limit_us: int) -> None:
        while not condition() and self.events.now_us < limit_us:
            self.events.run(self.events.now_us + DRAIN_STEP_US)
