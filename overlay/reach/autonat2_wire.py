"""Messages of AutoNAT v2, as bytes and as values. Pure code.

Source: libp2p specs, autonat/autonat-v2.md, section "RPC Messages" (each prefixed with its length
as a varint). The schema is that document's.
"""

import enum
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from overlay.dht.wire import address_bytes, address_text
from overlay.errors import RemoteProtocolError
from overlay.protobuf import MANY, ONE, Field, framed, message_classes, parse

REQUEST_PROTOCOL: Final = "/libp2p/autonat/2/dial-request"
BACK_PROTOCOL: Final = "/libp2p/autonat/2/dial-back"
MESSAGE_BYTES_MAX: Final = 8192
ADDRESSES_MAX: Final = 16
DATA_BYTES_MAX: Final = 4096
"""Of one message that pays a toll."""
BACK_BYTES_MAX: Final = 64


class Status(enum.IntEnum):
    """How a request ended."""

    INTERNAL_ERROR = 0
    REQUEST_REJECTED = 100
    DIAL_REFUSED = 101
    OK = 200


class DialStatus(enum.IntEnum):
    """How the dial ended."""

    UNUSED = 0
    DIAL_ERROR = 100
    DIAL_BACK_ERROR = 101
    OK = 200


@dataclass(frozen=True, slots=True)
class Question:
    """Dial me at the first of these addresses that you like, and say *nonce* there.

    An address that does not parse is "": the place in the list is its name in the answer.
    """

    addresses: tuple[str, ...]
    nonce: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of it; *index* names the address."""

    status: Status
    index: int = 0
    dialed: DialStatus = DialStatus.UNUSED


@dataclass(frozen=True, slots=True)
class Toll:
    """The address is not where you come from: first send me so many bytes."""

    index: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Data:
    """A part of the toll; what it says means nothing."""

    data: bytes


Message: TypeAlias = Question | Answer | Toll | Data

_SCHEMA: Final = {
    "DialRequest": (
        ("addrs", 1, Field.TYPE_BYTES, MANY, None),
        ("nonce", 2, Field.TYPE_FIXED64, ONE, None),
    ),
    "DialResponse": (
        ("status", 1, Field.TYPE_INT32, ONE, None),
        ("addrIdx", 2, Field.TYPE_UINT32, ONE, None),
        ("dialStatus", 3, Field.TYPE_INT32, ONE, None),
    ),
    "DialDataRequest": (
        ("addrIdx", 1, Field.TYPE_UINT32, ONE, None),
        ("numBytes", 2, Field.TYPE_UINT64, ONE, None),
    ),
    "DialDataResponse": (("data", 1, Field.TYPE_BYTES, ONE, None),),
    "Message": (
        ("dialRequest", 1, Field.TYPE_MESSAGE, ONE, "DialRequest"),
        ("dialResponse", 2, Field.TYPE_MESSAGE, ONE, "DialResponse"),
        ("dialDataRequest", 3, Field.TYPE_MESSAGE, ONE, "DialDataRequest"),
        ("dialDataResponse", 4, Field.TYPE_MESSAGE, ONE, "DialDataResponse"),
    ),
    "DialBack": (("nonce", 1, Field.TYPE_FIXED64, ONE, None),),
    "DialBackResponse": (("status", 1, Field.TYPE_INT32, ONE, None),),
}
_CLASSES: Final = message_classes("cocoon.autonat2", _SCHEMA)
_Message: Final = _CLASSES["Message"]
_DialBack: Final = _CLASSES["DialBack"]
_DialBackResponse: Final = _CLASSES["DialBackResponse"]

BACK_TAKEN: Final = framed(_DialBackResponse(status=0).SerializeToString())
"""The answer to a dial back whose nonce is right."""


def encode(message: Message) -> bytes:
    """Return *message* with its length in front."""
    wire = _Message()
    match message:
        case Question(addresses, nonce):
            wire.dialRequest.addrs.extend(map(address_bytes, addresses))
            wire.dialRequest.nonce = nonce
        case Answer(status, index, dialed):
            answer = wire.dialResponse
            answer.status, answer.addrIdx, answer.dialStatus = int(status), index, int(dialed)
        case Toll(index, size_bytes):
            wire.dialDataRequest.addrIdx, wire.dialDataRequest.numBytes = index, size_bytes
        case Data(data):
            wire.dialDataResponse.data = data
    return framed(wire.SerializeToString())


def decode(data: bytes) -> Message:
    """Return the message in *data*.

    Raises:
        RemoteProtocolError: malformed, too long, or of an unknown kind.
    """
    wire = parse(_Message(), data, what="AutoNAT message", size_bytes_max=MESSAGE_BYTES_MAX)
    if wire.HasField("dialRequest"):
        request = wire.dialRequest
        return Question(tuple(map(address_text, request.addrs[:ADDRESSES_MAX])), request.nonce)
    if wire.HasField("dialResponse"):
        return _answer(wire.dialResponse)
    if wire.HasField("dialDataRequest"):
        return Toll(wire.dialDataRequest.addrIdx, wire.dialDataRequest.numBytes)
    if wire.HasField("dialDataResponse"):
        return Data(wire.dialDataResponse.data)
    raise RemoteProtocolError("an AutoNAT message of no known kind", penalty=10)


def encode_back(nonce: int) -> bytes:
    """Return the message by which a dial back proves that it came, with its length in front."""
    return framed(_DialBack(nonce=nonce).SerializeToString())


def decode_back(data: bytes) -> int:
    """Return the nonce of a dial back.

    Raises:
        RemoteProtocolError: malformed.
    """
    wire = parse(_DialBack(), data, what="dial back", size_bytes_max=BACK_BYTES_MAX)
    return int(wire.nonce)


def was_taken(data: bytes) -> bool:
    """Return whether *data* is the answer to a dial back that was taken.

    Raises:
        RemoteProtocolError: malformed.
    """
    wire = parse(_DialBackResponse(), data, what="dial back", size_bytes_max=BACK_BYTES_MAX)
    return int(wire.status) == 0


def _answer(wire: Any) -> Answer:  # noqa: ANN401
    try:
        return Answer(Status(wire.status), wire.addrIdx, DialStatus(wire.dialStatus))
    except ValueError as error:  # "MUST discard responses with status codes they do not understand"
        raise RemoteProtocolError("an AutoNAT answer of no known status", penalty=1) from error
