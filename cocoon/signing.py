"""Signing and checking market messages with the node key."""

from typing import TypeVar

import msgspec

from cocoon.errors import PeerMisbehaved
from cocoon.messages import VERSION, Message, Signed, decode, encode
from overlay.identity import Identity, verify

M = TypeVar("M", bound=Message)


def _kind(message_type: type) -> str:
    tag = msgspec.inspect.type_info(message_type).tag  # type: ignore[attr-defined]  # a Struct
    return str(tag) if tag is not None else message_type.__name__.lower()


def signing_bytes(network: str, kind: str, body: bytes) -> bytes:
    """Return what is signed for *body*: version, network and type come first.

    So a signature made for a test network, for another type of message or for
    another version of the protocol is never good for this one.
    """
    return f"cocoon/{VERSION}\0{network}\0{kind}\0".encode() + body


_KINDS: dict[type, str] = {}


def kind_of(message_type: type) -> str:
    """Return the name under which messages of this type are signed."""
    if message_type not in _KINDS:
        _KINDS[message_type] = _kind(message_type)
    return _KINDS[message_type]


def sign(identity: Identity, network: str, message: Message) -> Signed:
    """Serialise *message* and sign exactly those bytes for *network*."""
    body = encode(message)
    signature = identity.sign(signing_bytes(network, kind_of(type(message)), body))
    return Signed(body=body, signature=signature)


def open_signed(
    signed: Signed, message_type: type[M], *, network: str, signer: str, size_bytes_max: int
) -> M:
    """Check the signature over the received bytes, then decode them.

    Raises:
        PeerMisbehaved: *signer* did not sign this, for this network and type.
        RemoteProtocolError: signed, and still not a valid message.
    """
    prefixed = signing_bytes(network, kind_of(message_type), signed.body)
    if not verify(signer, prefixed, signed.signature):
        raise PeerMisbehaved(f"bad signature on {kind_of(message_type)}")
    return decode(message_type, signed.body, size_bytes_max=size_bytes_max)
