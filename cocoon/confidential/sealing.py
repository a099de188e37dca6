"""Sealing a job: one content key under the provider's one-time key, then sealed segments.

The content key travels by HPKE (RFC 9180) with the hybrid of ML-KEM-768 and X25519,
so that what is recorded today stays sealed if one of the two falls. Input and output
have their own keys, by HKDF (RFC 5869) from the content key and the transcript hash.
The streams are STREAM (Hoang, Reyhanitabar, Rogaway, Vizar, CRYPTO 2015) over
AES-256-GCM: the nonce is ``prefix7 || counter4 || last1``, the associated data are the
transcript hash and the direction. A segment that was changed, moved, repeated, left
out, or taken from another job or direction does not open; neither does a stream that
ends early.

What is sealed is padded first: an input as a whole, output segment by segment. A token
leaves as a segment, and lengths in the clear would spell out the answer to whoever sees the
traffic ("What Was Your Prompt? A Remote Keylogging Attack on AI Assistants", 2024). When and
how many segments come is not hidden; that alone can tell a topic ("Whisper Leak", 2025,
arXiv 2511.03675).

AES-GCM does not commit to its key: two keys can be found that open one ciphertext to two
texts (Dodis, Grubbs, Ristenpart, Woodage, "Fast Message Franking", CRYPTO 2018). So the
digest of a stream, which a receipt carries, begins with a commitment to the key: a receipt
stands for one input and one output.

What wiping can do: content keys and the keys of the two directions are `bytearray`s
and are overwritten after use. Copies inside OpenSSL are freed by OpenSSL, and HPKE
returns the content key once as an immutable `bytes` that Python drops without
overwriting. Nothing here protects keys from someone who can read this process.
"""

import enum
import hashlib
import secrets
from collections.abc import Iterable
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, hpke
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from cocoon.confidential.transcript import length_prefixed
from cocoon.errors import PeerMisbehaved
from cocoon.messages import SEGMENT_BYTES_MAX
from overlay.errors import LocalProtocolError

MLKEM_PUBLIC_BYTES: Final = 1184
SEAL_PUBLIC_BYTES: Final = MLKEM_PUBLIC_BYTES + 32
SEALED_KEY_BYTES: Final = 1168
"""HPKE's encapsulation (1120 bytes), the key (32) and the tag (16)."""
KEY_BYTES: Final = 32
PREFIX_BYTES: Final = 7
TAG_BYTES: Final = 16
SEGMENTS_MAX: Final = 2**32 - 1
PAD_STEP_BYTES: Final = 256
"""Longer than a token with its meter."""

_SUITE: Final = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
_KEY_INFO: Final = b"cocoon/content-key/v1\0"
_STREAM_INFO: Final = b"cocoon/stream-key/v1\0"
_COMMITMENT_INFO: Final = b"cocoon/stream-commitment/v1\0"
_CONTENT_END: Final = b"\x01"
_DIGEST_DOMAIN: Final = b"cocoon/sealed-segments/v1\0"


class SealBroken(PeerMisbehaved):
    """Something sealed does not open: it was damaged, reordered, cut off or is not for us."""


class Direction(enum.Enum):
    """Which way a stream goes: each has its own key."""

    INPUT = b"input"
    OUTPUT = b"output"


class SealKey:
    """A private key for HPKE. Make one with `SealKey.generate`; use it for one job.

    Attributes:
        public_bytes: 1216 bytes, ML-KEM-768 then X25519.
    """

    __slots__ = ("_private", "public_bytes")

    def __init__(self, mlkem: MLKEM768PrivateKey, x25519: X25519PrivateKey) -> None:
        self._private: hpke.MLKEM768X25519PrivateKey | None = hpke.MLKEM768X25519PrivateKey(
            mlkem, x25519
        )
        self.public_bytes: bytes = (
            mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw()
        )

    @classmethod
    def generate(cls) -> Self:
        """Return a new key from the system's randomness (about 0.4 ms)."""
        return cls(MLKEM768PrivateKey.generate(), X25519PrivateKey.generate())

    def erase(self) -> None:
        """Forget the private half: what was sealed to this key stays sealed from here on."""
        self._private = None

    def decrypt(self, sealed: bytes, info: bytes) -> bytes:
        """Open one HPKE message.

        Raises:
            SealBroken: it was not sealed to this key and *info*, or the key is erased.
        """
        if self._private is None:
            raise SealBroken("the one-time key is no longer there")
        try:
            return _SUITE.decrypt(sealed, self._private, info=info)
        except (InvalidTag, ValueError) as error:
            raise SealBroken("the sealed key does not open") from error


