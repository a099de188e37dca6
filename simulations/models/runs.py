"""Runs the models from a scenario file: translates keys, and says which ones it cannot honour."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from cocoon.errors import ConfigError
from simulations.engines import Outcome, Progress
from simulations.latency import LAST_MILE_MS, distances_us, read_matrix, read_places
from simulations.models import churn as churn_model
from simulations.models.compiled import Int32s, Int64s
from simulations.models.gossip import routers
from simulations.models.gossip.broadcast import NEVER, Timing, broadcast
from simulations.models.gossip.mesh import random_mesh
from simulations.models.gossip.state import Limits
from simulations.models.kademlia import lookup as kad
from simulations.models.kademlia.tables import build, random_ids
from simulations.models.market import exchange
from simulations.models.underlay import Underlay, constant
from simulations.scenario import Scenario

Figures: TypeAlias = dict[str, int | float | str]
ROUTERS_MAX = 5_000
OPENING_S = 2
"""To the next block of the exact engine's chain, 1.5 s on average, and until both have seen it."""
DEALING_MS = 500
"""As the exact engine was seen to do when full: 0.25 s from an offer to its acceptance, and 0.27 s
for each of nine in ten others that somebody had meanwhile and did not take."""
PATIENCE_S = 1
"""A node that was refused asks others at once and does not wait: in whole seconds, one try more."""
_SAMPLED = 20_000
"""Deliveries of one message that are kept."""


def underlay_of(scenario: Scenario, peers: int, seed: int) -> Underlay:
    """Return where the peers are: on the same map as in the exact engine.

    Raises:
        ConfigError: a file is missing or is another one than its hash says.
    """
    latency = scenario.latency
    if latency.model == "constant":
        return constant(peers, round(latency.constant_s * 1e6))
    if latency.model == "lognormal":
        rng = np.random.default_rng([seed, 0x10C])
        half = latency.median_s / 2 * np.exp(latency.sigma * rng.standard_normal(peers))
        last_mile = np.clip(half * 1e6, 1, 1_000_000).astype(np.int32)
        return Underlay(np.zeros(peers, np.int32), last_mile, np.zeros((1, 1), np.int32))
    if latency.model == "matrix":
        path_us = read_matrix(Path(latency.matrix), latency.matrix_sha256)
        return _placed(path_us, [1.0] * len(path_us), peers, 0.0, seed)
    places = read_places(latency)
    path_us = distances_us([(north, east) for north, east, _ in places])
    return _placed(path_us, [weight for _, _, weight in places], peers, LAST_MILE_MS, seed)


def _placed(
    path_us: list[list[int]], weights: list[float], peers: int, last_mile_ms: float, seed: int
) -> Underlay:
    """Put peers on a map by weight; last miles are log-normal around a median."""
    rng = np.random.default_rng([seed, 0x91A])
    site = rng.choice(len(weights), peers, p=np.array(weights) / sum(weights)).astype(np.int32)
    last_mile_us = last_mile_ms * 1000 * np.exp(0.5 * rng.standard_normal(peers))
    return Underlay(site, last_mile_us.astype(np.int32), np.array(path_us, np.int32))


def _milliseconds(values: Int32s | Int64s, name: str) -> Figures:
    """Return the usual percentiles of microseconds."""
    if not values.size:
        return {}
    marks = np.percentile(values, [50, 90, 99, 100]) / 1000
    labels = "p50", "p90", "p99", "max"
    return {f"{name}_{label}_ms": float(mark) for label, mark in zip(labels, marks, strict=True)}


# --- gossip ---------------------------------------------------------------------------------


def gossip(scenario: Scenario, seed: int, progress: Progress) -> Outcome:
    """Publish messages; whole routers for up to `ROUTERS_MAX` nodes, one mesh above that.

    Raises:
        ConfigError: sybils among more nodes than that.
    """
    if scenario.population.nodes <= ROUTERS_MAX:
        return _gossip_routers(scenario, seed, progress)
    if scenario.attackers.sybils:
        raise ConfigError(f"attackers.sybils: gossip has them up to {ROUTERS_MAX} nodes")
    return _gossip_broadcasts(scenario, seed, progress)


