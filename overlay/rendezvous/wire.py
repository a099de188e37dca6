"""Messages of the rendezvous protocol, as bytes and as values. Pure code.

Source: libp2p specs, rendezvous/README.md, revision 3 (each message prefixed with its length as a
varint). The schema below is that document's.
"""

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from overlay.errors import RemoteProtocolError
from overlay.protobuf import MANY, ONE, Field, framed, message_classes, parse

RENDEZVOUS_PROTOCOL: Final = "/rendezvous/1.0.0"
REQUEST_BYTES_MAX: Final = 4096
ANSWER_BYTES_MAX: Final = 64 * 1024
NAMESPACE_BYTES_MAX: Final = 255
REGISTRATIONS_MAX: Final = 100
"""Registrations that we give, and read, in one answer."""
COOKIE_BYTES_MAX: Final = 64
"""Of another implementation's cookies, too."""
WORDS_CHARACTERS_MAX: Final = 128


class Status(enum.IntEnum):
    """How a request ended."""

    OK = 0
    INVALID_NAMESPACE = 100
    INVALID_SIGNED_PEER_RECORD = 101
    INVALID_TTL = 102
    INVALID_COOKIE = 103
    NOT_AUTHORIZED = 200
    INTERNAL_ERROR = 300
    UNAVAILABLE = 400


@dataclass(frozen=True, slots=True)
class Register:
    """I am in *namespace*, as *record* says, for *ttl_s* seconds (0: as long as you like)."""

    namespace: str
    record: bytes
    ttl_s: int = 0


@dataclass(frozen=True, slots=True)
class Registered:
    """What came of `Register`: until when, in seconds from now."""

    status: Status
    words: str = ""
    ttl_s: int = 0


@dataclass(frozen=True, slots=True)
class Unregister:
    """I am in *namespace* no longer. There is no answer."""

    namespace: str


@dataclass(frozen=True, slots=True)
class Discover:
    """Who is in *namespace* ("": in any)? Only those who came after *cookie* was given."""

    namespace: str
    limit: int = 0
    cookie: bytes = b""


@dataclass(frozen=True, slots=True)
class Discovered:
    """What came of `Discover`; *cookie* asks for those who come later, or did not fit."""

    status: Status
    words: str = ""
    registrations: tuple[Register, ...] = ()
    cookie: bytes = b""


Message: TypeAlias = Register | Registered | Unregister | Discover | Discovered

_SCHEMA: Final = {
    "Register": (
        ("ns", 1, Field.TYPE_BYTES, ONE, None),
        ("signedPeerRecord", 2, Field.TYPE_BYTES, ONE, None),
        ("ttl", 3, Field.TYPE_UINT64, ONE, None),
    ),
    "RegisterResponse": (
        ("status", 1, Field.TYPE_INT32, ONE, None),
        ("statusText", 2, Field.TYPE_BYTES, ONE, None),
        ("ttl", 3, Field.TYPE_UINT64, ONE, None),
    ),
    "Unregister": (("ns", 1, Field.TYPE_BYTES, ONE, None),),
    "Discover": (
        ("ns", 1, Field.TYPE_BYTES, ONE, None),
        ("limit", 2, Field.TYPE_UINT64, ONE, None),
        ("cookie", 3, Field.TYPE_BYTES, ONE, None),
    ),
    "DiscoverResponse": (
        ("registrations", 1, Field.TYPE_MESSAGE, MANY, "Register"),
        ("cookie", 2, Field.TYPE_BYTES, ONE, None),
        ("status", 3, Field.TYPE_INT32, ONE, None),
        ("statusText", 4, Field.TYPE_BYTES, ONE, None),
    ),
    "Message": (
        ("type", 1, Field.TYPE_INT32, ONE, None),
        ("register", 2, Field.TYPE_MESSAGE, ONE, "Register"),
        ("registerResponse", 3, Field.TYPE_MESSAGE, ONE, "RegisterResponse"),
        ("unregister", 4, Field.TYPE_MESSAGE, ONE, "Unregister"),
        ("discover", 5, Field.TYPE_MESSAGE, ONE, "Discover"),
        ("discoverResponse", 6, Field.TYPE_MESSAGE, ONE, "DiscoverResponse"),
    ),
}
_Message: Final = message_classes("cocoon.rendezvous", _SCHEMA)["Message"]


