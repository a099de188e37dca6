"""Parses the command line, runs one command, and turns errors into words and exit codes."""

import argparse
import logging
import os
import sys
import textwrap
import traceback
from collections.abc import Sequence
from pathlib import Path

from cocoon import __version__
from cocoon.cli import ask, demo, money, nodes, prepare
from cocoon.cli.output import Output
from cocoon.errors import EXIT_MEANINGS, ConfigError, exit_code
from cocoon.nursery import leaves

EPILOG = """\
first steps
  cocoon demo                      see a whole market work on this machine: no coins, no GPU
  cocoon init                      write a settings file, and make a node key and a wallet
  cocoon provide                   sell compute
  cocoon ask "List three fruits."  buy an answer
  cocoon doctor                    say what is missing, and the command that mends it

exit codes
{codes}
"""


def _epilog() -> str:
    codes = [f"  {code:>3}  {meaning}" for code, meaning in EXIT_MEANINGS.items()]
    return EPILOG.format(codes="\n".join(codes))


def make_parser() -> argparse.ArgumentParser:
    """Return the parser with every command in it."""
    parser = argparse.ArgumentParser(
        prog="cocoon",
        description="A peer-to-peer market for AI compute, paid in GRAM on TON. "
        "Not Telegram's Cocoon, and not compatible with it.",
        epilog=_epilog(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"cocoon {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    common = argparse.ArgumentParser(add_help=False)
    group = common.add_argument_group("common options")
    group.add_argument("--home", type=Path, help="where keys, journals and receipts live")
    group.add_argument("--config", type=Path, help="settings file (default: HOME/cocoon.toml)")
    group.add_argument("--json", action="store_true", help="print JSON for scripts on stdout")
    group.add_argument("-v", "--verbose", action="count", default=0, help="more log; twice: all")
    for module in (demo, prepare, nodes, ask, money):
        module.add_commands(commands, common)
    return parser


def check_packages() -> None:
    """Refuse to run when another distribution answers to one of our package names.

    Raises:
        ConfigError: for example another package called ``kernels`` is installed.
    """
    import contracts  # noqa: PLC0415  (only their paths matter)
    import kernels  # noqa: PLC0415
    import overlay  # noqa: PLC0415

    home = Path(__file__).parent.parent.parent
    for package in (overlay, kernels, contracts):
        if Path(str(package.__file__)).parent.parent != home:
            raise ConfigError(
                f"another distribution provides the package {package.__name__!r}; "
                "install Cocoon in an environment of its own"
            )


def _set_up_logging(verbose: int) -> None:
    level = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    logging.basicConfig(
        stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(name)s %(message)s"
    )
    for name in ("cocoon", "overlay", "contracts", "kernels"):
        logging.getLogger(name).setLevel(level)


def report(error: BaseException, output: Output, *, verbose: int) -> int:
    """Tell what went wrong and return the exit code."""
    errors = leaves(error)
    worst = max(errors, key=lambda leaf: exit_code(leaf) in {70, 130})
    code = exit_code(worst)
    if code == 130:
        output.note("interrupted; everything that had been signed is in the journal")
        return code
    if code == 70 or verbose:
        traceback.print_exception(error)
    words = textwrap.shorten(str(worst), 2000) or type(worst).__name__
    output.progress.print(f"cocoon: {words}", style="bold red", markup=False)
    output.result({"error": {"kind": type(worst).__name__, "message": words, "exit_code": code}})
    return code


def run(arguments: Sequence[str]) -> int:
    """Run one command line; return the exit code."""
    parsed = make_parser().parse_args(arguments)
    _set_up_logging(parsed.verbose)
    output = Output(as_json=parsed.json)
    try:
        check_packages()
        code: int | None = parsed.run(parsed, output)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader left: `| head`
        return 0
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  (the one place that reports)
        return report(error, output, verbose=parsed.verbose)
    return code or 0