def _gossip_routers(scenario: Scenario, seed: int, progress: Progress) -> Outcome:
    keys, nodes = scenario.gossip, scenario.population.nodes
    limits = Limits(
        d=keys.degree,
        d_low=keys.degree_low,
        d_high=keys.degree_high,
        d_score=min(6, keys.degree),
        d_lazy=keys.degree_lazy,
        gossip_factor=keys.gossip_factor,
        heartbeat_s=keys.heartbeat_s,
        flood_publish=keys.flood_publish,
        scoring=keys.scoring,
    )
    swarm = routers.Swarm(
        honest=nodes,
        publishers=min(nodes, 100),
        degree=min(20, nodes - 1),
        delay_s=scenario.latency.constant_s,
        jitter=scenario.latency.jitter,
        messages_per_s=keys.messages_per_s,
        duration_s=keys.messages / keys.messages_per_s,
        sybils=scenario.attackers.sybils,
        attack_s=scenario.attackers.start_s,
        cold_boot=scenario.attackers.start_s == 0,
        limits=limits,
    )
    spread = routers.run(swarm, seed)
    progress(1.0)
    arrived = np.isfinite(spread.latency_s)
    latency_us = (spread.latency_s[arrived] * 1e6).astype(np.int64)
    summary: Figures = {
        "model": "routers",
        "reliability": spread.delivered,
        "duplicates_per_message": float(spread.duplicates),
        "sybil_mesh_share_end": float(spread.mesh_share[-1]),
    }
    message, node = np.nonzero(arrived)
    table: dict[str, Any] = {"message": message, "node": node, "latency_us": latency_us}
    return Outcome(summary | _milliseconds(latency_us, "latency"), {"delivery": table})


def _gossip_broadcasts(scenario: Scenario, seed: int, progress: Progress) -> Outcome:
    keys, nodes = scenario.gossip, scenario.population.nodes
    underlay = underlay_of(scenario, nodes, seed)
    mesh = random_mesh(nodes, keys.degree, keys.degree_high, seed)
    copy_us = max(1, round(keys.message_bytes * 8 / scenario.link.upload_mbps))
    timing = Timing(copy_us=copy_us)
    rng = np.random.default_rng([seed, 0x9055])
    reach, redundancy, rows = [], [], []
    for message in range(keys.messages):
        one = broadcast(mesh, underlay, int(rng.integers(nodes)), timing)
        reach.append(one.delivered)
        redundancy.append(one.redundancy)
        kept = np.sort(rng.choice(nodes, min(nodes, _SAMPLED), replace=False))
        kept = kept[one.arrival_us[kept] != NEVER]
        rows.append((np.full(kept.size, message), kept, one.arrival_us[kept], one.hops[kept]))
        progress((message + 1) / keys.messages)
    names = "message", "node", "latency_us", "hops"
    table: dict[str, Any] = {
        name: np.concatenate(column)
        for name, column in zip(names, zip(*rows, strict=True), strict=True)
    }
    summary: Figures = {
        "model": "broadcast",
        "reliability": float(np.mean(reach)),
        "redundancy": float(np.mean(redundancy)),
        "last_hop_max": int(table["hops"].max()),
    }
    return Outcome(summary | _milliseconds(table["latency_us"], "latency"), {"delivery": table})


# --- the rest -------------------------------------------------------------------------------


def kademlia(scenario: Scenario, seed: int, progress: Progress) -> Outcome:
    """Look up random keys among nodes of which a share is gone."""
    keys, nodes = scenario.dht, scenario.population.nodes
    rng = np.random.default_rng([seed, 0xCAD])
    ids = random_ids(nodes, seed)
    tables = build(ids, keys.k, seed)
    progress(0.3)
    dead = rng.random(nodes) < keys.dead
    kinds = np.where(dead, kad.DEAD, kad.ALIVE).astype(np.int8)
    sources = rng.choice(np.flatnonzero(~dead), keys.lookups)
    targets = rng.integers(0, 2**64, keys.lookups, dtype=np.uint64)
    parameters = kad.Parameters(keys.alpha, keys.beta, round(keys.timeout_s * 1e6))
    found = kad.look_up(
        tables, underlay_of(scenario, nodes, seed), sources, targets, parameters, kinds
    )
    live = np.flatnonzero(~dead)
    nearest = live[kad.truly_nearest(ids[live], targets)]
    right = (nearest == found.found) | (nearest == sources)  # nobody finds itself
    table: dict[str, Any] = {
        "hops": found.hops,
        "requests": found.requests,
        "timeouts": found.timeouts,
        "latency_us": found.latency_us,
        "right": right,
    }
    summary: Figures = {
        "lookups": keys.lookups,
        "right": float(right.mean()),
        "hops_mean": float(found.hops.mean()),
        "requests_mean": float(found.requests.mean()),
        "timeouts_mean": float(found.timeouts.mean()),
    }
    progress(1.0)
    return Outcome(summary | _milliseconds(found.latency_us, "latency"), {"lookup": table})


