"""Peer ids: text forms and the public keys inside them. Pure code.

A peer id is the base58 form of the identity multihash of the protobuf-encoded
Ed25519 public key, so the key can be read back from the id.
Source: libp2p specs, peer-ids/peer-ids.md.
"""

from typing import Final, NewType

import base58

from overlay.errors import RemoteProtocolError

PeerId = NewType("PeerId", str)
"""Text form, for example ``12D3KooW...`` (52 characters)."""

PUBLIC_KEY_BYTES: Final = 32
_PREFIX: Final = bytes.fromhex("002408011220")
"""identity multihash (00), 36 bytes (24), protobuf: type Ed25519 (08 01), 32 bytes (12 20)."""


def peer_id_from_public_key(public_key: bytes) -> PeerId:
    """Return the peer id of a raw 32-byte Ed25519 public key.

    Raises:
        ValueError: *public_key* is not 32 bytes long.
    """
    if len(public_key) != PUBLIC_KEY_BYTES:
        raise ValueError(f"an Ed25519 public key has {PUBLIC_KEY_BYTES} bytes")
    return PeerId(base58.b58encode(_PREFIX + public_key).decode())


def public_key_from_peer_id(peer_id: str) -> bytes:
    """Return the raw 32-byte Ed25519 public key inside *peer_id*.

    Raises:
        RemoteProtocolError: *peer_id* is not an Ed25519 peer id.
    """
    if len(peer_id) > 64:
        raise RemoteProtocolError("peer id too long")
    try:
        raw = base58.b58decode(peer_id)
    except ValueError as error:
        raise RemoteProtocolError("peer id is not base58") from error
    if len(raw) != len(_PREFIX) + PUBLIC_KEY_BYTES or not raw.startswith(_PREFIX):
        raise RemoteProtocolError("peer id does not hold an Ed25519 key")
    return raw[len(_PREFIX) :]


def short(peer_id: str) -> str:
    """Return the last eight characters: enough to tell peers apart in a log."""
    return peer_id[-8:]
