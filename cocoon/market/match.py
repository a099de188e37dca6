"""Whom to ask, and whose offer to take. Everybody else gets a typed reason.

The score of a provider is what the job is expected to cost there, made larger by
slowness and unreliability; the lowest wins. Scores are exact integers:

    score = cost x (price_weight + speed_weight x slowness)
                 x (price_weight + reliability_weight x unreliability)

slowness is how much longer than at `speed_enough_milli_per_s` the job takes (0 when
it is fast enough: boasting beyond that gains nothing), unreliability is 1/p - 1 with
p the share of jobs that succeeded. No score depends on the other candidates, so
nobody can change the order of two others. Among the near-best the draw is random,
so that not everybody runs to the same provider at once. Who was refused as busy
draws among all that are free at an acceptable price (adr/0013): the best are what
everybody runs to, and quotes are a moment old.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from cocoon.market.book import Flag, Listing
from cocoon.market.price import AMOUNT_NANOTON_MAX, PPM, above, at_most, worst_case_cost
from cocoon.market.sizes import JobSize, too_small
from cocoon.messages import Limits, LossReason, PriceSchedule, Quote, Tier

ANY_PRICE: Final = PriceSchedule(
    prompt_token=AMOUNT_NANOTON_MAX,
    cached_token=AMOUNT_NANOTON_MAX,
    output_token=AMOUNT_NANOTON_MAX,
    audio_second=AMOUNT_NANOTON_MAX,
    gpu_ms=AMOUNT_NANOTON_MAX,
)
"""A ceiling that is none."""

SLOWNESS_PPM_MAX: Final = 9 * PPM
_SUCCESSES_ASSUMED: Final = 9
_FAILURES_ASSUMED: Final = 1
"""A newcomer counts like one that did nine of ten jobs."""
_DETAIL_MAX: Final = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """What the requester wants.

    Attributes:
        ceiling: the most per unit; every field must hold.
        tier_min: the least that our own node must have checked.
        price_weight, speed_weight, reliability_weight: only their ratios matter.
        speed_enough_milli_per_s: output units a second, in thousandths, beyond
            which faster is not better.
        near_best_ppm: scores this close to the best are drawn from at random.
        stretch_ppm: quotes this far above the ceiling are still asked (after all
            others): they may come down to it.
        ask_max: how many providers are asked.
        excluded: peers that are not asked, for example after a failure of this job.
        busy: peers that refused this job as busy. When there are any, whom to ask is drawn
            from everybody else who is free at an acceptable price, whatever the score;
            they themselves count as having no free slot.
    """

    ceiling: PriceSchedule = ANY_PRICE
    tier_min: Tier = Tier.OPEN
    price_weight: int = 2
    speed_weight: int = 1
    reliability_weight: int = 2
    speed_enough_milli_per_s: int = 30_000
    near_best_ppm: int = 50_000
    stretch_ppm: int = 250_000
    ask_max: int = 4
    excluded: frozenset[str] = frozenset()
    busy: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Track:
    """What our own receipts say of a provider; never hearsay.

    Attributes:
        jobs: finished well.
        failures: refused after the offer, died, or cheated.
        speed_milli_per_s: measured by us; 0 when we have not yet.
    """

    jobs: int = 0
    failures: int = 0
    speed_milli_per_s: int = 0

    @property
    def success_ppm(self) -> int:
        """The chance that the next job succeeds, in parts per million."""
        good = self.jobs + _SUCCESSES_ASSUMED
        return PPM * good // (good + self.failures + _FAILURES_ASSUMED)


STRANGER: Final = Track()


@dataclass(frozen=True, slots=True)
class Score:
    """How one provider does on this job.

    Attributes:
        total: the smaller, the better; comparable between scores of one job.
        cost_nanoton: the most that the job costs there (at least 1 here, so that
            speed still counts among free ones).
    """

    total: int
    cost_nanoton: int
    speed_milli_per_s: int
    slowness_ppm: int
    success_ppm: int


@dataclass(frozen=True, slots=True)
class Loss:
    """Why a provider did not get the job."""

    peer: str
    reason: LossReason
    detail: str


@dataclass(frozen=True, slots=True)
class Shortlist:
    """Whom to ask, best first, and why not the others.

    Attributes:
        free_left: how many that are suitable and say that they are free were not asked.
    """

    asked: tuple[Listing, ...]
    passed_over: tuple[Loss, ...]
    free_left: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferSeen:
    """One valid offer, with what its provider's quote said about speed."""

    peer: str
    schedule: PriceSchedule
    limits: Limits
    tier: Tier
    speed_milli_per_s: int


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome; `winner` is None when no offer is acceptable."""

    winner: OfferSeen | None
    losers: tuple[Loss, ...]


@dataclass(slots=True)
class _Sieve:
    losses: list[Loss] = field(default_factory=list)

    def drop(self, peer: str, reason: LossReason, detail: str) -> None:
        self.losses.append(Loss(peer, reason, detail[:_DETAIL_MAX]))


def score(
    schedule: PriceSchedule,
    claimed_speed_milli_per_s: int,
    size: JobSize,
    prefs: Preferences,
    track: Track = STRANGER,
) -> Score:
    """Return the score of a provider for a job of this size; our measurement beats its claim."""
    speed = track.speed_milli_per_s or claimed_speed_milli_per_s
    slowness = _slowness_ppm(speed, prefs.speed_enough_milli_per_s)
    unreliability = PPM * PPM // track.success_ppm - PPM
    worst = max(1, worst_case_cost(schedule, size))
    total = (
        worst
        * (prefs.price_weight * PPM + prefs.speed_weight * slowness)
        * (prefs.price_weight * PPM + prefs.reliability_weight * unreliability)
    )
    return Score(total, worst, speed, slowness, track.success_ppm)


def _slowness_ppm(speed_milli_per_s: int, enough_milli_per_s: int) -> int:
    if speed_milli_per_s >= enough_milli_per_s:
        return 0
    longer = enough_milli_per_s * PPM // max(1, speed_milli_per_s) - PPM
    return min(longer, SLOWNESS_PPM_MAX)


def shortlist(
    candidates: Iterable[Listing],
    prefs: Preferences,
    tracks: Mapping[str, Track],
    size: JobSize,
    rng: random.Random,
) -> Shortlist:
    """Choose whom to ask.

    Who quotes no free slot comes last, and is asked all the same when there is room: a
    quote is up to a few seconds old, and who is still busy says so at once. After a
    refusal as busy (`prefs.busy`) those that fit are in random order, best or not.

    Args:
        candidates: the live quotes of the class.
        prefs: what the requester wants.
        tracks: our receipts, by peer; missing peers are strangers.
        size: upper bounds of the job.
        rng: draws among the near-best, or among all that fit.
    """
    sieve, fits, dear, busy = _Sieve(), list[Listing](), list[Listing](), list[Listing]()
    for listing in candidates:
        objection = _objection(listing, prefs, size)
        if objection is not None:
            sieve.drop(listing.quote.peer_id, *objection)
        elif not _is_free(listing.quote, prefs):
            busy.append(listing)
        elif at_most(listing.quote.schedule, prefs.ceiling):
            fits.append(listing)
        else:
            dear.append(listing)
    ranked = [
        one for group in (fits, dear, busy) for one in _ranked(group, prefs, tracks, size, rng)
    ]
    if prefs.busy:
        _shuffle_first(ranked, len(fits), rng)
    asked, rest = ranked[: prefs.ask_max], ranked[prefs.ask_max :]
    best = min((one for _, one in asked), key=lambda one: one.total, default=None)
    for listing, its_score in rest:
        sieve.drop(listing.quote.peer_id, *_not_asked(listing.quote, its_score, best, prefs))
    free_left = max(0, len(fits) + len(dear) - len(asked))
    return Shortlist(tuple(listing for listing, _ in asked), tuple(sieve.losses), free_left)


def _is_free(quote: Quote, prefs: Preferences) -> bool:
    return quote.free_slots > 0 and quote.peer_id not in prefs.busy


def _shuffle_first(ranked: list[tuple[Listing, Score]], count: int, rng: random.Random) -> None:
    first = ranked[:count]
    rng.shuffle(first)
    ranked[:count] = first


def _objection(
    listing: Listing, prefs: Preferences, size: JobSize
) -> tuple[LossReason, str] | None:
    quote = listing.quote
    if quote.peer_id in prefs.excluded:
        return LossReason.NOT_ASKED, "excluded for this job"
    if listing.faulty:
        forked = Flag.EQUIVOCATION in listing.flags
        reason = LossReason.PROTOCOL_VIOLATION if forked else LossReason.PRICE_NOT_BY_RULE
        return reason, "; ".join(listing.reasons)
    if quote.tier < prefs.tier_min:
        return LossReason.TIER_TOO_LOW, f"{quote.tier.name}, wanted {prefs.tier_min.name}"
    wrong_size = too_small(quote.limits, size)
    if wrong_size:
        return LossReason.TOO_SMALL, wrong_size
    over = above(quote.schedule, _stretched(prefs))
    return (LossReason.OVER_CEILING, over) if over else None


def _stretched(prefs: Preferences) -> PriceSchedule:
    ceiling = prefs.ceiling

    def further(price: int) -> int:
        return price * (PPM + prefs.stretch_ppm) // PPM

    return PriceSchedule(
        prompt_token=further(ceiling.prompt_token),
        cached_token=further(ceiling.cached_token),
        output_token=further(ceiling.output_token),
        audio_second=further(ceiling.audio_second),
        gpu_ms=further(ceiling.gpu_ms),
    )


def _ranked(
    listings: Sequence[Listing],
    prefs: Preferences,
    tracks: Mapping[str, Track],
    size: JobSize,
    rng: random.Random,
) -> list[tuple[Listing, Score]]:
    """Return the listings best first, the near-best among them shuffled."""
    scored = [
        (listing, score(quote.schedule, quote.speed_milli_per_s, size, prefs, track))
        for listing in listings
        for quote in (listing.quote,)
        for track in (tracks.get(quote.peer_id, STRANGER),)
    ]
    scored.sort(key=lambda pair: (pair[1].total, pair[0].quote.peer_id))
    if not scored:
        return []
    best = scored[0][1]
    near = [pair for pair in scored if _is_near(pair[1], best, prefs)]
    far = scored[len(near) :]
    rng.shuffle(near)
    return near + far


def _is_near(one: Score, best: Score, prefs: Preferences) -> bool:
    return one.total * PPM <= best.total * (PPM + prefs.near_best_ppm)


def _not_asked(
    quote: Quote, one: Score, best: Score | None, prefs: Preferences
) -> tuple[LossReason, str]:
    if quote.peer_id in prefs.busy:
        return LossReason.NO_FREE_SLOT, "it refused this job as busy"
    if not quote.free_slots:
        return LossReason.NO_FREE_SLOT, f"all {quote.inputs.slots} slots busy"
    if best is None:
        return LossReason.NOT_ASKED, "nobody is asked"
    if prefs.busy and at_most(quote.schedule, prefs.ceiling):
        return LossReason.NOT_DRAWN, f"drawn among all that are free, {prefs.ask_max} asked"
    times = f"{_times(one.total, best.total)} the score of the best, {prefs.ask_max} asked"
    near = _is_near(one, best, prefs)
    return (LossReason.NOT_DRAWN if near else LossReason.NOT_ASKED), times


def _times(one: int, other: int) -> str:
    """Write a ratio, rounded half up.

    >>> _times(131, 100)
    '1.31x'
    """
    hundredths = (one * 200 + other) // (2 * other) if other else 0
    return f"{hundredths // 100}.{hundredths % 100:02d}x"


def choose(
    offers: Iterable[OfferSeen],
    prefs: Preferences,
    tracks: Mapping[str, Track],
    size: JobSize,
    rng: random.Random,
) -> Decision:
    """Choose the winner; every other offer gets exactly one reason."""
    sieve, scored = _Sieve(), []
    for offer in offers:
        objection = _offer_objection(offer, prefs, size)
        if objection is not None:
            sieve.drop(offer.peer, *objection)
            continue
        track = tracks.get(offer.peer, STRANGER)
        scored.append((offer, score(offer.schedule, offer.speed_milli_per_s, size, prefs, track)))
    if not scored:
        return Decision(None, tuple(sieve.losses))
    scored.sort(key=lambda pair: (pair[1].total, pair[0].peer))
    best = scored[0][1]
    near = [pair for pair in scored if _is_near(pair[1], best, prefs)]
    winner, winning = near[rng.randrange(len(near))]
    for offer, its_score in scored:
        if offer is not winner:
            near_best = _is_near(its_score, best, prefs)
            sieve.drop(offer.peer, *_why_lost(its_score, winning, near_best=near_best))
    return Decision(winner, tuple(sieve.losses))


def _offer_objection(
    offer: OfferSeen, prefs: Preferences, size: JobSize
) -> tuple[LossReason, str] | None:
    if offer.tier < prefs.tier_min:
        return LossReason.TIER_TOO_LOW, f"{offer.tier.name}, wanted {prefs.tier_min.name}"
    wrong_size = too_small(offer.limits, size)
    if wrong_size:
        return LossReason.TOO_SMALL, wrong_size
    over = above(offer.schedule, prefs.ceiling)
    return (LossReason.OVER_CEILING, over) if over else None


def _why_lost(one: Score, winning: Score, *, near_best: bool) -> tuple[LossReason, str]:
    """Return the reason that weighed most against *one*."""
    if near_best:
        times = _times(one.total, winning.total)
        return LossReason.NOT_DRAWN, f"{times} the winner's score: as good, not drawn"
    factors = (
        (one.cost_nanoton, winning.cost_nanoton, LossReason.MORE_EXPENSIVE),
        (PPM + one.slowness_ppm, PPM + winning.slowness_ppm, LossReason.SLOWER),
        (winning.success_ppm, one.success_ppm, LossReason.LESS_RELIABLE),
    )
    mine, its, reason = max(factors, key=lambda factor: factor[0] * PPM // factor[1])
    return reason, _in_words(reason, one, winning, _times(mine, its))


def _per_s(one: Score) -> str:
    return f"{one.speed_milli_per_s // 1000}.{one.speed_milli_per_s % 1000 // 100}"


def _in_words(reason: LossReason, one: Score, winning: Score, times: str) -> str:
    match reason:
        case LossReason.MORE_EXPENSIVE:
            prices = f"{one.cost_nanoton} against {winning.cost_nanoton} nanoton"
            return f"{times} the winner's price ({prices})"
        case LossReason.SLOWER:
            speeds = f"{_per_s(one)} against {_per_s(winning)} a second"
            return f"{times} the winner's time ({speeds})"
        case _:
            shares = f"{one.success_ppm} against {winning.success_ppm} ppm"
            return f"the winner is {times} as reliable ({shares} of jobs succeed)"
