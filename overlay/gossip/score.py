"""What we think of a neighbour in gossip: the score of GossipSub v1.1. Pure code.

Source: libp2p specs, pubsub/gossipsub/gossipsub-v1.1.md, section "The Score Function".
P1 (time in the mesh), P2 (first deliveries), P4 (invalid messages), P5 (what the node
thinks of it), P6 (neighbours of one address prefix) and P7 (misbehaviour) are counted.
P3 (too few deliveries) is not: our topics carry a message of each provider in minutes, so
that few deliveries say nothing about a neighbour.
"""

import math
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Final

MESH_QUANTUM_S: Final = 60.0
MESH_WEIGHT, MESH_CAP = 0.1, 30.0
FIRST_WEIGHT, FIRST_CAP, FIRST_HALF_LIFE_S = 0.2, 50.0, 300.0
INVALID_WEIGHT, INVALID_HALF_LIFE_S = -1.0, 1800.0
PREFIX_WEIGHT, PREFIX_FREE, PREFIX_FLOOR = -2.0, 8, -15.0
"""The floor: a crowd of one prefix leaves the mesh and gets no IHAVE; it is no fault to ban for."""
BEHAVIOUR_WEIGHT, BEHAVIOUR_FREE, BEHAVIOUR_HALF_LIFE_S = -0.5, 4.0, 600.0
TOPICS_CAP: Final = 12.0
"""The most that deliveries and patience are worth: less than the first faults cost."""

GOSSIP_THRESHOLD: Final = -10.0
"""Below: no IHAVE to it, none from it."""
PUBLISH_THRESHOLD: Final = -20.0
"""Below: nothing of ours is sent to it."""
GRAYLIST_THRESHOLD: Final = -40.0
"""Below: nothing of it is read."""
RETAINED_MAX: Final = 2048
"""Peers whose bad score is remembered after they left."""


@dataclass(slots=True)
class _Fading:
    """A counter that halves every *half_life_s*."""

    half_life_s: float
    value: float = 0.0
    at_s: float = 0.0

    def read(self, now_s: float) -> float:
        age_s = max(0.0, now_s - self.at_s)
        return float(self.value * 0.5 ** (age_s / self.half_life_s))

    def add(self, amount: float, now_s: float) -> None:
        self.value = self.read(now_s) + amount
        self.at_s = now_s


@dataclass(slots=True)
class _Peer:
    prefix: str = ""
    mesh_since_s: dict[str, float] = field(default_factory=dict[str, float])
    first: _Fading = field(default_factory=lambda: _Fading(FIRST_HALF_LIFE_S))
    invalid: _Fading = field(default_factory=lambda: _Fading(INVALID_HALF_LIFE_S))
    behaviour: _Fading = field(default_factory=lambda: _Fading(BEHAVIOUR_HALF_LIFE_S))


def _is_bad(known: _Peer, now_s: float) -> bool:
    return known.invalid.read(now_s) >= 1 or known.behaviour.read(now_s) >= 1


def _nobody(_peer: Hashable) -> float:
    return 0.0


class PeerScores:
    """The scores of all neighbours, and of some that left with a bad one.

    Args:
        application: P5, for example from `overlay.limits.standing`; 0 is neutral.
    """

    def __init__(self, application: Callable[[Hashable], float] = _nobody) -> None:
        self._application = application
        self._peers: dict[Hashable, _Peer] = {}
        self._left: OrderedDict[Hashable, _Peer] = OrderedDict()
        self._prefixes: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._peers) + len(self._left)

    def counted(self) -> list[Hashable]:
        """Return the neighbours that were not `disconnected`."""
        return list(self._peers)

    def connected(self, peer: Hashable, prefix: str) -> None:
        """Begin to count a neighbour at an address of *prefix*; "" is not counted."""
        known = self._peer(peer)
        if known.prefix:
            self._prefixes[known.prefix] -= 1
        known.prefix = prefix
        if prefix:
            self._prefixes[prefix] += 1

    def disconnected(self, peer: Hashable, now_s: float) -> None:
        """Forget a neighbour, unless it would gain from coming back as a stranger."""
        known = self._peers.pop(peer, None)
        if known is None:
            return
        if known.prefix:
            self._prefixes[known.prefix] -= 1
            if not self._prefixes[known.prefix]:
                del self._prefixes[known.prefix]
        known.prefix = ""
        known.mesh_since_s.clear()
        if _is_bad(known, now_s):
            self._left[peer] = known
            self._left.move_to_end(peer)
        self._forget_faded(now_s)

    def _forget_faded(self, now_s: float) -> None:
        """Forget of those who left the first whose faults faded, and the first of too many."""
        while self._left:
            peer, known = next(iter(self._left.items()))
            if len(self._left) <= RETAINED_MAX and _is_bad(known, now_s):
                return
            del self._left[peer]

    def joined_mesh(self, peer: Hashable, topic: str, now_s: float) -> None:
        """Note that a peer is in our mesh of *topic*."""
        self._peer(peer).mesh_since_s.setdefault(topic, now_s)

    def left_mesh(self, peer: Hashable, topic: str) -> None:
        """Note that a peer left our mesh of *topic*."""
        self._peer(peer).mesh_since_s.pop(topic, None)

    def first_delivery(self, peer: Hashable, now_s: float) -> None:
        """Note that a peer was the first to bring a valid message."""
        self._peer(peer).first.add(1.0, now_s)

    def invalid(self, peer: Hashable, now_s: float) -> None:
        """Note that a peer brought what no honest peer passes on."""
        self._peer(peer).invalid.add(1.0, now_s)

    def misbehaved(self, peer: Hashable, amount: float, now_s: float) -> None:
        """Note a breach of the protocol: a flood, a GRAFT in backoff, empty promises."""
        self._peer(peer).behaviour.add(amount, now_s)

    def score(self, peer: Hashable, now_s: float) -> float:
        """Return the score of a peer: 0 for a stranger."""
        known = self._peers.get(peer) or self._left.get(peer)
        if known is None:
            return self._application(peer)
        excess = max(0.0, known.behaviour.read(now_s) - BEHAVIOUR_FREE)
        crowd = max(0, self._prefixes[known.prefix] - PREFIX_FREE) if known.prefix else 0
        return (
            min(TOPICS_CAP, self._merits(known, now_s))
            + INVALID_WEIGHT * known.invalid.read(now_s) ** 2
            + BEHAVIOUR_WEIGHT * excess**2
            + max(PREFIX_FLOOR, PREFIX_WEIGHT * crowd**2)
            + self._application(peer)
        )

    def _merits(self, known: _Peer, now_s: float) -> float:
        longest_s = now_s - min(known.mesh_since_s.values(), default=math.inf)
        quanta = min(MESH_CAP, max(0.0, longest_s) / MESH_QUANTUM_S)
        return MESH_WEIGHT * quanta + FIRST_WEIGHT * min(FIRST_CAP, known.first.read(now_s))

    def _peer(self, peer: Hashable) -> _Peer:
        known = self._peers.get(peer)
        if known is None:
            known = self._left.pop(peer) if peer in self._left else _Peer()
            self._peers[peer] = known
        return known
