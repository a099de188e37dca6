"""Virtual time for whole nodes, and everything that would make two runs differ taken away.

trio's `MockClock` jumps to the next deadline as soon as every task waits. Three things would
break that, or the sameness of two runs, and are replaced for the length of a run:

* threads: a task that waits for one looks idle, and time would jump. `trio.to_thread` runs
  its function at once instead. Disks take no virtual time then;
* the order in which tasks that became ready together run: trio draws it; here it is seeded
  (trio's own switch for its tests, private: `tests/simulations/whole` watches it);
* random bytes of the operating system, which end up in ids and nonces, and the wall clock.

HPKE draws its own randomness inside OpenSSL: ciphertexts differ between two runs, their
lengths and everything that happens do not.
"""

import hashlib
import os
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import trio
import trio.testing

T = TypeVar("T")

EPOCH_UNIX_S: Final = 1_767_225_600.0
"""2026-01-01, as `overlay.memory` has it."""


class Drbg:
    """Random bytes from a seed: SHA-256 in counter mode."""

    def __init__(self, seed: int) -> None:
        self._key = hashlib.sha256(f"drbg/{seed}".encode()).digest()
        self._count = 0

    def __call__(self, size: int) -> bytes:
        """Return *size* bytes."""
        made = b""
        while len(made) < size:
            self._count += 1
            made += hashlib.sha256(self._key + self._count.to_bytes(8, "big")).digest()
        return made[:size]


async def _run_here(sync_fn: Callable[..., T], *args: object, **options: object) -> T:
    """Do what `trio.to_thread.run_sync` does, without a thread."""
    await trio.lowlevel.checkpoint()
    return sync_fn(*args)


def _virtual_unix_s() -> float:
    try:
        return EPOCH_UNIX_S + trio.current_time()
    except RuntimeError:
        return EPOCH_UNIX_S  # outside of a run, for instance while a library is loaded


@contextmanager
def _replaced(*changes: tuple[Any, str, Any]) -> Iterator[None]:
    kept = [(place, name, getattr(place, name)) for place, name, _ in changes]
    for place, name, value in changes:
        setattr(place, name, value)
    try:
        yield
    finally:
        for place, name, value in reversed(kept):
            setattr(place, name, value)


def run_virtual(main: Callable[[], Awaitable[T]], *, seed: int) -> T:
    """Run *main* under trio in virtual time; the same seed gives the same run.

    Set ``PYTHONHASHSEED`` when *main* iterates over sets (py-libp2p does).
    """
    drbg, core = Drbg(seed), trio._core._run  # type: ignore[attr-defined]  # noqa: SLF001
    changes = (
        (trio.to_thread, "run_sync", _run_here),
        (core, "_ALLOW_DETERMINISTIC_SCHEDULING", True),
        (core, "_r", random.Random(seed)),  # noqa: S311  (a simulation)
        (random, "_urandom", drbg),
        (os, "urandom", drbg),
        (time, "time", _virtual_unix_s),
    )
    state = random.getstate()
    random.seed(seed)
    try:
        with _replaced(*changes):
            clock = trio.testing.MockClock(autojump_threshold=0)
            return trio.run(main, clock=clock)
    finally:
        random.setstate(state)
