"""Who holds how much of us: connections, streams and bytes. Pure code.

Everything that is held is counted three times: for the peer, for its address prefix
(/24 of IPv4, /48 of IPv6) and in total. A request beyond any of the three is refused,
and the refusal says which one.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Annotated, TypeVar

import msgspec

from overlay.addresses import LOCAL
from overlay.ids import PeerId
from overlay.limits.arrivals import ArrivalsConfig

Name = TypeVar("Name")
Count = Annotated[int, msgspec.Meta(ge=1)]


class Ceiling(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The most of one thing that may be held.

    Attributes:
        total: by everybody.
        prefix: by the peers of one public address prefix.
        peer: by one peer.
    """

    total: Count
    prefix: Count
    peer: Count


class LimitsConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What others may hold of us, and how patient we are.

    Attributes:
        arrivals: new inbound connections of one IP address, before any cryptography.
        connections: open inbound connections.
        handshakes: inbound connections that have not proved their id yet; `peer` is
            not used, because nobody knows the peer.
        streams: open inbound streams of all protocols, from before they name one.
        work: inbound streams that our own handlers serve now: requests without an answer yet.
        unread_bytes: what came in and no handler has read; beyond, the connection is cut.
        ticket_load_percent: of the total of streams; from there on strangers (peers
            without good standing) need a ticket to open more.
        ban_s: seconds of a first ban; each further one lasts twice as long.
        first_frame_s: seconds within which an inbound stream must bring a first byte.
        stall_s: longest silence of a writer inside a frame, in seconds.
    """

    arrivals: ArrivalsConfig = ArrivalsConfig()
    connections: Ceiling = Ceiling(300, 24, 4)
    handshakes: Ceiling = Ceiling(64, 16, 64)
    streams: Ceiling = Ceiling(4096, 1024, 256)
    work: Ceiling = Ceiling(2048, 512, 128)
    unread_bytes: Ceiling = Ceiling(512 << 20, 64 << 20, 32 << 20)
    ticket_load_percent: Annotated[int, msgspec.Meta(ge=1, le=100)] = 75
    ban_s: Annotated[float, msgspec.Meta(gt=0)] = 600.0
    first_frame_s: Annotated[float, msgspec.Meta(gt=0)] = 10.0
    stall_s: Annotated[float, msgspec.Meta(gt=0)] = 10.0


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose use is counted.

    Attributes:
        peer_id: None before it is proved.
        prefix: where it comes from; `LOCAL` is not limited as a prefix.
    """

    peer_id: PeerId | None
    prefix: str = LOCAL


class Budget:
    """Counts one thing against one `Ceiling`.

    Invariant: what is released was taken; nobody's count is negative or kept at 0.
    """

    def __init__(self, ceiling: Ceiling) -> None:
        self._ceiling = ceiling
        self._peers: Counter[PeerId] = Counter()
        self._prefixes: Counter[str] = Counter()
        self.total = 0
        self.refused: Counter[str] = Counter()
        """Refusals, for each ceiling that was reached."""

    @property
    def load_percent(self) -> int:
        """How much of the total is held."""
        return 100 * self.total // self._ceiling.total

    def held_by(self, peer_id: PeerId) -> int:
        """Return how much one peer holds."""
        return self._peers[peer_id]

    def take(self, holder: Holder, amount: int = 1) -> str | None:
        """Hold *amount* more; return None, or the name of the ceiling that forbids it."""
        reached = self._reached(holder, amount)
        if reached is not None:
            self.refused[reached] += 1
            return reached
        self.total += amount
        if holder.peer_id is not None:
            self._peers[holder.peer_id] += amount
        if holder.prefix:
            self._prefixes[holder.prefix] += amount
        return None

    def release(self, holder: Holder, amount: int = 1) -> None:
        """Give *amount* back, which the same holder took."""
        self.total -= amount
        if holder.peer_id is not None:
            _subtract(self._peers, holder.peer_id, amount)
        if holder.prefix:
            _subtract(self._prefixes, holder.prefix, amount)

    def _reached(self, holder: Holder, amount: int) -> str | None:
        if self.total + amount > self._ceiling.total:
            return "total"
        if holder.prefix and self._prefixes[holder.prefix] + amount > self._ceiling.prefix:
            return "prefix"
        peer_id = holder.peer_id
        if peer_id is not None and self._peers[peer_id] + amount > self._ceiling.peer:
            return "peer"
        return None


def _subtract(counter: Counter[Name], name: Name, amount: int) -> None:
    counter[name] -= amount
    if counter[name] <= 0:
        del counter[name]
