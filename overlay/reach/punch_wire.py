"""Messages of hole punching, as bytes and as values. Pure code.

Source: libp2p specs, relay/DCUtR.md, section "RPC messages" (each prefixed with its length as
a varint, at most 4 KiB). The schema below is that document's.
"""

import enum
from dataclasses import dataclass
from typing import Final

from overlay.dht.wire import decode_addresses, encode_addresses
from overlay.errors import RemoteProtocolError
from overlay.protobuf import MANY, ONE, Field, framed, message_classes, parse

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


_SCHEMA: Final = {
    "HolePunch": (
        ("type", 1, Field.TYPE_INT32, ONE, None),
        ("ObsAddrs", 2, Field.TYPE_BYTES, MANY, None),
    ),
}
_HolePunch: Final = message_classes("cocoon.punch", _SCHEMA)["HolePunch"]


def encode(message: Message) -> bytes:
    """Return *message* with its length in front."""
    wire = _HolePunch(type=int(message.kind))
    wire.ObsAddrs.extend(encode_addresses(message.addresses))
    return framed(wire.SerializeToString())


def decode(data: bytes) -> Message:
    """Return the message in *data*.

    Raises:
        RemoteProtocolError: malformed, too long, or of an unknown kind.
    """
    wire = parse(_HolePunch(), data, what="punch message", size_bytes_max=MESSAGE_BYTES_MAX)
    try:
        kind = Kind(wire.type)
    except ValueError as error:
        raise RemoteProtocolError("malformed punch message", penalty=10) from error
    return Message(kind, decode_addresses(wire.ObsAddrs, ADDRESSES_MAX))
