"""Knowing who sells classes of resources: quotes that gossip brought, and the DHT when needed."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Final

import trio

from cocoon.directory import Directory
from cocoon.market.book import Listing
from cocoon.nursery import open_private_nursery
from overlay.ids import PeerId

LOOK_UP_AGAIN_S: Final = 60.0
QUOTES_SETTLE_S: Final = 0.25
"""Quotes come in a bunch: after the first, wait this long for the others."""
FIRST_QUOTE_TIMEOUT_S: Final = 15.0
DISCOVER_AGAIN_S: Final = 2.0


@dataclass(slots=True)
class Finder:
    """Keeps quotes of classes known.

    Attributes:
        ours: our own peer id; we do not buy from ourselves.
        compare_timeout_s: longest wait for more quotes than gossip has brought.
    """

    directory: Directory
    clock: Callable[[], float]
    ours: str
    compare_timeout_s: float
    _looked_up_s: dict[str, float] = field(default_factory=dict)
    """When the DHT was last asked for a resource class."""

    def listings(self, *classes: str) -> list[Listing]:
        """Return the quotes of these classes, class after class."""
        return [
            listing
            for each in classes
            for listing in self.directory.book.candidates(each, int(self.clock()))
            if listing.quote.peer_id != self.ours
        ]

    async def discover(
        self, *classes: str, anew: bool = False, without: Collection[str] = ()
    ) -> int:
        """Make sure that quotes are known; return how many providers are.

        One quote that gossip brought is no market: unless the DHT was asked lately, it is
        asked now, for a moment when there is a quote already, else until there is one.

        Args:
            classes: what is wanted; a quote of any of them ends the search.
            anew: ask in any case.
            without: quotes of these peers are no use: wait for others.
        """
        self.directory.book.watch(list(classes))
        found: set[PeerId] = set()
        known = self._knows(classes, without)
        asked_s = min(self._looked_up_s.get(each, -LOOK_UP_AGAIN_S) for each in classes)
        if anew or not known or trio.current_time() - asked_s >= LOOK_UP_AGAIN_S:
            patience_s = self.compare_timeout_s if known or without else FIRST_QUOTE_TIMEOUT_S
            with trio.move_on_after(patience_s):
                await self._wait_for_quotes(classes, without, found)
            self._looked_up_s |= dict.fromkeys(classes, trio.current_time())
        return max(len(found), len(self.listings(*classes)))

    def _knows(self, classes: Collection[str], without: Collection[str]) -> bool:
        return any(x.quote.peer_id not in without for x in self.listings(*classes))

    async def _wait_for_quotes(
        self, classes: Collection[str], without: Collection[str], found: set[PeerId]
    ) -> None:
        """Look until there are quotes, and a moment longer; add whom the DHT names to *found*."""

        async def look_up(resource_class: str) -> None:
            found.update(await self.directory.discover(resource_class))

        while True:
            async with open_private_nursery() as nursery:
                for each in classes:
                    nursery.start_soon(look_up, each)
            if self._knows(classes, without):
                with trio.move_on_after(QUOTES_SETTLE_S):
                    await trio.sleep_forever()
                return
            with trio.move_on_after(DISCOVER_AGAIN_S):
                await self.directory.wait_for_news()
