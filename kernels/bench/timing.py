"""How things are timed on a machine that others use, too.

Repetitions of all candidates alternate, so that a change of the machine's mood meets
all of them; a figure is the best repetition's. With one thread the CPU time counts: a
process that had to wait for its turn did not compute.
"""

import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

REPETITIONS: Final = 3


class Figure(msgspec.Struct, frozen=True):
    """One line of the table. `ratio` is against *peer*, above 1 where ours is better."""

    what: str
    ours: float
    unit: str
    peers: dict[str, float]
    ratio: float = 0.0
    peer: str = ""
    target: str = ""


class Check(msgspec.Struct, frozen=True):
    """What was compared with a reference before anything was timed."""

    what: str
    found: str
    passed: bool


class Report(msgspec.Struct, frozen=True):
    """The whole run."""

    machine: str
    load_1min: float
    engine: str
    peers: dict[str, str]
    checks: tuple[Check, ...]
    figures: tuple[Figure, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Timed:
    """Seconds of the best repetition."""

    cpu_s: float
    wall_s: float


def alternate(
    candidates: Mapping[str, Callable[[], object]],
    repetitions: int = REPETITIONS,
    *,
    before: Mapping[str, Callable[[], object]] | None = None,
) -> dict[str, Timed]:
    """Time each of *candidates* several times, in turn; one untimed round comes first.

    What *before* has under the same name is called before each repetition, untimed.
    """
    best: dict[str, Timed] = {}
    for turn in range(repetitions + 1):
        for name, run in candidates.items():
            if before is not None:
                before[name]()
            cpu_s, wall_s = time.process_time(), time.perf_counter()
            run()
            cpu_s, wall_s = time.process_time() - cpu_s, time.perf_counter() - wall_s
            least = best.get(name, Timed(float("inf"), float("inf")))
            if turn:
                best[name] = Timed(min(least.cpu_s, cpu_s), min(least.wall_s, wall_s))
    return best


def machine() -> str:
    """Return the processor's name and how many of it this process may use."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next(line.partition(": ")[2] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor()
    return f"{name}, {len(os.sched_getaffinity(0))} CPUs, {platform.system()}"
