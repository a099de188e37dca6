"""Rounds of asking for one job: whom the next one asks after the last came to nothing.

A round is one negotiation. A job has a bounded number of them, whether a provider failed
after it was chosen or nobody could be chosen at all. When everybody who suits is busy, the
job waits and begins anew, as long as its buyer has the patience.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from cocoon.market.match import Loss, Preferences, Shortlist
from cocoon.market.negotiate import Negotiation
from cocoon.messages import LossReason

WAIT_FIRST_S: Final = 0.5
WAIT_MAX_S: Final = 4.0


@dataclass(slots=True)
class Rounds:
    """What the rounds of one job taught.

    Attributes:
        rounds_max: how many negotiations there may be in all.
        begun: how many there were.
        busy: who refused for want of a slot, since a round that came to nothing.
        turned_down: why others did not do it in such rounds; they are not asked again.
        patience_s: how much longer to wait for a slot, in all.
        waits: how often that was done.
    """

    rounds_max: int
    patience_s: float = 0.0
    waits: int = 0
    begun: int = 0
    busy: set[str] = field(default_factory=set)
    turned_down: dict[str, Loss] = field(default_factory=dict)

    @property
    def exhausted(self) -> bool:
        """Tell whether no further round may begin."""
        return self.begun >= self.rounds_max

    def begin(self, prefs: Preferences) -> Preferences:
        """Count a round; return *prefs* with what the rounds before it taught."""
        self.begun += 1
        excluded = prefs.excluded | self.turned_down.keys()
        return replace(prefs, excluded=excluded, busy=frozenset(self.busy))

    def came_to_nothing(self, chosen: Shortlist, core: Negotiation) -> bool:
        """Learn from a round without a winner; tell whether to begin another at once.

        Another is worth it when somebody was busy, for then our quotes are old, and
        somebody suitable has not been asked yet. Else waiting is the caller's choice.
        """
        self.busy |= core.refused_busy
        others = (loss for loss in core.losses if loss.peer not in core.refused_busy)
        self.turned_down |= {loss.peer: loss for loss in others}
        return not self.exhausted and bool(core.refused_busy) and chosen.free_left > 0

    def wait_for_slot_s(
        self, losses: Sequence[Loss], *, attempts: int, rng: random.Random
    ) -> float:
        """Return how long to wait before asking again; 0 when there is nothing to wait for.

        Twice as long each time, with jitter, so that those who wait for the same providers
        do not come back together.

        Args:
            losses: why nobody did it, of the round that came to nothing.
            attempts: how many providers were chosen so far; rounds without one are forgiven.
            rng: of the jitter.
        """
        busy = any(
            loss.reason is LossReason.NO_FREE_SLOT or loss.peer in self.busy for loss in losses
        )
        if not busy or self.patience_s <= 0:
            return 0.0
        longest_s = min(WAIT_FIRST_S * 2.0**self.waits, WAIT_MAX_S)
        wait_s = min(longest_s * rng.uniform(0.5, 1.0), self.patience_s)
        self.patience_s -= wait_s
        self.waits += 1
        self.begun = attempts
        self.busy.clear()
        return wait_s

    def lost_slot(self, peer: str) -> None:
        """Learn that *peer* was chosen, and had given its last slot away by then."""
        self.busy.add(peer)
