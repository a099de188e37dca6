"""Writes docs/validation.md: published results beside ours, and the engines beside each other."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from simulations.models.churn import Churn, live
from simulations.models.gossip import routers
from simulations.models.gossip.broadcast import Timing, broadcast
from simulations.models.gossip.mesh import random_mesh
from simulations.models.gossip.state import Limits
from simulations.models.kademlia import lookup as kad
from simulations.models.kademlia.tables import build, random_ids
from simulations.models.market.fee_market import FeeMarket, mean_block_bound, orbit
from simulations.models.underlay import synthetic, synthetic_sites
from simulations.report.crosscheck import (
    BASE,
    BOUND,
    EXACT_SEEDS,
    LOADS,
    MODEL_SEEDS,
    REDUCED,
    Pair,
    pairs,
)
from simulations.report.crosscheck_swarm import LAWS, SEEDS, churn_pair, gossip_pairs
from simulations.report.making import Making
from simulations.report.theory import greedy_hops

FILE: Final = "validation.md"
FROM_MEMORY: Final = " *(number from memory, to be checked against the paper)*"


@dataclass(frozen=True, slots=True)
class Row:
    """One published result.

    Attributes:
        agrees: None where the two cannot be compared number by number.
        why: where they differ, and why.
    """

    what: str
    source: str
    theirs: str
    ours: str
    agrees: bool | None
    why: str = ""


def _lookups(
    nodes: int, k: int, parameters: kad.Parameters, lookups: int, dead: float = 0.0
) -> kad.Lookups:
    rng = np.random.default_rng([nodes, k])
    ids = random_ids(nodes, 1)
    gone = rng.random(nodes) < dead
    kinds = np.where(gone, kad.DEAD, kad.ALIVE).astype(np.int8)
    sources = rng.choice(np.flatnonzero(~gone), lookups)
    targets = rng.integers(0, 2**64, lookups, dtype=np.uint64)
    tables, underlay = build(ids, k, 1), synthetic(nodes, 1)
    return kad.look_up(tables, underlay, sources, targets, parameters, kinds)


def hops(quick: bool) -> list[Row]:
    """Compare mean hops with the theory."""
    sizes = [(10_000, 20), (10_000, 1)] if quick else [(10_000, 20), (100_000, 20), (100_000, 8)]
    rows = []
    for nodes, k in sizes:
        theory = greedy_hops(nodes, k)
        ours = float(_lookups(nodes, k, kad.Parameters(1, 1), 4_000).hops.mean())
        rows.append(
            Row(
                f"Kademlia, mean hops of a greedy lookup, {nodes:,} nodes, k = {k}",
                "Markov chain after Stutzbach and Rejaie (INFOCOM 2006), Roos et al. (1307.7000)",
                f"{theory:.3f}",
                f"{ours:.3f}",
                abs(ours / theory - 1) < 0.05,
                "The chain takes subtrees to be of their mean size; real ones differ, which "
                "shortens paths by 1 to 4 %.",
            )
        )
    return rows


def diversity(quick: bool) -> list[Row]:
    """Compare stratified with uniform contacts."""
    nodes = 10_000 if quick else 100_000
    uniform = _lookups(nodes, 20, kad.Parameters(1, 1), 8_000).hops.mean()
    rng = np.random.default_rng(1)
    sources = rng.integers(0, nodes, 8_000)
    targets = rng.integers(0, 2**64, 8_000, dtype=np.uint64)
    ids, greedy = random_ids(nodes, 1), kad.Parameters(1, 1)
    spread = kad.look_up_implicit(ids, synthetic_sites(1), sources, targets, greedy).hops.mean()
    return [
        Row(
            "Diverse contacts in a bucket shorten lookups",
            "Salah, Roos, Strufe (arXiv 1408.3079)",
            "shorter (sign)",
            f"{uniform:.3f} uniform, {spread:.3f} one from each slice",
            bool(spread < uniform),
        )
    ]


def ipfs(quick: bool) -> list[Row]:
    """Compare lookup times with IPFS'."""
    nodes = 4_000 if quick else 20_000
    old = _lookups(nodes, 20, kad.Parameters(10, 20, 5_000_000), 1_000, dead=0.4)
    new = _lookups(nodes, 20, kad.Parameters(10, 3), 1_000)
    marks = np.percentile(old.latency_us, [50, 90, 95]) / 1e6
    fast = float((new.latency_us < 500_000).mean())
    return [
        Row(
            "IPFS 2021, publish, p50 / p90 / p95",
            "Trautwein et al., SIGCOMM 2022" + FROM_MEMORY,
            "33.8 / 112.3 / 138.1 s",
            " / ".join(f"{mark:.1f}" for mark in marks) + " s",
            None,
            "Ours is the walk alone, 40 % of contacts dead, 5 s patience. Theirs then dials and "
            "stores at 20 peers, with longer dial time-outs. Both say the same: time-outs are "
            "nearly all of it (without dead nodes it is about a second).",
        ),
        Row(
            "IPFS 2023, lookups under 500 ms (Europe)",
            "ProbeLab at IETF 118",
            "80 %",
            f"{fast:.0%}",
            None,
            "Ours is a world of three continents with nobody dead.",
        ),
    ]


