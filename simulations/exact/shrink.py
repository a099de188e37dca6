"""Makes a failing run small: which faults are needed for it to fail?

Delta debugging (Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input",
2002, algorithm ddmin) over the names of the faults that struck. Every run is exact, so a
subset either fails again or does not; no luck is involved.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Final

RUNS_MAX: Final = 400


class GaveUp(Exception):
    """More runs would be needed; what is known so far is in `kept`."""

    def __init__(self, kept: list[str]) -> None:
        super().__init__("gave up")
        self.kept = kept


def shrink(
    faults: Sequence[str],
    fails: Callable[[list[str]], bool],
    *,
    runs_max: int = RUNS_MAX,
) -> list[str]:
    """Return a subset of *faults* that still fails, and from which no fault can be left out.

    Args:
        faults: a list that fails.
        fails: runs with only these faults, and tells whether the run still fails.
        runs_max: after so many runs the smallest set so far is returned.
    """
    counted = _Counted(fails, runs_max)
    if counted.fails([], list(faults)):
        return []
    kept, parts = list(faults), 2
    try:
        while len(kept) > 1:
            smaller = _smaller(kept, parts, counted)
            if smaller is not None:
                kept, parts = smaller, max(2, min(parts - 1, len(smaller)))
            elif parts >= len(kept):
                break
            else:
                parts = min(len(kept), 2 * parts)
    except GaveUp as gave_up:
        return gave_up.kept
    return kept


class _Counted:
    def __init__(self, fails: Callable[[list[str]], bool], runs_max: int) -> None:
        self._fails = fails
        self._left = runs_max

    def fails(self, chosen: list[str], kept: list[str]) -> bool:
        """Run once more; *kept* is what is returned when that is one run too many."""
        if not self._left:
            raise GaveUp(kept)
        self._left -= 1
        return self._fails(chosen)


def _smaller(kept: list[str], parts: int, counted: _Counted) -> list[str] | None:
    """Return one of *parts* pieces that fails, or all but one of them, or None."""
    cuts = [len(kept) * part // parts for part in range(parts + 1)]
    pieces = [kept[start:end] for start, end in pairwise(cuts)]
    for piece in pieces:
        if piece and counted.fails(piece, kept):
            return piece
    if parts > 2:  # of two pieces, one's rest is the other
        for at in range(parts):
            rest = [name for other, piece in enumerate(pieces) if other != at for name in piece]
            if counted.fails(rest, kept):
                return rest
    return None
