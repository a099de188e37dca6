"""Finds the settings, and puts what the command line says on top of them."""

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from cocoon.config import (
    CONFIG_FILE,
    NodeConfig,
    changed_config,
    default_home,
    load_config,
    parse_config,
)
from cocoon.errors import ConfigError
from overlay.private_file import create_private_file, replace_private_file

S = TypeVar("S", bound=msgspec.Struct)


def environment() -> dict[str, str]:
    """Return the process's environment."""
    return dict(os.environ)


def load(parsed: argparse.Namespace) -> NodeConfig:
    """Return the settings that --config and --home point to, and what other options change.

    Raises:
        ConfigError: the file is wrong; the message names the line.
    """
    environ = environment()
    if parsed.home is not None:
        environ["COCOON_HOME"] = str(parsed.home.expanduser().absolute())
    path = parsed.config
    if path is None and parsed.home is not None and (parsed.home / CONFIG_FILE).exists():
        path = parsed.home / CONFIG_FILE
    return _with_options(load_config(path, environ=environ), parsed)


def _chain_url(given: str | None) -> str | None:
    """Let a file that is named on the command line count from here, not from the home."""
    is_file = given is not None and given.endswith(".json") and "://" not in given
    return str(Path(given).absolute()) if given is not None and is_file else given


def chosen(parsed: argparse.Namespace) -> dict[str, object]:
    """Return the settings that command-line options stand for, by their names in the file."""
    options: dict[str, object] = {
        "network.name": getattr(parsed, "network", None),
        "network.bootstrap": getattr(parsed, "bootstrap", None),
        "network.listen_addresses": getattr(parsed, "listen", None),
        "chain.url": _chain_url(getattr(parsed, "chain_url", None)),
    }
    if getattr(parsed, "kernels", None) is not None:
        options["provider.kernels.enabled"] = True
        options["provider.kernels.device"] = parsed.kernels
    if getattr(parsed, "selling", False):
        options["provider.models"] = parsed.model
    return {name: value for name, value in options.items() if value is not None}


def _with_options(config: NodeConfig, parsed: argparse.Namespace) -> NodeConfig:
    """Check the options as the file is checked, and replace what they name."""
    options = chosen(parsed)
    lines = [f"{name} = {json.dumps(value)}" for name, value in options.items()]
    said = parse_config("\n".join(lines), source="the command line")
    for name in options:
        config = _with_option(config, said, name)
    return config


def _with_option(section: S, said: S, name: str) -> S:
    """Return *section* with the option called *name* as it is in *said*."""
    key, _, below = name.partition(".")
    value = getattr(said, key)
    if below:
        value = _with_option(getattr(section, key), value, below)
    return msgspec.structs.replace(section, **{key: value})


def read_options(settings: Sequence[str]) -> dict[str, object]:
    """Read what ``--set`` was given, OPTION=VALUE each.

    Raises:
        ConfigError: one of them is not like that.
    """
    options = {}
    for setting in settings:
        option, equals, value = setting.partition("=")
        if not equals:
            raise ConfigError(f"--set wants OPTION=VALUE, not {setting!r}")
        options[option.strip()] = _toml_value(value.strip())
    return options


def _toml_value(text: str) -> object:
    """Read a value as TOML; what is not TOML is a text."""
    try:
        return msgspec.toml.decode(f"value = {text}")["value"]
    except msgspec.DecodeError:
        return text


def settings_file(parsed: argparse.Namespace) -> Path:
    """Return which file `load` reads, or would read."""
    home: Path = parsed.home or default_home(environment())
    return (parsed.config or home.expanduser() / CONFIG_FILE).absolute()


def change_settings(parsed: argparse.Namespace, options: dict[str, object]) -> Path:
    """Change options in the settings file; return where it is.

    Raises:
        ConfigError: there is none, or it would be wrong; then it stays as it is.
    """
    path = settings_file(parsed)
    try:
        text = path.read_text(encoding="utf-8")
        replace_private_file(path, changed_config(text, options, source=str(path)).encode())
    except FileNotFoundError as error:
        raise ConfigError(f"there is no {path}; `cocoon init` writes one") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error
    return path


def write_private(path: Path, text: str) -> None:
    """Write a new file that only its owner can read; one that exists stays as it is.

    Raises:
        ConfigError: it cannot be written; then there is none, and not half of one.
    """
    try:
        create_private_file(path, text.encode())
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from error