def sessions(quick: bool) -> list[Row]:
    """Compare session lengths."""
    peers = 20_000 if quick else 100_000
    lengths = live(Churn(), peers, 72.0, 1).sessions_by_hour
    short = float(lengths[:8].sum() / lengths.sum())
    return [
        Row(
            "IPFS sessions under 8 hours",
            "Trautwein et al., SIGCOMM 2022" + FROM_MEMORY,
            "87.6 %",
            f"{short:.1%}",
            None,
            "Weibull (0.54, 2 h), our default, has too light a tail for IPFS; use log-normal "
            "sessions or a trace where the tail matters.",
        )
    ]


def gossip(quick: bool) -> list[Row]:
    """Compare GossipSub's latency and attacks with its evaluation."""
    honest = 200 if quick else 1_000
    quiet = routers.Swarm(honest=honest, publishers=honest // 10, duration_s=10.0)
    attacked = replace(
        quiet, sybils=4 * honest, sybil_connections=40 if quick else 100, addresses=10**6
    )
    calm, late = routers.run(quiet, 1), routers.run(attacked, 1)
    booted = replace(attacked, cold_boot=True, warm_up_s=60.0, duration_s=15.0, messages_per_s=5.0)
    cold = [
        routers.run(replace(booted, limits=Limits(opportunistic_s=every_s)), 1).percentile_ms(99)
        for every_s in (1e9, 60.0)
    ]
    return [
        Row(
            "GossipSub v1.1, no attack, p99 (25 ms a hop)",
            "Vyzovitis et al. 2020, chapter 6 (figures only)",
            "well under 200 ms",
            f"p50 {calm.percentile_ms(50):.0f} ms, p99 {calm.percentile_ms(99):.0f} ms",
            calm.percentile_ms(99) < 200,
        ),
        Row(
            "… 4 sybils to an honest router, joining a formed mesh: all is delivered",
            "same, chapters 7 to 11: resilient against all attacks",
            "100 %, p99 near the baseline",
            f"{late.delivered:.2%}, p99 {late.percentile_ms(99):.0f} ms",
            late.delivered > 0.999,
        ),
        Row(
            "… cold boot among sybils, p99 without / with opportunistic grafting",
            "same, chapter 12, as quoted by Barcelona Supercomputing Center",
            "1,177 / 1,027 ms",
            f"{cold[0]:,.0f} / {cold[1]:,.0f} ms",
            None,
            "Our sybils graft at the same heartbeat as everybody and fill whole meshes; ours are "
            "measured from 60 to 75 s, with 5 to 10 messages a second instead of 120, so scores "
            "learn more slowly.",
        ),
    ]


def blocks(quick: bool) -> list[Row]:
    """Compare the spread of a block with Ethereum's."""
    nodes = 5_000 if quick else 20_000
    mesh, underlay = random_mesh(nodes, 8, 12, 1), synthetic(nodes, 1)
    timing = Timing(validate_us=2_000, copy_us=16_000)
    found = [broadcast(mesh, underlay, source, timing) for source in range(5)]
    p95 = np.mean([np.percentile(one.arrival_us, 95) for one in found]) / 1000
    return [
        Row(
            "Ethereum, relay to node, p95",
            "ethresear.ch 23016 and ethPandaOps 2026",
            "about 800 ms",
            f"{p95:,.0f} ms (100 kB, 50 Mbit/s up, D = 8, {nodes:,} nodes)",
            bool(400 < p95 < 1_600),
            "Their relays start from several places at once, blocks are 165 kB in the median.",
        )
    ]


def fees(quick: bool) -> list[Row]:
    """Compare the EIP-1559 map with its papers."""
    turns = 20_000 if quick else 200_000
    rows = []
    for market in (FeeMarket(10, 210, 40), FeeMarket(2, 200, 100)):
        critical = market.step_critical
        below, above = (orbit(market, share * critical, turns) for share in (0.95, 1.25))
        rows.append(
            Row(
                f"EIP-1559, load {market.load:g}: stable up to d = 2w / (load b*) = {critical:.4f}",
                "Leonardos et al. (arXiv 2102.10567): stable for small steps, then chaos",
                "stable below, not above",
                f"Lyapunov {below.lyapunov:+.2f} below; swing {np.ptp(above.fees):.2g} above",
                bool(below.lyapunov < 0 < np.ptp(above.fees)),
            )
        )
    mean = orbit(FeeMarket(10, 210, 40), 0.125, turns).blocks.mean()
    rows.append(
        Row(
            "EIP-1559, d = 0.125, chaotic: mean block over its target",
            "Optimality despite chaos (arXiv 2212.07175): bound 6.3 %, observed 2.0 to 2.9 %",
            f"at most {mean_block_bound(0.125) - 1:.1%}",
            f"{mean - 1:.1%}",
            bool(1 < mean < mean_block_bound(0.125)),
            "Our demand never moves; Ethereum's does, and often is below the target.",
        )
    )
    return rows


PUBLISHED: Final[tuple[Callable[[bool], list[Row]], ...]] = (
    hops, diversity, ipfs, sessions, gossip, blocks, fees,
)  # fmt: skip


def published(quick: bool, progress: Callable[[float], None]) -> list[Row]:
    """Measure every published result."""
    rows: list[Row] = []
    for done, measure in enumerate(PUBLISHED, start=1):
        rows += measure(quick)
        progress(done / len(PUBLISHED) * 0.5)
    return rows


_VERDICT: Final = {True: "yes", False: "**no**", None: "not comparable"}

HEAD: Final = """\
# The models beside published results, and the engines beside each other

Written by `cocoon sim report validation`; do not edit. The tests check the same rows at reduced
size (`tests/simulations/report`).

## Published results

| what | source | theirs | ours | agrees | where and why they differ |
|---|---|---|---|---|---|
"""


_CROSS: Final = f"""\
## The exact engine beside the models

The same scenario on both. The criterion is one of equivalence (Schuirmann 1987): the whole
95 % interval of the difference of the means has to lie within {BOUND:.0%} of the exact engine's
mean, so that noise counts against agreement. *At most apart* is the far end of that interval.
Figures are mean ± 95 % interval (seeds).

| scene | figure | exact engine | model | at most apart | agrees |
|---|---|---|---|---|---|
"""

_CROSS_WHY: Final = """
*Market*: 8 providers of 2 slots, 24 requesters, 20 minutes; the jobs that began in them, and the
level at their end. *Gossip*: 100 nodes, the exact engine's own mesh and delays, every quote of one
provider but the first. *Churn*: 100 nodes, half an hour, the second half measured. Not
compared, because the models do not have it: churn coupled with trade, faults, payment.

"""

_SERVED_WHY: Final = """\
Under full load four things decide how much is served, which the model takes from the node: a
requester has one job at a time; a channel has to be opened at the first job of each pair; an offer
keeps its slot until it is taken or not (0.5 s a job, as measured in the exact engine under this
load); and where few say that they are free, the others are asked, too. Without the first two, the
model cannot tell 24 requesters from 96 with a quarter of the jobs each. They were put into it
after it had disagreed (by up to 9.2%, with a bound of 8%); what they cost was measured in the exact
engine, not fitted. The model still serves a little more; why was not isolated.
"""


def crosschecks(making: Making) -> str:
    """Return the table of the engines beside each other, and what it means."""
    found, worst, arrivals = crosschecked(making)
    rows = [
        f"| {one.scene} | {one.figure} | {one.exact} | {one.model} | {one.apart:.1%} | "
        f"{_VERDICT[one.agrees]} |"
        for one in found
    ]
    gossip_line = (
        f"Message by message and peer by peer, {arrivals:,} arrivals of gossip are apart by at "
        f"most {worst:.0%} of what the order of copies on the uplinks explains (the model counts "
        "turns that the node skips)."
    )
    return _CROSS + "\n".join(rows) + "\n" + _CROSS_WHY + gossip_line + "\n\n" + _SERVED_WHY


def crosschecked(making: Making) -> tuple[list[Pair], float, int]:
    """Run every scene on both engines; see `gossip_pairs` for the two numbers."""
    loads = list(LOADS)[:1] if making.quick else list(LOADS)
    base, seeds = (REDUCED, (5, 20)) if making.quick else (BASE, (EXACT_SEEDS, MODEL_SEEDS))
    found: list[Pair] = []
    for done, load in enumerate(loads, start=1):
        found += pairs(load, making, base, seeds)
        making.progress(0.5 + 0.4 * done / len(loads))
    gossip_found, worst, arrivals = gossip_pairs(5 if making.quick else SEEDS)
    found += gossip_found
    laws = list(LAWS)[:1] if making.quick else list(LAWS)
    found += [churn_pair(law, 5 if making.quick else SEEDS) for law in laws]
    making.progress(1.0)
    return found, worst, arrivals


EXACT: Final = """
## Kernels beside plain event loops

Lookups (`tests/simulations/models/test_kademlia.py`), broadcasts (`test_broadcast.py`), the heap
(`test_queues.py`) and the price rule (`test_price_rule.py`) are compared with straightforward
programs on random inputs: **identical**, to the microsecond and to the nanoton.
"""


def make(folder: Path, making: Making) -> list[Path]:
    """Measure everything and write the page into *folder*."""
    rows = published(making.quick, making.progress)
    lines = [
        f"| {row.what} | {row.source} | {row.theirs} | {row.ours} | "
        f"{_VERDICT[row.agrees]} | {row.why} |"
        for row in rows
    ]
    text = HEAD + "\n".join(lines) + "\n\n" + crosschecks(making) + EXACT
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / FILE
    path.write_text(text, encoding="utf-8")
    return [path]
