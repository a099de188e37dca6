"""How a node logs: lines for people, or one JSON object a line; peers by their short names."""

import json
import logging
import re
import sys
from datetime import UTC, datetime
from typing import Final, TextIO

from overlay.ids import PeerId, short

PACKAGES: Final = ("cocoon", "overlay", "contracts", "kernels")
LEVELS: Final = (logging.WARNING, logging.INFO, logging.DEBUG)
_PEER: Final = re.compile(r"\b12D3KooW[1-9A-HJ-NP-Za-km-z]{44}\b")
MESSAGE_MAX: Final = 4000


def shortened(text: str) -> str:
    """Return *text* with every peer id cut to what people compare, and bounded in length."""
    return _PEER.sub(lambda found: short(PeerId(found.group())), text)[:MESSAGE_MAX]


class _Lines(logging.Formatter):
    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  (logging's name)
        return shortened(super().formatMessage(record))


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
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_Json() if as_json else _Lines("%(asctime)s %(name)s %(message)s"))
    return handler


def set_up_logging(*, verbose: int, as_json: bool) -> None:
    """Log to stderr: warnings, with *verbose* 1 what happens, with 2 everything."""
    handler = make_handler(sys.stderr, as_json=as_json)
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    for name in PACKAGES:
        logging.getLogger(name).setLevel(LEVELS[min(verbose, 2)])
