"""An hour with churn: real nodes in processes of their own; memory, tasks and files must stay flat.

One node is bootstrap and relay (`subject`), three stay (`residents`), one process opens a new
node every four seconds (`visitors`); a second one of that kind is killed every 45 s, every other
time after it was frozen for a while, so that its sockets fall silent without a word.

The verdict is over the slope, by Theil and Sen (the median of all slopes between two samples; Sen
1968), of what was sampled after a quarter of the time.
"""

import itertools
import json
import signal
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import trio

from overlay.soak.census import grown
from overlay.soak.rows import Row
from overlay.soak.swarm import Sample

WARM_UP: Final = 0.25
"""Share of the time that is not judged: caches fill."""
LIFE_S: Final = 45.0
FROZEN_S: Final = 40.0
"""Longer than a silent connection is borne (`HostConfig.health_interval_s` and the patience)."""
PAIRS_MAX: Final = 40_000
GROWN_ENTRIES_MIN: Final = 64
_LINE_BYTES_MAX: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Slopes:
    """The most that a process may grow in an hour."""

    rss_mib: float
    tasks: float
    files: float


LIMITS: Final = {
    "subject": Slopes(4.0, 6.0, 6.0),
    "residents": Slopes(6.0, 12.0, 12.0),
    "visitors": Slopes(12.0, 6.0, 6.0),
}

SHORT_S: Final = 1800.0
"""A shorter run says little about an hour: then what was grown in all is judged."""
IN_ALL: Final = Slopes(4.0, 24.0, 12.0)
"""The most that a process may grow in a short run; less is the noise of who happens to be there."""


def run(seconds: float, record: Path | None = None) -> list[Row]:
    """Run the swarm for *seconds*; samples go to *record*, one JSON object a line."""
    samples = trio.run(_collect, seconds, record)
    return [judge(role, samples[role], limits) for role, limits in LIMITS.items()]


def judge(role: str, samples: list[Sample], limits: Slopes) -> Row:
    """Return the verdict over one process."""
    late = [each for each in samples if each.at_s >= WARM_UP * samples[-1].at_s]
    slopes = Slopes(
        *(
            slope_per_hour([(each.at_s, float(getattr(each, what))) for each in late])
            for what in ("rss_mib", "tasks", "files")
        )
    )
    full = [each for each in late if each.entries]
    growing: dict[str, str] = {}
    if len(full) > 1:
        growing = grown(
            Counter(full[0].entries), Counter(full[-1].entries), entries_min=GROWN_ENTRIES_MIN
        )
    first, last = late[0], late[-1]
    short = last.at_s < SHORT_S
    share = (last.at_s - first.at_s) / 3600 if short else 1.0
    limits, per = (IN_ALL, "in so short a run") if short else (limits, "an hour")
    return Row(
        f"{last.at_s / 60:.0f} minutes of churn, {role}: {_said(last.done)}",
        f"{slopes.rss_mib:+.2f} MiB, {slopes.tasks:+.1f} tasks, {slopes.files:+.1f} files an hour; "
        f"at {first.at_s / 60:.0f} min {_held(first)}, at the end {_held(last)}; "
        f"doubled: {growing or 'nothing'}",
        f"at most {limits.rss_mib:+.0f} MiB, {limits.tasks:+.0f} tasks and "
        f"{limits.files:+.0f} files {per}",
        share * slopes.rss_mib <= limits.rss_mib
        and share * slopes.tasks <= limits.tasks
        and share * slopes.files <= limits.files,
        {
            "growth_mib_per_hour": slopes.rss_mib,
            "growth_tasks_per_hour": slopes.tasks,
            "growth_files_per_hour": slopes.files,
            "first_rss_mib": first.rss_mib,
            "last_rss_mib": last.rss_mib,
            **{what.replace(" ", "_"): count for what, count in last.done.items()},
        },
    )


def slope_per_hour(points: list[tuple[float, float]]) -> float:
    """Return the Theil-Sen slope of (seconds, value), per hour; 0 for fewer than two points.

    >>> slope_per_hour([(0, 5), (1800, 6), (3600, 7), (1000, 900)])
    2.0
    """
    step = max(1, len(points) ** 2 // 2 // PAIRS_MAX)
    pairs = itertools.islice(itertools.combinations(sorted(points), 2), 0, None, step)
    slopes = [(y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in pairs if x2 > x1]
    return 3600 * statistics.median(slopes) if slopes else 0.0


def _held(sample: Sample) -> str:
    return f"{sample.rss_mib:.1f} MiB, {sample.tasks} tasks, {sample.files} files"


def _said(done: dict[str, int]) -> str:
    return ", ".join(f"{count} {what}" for what, count in sorted(done.items())) or "nothing"


async def _collect(seconds: float, record: Path | None) -> dict[str, list[Sample]]:
    samples: dict[str, list[Sample]] = {role: [] for role in LIMITS}

    async def follow(role: str, lines: AsyncIterator[str]) -> None:
        async for line in lines:
            sample = msgspec.json.decode(line, type=Sample)
            samples[role].append(sample)
            if record is not None:
                _append(record, json.dumps({"role": role}) + "\t" + line + "\n")

    async with _child("subject") as subject, trio.open_nursery() as nursery:
        addresses = json.loads(await anext(subject))["addresses"]
        nursery.start_soon(follow, "subject", subject)
        async with _child("residents", *addresses) as residents:
            nursery.start_soon(follow, "residents", residents)
            async with _child("visitors", *addresses) as visitors:
                nursery.start_soon(follow, "visitors", visitors)
                with trio.move_on_after(seconds):
                    await _kill_forever(addresses)
                nursery.cancel_scope.cancel()
    for role, taken in samples.items():
        if not taken:
            raise RuntimeError(f"{role} ended without a sample (its error is above)")
    return samples


async def _kill_forever(addresses: list[str]) -> None:
    for turn in itertools.count():
        async with _child("visitors", *addresses) as lines:
            with trio.move_on_after(LIFE_S):
                async for _ in lines:
                    pass
            if turn % 2:
                lines.freeze()
                await trio.sleep(FROZEN_S)


class _Lines:
    """The lines that a process prints."""

    def __init__(self, process: trio.Process) -> None:
        self._process = process
        self._buffer = bytearray()

    def freeze(self) -> None:
        """Stop the process: its sockets stay, and say nothing."""
        self._process.send_signal(signal.SIGSTOP)

    def __aiter__(self) -> "_Lines":
        return self

    async def __anext__(self) -> str:
        if self._process.stdout is None:
            raise RuntimeError("a process without a pipe")
        while b"\n" not in self._buffer:
            data = await self._process.stdout.receive_some()
            if not data or len(self._buffer) > _LINE_BYTES_MAX:
                raise StopAsyncIteration
            self._buffer += data
        line, _, rest = bytes(self._buffer).partition(b"\n")
        self._buffer = bytearray(rest)
        return line.decode()


@asynccontextmanager
async def _child(role: str, *addresses: str) -> AsyncIterator[_Lines]:
    """Run a process of `overlay.soak.swarm`; it is killed at the end of the block."""
    command = [sys.executable, "-m", "overlay.soak", "--child", role, *addresses]
    process = await trio.lowlevel.open_process(command, stdout=subprocess.PIPE)
    try:
        yield _Lines(process)
    finally:
        with trio.CancelScope(shield=True):
            process.kill()
            await process.wait()


def _append(record: Path, line: str) -> None:
    with record.open("a", encoding="utf-8") as file:
        file.write(line)
