"""Signed peer records: where a peer says that it is, under its own signature. Pure code.

Sources: libp2p RFC 0002 (signed envelopes) and 0003 (routing records). The domain and the type of
the payload are those that go-, js- and py-libp2p use, not those that the RFC began with.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import base58

from overlay.dht.wire import decode_addresses, encode_addresses
from overlay.errors import RemoteProtocolError
from overlay.identity import Identity, verify
from overlay.ids import PUBLIC_KEY_BYTES, PeerId, peer_id_from_public_key
from overlay.protobuf import MANY, ONE, Field, message_classes, parse, varint

DOMAIN: Final = b"libp2p-peer-record"
PAYLOAD_TYPE: Final = b"\x03\x01"
ENVELOPE_BYTES_MAX: Final = 2048
ADDRESSES_MAX: Final = 16
_ED25519: Final = 1

_SCHEMA: Final = {
    "PublicKey": (
        ("Type", 1, Field.TYPE_INT32, ONE, None),
        ("Data", 2, Field.TYPE_BYTES, ONE, None),
    ),
    "Envelope": (
        ("public_key", 1, Field.TYPE_MESSAGE, ONE, "PublicKey"),
        ("payload_type", 2, Field.TYPE_BYTES, ONE, None),
        ("payload", 3, Field.TYPE_BYTES, ONE, None),
        ("signature", 5, Field.TYPE_BYTES, ONE, None),
    ),
    "AddressInfo": (("multiaddr", 1, Field.TYPE_BYTES, ONE, None),),
    "PeerRecord": (
        ("peer_id", 1, Field.TYPE_BYTES, ONE, None),
        ("seq", 2, Field.TYPE_UINT64, ONE, None),
        ("addresses", 3, Field.TYPE_MESSAGE, MANY, "AddressInfo"),
    ),
}
_CLASSES: Final = message_classes("cocoon.peerrecord", _SCHEMA)
_Envelope: Final = _CLASSES["Envelope"]
_PeerRecord: Final = _CLASSES["PeerRecord"]


@dataclass(frozen=True, slots=True)
class PeerRecord:
    """What a peer says about itself.

    Attributes:
        peer_id: who signed it.
        addresses: multiaddrs, without the /p2p part.
        seq: the greater, the newer.
    """

    peer_id: PeerId
    addresses: tuple[str, ...]
    seq: int


def seal(identity: Identity, addresses: Sequence[str], seq: int) -> bytes:
    """Return the envelope that says that *identity* is at *addresses*.

    Addresses for which an envelope of `ENVELOPE_BYTES_MAX` has no room are left out.
    """
    kept = encode_addresses(addresses)[:ADDRESSES_MAX]
    while len(sealed := _seal(identity, kept, seq)) > ENVELOPE_BYTES_MAX:
        kept.pop()
    return sealed


def _seal(identity: Identity, addresses: Sequence[bytes], seq: int) -> bytes:
    record = _PeerRecord(peer_id=base58.b58decode(identity.peer_id), seq=seq)
    for each in addresses:
        record.addresses.add(multiaddr=each)
    payload = record.SerializeToString()
    envelope = _Envelope(payload_type=PAYLOAD_TYPE, payload=payload)
    envelope.public_key.Type, envelope.public_key.Data = _ED25519, identity.public_key
    envelope.signature = identity.sign(_signed(payload))
    data: bytes = envelope.SerializeToString()
    return data


def open_envelope(data: bytes) -> PeerRecord:
    """Return what *data* says, after a check of its signature; only Ed25519 keys are taken.

    Raises:
        RemoteProtocolError: malformed, too long, or not signed by whom it is about.
    """
    envelope = parse(
        _Envelope(), data, what="signed peer record", size_bytes_max=ENVELOPE_BYTES_MAX
    )
    key = envelope.public_key
    if envelope.payload_type != PAYLOAD_TYPE or key.Type != _ED25519:
        raise RemoteProtocolError("no peer record, or of no known kind of key", penalty=5)
    if len(key.Data) != PUBLIC_KEY_BYTES:
        raise RemoteProtocolError("a peer record with a bad key", penalty=10)
    signer = peer_id_from_public_key(key.Data)
    if not verify(signer, _signed(envelope.payload), envelope.signature):
        raise RemoteProtocolError("a peer record with a wrong signature", penalty=10)
    record = parse(
        _PeerRecord(), envelope.payload, what="peer record", size_bytes_max=ENVELOPE_BYTES_MAX
    )
    if record.peer_id != base58.b58decode(signer):
        raise RemoteProtocolError("a peer record about somebody else", penalty=10)
    addresses = [each.multiaddr for each in record.addresses]
    return PeerRecord(signer, decode_addresses(addresses, ADDRESSES_MAX), record.seq)


def _signed(payload: bytes) -> bytes:
    parts = (DOMAIN, PAYLOAD_TYPE, payload)
    return b"".join(varint(len(each)) + each for each in parts)
