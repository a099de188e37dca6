"""What comes of asking a peer to dial us back, and how often one may ask.

The protocols: `autonat2`, and `autonat` for older nodes of other libp2ps that ask us.
"""

import enum
from typing import Final

import msgspec

from overlay.gossip.limits import Rate

STREAMS_MAX: Final = 8
DIAL_S: Final = 5.0
"""Patience of the one who dials back."""
QUESTION_S: Final = 5.0
PEER_RATE: Final = Rate(rate_per_s=1 / 30, burst=4)
TOTAL_RATE: Final = Rate(rate_per_s=2.0, burst=16)
PEERS_REMEMBERED_MAX: Final = 4096


class Reply(enum.Enum):
    """What came of a dial back."""

    REACHED = "reached"
    """The asker answered, and proved its id."""
    ANOTHER = "another"
    """Somebody answered there, under another id or without taking the dial back."""
    SILENT = "silent"
    """Nobody answered."""
    BUSY = "busy"
    """Asked too often: try again in a minute."""
    UNKNOWN = "unknown"
    """No address that the peer dials: private, of an IP that it has not, through a relay."""


class Answer(msgspec.Struct, frozen=True):
    """What came of asking one peer.

    Attributes:
        reply: the outcome.
        dialed: the multiaddr that was dialed, "" if none was.
    """

    reply: Reply
    dialed: str = ""
