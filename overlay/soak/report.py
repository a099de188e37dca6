"""What is written down of a soak: a file of JSON lines, the text of a row, a table in Markdown."""

import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Final

import msgspec

from overlay.errors import DECODE_ERRORS
from overlay.soak.rows import Row
from overlay.soak.scenario import Options, Scenario

ROOT: Final = Path(__file__).parents[2]
SOURCES: Final = frozenset({".py", ".c", ".h", ".cu", ".cuh", ".json", ".tolk"})


class Where(msgspec.Struct, frozen=True):
    """What a row was measured on.

    Attributes:
        commit: short, "+" after it when files were changed since; "" outside of a checkout.
    """

    commit: str
    machine: str


class Result(msgspec.Struct, frozen=True, kw_only=True, tag="row"):
    """One row, and what is needed to judge it later.

    Attributes:
        seconds: from the scenario's start until the row was known.
        load_average: of the last minute, at that moment.
        options: those that change what the scenario does, its seed among them.
        code: names the sources that it ran.
    """

    scenario: str
    row: Row
    date: str
    seconds: float
    load_average: float
    options: dict[str, object]
    code: str
    where: Where


class Ended(msgspec.Struct, frozen=True, kw_only=True, tag="ended"):
    """A scenario came to its end: its rows above are all that it has.

    Attributes:
        held: whether every row holds.
    """

    scenario: str
    date: str
    seconds: float
    options: dict[str, object]
    code: str
    held: bool


Line = Result | Ended
_lines: Final = msgspec.json.Decoder(Line)


def result_of(scenario: Scenario, options: Options, row: Row, seconds: float) -> Result:
    """Return *row* with everything that goes with it."""
    return Result(
        scenario=scenario.name,
        row=row,
        date=now(),
        seconds=round(seconds, 1),
        load_average=round(os.getloadavg()[0], 1),
        options=scenario.used(options),
        code=code_of(scenario.packages),
        where=where(),
    )


def now() -> str:
    """Return the time, for people and scripts."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@cache
def code_of(packages: tuple[str, ...]) -> str:
    """Return a hash that changes with any source file of *packages*."""
    digest = hashlib.sha256()
    for package in packages:
        for path in sorted((ROOT / package).rglob("*")):
            if path.suffix in SOURCES:
                digest.update(path.relative_to(ROOT).as_posix().encode() + b"\0")
                digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@cache
def where() -> Where:
    """Describe this checkout and this machine."""
    gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    python = ".".join(map(str, sys.version_info[:3]))
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, {gib:.0f} GiB"
    return Where(_commit(), f"{machine}, Python {python}")


def _commit() -> str:
    name = _git("rev-parse", "--short", "HEAD")
    return name + ("+" if name and _git("status", "--porcelain", "-uno") else "")


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(ROOT), *arguments],  # noqa: S607  (the user's own)
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:  # no git here
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


# --- the file ---


def append(path: Path, line: Line) -> None:
    """Write *line* to the end of the file; the folder is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(msgspec.json.encode(line) + b"\n")


def read(path: Path) -> list[Line]:
    """Return the lines of a report; those that were cut off, or are of an older form, not."""
    if not path.exists():
        return []
    found: list[Line] = []
    for line in path.read_bytes().splitlines():
        try:
            found.append(_lines.decode(line))
        except DECODE_ERRORS:
            continue
    return found


def held_before(lines: Iterable[Line], scenario: Scenario, options: Options) -> list[Result]:
    """Return the rows of the last time that *scenario* held on this code; none if it did not."""
    this = (scenario.name, scenario.used(options), code_of(scenario.packages))
    rows: list[Result] = []
    held: list[Result] = []
    for line in lines:
        if (line.scenario, line.options, line.code) != this:
            continue
        if isinstance(line, Result):
            rows.append(line)
        else:
            held, rows = (rows if line.held else []), []
    return held


def took_before(lines: Iterable[Line], scenario: Scenario, options: Options) -> float | None:
    """Return how long *scenario* took the last time with these options, on whatever code."""
    took = None
    for line in lines:
        if isinstance(line, Ended) and line.scenario == scenario.name:
            took = line.seconds if line.options == scenario.used(options) else took
    return took


# --- for people ---


def text_of(result: Result) -> str:
    """Return two lines: the verdict with what was done, and the figure beside its limit."""
    row = result.row
    return (
        f"{'ok  ' if row.passed else 'FAIL'} {row.name}\n       {row.figure}   (limit: {row.limit})"
    )


def markdown(results: Iterable[Result]) -> str:
    """Return a table for a page of the documentation."""
    rows = [
        "| what | limit | figure | holds | load | seconds |",
        "|---|---|---|---|---|---|",
    ]
    for each in results:
        row = each.row
        cells = (row.name, row.limit, row.figure, "yes" if row.passed else "**no**")
        words = " | ".join(cell.replace("|", "\\|") for cell in cells)
        rows.append(f"| {words} | {each.load_average} | {each.seconds:.0f} |")
    return "\n".join(rows)


def duration(seconds: float) -> str:
    """Return how long, in few words.

    >>> duration(42), duration(600), duration(8000)
    ('42 s', '10 min', '2 h 13 min')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
