"""The book of quotes: what a node knows of the market. Bounded, whatever arrives.

Eviction, in this order, when a class is full and a provider that is not in it
quotes: expired quotes go; then a quote of an equivocator or one priced against
the rule; then, only for a *familiar* provider (one whose receipts we hold), the
unfamiliar one that came last. Otherwise the newcomer is refused: who is in, and
renews, is never displaced by strangers, however many identities they make.
The same holds for classes, and for the book as a whole: only a watched class
displaces others, the smallest unwatched class or the newest of the largest one.
"""

import enum
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from cocoon.market.price import follows, recompute, same_window, terms_changed
from cocoon.market.quotes import CLOCK_SKEW_S, bad_times, effective_crowd, malformed
from cocoon.market.renewal import base_id, parts_of
from cocoon.messages import CONTROL_BYTES_MAX, Quote, Signed

QUOTE_BYTES_MAX: Final = 4096
PROVIDERS_MAX: Final = 12_288
CLASSES_MAX: Final = 64
QUOTES_MAX: Final = 16_384
"""Of all classes together: some 60 MB."""
CLASSES_PER_PEER_MAX: Final = 32
EVIDENCE_MAX: Final = 256
SNAPSHOT_MAX: Final = 64
_ENVELOPE_BYTES: Final = 128
"""What a signature, lengths and field names add to a quote's bytes in an answer, at most."""


class Outcome(enum.Enum):
    """What became of a quote."""

    NEW = "new"
    SEEN = "seen"
    STALE = "stale"
    FLAGGED = "flagged"
    REFUSED = "refused"


class Flag(enum.Enum):
    """What the book found out about a quote. The first two are faults, the third is not."""

    PRICE_NOT_BY_RULE = "price_not_by_rule"
    EQUIVOCATION = "equivocation"
    TERMS_CHANGED = "terms_changed"


FAULTS: Final = frozenset({Flag.PRICE_NOT_BY_RULE, Flag.EQUIVOCATION})


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the gossip validator needs to know.

    Attributes:
        outcome: what became of the quote.
        reason: in words, with numbers.
        malformed: no honest peer passes this on, whatever its clock and its book.
    """

    outcome: Outcome
    reason: str = ""
    malformed: bool = False

    @property
    def forward(self) -> bool:
        """Tell whether gossip should pass the quote on: flagged ones too, as evidence."""
        return self.outcome in {Outcome.NEW, Outcome.FLAGGED}


@dataclass(frozen=True, slots=True)
class Equivocation:
    """Proof that a provider signed two different quotes under one number.

    Attributes:
        first, second: what it signed.
        first_base, second_base: the full quotes that they renew, or they themselves.
    """

    first: Signed
    second: Signed
    first_base: Signed
    second_base: Signed


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One quote in the book.

    Attributes:
        signed: exactly what was gossiped: a full quote, or a renewal of one.
        base: the full quote that it renews, or itself.
        base_id: what renewals call that one.
        reasons: for each fault, in words with numbers.
        stepped_at_unix_s: when its level last moved; None when we came too late to know.
        arrival: counts up over all first arrivals: the smaller, the longer in the book.
        terms_changes: how often it set new terms since then.
    """

    signed: Signed
    base: Signed
    base_id: bytes
    quote: Quote
    flags: frozenset[Flag]
    reasons: tuple[str, ...]
    stepped_at_unix_s: int | None
    arrival: int
    renewals: int
    terms_changes: int

    @property
    def faulty(self) -> bool:
        """Tell whether the quote proves a fault of its provider."""
        return not self.flags.isdisjoint(FAULTS)


class _Shelf:
    """The listings of one class, by peer."""

    __slots__ = ("earliest_expiry_unix_s", "faulty", "listings")

    def __init__(self) -> None:
        self.listings: dict[str, Listing] = {}
        self.faulty: set[str] = set()
        self.earliest_expiry_unix_s = 0

    def put(self, listing: Listing) -> None:
        expires = listing.quote.expires_at_unix_s
        self.earliest_expiry_unix_s = (
            min(self.earliest_expiry_unix_s, expires) if self.listings else expires
        )
        peer = listing.quote.peer_id
        self.listings[peer] = listing
        if listing.faulty:
            self.faulty.add(peer)
        else:
            self.faulty.discard(peer)

    def drop(self, peer: str) -> None:
        del self.listings[peer]
        self.faulty.discard(peer)

    def expired(self, now_unix_s: int) -> list[str]:
        """Return who expired; costs nothing before the first one can have."""
        if not self.listings or now_unix_s < self.earliest_expiry_unix_s:
            return []
        gone, left = [], []
        for peer, listing in self.listings.items():
            expires = listing.quote.expires_at_unix_s
            if expires <= now_unix_s:
                gone.append(peer)
            else:
                left.append(expires)
        self.earliest_expiry_unix_s = min(left, default=0)
        return gone


