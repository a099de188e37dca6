"""Strangers take turns, so that a crowd of them holds up nobody else. Pure code.

What an unknown peer sends costs us far more than it costs the peer: a handshake, a signature.
Whatever the budgets allow, that work is done piece by piece, one stranger's at a time. After each
comes a pause in which all others are served: `PAUSE_S`, or four times as long as the turn where
that is seen. So a message of a peer that we know waits for one turn of one stranger, and not for
those of all; and strangers that gossip get a fifth of a core at most, all together.

Among themselves the groups of strangers take turns in rounds, and in each group its members: a
group is an address prefix, or a relay, whose members are those who come through it. So a crowd
behind one relay holds up nobody who comes through another one, or directly.

A lone stranger hardly notices: what it sends is further apart than that by itself.
"""

from collections import deque
from typing import Final, Generic, TypeVar

PAUSE_S: Final = 0.002
"""A handshake has about 15 turns, which a lone newcomer takes one by one without waiting long."""
PAUSE_FACTOR: Final = 4.0
"""How many times as long as its turn the pause after it is."""
SPENT_S_MAX: Final = 0.002
"""Beyond, others worked meanwhile, or the machine stood still."""
NEWCOMER_TURNS: Final = 32
"""How many times a new connection waits for a turn: twice what proving its id, identify and a
first question take."""
_Who = TypeVar("_Who")


class Line(Generic[_Who]):
    """Who waits, and who is next: each group once in a round, in each group each member once.

    Invariant: whoever joins as the only one of its member is called after fewer than G x M others,
    with G groups and M members in each, however many join meanwhile.
    """

    def __init__(self) -> None:
        self._groups: dict[str, dict[str, deque[_Who]]] = {}

    def __bool__(self) -> bool:
        return bool(self._groups)

    def join(self, group: str, member: str, who: _Who) -> None:
        """Let *who* wait."""
        self._groups.setdefault(group, {}).setdefault(member, deque()).append(who)

    def call(self) -> _Who:
        """Return who is next, and go on to the next group; somebody must wait."""
        group, members = next(iter(self._groups.items()))
        member, waiting = next(iter(members.items()))
        who = waiting.popleft()
        del self._groups[group], members[member]
        if waiting:
            members[member] = waiting
        if members:
            self._groups[group] = members
        return who

    def leave(self, group: str, member: str, who: _Who) -> None:
        """Let *who*, which waits, wait no more."""
        members = self._groups[group]
        members[member].remove(who)
        if not members[member]:
            del members[member]
        if not members:
            del self._groups[group]


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
        spent_s = min(max(0.0, now_s - began_at_s), SPENT_S_MAX)
        self._free_at_s = max(self._free_at_s, now_s + PAUSE_FACTOR * spent_s)
