"""Rounds of asking for one job: whom the next one asks after the last came to nothing.

A round is one negotiation. A job has a bounded number of them, whether a provider failed
after it was chosen or nobody could be chosen at all.
"""

from dataclasses import dataclass, field, replace

from cocoon.market.match import Loss, Preferences, Shortlist
from cocoon.market.negotiate import Negotiation


@dataclass(slots=True)
class Rounds:
    """What the rounds of one job taught.

    Attributes:
        rounds_max: how many negotiations there may be in all.
        begun: how many there were.
        busy: who refused for want of a slot, since a round that came to nothing.
        turned_down: why others did not do it in such rounds; they are not asked again.
    """

    rounds_max: int
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

    def lost_slot(self, peer: str) -> None:
        """Learn that *peer* was chosen, and had given its last slot away by then."""
        self.busy.add(peer)
