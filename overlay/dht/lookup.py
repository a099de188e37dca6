"""The iterative look-up of Kademlia as a value: events in, queries out. Pure code.

The driver calls `begin`, `answered`, `failed` and `tick`; each returns whom to ask now.
The look-up walks several paths that share no peer, so that one liar misleads one path
only. It ends when the nearest peers of every path have answered, and needs no answer
from those that are slow.

Sources: Kademlia, section 2.3 (alpha queries in flight); I. Baumgart, S. Mies,
"S/Kademlia", 2007, section 4.3 (disjoint paths).
"""

import bisect
import enum
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from overlay.addresses import first_prefix
from overlay.dht.keys import point_of_peer
from overlay.ids import PeerId
from overlay.transport import PeerAddress

ALPHA: Final = 3
"""Queries in flight on one path; slow ones do not count."""
PATHS: Final = 2
NEAREST: Final = 20
"""k of the paper: how many nearest peers are kept and returned."""
CONFIRMED: Final = 3
"""How many nearest peers of a path must have answered; libp2p calls it beta."""
SLOW_S: Final = 0.3
"""After this time a query gives its place in flight to another, but may still answer."""
CANDIDATES_MAX: Final = 3 * NEAREST
"""Peers that one path remembers; the farthest are forgotten."""
PREFIX_MAX: Final = 4
"""Candidates of one public address prefix on one path."""
QUERIES_MAX: Final = 128
"""Queries of one look-up, whatever anybody answers."""


class _State(enum.Enum):
    NEW = enum.auto()
    ASKED = enum.auto()
    SLOW = enum.auto()
    ANSWERED = enum.auto()
    FAILED = enum.auto()


@dataclass(slots=True)
class _Candidate:
    peer: PeerAddress
    distance: int
    prefix: str
    state: _State = _State.NEW
    asked_at_s: float = 0.0


@dataclass(slots=True)
class _Path:
    """Candidates in the order of their distance; asked ones stay until they fail."""

    candidates: list[_Candidate] = field(default_factory=list[_Candidate])
    known: set[PeerId] = field(default_factory=set[PeerId])
    prefixes: Counter[str] = field(default_factory=Counter[str])

    def add(self, candidate: _Candidate) -> None:
        peer_id = candidate.peer.peer_id
        if peer_id in self.known:
            return
        if candidate.prefix and self.prefixes[candidate.prefix] >= PREFIX_MAX:
            return
        self.known.add(peer_id)
        self.prefixes[candidate.prefix] += 1
        bisect.insort(self.candidates, candidate, key=lambda each: each.distance)
        if len(self.candidates) > CANDIDATES_MAX and self.candidates[-1].state is _State.NEW:
            self._forget(self.candidates.pop())

    def drop(self, candidate: _Candidate) -> None:
        """Take out a candidate that failed; it stays known, so that it never comes back."""
        self.candidates.remove(candidate)
        self.prefixes[candidate.prefix] -= 1

    def _forget(self, candidate: _Candidate) -> None:
        self.known.discard(candidate.peer.peer_id)
        self.prefixes[candidate.prefix] -= 1


