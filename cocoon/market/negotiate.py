"""The requester's side of negotiation: offers in, one choice out. Always ends.

It ends when everybody asked has answered, or at the soft deadline with at least
one offer, or at the hard deadline with whatever there is. At most one
counter-offer is sent, and only when no offer is at the target price.
"""

import enum
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeAlias, assert_never

from cocoon.confidential.transcript import evidence_id
from cocoon.market.desk import OFFER_LIFETIME_S_MAX
from cocoon.market.match import ANY_PRICE, Loss, OfferSeen, Preferences, Track, choose
from cocoon.market.price import (
    PPM,
    above,
    at_most,
    highest_after,
    lower_of,
    schedule_at,
    worst_case_cost,
)
from cocoon.market.quotes import CLOCK_SKEW_S
from cocoon.market.sizes import size_of, too_small
from cocoon.messages import (
    CounterOffer,
    Hash,
    LossReason,
    Offer,
    PriceSchedule,
    Quote,
    Refusal,
    RefusalCode,
    RequestForOffer,
    Statement,
)

SOFT_DEADLINE_S: Final = 2.0
HARD_DEADLINE_S: Final = 8.0
COUNTER_TIMEOUT_S: Final = 2.0
_SILENT: Final = "no answer before the choice"

# --- events ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OfferReceived:
    """A provider offered; the signature by `peer` has been checked.

    Attributes:
        offer_hash: sha256 of the offer's bytes.
        statement: what the provider's verified statement says; None leaves the
            payee unchecked here.
    """

    peer: str
    offer: Offer
    offer_hash: Hash
    statement: Statement | None = None


@dataclass(frozen=True, slots=True)
class RefusalReceived:
    """A provider said no: to the request, or to the counter-offer."""

    peer: str
    refusal: Refusal


@dataclass(frozen=True, slots=True)
class PeerFailed:
    """A provider could not be reached, went away, or broke the protocol."""

    peer: str
    reason: LossReason
    detail: str


@dataclass(frozen=True, slots=True)
class TimePassed:
    """Nothing but time; sent when `Negotiation.wake_at_s` has come."""


Event: TypeAlias = OfferReceived | RefusalReceived | PeerFailed | TimePassed

# --- effects --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SendRequest:
    """Send the request to this peer."""

    peer: str


@dataclass(frozen=True, slots=True)
class SendCounter:
    """Send the one counter-offer."""

    peer: str
    counter: CounterOffer


@dataclass(frozen=True, slots=True)
class SendDecline:
    """Tell a peer that it lost, and hang up."""

    peer: str
    reason: LossReason
    detail: str


@dataclass(frozen=True, slots=True)
class Choose:
    """Accept this offer; the negotiation is over."""

    peer: str
    offer: Offer
    offer_hash: Hash


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Nobody is left; the negotiation is over."""

    losses: tuple[Loss, ...]


Effect: TypeAlias = SendRequest | SendCounter | SendDecline | Choose | GiveUp


# --- the offer itself -----------------------------------------------------------------


def offer_problem(
    offer: Offer,
    *,
    peer: str,
    request: RequestForOffer,
    request_hash: Hash,
    quote: Quote,
    statement: Statement | None,
    now_unix_s: int,
) -> tuple[LossReason, str] | None:
    """Say what is wrong with an offer, measured by what was asked and what was quoted.

    The price must not be above the quote's. Under a newer quote it may have made
    the steps up that the price rule allows for the time that passed, no more.
    """
    return (
        _not_an_answer(offer, peer, request_hash, now_unix_s)
        or _not_as_quoted(offer, quote, now_unix_s)
        or _not_as_stated(offer, statement, request)
        or _not_as_asked(offer, request)
    )


def _not_an_answer(
    offer: Offer, peer: str, request_hash: Hash, now_unix_s: int
) -> tuple[LossReason, str] | None:
    left_s = offer.expires_at_unix_s - now_unix_s
    if offer.request_hash != request_hash:
        problem = "it answers another request"
    elif offer.provider != peer:
        problem = f"it is the offer of {offer.provider}"
    elif left_s <= 0:
        problem = f"it expired {-left_s} s ago"
    elif left_s > OFFER_LIFETIME_S_MAX + CLOCK_SKEW_S:
        problem = f"it is good for {left_s} s, at most {OFFER_LIFETIME_S_MAX}"
    else:
        return None
    return LossReason.PROTOCOL_VIOLATION, problem


def _not_as_quoted(offer: Offer, quote: Quote, now_unix_s: int) -> tuple[LossReason, str] | None:
    dearer = above(offer.schedule, _quoted_at_most(offer, quote, now_unix_s))
    if dearer:
        problem = f"dearer than quoted: {dearer}"
    elif offer.quote_seq < quote.seq:
        problem = f"priced by quote {offer.quote_seq}, {quote.seq} was already out"
    elif offer.tier < quote.tier:
        problem = f"tier {offer.tier.name}, quoted {quote.tier.name}"
    elif offer.quote_seq == quote.seq and offer.statement_id != quote.statement_id:
        problem = "another statement than the quote names"
    else:
        return None
    return LossReason.BAIT_AND_SWITCH, problem


def _quoted_at_most(offer: Offer, quote: Quote, now_unix_s: int) -> PriceSchedule:
    if offer.quote_seq <= quote.seq:
        return quote.schedule
    inputs = quote.inputs
    elapsed_ms = 1000 * max(0, now_unix_s - quote.issued_at_unix_s)
    steps = min(elapsed_ms // inputs.window_ms + 1, 120)
    level_ppm = highest_after(quote.level_ppm, inputs.step_max_ppm, steps)
    return schedule_at(inputs.base, min(level_ppm, max(inputs.cap_ppm, quote.level_ppm)))


def _not_as_stated(
    offer: Offer, statement: Statement | None, request: RequestForOffer
) -> tuple[LossReason, str] | None:
    """Compare with the statement all that the receipt's check will compare, before any payment."""
    if statement is None:
        return None
    payee = (statement.payment_address, statement.payee_key)
    wanted_s, stated_s = offer.challenge_s_min, statement.challenge_s_min
    checks = (
        (statement.peer_id == offer.provider, "the statement of another provider"),
        (statement.chain_network_id == request.chain_network_id, "it is paid on another chain"),
        ((offer.payee_address, offer.payee_key) == payee, "another payee than the statement names"),
        (wanted_s <= stated_s, f"wants {wanted_s} s to challenge, stated {stated_s} s"),
        (offer.tier == statement.tier, f"tier {offer.tier.name}, stated {statement.tier.name}"),
        (offer.evidence_id == evidence_id(statement.evidence), "evidence that is not stated"),
    )
    problem = next((words for holds, words in checks if not holds), "")
    return (LossReason.BAIT_AND_SWITCH, problem) if problem else None


