"""SentencePiece's byte-pair encoding: neighbouring pieces of a text merge by their scores.

Llama 2 and Gemma cut text so. Of the vocabulary only *normal* tokens take part in merges:
no text, whatever it is, becomes a control token, an unused one or a byte by its spelling.

Sources: SentencePiece (Kudo and Richardson, 2018), its model type ``bpe``, and what llama.cpp
does with the same metadata (spaces, bytes, the space before a text).
"""

import re
from collections.abc import Mapping, Sequence
from heapq import heappop, heappush
from typing import Final

SPACE: Final = "\u2581"
"""How a space is spelt in the vocabulary."""


class PieceEncoder:
    """Encodes text by a vocabulary with scores.

    Args:
        normal: the normal tokens, by their text.
        scores: of every token, finite; a higher one merges first.
        whole: tokens that the text is searched for first, the longest before others.
        byte_ids: the tokens of the 256 bytes, for characters that are no token.
        space_first: a text begins as if after a space.
    """

    def __init__(
        self,
        normal: Mapping[str, int],
        scores: Sequence[float],
        whole: Mapping[str, int],
        byte_ids: Sequence[int],
        *,
        space_first: bool,
    ) -> None:
        self._normal = normal
        self._scores = scores
        self._whole = whole
        self._byte_ids = byte_ids
        self._space_first = space_first
        longest_first = sorted(whole, key=len, reverse=True)
        self._finder = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    def encode(self, text: str) -> list[int]:
        """Return the tokens of *text*."""
        ids: list[int] = []
        start = 0
        for match in self._finder.finditer(text):
            ids += self._encode_part(text[start : match.start()])
            ids.append(self._whole[match.group()])
            start = match.end()
        return ids + self._encode_part(text[start:])

    def _encode_part(self, text: str) -> list[int]:
        if not text:
            return []
        spelt = f" {text}" if self._space_first else text
        ids: list[int] = []
        for piece in self._merge(list(spelt.replace(" ", SPACE))):
            token_id = self._normal.get(piece)
            if token_id is None:
                ids += [self._byte_ids[byte] for byte in piece.encode()]
            else:
                ids.append(token_id)
        return ids

    def _merge(self, pieces: list[str]) -> list[str]:
        """Join neighbours into tokens, the best score first, the leftmost of equals.

        A piece that was joined to the one before it is empty from then on.
        """
        before = list(range(-1, len(pieces) - 1))
        after = [*range(1, len(pieces)), -1]
        waiting: list[tuple[float, int, int, int]] = []

        def offer(left: int, right: int) -> None:
            if left < 0 or right < 0:
                return
            token_id = self._normal.get(pieces[left] + pieces[right])
            if token_id is not None:
                length = len(pieces[left]) + len(pieces[right])
                heappush(waiting, (-self._scores[token_id], left, right, length))

        for right in range(1, len(pieces)):
            offer(right - 1, right)
        while waiting:
            _, left, right, length = heappop(waiting)
            first, second = pieces[left], pieces[right]
            if not first or not second or len(first) + len(second) != length:
                continue  # one of them has been joined to another meanwhile
            pieces[left], pieces[right] = first + second, ""
            after[left] = after[right]
            if after[right] >= 0:
                before[after[right]] = left
            offer(before[left], left)
            offer(left, after[left])
        return [piece for piece in pieces if piece]
