"""Text of strangers, made harmless for a terminal and a log.

A model's name in a quote, a reason in a refusal or an answer may hold escape sequences that move
the cursor, a line break that forges the next line of a log, or marks that turn what follows around.
"""

import re
from typing import Final

_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""Control characters, line breaks, and marks of writing direction."""
_OF_TEXT: Final = frozenset("\n\t")


def printable(text: str) -> str:
    r"""Return *text* in one line, with what a terminal would obey written out.

    >>> printable("red\x1b[31m\nnext")
    'red\\x1b[31m\\x0anext'
    """
    return _UNPRINTABLE.sub(_written_out, text)


def printable_text(text: str) -> str:
    """Return *text* with its lines and tabs, and else like `printable`."""
    return _UNPRINTABLE.sub(lambda found: _kept(found) or _written_out(found), text)


def _kept(found: re.Match[str]) -> str:
    return found.group() if found.group() in _OF_TEXT else ""


def _written_out(found: re.Match[str]) -> str:
    code = ord(found.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
