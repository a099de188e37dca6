"""Making the quotes of a provider, and checking those of others.

In a small market a quote lives for a minute and is published again every quarter of
one, and at once when its level or the number of free slots changes. The more
providers quote the classes of a kind, the longer each waits, so that all of them together
publish at most `REISSUES_PER_S` renewals and `CHANGES_PER_S` changes a second
(as members of an RTP session share its bandwidth: RFC 3550, section 6.2). The classes
share that rate max-min fairly: one with few providers hardly waits for a big one.
Only a finished load window moves the level; a quote in between repeats the window
of the last one.
"""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from msgspec.structs import replace

from cocoon.market.load import WINDOW_MS, Load, LoadWindow
from cocoon.market.price import PPM, WINDOW_MS_MIN, next_level_ppm, schedule_at
from cocoon.messages import (
    VERSION,
    Kind,
    Limits,
    ModelOnOffer,
    PriceInputs,
    PriceSchedule,
    Quote,
    Tier,
    resource_class,
)
from overlay.errors import LocalProtocolError
from overlay.gossip.shares import max_min

LIFETIME_S: Final = 60
LIFETIME_S_MAX: Final = 2500
REISSUE_S: Final = 15
REISSUE_S_MAX: Final = 1000
REISSUES_PER_S: Final = 10
"""Of all providers of a kind, whose quotes share a topic, when nothing changes."""
CHANGES_PER_S: Final = 50
"""The same, while levels and free slots change."""
UNHURRIED: Final = REISSUES_PER_S * REISSUE_S
"""So many providers may all renew every `REISSUE_S`."""
FAREWELL_S: Final = 10
"""How long the last quote of a provider that leaves lives: long enough to be passed on."""
REISSUE_S_MIN: Final = 1
"""Busy providers change their free slots many times a second; their quotes do not."""
CLOCK_SKEW_S: Final = 5
SPEED_MILLI_PER_S_MAX: Final = 10**9
TOKENS_MAX: Final = 1 << 24
AUDIO_SECONDS_MAX: Final = 86_400
INPUT_BYTES_MAX: Final = 1 << 30
KERNEL_MS_MAX: Final = 600_000
KERNEL_BYTES_MAX: Final = 1 << 30
_SEQ_PER_SECOND: Final = 256
_CLASS: Final = re.compile(r"(chat|transcribe|kernel)/[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceTerms:
    """What an operator sets; the rule does the rest. Levels are ppm of `base`."""

    base: PriceSchedule
    start_level_ppm: int = PPM
    floor_ppm: int = 500_000
    cap_ppm: int = 4 * PPM
    elasticity_ppm: int = 50_000
    step_max_ppm: int = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Offering:
    """One model as one provider sells it."""

    peer_id: str
    statement_id: bytes
    model: ModelOnOffer
    terms: PriceTerms
    tier: Tier
    evidence_id: bytes = bytes(32)

    @property
    def resource_class(self) -> str:
        """The class that the quotes are for."""
        return resource_class(self.model.kind, self.model.model_id.hex())


def kind_of_class(resource_class: str) -> Kind:
    """Return the kind of job of a resource class.

    >>> kind_of_class("chat/00ff").value
    'chat'
    """
    return Kind(resource_class.partition("/")[0])


def first_seq(now_unix_s: int) -> int:
    """Return where a provider without memory starts to count: above all it ever published."""
    return now_unix_s * _SEQ_PER_SECOND


def effective_crowd(resource_class: str, providers: Mapping[str, int]) -> int:
    """Return among how many providers of a lone class one would wait as long as in this one.

    Args:
        resource_class: whose providers ask.
        providers: how many each class of the kind has.

    >>> effective_crowd("a", {"a": 40}), effective_crowd("a", {"a": 10_000})
    (40, 10000)
    >>> [effective_crowd(each, {"big": 9900, "small": 50}) for each in ("big", "small")]
    [14850, 150]
    """
    count = providers.get(resource_class, 0)
    part = max_min(providers, UNHURRIED).get(resource_class, 0.0)
    if part >= count:
        return min(sum(providers.values()), UNHURRIED)
    return math.ceil(count * UNHURRIED / part)


def reissue_s(crowd: int) -> int:
    """Return how long an unchanged quote stands among *crowd* providers, in seconds.

    >>> reissue_s(10), reissue_s(10_000)
    (15, 1000)
    """
    return min(max(REISSUE_S, -(-crowd // REISSUES_PER_S)), REISSUE_S_MAX)


def change_s(crowd: int) -> int:
    """Return how long a change waits after the last quote, among *crowd* providers, in seconds."""
    return min(max(REISSUE_S_MIN, -(-crowd // CHANGES_PER_S)), REISSUE_S_MAX)


def lifetime_s(crowd: int) -> int:
    """Return how long a quote lives: two and a half times as long as it stands, or longer."""
    return max(LIFETIME_S, 5 * reissue_s(crowd) // 2)


def make_quote(
    offering: Offering,
    *,
    previous: Quote | None,
    load: Load | None,
    slots: int,
    free_slots: int,
    speed_milli_per_s: int,
    now_unix_s: int,
    lifetime_s: int = LIFETIME_S,
) -> Quote:
    """Return the next quote of *offering*, its price by the rule.

    Args:
        offering: what is for sale.
        previous: the last quote published; None starts at `terms.start_level_ppm`.
        load: the window just finished, or None to repeat the one of *previous*.
        slots: how many jobs the provider runs at once.
        free_slots: how many more it would take now.
        speed_milli_per_s: measured, thousandths of output tokens or audio seconds a second.
        now_unix_s: the time of issue.
        lifetime_s: how long it is good.
    """
    inputs = _inputs(offering.terms, previous, load, slots)
    level_ppm = next_level_ppm(inputs)
    return Quote(
        version=VERSION,
        peer_id=offering.peer_id,
        statement_id=offering.statement_id,
        resource_class=offering.resource_class,
        model_name=offering.model.name,
        seq=first_seq(now_unix_s) if previous is None else previous.seq + 1,
        inputs=inputs,
        level_ppm=level_ppm,
        schedule=schedule_at(inputs.base, level_ppm),
        free_slots=min(free_slots, inputs.slots),
        speed_milli_per_s=min(speed_milli_per_s, SPEED_MILLI_PER_S_MAX),
        limits=offering.model.limits,
        tier=offering.tier,
        evidence_id=offering.evidence_id,
        issued_at_unix_s=now_unix_s,
        expires_at_unix_s=now_unix_s + lifetime_s,
    )


def _inputs(
    terms: PriceTerms, previous: Quote | None, load: Load | None, slots: int
) -> PriceInputs:
    if load is None and previous is not None:
        window = previous.inputs
        measured = Load(window.slots, window.window_ms, window.busy_slot_ms)
        level_ppm = window.previous_level_ppm
    else:
        # A newcomer has measured nothing: the shortest window, and idle.
        measured = load or Load(slots, WINDOW_MS_MIN, 0)
        level_ppm = terms.start_level_ppm if previous is None else previous.level_ppm
    return PriceInputs(
        base=terms.base,
        previous_level_ppm=level_ppm,
        floor_ppm=terms.floor_ppm,
        cap_ppm=terms.cap_ppm,
        elasticity_ppm=terms.elasticity_ppm,
        step_max_ppm=terms.step_max_ppm,
        slots=measured.slots,
        window_ms=measured.window_ms,
        busy_slot_ms=measured.busy_slot_ms,
    )


class Quoter:
    """All quotes of one provider: its load window, and the last quote of each class.

    Ask `due` about once a second and publish what it returns; report each job
    with `started` and `ended`. Times: `now_ms` of any steady clock.

    Raises:
        LocalProtocolError: a window that the rule does not allow.
    """

    def __init__(
        self,
        offerings: Iterable[Offering],
        *,
        slots: int,
        now_ms: int,
        window_ms: int = WINDOW_MS,
        restored: Iterable[Quote] = (),
    ) -> None:
        if window_ms < WINDOW_MS_MIN:
            raise LocalProtocolError(f"window of {window_ms} ms, at least {WINDOW_MS_MIN}")
        self._offerings = {offering.resource_class: offering for offering in offerings}
        self._last = {quote.resource_class: quote for quote in restored}
        self._speed_milli_per_s: dict[str, int] = {}
        self.window = LoadWindow(slots=slots, now_ms=now_ms, window_ms=window_ms)

    def started(self, now_ms: int) -> None:
        """A job took a slot."""
        self.window.started(now_ms)

    def ended(self, now_ms: int) -> None:
        """A job gave its slot back."""
        self.window.ended(now_ms)

    def measured(self, resource_class: str, speed_milli_per_s: int) -> None:
        """Tell the speed of the last job of a class: thousandths of output units a second."""
        self._speed_milli_per_s[resource_class] = speed_milli_per_s

    def last(self, resource_class: str) -> Quote | None:
        """Return the newest quote of a class: what an offer must keep to."""
        return self._last.get(resource_class)

    def replace(self, offering: Offering) -> None:
        """Sell on new terms (or under a new statement) from the next quote on."""
        self._offerings[offering.resource_class] = offering

    def due(self, *, now_ms: int, now_unix_s: int, crowd: int = 0) -> list[Quote]:
        """Return the quotes to publish now; each is remembered as the last of its class.

        Args:
            now_ms: steady time.
            now_unix_s: the time of issue.
            crowd: how many providers quote our classes, as far as we know.
        """
        load = self.window.take(now_ms) if self._may_step(now_unix_s, crowd) else None
        made = [
            self._make(offering, step, now_unix_s, crowd)
            for key, offering in self._offerings.items()
            for step in [self._step(self._last.get(key), offering, load)]
            if step is not None or self._is_due(self._last.get(key), offering, now_unix_s, crowd)
        ]
        self._last.update((quote.resource_class, quote) for quote in made)
        return made

    def farewell(self, *, now_unix_s: int) -> list[Quote]:
        """Return the last quotes before we leave: no slot is free, and they are soon over."""
        made = [
            replace(
                self._make(offering, None, now_unix_s, 0),
                free_slots=0,
                expires_at_unix_s=now_unix_s + FAREWELL_S,
            )
            for key, offering in self._offerings.items()
            if key in self._last
        ]
        self._last.update((quote.resource_class, quote) for quote in made)
        return made

    def _may_step(self, now_unix_s: int, crowd: int) -> bool:
        """Tell whether a change could be published now; until then the window goes on."""
        issued = [quote.issued_at_unix_s for quote in self._last.values()]
        return not issued or not 0 <= now_unix_s - max(issued) < change_s(crowd)

    def _step(self, last: Quote | None, offering: Offering, load: Load | None) -> Load | None:
        """Return *load* if it is news: a window that leaves the level where it was is none."""
        if load is None or last is None:
            return load
        moved = next_level_ppm(_inputs(offering.terms, last, load, self.window.slots))
        return load if moved != last.level_ppm else None

    def _make(self, offering: Offering, load: Load | None, now_unix_s: int, crowd: int) -> Quote:
        key = offering.resource_class
        return make_quote(
            offering,
            previous=self._last.get(key),
            load=load,
            slots=self.window.slots,
            free_slots=self.window.free_slots,
            speed_milli_per_s=self._speed_milli_per_s.get(key, 0),
            now_unix_s=now_unix_s,
            lifetime_s=lifetime_s(crowd),
        )

    def _is_due(self, last: Quote | None, offering: Offering, now_unix_s: int, crowd: int) -> bool:
        if last is None:
            return True
        age_s = now_unix_s - last.issued_at_unix_s
        changed = (
            last.free_slots != self.window.free_slots
            or last.statement_id != offering.statement_id
            or last.inputs != _inputs(offering.terms, last, None, self.window.slots)
        )
        return age_s >= reissue_s(crowd) or age_s < 0 or (changed and age_s >= change_s(crowd))


def validate_quote(
    quote: Quote, *, peer_id: str, now_unix_s: int, clock_skew_s: int = CLOCK_SKEW_S
) -> list[str]:
    """Say what is wrong with a quote from *peer_id*, apart from its price; empty when nothing is.

    Args:
        quote: from the network; its signature has been checked.
        peer_id: who signed it.
        now_unix_s: our time.
        clock_skew_s: how far the peer's clock may be from ours.
    """
    return malformed(quote, peer_id=peer_id) + bad_times(quote, now_unix_s, clock_skew_s)


def malformed(quote: Quote, *, peer_id: str) -> list[str]:
    """Say what is wrong with a quote whatever the time is; empty when nothing is."""
    reasons = []
    if quote.version != VERSION:
        reasons.append(f"version {quote.version}, this node speaks {VERSION}")
    if quote.peer_id != peer_id:
        reasons.append(f"signed by {peer_id}, speaks for {quote.peer_id}")
    if not _CLASS.fullmatch(quote.resource_class):
        reasons.append("malformed resource class")
    if quote.free_slots > quote.inputs.slots:
        reasons.append(f"{quote.free_slots} of {quote.inputs.slots} slots free")
    lifetime_s = quote.expires_at_unix_s - quote.issued_at_unix_s
    if not 0 < lifetime_s <= LIFETIME_S_MAX:
        reasons.append(f"lifetime of {lifetime_s} s, at most {LIFETIME_S_MAX}")
    return reasons + _absurd(quote.limits, quote.speed_milli_per_s)


def bad_times(quote: Quote, now_unix_s: int, clock_skew_s: int = CLOCK_SKEW_S) -> list[str]:
    """Say whether a quote is expired or from the future; empty when it is live."""
    reasons = []
    issued, expires = quote.issued_at_unix_s, quote.expires_at_unix_s
    if issued > now_unix_s + clock_skew_s:
        reasons.append(f"issued {issued - now_unix_s} s in the future")
    if expires <= now_unix_s:
        reasons.append(f"expired {now_unix_s - expires} s ago")
    return reasons


def _absurd(limits: Limits, speed_milli_per_s: int) -> list[str]:
    return [
        f"{what} of {value}, at most {limit}"
        for what, value, limit in (
            ("context", limits.context_tokens, TOKENS_MAX),
            ("output", limits.output_tokens_max, TOKENS_MAX),
            ("audio seconds", limits.audio_seconds_max, AUDIO_SECONDS_MAX),
            ("input bytes", limits.input_bytes_max, INPUT_BYTES_MAX),
            ("kernel ms", limits.kernel_ms_max, KERNEL_MS_MAX),
            ("kernel memory", limits.kernel_memory_bytes_max, KERNEL_BYTES_MAX),
            ("kernel output", limits.kernel_output_bytes_max, KERNEL_BYTES_MAX),
            ("speed", speed_milli_per_s, SPEED_MILLI_PER_S_MAX),
        )
        if value > limit
    ]
