"""Messages of libp2p's Kademlia, as bytes and as values. Pure code.

Source: libp2p specs, kad-dht/README.md, section "RPC messages" (protobuf, each message
prefixed with its length as a varint). The schema below is that document's.
"""

import enum
import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import base58
from multiaddr import Multiaddr  # type: ignore[import-untyped]
from multiaddr.exceptions import Error as MultiaddrError  # type: ignore[import-untyped]

from overlay.addresses import without_peer
from overlay.errors import RemoteProtocolError
from overlay.ids import PeerId
from overlay.protobuf import MANY, ONE, Field, framed, message_classes, parse
from overlay.transport import PeerAddress

MESSAGE_BYTES_MAX: Final = 64 * 1024
KEY_BYTES_MAX: Final = 128
PEERS_MAX: Final = 20
"""Peers that we read from one list of a message; the rest is ignored."""
ADDRESSES_MAX: Final = 8
"""Addresses that we read of one peer."""
VARINT_BYTES_MAX: Final = 3
_ADDRESS_BYTES_MAX: Final = 256
_PEER_ID_BYTES_MAX: Final = 64


class Kind(enum.IntEnum):
    """What a message asks or answers."""

    PUT_VALUE = 0
    GET_VALUE = 1
    ADD_PROVIDER = 2
    GET_PROVIDERS = 3
    FIND_NODE = 4
    PING = 5


@dataclass(frozen=True, slots=True)
class Message:
    """A request or an answer.

    Attributes:
        kind: answers repeat the kind of their request.
        key: what is looked for or stored.
        value: the stored value, in PUT_VALUE and in answers to GET_VALUE.
        closer: peers nearer to the key, in answers.
        providers: who serves the key.
    """

    kind: Kind
    key: bytes = b""
    value: bytes | None = None
    closer: tuple[PeerAddress, ...] = ()
    providers: tuple[PeerAddress, ...] = ()

    def with_peers(self, closer: Iterable[PeerAddress]) -> "Message":
        """Return a copy that lists *closer*."""
        return replace(self, closer=tuple(closer))


_SCHEMA: Final = {
    "Record": (
        ("key", 1, Field.TYPE_BYTES, ONE, None),
        ("value", 2, Field.TYPE_BYTES, ONE, None),
    ),
    "Peer": (
        ("id", 1, Field.TYPE_BYTES, ONE, None),
        ("addrs", 2, Field.TYPE_BYTES, MANY, None),
    ),
    "Message": (
        ("type", 1, Field.TYPE_INT32, ONE, None),
        ("key", 2, Field.TYPE_BYTES, ONE, None),
        ("record", 3, Field.TYPE_MESSAGE, ONE, "Record"),
        ("closerPeers", 8, Field.TYPE_MESSAGE, MANY, "Peer"),
        ("providerPeers", 9, Field.TYPE_MESSAGE, MANY, "Peer"),
    ),
}
_Wire: Final = message_classes("cocoon.kademlia", _SCHEMA, syntax="proto3")["Message"]


def encode(message: Message) -> bytes:
    """Return the bytes of *message*, without a length."""
    wire = _Wire(type=int(message.kind), key=message.key)
    if message.value is not None:
        wire.record.key = message.key
        wire.record.value = message.value
    _put_peers(wire.closerPeers, message.closer)
    _put_peers(wire.providerPeers, message.providers)
    data: bytes = wire.SerializeToString()
    return data


def encode_framed(message: Message) -> bytes:
    """Return the bytes of *message* with their length in front."""
    return framed(encode(message))


def decode(data: bytes) -> Message:
    """Return the message in *data*. Addresses that do not parse are left out.

    Raises:
        RemoteProtocolError: too long, malformed, of an unknown kind, or with a long key.
    """
    wire = parse(_Wire(), data, what="DHT message", size_bytes_max=MESSAGE_BYTES_MAX)
    try:
        kind = Kind(wire.type)
    except ValueError as error:
        raise RemoteProtocolError("malformed DHT message", penalty=10) from error
    if len(wire.key) > KEY_BYTES_MAX:
        raise RemoteProtocolError("DHT key too long", penalty=10)
    return Message(
        kind,
        wire.key,
        wire.record.value if wire.HasField("record") else None,
        _peers(wire.closerPeers),
        _peers(wire.providerPeers),
    )


