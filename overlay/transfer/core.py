"""Manifests and what is still missing. Pure code.

A content is cut into chunks of `CHUNK_BYTES`; its manifest is its size and the SHA-256
of every chunk, and its id the SHA-256 of the manifest. So each chunk is checked when it
comes, and a transfer goes on where it stopped, from the same peer or from another.
"""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Annotated, Final

import msgspec

from overlay.errors import DECODE_ERRORS, LocalProtocolError, RemoteProtocolError

CHUNK_BYTES: Final = 256 * 1024
CHUNKS_MAX: Final = 16_384
SIZE_BYTES_MAX: Final = CHUNK_BYTES * CHUNKS_MAX
"""4 GiB."""
DIGEST_BYTES: Final = 32
INDEX_BYTES: Final = 4
_DOMAIN: Final = b"cocoon/content/v1\0"


class Manifest(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a content consists of.

    Attributes:
        size_bytes: its length.
        digests: the SHA-256 of each chunk, one after the other.
    """

    size_bytes: Annotated[int, msgspec.Meta(ge=0, le=SIZE_BYTES_MAX)]
    digests: Annotated[bytes, msgspec.Meta(max_length=DIGEST_BYTES * CHUNKS_MAX)]

    @property
    def chunks(self) -> int:
        """How many chunks there are."""
        return chunk_count(self.size_bytes)

    @property
    def content_id(self) -> bytes:
        """The name of the content: 32 bytes."""
        return hashlib.sha256(_DOMAIN + self.size_bytes.to_bytes(8, "big") + self.digests).digest()

    def chunk_bytes(self, index: int) -> int:
        """Return the length of one chunk: `CHUNK_BYTES`, but for the last."""
        return min(CHUNK_BYTES, self.size_bytes - index * CHUNK_BYTES)

    def matches(self, index: int, data: bytes | memoryview) -> bool:
        """Return whether *data* is chunk number *index*."""
        digest = self.digests[index * DIGEST_BYTES : (index + 1) * DIGEST_BYTES]
        return len(data) == self.chunk_bytes(index) and hashlib.sha256(data).digest() == digest


_decoder = msgspec.msgpack.Decoder(Manifest)


def chunk_count(size_bytes: int) -> int:
    """Return into how many chunks a content of *size_bytes* is cut.

    >>> chunk_count(0), chunk_count(1), chunk_count(CHUNK_BYTES + 1)
    (0, 1, 2)
    """
    return -(-size_bytes // CHUNK_BYTES)


def make_manifest(chunks: Iterable[bytes]) -> Manifest:
    """Return the manifest of a content, given chunk by chunk.

    Raises:
        LocalProtocolError: it is too long, or a chunk before the last is not full.
    """
    size_bytes, digests, last_full = 0, bytearray(), True
    for chunk in chunks:
        if not last_full or not 0 < len(chunk) <= CHUNK_BYTES:
            raise LocalProtocolError("chunks are full, but for the last")
        last_full = len(chunk) == CHUNK_BYTES
        size_bytes += len(chunk)
        if size_bytes > SIZE_BYTES_MAX:
            raise LocalProtocolError(f"a content has at most {SIZE_BYTES_MAX} bytes")
        digests += hashlib.sha256(chunk).digest()
    return Manifest(size_bytes, bytes(digests))


def split(data: bytes) -> Iterator[bytes]:
    """Cut *data* into chunks."""
    for start in range(0, len(data), CHUNK_BYTES):
        yield data[start : start + CHUNK_BYTES]


def encode_manifest(manifest: Manifest) -> bytes:
    """Return the bytes of a manifest, at most 512 KiB: one frame."""
    return msgspec.msgpack.encode(manifest)


def decode_manifest(data: bytes, *, size_bytes_max: int) -> Manifest:
    """Return the manifest in *data*.

    Raises:
        RemoteProtocolError: malformed, or of a content longer than *size_bytes_max*.
    """
    try:
        manifest = _decoder.decode(data)
    except DECODE_ERRORS as error:
        raise RemoteProtocolError(f"bad manifest: {error}", penalty=10) from error
    if len(manifest.digests) != manifest.chunks * DIGEST_BYTES:
        raise RemoteProtocolError("a manifest with too few or too many digests", penalty=10)
    if manifest.size_bytes > size_bytes_max:
        raise RemoteProtocolError(
            f"a content of {manifest.size_bytes} bytes, at most {size_bytes_max}", penalty=0
        )
    return manifest


def encode_missing(missing: Iterable[int], chunks: int) -> bytes:
    """Return a bit for each chunk, lowest first, 1 for those that are missing."""
    bits = bytearray(-(-chunks // 8))
    for index in missing:
        bits[index // 8] |= 1 << index % 8
    return bytes(bits)


def decode_missing(data: bytes, chunks: int) -> list[int]:
    """Return the missing chunks, in order.

    Raises:
        RemoteProtocolError: a bit map of another length.
    """
    if len(data) != -(-chunks // 8):
        raise RemoteProtocolError("a bit map of another length", penalty=10)
    return [index for index in range(chunks) if data[index // 8] >> index % 8 & 1]


class Receiving:
    """The receiver's account of one content.

    Args:
        manifest: what is to come.
        held: chunks that are here already, checked.
    """

    def __init__(self, manifest: Manifest, held: Iterable[int] = ()) -> None:
        self.manifest = manifest
        here = set(held)
        self._missing = {index for index in range(manifest.chunks) if index not in here}

    @property
    def missing(self) -> list[int]:
        """The chunks that are still to come, in order."""
        return sorted(self._missing)

    @property
    def complete(self) -> bool:
        """True when every chunk is here."""
        return not self._missing

    def take(self, frame: bytes) -> tuple[int, memoryview]:
        """Check one frame (4 bytes of index, then the chunk); return its parts.

        Raises:
            RemoteProtocolError: not a chunk that is missing, or its hash is wrong.
        """
        index = int.from_bytes(frame[:INDEX_BYTES], "big")
        data = memoryview(frame)[INDEX_BYTES:]
        if len(frame) < INDEX_BYTES or index not in self._missing:
            raise RemoteProtocolError("a chunk that nobody asked for", penalty=10)
        if not self.manifest.matches(index, data):
            raise RemoteProtocolError("a chunk with the wrong hash", penalty=10)
        self._missing.discard(index)
        return index, data
