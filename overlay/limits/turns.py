"""Strangers take turns, so that a crowd of them holds up nobody else. Pure code.

What an unknown peer sends costs us far more than it costs the peer: a handshake, a signature.
Whatever the budgets allow, that work is done in short turns, one stranger's at a time; after each
comes a pause twice as long as the turn was, and at least `PAUSE_S`, in which all others are
served. So a message of a peer that we know waits for one turn of one stranger, and not for those
of all, and strangers together get a third of a core at most.

A lone stranger hardly notices: what it sends is further apart than that by itself.
"""

from typing import Final

PAUSE_S: Final = 0.002
"""A handshake has about 15 turns, which a lone newcomer takes one by one without waiting long."""
PAUSE_FACTOR: Final = 2.0
TURN_S: Final = 0.001
"""How long a turn lasts, and then whatever was begun in it; two or three messages of gossip."""
TURN_STEPS_MAX: Final = 16
"""The same in pieces of work, for a clock that stands still."""
NEWCOMER_TURNS: Final = 32
"""How many times a new connection waits for a turn: twice what proving its id, identify and a
first question take."""


class Turns:
    """Says when the next turn may begin."""

    def __init__(self) -> None:
        self._free_at_s = 0.0

    def next_s(self, now_s: float) -> float:
        """Return when whoever is first in the queue may begin."""
        return max(now_s, self._free_at_s)

    def begin(self, now_s: float) -> None:
        """Note that a turn begins."""
        self._free_at_s = now_s + PAUSE_S

    def end(self, began_at_s: float, now_s: float) -> None:
        """Note that a turn ended, if its end is seen at all."""
        spent_s = min(max(0.0, now_s - began_at_s), 10 * TURN_S)
        self._free_at_s = max(self._free_at_s, now_s + PAUSE_FACTOR * spent_s)


def is_over(began_at_s: float, steps: int, now_s: float) -> bool:
    """Return whether a turn of so many pieces of work has to end."""
    return now_s - began_at_s >= TURN_S or steps >= TURN_STEPS_MAX
