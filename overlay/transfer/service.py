"""Sending and receiving contents over a `Stream`, and keeping unfinished ones on disk.

The sender sends the manifest; the receiver answers with the bit map of the chunks that
it misses; the sender sends those; the receiver answers one byte when all are on disk.
Back-pressure is the stream's. Every wait has a deadline that grows with what is to come.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import trio

from overlay.errors import LocalProtocolError, RemoteProtocolError
from overlay.transfer.core import (
    CHUNK_BYTES,
    INDEX_BYTES,
    Manifest,
    Receiving,
    decode_manifest,
    decode_missing,
    encode_manifest,
    encode_missing,
    make_manifest,
)
from overlay.transport import Stream

STEP_S: Final = 30.0
"""Patience with one frame, and with the other side's disk."""
CHECK_BYTES_PER_S: Final = 50_000_000
"""How fast a receiver surely re-reads what it holds."""
DONE: Final = b"\x01"
MAX_AGE_S: Final = 7 * 24 * 3600.0
"""An unfinished content is kept for so long."""


def read_chunks(path: Path) -> Iterator[bytes]:
    """Yield a file chunk by chunk. Blocks."""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


async def manifest_of(path: Path) -> Manifest:
    """Return the manifest of a file.

    Raises:
        LocalProtocolError: it is too long.
    """
    return await trio.to_thread.run_sync(lambda: make_manifest(read_chunks(path)))


async def send_file(stream: Stream, path: Path, manifest: Manifest) -> int:
    """Send what the peer misses of a file; return how many bytes that was.

    Call it again on a new stream after a failure: it goes on where it stopped.

    Raises:
        LocalProtocolError: the file is not what *manifest* says.
        RemoteProtocolError, PeerUnavailable: as for `Stream`.
        trio.TooSlowError: the peer keeps us waiting.
    """
    with trio.fail_after(STEP_S):
        await stream.send(encode_manifest(manifest))
    with trio.fail_after(STEP_S + manifest.size_bytes / CHECK_BYTES_PER_S):
        missing = decode_missing(await stream.receive(), manifest.chunks)
    sent_bytes = 0
    with path.open("rb") as file:
        for index in missing:
            data = await trio.to_thread.run_sync(_read_chunk, file.fileno(), index)
            if len(data) != manifest.chunk_bytes(index):
                raise LocalProtocolError(f"{path} changed while it was sent")
            with trio.fail_after(STEP_S):
                await stream.send(index.to_bytes(INDEX_BYTES, "big") + data)
            sent_bytes += len(data)
    with trio.fail_after(STEP_S):
        if await stream.receive() != DONE:
            raise RemoteProtocolError("the peer did not confirm the content")
    return sent_bytes


def _read_chunk(descriptor: int, index: int) -> bytes:
    return os.pread(descriptor, CHUNK_BYTES, index * CHUNK_BYTES)


class ContentStore:
    """Contents in one directory: ``<id>`` when whole, ``<id>.part`` before.

    Args:
        directory: made (mode 0700) when it is missing.
        bytes_max: of everything in it; a content that does not fit is refused.
    """

    def __init__(self, directory: Path, *, bytes_max: int) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory = directory
        self._bytes_max = bytes_max
        self._busy: set[bytes] = set()

    def path(self, content_id: bytes) -> Path:
        """Return where a content is when it is whole."""
        return self._directory / content_id.hex()

    def used_bytes(self) -> int:
        """Return how much the unfinished and the whole contents take."""
        return sum(each.stat().st_size for each in self._directory.iterdir())

    def drop_old(self, now_unix_s: float) -> None:
        """Delete unfinished contents that nobody went on with."""
        for part in self._directory.glob("*.part"):
            if now_unix_s - part.stat().st_mtime > MAX_AGE_S:
                part.unlink(missing_ok=True)

    async def receive(self, stream: Stream, *, size_bytes_max: int) -> Path:
        """Receive one content, or the rest of it; return where it is.

        Raises:
            RemoteProtocolError: malformed, too long, no room, a wrong chunk, or the same
                content is being received on another stream.
            PeerUnavailable: the peer is gone; what came stays for the next time.
            trio.TooSlowError: the peer keeps us waiting.
        """
        with trio.fail_after(STEP_S):
            manifest = decode_manifest(await stream.receive(), size_bytes_max=size_bytes_max)
        content_id = manifest.content_id
        if content_id in self._busy:
            raise RemoteProtocolError("this content is on its way already", penalty=0)
        self._busy.add(content_id)
        try:
            path = self.path(content_id)
            if not path.exists():
                await self._receive_part(stream, manifest)
            else:
                await stream.send(encode_missing((), manifest.chunks))
            with trio.fail_after(STEP_S):
                await stream.send(DONE)
            return path
        finally:
            self._busy.discard(content_id)

    async def _receive_part(self, stream: Stream, manifest: Manifest) -> None:
        path = self.path(manifest.content_id)
        part = path.with_suffix(".part")
        held_bytes = part.stat().st_size if part.exists() else 0
        if self.used_bytes() - held_bytes + manifest.size_bytes > self._bytes_max:
            raise RemoteProtocolError("no room for this content", penalty=0)
        held = await trio.to_thread.run_sync(_check_part, part, manifest)
        receiving = Receiving(manifest, held)
        descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            await stream.send(encode_missing(receiving.missing, manifest.chunks))
            while not receiving.complete:
                with trio.fail_after(STEP_S):
                    index, data = receiving.take(await stream.receive())
                await trio.to_thread.run_sync(os.pwrite, descriptor, data, index * CHUNK_BYTES)
            await trio.to_thread.run_sync(os.fsync, descriptor)
        finally:
            os.close(descriptor)
        part.replace(path)


def _check_part(part: Path, manifest: Manifest) -> list[int]:
    """Return the chunks of an unfinished content that are here and right."""
    with contextlib.suppress(FileNotFoundError):
        if part.stat().st_size > manifest.size_bytes:
            os.truncate(part, manifest.size_bytes)
        with part.open("rb") as file:
            chunks = (_read_chunk(file.fileno(), index) for index in range(manifest.chunks))
            return [index for index, data in enumerate(chunks) if manifest.matches(index, data)]
    return []
