"""``cocoon sim report``: writes a report again, from nothing but the code."""

import argparse
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Final

from cocoon.cli.output import Output
from cocoon.errors import ConfigError
from simulations.cli.runs import executor_of, progress_bar
from simulations.report.making import Making

REPORTS: Final = {
    "price": "simulations.report.price:make",
    "validation": "simulations.report.validation:make",
    "published": "simulations.report.validation:make",
}


def report(parsed: argparse.Namespace, output: Output) -> int:
    """Write the report *what* into a folder (default: docs).

    Raises:
        ConfigError: there is no such report.
        MissingAsset: a package of the extra `sim` is not installed.
    """
    target = REPORTS.get(parsed.what)
    if target is None:
        raise ConfigError(f"no report {parsed.what!r}; there are: {', '.join(REPORTS)}")
    module, _, function = target.partition(":")
    make: Callable[[Path, Making], list[Path]] = getattr(import_module(module), function)
    with progress_bar(output, f"report {parsed.what}") as progress:
        making = Making(
            quick=parsed.quick,
            progress=progress,
            work=parsed.work or Path("results") / f"report-{parsed.what}",
            open_executor=lambda: executor_of(parsed.workers, parsed.scheduler),
        )
        files = make(parsed.out or Path("docs"), making)
    for file in files:
        output.say(f"wrote {file}")
    output.result([str(file) for file in files])
    return 0
