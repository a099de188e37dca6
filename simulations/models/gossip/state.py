"""What GossipSub routers know, as arrays: connections, meshes, counters of the score.

Row u is an honest router, column q one of its connections. Sybils are numbers from
`honest` on; they share one owner and keep no state of their own.
"""

from typing import NamedTuple

import numpy as np

from simulations.models.compiled import Bools, Floats, Int32s


class Limits(NamedTuple):
    """GossipSub's parameters, by the names of the specification (D, D_lo, D_hi ...).

    Source: libp2p specs, pubsub/gossipsub, v1.0 and v1.1; the values of the v1.1
    evaluation are D 8, D_lo 6, D_hi 12, D_score 6, D_lazy 12, D_out 2.
    """

    d: int = 8
    d_low: int = 6
    d_high: int = 12
    d_score: int = 6
    d_lazy: int = 12
    d_out: int = 2
    gossip_factor: float = 0.25
    heartbeat_s: float = 1.0
    history: int = 3
    backoff_s: float = 60.0
    flood_publish: bool = True
    scoring: bool = True
    opportunistic_s: float = 60.0
    opportunistic_score: float = 1.0


class Weights(NamedTuple):
    """The score function: P1 to P4, P6 and P7 of GossipSub v1.1 for one topic.

    P1 time in mesh, P2 first deliveries, P3 deficit of mesh deliveries (squared),
    P6 peers on one address above a threshold (squared), P7 misbehaviour (squared).
    `window_s` is how long after the first copy a mesh peer's copy still counts for P3.
    """

    time_weight: float = 0.01
    time_cap_s: float = 300.0
    first_weight: float = 1.0
    first_cap: float = 50.0
    deficit_weight: float = -1.0
    deficit_threshold: float = 4.0
    deficit_after_s: float = 10.0
    decay: float = 0.9
    window_s: float = 0.25
    address_weight: float = -10.0
    address_threshold: int = 5
    misbehaviour_weight: float = -10.0
    misbehaviour_decay: float = 0.99
    gossip_threshold: float = -10.0
    publish_threshold: float = -50.0


class Routers(NamedTuple):
    """State of all honest routers; arrays are (honest, connections) unless said otherwise.

    Attributes:
        peer: int32, -1 where there is no connection.
        back: int32, at which column the other side has this connection; -1 for a sybil.
        links: int32 (honest,), how many connections.
        outbound: bool, whether this side dialled.
        crowd: int32, how many connections of this router come from the peer's address.
        in_mesh: bool.
        mesh_since, backoff_until: float64, seconds.
        first, delivered, misbehaved, score: float64, counters of P2, P3, P7, and the score.
        delay_s: float64, one way.
    """

    peer: Int32s
    back: Int32s
    links: Int32s
    outbound: Bools
    crowd: Int32s
    in_mesh: Bools
    mesh_since: Floats
    backoff_until: Floats
    first: Floats
    delivered: Floats
    misbehaved: Floats
    score: Floats
    delay_s: Floats


def connect(
    honest: int,
    sybils: int,
    degree: int,
    sybil_connections: int,
    delay_s: float,
    jitter: float,
    addresses: int,
    targets: int,
    sybils_from_s: float,
    seed: int,
) -> Routers:
    """Connect a swarm: each honest router dials degree/2 others, sybils dial the honest.

    Args:
        honest: routers.
        sybils: identities of the attacker.
        degree: mean honest connections of a router.
        sybil_connections: of one sybil.
        delay_s: one way; each edge differs by up to the share *jitter*.
        jitter: see *delay_s*.
        addresses: from how many addresses the sybils come.
        targets: sybils connect to the first so many routers only; 0: to all.
        sybils_from_s: when the sybils arrive.
        seed: of the draw.
    """
    rng = np.random.default_rng([seed, 0xC0])
    edges = _edges(honest, sybils, degree, sybil_connections, targets or honest, rng)
    count = np.bincount(edges[:, 0], minlength=honest) + np.bincount(
        edges[edges[:, 1] < honest, 1], minlength=honest
    )
    shape = honest, int(count.max())
    peer, back = np.full(shape, -1, np.int32), np.full(shape, -1, np.int32)
    outbound, delays = np.zeros(shape, np.bool_), np.zeros(shape)
    used = np.zeros(honest, np.int32)
    spread = delay_s + delay_s * jitter * rng.uniform(-1, 1, (edges.shape[0],))
    for edge, (one, other) in enumerate(edges):
        delay = spread[edge]
        here = used[one]
        peer[one, here], delays[one, here] = other, delay
        used[one] += 1
        if other < honest:
            there = used[other]
            used[other] += 1
            outbound[one, here] = True
            peer[other, there], delays[other, there] = one, delay
            back[one, here], back[other, there] = there, here
    crowd = _crowds(peer, honest, addresses)
    backoff = np.where(peer >= honest, sybils_from_s, 0.0)
    since, first, delivered, misbehaved, score = (np.zeros(shape) for _ in range(5))
    in_mesh = np.zeros(shape, np.bool_)
    own = peer, back, used, outbound, crowd, in_mesh
    return Routers(*own, since, backoff, first, delivered, misbehaved, score, delays)


def _edges(
    honest: int, sybils: int, degree: int, per_sybil: int, targets: int, rng: np.random.Generator
) -> Int32s:
    """Return pairs (router, router or sybil), each once."""
    ones = np.repeat(np.arange(honest), degree // 2)
    others = (ones + rng.integers(1, honest, ones.size)) % honest
    own = np.stack([np.minimum(ones, others), np.maximum(ones, others)], axis=1)
    who = np.repeat(np.arange(honest, honest + sybils), min(per_sybil, targets))
    reached = rng.integers(0, targets, who.size)
    pairs = np.concatenate([np.unique(own, axis=0), np.stack([reached, who], axis=1)])
    return np.asarray(np.unique(pairs, axis=0), np.int32)


def _crowds(peer: Int32s, honest: int, addresses: int) -> Int32s:
    """Return for each connection how many of the same router share its address."""
    crowd = np.ones(peer.shape, np.int32)
    for row in range(honest):
        sybil = np.flatnonzero(peer[row] >= honest)
        if sybil.size:
            address = peer[row, sybil] % max(1, addresses)
            _, where, counts = np.unique(address, return_inverse=True, return_counts=True)
            crowd[row, sybil] = counts[where]
    return crowd


def mesh_shares(routers: Routers, honest: int) -> Floats:
    """Return for each router which share of its mesh is sybils (0 for an empty mesh)."""
    sizes = routers.in_mesh.sum(axis=1)
    sybils = (routers.in_mesh & (routers.peer >= honest)).sum(axis=1)
    return np.asarray(np.divide(sybils, np.maximum(sizes, 1)), np.float64)
