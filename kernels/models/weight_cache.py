"""Keeps a model's dequantised numbers in a file, so that workers share one copy.

The file is mapped read-only: the pages exist once on the machine however many
workers run, and a worker that starts later starts without dequantising. One file
for each model content and layout version; deleting the directory is always safe.
"""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

LAYOUT_VERSION: Final = 1
"""Raise it whenever the order or the meaning of the floats changes."""

HEADER_BYTES: Final = 4096
CACHE_BYTES_MIN: Final = 64 << 20
"""Below this a file would save nothing."""


def default_directory() -> Path:
    """Return ``$XDG_CACHE_HOME/cocoon/weights`` (or its usual place)."""
    root = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(root) if root else Path.home() / ".cache") / "cocoon" / "weights"


def open_floats(
    size: int, content_id: str, directory: Path | None, fill: Callable[[Floats], None]
) -> Floats:
    """Return *size* floats: mapped from the cache, or made by *fill*.

    With no directory, a small size, or a directory that cannot be written or has no
    room, the floats are made in this process's memory.
    """
    if directory is None or size * 4 < CACHE_BYTES_MIN:
        return _in_memory(size, fill)
    try:
        return _in_file(size, content_id, directory, fill)
    except OSError:
        return _in_memory(size, fill)


def _in_memory(size: int, fill: Callable[[Floats], None]) -> Floats:
    block = np.zeros(size, np.float32)
    fill(block)
    return block


def _in_file(size: int, content_id: str, directory: Path, fill: Callable[[Floats], None]) -> Floats:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = directory / f"{content_id}-v{LAYOUT_VERSION}.f32"
    header = _header(size, content_id)
    if not _is_whole(path, size, header):
        with path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # workers that start together dequantise once
            if not _is_whole(path, size, header):
                _write(path, size, header, fill)
    return np.asarray(np.memmap(path, np.float32, "r", HEADER_BYTES, (size,)))


def _header(size: int, content_id: str) -> bytes:
    text = f"cocoon weights v{LAYOUT_VERSION}\n{content_id}\n{size} float32\n"
    return text.encode().ljust(HEADER_BYTES, b"\0")


def _is_whole(path: Path, size: int, header: bytes) -> bool:
    """Return whether the file is ours and complete; it is renamed into place only when it is."""
    try:
        with path.open("rb") as file:
            state = os.fstat(file.fileno())
            owned = state.st_uid == os.getuid() and state.st_size == HEADER_BYTES + 4 * size
            return owned and file.read(HEADER_BYTES) == header
    except FileNotFoundError:
        return False


def _write(path: Path, size: int, header: bytes, fill: Callable[[Floats], None]) -> None:
    partial = path.with_suffix(".partial")
    try:
        with partial.open("wb") as file:
            file.write(header)
            file.flush()
            # Reserved first: a mapped write to a full disk would kill the process.
            os.posix_fallocate(file.fileno(), 0, HEADER_BYTES + 4 * size)
            block = np.memmap(partial, np.float32, "r+", HEADER_BYTES, (size,))
            fill(np.asarray(block))
            block.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
