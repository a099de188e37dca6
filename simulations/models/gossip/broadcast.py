"""One message through a mesh: exact arrival times at every peer, for up to 10^8 peers.

A peer validates the first copy for `validate_us`, then sends one copy after another
(`copy_us` each: its uplink) to its mesh neighbours. Arrival times are those of an exact
event simulation; time is cut into windows no longer than the shortest delay of an edge,
so whatever arrives in a window is final when the window opens and its order is free.

Left out: queueing between different messages, loss, lazy gossip (see `routers`).

Source of the window argument: conservative synchronisation, Chandy and Misra (1979);
of the problem: time-dependent shortest paths, here label-correcting in buckets
(delta-stepping, Meyer and Sanders 2003, with delta below the least edge: label-setting).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulations.models.compiled import Bytes, Int32s, compiled, compiled_inline
from simulations.models.gossip.mesh import Mesh
from simulations.models.underlay import Underlay

NEVER = np.int32(2**31 - 1)
SITES_MAX = 1 << 11
LAST_MILE_US_MAX = (1 << 20) - 1
_BITS = 20
_BATCH = 32


@dataclass(frozen=True, slots=True)
class Timing:
    """What a peer adds to the network's delay, in microseconds."""

    validate_us: int = 1000
    copy_us: int = 160
    """1 kB at 50 Mbit/s."""


@dataclass(frozen=True, slots=True, eq=False)
class Broadcast:
    """What became of one message.

    Attributes:
        arrival_us: int32 (peers,); `NEVER` where it did not arrive.
        hops: int16 (peers,) on the path of the first copy.
        copies: how many copies were sent.
        windows: how many time windows were opened.
    """

    arrival_us: Int32s
    hops: NDArray[np.int16]
    copies: int
    windows: int

    @property
    def delivered(self) -> float:
        """The share of peers that the message reached."""
        return float(np.mean(self.arrival_us != NEVER))

    @property
    def redundancy(self) -> float:
        """Copies beyond one a peer: RMR of Leitao et al., HyParView (DSN 2007)."""
        reached = int(np.count_nonzero(self.arrival_us != NEVER))
        return self.copies / max(1, reached - 1) - 1


@compiled_inline
def _collect(
    entry: int, spare: int, batch: Int32s, chain: Int32s, entries: Int32s, peers: Int32s
) -> tuple[int, int, int, int]:
    """Take up to `batch.size` entries off a chain; those out of date are dropped."""
    found, taken = 0, 0
    while entry >= 0 and taken < batch.size:
        following = chain[entry]
        if entries[entry, 1] == peers[entries[entry, 0], 0]:
            batch[found] = entries[entry, 0]
            found += 1
        chain[entry] = spare
        spare = entry
        entry = following
        taken += 1
    return entry, spare, found, taken


@compiled_inline
def _offer(
    one: int,
    neighbours: Int32s,
    count: int,
    peers: Int32s,
    path_us: Int32s,
    validate_us: int,
    copy_us: int,
    arrivals: Int32s,
) -> None:
    """Write down when each neighbour would get the copy of *one*."""
    place = peers[one, 1]
    from_here = peers[one, 0] + validate_us + (place & LAST_MILE_US_MAX)
    paths = path_us[place >> _BITS]
    for slot in range(count):
        place = peers[neighbours[one, slot], 1]
        there = paths[place >> _BITS] + (place & LAST_MILE_US_MAX)
        arrivals[slot] = from_here + copy_us * (slot + 1) + there


@compiled
def _spread(
    source: int,
    neighbours: Int32s,
    degree: Bytes,
    peers: Int32s,
    hops: NDArray[np.int16],
    path_us: Int32s,
    validate_us: int,
    copy_us: int,
    window_us: int,
    buckets: int,
) -> tuple[int, int]:
    """Fill in the arrivals of *peers* (rows: arrival, site << 20 | last mile) and *hops*.

    The time goes into loads of random rows of *peers*; a batch of peers is looked up
    before any is acted on, so that these loads overlap.
    """
    wrap, pool = buckets - 1, peers.shape[0] * 3 + 64
    head, chain = np.full(buckets, -1, np.int32), np.empty(pool, np.int32)
    entries, batch = np.empty((pool, 2), np.int32), np.empty(_BATCH, np.int32)
    arrivals = np.empty((_BATCH, neighbours.shape[1]), np.int32)
    entries[0, 0], entries[0, 1], chain[0], head[0] = source, 0, -1, 0
    peers[source, 0] = 0
    used, live, spare, now, copies = 1, 1, -1, 0, 0
    while live > 0:
        entry = head[now & wrap]
        head[now & wrap] = -1
        while entry >= 0:
            entry, spare, found, taken = _collect(entry, spare, batch, chain, entries, peers)
            live -= taken
            for row in range(found):
                one = batch[row]
                _offer(
                    one,
                    neighbours,
                    degree[one],
                    peers,
                    path_us,
                    validate_us,
                    copy_us,
                    arrivals[row],
                )
            for row in range(found):
                one = batch[row]
                copies += degree[one]
                for slot in range(degree[one]):
                    other, arrival = neighbours[one, slot], arrivals[row, slot]
                    if arrival < peers[other, 0]:
                        peers[other, 0] = arrival
                        hops[other] = hops[one] + 1
                        if spare >= 0:
                            new = spare
                            spare = chain[spare]
                        else:
                            new = used
                            used += 1
                        bucket = (arrival // window_us) & wrap
                        entries[new, 0], entries[new, 1] = other, arrival
                        chain[new] = head[bucket]
                        head[bucket] = new
                        live += 1
        now += 1
    return copies, now


def window_us(underlay: Underlay, timing: Timing) -> int:
    """Return the longest window inside which nothing can depend on anything else in it."""
    return max(1, underlay.delay_us_min + timing.validate_us + timing.copy_us)


def _buckets(underlay: Underlay, timing: Timing, degree_max: int, width_us: int) -> int:
    """Return a power of two of windows that the longest delay of an edge fits into."""
    longest = int(underlay.path_us.max()) + 2 * int(underlay.last_mile_us.max())
    longest += timing.validate_us + timing.copy_us * degree_max
    return 1 << (longest // width_us + 2).bit_length()


def broadcast(mesh: Mesh, underlay: Underlay, source: int, timing: Timing = Timing()) -> Broadcast:
    """Send one message from *source* through *mesh*.

    Raises:
        ValueError: more than 2,048 sites, or a last mile above 1.04 s.
    """
    if underlay.path_us.shape[0] > SITES_MAX or underlay.last_mile_us.max() > LAST_MILE_US_MAX:
        raise ValueError(f"at most {SITES_MAX} sites and last miles of {LAST_MILE_US_MAX} us")
    peers = np.empty((mesh.degree.size, 2), np.int32)
    hops = np.zeros(mesh.degree.size, np.int16)
    peers[:, 0] = NEVER
    np.left_shift(underlay.site, _BITS, out=peers[:, 1])
    peers[:, 1] |= underlay.last_mile_us
    width_us = window_us(underlay, timing)
    copies, windows = _spread(
        source,
        mesh.neighbours,
        mesh.degree,
        peers,
        hops,
        underlay.path_us,
        timing.validate_us,
        timing.copy_us,
        width_us,
        _buckets(underlay, timing, mesh.neighbours.shape[1], width_us),
    )
    return Broadcast(np.ascontiguousarray(peers[:, 0]), hops, copies, windows)