def load_seal_public(public: bytes) -> hpke.MLKEM768X25519PublicKey:
    """Read a peer's public key.

    Raises:
        SealBroken: it is not one.
    """
    if len(public) != SEAL_PUBLIC_BYTES:
        raise SealBroken(f"a seal key has {SEAL_PUBLIC_BYTES} bytes, not {len(public)}")
    try:
        return hpke.MLKEM768X25519PublicKey(
            MLKEM768PublicKey.from_public_bytes(public[:MLKEM_PUBLIC_BYTES]),
            X25519PublicKey.from_public_bytes(public[MLKEM_PUBLIC_BYTES:]),
        )
    except ValueError as error:
        raise SealBroken("not a seal key") from error


def seal_content_key(public: bytes, th: bytes) -> tuple[bytearray, bytes]:
    """Make a content key and seal it to *public*, for the job *th* only.

    Returns:
        The content key (wipe it) and the 1168 bytes to send.

    Raises:
        SealBroken: *public* is not a usable key.
    """
    content_key = bytearray(secrets.token_bytes(KEY_BYTES))
    try:
        sealed = _SUITE.encrypt(content_key, load_seal_public(public), info=_KEY_INFO + th)
    except ValueError as error:
        raise SealBroken("nothing can be sealed to this key") from error
    return content_key, sealed


def open_content_key(key: SealKey, th: bytes, sealed: bytes) -> bytearray:
    """Return the content key of the job *th*; wipe it after use.

    Raises:
        SealBroken: it was sealed to another key or for another job, or is damaged.
    """
    if len(sealed) != SEALED_KEY_BYTES:
        raise SealBroken(f"a sealed key has {SEALED_KEY_BYTES} bytes, not {len(sealed)}")
    return bytearray(key.decrypt(sealed, _KEY_INFO + th))


def wipe(key: bytearray) -> None:
    """Overwrite *key*. See the head of this module for what that cannot reach."""
    key[:] = bytes(len(key))


def stream_key(content_key: bytearray, th: bytes, direction: Direction) -> bytearray:
    """Return the 32-byte key of one direction of the job *th*."""
    return _derived(content_key, th, _STREAM_INFO + direction.value)


def _derived(content_key: bytearray, th: bytes, info: bytes) -> bytearray:
    key = bytearray(KEY_BYTES)
    HKDF(hashes.SHA256(), KEY_BYTES, salt=th, info=info).derive_into(content_key, key)
    return key


