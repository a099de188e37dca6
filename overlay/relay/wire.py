"""Messages of circuit relay v2, as bytes and as values. Pure code.

Source: libp2p specs, relay/circuit-v2.md, section "Protobuf" (each message prefixed with its
length as a varint). The schema below is that document's.
"""

import enum
from dataclasses import dataclass
from typing import Any, Final

import base58

from overlay.dht.wire import decode_addresses, encode_addresses
from overlay.errors import RemoteProtocolError
from overlay.ids import PeerId
from overlay.protobuf import MANY, ONE, Field, framed, message_classes, parse

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


_SCHEMA: Final = {
    "Peer": (("id", 1, Field.TYPE_BYTES, ONE, None),),
    "Reservation": (
        ("expire", 1, Field.TYPE_UINT64, ONE, None),
        ("addrs", 2, Field.TYPE_BYTES, MANY, None),
    ),
    "Limit": (
        ("duration", 1, Field.TYPE_UINT32, ONE, None),
        ("data", 2, Field.TYPE_UINT64, ONE, None),
    ),
    "Hop": (
        ("type", 1, Field.TYPE_INT32, ONE, None),
        ("peer", 2, Field.TYPE_MESSAGE, ONE, "Peer"),
        ("reservation", 3, Field.TYPE_MESSAGE, ONE, "Reservation"),
        ("limit", 4, Field.TYPE_MESSAGE, ONE, "Limit"),
        ("status", 5, Field.TYPE_INT32, ONE, None),
    ),
    "Stop": (
        ("type", 1, Field.TYPE_INT32, ONE, None),
        ("peer", 2, Field.TYPE_MESSAGE, ONE, "Peer"),
        ("limit", 3, Field.TYPE_MESSAGE, ONE, "Limit"),
        ("status", 4, Field.TYPE_INT32, ONE, None),
    ),
}
_CLASSES: Final = message_classes("cocoon.relay", _SCHEMA)
_Hop, _Stop = _CLASSES["Hop"], _CLASSES["Stop"]


def encode_hop(message: Message) -> bytes:
    """Return *message* of the hop protocol with its length in front."""
    wire = _Hop(type=HOP_KINDS.index(message.kind))
    if message.expires_at_unix_s:
        wire.reservation.expire = message.expires_at_unix_s
        wire.reservation.addrs.extend(encode_addresses(message.addresses))
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
    addresses = decode_addresses(reservation.addrs, ADDRESSES_MAX)
    return _message(wire, HOP_KINDS, reservation.expire, addresses)


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
    return framed(wire.SerializeToString())


def _parse(wire: Any, data: bytes) -> Any:  # noqa: ANN401
    return parse(wire, data, what="relay message", size_bytes_max=MESSAGE_BYTES_MAX)


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
