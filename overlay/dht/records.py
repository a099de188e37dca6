"""Values in the DHT that only their owner can write. Pure code.

A record is signed over the very bytes that travel, prefixed with the domain and
the network's name, so that it cannot be replayed elsewhere. The DHT key follows
from the owner and the name, so a reader knows whose signature to ask for.

libp2p 0.8.1 refuses to store the same value twice and so never extends its life;
every publication therefore carries a fresh `seq`.
"""

import hashlib
from collections.abc import Iterable
from typing import Annotated, Final

import msgspec

from overlay.dht.keys import POSITIONS, value_wire_key
from overlay.errors import DECODE_ERRORS, LocalProtocolError, RemoteProtocolError
from overlay.identity import SIGNATURE_BYTES, Identity, verify
from overlay.ids import PeerId

VALUE_BYTES_MAX: Final = 16 * 1024
NAME_CHARACTERS_MAX: Final = 64
RECORD_BYTES_MAX: Final = VALUE_BYTES_MAX + 1024
"""Longest encoded record: the value plus names, numbers and signature."""
LIFETIME_S_MAX: Final = 7 * 24 * 3600
"""A record that claims to live longer than this is refused."""
CLOCK_SKEW_S: Final = 300
"""How far a publisher's clock may run ahead of ours."""
KEY_PREFIX: Final = "/cocoon/"
_DOMAIN: Final = b"cocoon/record/v1\0"


class RecordBody(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What the owner signs.

    Attributes:
        peer_id: the owner, whose key the signature must match.
        name: which of the owner's records this is.
        value: the payload, at most 16 KiB.
        seq: unix microseconds of publication; the highest wins.
        expires_at_unix_s: from this moment on the record is void.
    """

    peer_id: Annotated[str, msgspec.Meta(max_length=64)]
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=NAME_CHARACTERS_MAX)]
    value: Annotated[bytes, msgspec.Meta(max_length=VALUE_BYTES_MAX)]
    seq: Annotated[int, msgspec.Meta(ge=0)]
    expires_at_unix_s: Annotated[int, msgspec.Meta(ge=0)]


class SignedRecord(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A record as it travels: the encoded `RecordBody` and its signature."""

    body: Annotated[bytes, msgspec.Meta(max_length=RECORD_BYTES_MAX)]
    signature: Annotated[
        bytes, msgspec.Meta(min_length=SIGNATURE_BYTES, max_length=SIGNATURE_BYTES)
    ]


_signed_decoder = msgspec.msgpack.Decoder(SignedRecord)
_body_decoder = msgspec.msgpack.Decoder(RecordBody)


def record_key(peer_id: PeerId, name: str) -> str:
    """Return the DHT key of *peer_id*'s record *name*."""
    return KEY_PREFIX + hashlib.sha256(peer_id.encode() + b"\0" + name.encode()).hexdigest()


def provider_key(key: bytes) -> str:
    """Return the DHT form of a provider key of any length: 64 hex digits."""
    return hashlib.sha256(key).hexdigest()


def sign_record(
    identity: Identity,
    network: str,
    name: str,
    value: bytes,
    *,
    seq: int,
    expires_at_unix_s: int,
    now_unix_s: float,
) -> bytes:
    """Return the encoded record, ready for the DHT.

    Raises:
        LocalProtocolError: name or value too long, already expired, or living too long.
    """
    if not 1 <= len(name) <= NAME_CHARACTERS_MAX:
        raise LocalProtocolError(f"a record name has 1 to {NAME_CHARACTERS_MAX} characters")
    if len(value) > VALUE_BYTES_MAX:
        raise LocalProtocolError(f"record of {len(value)} bytes, at most {VALUE_BYTES_MAX}")
    if not now_unix_s < expires_at_unix_s <= now_unix_s + LIFETIME_S_MAX:
        raise LocalProtocolError("a record expires after now and within seven days")
    body = msgspec.msgpack.encode(RecordBody(identity.peer_id, name, value, seq, expires_at_unix_s))
    signature = identity.sign(_signed_bytes(network, body))
    return msgspec.msgpack.encode(SignedRecord(body, signature))


def open_record(data: bytes, network: str, key: str, *, now_unix_s: float) -> RecordBody:
    """Return the body of an encoded record after every check.

    Raises:
        RemoteProtocolError: malformed, forged, expired, from the future, living too
            long, or stored under a key that is not its own.
    """
    if len(data) > RECORD_BYTES_MAX:
        raise RemoteProtocolError("record too long", penalty=10)
    body, signed = _decode(data)
    if not _may_lie_under(body, key):
        raise RemoteProtocolError("record under another record's key", penalty=10)
    if not now_unix_s < body.expires_at_unix_s <= now_unix_s + LIFETIME_S_MAX + CLOCK_SKEW_S:
        raise RemoteProtocolError("record expired, or lives too long")
    if body.seq > (now_unix_s + CLOCK_SKEW_S) * 1_000_000:
        raise RemoteProtocolError("record from the future")
    if not verify(body.peer_id, _signed_bytes(network, signed.body), signed.signature):
        raise RemoteProtocolError("record with a bad signature", penalty=10)
    return body


def newest_record(
    values: Iterable[bytes], network: str, key: str, *, now_unix_s: float
) -> RecordBody | None:
    """Return the valid record with the highest seq among *values*, or None."""
    best: RecordBody | None = None
    for value in values:
        try:
            body = open_record(value, network, key, now_unix_s=now_unix_s)
        except RemoteProtocolError:
            continue
        if best is None or body.seq > best.seq:
            best = body
    return best


def select_newest(values: list[bytes]) -> int:
    """Return the index of the record with the highest seq; the first one on a tie.

    What does not decode counts as older than everything.
    """
    return max(range(len(values)), key=lambda index: (_seq(values[index]), -index))


def _may_lie_under(body: RecordBody, key: str) -> bool:
    own_key = record_key(PeerId(body.peer_id), body.name)
    return any(value_wire_key(own_key, position) == key.encode() for position in range(POSITIONS))


def _seq(data: bytes) -> int:
    try:
        return _decode(data)[0].seq
    except RemoteProtocolError:
        return -1


def _decode(data: bytes) -> tuple[RecordBody, SignedRecord]:
    try:
        signed = _signed_decoder.decode(data)
        return _body_decoder.decode(signed.body), signed
    except DECODE_ERRORS as error:
        raise RemoteProtocolError(f"bad record: {error}") from error


def _signed_bytes(network: str, body: bytes) -> bytes:
    return _DOMAIN + network.encode() + b"\0" + body