def padded_size(size_bytes: int) -> int:
    """Return how large *size_bytes* of content are once padded.

    Small content takes whole steps of `PAD_STEP_BYTES`; of a large size, as many leading bits
    are kept as its own length has bits (Padmé: Nikitin et al., "Reducing Metadata Leakage from
    Encrypted Files and Communication with PURBs", PETS 2019): at most 6 % more.

    >>> [padded_size(n) for n in (0, 255, 256, 10_000, 1_000_000)]
    [256, 256, 512, 10240, 1015808]
    """
    exponent = (size_bytes + 1).bit_length() - 1
    step = max(PAD_STEP_BYTES, 1 << max(0, exponent - exponent.bit_length()))
    return -(-(size_bytes + 1) // step) * step


def _padded(content: bytes | memoryview) -> bytes:
    fill = bytes(padded_size(len(content)) - len(content) - 1)
    return b"".join((content, _CONTENT_END, fill))


def unpadded(data: bytes) -> bytes:
    """Return what was padded to *data*.

    Raises:
        SealBroken: it is not padded, or not to the one right size.
    """
    content = data.rstrip(b"\0")
    if not content.endswith(_CONTENT_END) or padded_size(len(content) - 1) != len(data):
        raise SealBroken("what was sealed is not padded as agreed")
    return content[:-1]


class _Stream:
    """What sealing and opening share: the key, the place in the stream, the digest."""

    __slots__ = ("_aead", "_associated", "_digest", "_is_input", "_segments", "ended", "prefix")

    def __init__(
        self, content_key: bytearray, th: bytes, direction: Direction, prefix: bytes
    ) -> None:
        if len(prefix) != PREFIX_BYTES:
            raise SealBroken(f"a stream prefix has {PREFIX_BYTES} bytes, not {len(prefix)}")
        key = stream_key(content_key, th, direction)
        self._aead = AESGCM(key)
        wipe(key)
        self._associated = length_prefixed(th, direction.value)
        commitment = _derived(content_key, th, _COMMITMENT_INFO + direction.value)
        start = length_prefixed(self._associated, prefix, bytes(commitment))
        self._digest = hashlib.sha256(_DIGEST_DOMAIN + start)
        self._is_input = direction is Direction.INPUT
        self._segments = 0
        self.prefix = prefix
        self.ended = False

    @property
    def segments(self) -> int:
        """How many segments have passed."""
        return self._segments

    def digest(self) -> bytes:
        """Return the hash over the key and all sealed segments so far, 32 bytes: for receipts."""
        return self._digest.digest()

    def _nonce(self, *, last: bool) -> bytes:
        return self.prefix + self._segments.to_bytes(4, "big") + bytes((last,))

    def _is_allowed(self, plaintext_bytes: int, *, last: bool) -> bool:
        """Input segments are full, but for the last: so sizes tell nothing but the padded total."""
        if self.ended or self._segments >= SEGMENTS_MAX:
            return False
        if self._is_input and not last:
            return plaintext_bytes == SEGMENT_BYTES_MAX
        return 0 <= plaintext_bytes <= SEGMENT_BYTES_MAX

    def _passed(self, segment: bytes, *, last: bool) -> None:
        self._digest.update(length_prefixed(segment))
        self._segments += 1
        self.ended = last


class Sealer(_Stream):
    """Seals one direction of a job, in order.

    Args:
        content_key: of the job; not kept.
        th: the transcript hash, 32 bytes.
        direction: which of the two streams.
        prefix: 7 bytes; random unless given.
    """

    __slots__ = ()

    def __init__(
        self, content_key: bytearray, th: bytes, direction: Direction, prefix: bytes | None = None
    ) -> None:
        if prefix is None:
            prefix = secrets.token_bytes(PREFIX_BYTES)
        super().__init__(content_key, th, direction, prefix)

    def seal(self, data: bytes | memoryview, *, last: bool = False) -> bytes:
        """Return the next sealed segment: 16 bytes longer than *data*, which is padded for output.

        Raises:
            LocalProtocolError: the stream has ended, or *data* has a size that no
                segment may have here.
        """
        plain = data if self._is_input else _padded(data)
        if not self._is_allowed(len(plain), last=last):
            raise LocalProtocolError(f"a segment of {len(plain)} bytes cannot be sealed here")
        segment = self._aead.encrypt(self._nonce(last=last), plain, self._associated)
        self._passed(segment, last=last)
        return segment


class Opener(_Stream):
    """Opens one direction of a job, in order. Arguments as for `Sealer`."""

    __slots__ = ()

    def open(self, segment: bytes, *, last: bool = False) -> bytes:
        """Return what the next segment holds.

        Raises:
            SealBroken: it is not the next segment of this stream, or *last* is wrong.
                The stream stays where it was; close it.
        """
        if not self._is_allowed(len(segment) - TAG_BYTES, last=last):
            raise SealBroken(f"a segment of {len(segment)} bytes cannot come here")
        try:
            plain = self._aead.decrypt(self._nonce(last=last), segment, self._associated)
        except InvalidTag as error:
            raise SealBroken(f"segment {self._segments} does not open") from error
        data = plain if self._is_input else unpadded(plain)
        self._passed(segment, last=last)
        return data

    def finish(self) -> None:
        """Check that nothing is missing at the end.

        Raises:
            SealBroken: the last segment never came.
        """
        if not self.ended:
            raise SealBroken("the stream was cut off")


def segments_of(size_bytes: int) -> int:
    """Return how many segments an input takes that is *size_bytes* long with its padding."""
    return max(1, -(-size_bytes // SEGMENT_BYTES_MAX))


def seal_input(data: bytes, sealer: Sealer) -> list[bytes]:
    """Pad and seal a whole input; *sealer* then has the digest and the prefix to send.

    Raises:
        LocalProtocolError: *sealer* has already been used.
    """
    view = memoryview(_padded(data))
    count = segments_of(len(view))
    return [
        sealer.seal(
            view[index * SEGMENT_BYTES_MAX : (index + 1) * SEGMENT_BYTES_MAX],
            last=index == count - 1,
        )
        for index in range(count)
    ]


def open_input(segments: Iterable[bytes], count: int, opener: Opener) -> bytes:
    """Open a whole input of *count* segments.

    Raises:
        SealBroken: anything at all is wrong with it.
    """
    opened = [
        opener.open(segment, last=index == count - 1) for index, segment in enumerate(segments)
    ]
    opener.finish()
    return unpadded(b"".join(opened))
