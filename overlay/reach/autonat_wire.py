"""Messages of AutoNAT v1, as bytes and as values. Pure code.

Source: libp2p specs, autonat/autonat-v1.md, section "RPC messages". The schema is that document's.
"""

import enum
from dataclasses import dataclass
from typing import Any, Final

import base58
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from overlay.dht.wire import address_bytes, address_text, varint
from overlay.errors import RemoteProtocolError
from overlay.ids import PeerId

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


_Field = descriptor_pb2.FieldDescriptorProto
_ONE: Final = _Field.LABEL_OPTIONAL
_SCHEMA: Final = {
    "PeerInfo": (
        ("id", 1, _Field.TYPE_BYTES, _ONE, None),
        ("addrs", 2, _Field.TYPE_BYTES, _Field.LABEL_REPEATED, None),
    ),
    "Dial": (("peer", 1, _Field.TYPE_MESSAGE, _ONE, "PeerInfo"),),
    "DialResponse": (
        ("status", 1, _Field.TYPE_INT32, _ONE, None),
        ("statusText", 2, _Field.TYPE_BYTES, _ONE, None),
        ("addr", 3, _Field.TYPE_BYTES, _ONE, None),
    ),
    "Message": (
        ("type", 1, _Field.TYPE_INT32, _ONE, None),
        ("dial", 2, _Field.TYPE_MESSAGE, _ONE, "Dial"),
        ("dialResponse", 3, _Field.TYPE_MESSAGE, _ONE, "DialResponse"),
    ),
}


def _make_schema() -> Any:  # noqa: ANN401  (made at run time)
    package = "cocoon.autonat"
    file = descriptor_pb2.FileDescriptorProto(
        name="cocoon/autonat.proto", package=package, syntax="proto2"
    )
    for name, fields in _SCHEMA.items():
        message = file.message_type.add(name=name)
        for field, number, kind, label, of in fields:
            type_name = f".{package}.{of}" if of else None
            message.field.add(
                name=field, number=number, type=kind, label=label, type_name=type_name
            )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.Message"))


_Message = _make_schema()


def encode(message: Question | Answer) -> bytes:
    """Return *message* with its length in front."""
    wire = _Message()
    if isinstance(message, Question):
        wire.type = _DIAL
        wire.dial.peer.id = base58.b58decode(message.peer_id)
        encoded = (address_bytes(each) for each in message.addresses)
        wire.dial.peer.addrs.extend(each for each in encoded if each)
    else:
        wire.type = _DIAL_RESPONSE
        wire.dialResponse.status = int(message.status)
        wire.dialResponse.statusText = message.words.encode()
        if message.address:
            wire.dialResponse.addr = address_bytes(message.address)
    data: bytes = wire.SerializeToString()
    return varint(len(data)) + data


def decode(data: bytes) -> Question | Answer:
    """Return the message in *data*.

    Raises:
        RemoteProtocolError: malformed, too long, or of an unknown kind.
    """
    if len(data) > MESSAGE_BYTES_MAX:
        raise RemoteProtocolError("AutoNAT message too long", penalty=10)
    wire = _Message()
    try:
        wire.ParseFromString(data)
    except DecodeError as error:
        raise RemoteProtocolError("malformed AutoNAT message", penalty=10) from error
    if wire.type == _DIAL and wire.HasField("dial"):
        return _question(wire.dial.peer)
    if wire.type == _DIAL_RESPONSE and wire.HasField("dialResponse"):
        return _answer(wire.dialResponse)
    raise RemoteProtocolError("an AutoNAT message of no known kind", penalty=10)


def _question(peer: Any) -> Question:  # noqa: ANN401
    if not 0 < len(peer.id) <= _PEER_ID_BYTES_MAX:
        raise RemoteProtocolError("an AutoNAT message with a bad peer id", penalty=10)
    addresses = [address_text(each) for each in peer.addrs[:ADDRESSES_MAX]]
    return Question(
        PeerId(base58.b58encode(peer.id).decode()), tuple(each for each in addresses if each)
    )


def _answer(wire: Any) -> Answer:  # noqa: ANN401
    try:
        status = Status(wire.status)
    except ValueError:
        status = Status.INTERNAL_ERROR  # of a later version; it is no success
    words = wire.statusText.decode("utf-8", "replace")[:WORDS_CHARACTERS_MAX]
    return Answer(status, words, address_text(wire.addr))
