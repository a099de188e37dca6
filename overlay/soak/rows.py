"""One row of the table: what was counted, and the limit that it is held against."""

import resource
from collections.abc import Mapping
from pathlib import Path

import msgspec


class Row(msgspec.Struct, frozen=True):
    """A figure and its verdict.

    Attributes:
        name: what was done.
        figure: what came out, in words.
        limit: in words, what is asked.
        passed: whether it holds.
        values: the figures as numbers; each name ends with its unit, or is of what is counted.
    """

    name: str
    figure: str
    limit: str
    passed: bool
    values: Mapping[str, float] = {}


def resident_mib() -> float:
    """Return the resident memory of this process, in MiB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / (1 << 20)
