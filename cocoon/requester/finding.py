"""Knowing who sells a class of resources: quotes that gossip brought, and the DHT when needed."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Final

import trio

from cocoon.directory import Directory
from cocoon.market.book import Listing
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

    def listings(self, resource_class: str) -> list[Listing]:
        """Return the quotes of a class."""
        listings = self.directory.book.candidates(resource_class, int(self.clock()))
        return [listing for listing in listings if listing.quote.peer_id != self.ours]

    async def discover(
        self, resource_class: str, *, anew: bool = False, without: Collection[str] = ()
    ) -> int:
        """Make sure that quotes are known; return how many providers are.

        One quote that gossip brought is no market: unless the DHT was asked lately, it is
        asked now, for a moment when there is a quote already, else until there is one.

        Args:
            resource_class: what is wanted.
            anew: ask in any case.
            without: quotes of these peers are no use: wait for others.
        """
        self.directory.book.watch([resource_class])
        found: list[PeerId] = []
        known = self._knows(resource_class, without)
        asked_s = self._looked_up_s.get(resource_class, -LOOK_UP_AGAIN_S)
        if anew or not known or trio.current_time() - asked_s >= LOOK_UP_AGAIN_S:
            patience_s = self.compare_timeout_s if known or without else FIRST_QUOTE_TIMEOUT_S
            with trio.move_on_after(patience_s):
                found = await self._wait_for_quotes(resource_class, without)
            self._looked_up_s[resource_class] = trio.current_time()
        return max(len(found), len(self.listings(resource_class)))

    def _knows(self, resource_class: str, without: Collection[str]) -> bool:
        return any(x.quote.peer_id not in without for x in self.listings(resource_class))

    async def _wait_for_quotes(self, resource_class: str, without: Collection[str]) -> list[PeerId]:
        found: list[PeerId] = []
        while True:
            found = await self.directory.discover(resource_class) or found
            if self._knows(resource_class, without):
                with trio.move_on_after(QUOTES_SETTLE_S):
                    await trio.sleep_forever()
                return found
            with trio.move_on_after(DISCOVER_AGAIN_S):
                await self.directory.wait_for_news()
