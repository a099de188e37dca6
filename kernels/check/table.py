"""The golden table: one row for each kernel and generation, kept in ``golden.json``.

Two kinds of rules. Some always hold: no spill, no thread-local memory, occupancy of at least a
quarter, and the instructions that a kernel's speed rests on. The others compare with the table
that is checked in, and only under the compiler that made it: another one may count differently.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import msgspec

from kernels.check.machine_code import Instructions, Resources
from kernels.check.occupancy import occupancy_percent
from kernels.spec import KernelSpec

GOLDEN: Final = Path(__file__).with_name("golden.json")
OCCUPANCY_PERCENT_MIN: Final = 25
DP4A: Final = ("matmul_q8_t1", "matmul_q8_t8", "matmul_q4_t1", "matmul_q4_t8")
"""Kernels whose speed rests on four int8 products in one instruction."""
LOADS_128: Final = (*DP4A, "matmul_f32_t1", "matmul_f32_t8")
"""Kernels bound by memory that must load 16 bytes at a time."""
MORE_REGISTERS_PERCENT: Final = 10
MORE_INSTRUCTIONS_PERCENT: Final = 10


class Row(msgspec.Struct, frozen=True):
    """One kernel on one generation of cards."""

    kernel: str
    capability: int
    threads: int
    resources: Resources
    instructions: Instructions
    occupancy_percent: int


class Table(msgspec.Struct, frozen=True):
    """All rows, and the compiler that made the code."""

    compiler: str
    rows: tuple[Row, ...]

    def by_key(self) -> dict[tuple[str, int], Row]:
        """Return the rows by kernel and capability."""
        return {(row.kernel, row.capability): row for row in self.rows}


def make_row(spec: KernelSpec, capability: int, known: tuple[Resources, Instructions]) -> Row:
    """Put together what is known of one kernel."""
    taken, counted = known
    threads = spec.block[0] * spec.block[1] * spec.block[2]
    percent = occupancy_percent(
        capability,
        threads=threads,
        registers=taken.registers,
        shared_bytes=taken.shared_bytes,
    )
    return Row(spec.name, capability, threads, taken, counted, percent)


def broken_rules(row: Row) -> Iterator[str]:
    """Yield what is wrong with a row under any compiler."""
    if row.resources.spill_bytes:
        yield f"spills {row.resources.spill_bytes} bytes"
    if row.resources.stack_bytes or row.instructions.local:
        yield f"uses thread-local memory ({row.resources.stack_bytes} bytes of stack)"
    if row.occupancy_percent < OCCUPANCY_PERCENT_MIN:
        yield f"occupancy {row.occupancy_percent} %, at least {OCCUPANCY_PERCENT_MIN} %"
    if row.kernel in DP4A and not row.instructions.dp4a and not row.instructions.mma:
        yield "no dp4a and no tensor-core instruction"
    if row.kernel in LOADS_128 and not row.instructions.loads_128:
        yield "no 128-bit load"


def regressions(row: Row, before: Row | None) -> Iterator[str]:
    """Yield what is worse than in the table that is checked in."""
    if before is None:
        yield "is not in the table"
        return
    if row.occupancy_percent < before.occupancy_percent:
        yield f"occupancy fell from {before.occupancy_percent} % to {row.occupancy_percent} %"
    for name, now, then, more_percent in (
        ("registers", row.resources.registers, before.resources.registers, MORE_REGISTERS_PERCENT),
        (
            "instructions",
            row.instructions.total,
            before.instructions.total,
            MORE_INSTRUCTIONS_PERCENT,
        ),
        ("shared bytes", row.resources.shared_bytes, before.resources.shared_bytes, 0),
    ):
        if 100 * now > (100 + more_percent) * then:
            yield f"{name} grew from {then} to {now}"
    for name in ("loads_128", "dp4a", "mma"):
        if getattr(row.instructions, name) < getattr(before.instructions, name):
            yield f"fewer {name} than the {getattr(before.instructions, name)} before"


def problems(table: Table, golden: Table | None) -> list[str]:
    """Return everything that is wrong with *table*, in words."""
    found = [f"{_name(row)}: {text}" for row in table.rows for text in broken_rules(row)]
    if golden is not None and golden.compiler == table.compiler:
        found += _compared(table.rows, golden.by_key())
    return found


def _compared(rows: tuple[Row, ...], before: Mapping[tuple[str, int], Row]) -> list[str]:
    worse = [
        f"{_name(row)}: {text}"
        for row in rows
        for text in regressions(row, before.get((row.kernel, row.capability)))
    ]
    gone = before.keys() - {(row.kernel, row.capability) for row in rows}
    return worse + [f"{name} sm_{capability}: is gone" for name, capability in sorted(gone)]


def _name(row: Row) -> str:
    return f"{row.kernel} sm_{row.capability}"


def read_golden(path: Path = GOLDEN) -> Table | None:
    """Return the table that is checked in, or None when there is none."""
    if not path.exists():
        return None
    return msgspec.json.decode(path.read_bytes(), type=Table)


def write_golden(table: Table, path: Path = GOLDEN) -> None:
    """Replace the table that is checked in."""
    lines = ",\n".join("  " + msgspec.json.encode(row).decode() for row in table.rows)
    compiler = msgspec.json.encode(table.compiler).decode()
    path.write_text(f'{{"compiler": {compiler}, "rows": [\n{lines}\n]}}\n', encoding="utf-8")
