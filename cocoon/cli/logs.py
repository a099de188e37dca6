"""How a node logs: lines for people, or one JSON object a line; peers by their short names.

Lines of one kind are bounded in number, and what strangers wrote into them does nothing.
"""

import copy
import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import Final, TextIO

from cocoon.cli.printable import printable
from overlay.ids import PeerId, short

PACKAGES: Final = ("cocoon", "overlay", "contracts", "kernels")
LEVELS: Final = (logging.WARNING, logging.INFO, logging.DEBUG)
_PEER: Final = re.compile(r"\b12D3KooW[1-9A-HJ-NP-Za-km-z]{44}\b")
MESSAGE_MAX: Final = 4000
LINES_MAX: Final = 60
"""Of one kind, from one place in the code, in a minute."""
MINUTE_S: Final = 60.0
KINDS_MAX: Final = 1024


def shortened(text: str) -> str:
    """Return *text* with every peer id cut to what people compare, and bounded in length."""
    return _PEER.sub(lambda found: short(PeerId(found.group())), text)[:MESSAGE_MAX]


class Bounded:
    """Lets `LINES_MAX` lines of one kind a minute through, and tells how many it left out.

    A stranger can make a node say the same thing without end; it shall not fill the disk.
    """

    def __init__(self) -> None:
        self._minutes: dict[tuple[str, str], tuple[float, int]] = {}

    def take(self, record: logging.LogRecord) -> logging.LogRecord | None:
        """Return what to write of *record*: itself, nothing, or itself with what was left out."""
        if record.levelno <= logging.DEBUG:
            return record
        kind = (record.name, str(record.msg))
        began_s, lines = self._minutes.get(kind, (record.created, 0))
        left_out = 0
        if record.created - began_s >= MINUTE_S:
            began_s, lines, left_out = record.created, 0, max(0, lines - LINES_MAX)
        if len(self._minutes) >= KINDS_MAX:
            self._minutes.clear()
        self._minutes[kind] = (began_s, lines + 1)
        if not left_out:
            return record if lines < LINES_MAX else None
        told = copy.copy(record)
        told.msg, told.args = f"{record.getMessage()} (and {left_out} more like it)", ()
        return told


class _Handler(logging.StreamHandler[TextIO]):
    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._bounded = Bounded()

    def emit(self, record: logging.LogRecord) -> None:
        written = self._bounded.take(record)
        if written is not None:
            super().emit(written)


class _Lines(logging.Formatter):
    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  (logging's name)
        return printable(shortened(super().formatMessage(record)))


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC)
        fields = {
            "at": at.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "part": record.name,
            "message": shortened(record.getMessage()),
        }
        if record.exc_info:
            fields["error"] = self.formatException(record.exc_info)
        return json.dumps(fields, ensure_ascii=False)


def make_handler(stream: TextIO, *, as_json: bool) -> logging.Handler:
    """Return what writes the log to *stream*."""
    handler = _Handler(stream)
    handler.setFormatter(_Json() if as_json else _Lines("%(asctime)s %(name)s %(message)s"))
    return handler


def set_up_logging(*, verbose: int, as_json: bool) -> None:
    """Log to stderr: warnings, with *verbose* 1 what happens, with 2 everything."""
    handler = make_handler(sys.stderr, as_json=as_json)
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    for name in PACKAGES:
        logging.getLogger(name).setLevel(LEVELS[min(verbose, 2)])