def encode(message: Message) -> bytes:
    """Return *message* with its length in front."""
    wire = _Message()
    match message:
        case Register():
            wire.type = 0
            _put_register(wire.register, message)
        case Registered(status, words, ttl_s):
            wire.type = 1
            answer = wire.registerResponse
            answer.status, answer.statusText, answer.ttl = int(status), words.encode(), ttl_s
        case Unregister(namespace):
            wire.type = 2
            wire.unregister.ns = namespace.encode()
        case Discover(namespace, limit, cookie):
            wire.type = 3
            wire.discover.ns, wire.discover.limit = namespace.encode(), limit
            wire.discover.cookie = cookie
        case Discovered(status, words, registrations, cookie):
            wire.type = 4
            found = wire.discoverResponse
            found.status, found.statusText, found.cookie = int(status), words.encode(), cookie
            for each in registrations:
                _put_register(found.registrations.add(), each)
    return framed(wire.SerializeToString())


def decode_request(data: bytes) -> Message:
    """Return the message in *data*, as a rendezvous point reads it.

    Raises:
        RemoteProtocolError: malformed, too long, or of an unknown kind.
    """
    return _decode(data, REQUEST_BYTES_MAX)


def decode_answer(data: bytes) -> Message:
    """Return the message in *data*, which a rendezvous point sent; raises the same."""
    return _decode(data, ANSWER_BYTES_MAX)


def _decode(data: bytes, bytes_max: int) -> Message:
    wire = parse(_Message(), data, what="rendezvous message", size_bytes_max=bytes_max)
    field, read = _READERS.get(wire.type, ("", _nothing))
    if not field or not wire.HasField(field):  # proto3 leaves the type 0, of Register, away
        raise RemoteProtocolError("a rendezvous message of no known kind", penalty=10)
    return read(getattr(wire, field))


def _nothing(_wire: Any) -> Message:  # noqa: ANN401
    raise RemoteProtocolError("a rendezvous message of no known kind", penalty=10)


def _put_register(wire: Any, register: Register) -> None:  # noqa: ANN401
    wire.ns, wire.signedPeerRecord = register.namespace.encode(), register.record
    if register.ttl_s:
        wire.ttl = register.ttl_s


def _register(wire: Any) -> Register:  # noqa: ANN401
    return Register(_text(wire.ns), wire.signedPeerRecord, wire.ttl)


def _registered(wire: Any) -> Registered:  # noqa: ANN401
    return Registered(_status(wire.status), _words(wire.statusText), wire.ttl)


def _unregister(wire: Any) -> Unregister:  # noqa: ANN401
    return Unregister(_text(wire.ns))


def _discover(wire: Any) -> Discover:  # noqa: ANN401
    return Discover(_text(wire.ns), wire.limit, wire.cookie)


def _discovered(wire: Any) -> Discovered:  # noqa: ANN401
    if len(wire.cookie) > COOKIE_BYTES_MAX:
        raise RemoteProtocolError("a rendezvous cookie too long", penalty=5)
    found = tuple(_register(each) for each in wire.registrations[:REGISTRATIONS_MAX])
    return Discovered(_status(wire.status), _words(wire.statusText), found, wire.cookie)


_READERS: Final[dict[int, tuple[str, Callable[[Any], Message]]]] = {
    0: ("register", _register),
    1: ("registerResponse", _registered),
    2: ("unregister", _unregister),
    3: ("discover", _discover),
    4: ("discoverResponse", _discovered),
}


def _text(data: bytes) -> str:
    """Return a namespace; one that is too long is kept so that it is refused as that."""
    try:
        return data[: NAMESPACE_BYTES_MAX + 1].decode()
    except UnicodeDecodeError as error:
        raise RemoteProtocolError("a namespace that is no text", penalty=5) from error


def _words(data: bytes) -> str:
    return data.decode("utf-8", "replace")[:WORDS_CHARACTERS_MAX]


def _status(number: int) -> Status:
    try:
        return Status(number)
    except ValueError:
        return Status.INTERNAL_ERROR  # of a later version; it is no success
