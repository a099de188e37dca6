"""``python -m kernels.check``: compile all kernels for seven generations, print the table."""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence

import msgspec

from kernels.check.machine_code import compile_and_read, find_disassembler
from kernels.check.occupancy import MULTIPROCESSORS
from kernels.check.roofline import CARDS, decode_work, floor_us
from kernels.check.table import Row, Table, make_row, problems, read_golden, write_golden
from kernels.compile import Nvrtc, family_source, find_nvrtc
from kernels.errors import DeviceUnavailable, KernelError
from kernels.registry import FAMILIES, kernel, kernel_names

HEAD = "kernel               sm  regs shared occup  total ld128 dp4a  mma shfl  bar"


def check_all(capabilities: Sequence[int]) -> Table:
    """Compile every family for each of *capabilities*; progress on stderr.

    Raises:
        DeviceUnavailable: NVRTC or the disassembler is missing; the message names the wheel.
        CompileError: a family does not compile.
    """
    library, disassembler = find_nvrtc(), find_disassembler()
    if library is None or disassembler is None:
        raise DeviceUnavailable(
            "this needs two wheels: pip install nvidia-cuda-nvrtc nvidia-cuda-nvdisasm"
        )
    compiler = Nvrtc(library)
    rows = []
    for family in FAMILIES:
        _tell(f"{family} for {', '.join(f'sm_{each}' for each in capabilities)}")
        source = family_source(family)
        for capability in capabilities:
            known = compile_and_read(compiler, disassembler, source, capability)
            rows += [make_row(kernel(name), capability, known[name]) for name in sorted(known)]
    rows.sort(key=lambda row: (row.kernel, row.capability))
    return Table(f"NVRTC {compiler.version}", tuple(rows))


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201  (a command)


def _line(row: Row) -> str:
    taken, counted = row.resources, row.instructions
    return (
        f"{row.kernel:<19} {row.capability:>3} {taken.registers:>5} {taken.shared_bytes:>6} "
        f"{row.occupancy_percent:>4}% {counted.total:>6} {counted.loads_128:>5} {counted.dp4a:>4} "
        f"{counted.mma:>4} {counted.shuffles:>4} {counted.barriers:>4}"
    )


def roofline_lines() -> Iterator[str]:
    """Yield the least times for one token of a model of 7 thousand million weights."""
    yield "least time of one launch while a 7B model decodes, in microseconds (never measured)"
    yield f"{'kernel':<19} {'MB moved':>9} " + " ".join(f"{card.name:>10}" for card in CARDS)
    for name in kernel_names():
        one = decode_work(kernel(name))
        if one is not None:
            times = " ".join(f"{floor_us(card, one):>10.1f}" for card in CARDS)
            yield f"{name:<19} {one.bytes_moved / 1e6:>9.2f} {times}"


def _report(table: Table, found: list[str], *, as_json: bool) -> str:
    if as_json:
        return json.dumps(
            {"table": msgspec.to_builtins(table), "problems": found, "ok": not found}, indent=1
        )
    lines = [f"compiled by {table.compiler}; no card was used", HEAD, *map(_line, table.rows)]
    lines += ["", *roofline_lines(), ""]
    lines += [f"WRONG {each}" for each in found] or ["no spill, no thread-local memory"]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code: 0 as promised, 1 a rule is broken, 3 a tool lacks."""
    parser = argparse.ArgumentParser(prog="python -m kernels.check", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--write", action="store_true", help="replace the table that is checked in")
    parser.add_argument(
        "--capability",
        type=int,
        action="append",
        choices=sorted(MULTIPROCESSORS),
        help="only this generation; can be repeated (all seven)",
    )
    parsed = parser.parse_args(arguments)
    capabilities = parsed.capability or sorted(MULTIPROCESSORS)
    try:
        table = check_all(capabilities)
    except DeviceUnavailable as error:
        _tell(f"kernels.check: {error}")
        return 3
    except KernelError as error:
        _tell(f"kernels.check: {error}")
        return 1
    if parsed.write:
        write_golden(table)
    found = problems(table, _golden_of(capabilities))
    print(_report(table, found, as_json=parsed.json))  # noqa: T201  (a command)
    return 1 if found else 0


def _golden_of(capabilities: Sequence[int]) -> Table | None:
    golden = read_golden()
    if golden is None:
        return None
    kept = tuple(row for row in golden.rows if row.capability in capabilities)
    return Table(golden.compiler, kept)


if __name__ == "__main__":
    sys.exit(main())
