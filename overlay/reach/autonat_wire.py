"""Messages of AutoNAT v1, as bytes and as values. Pure code.

Source: libp2p specs, autonat/autonat-v1.md, section "RPC messages". The schema is that document's.
"""

import enum
from dataclasses import dataclass
from typing import Any, Final

import base58

from overlay.dht.wire import address_bytes, address_text, decode_addresses, encode_addresses
from overlay.errors import RemoteProtocolError
from overlay.ids import PeerId
from overlay.protobuf import MANY, ONE, Field, framed, message_classes, parse

MESSAGE_BYTES_MAX: Final = 4096
ADDRESSES_MAX: Final = 16
WORDS_CHARACTERS_MAX: Final = 128
_PEER_ID_BYTES_MAX: Final = 64
_DIAL: Final = 0
_DIAL_RESPONSE: Final = 1


class Status(enum.IntEnum):
    """How a dial back ended."""

    OK = 0
    DIAL_ERROR = 100
    DIAL_REFUSED = 101
    BAD_REQUEST = 200
    INTERNAL_ERROR = 300


@dataclass(frozen=True, slots=True)
class Question:
    """Dial me at one of these addresses."""

    peer_id: PeerId
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of it; *address* is the one that answered."""

    status: Status
    words: str = ""
    address: str = ""


_SCHEMA: Final = {
    "PeerInfo": (
        ("id", 1, Field.TYPE_BYTES, ONE, None),
        ("addrs", 2, Field.TYPE_BYTES, MANY, None),
    ),
    "Dial": (("peer", 1, Field.TYPE_MESSAGE, ONE, "PeerInfo"),),
    "DialResponse": (
        ("status", 1, Field.TYPE_INT32, ONE, None),
        ("statusText", 2, Field.TYPE_BYTES, ONE, None),
        ("addr", 3, Field.TYPE_BYTES, ONE, None),
    ),
    "Message": (
        ("type", 1, Field.TYPE_INT32, ONE, None),
        ("dial", 2, Field.TYPE_MESSAGE, ONE, "Dial"),
        ("dialResponse", 3, Field.TYPE_MESSAGE, ONE, "DialResponse"),
    ),
}
_Message: Final = message_classes("cocoon.autonat", _SCHEMA)["Message"]


def encode(message: Question | Answer) -> bytes:
    """Return *message* with its length in front."""
    wire = _Message()
    if isinstance(message, Question):
        wire.type = _DIAL
        wire.dial.peer.id = base58.b58decode(message.peer_id)
        wire.dial.peer.addrs.extend(encode_addresses(message.addresses))
    else:
        wire.type = _DIAL_RESPONSE
        wire.dialResponse.status = int(message.status)
        wire.dialResponse.statusText = message.words.encode()
        if message.address:
            wire.dialResponse.addr = address_bytes(message.address)
    return framed(wire.SerializeToString())


def decode(data: bytes) -> Question | Answer:
    """Return the message in *data*.

    Raises:
        RemoteProtocolError: malformed, too long, or of an unknown kind.
    """
    wire = parse(_Message(), data, what="AutoNAT message", size_bytes_max=MESSAGE_BYTES_MAX)
    if wire.type == _DIAL and wire.HasField("dial"):
        return _question(wire.dial.peer)
    if wire.type == _DIAL_RESPONSE and wire.HasField("dialResponse"):
        return _answer(wire.dialResponse)
    raise RemoteProtocolError("an AutoNAT message of no known kind", penalty=10)


def _question(peer: Any) -> Question:  # noqa: ANN401
    if not 0 < len(peer.id) <= _PEER_ID_BYTES_MAX:
        raise RemoteProtocolError("an AutoNAT message with a bad peer id", penalty=10)
    return Question(
        PeerId(base58.b58encode(peer.id).decode()), decode_addresses(peer.addrs, ADDRESSES_MAX)
    )


def _answer(wire: Any) -> Answer:  # noqa: ANN401
    try:
        status = Status(wire.status)
    except ValueError:
        status = Status.INTERNAL_ERROR  # of a later version; it is no success
    words = wire.statusText.decode("utf-8", "replace")[:WORDS_CHARACTERS_MAX]
    return Answer(status, words, address_text(wire.addr))
