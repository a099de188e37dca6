"""What one end of a line has sent and received. Pure code.

Both ends count frames. When their connection is lost, each tells the other how many frames
came; what is missing is sent again, in order, on the next connection. So each frame comes
exactly once, wherever the cut was. What is kept for that is bounded: a peer that is further
behind than any stream's window cannot be caught up with.
"""

from collections import deque
from typing import Final

from overlay.errors import PeerUnavailable, RemoteProtocolError

KEPT_BYTES_MAX: Final = 8 << 20
"""Four windows of a stream (`overlay._libp2p_hardening`): no more can be on its way, and unread."""


class Tally:
    """Counts the frames of one line, and keeps the last that were sent.

    Invariant: keeps at most *kept_bytes_max*, or one frame.

    Attributes:
        received: how many frames came.
        sent: how many frames were sent, or are to be.
    """

    def __init__(self, kept_bytes_max: int = KEPT_BYTES_MAX) -> None:
        self.received = 0
        self.sent = 0
        self._kept: deque[bytes] = deque()
        self._kept_bytes = 0
        self._kept_bytes_max = kept_bytes_max

    def note_received(self) -> None:
        """A frame came."""
        self.received += 1

    def note_sent(self, frame: bytes) -> None:
        """Keep *frame*, and forget those that must have come by now."""
        self.sent += 1
        self._kept.append(frame)
        self._kept_bytes += len(frame)
        while self._kept_bytes > self._kept_bytes_max and len(self._kept) > 1:
            self._forget_oldest()

    def rest(self, came: int) -> list[bytes]:
        """Return the frames that are to be sent again, when *came* of ours came.

        Raises:
            RemoteProtocolError: there were never so many.
            PeerUnavailable: what is missing is not kept any more.
        """
        if came > self.sent:
            raise RemoteProtocolError(f"{came} frames came, and {self.sent} were sent", penalty=10)
        behind = self.sent - came
        if behind > len(self._kept):
            raise PeerUnavailable(f"the peer is {behind} frames behind: it cannot catch up")
        while len(self._kept) > behind:
            self._forget_oldest()
        return list(self._kept)

    def _forget_oldest(self) -> None:
        self._kept_bytes -= len(self._kept.popleft())
