"""Messages of hole punching, as bytes and as values. Pure code.

Source: libp2p specs, relay/DCUtR.md, section "RPC messages" (each prefixed with its length as
a varint, at most 4 KiB). The schema below is that document's.
"""

import enum
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from overlay.dht.wire import address_bytes, address_text, varint
from overlay.errors import RemoteProtocolError

PUNCH_PROTOCOL: Final = "/libp2p/dcutr"
MESSAGE_BYTES_MAX: Final = 4096
ADDRESSES_MAX: Final = 8


class Kind(enum.IntEnum):
    """What a message is."""

    CONNECT = 100
    SYNC = 300


@dataclass(frozen=True, slots=True)
class Message:
    """A message of the protocol.

    Attributes:
        kind: what it is.
        addresses: multiaddrs at which its sender was seen.
    """

    kind: Kind
    addresses: tuple[str, ...] = ()


_Field = descriptor_pb2.FieldDescriptorProto


def _make_schema() -> Any:  # noqa: ANN401  (made at run time)
    file = descriptor_pb2.FileDescriptorProto(
        name="cocoon/punch.proto", package="cocoon.punch", syntax="proto2"
    )
    message = file.message_type.add(name="HolePunch")
    one, many = _Field.LABEL_OPTIONAL, _Field.LABEL_REPEATED
    message.field.add(name="type", number=1, type=_Field.TYPE_INT32, label=one)
    message.field.add(name="ObsAddrs", number=2, type=_Field.TYPE_BYTES, label=many)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("cocoon.punch.HolePunch"))


_HolePunch = _make_schema()


def encode(message: Message) -> bytes:
    """Return *message* with its length in front."""
    wire = _HolePunch(type=int(message.kind))
    encoded = (address_bytes(each) for each in message.addresses)
    wire.ObsAddrs.extend(each for each in encoded if each)
    data: bytes = wire.SerializeToString()
    return varint(len(data)) + data


def decode(data: bytes) -> Message:
    """Return the message in *data*.

    Raises:
        RemoteProtocolError: malformed, too long, or of an unknown kind.
    """
    if len(data) > MESSAGE_BYTES_MAX:
        raise RemoteProtocolError("punch message too long", penalty=10)
    wire = _HolePunch()
    try:
        wire.ParseFromString(data)
        kind = Kind(wire.type)
    except (DecodeError, ValueError) as error:
        raise RemoteProtocolError("malformed punch message", penalty=10) from error
    addresses = [address_text(each) for each in wire.ObsAddrs[:ADDRESSES_MAX]]
    return Message(kind, tuple(each for each in addresses if each))
