"""How commands talk: words and tables for people on a terminal, JSON for scripts.

Results go to stdout. Progress, logs and errors go to stderr, so that ``--json``
output can be piped.
"""

import json
import os
import sys
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from cocoon.cli.printable import printable_text

PIPE_COLUMNS: Final = 160
WORD_COLUMNS_MAX: Final = 24
"""Longer words are broken at the end of a line: hashes, paths."""


class _Console(Console):
    """A console that leaves a reader's departure to `cocoon.cli.main`."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


class Output:
    """Where a command writes. `as_json` decides between people and scripts."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.people = _Console(highlight=False, soft_wrap=True)
        if not self.people.is_terminal and "COLUMNS" not in os.environ:
            self.people.width = PIPE_COLUMNS
        self.progress = Console(stderr=True, highlight=False)

    def say(self, text: str) -> None:
        """Tell people something; scripts do not hear it."""
        if not self.as_json:
            self.people.print(printable_text(text), markup=False)

    def write(self, text: str) -> None:
        """Write streamed output, without a newline: as it is, but for what a terminal obeys."""
        if not self.as_json:
            sys.stdout.write(printable_text(text) if sys.stdout.isatty() else text)
            sys.stdout.flush()

    def note(self, text: str) -> None:
        """Report progress on stderr."""
        self.progress.print(printable_text(text), markup=False, soft_wrap=True)

    def result(self, value: object) -> None:
        """Print the command's result as one JSON object (with ``--json`` only)."""
        if self.as_json:
            print(to_json(value))  # noqa: T201  (stdout is this module's job)

    def event(self, name: str, **fields: object) -> None:
        """Print one line of a long-running command's event stream (with ``--json`` only)."""
        if self.as_json:
            line = json.dumps({"event": name, **jsonable(fields)})
            print(line, flush=True)  # noqa: T201  (stdout is this module's job)

    def table(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Show a table to people."""
        if not self.as_json:
            self.people.print(make_table(title, columns, rows))


def make_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """Lay out rows of text; what strangers wrote into them does nothing.

    On a narrow terminal cells are broken between words; amounts and names stay whole, and lines
    rather grow too long.
    """
    table = Table(title=title or None, title_justify="left", header_style="bold", box=None)
    cells = [[printable_text(cell) for cell in row] for row in rows]
    for number, column in enumerate(columns):
        words = " ".join([column, *(row[number] for row in cells)]).split()
        widest = max(map(len, words), default=0)
        table.add_column(column, overflow="fold", min_width=min(widest, WORD_COLUMNS_MAX))
    for row in cells:
        table.add_row(*map(Text, row))
    return table


def jsonable(value: object) -> dict[str, object]:
    """Turn Structs, enums, bytes and paths inside *value* into plain JSON values."""
    plain: dict[str, object] = msgspec.to_builtins(value, enc_hook=str)
    return plain


def to_json(value: object) -> str:
    """Return *value* as indented JSON with stable key order."""
    return json.dumps(msgspec.to_builtins(value, enc_hook=str), indent=2, ensure_ascii=False)
