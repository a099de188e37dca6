"""Small files that only their owner can read, written so that no crash leaves half of one."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def create_private_file(path: Path, data: bytes) -> None:
    """Write *path* (mode 0600), and its directory (0700), unless it is there already.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _draft_of(path, data) as draft:
        try:
            # link, not rename: it fails when another process was first, and its file stays
            os.link(draft, path)
        except FileExistsError:
            return


def replace_private_file(path: Path, data: bytes) -> None:
    """Write *path* (mode 0600) in place of what is there.

    Raises:
        OSError: it cannot be written; what was there stays.
    """
    with _draft_of(path, data) as draft:
        draft.replace(path)


@contextmanager
def _draft_of(path: Path, data: bytes) -> Iterator[Path]:
    """Write *data*, durably, to a new file beside *path*; it is gone after the block."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        yield draft
    finally:
        draft.unlink(missing_ok=True)
        sync_entry(path)


def sync_entry(path: Path) -> None:
    """Put the entry of *path* in its directory on the disk.

    Raises:
        OSError: that cannot be done.
    """
    descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
