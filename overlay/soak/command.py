"""The command line of a soak; `overlay.soak` and the layers above share it."""

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
import trio

from overlay.soak.report import (
    Line,
    Result,
    append,
    duration,
    held_before,
    markdown,
    read,
    text_of,
    took_before,
)
from overlay.soak.runner import Runner, end_with_parent, expected_total_s
from overlay.soak.scenario import QUICK, Options, Scenario

EXIT_HELD: Final = 0
EXIT_FAILED: Final = 1
EXIT_CRASHED: Final = 3
EXIT_INTERRUPTED: Final = 130

ABOUT: Final = """\
Attack real nodes for a long time, and print what held.

Each line of the table is printed when it is known: what was done, what came out, and the limit
that it is held against. What is measured in milliseconds runs alone; what only has to hold runs
beside the long soak. Nothing leaves this machine: all nodes are on 127.0.0.1.
"""
TEACHES: Final = """\
examples:
  %(prog)s --list                      what there is, and how long each takes
  %(prog)s --quick                     everything in about ten minutes: is this machine fit?
  %(prog)s --only fuzz handlers        two of them
  %(prog)s --report soak.jsonl         keep the rows: one JSON object a line
  %(prog)s --report soak.jsonl --resume   go on after Ctrl-C: what held on this code is skipped
  %(prog)s --quick --markdown          a table for a page

exit codes: 0 all held, 1 something did not, 2 wrong arguments, 3 a part broke off, 130 Ctrl-C
"""


def main(
    scenarios: Sequence[Scenario], *, module: str, arguments: Sequence[str] | None = None
) -> int:
    """Run what is asked for, print the table, return the exit code.

    Args:
        scenarios: what there is.
        module: what `python -m` runs to get here.
        arguments: of the command line; those of this process when None.
    """
    parsed = _parser(scenarios, module).parse_args(arguments)
    options = _options(parsed)
    by_name = {each.name: each for each in scenarios}
    if parsed.run:
        return _run_as_child(by_name[parsed.run], options)
    chosen = [each for each in scenarios if each.name in (parsed.only or by_name)]
    if parsed.list:
        print(_listed(chosen, options))  # noqa: T201
        return EXIT_HELD
    return _soak(chosen, options, parsed, module)


def _parser(scenarios: Sequence[Scenario], module: str) -> argparse.ArgumentParser:
    names = [each.name for each in scenarios]
    parser = argparse.ArgumentParser(
        prog=f"python -m {module}",
        description=ABOUT,
        epilog=TEACHES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_argument_group("what to run")
    what.add_argument("--list", action="store_true", help="say what there is, and run nothing")
    what.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=", ".join(names))
    what.add_argument("--quick", action="store_true", help="less of everything: ten minutes")
    result = parser.add_argument_group("what to do with the result")
    result.add_argument("--report", type=Path, metavar="FILE", help="append every row to FILE")
    result.add_argument(
        "--resume", action="store_true", help="skip what --report says has held on this code"
    )
    form = result.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON list at the end")
    form.add_argument("--markdown", action="store_true", help="print a Markdown table at the end")
    much = parser.add_argument_group("how much", "what is not given is as --list shows it")
    for name, about in _MUCH.items():
        type_ = type(getattr(QUICK, name))
        much.add_argument(f"--{name.replace('_', '-')}", type=type_, metavar="N", help=about)
    much.add_argument("--record", metavar="FILE", help="append the samples of the hour to FILE")
    parser.add_argument("--run", choices=names, help=argparse.SUPPRESS)
    return parser


_MUCH: Final = {
    "inputs": "damaged inputs to decoders (1000000)",
    "live_inputs": "damaged messages to running nodes (1000000)",
    "seed": "of the damage (1)",
    "nodes": "nodes of the DHT scenarios (200)",
    "lookups": "look-ups of each of them (400)",
    "seconds": "length of the long soak (3600)",
    "attack_s": "length of each attack that is timed (60)",
}


def _options(parsed: argparse.Namespace) -> Options:
    given = {name: getattr(parsed, name) for name in (*_MUCH, "record")}
    changes = {name: value for name, value in given.items() if value is not None}
    return msgspec.structs.replace(QUICK if parsed.quick else Options(), **changes)


def _listed(scenarios: Sequence[Scenario], options: Options) -> str:
    lines = [
        f"{each.name:<10}{duration(each.expected_s(options)):>8}  {each.beside.value:<14} "
        f"{each.about} ({', '.join(f'{k} {v}' for k, v in each.used(options).items())})"
        for each in scenarios
    ]
    expected_s = {each.name: each.expected_s(options) for each in scenarios}
    total = duration(expected_total_s(list(scenarios), expected_s))
    return "\n".join([*lines, f"about {total} in all on a machine with two free cores"])


def _run_as_child(scenario: Scenario, options: Options) -> int:
    """Print the rows of one scenario as JSON lines, for `overlay.soak.runner`."""
    logging.disable(logging.CRITICAL)
    end_with_parent()
    for row in scenario.run(options):
        print(msgspec.json.encode(row).decode(), flush=True)  # noqa: T201
    return EXIT_HELD


# --- a soak ---


def _soak(
    scenarios: list[Scenario], options: Options, parsed: argparse.Namespace, module: str
) -> int:
    before = read(parsed.report) if parsed.report else []
    held = {
        each.name: held_before(before, each, options) if parsed.resume else [] for each in scenarios
    }
    left = [each for each in scenarios if not held[each.name]]
    expected_s = {
        each.name: took_before(before, each, options) or each.expected_s(options) for each in left
    }
    for_people = sys.stderr if parsed.json or parsed.markdown else sys.stdout
    results: list[Result] = []

    def show(result: Result) -> None:
        results.append(result)
        print(text_of(result), file=for_people, flush=True)

    def write_down(line: Line) -> None:
        if parsed.report:
            append(parsed.report, line)

    for name, rows in held.items():
        if rows:
            _say(f"{name}: held on {rows[0].date}, on this code: not run again")
        for each in rows:
            show(each)
    runner = Runner(module, left, options, expected_s, write_down, show, _say)
    if left:
        _say(f"about {duration(expected_total_s(left, expected_s))}; Ctrl-C ends it cleanly")
        trio.run(runner.run)
    _print_end(results, parsed)
    return _exit_code(runner, results, parsed)


def _say(text: str) -> None:
    print(f"... {text}", file=sys.stderr, flush=True)  # noqa: T201


def _print_end(results: list[Result], parsed: argparse.Namespace) -> None:
    if parsed.json:
        print(json.dumps(msgspec.to_builtins(results), indent=2))  # noqa: T201
    if parsed.markdown:
        print(markdown(results))  # noqa: T201


def _exit_code(runner: Runner, results: list[Result], parsed: argparse.Namespace) -> int:
    failed = [each.row.name for each in results if not each.row.passed]
    if runner.interrupted:
        again = f"--report {parsed.report} --resume" if parsed.report else "--report FILE"
        _say(f"interrupted: {len(results)} rows; with {again} it can go on where it was")
        return EXIT_INTERRUPTED
    verdict = f"{len(failed)} do not" if failed else "all hold"
    _say(f"{len(results)} rows, {verdict}")
    if runner.crashed:
        return EXIT_CRASHED
    return EXIT_FAILED if failed else EXIT_HELD
