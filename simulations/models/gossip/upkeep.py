"""The heartbeat of GossipSub v1.1 routers: scores, GRAFT and PRUNE, opportunistic grafting.

Source: libp2p specs, pubsub/gossipsub/gossipsub-v1.0.md (heartbeat, mesh maintenance)
and v1.1 (peer scoring, D_score, D_out, backoff, opportunistic grafting).
"""

import numpy as np

from simulations.models.compiled import Floats, Int32s, compiled, compiled_inline
from simulations.models.draws import below, draw
from simulations.models.gossip.state import Limits, Routers, Weights


@compiled_inline
def _scored(routers: Routers, weights: Weights, one: int, slot: int, now: float) -> float:
    score = weights.first_weight * min(routers.first[one, slot], weights.first_cap)
    if routers.in_mesh[one, slot]:
        here_s = now - routers.mesh_since[one, slot]
        score += weights.time_weight * min(here_s, weights.time_cap_s)
        missing = weights.deficit_threshold - routers.delivered[one, slot]
        if here_s > weights.deficit_after_s and missing > 0:
            score += weights.deficit_weight * missing * missing
    crowd = routers.crowd[one, slot] - weights.address_threshold
    if crowd > 0:
        score += weights.address_weight * crowd * crowd
    return float(score + weights.misbehaviour_weight * routers.misbehaved[one, slot] ** 2)


@compiled
def _rescore(routers: Routers, weights: Weights, now: float, scoring: bool) -> None:
    for one in range(routers.links.size):
        for slot in range(routers.links[one]):
            if scoring:
                routers.score[one, slot] = _scored(routers, weights, one, slot, now)
            routers.first[one, slot] *= weights.decay
            routers.delivered[one, slot] *= weights.decay
            routers.misbehaved[one, slot] *= weights.misbehaviour_decay


@compiled
def prune(routers: Routers, one: int, slot: int, now: float, backoff_s: float) -> None:
    """Take a connection out of both sides' meshes, with the penalty that v1.1 keeps (P3b)."""
    routers.in_mesh[one, slot] = False
    routers.backoff_until[one, slot] = now + backoff_s
    if routers.score[one, slot] < 0:
        routers.misbehaved[one, slot] += 1
    back = routers.back[one, slot]
    if back >= 0:
        other = routers.peer[one, slot]
        routers.in_mesh[other, back] = False
        routers.backoff_until[other, back] = now + backoff_s


@compiled
def _mesh_size(routers: Routers, one: int) -> int:
    size = 0
    for slot in range(routers.links[one]):
        size += routers.in_mesh[one, slot]
    return size


@compiled
def _accepts(routers: Routers, limits: Limits, one: int, slot: int, now: float) -> bool:
    """Tell whether *one* takes a GRAFT that comes over *slot*."""
    if routers.score[one, slot] < 0 or routers.backoff_until[one, slot] > now:
        return False
    return _mesh_size(routers, one) < limits.d_high or bool(routers.outbound[one, slot])


@compiled
def _graft(routers: Routers, limits: Limits, one: int, slot: int, now: float) -> bool:
    back = routers.back[one, slot]
    if back >= 0:
        other = routers.peer[one, slot]
        if not _accepts(routers, limits, other, back, now):
            routers.backoff_until[one, slot] = now + limits.backoff_s
            return False
        routers.in_mesh[other, back] = True
        routers.mesh_since[other, back] = now
        routers.delivered[other, back] = 0.0
    routers.in_mesh[one, slot] = True
    routers.mesh_since[one, slot] = now
    routers.delivered[one, slot] = 0.0
    return True


@compiled
def _graft_up_to(
    routers: Routers,
    limits: Limits,
    one: int,
    wanted: int,
    score_min: float,
    now: float,
    key: np.uint64,
) -> None:
    """Graft random connections of at least that score; a reservoir of one pass, in random order."""
    count = routers.links[one]
    if count == 0:
        return
    start, grafted = below(draw(key, 0), count), 0
    stride = 1 + 2 * below(draw(key, 1), max(1, count // 2))
    for turn in range(2 * count):
        slot = (start + turn * stride) % count
        fits = not routers.in_mesh[one, slot] and routers.score[one, slot] >= score_min
        if grafted < wanted and fits and routers.backoff_until[one, slot] <= now:
            grafted += _graft(routers, limits, one, slot, now)


@compiled
def _worst_to_prune(routers: Routers, one: int, limits: Limits, key: np.uint64) -> int:
    """Return a mesh slot to prune: not among the D_score best, nor one of the last D_out."""
    size, outbound = _mesh_size(routers, one), 0
    for slot in range(routers.links[one]):
        outbound += routers.in_mesh[one, slot] and routers.outbound[one, slot]
    skip = below(draw(key, size), max(1, size - limits.d_score))
    for slot in range(routers.links[one]):
        if not routers.in_mesh[one, slot]:
            continue
        better = 0
        for other in range(routers.links[one]):
            if routers.in_mesh[one, other]:
                ahead = routers.score[one, other] > routers.score[one, slot]
                tied = routers.score[one, other] == routers.score[one, slot] and other < slot
                better += ahead or tied
        kept = routers.outbound[one, slot] and outbound <= limits.d_out
        if better >= limits.d_score and not kept:
            if skip == 0:
                return slot
            skip -= 1
    return -1


@compiled
def _median_score(routers: Routers, one: int) -> float:
    scores = np.empty(routers.links[one])
    size = 0
    for slot in range(routers.links[one]):
        if routers.in_mesh[one, slot]:
            scores[size] = routers.score[one, slot]
            size += 1
    return float(np.median(scores[:size])) if size else 0.0


@compiled
def heartbeat(
    routers: Routers,
    limits: Limits,
    weights: Weights,
    now: float,
    sybils_graft: bool,
    honest: int,
    key: np.uint64,
) -> None:
    """Do the heartbeat of every router, one after the other, at *now*.

    Sybils send a GRAFT over each of their connections at each heartbeat when told to.
    """
    _rescore(routers, weights, now, limits.scoring)
    opportunistic = limits.scoring and now > 0 and now % limits.opportunistic_s < limits.heartbeat_s
    for one in range(routers.links.size):
        own = draw(key, one)
        for slot in range(routers.links[one]):
            if routers.in_mesh[one, slot] and routers.score[one, slot] < 0:
                prune(routers, one, slot, now, limits.backoff_s)
        if sybils_graft:
            for slot in range(routers.links[one]):
                sybil = routers.peer[one, slot] >= honest
                outside = sybil and not routers.in_mesh[one, slot]
                if outside and _accepts(routers, limits, one, slot, now):
                    _graft(routers, limits, one, slot, now)
        size = _mesh_size(routers, one)
        if size < limits.d_low:
            _graft_up_to(routers, limits, one, limits.d - size, 0.0, now, own)
        elif size > limits.d_high:
            for _ in range(size - limits.d):
                slot = _worst_to_prune(routers, one, limits, own)
                if slot >= 0:
                    prune(routers, one, slot, now, limits.backoff_s)
        if opportunistic:
            median = _median_score(routers, one)
            if median < limits.opportunistic_score:
                _graft_up_to(routers, limits, one, 2, median + 1e-9, now, own)


def sizes(routers: Routers) -> tuple[Int32s, Floats]:
    """Return each router's mesh size and the mean score of its connections."""
    size = routers.in_mesh.sum(axis=1).astype(np.int32)
    total = routers.score.sum(axis=1)
    return size, total / np.maximum(routers.links, 1)