class QuoteBook:
    """The newest quote of each provider in each class.

    Memory: at most `quotes_max` quotes of `QUOTE_BYTES_MAX` in `classes_max` classes
    of `providers_max`; one peer holds at most `CLASSES_PER_PEER_MAX` of them. And
    `EVIDENCE_MAX` pairs of evidence.
    """

    def __init__(
        self,
        *,
        providers_max: int = PROVIDERS_MAX,
        classes_max: int = CLASSES_MAX,
        quotes_max: int = QUOTES_MAX,
        clock_skew_s: int = CLOCK_SKEW_S,
    ) -> None:
        self._providers_max = providers_max
        self._classes_max = classes_max
        self._quotes_max = quotes_max
        self._size = 0
        self._clock_skew_s = clock_skew_s
        self._shelves: dict[str, _Shelf] = {}
        self._classes_of: Counter[str] = Counter()
        self._bases: dict[bytes, tuple[str, str]] = {}
        self._evidence: dict[tuple[str, str], Equivocation] = {}
        self._watched: frozenset[str] = frozenset()
        self._familiar: frozenset[str] = frozenset()
        self._arrivals = 0

    def __len__(self) -> int:
        return self._size

    def watch(self, resource_classes: Iterable[str]) -> None:
        """Say which classes this node cares about: there is always room for them."""
        self._watched = frozenset(resource_classes)

    def know(self, peers: Iterable[str]) -> None:
        """Say whose receipts we hold: strangers cannot keep these out."""
        self._familiar = frozenset(peers)

    @property
    def evidence(self) -> list[Equivocation]:
        """The proofs of equivocation found, oldest first."""
        return list(self._evidence.values())

    def classes(self, now_unix_s: int) -> list[str]:
        """Return the classes with at least one live quote, in alphabetical order."""
        return sorted(key for key in self._shelves if self.candidates(key, now_unix_s))

    def accept(
        self, signed: Signed, quote: Quote, now_unix_s: int, *, base: Signed | None = None
    ) -> Verdict:
        """Take in a quote.

        Args:
            signed: the envelope; its signature by `quote.peer_id` has been checked.
            quote: what was decoded from `signed.body`, or what that renewal expands to.
            now_unix_s: our time.
            base: the full quote that *signed* renews; None when it is one.
        """
        base = base or signed
        listing = self._find(quote)
        if listing is not None:
            known = self._known(listing, signed, base, quote)
            if known is not None:
                return known
        refused = self._refused(signed, quote, now_unix_s)
        if refused is not None:
            return refused
        new = self._listing(listing, signed, base, quote)
        full = "" if listing is not None else self._make_room(new, now_unix_s)
        if full:
            return Verdict(Outcome.REFUSED, full)
        self._put(new)
        if new.faulty:
            return Verdict(Outcome.FLAGGED, "; ".join(new.reasons))
        return Verdict(Outcome.NEW)

    def crowd(self, resource_class: str) -> int:
        """Return among how many the providers of a class share its topic; see `effective_crowd`."""
        kind, separator, _ = resource_class.partition("/")
        providers = {
            key: len(shelf.listings)
            for key, shelf in self._shelves.items()
            if key.startswith(kind + separator)
        }
        return effective_crowd(resource_class, providers)

    def find_base(self, name: bytes) -> Listing | None:
        """Return the listing whose full quote has the id *name*."""
        place = self._bases.get(name)
        return None if place is None else self._shelves[place[0]].listings[place[1]]

    def candidates(self, resource_class: str, now_unix_s: int) -> list[Listing]:
        """Return the live quotes of a class, faulty ones included, in order of peer id."""
        shelf = self._shelves.get(resource_class)
        if shelf is None:
            return []
        live = (
            listing
            for listing in shelf.listings.values()
            if listing.quote.expires_at_unix_s > now_unix_s
        )
        return sorted(live, key=lambda listing: listing.quote.peer_id)

    def snapshot(
        self, resource_class: str, quotes_max: int = SNAPSHOT_MAX, *, now_unix_s: int
    ) -> tuple[Signed, ...]:
        """Return quotes as they were gossiped, as many as fit into one answer.

        Whoever is longest in the book comes first: a flood of newcomers does not
        crowd them out. Faulty quotes are left out. A renewal comes behind its full quote.
        """
        live = [
            listing for listing in self.candidates(resource_class, now_unix_s) if not listing.faulty
        ]
        live.sort(key=lambda listing: listing.arrival)
        chosen: list[Signed] = []
        size_bytes = _ENVELOPE_BYTES
        for listing in live[: min(quotes_max, SNAPSHOT_MAX)]:
            parts = parts_of(listing.signed, listing.base)
            size_bytes += sum(len(part.body) + _ENVELOPE_BYTES for part in parts)
            if size_bytes > CONTROL_BYTES_MAX or len(chosen) + len(parts) > SNAPSHOT_MAX:
                break
            chosen += parts
        return tuple(chosen)

    def drop_expired(self, now_unix_s: int) -> int:
        """Forget what has expired; return how many quotes that were."""
        before = len(self)
        for key in list(self._shelves):
            self._drop_expired_of(key, now_unix_s)
        return before - len(self)

    # --- one quote -------------------------------------------------------------------

    def _refused(self, signed: Signed, quote: Quote, now_unix_s: int) -> Verdict | None:
        if len(signed.body) > QUOTE_BYTES_MAX:
            return _too_long(signed)
        wrong = malformed(quote, peer_id=quote.peer_id)
        if wrong:
            return Verdict(Outcome.REFUSED, "; ".join(wrong), malformed=True)
        untimely = bad_times(quote, now_unix_s, self._clock_skew_s)
        return Verdict(Outcome.REFUSED, "; ".join(untimely)) if untimely else None

    def _find(self, quote: Quote) -> Listing | None:
        shelf = self._shelves.get(quote.resource_class)
        return shelf.listings.get(quote.peer_id) if shelf else None

    def _known(
        self, listing: Listing, signed: Signed, base: Signed, quote: Quote
    ) -> Verdict | None:
        """Return the verdict on a quote that is not newer than the one we have."""
        if quote.seq > listing.quote.seq:
            return None
        if quote.seq < listing.quote.seq:
            return Verdict(Outcome.STALE, f"number {quote.seq}, have {listing.quote.seq}")
        if quote == listing.quote or Flag.EQUIVOCATION in listing.flags:
            return Verdict(Outcome.SEEN)
        return self._equivocated(listing, signed, base)

    def _equivocated(self, listing: Listing, signed: Signed, base: Signed) -> Verdict:
        quote = listing.quote
        if len(signed.body) > QUOTE_BYTES_MAX:
            return _too_long(signed)
        while len(self._evidence) >= EVIDENCE_MAX:
            del self._evidence[next(iter(self._evidence))]
        key = (quote.resource_class, quote.peer_id)
        self._evidence[key] = Equivocation(listing.signed, signed, listing.base, base)
        reason = f"two different quotes under number {quote.seq}"
        flagged = _with_flag(listing, Flag.EQUIVOCATION, reason)
        self._shelves[quote.resource_class].put(flagged)
        return Verdict(Outcome.FLAGGED, reason)

    def _listing(
        self, previous: Listing | None, signed: Signed, base: Signed, quote: Quote
    ) -> Listing:
        reasons, flags = recompute(quote), set[Flag]()
        if previous is not None:
            reasons += follows(previous.quote, quote, stepped_at_unix_s=previous.stepped_at_unix_s)
            if terms_changed(previous.quote, quote):
                flags.add(Flag.TERMS_CHANGED)
        if reasons:
            flags.add(Flag.PRICE_NOT_BY_RULE)
        if (quote.resource_class, quote.peer_id) in self._evidence:
            # A higher number does not undo it: it stays until the evidence itself is dropped.
            flags.add(Flag.EQUIVOCATION)
            reasons.append("has signed two different quotes under one number")
        return Listing(
            signed=signed,
            base=base,
            base_id=base_id(base.body),
            quote=quote,
            flags=frozenset(flags),
            reasons=tuple(reasons),
            stepped_at_unix_s=_stepped_at(previous, quote),
            arrival=previous.arrival if previous else self._next_arrival(),
            renewals=previous.renewals + 1 if previous else 0,
            terms_changes=(previous.terms_changes if previous else 0)
            + (Flag.TERMS_CHANGED in flags),
        )

    def _next_arrival(self) -> int:
        self._arrivals += 1
        return self._arrivals

    # --- room ------------------------------------------------------------------------

    def _put(self, listing: Listing) -> None:
        quote = listing.quote
        shelf = self._shelves.setdefault(quote.resource_class, _Shelf())
        previous = shelf.listings.get(quote.peer_id)
        if previous is None:
            self._classes_of[quote.peer_id] += 1
            self._size += 1
        else:
            self._bases.pop(previous.base_id, None)
        self._bases[listing.base_id] = (quote.resource_class, quote.peer_id)
        shelf.put(listing)

    def _remove(self, resource_class: str, peer: str) -> None:
        shelf = self._shelves[resource_class]
        self._bases.pop(shelf.listings[peer].base_id, None)
        shelf.drop(peer)
        self._size -= 1
        self._classes_of[peer] -= 1
        if not self._classes_of[peer]:
            del self._classes_of[peer]
        if not shelf.listings:
            del self._shelves[resource_class]

    def _drop_expired_of(self, resource_class: str, now_unix_s: int) -> None:
        for peer in self._shelves[resource_class].expired(now_unix_s):
            self._remove(resource_class, peer)

    def _make_room(self, new: Listing, now_unix_s: int) -> str:
        """Make room for a listing of a provider that is not in its class, or say why not."""
        key, peer = new.quote.resource_class, new.quote.peer_id
        if self._classes_of[peer] >= CLASSES_PER_PEER_MAX:
            return f"quotes in {CLASSES_PER_PEER_MAX} classes already"
        if self._size >= self._quotes_max and not self._make_room_in_all(key, now_unix_s):
            return f"{self._quotes_max} quotes in the book already"
        shelf = self._shelves.get(key)
        if shelf is None:
            return self._make_room_for_class(key, now_unix_s)
        if len(shelf.listings) >= self._providers_max:
            self._drop_expired_of(key, now_unix_s)
        if len(shelf.listings) < self._providers_max:
            return ""
        victim = self._victim(shelf, new)
        if victim is None:
            return f"{self._providers_max} providers in this class already"
        self._remove(key, victim.quote.peer_id)
        return ""

    def _victim(self, shelf: _Shelf, new: Listing) -> Listing | None:
        """Return whom *new* displaces, None for nobody."""
        if new.faulty:
            return None
        if shelf.faulty:
            cheats = (shelf.listings[peer] for peer in shelf.faulty)
            return max(cheats, key=lambda listing: listing.arrival)
        if new.quote.peer_id not in self._familiar:
            return None
        strangers = [
            listing for peer, listing in shelf.listings.items() if peer not in self._familiar
        ]
        return max(strangers, key=lambda listing: listing.arrival, default=None)

    def _make_room_in_all(self, key: str, now_unix_s: int) -> bool:
        self.drop_expired(now_unix_s)
        unwatched = [other for other in self._shelves if other not in self._watched]
        if self._size >= self._quotes_max and key in self._watched and unwatched:
            largest = max(unwatched, key=lambda other: len(self._shelves[other].listings))
            listings = self._shelves[largest].listings.values()
            newest = max(listings, key=lambda listing: listing.arrival)
            self._remove(largest, newest.quote.peer_id)
        return self._size < self._quotes_max

    def _make_room_for_class(self, key: str, now_unix_s: int) -> str:
        if len(self._shelves) < self._classes_max:
            return ""
        self.drop_expired(now_unix_s)
        if len(self._shelves) < self._classes_max:
            return ""
        unwatched = [other for other in self._shelves if other not in self._watched]
        if key not in self._watched or not unwatched:
            return f"{self._classes_max} classes in the book already"
        smallest = min(unwatched, key=lambda other: len(self._shelves[other].listings))
        for peer in list(self._shelves[smallest].listings):
            self._remove(smallest, peer)
        return ""


def _too_long(signed: Signed) -> Verdict:
    reason = f"{len(signed.body)} bytes, at most {QUOTE_BYTES_MAX}"
    return Verdict(Outcome.REFUSED, reason, malformed=True)


def _with_flag(listing: Listing, flag: Flag, reason: str) -> Listing:
    return replace(listing, flags=listing.flags | {flag}, reasons=(*listing.reasons, reason))


def _stepped_at(previous: Listing | None, quote: Quote) -> int | None:
    """Return when the level of *quote* was set, as far as we can know."""
    if previous is None:
        return None
    if same_window(previous.quote, quote):
        return previous.stepped_at_unix_s
    return quote.issued_at_unix_s if quote.seq == previous.quote.seq + 1 else None
