"""Files that are there entirely or not at all, also after a power failure.

(`overlay.private_file` says the same for the layer beside; neither may import the other.)
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from contracts.errors import LocalContractError

_FOR_ALL: Final = 0o666
"""As `open` makes files: less what the process's umask says."""

PRIVATE: Final = 0o600


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file, in place of one that may be there; on return it survives a power failure.

    Raises:
        OSError: it cannot be written; what was there is still there.
    """
    with _draft_of(path, data, _FOR_ALL) as draft:
        draft.replace(path)


def create_private(path: Path, data: bytes) -> None:
    """Write a file, mode 0600, that must not exist; on return it survives a power failure.

    Raises:
        LocalContractError: it exists.
        OSError: it cannot be written.
    """
    with _draft_of(path, data, PRIVATE) as draft:
        try:
            path.hardlink_to(draft)  # unlike a rename, this fails when the name is taken
        except FileExistsError as error:
            raise LocalContractError(f"{path} exists, and is never overwritten") from error


@contextmanager
def _draft_of(path: Path, data: bytes, mode: int) -> Iterator[Path]:
    """Write *data*, durably, to a new file beside *path*; it is gone after the block."""
    draft = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        yield draft
    finally:
        draft.unlink(missing_ok=True)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
