"""``python -m cocoon.bench``: run the benchmarks; progress on stderr, the report on stdout."""

import argparse
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
import trio

from cocoon.bench import figures
from cocoon.bench.figures import Idle, Machine, Report
from cocoon.bench.idle import children_of, look_at
from cocoon.bench.join import SWARM_NODES, measure_join, open_crowd
from cocoon.bench.journal import measure_journal
from cocoon.bench.market import Market, open_market
from cocoon.bench.overhead import measure_overhead
from cocoon.bench.stage import measure_negotiate, open_measured_stage
from cocoon.bench.words import show
from cocoon.cli.main import report as report_error
from cocoon.cli.output import Output
from cocoon.cli.running import run_interruptible
from cocoon.config import default_assets
from cocoon.demo.stage import check_assets
from cocoon.errors import exit_code
from cocoon.nursery import leaves

NAMES: Final = ("overhead", "join", "idle", "setup", "negotiate", "journal")
BUG: Final = 70
FAILED: Final = 7
"""Exit codes of `cocoon.errors`: a bug, and a job that could not be finished."""
PARTS: Final = ("market", "swarm", "stage", "journal")
"""A directory for the files of each."""


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), "")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m cocoon.bench", description=__doc__)
    which = f"which: {', '.join(NAMES)} (all)"
    parser.add_argument("names", nargs="*", metavar="NAME", help=which)
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument("--assets", type=Path, help="where models and the emulator are")
    parser.add_argument("--pairs", type=int, default=12, help="of jobs in `overhead` (12)")
    parser.add_argument("--tokens", type=int, default=64, help="of each answer (64)")
    parser.add_argument("--newcomers", type=int, default=5, help="in `join` (5)")
    parser.add_argument("--negotiations", type=int, default=12, help="in `negotiate` (12)")
    return parser


def _parse() -> argparse.Namespace:
    parser = _parser()
    parsed = parser.parse_args()
    unknown = sorted(set(parsed.names) - set(NAMES))
    if unknown:
        parser.error(f"nothing is called {unknown[0]!r}; there are: {', '.join(NAMES)}")
    if parsed.pairs < 2 or parsed.tokens < 2 or parsed.newcomers < 1 or parsed.negotiations < 1:
        parser.error("too few to measure: at least 2 pairs of 2 tokens, 1 newcomer, 1 negotiation")
    return parsed


class Bench:
    """One run of the benchmarks that were asked for."""

    def __init__(self, parsed: argparse.Namespace, directory: Path, output: Output) -> None:
        self._parsed = parsed
        self._wanted = frozenset(parsed.names or NAMES)
        self._assets: Path = parsed.assets or default_assets(os.environ)
        self._directory = directory
        self._say = output.note
        self._report = Report(machine=_machine(), took_s=0.0)

    async def run(self) -> Report:
        """Measure, and return the report; a benchmark that fails does not end the others."""
        check_assets(self._assets)
        began_s = trio.current_time()
        with self._part("journal"):
            if "journal" in self._wanted:
                self._say("journal: signing vouchers as fast as the disk allows")
                self._report.journal = await measure_journal(self._directory / "journal")
        with self._part("market"):
            if self._wanted & {"overhead", "join", "idle"}:
                directory = self._directory / "market"
                async with open_market(directory, self._assets, self._say) as market:
                    await self._with_market(market)
        with self._part("stage"):
            if self._wanted & {"setup", "negotiate"}:
                await self._with_stage()
        return self._finished(trio.current_time() - began_s)

    @contextmanager
    def _part(self, name: str) -> Iterator[None]:
        """Note a failure of the market under *name*; bugs come out as they are."""
        try:
            yield
        except Exception as error:
            found = leaves(error)
            if any(exit_code(leaf) == BUG for leaf in found):
                raise
            words = "; ".join(str(leaf) or type(leaf).__name__ for leaf in found)
            self._report.failures[name] = words
            self._say(f"{name} FAILED: {words}")

    async def _with_market(self, market: Market) -> None:
        """Measure on one market: memory before it has worked, then time, then the swarm."""
        if "idle" in self._wanted:
            self._say("idle: watching a node and a provider that have nothing to do")
            workers = {f"worker {pid}": pid for pid in children_of(market.seller.process_id)}
            nodes = {"node": market.first_node.process_id, "provider": market.seller.process_id}
            self._report.idle = Idle(await look_at(nodes), await look_at(workers))
        with self._part("overhead"):
            if "overhead" in self._wanted:
                self._report.overhead = await measure_overhead(
                    market, self._say, pairs=self._parsed.pairs, tokens=self._parsed.tokens
                )
        with self._part("join"):
            if self._wanted & {"join", "idle"}:
                await self._with_swarm(market)

    async def _with_swarm(self, market: Market) -> None:
        directory = self._directory / "swarm"
        async with open_crowd(market, directory, self._say):
            if self._report.idle is not None:
                name = f"node, first of {SWARM_NODES}"
                found = await look_at({name: market.first_node.process_id})
                self._report.idle.nodes.extend(found)
            if "join" in self._wanted:
                self._report.join = await measure_join(
                    market, directory, self._say, newcomers=self._parsed.newcomers
                )

    async def _with_stage(self) -> None:
        directory = self._directory / "stage"
        async with open_measured_stage(directory, self._assets, self._say) as (stage, setup):
            self._report.setup = setup
            with self._part("negotiate"):
                if "negotiate" in self._wanted:
                    self._report.negotiate = await measure_negotiate(
                        stage, self._say, jobs=self._parsed.negotiations
                    )

    def _finished(self, took_s: float) -> Report:
        report = self._report
        report.took_s = round(took_s, 1)
        report.machine = msgspec.structs.replace(report.machine, load_after=_load())
        report.targets = figures.targets(report)
        return report


def _load() -> float:
    return round(os.getloadavg()[0], 2)


def _machine() -> Machine:
    return Machine(
        cpu=_cpu(),
        cores=os.cpu_count() or 1,
        python=platform.python_version(),
        system=platform.platform(),
        load_before=_load(),
        load_after=0.0,
    )


def main() -> int:
    """Parse the command line, measure, print; return the exit code."""
    parsed = _parse()
    output = Output(as_json=parsed.json)
    directory = Path(tempfile.mkdtemp(prefix="cocoon-bench-"))
    for part in PARTS:
        (directory / part).mkdir()
    try:
        report = run_interruptible(Bench(parsed, directory, output).run)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  (the one place that reports)
        return report_error(error, output, verbose=0)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    show(report, output)
    output.result(report)
    return FAILED if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