def _not_as_asked(offer: Offer, request: RequestForOffer) -> tuple[LossReason, str] | None:
    if offer.tier < request.tier_min:
        return LossReason.TIER_TOO_LOW, f"{offer.tier.name}, wanted {request.tier_min.name}"
    size = size_of(request)
    wrong_size = too_small(offer.limits, size)
    if wrong_size:
        return LossReason.TOO_SMALL, wrong_size
    worst = worst_case_cost(offer.schedule, size)
    if offer.spendable_min_nanoton > worst:
        wanted = offer.spendable_min_nanoton
        return LossReason.BAIT_AND_SWITCH, f"wants {wanted} nanoton locked, at most {worst} due"
    return None


# --- the negotiation ------------------------------------------------------------------


class _Stage(enum.Enum):
    ASKED = enum.auto()
    OFFERED = enum.auto()
    COUNTERED = enum.auto()
    OUT = enum.auto()


@dataclass(slots=True)
class _Provider:
    quote: Quote
    stage: _Stage = _Stage.ASKED
    offer: Offer | None = None
    offer_hash: Hash = b""
    was_countered: bool = False


class Negotiation:
    """One request and everybody who was asked.

    Feed it events with `handle`, carry out the effects in order, and come back at
    `wake_at_s` with `TimePassed`. Every peer that was asked ends up either as the
    `winner` or in `losses`, with exactly one reason.
    """

    def __init__(
        self,
        *,
        request: RequestForOffer,
        request_hash: Hash,
        quotes: Iterable[Quote],
        prefs: Preferences,
        tracks: Mapping[str, Track],
        rng: random.Random,
        now_s: float,
        soft_deadline_s: float = SOFT_DEADLINE_S,
        hard_deadline_s: float = HARD_DEADLINE_S,
        counter_below_ppm: int = PPM,
    ) -> None:
        """Prepare to ask the providers of *quotes*.

        Args:
            request: what is sent to all.
            request_hash: sha256 of its bytes.
            quotes: one for each provider on the shortlist.
            prefs: `prefs.ceiling` and `prefs.tier_min` should be those of the request.
            tracks: our receipts, by peer.
            rng: draws among the near-best.
            now_s: steady time; the two deadlines count from here.
            soft_deadline_s: from here on one offer is enough.
            hard_deadline_s: nothing is waited for any longer.
            counter_below_ppm: haggle when no offer is at this share of the ceiling.
        """
        self._request = request
        self._request_hash = request_hash
        self._providers = {quote.peer_id: _Provider(quote) for quote in quotes}
        self._prefs = prefs
        self._tracks = tracks
        self._rng = rng
        self._soft_s = now_s + soft_deadline_s
        self._hard_s = now_s + max(soft_deadline_s, hard_deadline_s)
        self._counter_until_s: float | None = None
        self._target = _scaled(prefs.ceiling, counter_below_ppm)
        self._now_s = now_s
        self._soft_passed = False
        self._done = False
        self._losses: dict[str, Loss] = {}
        self._busy: set[str] = set()
        self._winner: Choose | None = None

    @property
    def done(self) -> bool:
        """Tell whether a choice was made or given up."""
        return self._done

    @property
    def winner(self) -> Choose | None:
        """The choice, None before it and after giving up."""
        return self._winner

    @property
    def losses(self) -> tuple[Loss, ...]:
        """Who lost so far, and why."""
        return tuple(self._losses.values())

    @property
    def refused_busy(self) -> frozenset[str]:
        """Who refused the request for want of a free slot."""
        return frozenset(self._busy)

    @property
    def wake_at_s(self) -> float | None:
        """When `TimePassed` is due next; None when it is over."""
        if self._done:
            return None
        if self._counter_until_s is not None and self._counter_pending(self._now_s):
            return self._counter_until_s
        return self._soft_s if not self._soft_passed else self._hard_s

    def start(self) -> list[Effect]:
        """Return the requests to send."""
        if not self._providers:
            self._done = True
            return [GiveUp(())]
        return [SendRequest(peer) for peer in self._providers]

    def handle(self, event: Event, *, now_s: float, now_unix_s: int) -> list[Effect]:
        """Apply *event*; never raises for anything that a peer can send.

        Args:
            event: what happened.
            now_s: steady time, of the same clock as at construction.
            now_unix_s: wall time, for the expiry of offers.
        """
        if self._done:
            return self._too_late(event)
        effects: list[Effect] = []
        match event:
            case OfferReceived():
                effects = self._offered(event, now_unix_s)
            case RefusalReceived(peer, refusal):
                self._refused(peer, refusal)
            case PeerFailed(peer, reason, detail):
                self._lose(peer, reason, detail)
            case TimePassed():
                pass
            case _:
                assert_never(event)
        return effects + self._decide(now_s, now_unix_s)

    # --- events ----------------------------------------------------------------------

    def _too_late(self, event: Event) -> list[Effect]:
        if not isinstance(event, OfferReceived) or event.peer not in self._losses:
            return []
        loss = self._losses[event.peer]
        return [SendDecline(loss.peer, loss.reason, loss.detail)]

    def _offered(self, event: OfferReceived, now_unix_s: int) -> list[Effect]:
        provider = self._providers.get(event.peer)
        if provider is None or provider.stage is _Stage.OUT:
            return []
        problem = self._problem(event, provider, now_unix_s)
        if problem is not None:
            self._lose(event.peer, *problem)
            return [SendDecline(event.peer, *problem)]
        provider.stage = _Stage.OFFERED
        provider.offer, provider.offer_hash = event.offer, event.offer_hash
        return []

    def _problem(
        self, event: OfferReceived, provider: _Provider, now_unix_s: int
    ) -> tuple[LossReason, str] | None:
        if provider.stage is _Stage.OFFERED:
            return LossReason.PROTOCOL_VIOLATION, "an offer that was not asked for"
        dearer = above(event.offer.schedule, provider.offer.schedule) if provider.offer else ""
        if dearer:
            return LossReason.BAIT_AND_SWITCH, f"dearer after the counter-offer: {dearer}"
        return offer_problem(
            event.offer,
            peer=event.peer,
            request=self._request,
            request_hash=self._request_hash,
            quote=provider.quote,
            statement=event.statement,
            now_unix_s=now_unix_s,
        )

    def _refused(self, peer: str, refusal: Refusal) -> None:
        provider = self._providers.get(peer)
        if provider is not None and provider.stage is _Stage.COUNTERED:
            provider.stage = _Stage.OFFERED  # the first offer still stands
            return
        if provider is not None and provider.stage is _Stage.ASKED:
            self._busy |= {peer} if refusal.code is RefusalCode.BUSY else set()
        detail = f"{refusal.code.value}: {refusal.detail}" if refusal.detail else ""
        self._lose(peer, LossReason.REFUSED, detail or refusal.code.value)

    def _lose(self, peer: str, reason: LossReason, detail: str) -> None:
        provider = self._providers.get(peer)
        if provider is None or provider.stage is _Stage.OUT:
            return
        provider.stage = _Stage.OUT
        self._losses[peer] = Loss(peer, reason, detail[:512])

    # --- deciding --------------------------------------------------------------------

    def _decide(self, now_s: float, now_unix_s: int) -> list[Effect]:
        self._now_s = now_s
        self._soft_passed = self._soft_passed or now_s >= self._soft_s
        effects = self._drop_expired(now_unix_s)
        if not self._is_time(now_s):
            return effects
        countered = self._haggle(now_s)
        if countered is not None:
            return [*effects, countered]
        return effects + self._finish(now_s)

    def _is_time(self, now_s: float) -> bool:
        if now_s >= self._hard_s:
            return True
        if self._counter_pending(now_s):
            return False
        stages = {provider.stage for provider in self._providers.values()}
        if _Stage.ASKED not in stages:
            return True
        return self._soft_passed and bool(stages & {_Stage.OFFERED, _Stage.COUNTERED})

    def _counter_pending(self, now_s: float) -> bool:
        """Tell whether the answer to the counter-offer is still worth waiting for."""
        if self._counter_until_s is None or now_s >= self._counter_until_s:
            return False
        return any(p.stage is _Stage.COUNTERED for p in self._providers.values())

    def _drop_expired(self, now_unix_s: int) -> list[Effect]:
        effects: list[Effect] = []
        for peer, provider in self._providers.items():
            offer = provider.offer
            if provider.stage is _Stage.OUT or offer is None:
                continue
            if offer.expires_at_unix_s <= now_unix_s:
                loss = LossReason.TOO_SLOW_TO_ANSWER, "the offer expired before the choice"
                self._lose(peer, *loss)
                effects.append(SendDecline(peer, *loss))
        return effects

    def _haggle(self, now_s: float) -> Effect | None:
        """Return the one counter-offer, None when it was made, or is not needed, or too late."""
        if now_s >= self._hard_s or any(p.was_countered for p in self._providers.values()):
            return None
        offers = self._offers()
        if any(at_most(seen.schedule, self._target) for seen in offers):
            return None
        open_to_it = [seen for seen in offers if not self._is_final(seen.peer)]
        best = self._choose(open_to_it, replace(self._prefs, ceiling=ANY_PRICE))
        if best is None:
            return None
        provider = self._providers[best.peer]
        provider.stage, provider.was_countered = _Stage.COUNTERED, True
        self._counter_until_s = min(now_s + COUNTER_TIMEOUT_S, self._hard_s)
        schedule = lower_of(best.schedule, self._target)
        counter = CounterOffer(offer_hash=provider.offer_hash, schedule=schedule)
        return SendCounter(best.peer, counter)

    def _finish(self, now_s: float) -> list[Effect]:
        decision = choose(
            self._offers(), self._prefs, self._tracks, size_of(self._request), self._rng
        )
        waiting = [
            peer for peer, provider in self._providers.items() if provider.stage is _Stage.ASKED
        ]
        if decision.winner is None and waiting and now_s < self._hard_s:
            return []
        self._done = True
        declines: list[Effect] = []
        silent = (Loss(peer, LossReason.TOO_SLOW_TO_ANSWER, _SILENT) for peer in waiting)
        for loss in (*decision.losers, *silent):
            self._lose(loss.peer, loss.reason, loss.detail)
            declines.append(SendDecline(loss.peer, loss.reason, loss.detail))
        return [self._outcome(decision.winner), *declines]

    def _outcome(self, winner: OfferSeen | None) -> Effect:
        provider = self._providers[winner.peer] if winner else None
        if winner is None or provider is None or provider.offer is None:
            return GiveUp(self.losses)
        self._winner = Choose(winner.peer, provider.offer, provider.offer_hash)
        return self._winner

    def _offers(self) -> list[OfferSeen]:
        return [
            OfferSeen(
                peer=peer,
                schedule=provider.offer.schedule,
                limits=provider.offer.limits,
                tier=provider.offer.tier,
                speed_milli_per_s=provider.quote.speed_milli_per_s,
            )
            for peer, provider in self._providers.items()
            if provider.offer is not None and provider.stage is not _Stage.OUT
        ]

    def _is_final(self, peer: str) -> bool:
        offer = self._providers[peer].offer
        return offer is not None and offer.final

    def _choose(self, offers: list[OfferSeen], prefs: Preferences) -> OfferSeen | None:
        return choose(offers, prefs, self._tracks, size_of(self._request), self._rng).winner


def _scaled(ceiling: PriceSchedule, share_ppm: int) -> PriceSchedule:
    """Return the share of a ceiling, each field rounded down (for the payer)."""
    return PriceSchedule(
        prompt_token=ceiling.prompt_token * share_ppm // PPM,
        cached_token=ceiling.cached_token * share_ppm // PPM,
        output_token=ceiling.output_token * share_ppm // PPM,
        audio_second=ceiling.audio_second * share_ppm // PPM,
        gpu_ms=ceiling.gpu_ms * share_ppm // PPM,
    )
