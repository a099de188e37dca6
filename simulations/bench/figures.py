"""One row of the benchmark, and the page that shows all rows."""

import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cocoon.clock import wall_clock
from simulations.bench.peers import QUOTED
from simulations.records import host, versions


@dataclass(frozen=True, slots=True)
class Figure:
    """One row.

    Attributes:
        target: what was set out to reach, in the same unit; None for a peer.
        is_less_better: for times and memory.
    """

    name: str
    value: float
    unit: str
    target: float | None = None
    is_less_better: bool = False
    peer: str = ""
    ratio: float | None = None

    @property
    def verdict(self) -> str:
        """Whether the target is met."""
        if self.target is None:
            return ""
        met = self.value <= self.target if self.is_less_better else self.value >= self.target
        return "met" if met else "MISSED"


_HEAD: Final = """\
# How fast the simulations are

Written by `python -m simulations.bench --large --write docs/simulation-speed.md`; do not edit.
Every figure is per CPU-second of one core. Peers without a label ran beside ours just then;
*quoted* ones were measured once, on such a machine, from code that we may not ship.
"""


def page(figures: list[Figure]) -> str:
    """Return the figures as a page, with the day, the machine and the versions."""
    day = datetime.fromtimestamp(wall_clock(), UTC).date().isoformat()
    rows = [_row(figure) for figure in figures]
    quoted = [
        f"| {name} | {what} | {value:,.4g} |"
        for name, values in QUOTED.items()
        for what, value in values.items()
    ]
    return "\n".join(
        [
            _HEAD,
            f"{day}; {_processor()}; {host()}; "
            + ", ".join(f"{name} {version}" for name, version in sorted(versions().items())),
            "",
            "| what | figure | unit | target | beside |",
            "|---|---|---|---|---|",
            *rows,
            "",
            "## Quoted, not run here",
            "",
            "| program | what | figure |",
            "|---|---|---|",
            *quoted,
            "",
        ]
    )


def _row(one: Figure) -> str:
    name = f"… {one.name.strip()}" if one.name.startswith(" ") else one.name
    target = f"{one.target:,.4g}: {one.verdict}" if one.target else ""
    beside = f"{one.ratio:,.3g} x {one.peer}" if one.ratio else ""
    return f"| {name} | {one.value:,.4g} | {one.unit} | {target} | {beside} |"


def _processor() -> str:
    """Return the name of the processor as the kernel says it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
