"""The engines `nodes` and `libp2p`: whole nodes in virtual time, and what they did."""

import hashlib
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import trio

from cocoon.errors import CocoonError, ConfigError
from cocoon.messages import Turn
from cocoon.requester.events import AttemptFailed, JobProgress, JobResult
from cocoon.requester.plan import ChatRequest
from contracts.errors import ContractError
from overlay.ids import PeerId
from overlay.memory import EPOCH_UNIX_S, open_network
from simulations.engines import Outcome
from simulations.exact.chance import Chance
from simulations.exact.disk import RAM_DISK
from simulations.latency import LatencyModel, latency_model
from simulations.scenario import Scenario
from simulations.whole.stub import MODEL_ID
from simulations.whole.swarm import Ether, Member, Swarm, open_swarm
from simulations.whole.virtual import run_virtual

SETTLE_S: Final = 5.0
"""After the last node has started, until work begins."""
LAST_JOBS_S: Final = 120.0
BYTES_PER_TOKEN: Final = 4

OpenEther = Callable[[Scenario, int], AbstractAsyncContextManager[Ether]]


@dataclass(slots=True)
class _Job:
    at_s: float
    requester: str
    outcome: str
    tokens: int = 0
    attempts: int = 0
    failovers: int = 0
    paid: int = 0
    first_output_s: float | None = None
    total_s: float = 0.0


@dataclass(slots=True)
class _Record:
    """What happens, as lines and as tables."""

    lines: list[str] = field(default_factory=list)
    jobs: list[_Job] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    prices: list[tuple[float, str, int, int, int]] = field(default_factory=list)
    setup_cpu_s: float = 0.0
    run_cpu_s: float = 0.0

    def line(self, text: str) -> None:
        self.lines.append(f"{trio.current_time():.6f} {text}")


def run(scenario: Scenario, seed: int, progress: Callable[[float], None]) -> Outcome:
    """Run whole nodes on `overlay.memory`; see `simulations.engines.Run`."""
    return simulate(scenario, seed, progress, _memory_ether)


def run_libp2p(scenario: Scenario, seed: int, progress: Callable[[float], None]) -> Outcome:
    """Run whole nodes on unmodified py-libp2p hosts over an in-memory transport.

    Raises:
        ConfigError: the interpreter hashes text differently in every process.
    """
    if os.environ.get("PYTHONHASHSEED", "random") == "random":
        raise ConfigError(
            "engine libp2p: py-libp2p iterates over sets; start again with PYTHONHASHSEED=0 "
            "so that the run can be repeated"
        )
    from simulations.whole.libp2p import open_libp2p_ether  # noqa: PLC0415  (a second to load)

    return simulate(scenario, seed, progress, open_libp2p_ether)


def _memory_ether(scenario: Scenario, seed: int) -> AbstractAsyncContextManager[Ether]:
    people = scenario.population
    model = latency_model(scenario.latency, nodes=people.nodes, seed=seed)
    known = _Places(model, people.nodes)
    return open_network(
        seed=seed,
        latency_s=known.mean_s(),
        between=known.between,
        gossip_loss=scenario.link.loss,
        gossip_degree=scenario.gossip.degree,
    )


class _Places:
    """Gives peers places in the order in which they are first heard of."""

    def __init__(self, model: LatencyModel, nodes: int) -> None:
        self._model, self._nodes = model, nodes
        self._place: dict[PeerId, int] = {}

    def _of(self, peer: PeerId) -> int:
        return self._place.setdefault(peer, len(self._place) % self._nodes)

    def between(self, here: PeerId, there: PeerId) -> float:
        """Return the one-way delay in seconds."""
        return self._model.one_way_us(self._of(here), self._of(there)) / 1e6

    def mean_s(self) -> float:
        """Return the mean over a sample of pairs."""
        count = min(self._nodes, 30)
        delays = [self._model.one_way_us(a, b) for a in range(count) for b in range(count)]
        return sum(delays) / len(delays) / 1e6


def simulate(
    scenario: Scenario, seed: int, progress: Callable[[float], None], open_ether: OpenEther
) -> Outcome:
    """Run the scenario's swarm and say what happened."""
    place = RAM_DISK if RAM_DISK.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="cocoon-sim-", dir=place) as folder:

        async def main() -> tuple[_Record, Swarm]:
            return await _main(scenario, seed, progress, open_ether, Path(folder))

        record, swarm = run_virtual(main, seed=seed)
    return _outcome(scenario, record, swarm)


async def _main(
    scenario: Scenario,
    seed: int,
    progress: Callable[[float], None],
    open_ether: OpenEther,
    home: Path,
) -> tuple[_Record, Swarm]:
    record, started_s = _Record(), time.process_time()

    def clock() -> float:
        return EPOCH_UNIX_S + trio.current_time()

    async with (
        open_ether(scenario, seed) as ether,
        open_swarm(scenario, seed, ether=ether, clock=clock, home=home) as swarm,
    ):
        await swarm.populate(lambda share: progress(0.5 * share))
        await trio.sleep(SETTLE_S)
        record.setup_cpu_s = time.process_time() - started_s
        record.line(f"started {len(swarm.members)} nodes")
        await _work(swarm, record, lambda share: progress(0.5 + 0.5 * share))
        record.run_cpu_s = time.process_time() - started_s - record.setup_cpu_s
    return record, swarm


