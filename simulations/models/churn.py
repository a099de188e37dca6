"""Churn: peers that come and go, each an alternating renewal process of its own.

Peers do not wait for each other, so no queue of events is needed: each peer's life is
followed from start to end, and what happened is added up by the minute.

Sessions are Weibull, gaps exponential. Source of the shape: Stutzbach and Rejaie,
Understanding churn in peer-to-peer networks (IMC 2006); IPFS: Trautwein et al.
(SIGCOMM 2022). A log-normal session length is there for heavier tails.

A run starts in the middle of everybody's life, in the stationary state: a peer is on with
the long-run share, and then its session is one that a moment falls into, drawn in
proportion to its length (the inspection paradox; Feller, vol. II, section I.4).
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from simulations.models.compiled import Bools, Floats, Int64s, compiled, compiled_inline
from simulations.models.draws import draw, exponential, key_of, mixed, unit

MINUTE_S = 60
_WEIBULL, _LOG_NORMAL = 0, 1
SESSION_BINS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Churn:
    """How long peers stay and stay away.

    Attributes:
        session: "weibull" (`shape` k, `scale_s` lambda) or "log-normal" (`shape` is
            sigma, `scale_s` the median).
        gap_s: mean time away.
    """

    session: Literal["weibull", "log-normal"] = "weibull"
    shape: float = 0.54
    scale_s: float = 7_200.0
    gap_s: float = 14_400.0

    def __post_init__(self) -> None:
        """Refuse lengths that are none."""
        if min(self.shape, self.scale_s, self.gap_s) <= 0 or not math.isfinite(self.session_s):
            raise ValueError(f"shape, scale_s and gap_s above zero: {self}")

    @property
    def session_s(self) -> float:
        """The mean session length."""
        if self.session == "weibull":
            return self.scale_s * math.gamma(1 + 1 / self.shape)
        return self.scale_s * math.exp(self.shape**2 / 2)

    @property
    def availability(self) -> float:
        """The long-run share of time that a peer is on."""
        return self.session_s / (self.session_s + self.gap_s)


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """What happened to the population.

    Attributes:
        online: int64 (minutes + 1,): peers on at the start of each minute.
        changes: arrivals and departures in all.
        sessions_by_hour: int64 (64,): whole sessions by length in hours, the last for longer.
        online_at_end: bool (peers,).
    """

    online: Int64s
    changes: int
    sessions_by_hour: Int64s
    online_at_end: Bools


def _remaining_s(churn: Churn, peers: int, seed: int) -> Floats:
    """Return how long each peer's session goes on if it is on at the start.

    Weibull lengths in proportion to their length: (x / lambda)^k is gamma of 1 + 1/k;
    log-normal ones: the median grows by exp(sigma^2).
    """
    rng = np.random.default_rng([seed, 0xC41])
    if churn.session == "weibull":
        around = churn.scale_s * rng.gamma(1 + 1 / churn.shape, size=peers) ** (1 / churn.shape)
    else:
        median_s = churn.scale_s * math.exp(churn.shape**2)
        around = median_s * np.exp(churn.shape * rng.standard_normal(peers))
    return np.asarray(around * rng.random(peers), np.float64)


@compiled_inline
def _session_s(kind: int, shape: float, scale_s: float, key: np.uint64, counter: int) -> float:
    length = exponential(draw(key, counter))
    if kind == _WEIBULL:
        return float(scale_s * length ** (1.0 / shape))
    angle = 2.0 * math.pi * unit(draw(key, counter + 1))
    return scale_s * math.exp(shape * math.sqrt(2.0 * length) * math.cos(angle))


@compiled
def _live(
    kind: int,
    shape: float,
    scale_s: float,
    gap_s: float,
    availability: float,
    end_s: float,
    key: np.uint64,
    remaining_s: Floats,
    change: Int64s,
    sessions: Int64s,
    online_at_end: Bools,
) -> int:
    """Follow each peer; *change* gets +1 and -1 at the minute after an arrival or departure."""
    changes = 0
    for peer in range(online_at_end.size):
        own = mixed(key ^ np.uint64(peer))
        online = unit(draw(own, 0)) < availability
        change[0] += online
        now = remaining_s[peer] if online else gap_s * exponential(draw(own, 1))
        counter, since = 2, -1.0
        while now < end_s:
            changes += 1
            online = not online
            change[min(int(now / MINUTE_S) + 1, change.size - 1)] += 1 if online else -1
            if online:
                since = now
                now += _session_s(kind, shape, scale_s, own, counter)
            else:
                if since >= 0:
                    sessions[min(int((now - since) / 3600.0), SESSION_BINS - 1)] += 1
                now += gap_s * exponential(draw(own, counter))
            counter += 2
        online_at_end[peer] = online
    return changes


def live(churn: Churn, peers: int, hours: float, seed: int) -> History:
    """Let *peers* come and go for *hours*."""
    minutes = math.ceil(hours * 60)
    change, sessions = np.zeros(minutes + 1, np.int64), np.zeros(SESSION_BINS, np.int64)
    online_at_end = np.zeros(peers, np.bool_)
    kind = _WEIBULL if churn.session == "weibull" else _LOG_NORMAL
    law = kind, churn.shape, churn.scale_s, churn.gap_s, churn.availability
    remaining_s = _remaining_s(churn, peers, seed)
    streams = hours * 3600.0, key_of(seed, 0xC4), remaining_s
    changes = _live(*law, *streams, change, sessions, online_at_end)
    return History(np.cumsum(change), changes, sessions, online_at_end)
