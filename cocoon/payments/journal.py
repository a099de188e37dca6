"""An append-only log of typed records: what was promised survives any crash.

Layout, little endian::

    magic        8 bytes, with the version of the layout
    frame*       length:u32  crc32:u32  payload:length bytes

One append is one frame, a MessagePack array of records, so a batch is there as a
whole or not at all. The checksum covers the length too. Records are members of one
msgspec tagged union.

A crash can only damage the end of the file: an incomplete last frame is cut off and
its size reported. A bad frame with good ones after it is no crash but a damaged
disk or an editor, and is refused with `JournalCorrupt`, because money hangs on it.
"""

import errno
import fcntl
import os
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Generic, TypeVar

import msgspec

from cocoon.errors import UNDECODABLE, PaymentError
from overlay.private_file import sync_entry

MAGIC: Final = b"COCOONJ\x01"
FRAME_BYTES_MAX: Final = 1 << 20
"""No payload is larger; a longer length is damage, and is not read into memory."""

NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Errors of a write after which the disk is as good as before."""

_HEAD: Final = struct.Struct("<II")
_MODE: Final = 0o600

R = TypeVar("R", bound=msgspec.Struct)


class JournalError(PaymentError):
    """The journal cannot be written: nothing may be promised until it is reopened."""


DISK_WORDS: Final = "our disk takes no records now"
"""What a peer is told of a `JournalError`, whose own words name our files."""


class JournalLocked(JournalError):
    """Another process writes this journal; the message names it."""


class JournalCorrupt(JournalError):
    """The journal is damaged in a way that no crash explains; the message says where."""


class Journal(Generic[R]):
    """The open journal; one writer at a time, enforced by a lock file beside it.

    Blocking: call it from a worker thread, or before the event loop starts.

    Attributes:
        records: what was in the file when it was opened, in order.
        torn_bytes: how much of an interrupted last append was cut off.
    """

    def __init__(self, path: Path, record_types: Any) -> None:  # noqa: ANN401  (a union is no type)
        """Open or create the journal at *path*.

        Args:
            path: the file; the lock is `path` with ".lock" appended.
            record_types: the union of tagged Structs that records are of.

        Raises:
            JournalLocked: another process has it open.
            JournalCorrupt: it is not a journal, or damaged before its end.
            OSError: it cannot be read or made.
        """
        self._path = path
        self._decoder: msgspec.msgpack.Decoder[list[R]] = _decoder(record_types)
        self._encoder = msgspec.msgpack.Encoder()
        self._broken = ""
        self._lock_fd = _lock(path.with_name(path.name + ".lock"))
        try:
            self._fd, self._size_bytes = self._open()
        except BaseException:
            os.close(self._lock_fd)
            raise

    def _open(self) -> tuple[int, int]:
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE)
        try:
            os.fchmod(fd, _MODE)
            self.records, data_end = _load(fd, self._path, self._decoder)
            self.torn_bytes = os.fstat(fd).st_size - data_end
            if data_end < len(MAGIC):
                os.pwrite(fd, MAGIC, 0)
                data_end = len(MAGIC)
            os.ftruncate(fd, data_end)
            os.fsync(fd)
            sync_entry(self._path)
        except BaseException:
            os.close(fd)
            raise
        return fd, data_end

    def append(self, record: R) -> None:
        """Write *record*; it is on the disk when this returns.

        Raises:
            JournalError: it may not be on the disk, and nothing more will be written.
        """
        self.append_many((record,))

    def append_many(self, records: Sequence[R]) -> None:
        """Write *records* with one sync: all or none of them survive a crash.

        Raises:
            JournalError: nothing was written, because the disk is full or one of them is no
                record; or they may not be on the disk, and nothing more will be written.
        """
        if self._broken:
            raise JournalError(f"{self._path} failed before ({self._broken}); restart the node")
        try:
            frame = _frame(self._encoder.encode(list(records)))
        except (OverflowError, TypeError) as error:
            raise JournalError(f"not a record of {self._path}: {error}") from error
        try:
            self._write(frame)
            os.fsync(self._fd)
        except OSError as error:
            # After a failed fsync the kernel may drop the pages: only a reread tells the truth.
            self._broken = str(error)
            raise JournalError(f"cannot write {self._path}: {error}") from error
        self._size_bytes += len(frame)

    def _write(self, frame: bytes) -> None:
        """Write a frame at the end, whole, or take back what there was room for.

        Raises:
            JournalError: there is no room; the journal is as before.
            OSError: it is not known what is in the file.
        """
        try:
            _write_all(self._fd, frame, self._size_bytes)
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            os.ftruncate(self._fd, self._size_bytes)
            raise JournalError(f"cannot write {self._path}: {error}; free some space") from error

    def compact(self, records: Iterable[R]) -> None:
        """Replace everything by *records*, atomically: a crash leaves the old or the new file.

        Raises:
            JournalError: the old journal is still in place and still good (or, when the
                directory cannot be synced, nothing more will be written).
        """
        new_path = self._path.with_name(self._path.name + ".new")
        try:
            fd, size_bytes = self._write_new(new_path, records)
            new_path.replace(self._path)
        except OSError as error:
            raise JournalError(f"cannot compact {self._path}: {error}") from error
        os.close(self._fd)
        self._fd, self._size_bytes = fd, size_bytes
        try:
            sync_entry(self._path)
        except OSError as error:
            # Which of the two files a crash would leave is open: promise nothing on it.
            self._broken = str(error)
            raise JournalError(f"cannot compact {self._path}: {error}") from error

    def _write_new(self, path: Path, records: Iterable[R]) -> tuple[int, int]:
        path.unlink(missing_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
        try:
            size_bytes = _write_all(fd, MAGIC, 0)
            for record in records:
                size_bytes += _write_all(fd, _frame(self._encoder.encode([record])), size_bytes)
            os.fsync(fd)
        except BaseException:
            os.close(fd)
            raise
        return fd, size_bytes

    @property
    def size_bytes(self) -> int:
        """Return the size of the file."""
        return self._size_bytes

    def close(self) -> None:
        """Close the file and let go of the lock."""
        os.close(self._fd)
        os.close(self._lock_fd)

    def __enter__(self) -> "Journal[R]":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def read_records(path: Path, record_types: Any) -> list[Any]:  # noqa: ANN401  (a union is no type)
    """Return the records of a journal that another process may be writing; changes nothing.

    What is being appended just now is left out. Blocking.

    Raises:
        JournalCorrupt: it is not a journal, or damaged before its end.
        OSError: it cannot be read.
    """
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return _load(fd, path, _decoder(record_types))[0]
    finally:
        os.close(fd)


def _decoder(record_types: Any) -> Any:  # noqa: ANN401  (a union is no type)
    return msgspec.msgpack.Decoder(list[record_types])


def _load(fd: int, path: Path, decoder: "msgspec.msgpack.Decoder[list[R]]") -> tuple[list[R], int]:
    """Return the records, and where the good part of the file ends."""
    head = os.pread(fd, len(MAGIC), 0)
    if not MAGIC.startswith(head):
        raise JournalCorrupt(f"{path} is not a journal of this version")
    records: list[R] = []
    if len(head) < len(MAGIC):
        return records, 0
    position = len(MAGIC)
    for start, payload in _frames(fd, position):
        try:
            records += decoder.decode(payload)
        except UNDECODABLE as error:
            raise JournalCorrupt(
                f"{path}: the record at byte {start} is of no kind known here ({error}); "
                "it was written by another version, which can still read it"
            ) from error
        position = start + _HEAD.size + len(payload)
    _refuse_damage(fd, path, position)
    return records, position


def _refuse_damage(fd: int, path: Path, position: int) -> None:
    """Tell an interrupted append (only the end is bad) from damage (good data follows)."""
    rest = os.pread(fd, _HEAD.size + FRAME_BYTES_MAX + 1, position)
    if len(rest) > _HEAD.size + FRAME_BYTES_MAX or _has_frame(rest):
        raise JournalCorrupt(
            f"{path} is damaged at byte {position} of {os.fstat(fd).st_size}, and good "
            f"records follow: restore it from a backup; or keep a copy and cut it at that "
            f"byte (truncate -s {position}) if losing what follows is acceptable"
        )


def _lock(path: Path) -> int:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        owner = os.pread(fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(fd)
        raise JournalLocked(
            f"{path.with_suffix('')} is in use by process {owner}: two writers would spend "
            "the same money; stop that process, or use another --home"
        ) from error
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    return fd


def _frame(payload: bytes) -> bytes:
    if len(payload) > FRAME_BYTES_MAX:
        raise JournalError(f"a record of {len(payload)} bytes, at most {FRAME_BYTES_MAX}")
    return _HEAD.pack(len(payload), _checksum(payload)) + payload


def _checksum(payload: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(len(payload).to_bytes(4, "little")))


def _frames(fd: int, position: int) -> Iterator[tuple[int, bytes]]:
    """Yield the good frames from *position* on, up to the first bad one."""
    while True:
        head = os.pread(fd, _HEAD.size, position)
        if len(head) < _HEAD.size:
            return
        size_bytes, checksum = _HEAD.unpack(head)
        if not 0 < size_bytes <= FRAME_BYTES_MAX:
            return
        payload = os.pread(fd, size_bytes, position + _HEAD.size)
        if len(payload) < size_bytes or _checksum(payload) != checksum:
            return
        yield position, payload
        position += _HEAD.size + size_bytes


def _has_frame(rest: bytes) -> bool:
    """Tell whether a good frame starts anywhere in *rest*."""
    for start in range(1, len(rest) - _HEAD.size):
        size_bytes, checksum = _HEAD.unpack_from(rest, start)
        end = start + _HEAD.size + size_bytes
        if size_bytes > 0 and end <= len(rest):
            payload = rest[start + _HEAD.size : end]
            if _checksum(payload) == checksum:
                return True
    return False


def _write_all(fd: int, data: bytes, position: int) -> int:
    written = 0
    while written < len(data):
        written += os.pwrite(fd, data[written:], position + written)
    return written
