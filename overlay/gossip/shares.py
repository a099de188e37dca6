"""A topic's budget, of which no neighbour can take another's share. Pure code; time comes in.

Whoever brings a message first uses the budget up, so that a neighbour that relays sound messages of
ever new authors could use it up for all. Here everybody has a queue of its own, as if each message
had to wait until it is served: all queues together are served at the topic's rate, each prefix that
has any as fast as each other, and so are the neighbours of one prefix. What one does not use is
served to others (max-min fairness). A message is refused only if the burst is used up by all
together, and its neighbour's own part of it by that neighbour.

The promise, whatever the others do: with at most N prefixes and M neighbours of its own prefix that
have something waiting, a neighbour that brings first at most burst / (N M) messages at once, and
rate / (N M) a second, is refused none. It says nothing of messages that it brings second: whoever
wins the race for a message pays for it, and if it cannot, the second may. Altogether no more is let
through than rate x time + burst x H(N) x H(M), where H(n) = 1 + 1/2 + ... + 1/n.

Source: generalized processor sharing in a hierarchy; A. Parekh and R. Gallager, "A Generalized
Processor Sharing Approach to Flow Control in Integrated Services Networks", 1993; J. Bennett and
H. Zhang, "Hierarchical Packet Fair Queueing Algorithms", 1996.
"""

from collections.abc import Hashable, Mapping
from operator import itemgetter
from typing import Final, NamedTuple, TypeVar

from overlay.addresses import LOCAL
from overlay.gossip.limits import PEERS_REMEMBERED_MAX, Rate
from overlay.ids import PeerId

ROUNDING: Final = 1e-9
_Key = TypeVar("_Key", bound=Hashable)


class Neighbour(NamedTuple):
    """Who hands us a message.

    Attributes:
        peer_id: its id.
        prefix: of the address that it comes from, of its relay if there is one.
    """

    peer_id: PeerId
    prefix: str = LOCAL

    @property
    def group(self) -> str:
        """With whom it shares: its prefix; private addresses have none, and share with nobody."""
        return self.prefix or self.peer_id


def max_min(wanted: Mapping[_Key, float], amount: float) -> dict[_Key, float]:
    """Divide *amount*: nobody gets more than it wants, and who gets less gets as much as anybody.

    >>> max_min({"a": 1, "b": 5, "c": 9}, 9)
    {'a': 1, 'b': 4.0, 'c': 4.0}
    """
    parts: dict[_Key, float] = {}
    for number, (key, most) in enumerate(sorted(wanted.items(), key=itemgetter(1))):
        parts[key] = min(most, amount / (len(wanted) - number))
        amount -= parts[key]
    return parts


class Shares:
    """The budget of one topic.

    Args:
        rate: of all neighbours together; its `first` is not used.
        neighbours_max: who may have something waiting at a time; more are refused.
    """

    def __init__(self, rate: Rate, *, neighbours_max: int = PEERS_REMEMBERED_MAX) -> None:
        self._rate = rate
        self._neighbours_max = neighbours_max
        self._waiting: dict[str, dict[PeerId, float]] = {}
        self._total = 0.0
        self._served_at_s = 0.0

    def __len__(self) -> int:
        """How many neighbours have something waiting."""
        return sum(map(len, self._waiting.values()))

    def take(self, neighbour: Neighbour, now_s: float) -> bool:
        """Return whether *neighbour* may bring one more message, and count it if so."""
        self._serve(now_s)
        used_up = self._total + 1 > self._rate.burst + ROUNDING
        if used_up and not self._has_share(neighbour):
            return False
        group = self._waiting.get(neighbour.group, {})
        if neighbour.peer_id not in group and len(self) >= self._neighbours_max:
            return False
        self._waiting[neighbour.group] = group
        group[neighbour.peer_id] = group.get(neighbour.peer_id, 0.0) + 1
        self._total += 1
        return True

    def _has_share(self, neighbour: Neighbour) -> bool:
        group = self._waiting.get(neighbour.group, {})
        groups = len(self._waiting) + (not group)
        members = len(group) + (neighbour.peer_id not in group)
        share = max(1.0, self._rate.burst / (groups * members))
        return group.get(neighbour.peer_id, 0.0) + 1 <= share + ROUNDING

    def _serve(self, now_s: float) -> None:
        amount = max(0.0, now_s - self._served_at_s) * self._rate.rate_per_s
        self._served_at_s = now_s
        if amount >= self._total:
            self._waiting.clear()
        else:
            wanted = {group: sum(members.values()) for group, members in self._waiting.items()}
            for group, part in max_min(wanted, amount).items():
                self._waiting[group] = _left(self._waiting[group], part)
            self._waiting = {group: left for group, left in self._waiting.items() if left}
        self._total = sum(sum(members.values()) for members in self._waiting.values())


def _left(waiting: Mapping[PeerId, float], amount: float) -> dict[PeerId, float]:
    """Return what still waits of the members of a group after *amount* of it was served."""
    served = max_min(waiting, amount)
    left = {peer_id: waits - served[peer_id] for peer_id, waits in waiting.items()}
    return {peer_id: waits for peer_id, waits in left.items() if waits > ROUNDING}
