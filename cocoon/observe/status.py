"""One picture of a running node, as it is now. Pure: made from what the node already holds.

No field holds a payload, a key or an address of a wallet; peers are named by their ids,
which are public.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from cocoon import __version__
from cocoon.market.book import Listing, QuoteBook
from cocoon.messages import Kind

CLASSES_SHOWN_MAX: Final = 64
PEERS_SHOWN_MAX: Final = 4096


class PeerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A peer with a live connection.

    Attributes:
        sells: names of the models that it quotes.
        faults: what our book holds against its quotes, in words.
    """

    peer_id: str
    sells: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()


class ClassStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What is for sale in one resource class, as far as this node has heard.

    Attributes:
        unit: what the prices count: 1000 output tokens, or 1000 s of audio.
        cheapest_nanoton, median_nanoton: of the quotes without a fault, for 1000 units.
    """

    resource_class: str
    model_name: str
    unit: str
    providers: int
    free_slots: int
    faulty: int
    cheapest_nanoton: int
    median_nanoton: int


class SaleStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One model that this node sells.

    Attributes:
        level_ppm: the present price, in millionths of the operator's base price.
        workers: worker processes that are alive.
    """

    resource_class: str
    model_name: str
    slots: int
    free_slots: int
    workers: int
    level_ppm: int


class EarningsStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What the payee's journal proves."""

    settled_nanoton: int
    unclaimed_nanoton: int
    channels_unclaimed: int


class NodeStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A node at one moment.

    Attributes:
        role: ``node`` or ``provider``.
        quotes_known: of all resource classes.
        tasks: trio tasks that are alive; grows without bound only in a bug.
        sales, earnings: empty for a node that sells nothing.
        held, counted: of the overlay (`overlay.transport.HostFigures`).
    """

    software: str
    role: str
    peer_id: str
    network: str
    addresses: tuple[str, ...]
    started_unix_s: int
    now_unix_s: int
    quotes_known: int
    tasks: int
    peers: tuple[PeerStatus, ...]
    market: tuple[ClassStatus, ...]
    sales: tuple[SaleStatus, ...] = ()
    earnings: EarningsStatus | None = None
    held: dict[str, int] = msgspec.field(default_factory=dict)
    counted: dict[str, int] = msgspec.field(default_factory=dict)

    @property
    def uptime_s(self) -> int:
        """Return for how long it has been running."""
        return max(0, self.now_unix_s - self.started_unix_s)


SOFTWARE: Final = f"cocoon/{__version__}"


def peers_status(connected: Iterable[str], listings: Iterable[Listing]) -> tuple[PeerStatus, ...]:
    """Describe the connected peers by what the book holds of them."""
    sells: dict[str, list[str]] = {}
    faults: dict[str, list[str]] = {}
    for listing in listings:
        quote = listing.quote
        sells.setdefault(quote.peer_id, []).append(quote.model_name)
        faults.setdefault(quote.peer_id, []).extend(listing.reasons)
    return tuple(
        PeerStatus(
            peer_id=peer_id,
            sells=tuple(sorted(sells.get(peer_id, ()))),
            faults=tuple(faults.get(peer_id, ())),
        )
        for peer_id in sorted(connected)[:PEERS_SHOWN_MAX]
    )


def market_status(book: QuoteBook, now_unix_s: int) -> tuple[ClassStatus, ...]:
    """Describe each class of which the book holds a live quote."""
    classes = sorted(book.classes(now_unix_s))[:CLASSES_SHOWN_MAX]
    found = (book.candidates(one, now_unix_s) for one in classes)
    return tuple(_class_status(listings) for listings in found if listings)


_UNITS: Final = {
    Kind.CHAT.value: ("1000 output tokens", "output_token"),
    Kind.TRANSCRIBE.value: ("1000 s of audio", "audio_second"),
    Kind.KERNEL.value: ("1000 ms of kernels", "gpu_ms"),
}
"""What prices are told for, and their field, by the first part of a class."""


def _class_status(listings: list[Listing]) -> ClassStatus:
    sound = [listing.quote for listing in listings if not listing.faulty]
    first = listings[0].quote
    unit, price = _UNITS[first.resource_class.partition("/")[0]]
    prices = sorted(getattr(quote.schedule, price) for quote in sound)
    return ClassStatus(
        resource_class=first.resource_class,
        model_name=first.model_name,
        unit=unit,
        providers=len(listings),
        free_slots=sum(quote.free_slots for quote in sound),
        faulty=len(listings) - len(sound),
        cheapest_nanoton=prices[0] if prices else 0,
        median_nanoton=prices[(len(prices) - 1) // 2] if prices else 0,
    )
