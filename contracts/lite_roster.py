"""Which of many liteservers to ask: the decisions, without I/O.

A server is asked only after a probe showed that it is there and tells a chain that follows
from what we trust. One that fails is put out for a while, twice as long each time it
fails again; one that *lied* (what it said does not follow) for much longer. After that
time it is probed, and only a good probe brings it back.
"""

from typing import Final

import msgspec

EJECTED_S: Final = 2.0
EJECTED_S_MAX: Final = 120.0
LIAR_EJECTED_S: Final = 600.0
SMOOTHING: Final = 0.3


class Standing(msgspec.Struct):
    """What is known of one server.

    Attributes:
        admitted: whether it may be asked.
        out_until_s: when it may be probed again.
        failures: in a row.
        latency_s: of its answers, smoothed.
        lied: how often what it said did not follow.
        reason: why it was put out last.
    """

    admitted: bool = False
    out_until_s: float = 0.0
    failures: int = 0
    latency_s: float = 0.0
    lied: int = 0
    reason: str = "not asked yet"


class Roster:
    """The standing of each server.

    Args:
        count: how many servers there are.
    """

    def __init__(self, count: int) -> None:
        self.standings = [Standing() for _ in range(count)]

    def usable(self) -> list[int]:
        """Return the servers that may be asked, the fastest first."""
        found = [number for number, each in enumerate(self.standings) if each.admitted]
        return sorted(found, key=lambda number: self.standings[number].latency_s)

    def probe_in_s(self, number: int, now_s: float) -> float:
        """Return how long to wait before a server that is out may be probed."""
        return max(0.0, self.standings[number].out_until_s - now_s)

    def admit(self, number: int, latency_s: float) -> None:
        """Note that a probe went well."""
        standing = self.standings[number]
        standing.admitted, standing.failures = True, 0
        standing.latency_s, standing.reason = latency_s, ""

    def answered(self, number: int, latency_s: float) -> None:
        """Note a good answer."""
        standing = self.standings[number]
        standing.failures = 0
        standing.latency_s += SMOOTHING * (latency_s - standing.latency_s)

    def eject(self, number: int, now_s: float, reason: str, *, lied: bool = False) -> None:
        """Note that a server failed, and put it out."""
        standing = self.standings[number]
        standing.admitted, standing.reason = False, reason
        standing.failures += 1
        standing.lied += lied
        out_s = min(EJECTED_S * 2 ** min(standing.failures - 1, 16), EJECTED_S_MAX)
        standing.out_until_s = now_s + (LIAR_EJECTED_S if lied else out_s)