async def _work(swarm: Swarm, record: _Record, progress: Callable[[float], None]) -> None:
    """Let everybody buy for the scenario's duration; then let the last jobs end."""
    duration_s = swarm.scenario.duration_s
    async with trio.open_nursery() as nursery:
        for at, member in enumerate(swarm.requesters):
            nursery.start_soon(_buy, swarm, member, at, record)
        end_s = trio.current_time() + duration_s
        while (left_s := end_s - trio.current_time()) > 0:
            await trio.sleep(min(left_s, swarm.scenario.record.sample_s))
            _sample_prices(swarm, record)
            progress(1 - left_s / duration_s)
        nursery.cancel_scope.deadline = trio.current_time() + LAST_JOBS_S


def _sample_prices(swarm: Swarm, record: _Record) -> None:
    for member in swarm.providers:
        provider = member.provider
        assert provider is not None  # noqa: S101  (providers have one)
        for key, quoter in provider.quoters.items():
            quote = quoter.last(key)
            if quote is not None:
                row = trio.current_time(), member.name, quote.seq, quote.level_ppm, quote.free_slots
                record.prices.append(row)


async def _buy(swarm: Swarm, member: Member, at: int, record: _Record) -> None:
    """Want answers at random moments, one after the other."""
    work, chance = swarm.scenario.workload, Chance(swarm.seed, "demand", at)
    end_s = trio.current_time() + swarm.scenario.duration_s
    while work.jobs_per_hour > 0:
        await trio.sleep(chance.exponential(3600 / work.jobs_per_hour))
        if trio.current_time() >= end_s:
            return
        prompt = int(chance.lognormal(work.prompt_tokens_median, work.tokens_sigma)) + 1
        output = int(chance.lognormal(work.output_tokens_median, work.tokens_sigma)) + 1
        turn = Turn(role="user", content="x" * (min(prompt, 4000) * BYTES_PER_TOKEN))
        request = ChatRequest(
            model_id=MODEL_ID.hex(),
            turns=(turn,),
            output_tokens_max=min(output, work.output_tokens_max),
        )
        await _one_job(member, request, record)


async def _one_job(member: Member, request: ChatRequest, record: _Record) -> None:
    at_s, requester = trio.current_time(), member.requester
    assert requester is not None  # noqa: S101  (only requesters buy)

    async def listen(event: JobProgress) -> None:
        if isinstance(event, AttemptFailed):
            record.reasons[event.reason.split(":")[0][:60]] += 1
            record.line(f"{member.name} failed {event.provider[-8:]} {event.reason[:80]}")
        await trio.lowlevel.checkpoint()

    job = _Job(at_s=at_s, requester=member.name, outcome="done")
    try:
        _fill(job, await requester.run(request, listen))
    except (CocoonError, ContractError) as error:
        job.outcome = type(error).__name__
        record.reasons[job.outcome] += 1
    job.total_s = trio.current_time() - at_s
    record.jobs.append(job)
    record.line(f"{member.name} job {job.outcome} tokens={job.tokens} paid={job.paid}")


def _fill(job: _Job, result: JobResult) -> None:
    job.tokens, job.paid = result.tokens, result.paid_nanoton
    job.attempts, job.failovers = len(result.attempts), len(result.failovers)
    job.first_output_s = result.time_to_first_token_s


def _outcome(scenario: Scenario, record: _Record, swarm: Swarm) -> Outcome:
    ledger, jobs = swarm.chain.ledger, record.jobs
    sold = [fields for _, _, event, fields in swarm.told if event == "job_ended"]
    lines = [*record.lines, *(f"{at:.6f} {who} {what}" for at, who, what, _ in swarm.told)]
    digest = hashlib.sha256("".join(f"{line}\n" for line in lines).encode())
    firsts = sorted(job.first_output_s for job in jobs if job.first_output_s is not None)
    outcomes = Counter(job.outcome for job in jobs)
    violations = []
    if ledger.total() != ledger.minted:
        violations.append(f"money was created: {ledger.total()} of {ledger.minted} nanoton")
    summary: dict[str, int | float | str] = {
        "nodes": len(swarm.members),
        "jobs": len(jobs),
        **{f"jobs_{name}": count for name, count in sorted(outcomes.items())},
        "tokens": sum(job.tokens for job in jobs),
        "paid_nanoton": sum(job.paid for job in jobs),
        "lost_by_providers_nanoton": sum(int(str(each["lost_nanoton"])) for each in sold),
        "first_output_p50_s": firsts[len(firsts) // 2] if firsts else 0.0,
        "failovers": sum(job.failovers for job in jobs),
        "channels": len(ledger.history),
        **{
            name: getattr(swarm.ether, name)
            for name in ("connections", "sent_bytes")
            if hasattr(swarm.ether, name)
        },
        "chain": "ledger (not the TVM)",
        "workers": "stub (no model)",
        "event_log_sha256": digest.hexdigest(),
        "setup_cpu_s": round(record.setup_cpu_s, 3),
        "cpu_s_per_simulated_s": round(record.run_cpu_s / scenario.duration_s, 4),
    }
    kept = set(scenario.record.tables)
    return Outcome(
        summary=summary,
        tables={name: table for name, table in _tables(record).items() if name in kept},
        log=lines if scenario.record.event_log else [],
        log_hash=digest.hexdigest(),
        violations=violations,
    )


def _tables(record: _Record) -> dict[str, dict[str, list[Any]]]:
    jobs, prices = record.jobs, record.prices
    return {
        "job": {name: [getattr(job, name) for job in jobs] for name in _Job.__dataclass_fields__},
        "price": {
            name: [row[at] for row in prices]
            for at, name in enumerate(("at_s", "provider", "seq", "level_ppm", "free_slots"))
        },
        "refusal": {
            "reason": list(record.reasons.elements()),
        },
    }
