"""The book of quotes, and what strangers can do to it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec.structs import replace
from offerings import offering, quote_of

from cocoon.market.book import (
    CLASSES_PER_PEER_MAX,
    EVIDENCE_MAX,
    QUOTE_BYTES_MAX,
    Flag,
    Outcome,
    QuoteBook,
)
from cocoon.market.load import Load
from cocoon.market.quotes import malformed
from cocoon.messages import (
    CONTROL_BYTES_MAX,
    Limits,
    PriceInputs,
    PriceSchedule,
    Quote,
    QuotesAnswer,
    Signed,
    Tier,
    decode,
    encode,
)

NOW = 1_800_000_000
CLASS = "chat/" + "00" * 32


def quote(peer="p", *, model=0, previous=None, load=None, now=NOW, base=160_000) -> Quote:
    sold = offering(peer, name="m" * 100, model=model.to_bytes(32, "big"), price=base)
    return quote_of(sold, previous=previous, load=load, slots=4, now=now)


def sealed(one: Quote) -> Signed:
    return Signed(body=encode(one), signature=bytes(64))


def put(book: QuoteBook, one: Quote, now: int = NOW):
    return book.accept(sealed(one), one, now)


def peers(book: QuoteBook, now: int = NOW) -> list[str]:
    return [listing.quote.peer_id for listing in book.candidates(CLASS, now)]


def test_the_newest_number_wins_and_others_are_told_apart():
    book, first = QuoteBook(), quote()
    second = quote(previous=first, now=NOW + 1)
    assert put(book, first).outcome is Outcome.NEW
    assert put(book, first).outcome is Outcome.SEEN
    assert put(book, second, NOW + 1).outcome is Outcome.NEW
    assert put(book, first, NOW + 1).outcome is Outcome.STALE
    (listing,) = book.candidates(CLASS, NOW + 1)
    assert listing.quote == second
    assert listing.renewals == 1


def test_only_news_is_forwarded():
    book, first = QuoteBook(), quote()
    assert put(book, first).forward
    assert not put(book, first).forward
    assert not put(book, replace(first, seq=first.seq - 1)).forward


def test_a_quote_that_expired_is_no_candidate_and_can_be_forgotten():
    book = QuoteBook()
    put(book, quote())
    assert peers(book, NOW + 59) == ["p"]
    assert peers(book, NOW + 60) == []
    assert book.drop_expired(NOW + 60) == 1
    assert len(book) == 0
    assert book.classes(NOW) == []


@pytest.mark.parametrize(
    ("changes", "malformed"),
    [
        ({"version": 2}, True),
        ({"resource_class": "x"}, True),
        ({"expires_at_unix_s": NOW + 10_000}, True),
        ({"model_name": "m" * QUOTE_BYTES_MAX}, True),
        ({"issued_at_unix_s": NOW + 30, "expires_at_unix_s": NOW + 90}, False),
        ({"issued_at_unix_s": NOW - 60, "expires_at_unix_s": NOW}, False),
    ],
)
def test_a_bad_quote_is_refused_and_an_untimely_one_is_nobodys_fault(changes, malformed):
    verdict = put(QuoteBook(), replace(quote(), **changes))
    assert (verdict.outcome, verdict.malformed) == (Outcome.REFUSED, malformed)
    assert verdict.reason
    assert not verdict.forward


def test_two_quotes_under_one_number_are_kept_as_evidence():
    book, first = QuoteBook(), quote()
    other = replace(first, free_slots=0)
    put(book, first)
    verdict = put(book, other)
    assert verdict.outcome is Outcome.FLAGGED
    assert verdict.forward
    (proof,) = book.evidence
    assert (proof.first, proof.second) == (sealed(first), sealed(other))
    assert put(book, replace(first, free_slots=1)).outcome is Outcome.SEEN
    (listing,) = book.candidates(CLASS, NOW)
    assert Flag.EQUIVOCATION in listing.flags
    assert book.snapshot(CLASS, now_unix_s=NOW) == ()


def test_a_higher_number_does_not_wash_an_equivocation_away():
    book, first = QuoteBook(), quote()
    put(book, first)
    put(book, replace(first, free_slots=0))
    verdict = put(book, quote(previous=first, now=NOW + 1), NOW + 1)
    assert verdict.outcome is Outcome.FLAGGED


def test_evidence_is_bounded():
    book = QuoteBook(providers_max=4)
    for number in range(EVIDENCE_MAX + 10):
        first = quote(f"p{number}")
        put(book, first)
        put(book, replace(first, free_slots=0))
    assert len(book.evidence) == EVIDENCE_MAX


def test_a_price_against_the_rule_is_kept_and_flagged_with_the_right_one():
    book = QuoteBook()
    cheat = replace(quote(), schedule=PriceSchedule(output_token=1))
    verdict = put(book, cheat)
    assert verdict.outcome is Outcome.FLAGGED
    assert verdict.reason == "output_token 1 nanoton per 1000, by the rule 156800"
    (listing,) = book.candidates(CLASS, NOW)
    assert listing.flags == {Flag.PRICE_NOT_BY_RULE}
    honest = quote(previous=quote(), now=NOW + 1)
    assert put(book, honest, NOW + 1).outcome is Outcome.NEW


def test_a_jump_between_two_quotes_is_flagged():
    book, first = QuoteBook(), quote()
    put(book, first)
    elsewhere = replace(first, level_ppm=2_000_000)
    jump = quote(previous=elsewhere, load=Load(4, 60_000, 120_000), now=NOW + 60)
    verdict = put(book, jump, NOW + 59)
    assert verdict.reason == "starts from level 2000000 ppm, the last was 980000 ppm"


def test_steps_faster_than_the_windows_are_flagged():
    book, first = QuoteBook(), quote()
    second = quote(previous=first, load=Load(4, 60_000, 240_000), now=NOW + 30)
    third = quote(previous=second, load=Load(4, 60_000, 240_000), now=NOW + 50)
    outcomes = [put(book, one, one.issued_at_unix_s).outcome for one in (first, second, third)]
    assert outcomes == [Outcome.NEW, Outcome.NEW, Outcome.FLAGGED]


def test_new_terms_are_marked_and_counted_but_no_fault():
    book, first = QuoteBook(), quote()
    put(book, first)
    verdict = put(book, quote(previous=first, now=NOW + 1, base=200_000), NOW + 1)
    assert verdict.outcome is Outcome.NEW
    (listing,) = book.candidates(CLASS, NOW + 1)
    assert listing.flags == {Flag.TERMS_CHANGED}
    assert not listing.faulty
    assert listing.terms_changes == 1


def test_a_flood_of_identities_displaces_nobody():
    book = QuoteBook(providers_max=8)
    for number in range(8):
        put(book, quote(f"old{number}"))
    for number in range(1_000):
        verdict = put(book, quote(f"sybil{number}"))
        assert verdict.outcome is Outcome.REFUSED
        assert not verdict.malformed
    assert peers(book) == [f"old{number}" for number in range(8)]


def test_a_full_class_makes_room_for_a_newcomer_from_what_expired():
    book = QuoteBook(providers_max=2)
    put(book, quote("a"))
    put(book, quote("b", now=NOW + 30), NOW + 30)
    assert put(book, quote("c", now=NOW + 61), NOW + 61).outcome is Outcome.NEW
    assert peers(book, NOW + 61) == ["b", "c"]


def test_a_full_class_makes_room_from_a_cheat():
    book = QuoteBook(providers_max=2)
    put(book, quote("a"))
    put(book, replace(quote("cheat"), level_ppm=1))
    assert put(book, quote("b")).outcome is Outcome.NEW
    assert peers(book) == ["a", "b"]
    assert put(book, replace(quote("cheat"), level_ppm=1)).outcome is Outcome.REFUSED


def test_strangers_cannot_keep_out_a_provider_that_we_know():
    book = QuoteBook(providers_max=2)
    book.know({"friend", "other"})
    put(book, quote("sybil1"))
    put(book, quote("sybil2"))
    assert put(book, quote("friend")).outcome is Outcome.NEW
    assert peers(book) == ["friend", "sybil1"]
    assert put(book, quote("other")).outcome is Outcome.NEW
    assert put(book, quote("sybil3")).outcome is Outcome.REFUSED


def test_a_cheat_displaces_nobody_not_even_when_we_know_it():
    book = QuoteBook(providers_max=2)
    book.know({"cheat"})
    put(book, quote("a"))
    put(book, replace(quote("another"), level_ppm=1))
    assert put(book, replace(quote("cheat"), level_ppm=1)).outcome is Outcome.REFUSED
    assert peers(book) == ["a", "another"]


def test_classes_are_bounded_and_watched_ones_always_fit():
    book = QuoteBook(classes_max=2)
    book.watch({CLASS})
    for number in (1, 2):
        assert put(book, quote("a", model=number)).outcome is Outcome.NEW
    assert put(book, quote("a", model=3)).outcome is Outcome.REFUSED
    assert put(book, quote("b")).outcome is Outcome.NEW
    assert CLASS in book.classes(NOW)
    assert len(book.classes(NOW)) == 2


def test_all_classes_together_are_bounded_and_a_watched_one_still_gets_room():
    book = QuoteBook(quotes_max=4)
    book.watch({CLASS})
    for number in range(4):
        put(book, quote(f"p{number}", model=1 + number % 2))
    assert put(book, quote("more", model=1)).outcome is Outcome.REFUSED
    assert put(book, quote("watched")).outcome is Outcome.NEW
    assert put(book, quote("p0", previous=quote("p0", model=1), model=1)).outcome is Outcome.NEW
    assert len(book) == 4
    assert put(book, quote("more", model=1, now=NOW + 60), NOW + 60).outcome is Outcome.NEW
    assert len(book) == 1


def test_the_classes_of_a_kind_wait_for_each_other_and_not_for_another_kind():
    book = QuoteBook()
    for number in range(6):
        put(book, quote(f"p{number}", model=number % 2))
    (first, second) = book.classes(NOW)
    assert book.crowd(first) == book.crowd(second) == 6
    assert book.crowd(first.replace("chat", "transcribe")) == 0


def test_one_peer_holds_a_bounded_number_of_classes():
    book = QuoteBook()
    outcomes = [put(book, quote("p", model=n)).outcome for n in range(CLASSES_PER_PEER_MAX + 1)]
    assert outcomes[-2:] == [Outcome.NEW, Outcome.REFUSED]
    book.drop_expired(NOW + 60)
    assert put(book, quote("p", now=NOW + 60), NOW + 60).outcome is Outcome.NEW


def test_a_snapshot_holds_the_original_envelopes_and_fits_into_one_answer():
    book = QuoteBook()
    quotes = [quote(f"p{number}", now=NOW + number % 5) for number in range(200)]
    for one in quotes:
        put(book, one, NOW + 5)
    chosen = book.snapshot(CLASS, now_unix_s=NOW + 5)
    assert len(chosen) >= 32
    assert len(encode(QuotesAnswer(quotes=chosen))) <= CONTROL_BYTES_MAX
    assert chosen == tuple(sealed(one) for one in quotes[: len(chosen)])
    assert len(book.snapshot(CLASS, 3, now_unix_s=NOW + 5)) == 3
    assert book.snapshot("chat/unknown", now_unix_s=NOW) == ()


ppms = st.integers(0, 10**12)
amounts = st.integers(0, 5 * 10**18)
moments = st.one_of(st.integers(NOW - 200, NOW + 200), st.integers(0, 2**40))
wild_quotes = st.builds(
    Quote,
    version=st.integers(0, 2),
    peer_id=st.sampled_from(["p", "q"]),
    statement_id=st.just(bytes(32)),
    resource_class=st.sampled_from([CLASS, "", "x" * 160]),
    model_name=st.text(max_size=128),
    seq=st.one_of(st.integers(0, 5), st.integers(0, 2**40)),
    inputs=st.builds(
        PriceInputs,
        base=st.builds(PriceSchedule, output_token=amounts, gpu_ms=amounts),
        previous_level_ppm=ppms,
        floor_ppm=ppms,
        cap_ppm=ppms,
        elasticity_ppm=ppms,
        step_max_ppm=ppms,
        slots=st.integers(1, 4096),
        window_ms=st.integers(1, 86_400_000),
        busy_slot_ms=st.integers(0, 2**40),
    ),
    level_ppm=ppms,
    schedule=st.builds(PriceSchedule, output_token=amounts),
    free_slots=st.integers(0, 4096),
    speed_milli_per_s=st.integers(0, 2**40),
    limits=st.builds(Limits, context_tokens=st.integers(0, 2**40)),
    tier=st.sampled_from(Tier),
    evidence_id=st.just(bytes(32)),
    issued_at_unix_s=moments,
    expires_at_unix_s=moments,
)


@given(st.lists(wild_quotes, max_size=6))
def test_no_quote_that_decodes_can_crash_the_book(quotes):
    book = QuoteBook()
    for one in quotes:
        arrived = decode(Quote, encode(one))
        verdict = book.accept(sealed(arrived), arrived, NOW)
        assert verdict.outcome in Outcome
    for listing in book.candidates(CLASS, NOW):
        assert malformed(listing.quote, peer_id=listing.quote.peer_id) == []
        assert listing.faulty == bool(listing.reasons)


class Flood(RuleBasedStateMachine):
    """Any order of honest, stale, forged-looking and expired quotes from many peers."""

    def __init__(self):
        super().__init__()
        self.book = QuoteBook(providers_max=5, classes_max=3, quotes_max=9)
        self.now = NOW
        self.series: dict[tuple[str, int], Quote] = {}

    def _put(self, one: Quote) -> None:
        before = self.book._find(one)
        verdict = self.book.accept(sealed(one), one, self.now)
        after = self.book._find(one)
        if verdict.outcome is Outcome.NEW:
            assert before is None or one.seq > before.quote.seq
            assert after is not None
            assert after.quote == one
        if verdict.outcome in {Outcome.SEEN, Outcome.STALE, Outcome.REFUSED}:
            assert not verdict.forward
            assert before is None or after == before

    @rule(number=st.integers(0, 20), model=st.integers(0, 5), busy=st.integers(0, 240_000))
    def honest(self, number, model, busy):
        previous = self.series.get((f"p{number}", model))
        load = Load(4, 60_000, busy) if previous and busy % 2 else None
        made = quote(f"p{number}", model=model, previous=previous, load=load, now=self.now)
        self.series[f"p{number}", model] = made
        self._put(made)

    @precondition(lambda self: self.series)
    @rule(data=st.data(), slots=st.integers(0, 4), back=st.integers(0, 3))
    def forked_or_replayed(self, data, slots, back):
        key = data.draw(st.sampled_from(sorted(self.series)))
        one = self.series[key]
        self._put(replace(one, free_slots=slots, seq=max(0, one.seq - back)))

    @rule(number=st.integers(0, 20), level=st.integers(0, 10**12))
    def cheating(self, number, level):
        self._put(replace(quote(f"p{number}", now=self.now), level_ppm=level))

    @rule(seconds=st.integers(1, 90))
    def wait(self, seconds):
        self.now += seconds

    @rule(known=st.sets(st.integers(0, 20), max_size=5), model=st.integers(0, 5))
    def learn(self, known, model):
        self.book.know(f"p{number}" for number in known)
        self.book.watch({quote(model=model).resource_class})

    @invariant()
    def it_stays_within_its_bounds(self):
        shelves = self.book._shelves
        assert len(shelves) <= 3
        assert all(0 < len(shelf.listings) <= 5 for shelf in shelves.values())
        assert len(self.book.evidence) <= EVIDENCE_MAX
        for shelf in shelves.values():
            assert shelf.faulty == {p for p, one in shelf.listings.items() if one.faulty}
        assert len(self.book) == sum(len(shelf.listings) for shelf in shelves.values()) <= 9
        held = [peer for shelf in shelves.values() for peer in shelf.listings]
        assert self.book._classes_of == {peer: held.count(peer) for peer in held}

    @invariant()
    def candidates_are_live_and_earliest_expiry_is_a_lower_bound(self):
        for key, shelf in self.book._shelves.items():
            for listing in self.book.candidates(key, self.now):
                assert listing.quote.expires_at_unix_s > self.now
            expiries = [one.quote.expires_at_unix_s for one in shelf.listings.values()]
            assert shelf.earliest_expiry_unix_s <= min(expiries)


Flood.TestCase.settings = settings(max_examples=40, stateful_step_count=40)
TestFlood = Flood.TestCase
