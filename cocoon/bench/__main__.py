"""``python -m cocoon.bench``: run the benchmarks; progress on stderr, the report on stdout."""

import argparse
import os
import platform
import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Final

import trio

from cocoon.bench import figures
from cocoon.bench.figures import Machine, Report
from cocoon.bench.market import open_market
from cocoon.bench.overhead import measure_overhead
from cocoon.cli.ask import run_interruptible
from cocoon.cli.main import report as report_error
from cocoon.cli.output import Output
from cocoon.config import default_assets
from cocoon.demo.stage import check_assets

NAMES: Final = ("overhead", "join", "idle", "setup", "negotiate", "journal")


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m cocoon.bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(NAMES)}")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument("--assets", type=Path, help="where models and the emulator are")
    parser.add_argument("--pairs", type=int, default=12, help="of jobs in `overhead` (12)")
    parser.add_argument("--tokens", type=int, default=64, help="of each answer (64)")
    return parser


async def run_all(parsed: argparse.Namespace, directory: Path, output: Output) -> Report:
    """Run what was asked for; everything when nothing was."""
    wanted = set(parsed.names or NAMES)
    assets = parsed.assets or default_assets(os.environ)
    check_assets(assets)
    load_before, began_s = os.getloadavg()[0], trio.current_time()
    machine = Machine(
        cpu=_cpu(),
        cores=os.cpu_count() or 1,
        python=platform.python_version(),
        system=platform.platform(),
        load_before=round(load_before, 2),
        load_after=0.0,
    )
    report = Report(machine=machine, took_s=0.0)
    if "overhead" in wanted:
        async with open_market(directory / "market", assets, output.note) as market:
            report.overhead = await measure_overhead(
                market, output.note, pairs=parsed.pairs, tokens=parsed.tokens
            )
    report.took_s = round(trio.current_time() - began_s, 1)
    report.targets = figures.targets(report)
    return report


def main() -> int:
    """Parse the command line, measure, print; return the exit code."""
    parsed = _parser().parse_args()
    output = Output(as_json=parsed.json)
    directory = Path(tempfile.mkdtemp(prefix="cocoon-bench-"))
    try:
        report = run_interruptible(partial(run_all, parsed, directory, output))
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  (the one place that reports)
        return report_error(error, output, verbose=0)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    output.result(report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
