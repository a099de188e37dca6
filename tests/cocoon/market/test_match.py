"""Whom to ask and whom to choose."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from offerings import offering, quote_of

from cocoon.market.book import QuoteBook
from cocoon.market.match import (
    ANY_PRICE,
    Loss,
    OfferSeen,
    Preferences,
    Score,
    Shortlist,
    Track,
    choose,
    score,
    shortlist,
)
from cocoon.market.price import PPM, at_most
from cocoon.market.sizes import JobSize
from cocoon.messages import (
    Limits,
    LossReason,
    PriceSchedule,
    Signed,
    Tier,
    encode,
)

NOW = 1_800_000_000
CLASS = "chat/" + "00" * 32
SIZE = JobSize(prompt_tokens_max=100, output_tokens_max=100, input_bytes_max=1_000)
ROOMY = Limits(context_tokens=4_096, output_tokens_max=4_096, input_bytes_max=1 << 20)
FAST = 30_000


def add(book: QuoteBook, peer, *, price=1_000_000, speed=FAST, free=1, tier=Tier.OPEN, **more):
    limits = more.pop("limits", ROOMY)
    sold = offering(peer, price=price, limits=limits, tier=tier, floor_ppm=PPM, cap_ppm=PPM)
    quote = quote_of(sold, slots=4, free=free, speed=speed)
    quote = replace(quote, **more)
    book.accept(Signed(body=encode(quote), signature=bytes(64)), quote, NOW)
    return quote


def ask(book: QuoteBook, prefs: Preferences, tracks=None, seed=1) -> Shortlist:
    return shortlist(book.candidates(CLASS, NOW), prefs, tracks or {}, SIZE, random.Random(seed))  # noqa: S311  (a test)


def asked(result: Shortlist) -> list[str]:
    return [listing.quote.peer_id for listing in result.asked]


def reasons(losses) -> dict[str, LossReason]:
    return {loss.peer: loss.reason for loss in losses}


def offer(peer, *, price=1_000_000, speed=FAST, **more) -> OfferSeen:
    return OfferSeen(
        peer=peer,
        schedule=PriceSchedule(output_token=price),
        limits=more.get("limits", ROOMY),
        tier=more.get("tier", Tier.OPEN),
        speed_milli_per_s=speed,
    )


def decide(offers, prefs=None, tracks=None, seed=1):
    return choose(offers, prefs or Preferences(), tracks or {}, SIZE, random.Random(seed))  # noqa: S311  (a test)


# --- scores ---------------------------------------------------------------------------


def total(price=1_000_000, speed=FAST, track=None, prefs=None) -> int:
    schedule = PriceSchedule(output_token=price)
    return score(schedule, speed, SIZE, prefs or Preferences(), track or Track()).total


def test_dearer_slower_and_less_reliable_are_each_worse():
    assert total(price=1_100_000) > total()
    assert total(speed=10_000) > total()
    assert total(track=Track(jobs=5, failures=5)) > total(track=Track(jobs=10)) < total()


def test_boasting_beyond_what_is_enough_gains_nothing():
    assert total(speed=10**9) == total(speed=FAST)


def test_our_own_measurement_beats_the_claim():
    assert total(speed=FAST, track=Track(speed_milli_per_s=1_000)) == total(speed=1_000)


def test_a_provider_that_claims_no_speed_is_slow_but_has_a_score():
    assert total(speed=0) == total(speed=FAST // 10)


def test_free_providers_are_told_apart_by_speed():
    assert total(price=0, speed=1_000) > total(price=0)


def test_weights_say_what_a_requester_pays_for():
    hasty = Preferences(speed_weight=100)
    stingy = Preferences(speed_weight=0)
    assert total(price=1_500_000, prefs=hasty) < total(speed=15_000, prefs=hasty)
    assert total(price=1_500_000, prefs=stingy) > total(speed=15_000, prefs=stingy)


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_the_success_rate_is_never_zero_or_one(jobs, failures):
    assert 0 < Track(jobs=jobs, failures=failures).success_ppm < PPM


# --- the shortlist --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "prefs", "reason", "told"),
    [
        ({}, {"excluded": frozenset({"bad"})}, LossReason.NOT_ASKED, "excluded for this job"),
        ({"tier": Tier.OPEN}, {"tier_min": Tier.CPU_TEE}, LossReason.TIER_TOO_LOW, "OPEN, wanted"),
        ({"free": 0}, {"ask_max": 1}, LossReason.NO_FREE_SLOT, "all 4 slots busy"),
        (
            {"price": 1_251_000},
            {"ceiling": PriceSchedule(output_token=1_000_000)},
            LossReason.OVER_CEILING,
            "output_token 1251000 nanoton per 1000, at most 1250000",
        ),
        (
            {"limits": Limits(context_tokens=199, output_tokens_max=999, input_bytes_max=9_999)},
            {},
            LossReason.TOO_SMALL,
            "200 tokens of context wanted, at most 199 taken",
        ),
        (
            {"level_ppm": 1},
            {},
            LossReason.PRICE_NOT_BY_RULE,
            "level 1 ppm, by the rule 1000000 ppm",
        ),
    ],
)
def test_each_objection_has_its_own_reason_with_numbers(bad, prefs, reason, told):
    book = QuoteBook()
    add(book, "bad", **bad)
    add(book, "good", tier=Tier.VETTED)
    result = ask(book, Preferences(**prefs))
    assert asked(result) == ["good"]
    (loss,) = result.passed_over
    assert (loss.peer, loss.reason) == ("bad", reason)
    assert told in loss.detail


def test_an_equivocator_is_not_asked():
    book = QuoteBook()
    quote = replace(add(book, "bad"), free_slots=0)
    book.accept(Signed(body=encode(quote), signature=bytes(64)), quote, NOW)
    result = ask(book, Preferences())
    assert reasons(result.passed_over) == {"bad": LossReason.PROTOCOL_VIOLATION}


def test_the_few_best_are_asked_and_the_rest_learn_how_far_off_they_were():
    book = QuoteBook()
    for number in range(6):
        add(book, f"p{number}", price=1_000_000 * (number + 1))
    result = ask(book, Preferences(ask_max=2))
    assert asked(result) == ["p0", "p1"]
    assert [loss.reason for loss in result.passed_over] == [LossReason.NOT_ASKED] * 4
    assert result.passed_over[0].detail == "3.00x the score of the best, 2 asked"


def test_a_quote_a_little_above_the_ceiling_is_asked_after_all_others():
    book = QuoteBook()
    add(book, "dear", price=1_100_000)
    add(book, "slow", price=999_999, speed=1)
    result = ask(book, Preferences(ceiling=PriceSchedule(output_token=1_000_000)))
    assert asked(result) == ["slow", "dear"]


def test_equally_good_providers_share_the_requests():
    book = QuoteBook()
    for number in range(8):
        add(book, f"p{number}", price=1_000_000 + number * 5_000)
    hits = Counter(
        peer for seed in range(400) for peer in asked(ask(book, Preferences(ask_max=2), seed=seed))
    )
    assert len(hits) == 8
    assert max(hits.values()) < 2 * min(hits.values())


def test_near_best_but_not_asked_is_called_not_drawn():
    book = QuoteBook()
    for number in range(3):
        add(book, f"p{number}")
    result = ask(book, Preferences(ask_max=1))
    assert [loss.reason for loss in result.passed_over] == [LossReason.NOT_DRAWN] * 2


def test_who_quotes_no_free_slot_is_asked_last_for_quotes_are_older_than_answers():
    book = QuoteBook()
    add(book, "busy", free=0, price=500_000)
    add(book, "dear", price=1_050_000)
    add(book, "fits", price=900_000)
    result = ask(book, Preferences(ceiling=PriceSchedule(output_token=1_000_000)))
    assert asked(result) == ["fits", "dear", "busy"]
    assert result.passed_over == ()


def test_after_a_refusal_as_busy_all_that_are_free_at_a_fitting_price_share_the_requests():
    book = QuoteBook()
    for number in range(8):
        add(book, f"p{number}", price=1_000_000 + number * 300_000)
    prefs = Preferences(ask_max=2, busy=frozenset({"p0"}))
    hits = Counter(peer for seed in range(400) for peer in asked(ask(book, prefs, seed=seed)))
    assert set(hits) == {f"p{number}" for number in range(1, 8)}
    assert max(hits.values()) < 2 * min(hits.values())
    assert set(asked(ask(book, Preferences(ask_max=2)))) == {"p0", "p1"}  # the first round


def test_the_wider_draw_says_who_was_not_drawn_and_who_was_busy():
    book = QuoteBook()
    for number in range(5):
        add(book, f"p{number}", price=1_000_000 * (number + 1))
    prefs = Preferences(
        ask_max=2, busy=frozenset({"p0"}), ceiling=PriceSchedule(output_token=4_100_000)
    )
    result = ask(book, prefs)
    details = {loss.peer: (loss.reason, loss.detail) for loss in result.passed_over}
    busy = details.pop("p0")
    assert busy == (LossReason.NO_FREE_SLOT, "it refused this job as busy")
    dear = details.pop("p4")
    assert dear[0] is LossReason.NOT_ASKED
    assert set(details.values()) == {
        (LossReason.NOT_DRAWN, "drawn among all that are free, 2 asked")
    }
    assert len(details) == 1
    assert result.free_left == 2


def test_the_wider_draw_asks_the_dear_and_then_the_busy_when_there_is_room():
    book = QuoteBook()
    add(book, "busy", price=500_000)
    add(book, "dear", price=1_050_000)
    add(book, "fits", price=900_000)
    ceiling = PriceSchedule(output_token=1_000_000)
    result = ask(book, Preferences(ceiling=ceiling, busy=frozenset({"busy"})))
    assert asked(result) == ["fits", "dear", "busy"]
    assert result.free_left == 0


@given(
    st.lists(st.tuples(st.integers(1, 2_000_000), st.integers(0, 2)), min_size=1, max_size=9),
    st.sets(st.integers(0, 8)),
    st.integers(1, 5),
    st.integers(0, 99),
)
def test_a_wider_draw_asks_no_more_and_nobody_that_the_first_round_would_not(
    sellers, refused, ask_max, seed
):
    book = QuoteBook()
    for number, (price, free) in enumerate(sellers):
        add(book, f"p{number}", price=price, free=free)
    ceiling = PriceSchedule(output_token=1_000_000)
    busy = frozenset(f"p{number}" for number in refused)
    prefs = Preferences(ceiling=ceiling, ask_max=ask_max, busy=busy)
    result = ask(book, prefs, seed=seed)
    anybody = ask(book, Preferences(ceiling=ceiling, ask_max=32))
    assert len(result.asked) <= ask_max
    assert set(asked(result)) <= set(asked(anybody))
    told = [loss.peer for loss in result.passed_over]
    assert sorted(told + asked(result)) == sorted(f"p{number}" for number in range(len(sellers)))
    free = [one for one in anybody.asked if one.quote.free_slots and one.quote.peer_id not in busy]
    assert result.free_left == max(0, len(free) - ask_max)
    if len(free) >= ask_max:
        assert busy.isdisjoint(asked(result))


def test_nobody_to_ask_is_an_answer_too():
    assert ask(QuoteBook(), Preferences()) == Shortlist((), ())


# --- the choice -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loser", "tracks", "reason", "detail"),
    [
        (
            {"price": 1_310_000},
            {},
            LossReason.MORE_EXPENSIVE,
            "1.31x the winner's price (131000 against 100000 nanoton)",
        ),
        (
            {"speed": 10_000},
            {},
            LossReason.SLOWER,
            "3.00x the winner's time (10.0 against 30.0 a second)",
        ),
        (
            {},
            {"loser": Track(failures=10)},
            LossReason.LESS_RELIABLE,
            "the winner is 2.00x as reliable (450000 against 900000 ppm of jobs succeed)",
        ),
    ],
)
def test_the_loser_learns_what_weighed_most_in_numbers(loser, tracks, reason, detail):
    decision = decide([offer("loser", **loser), offer("winner")], tracks=tracks)
    assert decision.winner is not None
    assert decision.winner.peer == "winner"
    assert decision.losers == (Loss("loser", reason, detail),)


def test_unacceptable_offers_lose_even_when_nobody_wins():
    prefs = Preferences(ceiling=PriceSchedule(output_token=10), tier_min=Tier.CPU_TEE)
    decision = decide(
        [
            offer("dear", tier=Tier.VETTED),
            offer("open", price=1),
            offer("small", price=1, tier=Tier.VETTED, limits=Limits()),
        ],
        prefs,
    )
    assert decision.winner is None
    assert reasons(decision.losers) == {
        "dear": LossReason.OVER_CEILING,
        "open": LossReason.TIER_TOO_LOW,
        "small": LossReason.TOO_SMALL,
    }


def test_winners_are_drawn_among_the_near_best_only():
    offers = [offer("a"), offer("b", price=1_040_000), offer("c", price=1_060_000)]
    winners = Counter(decide(offers, seed=seed).winner.peer for seed in range(300))
    assert set(winners) == {"a", "b"}
    assert min(winners.values()) > 100


def test_the_same_seed_makes_the_same_choice():
    offers = [offer(f"p{number}") for number in range(9)]
    assert decide(offers, seed=3) == decide(offers, seed=3)
    assert decide(offers, seed=3).winner == decide(offers[::-1], seed=3).winner


any_offer = st.builds(
    OfferSeen,
    peer=st.text(max_size=4),
    schedule=st.builds(
        PriceSchedule,
        prompt_token=st.integers(0, 5 * 10**18),
        output_token=st.integers(0, 5 * 10**18),
    ),
    limits=st.sampled_from([ROOMY, Limits()]),
    tier=st.sampled_from(Tier),
    speed_milli_per_s=st.integers(0, 2**40),
)
any_prefs = st.builds(
    Preferences,
    ceiling=st.sampled_from([ANY_PRICE, PriceSchedule(output_token=10**9)]),
    tier_min=st.sampled_from(Tier),
    near_best_ppm=st.integers(0, PPM),
    price_weight=st.integers(1, 100),
    speed_weight=st.integers(0, 100),
    reliability_weight=st.integers(0, 100),
)


@given(st.lists(any_offer, max_size=8, unique_by=lambda one: one.peer), any_prefs, st.data())
def test_everybody_but_the_winner_has_exactly_one_reason(offers, prefs, data):
    tracks = {
        one.peer: Track(data.draw(st.integers(0, 99)), data.draw(st.integers(0, 99)))
        for one in offers
    }
    decision = decide(offers, prefs, tracks, seed=data.draw(st.integers(0, 9)))
    winner = [decision.winner.peer] if decision.winner else []
    assert sorted(winner + [loss.peer for loss in decision.losers]) == sorted(
        one.peer for one in offers
    )
    assert all(0 < len(loss.detail) <= 512 for loss in decision.losers)
    if decision.winner:
        assert at_most(decision.winner.schedule, prefs.ceiling)
        assert decision.winner.tier >= prefs.tier_min


@given(st.lists(any_offer, min_size=2, max_size=6, unique_by=lambda one: one.peer), any_prefs)
def test_no_third_party_changes_the_order_of_two(offers, prefs):
    def of(one: OfferSeen) -> Score:
        return score(one.schedule, one.speed_milli_per_s, SIZE, prefs)

    first, second = offers[:2]
    fair = replace_near(prefs)
    able = [one for one in (first, second) if decide([one], fair).winner]
    if len(able) == 2 and of(first).total < of(second).total:
        winner = decide(offers, fair).winner
        assert winner is not None
        assert winner.peer != second.peer


def replace_near(prefs: Preferences) -> Preferences:
    return Preferences(
        ceiling=prefs.ceiling,
        tier_min=prefs.tier_min,
        near_best_ppm=0,
        price_weight=prefs.price_weight,
        speed_weight=prefs.speed_weight,
    )
