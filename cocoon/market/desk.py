"""The provider's side of negotiation: requests in, offers or typed refusals out.

An outstanding offer reserves nothing, and neither does an accepted one before its
payment is found good: until then it is only words, and free. A slot is taken when the
job begins, first come first served; at most a few offers are outstanding per peer.
Who chose an offer, and has to open a channel first, may have its slot held (adr/0014):
until the offer expires or is accepted and its job begins; one hold for each peer and for
each address prefix, and none for a while after a hold that no job came of.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Final

from cocoon.market.price import (
    PPM,
    ZONE_LOW_PPM,
    above,
    schedule_at,
    utilisation_ppm,
    worst_case_cost,
)
from cocoon.market.sizes import JobSize, size_of, too_small
from cocoon.messages import (
    Accept,
    CounterOffer,
    Hash,
    Offer,
    PriceSchedule,
    Quote,
    Refusal,
    RefusalCode,
    RequestForOffer,
    SlotHeld,
)
from overlay.errors import LocalProtocolError

OFFER_LIFETIME_S_MAX: Final = 60
HOLD_AGAIN_S: Final = 600
"""Who had a slot held for nothing gets no other for so long."""
_TAKEN_REMEMBERED_MAX: Final = 4096
_LAPSED_REMEMBERED_MAX: Final = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class DeskTerms:
    """What every offer of one provider has in common.

    Attributes:
        discount_max_ppm: how far below the quoted price a counter-offer may go
            while utilisation is under the zone (never below the floor).
        offer_lifetime_s: at most `OFFER_LIFETIME_S_MAX`.
        deadline_s_min: a job with less time than this is not worth starting.
    """

    peer_id: str
    chain_network_id: int
    payee_address: str
    payee_key: bytes
    challenge_s_min: int
    discount_max_ppm: int = 100_000
    offer_lifetime_s: int = 30
    deadline_s_min: int = 5
    outstanding_per_peer_max: int = 16
    outstanding_max: int = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """An offer that only lacks its one-time sealing key (made after we know that we offer)."""

    terms: DeskTerms
    requester: str
    request_hash: Hash
    size: JobSize
    quote: Quote
    schedule: PriceSchedule
    expires_at_unix_s: int
    final: bool
    replaces: Hash = b""

    def offer(self, seal_key: bytes) -> Offer:
        """Return the offer, to be signed by the caller and told to `OfferDesk.issued`."""
        return Offer(
            request_hash=self.request_hash,
            statement_id=self.quote.statement_id,
            provider=self.terms.peer_id,
            seal_key=seal_key,
            schedule=self.schedule,
            limits=self.quote.limits,
            quote_seq=self.quote.seq,
            tier=self.quote.tier,
            evidence_id=self.quote.evidence_id,
            payee_address=self.terms.payee_address,
            payee_key=self.terms.payee_key,
            challenge_s_min=self.terms.challenge_s_min,
            spendable_min_nanoton=worst_case_cost(self.schedule, self.size),
            expires_at_unix_s=self.expires_at_unix_s,
            final=self.final,
        )


@dataclass(frozen=True, slots=True)
class Agreement:
    """An accepted offer: from `OfferDesk.begin` on it has a slot, until `OfferDesk.release`."""

    offer_hash: Hash
    requester: str
    offer: Offer


@dataclass(frozen=True, slots=True)
class _Outstanding:
    draft: Draft
    offer: Offer


def lowest_schedule(quote: Quote, discount_max_ppm: int) -> PriceSchedule:
    """Return the lowest price that the provider agrees to now, each field rounded up.

    The quoted price, less the discount while utilisation is under the zone, and
    never less than the floor of the price rule.
    """
    if utilisation_ppm(quote.inputs) >= ZONE_LOW_PPM:
        return quote.schedule
    level_ppm = -(-quote.level_ppm * (PPM - min(discount_max_ppm, PPM)) // PPM)
    floor_ppm = min(quote.inputs.floor_ppm, quote.level_ppm)
    return schedule_at(quote.inputs.base, max(level_ppm, floor_ppm))


class OfferDesk:
    """Decides on requests, counter-offers and acceptances; keeps the slots.

    A request goes: `consider` -> `Draft.offer` -> (sign) -> `issued`, perhaps
    `counter` -> the same again, then `accept`, `begin` once the payment is found good,
    and `release` when the job is over or came to nothing.
    """

    def __init__(self, terms: DeskTerms, *, slots: int) -> None:
        if not 1 <= terms.offer_lifetime_s <= OFFER_LIFETIME_S_MAX:
            raise LocalProtocolError(f"offers live 1..{OFFER_LIFETIME_S_MAX} s")
        self._terms = terms
        self._slots = slots
        self._outstanding: dict[Hash, _Outstanding] = {}
        self._by_peer: Counter[str] = Counter()
        self._accepted: dict[Hash, Agreement] = {}
        """Accepted offers whose payment is still being checked."""
        self._running: dict[Hash, Agreement] = {}
        self._taken: dict[Hash, None] = {}
        self._holds: dict[Hash, frozenset[str]] = {}
        """Offers whose slot is held, with the peer and the address prefix it is held for."""
        self._lapsed: dict[str, int] = {}
        """Peers and prefixes that held for nothing, until when they get no other hold."""

    @property
    def free_slots(self) -> int:
        """How many more jobs can start now."""
        return self._slots - len(self._running) - len(self._holds)

    @property
    def running(self) -> int:
        """How many jobs have a slot."""
        return len(self._running)

    @property
    def outstanding(self) -> int:
        """How many offers have been made and neither been accepted nor dropped."""
        return len(self._outstanding)

    def consider(
        self,
        *,
        peer: str,
        request: RequestForOffer,
        request_hash: Hash,
        quote: Quote | None,
        policy_objection: str,
        now_unix_s: int,
    ) -> Draft | Refusal:
        """Decide on a request for an offer.

        Args:
            peer: the requester.
            request: what it asks for.
            request_hash: sha256 of the request's bytes.
            quote: our own live quote for this class, None when we do not serve it.
            policy_objection: why the operator's policy forbids it; empty when it does not.
            now_unix_s: the time.
        """
        self.drop_expired(now_unix_s)
        if quote is None or quote.resource_class != request.resource_class:
            return _no(RefusalCode.MODEL, f"not served here: {request.resource_class[:100]}")
        refusal = (
            self._untimely(request, now_unix_s)
            or self._unsuited(request, quote)
            or (_no(RefusalCode.POLICY, policy_objection) if policy_objection else None)
            or self._underpaid(request, quote)
            or self._busy(peer)
        )
        if refusal is not None:
            return refusal
        return Draft(
            terms=self._terms,
            requester=peer,
            request_hash=request_hash,
            size=size_of(request),
            quote=quote,
            schedule=quote.schedule,
            expires_at_unix_s=now_unix_s + self._terms.offer_lifetime_s,
            final=False,
        )

    def issued(self, draft: Draft, offer: Offer, offer_hash: Hash) -> None:
        """Remember that the signed offer goes out now.

        Args:
            draft: what it was made from; a draft after a counter-offer replaces the first.
            offer: `draft.offer(...)`.
            offer_hash: sha256 of the offer's bytes: what counter-offers and accepts name.
        """
        if draft.replaces:
            self._forget(draft.replaces)
        self._outstanding[offer_hash] = _Outstanding(draft, offer)
        self._by_peer[draft.requester] += 1

    def counter(self, peer: str, counter: CounterOffer, now_unix_s: int) -> Draft | Refusal:
        """Decide on the one counter-offer; after a refusal the first offer still stands."""
        held = self._held(peer, counter.offer_hash, now_unix_s)
        if isinstance(held, Refusal):
            return held
        draft = held.draft
        if draft.final:
            return _no(RefusalCode.PROTOCOL, "one counter-offer for each request")
        final = _changed(draft, draft.schedule, draft.expires_at_unix_s)
        self._outstanding[counter.offer_hash] = _Outstanding(final, held.offer)
        raised = above(counter.schedule, draft.schedule)
        if raised:
            return _no(RefusalCode.PROTOCOL, f"above the offer: {raised}")
        lowest = lowest_schedule(draft.quote, self._terms.discount_max_ppm)
        short = above(lowest, counter.schedule)
        if short:
            return _no(RefusalCode.PRICE_TOO_LOW, f"lowest is {short} countered")
        expires_at_unix_s = now_unix_s + self._terms.offer_lifetime_s
        return _changed(draft, counter.schedule, expires_at_unix_s, counter.offer_hash)

    def accept(self, peer: str, accept: Accept, now_unix_s: int) -> Agreement | Refusal:
        """Bind an accepted offer; the caller checks the payment, and then `begin` takes a slot."""
        if accept.offer_hash in self._taken:
            return _no(RefusalCode.PROTOCOL, "this offer was accepted before")
        held = self._held(peer, accept.offer_hash, now_unix_s)
        if isinstance(held, Refusal):
            return held
        network_id = accept.payment.chain_network_id
        if network_id != self._terms.chain_network_id:
            return _wrong_network(network_id, self._terms.chain_network_id)
        self.drop_expired(now_unix_s)
        if accept.offer_hash not in self._holds and self.free_slots < 1:
            return self._all_taken()
        self._drop(accept.offer_hash)
        agreement = Agreement(accept.offer_hash, peer, held.offer)
        self._accepted[accept.offer_hash] = agreement
        self._remember_taken(accept.offer_hash)
        return agreement

    def begin(self, offer_hash: Hash) -> Refusal | None:
        """Take the slot of an accepted offer that is paid for: the one held for it, or a free one.

        Raises:
            LocalProtocolError: it was not accepted, or has its slot already.
        """
        if offer_hash not in self._accepted:
            raise LocalProtocolError("this offer is not about to begin")
        if offer_hash not in self._holds and self.free_slots < 1:
            return self._all_taken()
        self._holds.pop(offer_hash, None)
        self._running[offer_hash] = self._accepted.pop(offer_hash)
        return None

    def hold(self, peer: str, prefix: str, offer_hash: Hash, now_unix_s: int) -> SlotHeld | Refusal:
        """Keep a slot for a chosen offer until it expires, its job begins or it is declined.

        Args:
            peer: the requester.
            prefix: of the address that it comes from; empty when that is no public one.
            offer_hash: what it chose.
            now_unix_s: the time.

        Returns:
            The hold; or BUSY when no slot is left; or POLICY, after which the offer
            still stands as one without a hold.
        """
        outstanding = self._held(peer, offer_hash, now_unix_s)
        if isinstance(outstanding, Refusal):
            return outstanding
        self.drop_expired(now_unix_s)
        if offer_hash not in self._holds:
            owners = frozenset({peer, prefix} - {""})
            refusal = self._unheld(owners, now_unix_s)
            if refusal is not None:
                return refusal
            self._holds[offer_hash] = owners
        return SlotHeld(offer_hash=offer_hash, until_unix_s=outstanding.offer.expires_at_unix_s)

    def _unheld(self, owners: frozenset[str], now_unix_s: int) -> Refusal | None:
        if self.free_slots < 1:
            return self._all_taken()
        if any(owners & others for others in self._holds.values()):
            return _no(RefusalCode.POLICY, "a slot is held for you already")
        if any(self._lapsed.get(owner, 0) > now_unix_s for owner in owners):
            return _no(RefusalCode.POLICY, "a slot was held for you for nothing")
        return None

    def declined(self, peer: str, offer_hash: Hash) -> None:
        """Forget an offer that its requester does not want."""
        held = self._outstanding.get(offer_hash)
        if held is not None and held.draft.requester == peer:
            self._forget(offer_hash)

    def release(self, offer_hash: Hash) -> None:
        """Give the slot of a finished job back, or that of one that never began.

        Raises:
            LocalProtocolError: it was not accepted, or was released before.
        """
        agreement = self._running.pop(offer_hash, None) or self._accepted.pop(offer_hash, None)
        if agreement is None:
            raise LocalProtocolError("this offer holds no slot")
        self._lapse(agreement.offer, offer_hash)

    def drop_expired(self, now_unix_s: int) -> int:
        """Forget expired offers; return how many."""
        gone = [
            offer_hash
            for offer_hash, held in self._outstanding.items()
            if held.offer.expires_at_unix_s <= now_unix_s
        ]
        for offer_hash in gone:
            self._forget(offer_hash)
        return len(gone)

    # --- the parts of a decision -----------------------------------------------------

    def _untimely(self, request: RequestForOffer, now_unix_s: int) -> Refusal | None:
        left_s = request.deadline_unix_s - now_unix_s
        if left_s >= self._terms.deadline_s_min:
            return None
        return _no(
            RefusalCode.DEADLINE, f"{left_s} s left, at least {self._terms.deadline_s_min} needed"
        )

    def _unsuited(self, request: RequestForOffer, quote: Quote) -> Refusal | None:
        if request.chain_network_id != self._terms.chain_network_id:
            return _wrong_network(request.chain_network_id, self._terms.chain_network_id)
        if request.tier_min > quote.tier:
            return _no(RefusalCode.TIER, f"{quote.tier.name} here, wanted {request.tier_min.name}")
        wrong_size = too_small(quote.limits, size_of(request))
        return _no(RefusalCode.SIZE, wrong_size) if wrong_size else None

    def _underpaid(self, request: RequestForOffer, quote: Quote) -> Refusal | None:
        """Refuse when not even a counter-offer could meet the ceiling."""
        short = above(lowest_schedule(quote, self._terms.discount_max_ppm), request.ceiling)
        return _no(RefusalCode.PRICE_TOO_LOW, f"lowest {short} wanted") if short else None

    def _busy(self, peer: str) -> Refusal | None:
        if self.free_slots < 1:
            return _no(RefusalCode.BUSY, f"all {self._slots} slots taken")
        if self._by_peer[peer] >= self._terms.outstanding_per_peer_max:
            count = self._terms.outstanding_per_peer_max
            return _no(RefusalCode.BUSY, f"{count} offers to you are outstanding")
        if len(self._outstanding) >= self._terms.outstanding_max:
            return _no(RefusalCode.BUSY, f"{self._terms.outstanding_max} offers are outstanding")
        return None

    def _all_taken(self) -> Refusal:
        return _no(RefusalCode.BUSY, f"all {self._slots} slots taken since the offer")

    # --- outstanding offers ----------------------------------------------------------

    def _held(self, peer: str, offer_hash: Hash, now_unix_s: int) -> _Outstanding | Refusal:
        held = self._outstanding.get(offer_hash)
        if held is None or held.draft.requester != peer:
            return _no(RefusalCode.EXPIRED, "no such offer to you, or no longer")
        late_s = now_unix_s - held.offer.expires_at_unix_s
        if late_s >= 0:
            self._forget(offer_hash)
            return _no(RefusalCode.EXPIRED, f"the offer expired {late_s} s ago")
        return held

    def _forget(self, offer_hash: Hash) -> None:
        held = self._drop(offer_hash)
        if held is not None:
            self._lapse(held.offer, offer_hash)

    def _drop(self, offer_hash: Hash) -> _Outstanding | None:
        held = self._outstanding.pop(offer_hash, None)
        if held is not None:
            peer = held.draft.requester
            self._by_peer[peer] -= 1
            if not self._by_peer[peer]:
                del self._by_peer[peer]
        return held

    def _lapse(self, offer: Offer, offer_hash: Hash) -> None:
        """Let the hold of an offer go, if it has one: no job came of it."""
        for owner in self._holds.pop(offer_hash, ()):
            self._remember_lapsed(owner, offer.expires_at_unix_s + HOLD_AGAIN_S)

    def _remember_lapsed(self, owner: str, until_unix_s: int) -> None:
        self._lapsed.pop(owner, None)
        self._lapsed[owner] = until_unix_s
        if len(self._lapsed) > _LAPSED_REMEMBERED_MAX:
            del self._lapsed[next(iter(self._lapsed))]

    def _remember_taken(self, offer_hash: Hash) -> None:
        self._taken[offer_hash] = None
        if len(self._taken) > _TAKEN_REMEMBERED_MAX:
            del self._taken[next(iter(self._taken))]


def _no(code: RefusalCode, detail: str) -> Refusal:
    return Refusal(code=code, detail=detail[:512])


def _wrong_network(theirs: int, ours: int) -> Refusal:
    return _no(RefusalCode.PAYMENT, f"paid on network {theirs}, we are on {ours}")


def _changed(
    draft: Draft, schedule: PriceSchedule, expires_at_unix_s: int, replaces: Hash = b""
) -> Draft:
    """Return the draft after its counter-offer: final."""
    return Draft(
        terms=draft.terms,
        requester=draft.requester,
        request_hash=draft.request_hash,
        size=draft.size,
        quote=draft.quote,
        schedule=schedule,
        expires_at_unix_s=expires_at_unix_s,
        final=True,
        replaces=replaces,
    )
