"""Translate a PTX module: in a child process, within limits, and only once.

LLVM may end a process that gives it something strange, and takes the time and memory that a
program makes it take. A child pays for that; its answers are kept in the user's cache under a
hash of all that decides them.
"""

import contextlib
import functools
import hashlib
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from kernels.compile import CodeCache, default_cache
from kernels.decoding import UNREADABLE
from kernels.ptx._child import ERRORS, Answer, Request
from kernels.ptx.errors import TranslationFailed
from kernels.ptx.lexer import TEXT_BYTES_MAX
from kernels.ptx.mode import Mode
from kernels.ptx.run import Module
from kernels.ptx.runtime import SCHEDULER
from kernels.ptx.translation import FORMAT, Translation

CPU_S: Final = 120
MEMORY_BYTES: Final = 4 * 2**30
"""Address space of the child; LLVM itself takes about half a gigabyte of it."""

STDERR_CHARACTERS_MAX: Final = 500


def translate(
    ptx: str | bytes,
    *,
    mode: Mode,
    entries: Sequence[str] = (),
    cache: Path | None = None,
    cpu_s: int = CPU_S,
    memory_bytes: int = MEMORY_BYTES,
) -> Module:
    """Return a PTX module, linked into this process; see `translation_of`."""
    return Module(
        translation_of(
            ptx, mode=mode, entries=entries, cache=cache, cpu_s=cpu_s, memory_bytes=memory_bytes
        )
    )


def translation_of(
    ptx: str | bytes,
    *,
    mode: Mode,
    entries: Sequence[str] = (),
    cache: Path | None = None,
    cpu_s: int = CPU_S,
    memory_bytes: int = MEMORY_BYTES,
    keep: bool = True,
) -> Translation:
    """Return a PTX module in machine code of this processor, as data: nothing is linked.

    Args:
        ptx: the text, as NVRTC or nvcc write it; a zero byte at the end does not matter.
        mode: what to guard against, see `Mode`.
        entries: names of the kernels that are wanted; all when empty.
        cache: folder of translated modules; the user's cache by default.
        cpu_s: processor time of the child, in seconds; twice that passes on the clock at most.
        memory_bytes: address space of the child.
        keep: whether the cache is used; without it nothing touches the disk.

    Raises:
        InvalidPtx: the text is not PTX, or too large.
        UnsupportedPtx: it uses something that has no translation.
        TranslationFailed: the child died, or ran out of its limits.
    """
    text = ptx.decode("utf-8", "replace") if isinstance(ptx, bytes) else ptx
    text = text.rstrip("\0")
    request = Request(text[: TEXT_BYTES_MAX + 1], mode.value, tuple(entries), memory_bytes, cpu_s)
    if not keep:
        return _in_child(request)
    kept = CodeCache(cache or default_cache())
    key = _key(request)
    if (found := _read(kept, key)) is None:
        found = _in_child(request)
        with contextlib.suppress(OSError):  # a read-only home costs time at every start
            kept.put(key, found.pack())
    return found


def _read(kept: CodeCache, key: str) -> Translation | None:
    data = kept.get(key)
    if data is None:
        return None
    try:
        return Translation.unpack(data)
    except TranslationFailed:
        return None


def _in_child(request: Request) -> Translation:
    try:
        done = subprocess.run(
            [sys.executable, "-m", "kernels.ptx._child"],
            input=msgspec.msgpack.encode(request),
            capture_output=True,
            timeout=2 * request.cpu_s + 10,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise TranslationFailed(f"no answer in {2 * request.cpu_s + 10} s") from None
    if done.returncode:
        raise TranslationFailed(_last_words(done.returncode, done.stderr))
    try:
        answer = msgspec.msgpack.decode(done.stdout, type=Answer)
    except UNREADABLE as error:
        raise TranslationFailed(f"the translator spoke nonsense: {error}") from error
    if answer.error:
        raise ERRORS[answer.error](answer.message, answer.line)
    return Translation.unpack(answer.translation)


def _last_words(status: int, stderr: bytes) -> str:
    lines = stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"]
    how = f"by signal {-status}" if status < 0 else f"with status {status}"
    return f"the translator ended {how}: {lines[-1][:STDERR_CHARACTERS_MAX]}"


def _key(request: Request) -> str:
    digest = hashlib.sha256()
    for part in (request.text, request.mode, *request.entries, translator_hash()):
        data = part.encode()
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()


@functools.cache
def translator_hash() -> str:
    """Return a hash of this package and of what its code depends on."""
    from kernels.ptx._llvm import host_name  # noqa: PLC0415 - loads LLVM

    digest = hashlib.sha256(f"{FORMAT} {host_name()}".encode())
    for path in [*sorted(SCHEDULER.parent.parent.glob("*.py")), SCHEDULER]:
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()
