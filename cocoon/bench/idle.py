"""Memory and processor time of nodes that have nothing to do. Reads Linux's /proc."""

import os
from pathlib import Path
from typing import Final

import trio

from cocoon.bench.figures import Process

WATCH_S: Final = 5.0
PROC: Final = Path("/proc")


def memory_mb(rollup: str) -> tuple[float, float]:
    """Return (resident, proportional) MiB from the text of ``smaps_rollup``.

    Raises:
        ValueError: a line is missing.
    """
    kib = {}
    for line in rollup.splitlines():
        name, colon, rest = line.partition(":")
        if colon and rest.endswith(" kB"):
            kib[name] = int(rest.removesuffix(" kB"))
    if "Rss" not in kib or "Pss" not in kib:
        raise ValueError("no Rss and Pss in smaps_rollup")
    return kib["Rss"] / 1024, kib["Pss"] / 1024


def cpu_ticks(stat: str) -> int:
    """Return user and system ticks from the text of ``/proc/PID/stat``."""
    fields = stat.rpartition(")")[2].split()  # the name before it may hold spaces
    return int(fields[11]) + int(fields[12])


def children_of(process_id: int) -> list[int]:
    """Return the ids of the direct children of a process."""
    found = []
    for task in (PROC / str(process_id) / "task").iterdir():
        found += [int(word) for word in (task / "children").read_text().split()]
    return found


def _ticks(process_id: int) -> int:
    return cpu_ticks((PROC / str(process_id) / "stat").read_text())


async def look_at(processes: dict[str, int]) -> list[Process]:
    """Watch processes (name to id) for `WATCH_S` and return what they took."""
    before = {name: _ticks(pid) for name, pid in processes.items()}
    await trio.sleep(WATCH_S)
    found = []
    for name, pid in processes.items():
        busy_s = (_ticks(pid) - before[name]) / os.sysconf("SC_CLK_TCK")
        rss_mb, pss_mb = memory_mb((PROC / str(pid) / "smaps_rollup").read_text())
        busy_percent = round(100 * busy_s / WATCH_S, 1)
        found.append(Process(name, round(rss_mb, 1), round(pss_mb, 1), busy_percent))
    return found
