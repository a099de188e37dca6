"""GossipSub v1.1: heartbeats, scores, lazy gossip, and the attacks of its evaluation.

Attacks (Vyzovitis et al., GossipSub: attack-resilient message propagation in the Filecoin
and ETH2.0 networks, 2020): sybils join the mesh of everybody (or of the first
`targets` routers: eclipse) and drop what they get; before `attack_s` they behave (covert
flash); with `attack_s = 0` and a cold boot they are there from the start; as censors they
drop only what one publisher says.

Left out: bandwidth and queues, invalid messages (P4), IHAVE and IWANT floods, PX.
"""

from dataclasses import dataclass, field

import numpy as np

from simulations.models.compiled import U64, Floats, Int64s
from simulations.models.draws import draw, key_of
from simulations.models.gossip.delivery import deliver
from simulations.models.gossip.state import Limits, Routers, Weights, connect, mesh_shares
from simulations.models.gossip.upkeep import heartbeat

_HEAP = 1 << 18


@dataclass(frozen=True, slots=True, kw_only=True)
class Swarm:
    """A scenario; the defaults are the set-up of the 2020 evaluation at a lower message rate.

    Attributes:
        honest, publishers: routers, and how many of them publish.
        degree: honest connections of a router (mean).
        delay_s, jitter: one way, and how far edges differ.
        warm_up_s: traffic before the first message that is counted: scores need traffic.
        sybils, sybil_connections, addresses, targets: the attacker, see `state.connect`.
        attack_s: when sybils stop forwarding; they join at 0 with a cold boot, else after
            `warm_up_s`.
        censored: sybils drop only what this publisher sends; -1: everything.
    """

    honest: int = 1_000
    publishers: int = 100
    degree: int = 20
    delay_s: float = 0.025
    jitter: float = 0.1
    warm_up_s: float = 15.0
    messages_per_s: float = 10.0
    duration_s: float = 30.0
    sybils: int = 0
    sybil_connections: int = 100
    addresses: int = 250
    targets: int = 0
    attack_s: float = 0.0
    cold_boot: bool = False
    censored: int = -1
    limits: Limits = field(default_factory=Limits)
    weights: Weights = field(default_factory=Weights)

    def __post_init__(self) -> None:
        """Refuse swarms that cannot be."""
        if not 2 <= self.degree < self.honest or not 1 <= self.publishers <= self.honest:
            raise ValueError("degree from 2 to honest - 1, publishers from 1 to honest")


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """What happened.

    Attributes:
        latency_s: float64 (messages, honest): inf where a message never came.
        source: who published each.
        published_s: when.
        mesh_share: float64 (heartbeats,): mean share of sybils in meshes.
        eager, lazy, duplicates: copies a message by push, by pull, and received again.
    """

    latency_s: Floats
    source: Int64s
    published_s: Floats
    mesh_share: Floats
    eager: float
    lazy: float
    duplicates: float

    def percentile_ms(self, percent: float) -> float:
        """Return a percentile of the latency of what arrived, in milliseconds."""
        arrived = self.latency_s[np.isfinite(self.latency_s)]
        return float(np.percentile(arrived, percent) * 1000) if arrived.size else float("inf")

    @property
    def delivered(self) -> float:
        """The share of (message, router) pairs that was delivered."""
        return float(np.mean(np.isfinite(self.latency_s)))


def run(swarm: Swarm, seed: int) -> Spread:
    """Run the swarm."""
    rng = np.random.default_rng([seed, 0x60551])
    routers = connect(
        swarm.honest,
        swarm.sybils,
        swarm.degree,
        swarm.sybil_connections,
        swarm.delay_s,
        swarm.jitter,
        swarm.addresses,
        swarm.targets,
        0.0 if swarm.cold_boot else swarm.warm_up_s,
        seed,
    )
    end_s = swarm.warm_up_s + swarm.duration_s
    sends = int(swarm.messages_per_s * end_s)
    published = np.sort(rng.uniform(0, end_s, sends))
    source = rng.integers(0, swarm.publishers, sends)
    latency = np.full((sends, swarm.honest), np.inf)
    share, copies = _play(swarm, routers, published, source, latency, rng, seed)
    counted = published >= swarm.warm_up_s
    return Spread(latency[counted], source[counted], published[counted], share, *copies / sends)


def _play(
    swarm: Swarm,
    routers: Routers,
    published: Floats,
    source: Int64s,
    latency: Floats,
    rng: np.random.Generator,
    seed: int,
) -> tuple[Floats, Floats]:
    """Alternate heartbeats and the messages between them; fill in *latency*."""
    beat_s, key = swarm.limits.heartbeat_s, key_of(seed, 0xBEA7)
    phases = rng.uniform(0, beat_s, swarm.honest)
    times, items = np.empty(_HEAP), np.empty(_HEAP, np.int32)
    arrived, sent = np.empty(swarm.honest), np.zeros(3)
    beats = int((swarm.warm_up_s + swarm.duration_s) / beat_s) + 1
    share, next_message = np.zeros(beats), 0
    for beat in range(beats):
        now = beat * beat_s
        joined = swarm.sybils > 0 and (swarm.cold_boot or now >= swarm.warm_up_s)
        heartbeat(
            routers, swarm.limits, swarm.weights, now, joined, swarm.honest, U64(draw(key, beat))
        )
        share[beat] = mesh_shares(routers, swarm.honest).mean()
        while next_message < published.size and published[next_message] < now + beat_s:
            at, who = published[next_message], int(source[next_message])
            forward = at < swarm.attack_s or (swarm.censored >= 0 and who != swarm.censored)
            deliver(
                routers,
                swarm.limits,
                swarm.weights,
                who,
                at,
                forward,
                phases,
                times,
                items,
                arrived,
                sent,
                U64(draw(key, (next_message + 1) << 20)),
            )
            latency[next_message] = arrived - at
            next_message += 1
    return share, sent
