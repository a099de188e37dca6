"""Runs the chosen action; says which extra is missing when a package is."""

import argparse
from importlib import import_module

from cocoon.cli.output import Output
from simulations.engines import missing


def sim_command(parsed: argparse.Namespace, output: Output) -> int:
    """Run one action of ``cocoon sim``; return the exit code.

    Raises:
        MissingAsset: a package of the extra `sim` is not installed.
    """
    module, _, function = parsed.act.partition(":")
    try:
        code: int = getattr(import_module(module), function)(parsed, output)
    except ModuleNotFoundError as error:
        raise missing(error, f"cocoon sim {function}") from error
    return code
