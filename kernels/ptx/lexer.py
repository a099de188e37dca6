"""PTX text as words, numbers and punctuation, each with its line."""

import re
from dataclasses import dataclass
from typing import Final

from kernels.ptx.errors import InvalidPtx

TEXT_BYTES_MAX: Final = 4 * 2**20
TOKENS_MAX: Final = 2_000_000

_TOKEN: Final = re.compile(
    r"""(?P<space>[ \t\r]+|//[^\n]*|/\*.*?\*/)
      |(?P<newline>\n)
      |(?P<float>0[fF][0-9a-fA-F]{8}(?![0-9a-fA-F])|0[dD][0-9a-fA-F]{16}(?![0-9a-fA-F]))
      |(?P<number>-?(?:0[xX][0-9a-fA-F]+|\d+(?:\.\d+)?)U?)
      |(?P<guard>@!?[%$_A-Za-z][\w$]*)
      |(?P<word>\.?[%$_A-Za-z][\w$]*(?:(?:\.|::)[\w$]+)*)
      |(?P<string>"[^"\n]*")
      |(?P<mark>[][{}(),;:|+!=<>-])""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Token:
    """`kind` is ``word``, ``guard``, ``number``, ``float``, ``string``, ``mark`` or ``end``."""

    kind: str
    text: str
    line: int


def tokens_of(text: str) -> list[Token]:
    """Split *text*.

    Raises:
        InvalidPtx: a character that PTX does not have, or more text than is taken.
    """
    if len(text) > TEXT_BYTES_MAX:
        raise InvalidPtx(f"{len(text)} characters are more than {TEXT_BYTES_MAX}")
    found: list[Token] = []
    position, line, size = 0, 1, len(text)
    while position < size:
        match = _TOKEN.match(text, position)
        if match is None:
            raise InvalidPtx(f"unexpected character {text[position]!r}", line)
        position = match.end()
        kind = match.lastgroup or ""
        if kind in {"space", "newline"}:
            line += match[0].count("\n")
            continue
        found.append(Token(kind, match[0], line))
        if len(found) > TOKENS_MAX:
            raise InvalidPtx(f"more than {TOKENS_MAX} words", line)
    found.append(Token("end", "end of text", line))
    return found
