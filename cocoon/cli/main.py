"""Parses the command line, runs one command, and turns errors into words and exit codes."""

import errno
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cocoon.cli.logs import set_up_logging
from cocoon.cli.output import Output
from cocoon.cli.parser import make_parser, run_command
from cocoon.errors import MACHINE_ERRNOS, ConfigError, exit_code
from cocoon.nursery import leaves
from contracts.errors import ChainUnavailable

WORDS_MAX: Final = 2000
HINTS: Final = {
    errno.ENOSPC: "free some space and try again; what was signed is on the disk",
    errno.EDQUOT: "free some space and try again; what was signed is on the disk",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
}
"""What mends trouble of the operating system; the others are about who may write where."""
BUG: Final = 70
INTERRUPTED: Final = 130


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


def _os_words(error: BaseException) -> str:
    """Say what is wrong with the machine, without Python's brackets; "" of other errors."""
    if not isinstance(error, OSError) or error.errno not in MACHINE_ERRNOS:
        return ""
    place = f"{error.filename}: " if error.filename else ""
    hint = HINTS.get(error.errno, "may this user write there?")
    return f"{place}{os.strerror(error.errno)}; {hint}"


def report(error: BaseException, output: Output, *, verbose: int) -> int:
    """Tell what went wrong, in words and as JSON, and return the exit code."""
    worst = max(leaves(error), key=lambda leaf: exit_code(leaf) in {BUG, INTERRUPTED})
    code = exit_code(worst)
    words = (_os_words(worst) or str(worst))[:WORDS_MAX] or type(worst).__name__
    if code == INTERRUPTED:
        words = ": ".join(["interrupted", *map(str, worst.args)])
    elif code == BUG or verbose:
        traceback.print_exception(error)
    output.progress.print(f"cocoon: {words}", style="bold red", markup=False, soft_wrap=True)
    if isinstance(worst, ChainUnavailable):
        output.note("the chain is set by chain.url or --chain-url; `cocoon devnet` runs one here")
    for note in getattr(worst, "__notes__", ()):
        output.note(note)
    output.result({"error": {"kind": type(worst).__name__, "message": words, "exit_code": code}})
    return code


def run(arguments: Sequence[str]) -> int:
    """Run one command line; return the exit code."""
    parser = make_parser()
    if not arguments:
        parser.print_help(sys.stderr)
        return exit_code(ConfigError())
    parsed = parser.parse_args(arguments)
    set_up_logging(verbose=parsed.verbose, as_json=parsed.log_json)
    output = Output(as_json=parsed.json)
    try:
        check_packages()
        code = run_command(parsed, output)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader left: `| head`
        return 0
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  (the one place that reports)
        return report(error, output, verbose=parsed.verbose)
    return code
