"""Every exception that the overlay raises on purpose.

OverlayError
  LocalProtocolError     we broke a rule: a bug, never caught on the way up
  IdentityError          the key file cannot be used: mend it as the message says
  RemoteProtocolError    the peer broke a rule: drop it and lower its score
  PeerUnavailable        nobody answered, or not in time; trying elsewhere may work
    StreamClosed         the peer closed the stream in an orderly way
    StreamReset          the peer aborted the stream
"""

from typing import Final

import msgspec

DECODE_ERRORS: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What msgspec raises of bytes that it cannot decode: text may be broken, nesting endless."""


class OverlayError(Exception):
    """Base of everything below."""


class LocalProtocolError(OverlayError):
    """Our own code asked for something that the protocol forbids."""


class IdentityError(OverlayError):
    """The key file cannot be used; the message says what to do about it."""


class RemoteProtocolError(OverlayError):
    """The peer sent something that the protocol forbids.

    Attributes:
        penalty: how much the peer's score drops, in score points.
    """

    def __init__(self, message: str, *, penalty: int = 1) -> None:
        super().__init__(message)
        self.penalty = penalty


class PeerUnavailable(OverlayError):
    """The peer could not be reached, went away, or did not answer in time."""


class StreamClosed(PeerUnavailable):
    """The peer finished sending: no more frames will come on this stream."""


class StreamReset(PeerUnavailable):
    """The peer aborted the stream; the connection stands. Not every transport can tell."""