class MessageReader:
    """Turns a byte stream, cut anywhere, into encoded messages.

    Invariant: holds at most one unfinished message and what the last `feed` brought.

    Args:
        bytes_max: the longest message.
    """

    def __init__(self, bytes_max: int = MESSAGE_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._buffer = bytearray()

    @property
    def waiting_bytes(self) -> int:
        """Bytes of an unfinished message."""
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Append *data* as it came off the stream."""
        self._buffer += data

    def take_rest(self) -> bytes:
        """Return, and forget, the bytes after the last message: the stream goes on otherwise."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest

    def next_message(self) -> bytes | None:
        """Return the next whole message, or None when more bytes are needed.

        Raises:
            RemoteProtocolError: a length that is too long or never ends.
        """
        length = 0
        for index, byte in enumerate(self._buffer[:VARINT_BYTES_MAX]):
            length |= (byte & 0x7F) << (7 * index)
            if byte < 0x80:
                return self._take(index + 1, length)
        if len(self._buffer) >= VARINT_BYTES_MAX:
            raise RemoteProtocolError("message of endless length", penalty=10)
        return None

    def _take(self, start: int, length: int) -> bytes | None:
        if length > self._bytes_max:
            raise RemoteProtocolError(f"announced a message of {length} bytes", penalty=10)
        if len(self._buffer) < start + length:
            return None
        data = bytes(self._buffer[start : start + length])
        del self._buffer[: start + length]
        return data


def _put_peers(field: Any, peers: Iterable[PeerAddress]) -> None:  # noqa: ANN401
    for peer in peers:
        field.add(id=_peer_bytes(peer.peer_id), addrs=encode_addresses(peer.addresses))


def _peers(field: Any) -> tuple[PeerAddress, ...]:  # noqa: ANN401
    found: dict[PeerId, PeerAddress] = {}
    for peer in field[:PEERS_MAX]:
        peer_id = _peer_text(peer.id) if 0 < len(peer.id) <= _PEER_ID_BYTES_MAX else None
        if peer_id is not None:
            found.setdefault(peer_id, PeerAddress(peer_id, _address_texts(peer.addrs)))
    return tuple(found.values())


def _address_texts(field: Any) -> tuple[str, ...]:  # noqa: ANN401
    return tuple(dict.fromkeys(decode_addresses(field, ADDRESSES_MAX)))


@functools.lru_cache(maxsize=16_384)
def _peer_bytes(peer_id: str) -> bytes:
    return base58.b58decode(peer_id)


@functools.lru_cache(maxsize=16_384)
def _peer_text(data: bytes) -> PeerId | None:
    # the identity multihash of an Ed25519 key, or the SHA-256 multihash of another key
    if data[:2] not in (b"\x00\x24", b"\x12\x20") or len(data) not in (34, 38):
        return None
    return PeerId(base58.b58encode(data).decode())


@functools.lru_cache(maxsize=16_384)
def address_bytes(address: str) -> bytes:
    """Return a multiaddr in binary, b"" if it does not parse."""
    try:
        data: bytes = Multiaddr(address).to_bytes()
    except (MultiaddrError, ValueError):
        return b""
    return data


def encode_addresses(addresses: Iterable[str]) -> list[bytes]:
    """Return multiaddrs in binary, without those that do not parse."""
    return [data for each in addresses if (data := address_bytes(each))]


def decode_addresses(field: Sequence[bytes], addresses_max: int) -> tuple[str, ...]:
    """Return the first multiaddrs of *field* as text, without those that do not parse."""
    return tuple(text for each in field[:addresses_max] if (text := address_text(each)))


def address_text(data: bytes) -> str:
    """Return a binary multiaddr as text without its own /p2p part.

    Returns:
        "" if it does not parse or is longer than any sound one, which is not to be remembered.
    """
    return _address_text(data) if len(data) <= _ADDRESS_BYTES_MAX else ""


@functools.lru_cache(maxsize=16_384)
def _address_text(data: bytes) -> str:
    try:
        return without_peer(str(Multiaddr(data)))
    except (MultiaddrError, ValueError, IndexError, KeyError):
        return ""
