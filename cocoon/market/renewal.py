"""Quotes that changed little, in few bytes: a renewal names the quote that it starts from.

A full quote is gossiped when a provider comes, when its terms change, and now and then; between
them go renewals, which carry only what moves: the number, the measured window, the free slots,
the speed, the time. Level and prices are not sent: whoever has the full quote computes them by
the price rule, so a renewal cannot lie about them. One renewal, under one signature, serves all
classes of a provider.

A full quote and a renewal of it are proof of the same strength as a full quote: both are signed,
and the renewal names the other by its hash.
"""

import hashlib
from collections.abc import Iterable
from typing import Annotated, Final

import msgspec
from msgspec.structs import replace

from cocoon.market.price import next_level_ppm, schedule_at
from cocoon.messages import Count, Message, Ppm, Quote, Signed, UnixTime, encode

RENEWALS_MAX: Final = 32
"""After so many the full quote is sent again: it heals whoever missed it."""
RENEWED_MAX: Final = 32
BASES_ASKED_MAX: Final = 64
BASE_ID_BYTES: Final = 20
_ARRAY_FIRST, _ARRAY_LAST = 0x90, 0x9F
_DOMAIN: Final = b"cocoon/quote-base/1\0"

BaseId = Annotated[bytes, msgspec.Meta(min_length=BASE_ID_BYTES, max_length=BASE_ID_BYTES)]


class Renewed(Message, frozen=True, array_like=True):
    """What moved in one class since the full quote *base* (see `base_id`)."""

    base: BaseId
    seq: Count
    previous_level_ppm: Ppm
    slots: Annotated[int, msgspec.Meta(ge=1, le=4096)]
    window_ms: Annotated[int, msgspec.Meta(ge=1, le=86_400_000)]
    busy_slot_ms: Count
    free_slots: Annotated[int, msgspec.Meta(ge=0, le=4096)]
    speed_milli_per_s: Count


class QuoteRenewal(Message, frozen=True, array_like=True, tag="renewal", tag_field="type"):
    """The next quotes of one provider, in one kind of job, all issued at one moment."""

    issued_at_unix_s: UnixTime
    lifetime_s: Annotated[int, msgspec.Meta(ge=1, le=86_400)]
    renewed: Annotated[tuple[Renewed, ...], msgspec.Meta(min_length=1, max_length=RENEWED_MAX)]


class BasesRequest(Message, frozen=True, tag="bases_request", tag_field="type"):
    """Ask a peer for the full quotes that renewals named and that we have not heard."""

    bases: Annotated[tuple[BaseId, ...], msgspec.Meta(max_length=BASES_ASKED_MAX)]


def base_id(body: bytes) -> bytes:
    """Return what renewals call the full quote with these signed bytes: 20 bytes.

    A stranger would need 2**160 hashes to pass off another quote; its own signer, who could find
    two with 2**80, would only tell two nodes two stories, which a second number does for free.
    """
    return hashlib.sha256(_DOMAIN + body).digest()[:BASE_ID_BYTES]


def is_renewal(body: bytes) -> bool:
    """Tell whether signed bytes are a renewal: those are an array, all else is a map."""
    return bool(body) and _ARRAY_FIRST <= body[0] <= _ARRAY_LAST


def expand(base: Quote, renewal: QuoteRenewal, renewed: Renewed) -> Quote:
    """Return the quote that *renewed* stands for; its price is by the rule.

    Args:
        base: the full quote that it names, or any other renewal of that one.
        renewal: what *renewed* is part of.
        renewed: names *base*.
    """
    inputs = replace(
        base.inputs,
        previous_level_ppm=renewed.previous_level_ppm,
        slots=renewed.slots,
        window_ms=renewed.window_ms,
        busy_slot_ms=renewed.busy_slot_ms,
    )
    level_ppm = next_level_ppm(inputs)
    return replace(
        base,
        seq=renewed.seq,
        inputs=inputs,
        level_ppm=level_ppm,
        schedule=schedule_at(inputs.base, level_ppm),
        free_slots=renewed.free_slots,
        speed_milli_per_s=renewed.speed_milli_per_s,
        issued_at_unix_s=renewal.issued_at_unix_s,
        expires_at_unix_s=renewal.issued_at_unix_s + renewal.lifetime_s,
    )


class Renewer:
    """What one provider sends for its quotes of one kind of job."""

    def __init__(self) -> None:
        self._bases: dict[str, tuple[Quote, bytes, int]] = {}

    def messages(self, quotes: Iterable[Quote]) -> list[Quote | QuoteRenewal]:
        """Return what to sign and gossip for *quotes*, which were just made.

        Each is sent in full, or as part of a renewal when exactly it comes out of one again.
        """
        full: list[Quote | QuoteRenewal] = []
        together: dict[tuple[int, int], list[Renewed]] = {}
        for quote in quotes:
            renewed = self._renewed(quote)
            if renewed is None:
                self._bases[quote.resource_class] = (quote, base_id(encode(quote)), 0)
                full.append(quote)
            else:
                together.setdefault(_times(quote), []).append(renewed)
        return full + [
            QuoteRenewal(issued_at_unix_s=issued, lifetime_s=lifetime_s, renewed=tuple(some))
            for (issued, lifetime_s), all_of_them in together.items()
            for some in _parts(all_of_them)
        ]

    def _renewed(self, quote: Quote) -> Renewed | None:
        base, base_name, used = self._bases.get(quote.resource_class, (quote, b"", RENEWALS_MAX))
        issued, lifetime_s = _times(quote)
        if used >= RENEWALS_MAX or lifetime_s < 1:
            return None
        renewed = Renewed(
            base=base_name,
            seq=quote.seq,
            previous_level_ppm=quote.inputs.previous_level_ppm,
            slots=quote.inputs.slots,
            window_ms=quote.inputs.window_ms,
            busy_slot_ms=quote.inputs.busy_slot_ms,
            free_slots=quote.free_slots,
            speed_milli_per_s=quote.speed_milli_per_s,
        )
        alone = QuoteRenewal(issued_at_unix_s=issued, lifetime_s=lifetime_s, renewed=(renewed,))
        if expand(base, alone, renewed) != quote:
            return None
        self._bases[quote.resource_class] = (base, base_name, used + 1)
        return renewed


def parts_of(signed: Signed, base: Signed) -> tuple[Signed, ...]:
    """Return what proves a quote to somebody who knows nothing: its base first, and itself."""
    return (signed,) if signed.body == base.body else (base, signed)


def _times(quote: Quote) -> tuple[int, int]:
    return quote.issued_at_unix_s, quote.expires_at_unix_s - quote.issued_at_unix_s


def _parts(renewed: list[Renewed]) -> list[list[Renewed]]:
    return [renewed[at : at + RENEWED_MAX] for at in range(0, len(renewed), RENEWED_MAX)]
