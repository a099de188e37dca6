"""The provider's desk: offers, counter-offers, slots, and a code for every no."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec.structs import replace
from offerings import offering, quote_of

from cocoon.market.desk import (
    HOLD_AGAIN_S,
    Agreement,
    DeskTerms,
    Draft,
    OfferDesk,
    lowest_schedule,
)
from cocoon.market.load import Load
from cocoon.market.match import ANY_PRICE
from cocoon.market.price import PPM, at_most, cost, schedule_at
from cocoon.messages import (
    Accept,
    CounterOffer,
    Limits,
    Meter,
    Offer,
    PaymentRef,
    PriceSchedule,
    Quote,
    Refusal,
    RefusalCode,
    RequestForOffer,
    Signed,
    SignedOffer,
    SlotHeld,
    Tier,
    decode,
    encode,
    message_hash,
)
from overlay.errors import LocalProtocolError

NOW = 1_800_000_000
CLASS = "chat/" + "00" * 32
NETWORK = -3
TERMS = DeskTerms(
    peer_id="provider",
    chain_network_id=NETWORK,
    payee_address="0:" + "00" * 32,
    payee_key=bytes(32),
    challenge_s_min=600,
)
SEAL_KEY = bytes(1216)


def quote(busy_slot_ms=0, **terms) -> Quote:
    limits = Limits(context_tokens=512, output_tokens_max=256, input_bytes_max=65_536)
    sold = offering("provider", price=1_000_000, limits=limits, tier=Tier.SIM, **terms)
    return quote_of(sold, load=Load(4, 60_000, busy_slot_ms), slots=4)


QUOTE = quote()
"""At 980_000 ppm, idle: its provider goes down to 882_000 ppm."""


def request(**changes) -> RequestForOffer:
    made = RequestForOffer(
        nonce=bytes(16),
        resource_class=CLASS,
        chain_network_id=NETWORK,
        input_bytes_max=1_000,
        prompt_tokens_max=100,
        output_tokens_max=100,
        audio_seconds_max=0,
        tier_min=Tier.OPEN,
        ceiling=ANY_PRICE,
        deadline_unix_s=NOW + 100,
    )
    return replace(made, **changes)


def consider(desk, peer="r", *, of=QUOTE, policy="", now=NOW, **changes) -> Draft | Refusal:
    asked = request(**changes)
    return desk.consider(
        peer=peer,
        request=asked,
        request_hash=message_hash(encode(asked)),
        quote=of,
        policy_objection=policy,
        now_unix_s=now,
    )


def issue(desk: OfferDesk, draft: Draft | Refusal, salt=b"") -> tuple[Offer, bytes]:
    assert isinstance(draft, Draft), draft
    offer = draft.offer(SEAL_KEY)
    offer_hash = message_hash(encode(offer) + salt)
    desk.issued(draft, offer, offer_hash)
    return offer, offer_hash


def accept_of(offer_hash: bytes, network=NETWORK) -> Accept:
    return Accept(
        offer_hash=offer_hash,
        job_nonce=bytes(16),
        payment=PaymentRef(
            chain_network_id=network,
            channel_address="",
            opened_lt=0,
            payer_key=bytes(32),
            signed_total_nanoton=0,
        ),
        sealed_key=b"",
        payer_signature=bytes(64),
        input_segments=1,
        input_prefix=bytes(7),
        input_hash=bytes(32),
    )


def counter_of(offer_hash: bytes, level_ppm: int) -> CounterOffer:
    return CounterOffer(offer_hash=offer_hash, schedule=schedule_at(QUOTE.inputs.base, level_ppm))


def desk(slots=2, **changes) -> OfferDesk:
    fields = {name: getattr(TERMS, name) for name in TERMS.__slots__}
    return OfferDesk(DeskTerms(**(fields | changes)), slots=slots)


def test_an_offer_freezes_the_quoted_price_and_survives_the_wire():
    offer, _ = issue(desk(), consider(desk()))
    assert offer.schedule == QUOTE.schedule
    assert offer.quote_seq == QUOTE.seq
    assert offer.spendable_min_nanoton == 98_000
    assert offer.spendable_min_nanoton >= cost(offer.schedule, Meter(output_tokens=100))
    assert offer.expires_at_unix_s == NOW + 30
    assert not offer.final
    signed = SignedOffer(offer=Signed(body=encode(offer), signature=bytes(64)))
    assert decode(Offer, decode(SignedOffer, encode(signed)).offer.body) == offer


def started(one: OfferDesk, peer: str, offer_hash: bytes, now=NOW) -> Refusal | None:
    """Accept, find the payment good, begin."""
    answer = one.accept(peer, accept_of(offer_hash), now)
    return answer if isinstance(answer, Refusal) else one.begin(offer_hash)


def full_desk() -> OfferDesk:
    one = desk(slots=1)
    _, offer_hash = issue(one, consider(one))
    assert started(one, "r", offer_hash) is None
    return one


def crowded_desk(**limits) -> OfferDesk:
    one = desk(**limits)
    issue(one, consider(one))
    return one


CHEAP = PriceSchedule(output_token=881_999)


@pytest.mark.parametrize(
    ("made", "changes", "code", "detail"),
    [
        (desk, {"of": None}, RefusalCode.MODEL, f"not served here: {CLASS}"),
        (desk, {"resource_class": "chat/x"}, RefusalCode.MODEL, "not served here: chat/x"),
        (desk, {"deadline_unix_s": NOW + 4}, RefusalCode.DEADLINE, "4 s left, at least 5 needed"),
        (
            desk,
            {"chain_network_id": -239},
            RefusalCode.PAYMENT,
            "paid on network -239, we are on -3",
        ),
        (desk, {"tier_min": Tier.GPU_TEE}, RefusalCode.TIER, "SIM here, wanted GPU_TEE"),
        (
            desk,
            {"output_tokens_max": 257},
            RefusalCode.SIZE,
            "257 output tokens wanted, at most 256 taken",
        ),
        (desk, {"policy": "no jobs at night"}, RefusalCode.POLICY, "no jobs at night"),
        (
            desk,
            {"ceiling": CHEAP},
            RefusalCode.PRICE_TOO_LOW,
            "lowest output_token 882000 nanoton per 1000, at most 881999 wanted",
        ),
        (full_desk, {}, RefusalCode.BUSY, "all 1 slots taken"),
        (
            lambda: crowded_desk(outstanding_per_peer_max=1),
            {},
            RefusalCode.BUSY,
            "1 offers to you are outstanding",
        ),
        (
            lambda: crowded_desk(outstanding_max=1),
            {"peer": "someone else"},
            RefusalCode.BUSY,
            "1 offers are outstanding",
        ),
    ],
)
def test_every_no_to_a_request_has_its_code_and_its_numbers(made, changes, code, detail):
    assert consider(made(), **changes) == Refusal(code=code, detail=detail)


@pytest.mark.parametrize(
    ("peer", "now", "network", "unknown", "code", "detail"),
    [
        ("r", NOW, NETWORK, True, RefusalCode.EXPIRED, "no such offer to you, or no longer"),
        ("thief", NOW, NETWORK, False, RefusalCode.EXPIRED, "no such offer to you, or no longer"),
        ("r", NOW + 31, NETWORK, False, RefusalCode.EXPIRED, "the offer expired 1 s ago"),
        ("r", NOW, -239, False, RefusalCode.PAYMENT, "paid on network -239, we are on -3"),
    ],
)
def test_every_no_to_an_acceptance_has_its_code(peer, now, network, unknown, code, detail):
    one = desk()
    _, offer_hash = issue(one, consider(one))
    named = bytes(32) if unknown else offer_hash
    answer = one.accept(peer, accept_of(named, network), now)
    assert answer == Refusal(code=code, detail=detail)
    assert one.free_slots == 2


ALL_TAKEN = Refusal(code=RefusalCode.BUSY, detail="all 1 slots taken since the offer")


def test_an_offer_reserves_nothing_and_the_first_to_begin_gets_the_slot():
    one = desk(slots=1)
    first, second, third = offers_to(one, "a", "b", "c")
    assert isinstance(one.accept("a", accept_of(first), NOW), Agreement)
    assert one.free_slots == 1  # until the payment is found good, it is only words
    assert started(one, "b", second) is None
    assert one.begin(first) == started(one, "c", third) == ALL_TAKEN
    one.release(second)
    assert one.begin(first) is None
    assert (one.free_slots, one.running) == (0, 1)


@pytest.mark.parametrize("accepted", [False, True])
def test_only_an_accepted_offer_begins_and_only_once(accepted):
    one = desk()
    (first,) = offers_to(one, "a")
    if accepted:
        assert started(one, "a", first) is None
    with pytest.raises(LocalProtocolError):
        one.begin(first)


def test_an_offer_whose_payment_is_not_good_leaves_nothing_behind():
    one = desk(slots=1, outstanding_per_peer_max=1)
    (first,) = offers_to(one, "a")
    one.accept("a", accept_of(first), NOW)
    one.release(first)
    with pytest.raises(LocalProtocolError):
        one.begin(first)
    assert (one.free_slots, one.running, one.outstanding) == (1, 0, 0)
    (again,) = offers_to(one, "a", now=NOW + 1)
    assert started(one, "a", again) is None


def test_an_offer_is_accepted_once_even_after_its_job_is_over():
    one = desk()
    _, offer_hash = issue(one, consider(one))
    one.accept("r", accept_of(offer_hash), NOW)
    again = Refusal(code=RefusalCode.PROTOCOL, detail="this offer was accepted before")
    assert one.accept("r", accept_of(offer_hash), NOW) == again
    one.release(offer_hash)
    assert one.accept("r", accept_of(offer_hash), NOW) == again
    with pytest.raises(LocalProtocolError):
        one.release(offer_hash)


def test_a_counter_within_the_discount_makes_a_final_offer_that_replaces_the_first():
    one = desk()
    _, first = issue(one, consider(one))
    offer, second = issue(one, one.counter("r", counter_of(first, 882_000), NOW + 9))
    assert offer.final
    assert offer.schedule.output_token == 882_000
    assert offer.expires_at_unix_s == NOW + 39
    assert one.outstanding == 1
    assert isinstance(one.accept("r", accept_of(first), NOW), Refusal)
    agreement = one.accept("r", accept_of(second), NOW)
    assert isinstance(agreement, Agreement)
    assert agreement.offer == offer


def test_a_counter_below_the_lowest_is_refused_and_the_first_offer_stands():
    one = desk()
    _, first = issue(one, consider(one))
    answer = one.counter("r", counter_of(first, 881_999), NOW)
    assert isinstance(answer, Refusal)
    assert answer.code is RefusalCode.PRICE_TOO_LOW
    assert "882000" in answer.detail
    assert isinstance(one.accept("r", accept_of(first), NOW), Agreement)


def test_one_counter_for_each_request():
    one = desk()
    _, first = issue(one, consider(one))
    one.counter("r", counter_of(first, 1), NOW)
    answer = one.counter("r", counter_of(first, 950_000), NOW)
    assert answer == Refusal(code=RefusalCode.PROTOCOL, detail="one counter-offer for each request")
    _, again = issue(one, consider(one), b"2")
    _, final = issue(one, one.counter("r", counter_of(again, 950_000), NOW))
    answer = one.counter("r", counter_of(final, 940_000), NOW)
    assert isinstance(answer, Refusal)
    assert answer.code is RefusalCode.PROTOCOL


def test_a_counter_above_the_offer_or_for_no_offer_is_refused():
    one = desk()
    _, first = issue(one, consider(one))
    for answer, code in (
        (one.counter("r", counter_of(first, PPM), NOW), RefusalCode.PROTOCOL),
        (one.counter("thief", counter_of(first, 900_000), NOW), RefusalCode.EXPIRED),
        (one.counter("r", counter_of(bytes(32), 900_000), NOW), RefusalCode.EXPIRED),
        (one.counter("r", counter_of(first, 900_000), NOW + 30), RefusalCode.EXPIRED),
    ):
        assert isinstance(answer, Refusal)
        assert answer.code is code


def test_a_busy_provider_gives_no_discount():
    assert lowest_schedule(quote(96_000), 100_000) == quote(96_000).schedule  # 40 %
    assert lowest_schedule(quote(95_999), 100_000) != quote(95_999).schedule


@given(st.integers(0, 240_000), st.integers(0, 2 * PPM), st.integers(0, 2 * PPM))
def test_no_discount_goes_below_the_floor_or_above_the_quote(busy, discount_ppm, floor_ppm):
    one = quote(busy, floor_ppm=floor_ppm, cap_ppm=2 * PPM)
    lowest = lowest_schedule(one, discount_ppm)
    assert at_most(lowest, one.schedule)
    assert at_most(schedule_at(one.inputs.base, min(floor_ppm, one.level_ppm)), lowest)


def test_declined_and_expired_offers_free_their_places():
    one = desk(outstanding_per_peer_max=1)
    _, first = issue(one, consider(one))
    one.declined("thief", first)
    assert one.outstanding == 1
    one.declined("r", first)
    assert one.outstanding == 0
    issue(one, consider(one))
    assert isinstance(consider(one, now=NOW + 29), Refusal)
    assert isinstance(consider(one, now=NOW + 30), Draft)


def test_offers_longer_than_a_minute_are_our_bug():
    with pytest.raises(LocalProtocolError):
        desk(offer_lifetime_s=61)


# --- holds ----------------------------------------------------------------------------


def offers_to(one: OfferDesk, *peers: str, now=NOW) -> list[bytes]:
    return [
        issue(one, consider(one, peer, now=now, deadline_unix_s=now + 100), peer.encode())[1]
        for peer in peers
    ]


def code_of(answer: object) -> RefusalCode | None:
    return answer.code if isinstance(answer, Refusal) else None


def test_a_held_slot_is_kept_from_others_and_is_there_for_its_holder():
    one = desk(slots=1)
    first, second = offers_to(one, "a", "b")
    held = one.hold("a", "", first, NOW)
    assert held == SlotHeld(offer_hash=first, until_unix_s=NOW + 30)
    assert one.hold("a", "", first, NOW + 1) == held  # asking again changes nothing
    assert (one.free_slots, one.running) == (0, 0)
    assert code_of(one.accept("b", accept_of(second), NOW)) is RefusalCode.BUSY
    assert code_of(one.hold("b", "", second, NOW)) is RefusalCode.BUSY
    assert code_of(consider(one, "c")) is RefusalCode.BUSY
    assert isinstance(one.accept("a", accept_of(first), NOW + 29), Agreement)
    one.drop_expired(NOW + 60)  # while the payment is looked at, the slot is still held
    assert (one.free_slots, one.running) == (0, 0)
    assert one.begin(first) is None
    assert (one.free_slots, one.running) == (0, 1)
    one.release(first)
    assert one.free_slots == 1


def test_a_hold_ends_with_its_offer_and_cannot_be_had_again_for_a_while():
    one = desk(slots=1)
    first, second = offers_to(one, "a", "b")
    one.hold("a", "", first, NOW)
    later = NOW + 30
    assert code_of(one.accept("a", accept_of(first), later)) is RefusalCode.EXPIRED
    assert code_of(one.accept("b", accept_of(second), later)) is RefusalCode.EXPIRED
    (again,) = offers_to(one, "a", now=later)
    assert one.free_slots == 1
    assert code_of(one.hold("a", "", again, later)) is RefusalCode.POLICY
    assert isinstance(one.accept("a", accept_of(again), later), Agreement)  # it still stands
    one.release(again)
    (last,) = offers_to(one, "a", now=later + HOLD_AGAIN_S)
    assert isinstance(one.hold("a", "", last, later + HOLD_AGAIN_S), SlotHeld)


def test_an_expired_hold_does_not_keep_a_slot_from_an_offer_that_came_later():
    one = desk(slots=1)
    (first,) = offers_to(one, "a")
    (second,) = offers_to(one, "b", now=NOW + 10)
    one.hold("a", "", first, NOW)
    assert isinstance(one.accept("b", accept_of(second), NOW + 30), Agreement)


def test_declining_lets_a_hold_go_at_once():
    one = desk(slots=1)
    first, second = offers_to(one, "a", "b")
    one.hold("a", "", first, NOW)
    one.declined("b", first)  # not b's to decline
    assert one.free_slots == 0
    one.declined("a", first)
    assert isinstance(one.accept("b", accept_of(second), NOW), Agreement)


@pytest.mark.parametrize(
    ("peer", "prefix", "code"),
    [
        ("a", "9.9.9.0/24", RefusalCode.POLICY),
        ("b", "8.8.8.0/24", RefusalCode.POLICY),
        ("b", "9.9.9.0/24", None),
        ("b", "", None),
    ],
)
@pytest.mark.parametrize("lapsed", [False, True])
def test_one_hold_for_a_peer_and_for_a_prefix_at_once_and_none_soon_after(
    peer, prefix, code, lapsed
):
    one = desk(slots=4)
    (first,) = offers_to(one, "a")
    one.hold("a", "8.8.8.0/24", first, NOW)
    if lapsed:
        one.declined("a", first)
    offer_hash = issue(one, consider(one, peer), b"second")[1]
    assert code_of(one.hold(peer, prefix, offer_hash, NOW)) is code


def test_a_hold_that_a_job_came_of_is_held_against_nobody():
    one = desk(slots=2)
    (first,) = offers_to(one, "a")
    one.hold("a", "8.8.8.0/24", first, NOW)
    started(one, "a", first)
    second = issue(one, consider(one, "a"), b"second")[1]
    assert isinstance(one.hold("a", "8.8.8.0/24", second, NOW), SlotHeld)


def test_a_hold_is_not_made_good_by_accepting_with_a_payment_that_is_not():
    one = desk(slots=2)
    (first,) = offers_to(one, "a")
    one.hold("a", "8.8.8.0/24", first, NOW)
    one.accept("a", accept_of(first), NOW + 29)
    one.release(first)
    assert one.free_slots == 2
    for peer, salt in (("a", b"again"), ("b", b"neighbour")):
        offer_hash = issue(one, consider(one, peer, now=NOW + 30), salt)[1]
        answer = one.hold(peer, "8.8.8.0/24", offer_hash, NOW + 30)
        assert code_of(answer) is RefusalCode.POLICY


def test_a_hold_of_an_offer_to_somebody_else_is_refused():
    one = desk()
    (first,) = offers_to(one, "a")
    assert code_of(one.hold("b", "", first, NOW)) is RefusalCode.EXPIRED
    assert one.free_slots == 2


def test_what_is_remembered_of_lapsed_holds_is_bounded(monkeypatch):
    monkeypatch.setattr("cocoon.market.desk._LAPSED_REMEMBERED_MAX", 3)
    one = desk()
    for number in range(9):
        (offer_hash,) = offers_to(one, f"p{number}")
        one.hold(f"p{number}", "", offer_hash, NOW)
        one.declined(f"p{number}", offer_hash)
    assert list(one._lapsed) == ["p6", "p7", "p8"]


class Requesters(RuleBasedStateMachine):
    """Several requesters in any order of requests, counters, acceptances and time."""

    def __init__(self):
        super().__init__()
        self.desk = desk(slots=2, outstanding_per_peer_max=2, outstanding_max=5)
        self.now = NOW
        self.offers: list[tuple[str, bytes]] = []
        self.accepted: list[bytes] = []
        self.running: list[bytes] = []
        self.kept: set[bytes] = set()
        """Accepted, and held: until they begin or come to nothing."""
        self.holds: dict[bytes, int] = {}

    def _issue(self, peer, answer):
        if isinstance(answer, Draft):
            _, offer_hash = issue(self.desk, answer, len(self.offers).to_bytes(4, "big"))
            self.offers.append((peer, offer_hash))

    @rule(peer=st.sampled_from("abcd"))
    def ask(self, peer):
        answer = consider(self.desk, peer, now=self.now, deadline_unix_s=self.now + 100)
        self._issue(peer, answer)

    @precondition(lambda self: self.offers)
    @rule(data=st.data(), level_ppm=st.integers(800_000, 1_000_000))
    def counter(self, data, level_ppm):
        peer, offer_hash = data.draw(st.sampled_from(self.offers))
        answer = self.desk.counter(peer, counter_of(offer_hash, level_ppm), self.now)
        if isinstance(answer, Draft):
            self.holds.pop(offer_hash, None)  # the new offer replaces the held one
        self._issue(peer, answer)

    @precondition(lambda self: self.offers)
    @rule(data=st.data())
    def accept(self, data):
        peer, offer_hash = data.draw(st.sampled_from(self.offers))
        answer = self.desk.accept(peer, accept_of(offer_hash), self.now)
        if self.holds.pop(offer_hash, 0) > self.now:
            assert isinstance(answer, Agreement)
            self.kept.add(offer_hash)
        if isinstance(answer, Agreement):
            assert offer_hash not in self.running + self.accepted
            assert answer.offer.expires_at_unix_s > self.now
            self.accepted.append(offer_hash)

    @precondition(lambda self: self.accepted)
    @rule(data=st.data())
    def begin(self, data):
        offer_hash = data.draw(st.sampled_from(self.accepted))
        free = self.desk.free_slots
        refusal = self.desk.begin(offer_hash)
        assert (refusal is None) == (offer_hash in self.kept or free > 0)
        if refusal is None:
            self.accepted.remove(offer_hash)
            self.kept.discard(offer_hash)
            self.running.append(offer_hash)

    @precondition(lambda self: self.accepted)
    @rule(data=st.data())
    def find_the_payment_bad(self, data):
        offer_hash = data.draw(st.sampled_from(self.accepted))
        self.accepted.remove(offer_hash)
        self.kept.discard(offer_hash)
        self.desk.release(offer_hash)

    @precondition(lambda self: self.offers)
    @rule(data=st.data(), prefix=st.sampled_from(["", "8.8.8.0/24"]))
    def hold(self, data, prefix):
        peer, offer_hash = data.draw(st.sampled_from(self.offers))
        answer = self.desk.hold(peer, prefix, offer_hash, self.now)
        if isinstance(answer, SlotHeld):
            assert self.now < answer.until_unix_s <= self.now + 30
            self.holds[offer_hash] = answer.until_unix_s

    @precondition(lambda self: self.offers)
    @rule(data=st.data())
    def decline(self, data):
        peer, offer_hash = data.draw(st.sampled_from(self.offers))
        self.desk.declined(peer, offer_hash)
        self.holds.pop(offer_hash, None)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def finish(self, data):
        offer_hash = data.draw(st.sampled_from(self.running))
        self.running.remove(offer_hash)
        self.desk.release(offer_hash)

    @rule(seconds=st.integers(1, 40))
    def wait(self, seconds):
        self.now += seconds

    @invariant()
    def slots_and_offers_stay_within_bounds(self):
        self.desk.drop_expired(self.now)
        held = len(self.kept) + sum(until > self.now for until in self.holds.values())
        assert self.desk.running == len(self.running)
        assert self.desk.free_slots == 2 - len(self.running) - held
        assert self.desk.free_slots >= 0
        assert held <= 2
        assert self.desk.outstanding <= 5
        assert all(0 < count <= 2 for count in self.desk._by_peer.values())
        assert sum(self.desk._by_peer.values()) == self.desk.outstanding


Requesters.TestCase.settings = settings(max_examples=40, stateful_step_count=40)
TestRequesters = Requesters.TestCase
