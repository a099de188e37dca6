"""The one place that says who may do what with us. Pure code over budgets and standing.

The driver asks it about connections and streams, the node about handlers, gossip and
tickets. Where other work attaches: relayed connections should be counted under the
relay's prefix, and metrics read `Gate.figures`.
"""

from collections import Counter
from collections.abc import Callable
from typing import Final

from overlay.ids import PeerId
from overlay.limits.arrivals import Arrivals
from overlay.limits.budget import Budget, Holder, LimitsConfig
from overlay.limits.standing import Standing
from overlay.limits.ticket import TicketOffice, bits_for

TICKET_POINTS: Final = 6.0
"""What a ticket is worth: enough to be no stranger for about a quarter of an hour."""
SERVED_US_POINTS: Final = 1.0
BANNED: Final = "banned"


class Gate:
    """What one node lets others do.

    Args:
        config: the ceilings.
        clock: returns unix seconds.
        secret: random bytes for the tickets.
    """

    def __init__(self, config: LimitsConfig, clock: Callable[[], float], secret: bytes) -> None:
        self.config = config
        self.standing = Standing(ban_s=config.ban_s)
        self.arrivals = Arrivals(config.arrivals)
        self.handshakes = Budget(config.handshakes)
        self.connections = Budget(config.connections)
        self.streams = Budget(config.streams)
        self.work = Budget(config.work)
        self.unread_bytes = Budget(config.unread_bytes)
        self.refused: Counter[str] = Counter()
        """Refusals, for each reason."""
        self._clock = clock
        self._office = TicketOffice(secret)
        self._on_ban: Callable[[PeerId], None] | None = None

    def on_ban(self, drop: Callable[[PeerId], None]) -> None:
        """Have *drop* called with every peer that is banned from now on."""
        self._on_ban = drop

    def banned(self, peer_id: PeerId) -> bool:
        """Return whether we do not speak to a peer."""
        return self.standing.banned(peer_id, self._clock())

    def score(self, peer_id: PeerId) -> float:
        """Return the points of a peer, 0 for a stranger."""
        return self.standing.score(peer_id, self._clock())

    def take_arrival(self, address: str) -> bool:
        """Return whether a socket from this IP address may stay; ask before any cryptography."""
        reason = self.arrivals.admit(address, self._clock())
        return reason is None or self._refuse(reason)

    def blame_address(self, address: str, faults: int = 1) -> None:
        """Count *faults* against an IP address, whoever was there."""
        self.arrivals.blame(address, self._clock(), faults)

    def take_handshake(self, prefix: str) -> bool:
        """Return whether a stranger from *prefix* may begin to connect; `end` it later."""
        if prefix and self.standing.banned(prefix, self._clock()):
            return self._refuse("handshake " + BANNED)
        return self._take("handshakes", self.handshakes, Holder(None, prefix))

    def end_handshake(self, prefix: str) -> None:
        """Say that a handshake ended, in either way."""
        self.handshakes.release(Holder(None, prefix))

    def take_connection(self, peer_id: PeerId, prefix: str) -> bool:
        """Return whether an inbound connection of a proved peer may stay; `end` it later."""
        if self.banned(peer_id):
            return self._refuse("connection " + BANNED)
        return self._take("connections", self.connections, Holder(peer_id, prefix))

    def end_connection(self, peer_id: PeerId, prefix: str) -> None:
        """Say that an inbound connection ended."""
        self.connections.release(Holder(peer_id, prefix))

    def take_stream(self, peer_id: PeerId, prefix: str) -> bool:
        """Return whether a peer may open one more stream; `end` it later."""
        if self.banned(peer_id):
            return self._refuse("stream " + BANNED)
        return self._take("streams", self.streams, Holder(peer_id, prefix))

    def end_stream(self, peer_id: PeerId, prefix: str) -> None:
        """Say that an inbound stream ended."""
        self.streams.release(Holder(peer_id, prefix))

    def take_work(self, peer_id: PeerId, prefix: str) -> bool:
        """Return whether we begin to serve one more request of a peer; `end` it later."""
        return self._take("work", self.work, Holder(peer_id, prefix))

    def end_work(self, peer_id: PeerId, prefix: str) -> None:
        """Say that a request was served, in either way."""
        self.work.release(Holder(peer_id, prefix))

    def must_pay(self, peer_id: PeerId) -> bool:
        """Return whether a peer needs a ticket before we serve it."""
        if self.streams.load_percent < self.config.ticket_load_percent:
            return False
        return not self.standing.trusted(peer_id, self._clock())

    def turn_away(self, reason: str) -> None:
        """Count a refusal that was decided elsewhere."""
        self.refused[reason] += 1

    def ticket_challenge(self, peer_id: PeerId) -> bytes:
        """Return what a stranger has to solve: 16 bytes and the number of bits, 0 for nothing."""
        bits = self._bits() if self.must_pay(peer_id) else 0
        return self._office.challenge(peer_id, self._clock()) + bytes([bits])

    def redeem(self, peer_id: PeerId, nonce: bytes, bits: int) -> bool:
        """Take a ticket; return whether it is good, and the peer no stranger any more."""
        now_unix_s = self._clock()
        if not self._office.accepts(peer_id, nonce, bits, now_unix_s):
            self.blame(peer_id, 5, "a bad ticket")
            return False
        if not self.standing.trusted(peer_id, now_unix_s):
            self.standing.reward(peer_id, TICKET_POINTS, now_unix_s)
        return True

    def blame(self, peer_id: PeerId, points: float, reason: str) -> None:
        """Take points from a peer, and drop it if that bans it."""
        banned = points > 0 and self.standing.blame(peer_id, points, reason, self._clock())
        if banned and self._on_ban is not None:
            self._on_ban(peer_id)

    def reward(self, peer_id: PeerId) -> None:
        """Note that a peer served us: the one credit that it cannot make up alone."""
        self.standing.reward(peer_id, SERVED_US_POINTS, self._clock())

    def figures(self) -> dict[str, int]:
        """Return what is held now, for metrics."""
        return {
            "handshakes": self.handshakes.total,
            "connections_inbound": self.connections.total,
            "streams_inbound": self.streams.total,
            "work": self.work.total,
            "unread_bytes": self.unread_bytes.total,
            "bans": sum(each.until_unix_s > self._clock() for each in self.standing.bans(0.0)),
        }

    def _bits(self) -> int:
        return bits_for(self.streams.load_percent, self.config.ticket_load_percent)

    def _take(self, what: str, budget: Budget, holder: Holder) -> bool:
        ceiling = budget.take(holder)
        return ceiling is None or self._refuse(f"{what} of {ceiling}")

    def _refuse(self, reason: str) -> bool:
        self.refused[reason] += 1
        return False
