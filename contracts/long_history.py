"""The part of a long history that was read, and not asked for yet.

Servers tell a history backwards, and we are asked for it forwards, page by page. Without a
memory every page would take all that is newer to be read again: whoever fills an account with
dust would make its owner read a square of it.
"""

from typing import Final

from contracts.chain import TransactionRecord

HISTORIES_KEPT: Final = 4


class Rest:
    """What is left of the newest few histories that were longer than a page."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, int], list[TransactionRecord]] = {}

    def page(self, address: str, since_lt: int, limit: int) -> list[TransactionRecord]:
        """Return the page after *since_lt* if the one before ended there, else nothing."""
        return self.first(address, self._kept.pop((address, since_lt), []), limit)

    def first(
        self, address: str, records: list[TransactionRecord], limit: int
    ) -> list[TransactionRecord]:
        """Return the first page of *records*, which are oldest first, and keep the others."""
        page, rest = records[:limit], records[limit:]
        if page and rest:
            self._kept[address, page[-1].lt] = rest
            while len(self._kept) > HISTORIES_KEPT:
                del self._kept[next(iter(self._kept))]
        return page
