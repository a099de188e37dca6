"""Payment messages as one line of text, to be carried by hand: by chat, mail or a file.

So two people can pay each other over a channel without any swarm between them::

    cocoon-voucher-<base64url of checksum, 4 bytes, and the message in MessagePack>

The checksum (of SHA-256) is against typing errors only; what a note is worth comes from
the signatures in it.
"""

import base64
from hashlib import sha256
from typing import Annotated, Final, TypeAlias, TypeVar

import msgspec

from cocoon.errors import UNDECODABLE, PaymentError
from cocoon.messages import (
    AddressText,
    CloseRelease,
    CloseRequest,
    Count,
    Key,
    Message,
    PaymentRef,
    VoucherMessage,
)

NOTE_BYTES_MAX: Final = 2048
CHECKSUM_BYTES: Final = 4


class PayeeNote(Message, frozen=True, tag="payee", tag_field="type"):
    """What others need to open a channel to us.

    Attributes:
        challenge_s_min: the shortest time to object that we accept.
    """

    chain_network_id: int
    payee_address: AddressText
    payee_key: Key
    challenge_s_min: Count


class VoucherNote(Message, frozen=True, tag="paid", tag_field="type"):
    """A voucher and the channel it is for."""

    payment: PaymentRef
    voucher: VoucherMessage


class ReleaseNote(Message, frozen=True, tag="release", tag_field="type"):
    """The payee's agreement to close this channel."""

    channel_address: Annotated[str, msgspec.Meta(max_length=80)]
    release: CloseRelease


Note: TypeAlias = PayeeNote | VoucherNote | CloseRequest | ReleaseNote
N = TypeVar("N", bound=Note)

PREFIXES: Final[dict[type, str]] = {
    PayeeNote: "cocoon-payee-",
    VoucherNote: "cocoon-voucher-",
    CloseRequest: "cocoon-close-",
    ReleaseNote: "cocoon-release-",
}


def write_note(note: Note) -> str:
    """Return *note* as one line of text."""
    body = msgspec.msgpack.encode(note)
    text = base64.urlsafe_b64encode(_checksum(body) + body).decode().rstrip("=")
    return PREFIXES[type(note)] + text


def read_note(text: str, kind: type[N]) -> N:
    """Read a note of one kind.

    Raises:
        PaymentError: it is another kind of note, or was not copied whole.
    """
    prefix = PREFIXES[kind]
    text = text.strip()
    if not text.startswith(prefix):
        raise PaymentError(f"a text that starts with {prefix} is needed, not {text[:24]!r}")
    if len(text) > NOTE_BYTES_MAX:
        raise PaymentError(f"a {prefix}… text is never longer than {NOTE_BYTES_MAX} characters")
    coded = text[len(prefix) :]
    try:
        data = base64.b64decode(coded + "=" * (-len(coded) % 4), altchars=b"-_", validate=True)
        body = data[CHECKSUM_BYTES:]
        if data[:CHECKSUM_BYTES] != _checksum(body):
            raise PaymentError(f"the {prefix}… text was not copied whole")
        return msgspec.msgpack.decode(body, type=kind)
    except UNDECODABLE as error:
        raise PaymentError(f"the {prefix}… text was not copied whole: {error}") from error


def _checksum(body: bytes) -> bytes:
    return sha256(body).digest()[:CHECKSUM_BYTES]
