"""Protobuf messages from schemas that are written as tables, read within bounds. Pure code.

Source: protobuf.dev, "Encoding"; libp2p's specs prefix each message with its length as a varint.
"""

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from overlay.errors import RemoteProtocolError

Field: Final = descriptor_pb2.FieldDescriptorProto
ONE: Final = Field.LABEL_OPTIONAL
MANY: Final = Field.LABEL_REPEATED

FieldRow: TypeAlias = tuple[str, int, Any, Any, str | None]
"""Name, number, type, label, and for a message the name of its type."""
Schema: TypeAlias = Mapping[str, tuple[FieldRow, ...]]


def message_classes(package: str, schema: Schema, *, syntax: str = "proto2") -> dict[str, Any]:
    """Return a class for each message of *schema*, in a pool of its own.

    Args:
        package: of the messages, like ``cocoon.relay``.
        schema: messages by name; they refer to each other by these names.
        syntax: "proto2" tells a field that is absent from one that is 0.
    """
    file = descriptor_pb2.FileDescriptorProto(
        name=f"{package.replace('.', '/')}.proto", package=package, syntax=syntax
    )
    for name, fields in schema.items():
        message = file.message_type.add(name=name)
        for field, number, kind, label, of in fields:
            type_name = f".{package}.{of}" if of else None
            message.field.add(
                name=field, number=number, type=kind, label=label, type_name=type_name
            )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}"))
        for name in schema
    }


def varint(number: int) -> bytes:
    """Return *number* as a varint."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def framed(data: bytes) -> bytes:
    """Return *data* with its length in front."""
    return varint(len(data)) + data


def parse(wire: Any, data: bytes, *, what: str, size_bytes_max: int) -> Any:  # noqa: ANN401
    """Fill the empty message *wire* from *data*, and return it.

    Args:
        wire: of a class of `message_classes`.
        data: without a length.
        what: a name for errors.
        size_bytes_max: of *data*.

    Raises:
        RemoteProtocolError: too long or malformed.
    """
    if len(data) > size_bytes_max:
        raise RemoteProtocolError(f"{what} too long", penalty=10)
    try:
        wire.ParseFromString(data)
    except DecodeError as error:
        raise RemoteProtocolError(f"malformed {what}", penalty=10) from error
    return wire
