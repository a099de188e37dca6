"""What we think of peers: scores that fade, bans that end. Pure code; bounded.

Good conduct is slow to earn and faults cost at once, so that a peer cannot save up
for an attack. Scores halve every `HALF_LIFE_S`; nothing is remembered for ever.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

import msgspec

from overlay.ids import PeerId

PEERS_MAX: Final = 4096
BANS_MAX: Final = 4096
HALF_LIFE_S: Final = 3600.0
SCORE_MAX: Final = 100.0
FORGOTTEN_SCORE: Final = 0.1
"""A score that faded so far is none: the point of one request after three and a half hours."""
TRUSTED_SCORE: Final = 5.0
"""From here on a peer is no stranger: it needs no ticket under load."""
BAN_SCORE: Final = -50.0
BAN_S_MAX: Final = 24 * 3600.0
REPEAT_S: Final = 7 * 24 * 3600.0
"""For so long after its end a ban makes the next one longer."""


@dataclass(slots=True)
class _Score:
    points: float
    at_unix_s: float


class Ban(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A peer, or an address prefix, that we do not speak to.

    Attributes:
        name: peer id or prefix.
        until_unix_s: when it ends.
        times: how many it is in a row.
        reason: for the operator.
    """

    name: str
    until_unix_s: float
    times: int
    reason: str


class Standing:
    """Scores and bans of everybody, at most `PEERS_MAX` and `BANS_MAX`; the oldest go first."""

    def __init__(self, *, ban_s: float) -> None:
        self._ban_s = ban_s
        self._scores: OrderedDict[PeerId, _Score] = OrderedDict()
        self._bans: OrderedDict[str, Ban] = OrderedDict()

    def score(self, peer_id: PeerId, now_unix_s: float) -> float:
        """Return the points of a peer: 0 for a stranger."""
        known = self._scores.get(peer_id)
        if known is None:
            return 0.0
        age_s = max(0.0, now_unix_s - known.at_unix_s)
        return float(known.points * 0.5 ** (age_s / HALF_LIFE_S))

    def reward(self, peer_id: PeerId, points: float, now_unix_s: float) -> None:
        """Add *points* for good conduct, up to `SCORE_MAX`."""
        self._set(peer_id, min(SCORE_MAX, self.score(peer_id, now_unix_s) + points), now_unix_s)

    def blame(self, peer_id: PeerId, points: float, reason: str, now_unix_s: float) -> bool:
        """Take *points* for a fault; return whether the peer is banned now.

        A peer in good standing does not pay with it: faults count from 0 down.
        """
        points_left = min(0.0, self.score(peer_id, now_unix_s)) - points
        self._set(peer_id, points_left, now_unix_s)
        if points_left <= BAN_SCORE:
            self.ban(peer_id, reason, now_unix_s)
            return True
        return False

    def trusted(self, peer_id: PeerId, now_unix_s: float) -> bool:
        """Return whether a peer has earned that we serve it under load."""
        return self.score(peer_id, now_unix_s) >= TRUSTED_SCORE

    def ban(self, name: str, reason: str, now_unix_s: float) -> Ban:
        """Ban a peer or a prefix; each ban in a row lasts twice as long."""
        last = self._bans.pop(name, None)
        times = 1 + (last.times if last is not None else 0)
        length_s = min(BAN_S_MAX, self._ban_s * 2 ** min(times - 1, 16))
        new = self._bans[name] = Ban(name, now_unix_s + length_s, times, reason[:128])
        while len(self._bans) > BANS_MAX:
            self._bans.popitem(last=False)
        return new

    def unban(self, name: str) -> None:
        """Forget a ban."""
        self._bans.pop(name, None)

    def banned(self, name: str, now_unix_s: float) -> bool:
        """Return whether a peer or prefix is banned."""
        known = self._bans.get(name)
        if known is not None and now_unix_s > known.until_unix_s + REPEAT_S:
            del self._bans[name]
        return known is not None and now_unix_s < known.until_unix_s

    def bans(self, now_unix_s: float) -> list[Ban]:
        """Return what must be remembered over a restart, those that are over included."""
        return [each for each in self._bans.values() if now_unix_s <= each.until_unix_s + REPEAT_S]

    def restore(self, bans: list[Ban]) -> None:
        """Take over the bans of an earlier run."""
        for each in bans[-BANS_MAX:]:
            self._bans[each.name] = each

    def _set(self, peer_id: PeerId, points: float, now_unix_s: float) -> None:
        self._scores[peer_id] = _Score(points, now_unix_s)
        self._scores.move_to_end(peer_id)
        self._forget_faded(now_unix_s)

    def _forget_faded(self, now_unix_s: float) -> None:
        """Forget those that count for nothing any more, and the oldest of too many."""
        while self._scores:
            oldest = next(iter(self._scores))
            faded = abs(self.score(oldest, now_unix_s)) < FORGOTTEN_SCORE
            if not faded and len(self._scores) <= PEERS_MAX:
                return
            del self._scores[oldest]
