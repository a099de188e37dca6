"""One message through routers as they are between two heartbeats: eager push and lazy pull.

The mesh and the scores stand still while a message spreads (a fraction of a second);
what peers delivered is counted into P2 and P3 for the next heartbeat.
"""

import math

import numpy as np

from simulations.models.compiled import Floats, Int32s, compiled, compiled_inline
from simulations.models.draws import below, draw
from simulations.models.gossip.state import Limits, Routers, Weights
from simulations.models.queues import sift_down, sift_up

_PROCESS_S = 0.0005
EAGER, LAZY, DUPLICATES = 0, 1, 2


@compiled_inline
def _push(
    routers: Routers, one: int, slot: int, when: float, times: Floats, items: Int32s, size: int
) -> int:
    """Send a copy over one connection to an honest router; return the new size of the heap."""
    back = routers.back[one, slot]
    if back >= 0 and size < times.size:
        other = routers.peer[one, slot]
        sift_up(times, items, size, when, other * routers.peer.shape[1] + back)
        return size + 1
    return size


@compiled_inline
def _credit(
    routers: Routers, weights: Weights, one: int, slot: int, late_s: float, first: bool
) -> None:
    """Count a copy that came over *slot*, so much later than the first."""
    if first:
        routers.first[one, slot] += 1
    if routers.in_mesh[one, slot] and late_s <= weights.window_s:
        routers.delivered[one, slot] += 1


@compiled
def _gossip(
    routers: Routers,
    limits: Limits,
    weights: Weights,
    arrived: Floats,
    one: int,
    now: float,
    times: Floats,
    items: Int32s,
    size: int,
    key: np.uint64,
    sent: Floats,
) -> int:
    """Send IHAVE to random peers outside the mesh; who lacks the message asks and gets it."""
    count = routers.links[one]
    outside = count - limits.d
    wanted = min(count, max(limits.d_lazy, int(limits.gossip_factor * outside)))
    for turn in range(wanted):
        slot = below(draw(key, turn), count)
        back = routers.back[one, slot]
        good = routers.score[one, slot] >= weights.gossip_threshold
        if routers.in_mesh[one, slot] or back < 0 or not good:
            continue
        other, delay = routers.peer[one, slot], routers.delay_s[one, slot]
        if arrived[other] > now + delay:
            size = _push(routers, one, slot, now + 3 * delay + _PROCESS_S, times, items, size)
            sent[LAZY] += 1
    return size


@compiled
def deliver(
    routers: Routers,
    limits: Limits,
    weights: Weights,
    source: int,
    published_s: float,
    sybils_forward: bool,
    phases_s: Floats,
    times: Floats,
    items: Int32s,
    arrived: Floats,
    sent: Floats,
    key: np.uint64,
) -> None:
    """Publish one message at *source*; fill in *arrived* (seconds, inf where it never came).

    Sybils that forward do so at once to every router that has them in its mesh, which is
    the best that a well-behaved node could do.
    """
    width, honest = routers.peer.shape[1], routers.links.size
    arrived[:] = np.inf
    sybil_has_it = False
    sift_up(times, items, 0, published_s, source * width + width - 1)
    size, counter = 1, 0
    while size > 0:
        now, item = times[0], items[0]
        size -= 1
        if size > 0:
            sift_down(times, items, size, times[size], items[size])
        if item < 0:
            one = -item - 1
            counter += 1
            size = _gossip(
                routers,
                limits,
                weights,
                arrived,
                one,
                now,
                times,
                items,
                size,
                draw(key, counter),
                sent,
            )
            continue
        one, slot = item // width, item % width
        is_source = one == source and now == published_s
        if not is_source:
            late_s = max(0.0, now - arrived[one])
            first = arrived[one] == np.inf
            _credit(routers, weights, one, slot, late_s if not first else 0.0, first)
            if not first:
                sent[DUPLICATES] += 1
                continue
        arrived[one] = now
        floods = is_source and limits.flood_publish
        for way in range(routers.links[one]):
            good = routers.score[one, way] >= weights.publish_threshold
            if (routers.in_mesh[one, way] or (floods and good)) and (is_source or way != slot):
                sent[EAGER] += 1
                when = now + routers.delay_s[one, way] + _PROCESS_S
                size = _push(routers, one, way, when, times, items, size)
                if routers.peer[one, way] >= honest and sybils_forward and not sybil_has_it:
                    sybil_has_it = True
                    size = _from_sybils(routers, honest, when, times, items, size)
        size = _plan_gossip(limits, phases_s[one], one, now, times, items, size)


@compiled
def _plan_gossip(
    limits: Limits, phase_s: float, one: int, now: float, times: Floats, items: Int32s, size: int
) -> int:
    """Put the next heartbeats of *one*, at which it tells of the message, into the heap."""
    beat = math.floor((now - phase_s) / limits.heartbeat_s) + 1
    for later in range(limits.history):
        if size < times.size:
            due = phase_s + (beat + later) * limits.heartbeat_s
            sift_up(times, items, size, due, -one - 1)
            size += 1
    return size


@compiled
def _from_sybils(
    routers: Routers, honest: int, when: float, times: Floats, items: Int32s, size: int
) -> int:
    """Let the attacker, who owns all sybils, send to each router that has one in its mesh."""
    width = routers.peer.shape[1]
    for one in range(honest):
        for slot in range(routers.links[one]):
            sybil = routers.in_mesh[one, slot] and routers.peer[one, slot] >= honest
            if sybil and size < times.size:
                arrival = when + routers.delay_s[one, slot] + _PROCESS_S
                sift_up(times, items, size, arrival, one * width + slot)
                size += 1
    return size
