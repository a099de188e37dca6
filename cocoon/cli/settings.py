"""What all commands share: adding a command, and finding the settings."""

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from cocoon.cli.output import Output
from cocoon.config import CONFIG_FILE, NodeConfig, load_config

if TYPE_CHECKING:
    Commands: TypeAlias = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001
else:
    Commands = object

Command: TypeAlias = Callable[[argparse.Namespace, Output], int]


def add_command(
    commands: "Commands", common: argparse.ArgumentParser, name: str, run: Command, summary: str
) -> argparse.ArgumentParser:
    """Add one command and return its parser for further options."""
    description = f"{summary[0].upper()}{summary[1:]}."
    parser = commands.add_parser(name, parents=[common], help=summary, description=description)
    parser.set_defaults(run=run)
    return parser


def load(parsed: argparse.Namespace) -> NodeConfig:
    """Return the settings that --config and --home point to.

    Raises:
        ConfigError: the file is wrong; the message names the line.
    """
    environ = dict(os.environ)
    if parsed.home is not None:
        environ["COCOON_HOME"] = str(parsed.home.expanduser().absolute())
    path = parsed.config
    if path is None and parsed.home is not None and (parsed.home / CONFIG_FILE).exists():
        path = parsed.home / CONFIG_FILE
    return load_config(path, environ=environ)


def write_private(path: Path, text: str) -> None:
    """Write a new file that only its owner can read.

    Raises:
        FileExistsError: it exists.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