def churn(scenario: Scenario, seed: int, progress: Progress) -> Outcome:
    """Let everybody come and go.

    Raises:
        ConfigError: a law of lengths that the model does not have.
    """
    keys = scenario.churn
    kinds: dict[str, Callable[[], churn_model.Churn]] = {
        "weibull": lambda: churn_model.Churn(
            shape=keys.session_shape, scale_s=keys.session_scale_s, gap_s=keys.away_scale_s
        ),
        "exponential": lambda: churn_model.Churn(
            shape=1.0, scale_s=keys.session_scale_s, gap_s=keys.away_scale_s
        ),
        "lognormal": lambda: churn_model.Churn(
            session="log-normal",
            shape=keys.session_shape,
            scale_s=keys.session_scale_s,
            gap_s=keys.away_scale_s,
        ),
    }
    if keys.session not in kinds or keys.away != "exponential":
        raise ConfigError(
            f"churn.session: this model takes {', '.join(kinds)} with away = exponential"
        )
    hours = scenario.duration_s / 3600
    history = churn_model.live(kinds[keys.session](), scenario.population.nodes, hours, seed)
    progress(1.0)
    table: dict[str, Any] = {
        "minute": np.arange(history.online.size),
        "online": history.online,
    }
    lengths = history.sessions_by_hour
    summary: Figures = {
        "changes": history.changes,
        "online_mean": float(history.online.mean()),
        "online_end": int(history.online_at_end.sum()),
        "sessions_under_8_h": float(lengths[:8].sum() / max(1, lengths.sum())),
    }
    return Outcome(summary, {"session": table})


def market(scenario: Scenario, seed: int, progress: Progress) -> Outcome:
    """Trade under the price rule; every requester's value is the scenario's ceiling."""
    keys, work = scenario.prices, scenario.workload
    people, sigma = scenario.population, work.tokens_sigma
    job_s = work.output_tokens_median * float(np.exp(sigma**2 / 2)) / work.tokens_per_s
    terms = exchange.Terms(
        start_level_ppm=keys.start_level_ppm,
        floor_ppm=keys.floor_ppm,
        cap_ppm=keys.cap_ppm,
        elasticity_ppm=keys.elasticity_ppm,
        step_max_ppm=keys.step_max_ppm,
        window_s=round(keys.window_s),
    )
    jobs_per_s = people.requesters * work.jobs_per_hour / 3600
    scene = exchange.Market(
        providers=people.providers,
        slots=people.slots,
        terms=terms,
        load=jobs_per_s * job_s / (people.providers * people.slots),
        job_s=job_s,
        cost_sigma=keys.spread / 2,
        value_median=2 * keys.ceiling_ppm / 1e6,  # the base price is two costs
        value_sigma=0.01,
        patience_s=PATIENCE_S,
        requesters=people.requesters,
        opening_s=OPENING_S,
        dealing_ms=DEALING_MS,
        asks_full=True,
        herd=scenario.attackers.herd,
        colluding=scenario.attackers.wash_traders,
        wash_slots=people.slots if scenario.attackers.wash_traders else 0,
        shock_at_s=round(work.shock_at_s),
        shock_factor=work.shock_factor if work.shock_at_s else 1.0,
        lost=work.providers_lost,
        duration_s=round(scenario.duration_s),
    )
    session = exchange.run(scene, seed)
    progress(1.0)
    minutes = np.arange(session.level.size)
    table: dict[str, Any] = {
        "at_s": minutes * 60.0,
        "provider": np.zeros(minutes.size, np.int64),
        "level_ppm": np.round(session.level * 1e6).astype(np.int64),
        "paid_nanoton_per_slot_s": session.price,
        "busy": session.busy,
    }
    summary: Figures = {
        "welfare_share": float(session.welfare.sum() / max(1.0, session.optimum.sum())),
        "served_share": float(session.served_s.sum() / max(1.0, session.wanted_s.sum())),
        "level_mean_ppm": round(float(session.level.mean()) * 1e6),
        "level_end_ppm": round(float(session.level[-1]) * 1e6),
        "refused_share": session.refused / max(1, session.requests),
    }
    return Outcome(summary, {"price": table})