class Lookup:
    """Walks towards *target*, a point of the key space.

    Args:
        target: whose nearest peers are wanted.
        own_id: never asked.
        confirmed: how many nearest peers of each path must have answered.
        paths: how many paths that share no peer.
        alpha: queries in flight on each path.

    Invariants: nobody is asked twice; at most `QUERIES_MAX` are asked; each path
    remembers at most `CANDIDATES_MAX` peers that did not fail, and those it asked.
    """

    def __init__(
        self,
        target: int,
        own_id: PeerId,
        *,
        confirmed: int = CONFIRMED,
        paths: int = PATHS,
        alpha: int = ALPHA,
    ) -> None:
        self.target = target
        self._own_id = own_id
        self._confirmed = confirmed
        self._alpha = alpha
        self._paths = [_Path() for _ in range(paths)]
        self._asked: dict[PeerId, tuple[_Path, _Candidate]] = {}
        self._stopped = False

    @property
    def queries(self) -> int:
        """How many peers were asked."""
        return len(self._asked)

    def begin(self, seeds: Sequence[PeerAddress], now_s: float) -> list[PeerAddress]:
        """Start from *seeds*, dealt to the paths like cards; return whom to ask."""
        for index, peer in enumerate(self._sorted(seeds)):
            self._add(self._paths[index % len(self._paths)], (peer,))
        return self._next_queries(now_s)

    def answered(
        self, peer_id: PeerId, closer: Iterable[PeerAddress], now_s: float
    ) -> list[PeerAddress]:
        """Take the answer of *peer_id*, of which `NEAREST` peers count; return whom to ask."""
        path, candidate = self._asked[peer_id]
        if candidate.state in (_State.ASKED, _State.SLOW):
            candidate.state = _State.ANSWERED
            self._add(path, islice(closer, NEAREST))
        return self._next_queries(now_s)

    def failed(self, peer_id: PeerId, now_s: float) -> list[PeerAddress]:
        """Take note that *peer_id* did not answer; return whom to ask instead."""
        path, candidate = self._asked[peer_id]
        if candidate.state in (_State.ASKED, _State.SLOW):
            candidate.state = _State.FAILED
            path.drop(candidate)
        return self._next_queries(now_s)

    def tick(self, now_s: float) -> list[PeerAddress]:
        """Let time pass; return whom to ask besides the slow."""
        for _, candidate in self._asked.values():
            if candidate.state is _State.ASKED and now_s - candidate.asked_at_s >= SLOW_S:
                candidate.state = _State.SLOW
        return self._next_queries(now_s)

    def stop(self) -> None:
        """Ask nobody any more: what was looked for is found."""
        self._stopped = True

    @property
    def done(self) -> bool:
        """True once nothing more will be asked and no answer is worth waiting for."""
        return self._stopped or all(self._path_done(path) for path in self._paths)

    @property
    def closest(self) -> list[PeerAddress]:
        """The nearest peers that did not fail, nearest first, at most `NEAREST`.

        Some may not have been asked: they are nearest by the word of others.
        """
        best: dict[PeerId, _Candidate] = {}
        for path in self._paths:
            for candidate in path.candidates[:NEAREST]:
                peer_id = candidate.peer.peer_id
                if candidate.state is not _State.NEW or not self._has_failed(peer_id):
                    best.setdefault(peer_id, candidate)
        nearest = sorted(best.values(), key=lambda each: each.distance)[:NEAREST]
        return [each.peer for each in nearest]

    @property
    def answering(self) -> list[PeerAddress]:
        """The nearest peers that answered, nearest first."""
        found = [each for _, each in self._asked.values() if each.state is _State.ANSWERED]
        return [each.peer for each in sorted(found, key=lambda each: each.distance)]

    def _has_failed(self, peer_id: PeerId) -> bool:
        asked = self._asked.get(peer_id)
        return asked is not None and asked[1].state is _State.FAILED

    def _sorted(self, peers: Iterable[PeerAddress]) -> list[PeerAddress]:
        return sorted(peers, key=lambda each: point_of_peer(each.peer_id) ^ self.target)

    def _add(self, path: _Path, peers: Iterable[PeerAddress]) -> None:
        for peer in peers:
            if peer.peer_id != self._own_id and not self._has_failed(peer.peer_id):
                distance = point_of_peer(peer.peer_id) ^ self.target
                path.add(_Candidate(peer, distance, first_prefix(peer.addresses)))

    def _next_queries(self, now_s: float) -> list[PeerAddress]:
        if self._stopped:
            return []
        queries: list[PeerAddress] = []
        for path in self._paths:
            if not self._path_done(path):
                queries += self._advance(path, now_s)
        return queries

    def _advance(self, path: _Path, now_s: float) -> list[PeerAddress]:
        in_flight = sum(each.state is _State.ASKED for each in path.candidates)
        queries: list[PeerAddress] = []
        for candidate in self._own_candidates(path)[:NEAREST]:
            if in_flight >= self._alpha or len(self._asked) >= QUERIES_MAX:
                break
            if candidate.state is _State.NEW:
                candidate.state = _State.ASKED
                candidate.asked_at_s = now_s
                self._asked[candidate.peer.peer_id] = (path, candidate)
                queries.append(candidate.peer)
                in_flight += 1
        return queries

    def _own_candidates(self, path: _Path) -> list[_Candidate]:
        """Return what *path* may ask or has asked: other paths' peers are theirs."""
        return [
            each
            for each in path.candidates
            if each.state is not _State.NEW or each.peer.peer_id not in self._asked
        ]

    def _path_done(self, path: _Path) -> bool:
        own = self._own_candidates(path)
        if len(self._asked) >= QUERIES_MAX:
            own = [each for each in own if each.state is not _State.NEW]
        waited_for = [each for each in own if each.state is not _State.SLOW]
        nearest = waited_for[: self._confirmed]
        if any(each.state is not _State.ANSWERED for each in nearest):
            return False
        # Nobody but slow peers is left: wait for them, they are all that we have.
        return len(nearest) >= self._confirmed or len(waited_for) == len(own)
