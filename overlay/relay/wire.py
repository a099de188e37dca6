"""Messages of circuit relay v2, as bytes and as values. Pure code.

Source: libp2p specs, relay/circuit-v2.md, section "Protobuf" (each message prefixed with its
length as a varint). The schema below is that document's.
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

HOP_PROTOCOL: Final = "/libp2p/circuit/relay/0.2.0/hop"
STOP_PROTOCOL: Final = "/libp2p/circuit/relay/0.2.0/stop"
MESSAGE_BYTES_MAX: Final = 4096
ADDRESSES_MAX: Final = 8
_PEER_ID_BYTES_MAX: Final = 64


class Kind(enum.Enum):
    """What a message is; the two protocols number them differently."""

    RESERVE = "reserve"
    CONNECT = "connect"
    STATUS = "status"


HOP_KINDS: Final = (Kind.RESERVE, Kind.CONNECT, Kind.STATUS)
STOP_KINDS: Final = (Kind.CONNECT, Kind.STATUS)


class Status(enum.IntEnum):
    """How a request ended."""

    NONE = 0
    OK = 100
    RESERVATION_REFUSED = 200
    RESOURCE_LIMIT_EXCEEDED = 201
    PERMISSION_DENIED = 202
    CONNECTION_FAILED = 203
    NO_RESERVATION = 204
    MALFORMED_MESSAGE = 400
    UNEXPECTED_MESSAGE = 401


@dataclass(frozen=True, slots=True)
class Message:
    """A message of either protocol.

    Attributes:
        kind: what it is.
        peer: who is to be connected to (hop), or who connects (stop).
        status: how the request ended, in STATUS.
        expires_at_unix_s: end of the reservation, 0 if there is none.
        addresses: where the relay says that it is reached.
        duration_s: longest life of a circuit, 0 for any.
        data_bytes: most bytes of a circuit in each direction, 0 for any.
    """

    kind: Kind
    peer: PeerId | None = None
    status: Status = Status.NONE
    expires_at_unix_s: int = 0
    addresses: tuple[str, ...] = ()
    duration_s: int = 0
    data_bytes: int = 0


_Field = descriptor_pb2.FieldDescriptorProto
_PACKAGE: Final = "cocoon.relay"
_ONE: Final = _Field.LABEL_OPTIONAL
_MANY: Final = _Field.LABEL_REPEATED
_COMMON: Final = {
    "Peer": (("id", 1, _Field.TYPE_BYTES, _ONE, None),),
    "Reservation": (
        ("expire", 1, _Field.TYPE_UINT64, _ONE, None),
        ("addrs", 2, _Field.TYPE_BYTES, _MANY, None),
    ),
    "Limit": (
        ("duration", 1, _Field.TYPE_UINT32, _ONE, None),
        ("data", 2, _Field.TYPE_UINT64, _ONE, None),
    ),
    "Hop": (
        ("type", 1, _Field.TYPE_INT32, _ONE, None),
        ("peer", 2, _Field.TYPE_MESSAGE, _ONE, "Peer"),
        ("reservation", 3, _Field.TYPE_MESSAGE, _ONE, "Reservation"),
        ("limit", 4, _Field.TYPE_MESSAGE, _ONE, "Limit"),
        ("status", 5, _Field.TYPE_INT32, _ONE, None),
    ),
    "Stop": (
        ("type", 1, _Field.TYPE_INT32, _ONE, None),
        ("peer", 2, _Field.TYPE_MESSAGE, _ONE, "Peer"),
        ("limit", 3, _Field.TYPE_MESSAGE, _ONE, "Limit"),
        ("status", 4, _Field.TYPE_INT32, _ONE, None),
    ),
}


def _make_schema() -> tuple[Any, Any]:
    file = descriptor_pb2.FileDescriptorProto(
        name="cocoon/relay.proto", package=_PACKAGE, syntax="proto2"
    )
    for name, fields in _COMMON.items():
        message = file.message_type.add(name=name)
        for field, number, kind, label, of in fields:
            type_name = f".{_PACKAGE}.{of}" if of else None
            message.field.add(
                name=field, number=number, type=kind, label=label, type_name=type_name
            )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    hop, stop = (
        message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
        for name in ("Hop", "Stop")
    )
    return hop, stop


_Hop, _Stop = _make_schema()


def encode_hop(message: Message) -> bytes:
    """Return *message* of the hop protocol with its length in front."""
    wire = _Hop(type=HOP_KINDS.index(message.kind))
    if message.expires_at_unix_s:
        wire.reservation.expire = message.expires_at_unix_s
        encoded = (address_bytes(each) for each in message.addresses)
        wire.reservation.addrs.extend(each for each in encoded if each)
    return _finish(wire, message)


def encode_stop(message: Message) -> bytes:
    """Return *message* of the stop protocol with its length in front."""
    return _finish(_Stop(type=STOP_KINDS.index(message.kind)), message)


def decode_hop(data: bytes) -> Message:
    """Return the message of the hop protocol in *data*.

    Raises:
        RemoteProtocolError: malformed, or of an unknown kind.
    """
    wire = _parse(_Hop(), data)
    reservation = wire.reservation
    addresses = [address_text(each) for each in reservation.addrs[:ADDRESSES_MAX]]
    return _message(wire, HOP_KINDS, reservation.expire, tuple(each for each in addresses if each))


def decode_stop(data: bytes) -> Message:
    """Return the message of the stop protocol in *data*.

    Raises:
        RemoteProtocolError: malformed, or of an unknown kind.
    """
    return _message(_parse(_Stop(), data), STOP_KINDS, 0, ())


def _finish(wire: Any, message: Message) -> bytes:  # noqa: ANN401  (made at run time)
    if message.peer is not None:
        wire.peer.id = base58.b58decode(message.peer)
    if message.status is not Status.NONE:
        wire.status = int(message.status)
    if message.duration_s or message.data_bytes:
        wire.limit.duration = message.duration_s
        wire.limit.data = message.data_bytes
    data: bytes = wire.SerializeToString()
    return varint(len(data)) + data


def _parse(wire: Any, data: bytes) -> Any:  # noqa: ANN401
    if len(data) > MESSAGE_BYTES_MAX:
        raise RemoteProtocolError("relay message too long", penalty=10)
    try:
        wire.ParseFromString(data)
    except DecodeError as error:
        raise RemoteProtocolError("malformed relay message", penalty=10) from error
    return wire


def _message(
    wire: Any,  # noqa: ANN401
    kinds: tuple[Kind, ...],
    expires_at_unix_s: int,
    addresses: tuple[str, ...],
) -> Message:
    if not wire.HasField("type") or not 0 <= wire.type < len(kinds):
        raise RemoteProtocolError("a relay message of no known kind", penalty=10)
    try:
        status = Status(wire.status)
    except ValueError:
        status = Status.UNEXPECTED_MESSAGE  # of a later version; it is no success
    return Message(
        kinds[wire.type],
        _peer(wire.peer.id) if wire.HasField("peer") else None,
        status,
        expires_at_unix_s,
        addresses,
        wire.limit.duration,
        wire.limit.data,
    )


def _peer(data: bytes) -> PeerId:
    if not 0 < len(data) <= _PEER_ID_BYTES_MAX:
        raise RemoteProtocolError("a relay message with a bad peer id", penalty=10)
    return PeerId(base58.b58encode(data).decode())
