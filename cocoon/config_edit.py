"""Changes options in the text of a settings file; all else stays as people wrote it. Pure."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from cocoon.config_text import toml_value

_HEADER: Final = re.compile(r"^\s*\[\s*([A-Za-z0-9_.-]+)\s*\]\s*(#.*)?$")


def with_options(text: str, options: Mapping[str, object]) -> str:
    """Return *text* with each option set: in place of its line, or of the one that explains it.

    What comes out may still be wrong (an option that is none, a value over several lines before):
    whoever writes it checks it first with `cocoon.config.parse_config`.

    Args:
        text: a settings file.
        options: values by name, "network.relay".
    """
    lines = text.removesuffix("\n").split("\n")
    for name, value in options.items():
        table, _, key = name.rpartition(".")
        _set(lines, table, key, f"{key} = {toml_value(value)}")
    return "\n".join(lines) + "\n"


def _set(lines: list[str], table: str, key: str, line: str) -> None:
    place = _lines_of(lines, table)
    if place is None:
        lines += ["", f"[{table}]", line]
        return
    for commented in ("", r"#\s*"):
        pattern = re.compile(rf"\s*{commented}{re.escape(key)}\s*=")
        for number in place:
            if pattern.match(lines[number]):
                lines[number] = line
                return
    lines.insert(place.start, line)


def _lines_of(lines: Sequence[str], table: str) -> range | None:
    """Return the numbers of the lines below the header of *table*; None: there is no such table."""
    headers = [(n, found[1]) for n, each in enumerate(lines) if (found := _HEADER.match(each))]
    for at, (number, name) in enumerate(headers):
        if name == table:
            end = headers[at + 1][0] if at + 1 < len(headers) else len(lines)
            return range(number + 1, end)
    return None
