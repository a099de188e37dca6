"""One row of the table: what was counted, and the limit that it is held against."""

import resource
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Row:
    """A figure and its verdict.

    Attributes:
        name: what was done.
        figure: what came out.
        limit: in words, what is asked.
        passed: whether it holds.
    """

    name: str
    figure: str
    limit: str
    passed: bool


def resident_mib() -> float:
    """Return the resident memory of this process, in MiB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / (1 << 20)
