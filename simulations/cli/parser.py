"""Every action of ``cocoon sim`` and its options. Light to import: actions load when they run."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from cocoon.cli.parser import Adder, whole

if TYPE_CHECKING:
    Actions: TypeAlias = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001

SEED_MAX: Final = 2**63 - 1
WORKERS_MAX: Final = 4096

EPILOG: Final = """\
first steps
  cocoon sim new swarm.toml                    write a scenario with every key explained
  cocoon sim check swarm.toml                  say what is wrong with it, and what it needs
  cocoon sim run swarm.toml --out results      run it; tables, plots and a manifest
  cocoon sim run swarm.toml --out results      the same again: nothing is run twice
  cocoon sim replay results/runs/KEY           do one run again, event by event

Exit code 1: a checker found a violation; the command that replays and shrinks it is printed.
"""


class ActionAdder:
    """Adds actions of ``cocoon sim`` that share the common options."""

    def __init__(self, actions: "Actions", common: argparse.ArgumentParser) -> None:
        self._actions = actions
        self._common = common

    def add(self, name: str, act: str, summary: str) -> argparse.ArgumentParser:
        """Add one action.

        Args:
            name: what people type after ``cocoon sim``.
            act: ``package.module:function``, called like a command's function.
            summary: one line.
        """
        description = f"{summary[0].upper()}{summary[1:]}."
        parser = self._actions.add_parser(
            name, parents=[self._common], help=summary, description=description
        )
        parser.set_defaults(act=act)
        return parser


def add_commands(adder: Adder) -> None:
    """Add ``sim``; named in pyproject.toml."""
    sim = adder.add(
        "sim",
        "simulations.cli.dispatch:sim_command",
        "simulate swarms: the node's own code, models",
    )
    sim.epilog, sim.formatter_class = EPILOG, argparse.RawDescriptionHelpFormatter
    actions = sim.add_subparsers(title="actions", metavar="ACTION", required=True)
    action_adder = ActionAdder(actions, _common())
    _add_scenarios(action_adder)
    _add_runs(action_adder)
    _add_results(action_adder)


def _common() -> argparse.ArgumentParser:
    """Return the common options once more: they may stand after the action, too."""
    common = argparse.ArgumentParser(add_help=False)
    group = common.add_argument_group("common options")
    group.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")
    group.add_argument(
        "-v", "--verbose", action="count", default=argparse.SUPPRESS, help="more log"
    )
    return common


def _add_scenarios(adder: ActionAdder) -> None:
    new = adder.add("new", "simulations.cli.scenarios:new", "write a scenario, all keys explained")
    new.add_argument("file", nargs="?", type=Path, help="where to; default: standard output")
    new.add_argument("--engine", help="the engine that shall run it (`cocoon sim list`)")
    new.add_argument("--name", help="a name for reports")
    new.add_argument("--force", action="store_true", help="replace a file that is there")
    listing = adder.add("list", "simulations.cli.scenarios:list_all", "list engines and keys")
    listing.add_argument("--keys", action="store_true", help="every key of a scenario")
    check = adder.add(
        "check", "simulations.cli.scenarios:check", "say what is wrong with a scenario"
    )
    check.add_argument("file", type=Path)
    _add_set(new, check)


def _add_set(*parsers: argparse.ArgumentParser) -> None:
    for parser in parsers:
        parser.add_argument(
            "--set",
            action="append",
            default=[],
            metavar="KEY=VALUE",
            help="change a key: --set population.providers=50",
        )


def _add_runs(adder: ActionAdder) -> None:
    run = adder.add("run", "simulations.cli.runs:run", "run a scenario: tables, plots, a manifest")
    run.add_argument("file", type=Path)
    run.add_argument("--out", type=Path, help="folder of results (default: results/NAME)")
    resume = adder.add("resume", "simulations.cli.runs:resume", "go on with what was stopped")
    resume.add_argument("out", type=Path, help="folder of results")
    sweep = adder.add("sweep", "simulations.sweep.command:sweep", "run a scenario for many values")
    sweep.add_argument("file", type=Path)
    sweep.add_argument(
        "--over",
        action="append",
        default=[],
        metavar="KEY=V1,V2,...",
        help="values of one key; repeat it for a grid",
    )
    sweep.add_argument("--out", type=Path, required=True, help="folder of results")
    for parser in (run, resume, sweep):
        _add_workers(parser)
    seeds = adder.add(
        "seeds", "simulations.cli.runs:seeds", "run many seeds for the checkers; keep no tables"
    )
    seeds.add_argument("file", type=Path)
    seeds.add_argument("--count", type=whole(1, 10**7), default=1000, help="how many (1000)")
    _add_jobs(seeds)
    for parser in (run, seeds):
        parser.add_argument("--seed", type=_seed(), help="instead of the scenario's")
        parser.add_argument("--no-plots", action="store_true", help="tables only")
    _add_set(run, sweep, seeds)
    replay = adder.add(
        "replay", "simulations.cli.replay:replay", "do one run again, see each event"
    )
    replay.add_argument("what", type=Path, help="folder of one run, its manifest, or a scenario")
    replay.add_argument("--seed", type=_seed(), help="with a scenario: which run of it")
    replay.add_argument(
        "--shrink", action="store_true", help="leave out faults while it still fails"
    )
    replay.add_argument("--faults", type=Path, help="only the faults in this file (as shrunk)")
    replay.add_argument("--log", type=Path, help="write the event log here")
    _add_set(replay)


def _seed() -> Callable[[str], int]:
    return whole(0, SEED_MAX)


def _add_jobs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--workers",
        type=whole(1, WORKERS_MAX),
        default=1,
        help="runs at once, each in a process (1)",
    )


def _add_workers(parser: argparse.ArgumentParser) -> None:
    _add_jobs(parser)
    parser.add_argument("--scheduler", help="address of a Dask scheduler to run on instead")


def _add_results(adder: ActionAdder) -> None:
    plot = adder.add("plot", "simulations.plots:plot_command", "draw results again: PNG and SVG")
    plot.add_argument("out", type=Path, help="folder of results")
    compare = adder.add(
        "compare", "simulations.report.compare:compare", "compare two folders of results"
    )
    compare.add_argument("one", type=Path)
    compare.add_argument("other", type=Path)
    report = adder.add(
        "report", "simulations.report.command:report", "write a report of ours again"
    )
    report.add_argument("what", help="price, or validation: published results beside ours")
    report.add_argument("--out", type=Path, help="where to (default: docs)")
    report.add_argument("--quick", action="store_true", help="reduced size, as the tests do")
    report.add_argument(
        "--work",
        type=Path,
        help="where runs are kept, so that a stopped report goes on (results/report-NAME)",
    )
    _add_workers(report)
