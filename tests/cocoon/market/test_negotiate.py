"""The requester's negotiation: it always ends, and everybody learns why."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from offerings import offering, quote_of

from cocoon.confidential.transcript import evidence_id
from cocoon.market.load import Load
from cocoon.market.match import ANY_PRICE, Preferences
from cocoon.market.negotiate import (
    HARD_DEADLINE_S,
    SOFT_DEADLINE_S,
    Choose,
    GiveUp,
    Negotiation,
    OfferReceived,
    PeerFailed,
    RefusalReceived,
    SendCounter,
    SendDecline,
    SendRequest,
    TimePassed,
    offer_problem,
)
from cocoon.market.price import PPM, schedule_at
from cocoon.messages import (
    VERSION,
    Limits,
    LossReason,
    Offer,
    PriceSchedule,
    Quote,
    Refusal,
    RefusalCode,
    RequestForOffer,
    Statement,
    Tier,
    encode,
    message_hash,
)

NOW = 1_800_000_000
CLASS = "chat/" + "00" * 32
REQUEST = RequestForOffer(
    nonce=bytes(16),
    resource_class=CLASS,
    chain_network_id=-3,
    input_bytes_max=1_000,
    prompt_tokens_max=100,
    output_tokens_max=100,
    audio_seconds_max=0,
    tier_min=Tier.OPEN,
    ceiling=ANY_PRICE,
    deadline_unix_s=NOW + 100,
)
REQUEST_HASH = message_hash(encode(REQUEST))
LIMITS = Limits(context_tokens=512, output_tokens_max=256, input_bytes_max=65_536)
CEILING = PriceSchedule(output_token=1_000_000)


def quote(peer="p", price=1_000_000, **changes) -> Quote:
    sold = offering(peer, price=price, limits=LIMITS)
    made = quote_of(sold, load=Load(4, 60_000, 120_000), slots=4, speed=30_000)
    return replace(made, **changes)


def offer(of: Quote, price=None, **changes) -> Offer:
    schedule = of.schedule if price is None else PriceSchedule(output_token=price)
    made = Offer(
        request_hash=REQUEST_HASH,
        statement_id=of.statement_id,
        provider=of.peer_id,
        seal_key=b"",
        schedule=schedule,
        limits=of.limits,
        quote_seq=of.seq,
        tier=of.tier,
        evidence_id=evidence_id(b""),
        payee_address="0:payee",
        payee_key=bytes(32),
        challenge_s_min=600,
        spendable_min_nanoton=0,
        expires_at_unix_s=NOW + 30,
        final=False,
    )
    return replace(made, **changes)


class Talk:
    """Drives a negotiation at times of the test's choice."""

    def __init__(self, quotes, *, ceiling=ANY_PRICE, **more):
        self.quotes = {one.peer_id: one for one in quotes}
        self.core = Negotiation(
            request=replace(REQUEST, ceiling=ceiling),
            request_hash=REQUEST_HASH,
            quotes=quotes,
            prefs=Preferences(ceiling=ceiling, near_best_ppm=0),
            tracks={},
            rng=random.Random(1),  # noqa: S311  (a test)
            now_s=0.0,
            **more,
        )
        self.started = self.core.start()

    def feed(self, event, at=0.1):
        return self.core.handle(event, now_s=at, now_unix_s=NOW + int(at))

    def offers(self, peer, price=None, at=0.1, **changes):
        made = offer(self.quotes[peer], price, **changes)
        return self.feed(OfferReceived(peer, made, message_hash(encode(made))), at)

    def refuses(self, peer, code=RefusalCode.BUSY, detail="", at=0.1):
        return self.feed(RefusalReceived(peer, Refusal(code=code, detail=detail)), at)

    def passes(self, at):
        return self.feed(TimePassed(), at)

    def reasons(self):
        return {loss.peer: loss.reason for loss in self.core.losses}


# --- one offer ------------------------------------------------------------------------


STATEMENT = Statement(
    version=VERSION,
    peer_id="p",
    boot_key=b"",
    models=(),
    device="cpu",
    tier=Tier.OPEN,
    evidence=b"",
    payment_address="0:payee",
    payee_key=bytes(32),
    chain_network_id=-3,
    challenge_s_min=600,
    software="",
    issued_at_unix_s=NOW,
    expires_at_unix_s=NOW + 100,
)


def problem(made: Offer, *, of=None, request=REQUEST, statement=STATEMENT, at=NOW):
    return offer_problem(
        made,
        peer="p",
        request=request,
        request_hash=REQUEST_HASH,
        quote=of or quote(),
        statement=statement,
        now_unix_s=at,
    )


def test_an_offer_as_quoted_or_cheaper_has_no_problem():
    assert problem(offer(quote())) is None
    assert problem(offer(quote(), 1)) is None


BAIT = LossReason.BAIT_AND_SWITCH
BROKEN = LossReason.PROTOCOL_VIOLATION


@pytest.mark.parametrize(
    ("changes", "reason", "told"),
    [
        ({"request_hash": bytes(32)}, BROKEN, "it answers another request"),
        ({"provider": "q"}, BROKEN, "it is the offer of q"),
        ({"expires_at_unix_s": NOW}, BROKEN, "it expired 0 s ago"),
        ({"expires_at_unix_s": NOW + 66}, BROKEN, "it is good for 66 s, at most 60"),
        (
            {"schedule": PriceSchedule(output_token=1_000_001)},
            BAIT,
            "dearer than quoted: output_token 1000001 nanoton per 1000, at most 1000000",
        ),
        ({"schedule": PriceSchedule(prompt_token=1)}, BAIT, "dearer than quoted: prompt_token 1"),
        ({"quote_seq": 0}, BAIT, "priced by quote 0"),
        ({"statement_id": b"x" * 32}, BAIT, "another statement than the quote names"),
        ({"payee_key": b"x" * 32}, BAIT, "another payee than the statement names"),
        ({"payee_address": "0:thief"}, BAIT, "another payee than the statement names"),
        ({"evidence_id": bytes(32)}, BAIT, "evidence that is not stated"),
        ({"tier": Tier.SIM}, BAIT, "tier SIM, stated OPEN"),
        ({"challenge_s_min": 601}, BAIT, "wants 601 s to challenge, stated 600 s"),
        ({"spendable_min_nanoton": 100_001}, BAIT, "wants 100001 nanoton locked, at most 100000"),
        ({"limits": Limits()}, LossReason.TOO_SMALL, "1000 input bytes wanted, at most 0 taken"),
    ],
)
def test_what_is_wrong_with_an_offer_is_told(changes, reason, told):
    found = problem(offer(quote(), **changes))
    assert found is not None
    assert found[0] is reason
    assert found[1].startswith(told)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"peer_id": "q"}, "the statement of another provider"),
        ({"chain_network_id": -239}, "it is paid on another chain"),
        ({"evidence": b"some"}, "evidence that is not stated"),
        ({"tier": Tier.GPU_TEE}, "tier OPEN, stated GPU_TEE"),
    ],
)
def test_an_offer_whose_receipt_could_not_be_checked_by_its_statement_is_none(changes, told):
    """Each of these would show only when somebody verifies the receipt of a paid job."""
    assert problem(offer(quote()), statement=replace(STATEMENT, **changes)) == (BAIT, told)


def test_a_tier_below_the_quoted_or_the_wanted_one_is_no_offer():
    quoted = quote(tier=Tier.CPU_TEE)
    assert problem(offer(quoted, tier=Tier.SIM), of=quoted)[0] is BAIT
    wanted = replace(REQUEST, tier_min=Tier.GPU_TEE)
    stated = replace(STATEMENT, tier=Tier.CPU_TEE)
    found = problem(offer(quoted), of=quoted, request=wanted, statement=stated)
    assert found == (LossReason.TIER_TOO_LOW, "CPU_TEE, wanted GPU_TEE")


def test_under_a_newer_quote_the_price_may_have_made_the_steps_that_time_allows():
    newer = quote().seq + 1
    assert problem(offer(quote(), 1_020_000, quote_seq=newer)) is None
    assert problem(offer(quote(), 1_020_001, quote_seq=newer))[0] is BAIT
    late = offer(quote(), 1_040_400, quote_seq=newer, expires_at_unix_s=NOW + 90)
    assert problem(late, at=NOW + 60) is None
    assert problem(replace(late, schedule=schedule_at(CEILING, 1_040_402)), at=NOW + 60)


# --- the whole ------------------------------------------------------------------------


def test_the_best_of_all_answers_is_chosen_and_the_others_are_told():
    talk = Talk([quote("a"), quote("b", 1_310_000), quote("c")])
    assert talk.started == [SendRequest("a"), SendRequest("b"), SendRequest("c")]
    assert talk.offers("a") == []
    assert talk.offers("b") == []
    chosen, declined = talk.refuses("c", detail="all 4 slots taken")
    assert isinstance(chosen, Choose)
    assert chosen.peer == "a"
    assert chosen.offer == offer(quote("a"))
    assert chosen.offer_hash == message_hash(encode(chosen.offer))
    told = "1.31x the winner's price (131000 against 100000 nanoton)"
    assert declined == SendDecline("b", LossReason.MORE_EXPENSIVE, told)
    assert [(one.peer, one.reason, one.detail) for one in talk.core.losses] == [
        ("c", LossReason.REFUSED, "busy: all 4 slots taken"),
        ("b", LossReason.MORE_EXPENSIVE, told),
    ]
    assert talk.core.done
    assert talk.core.wake_at_s is None


def test_at_the_soft_deadline_one_offer_is_enough_and_the_silent_lose():
    talk = Talk([quote("a"), quote("silent")])
    assert talk.core.wake_at_s == SOFT_DEADLINE_S
    talk.offers("a")
    chosen, declined = talk.passes(SOFT_DEADLINE_S)
    assert isinstance(chosen, Choose)
    assert declined.reason is LossReason.TOO_SLOW_TO_ANSWER
    late = talk.offers("silent", at=SOFT_DEADLINE_S + 1)
    assert [one.reason for one in late] == [LossReason.TOO_SLOW_TO_ANSWER]


def test_without_an_offer_it_waits_on_and_takes_the_first_that_comes():
    talk = Talk([quote("a"), quote("b")])
    assert talk.passes(SOFT_DEADLINE_S) == []
    assert talk.core.wake_at_s == HARD_DEADLINE_S
    chosen, *_ = talk.offers("b", at=SOFT_DEADLINE_S + 1)
    assert isinstance(chosen, Choose)


def test_at_the_hard_deadline_it_gives_up_with_all_reasons():
    talk = Talk([quote("a"), quote("b"), quote("c")])
    talk.feed(PeerFailed("a", LossReason.UNREACHABLE, "no route"))
    talk.refuses("b", RefusalCode.TIER)
    gave_up, *_ = talk.passes(HARD_DEADLINE_S)
    assert isinstance(gave_up, GiveUp)
    assert {loss.peer: loss.reason for loss in gave_up.losses} == {
        "a": LossReason.UNREACHABLE,
        "b": LossReason.REFUSED,
        "c": LossReason.TOO_SLOW_TO_ANSWER,
    }
    assert talk.core.winner is None


def test_who_refused_as_busy_is_told_apart_from_who_did_not_want():
    talk = Talk([quote("full"), quote("choosy"), quote("silent")])
    talk.refuses("full", RefusalCode.BUSY, at=0.1)
    talk.refuses("choosy", RefusalCode.POLICY, at=0.2)
    talk.refuses("stranger", RefusalCode.BUSY, at=0.3)
    assert talk.core.refused_busy == {"full"}


def test_nobody_to_ask_is_given_up_at_once():
    talk = Talk([])
    assert talk.started == [GiveUp(())]
    assert talk.core.done


def test_a_bait_and_switch_loses_at_once():
    talk = Talk([quote("a"), quote("b")])
    (declined,) = talk.offers("a", 1_000_001)
    assert (declined.peer, declined.reason) == ("a", BAIT)
    assert talk.offers("a") == []
    chosen, *_ = talk.offers("b")
    assert isinstance(chosen, Choose)
    assert chosen.peer == "b"


def test_a_second_offer_that_nobody_asked_for_breaks_the_protocol():
    talk = Talk([quote("a"), quote("b")])
    talk.offers("a")
    (declined,) = talk.offers("a", 1)
    assert declined.reason is BROKEN


def test_words_from_peers_that_were_not_asked_are_ignored():
    talk = Talk([quote("a"), quote("b")])
    stranger = offer(quote("x"))
    assert talk.feed(OfferReceived("x", stranger, bytes(32))) == []
    assert talk.refuses("x") == []
    assert talk.core.losses == ()


def test_an_offer_that_expired_while_waiting_is_not_chosen():
    talk = Talk([quote("a"), quote("b")], soft_deadline_s=50.0, hard_deadline_s=60.0)
    talk.offers("a")
    chosen, *_ = effects = talk.offers("b", at=40.0, expires_at_unix_s=NOW + 70)
    assert isinstance(chosen, SendDecline)
    assert isinstance(effects[1], Choose)
    assert effects[1].peer == "b"
    assert talk.reasons() == {"a": LossReason.TOO_SLOW_TO_ANSWER}


# --- haggling -------------------------------------------------------------------------


def test_no_counter_is_sent_when_an_offer_is_at_the_ceiling():
    talk = Talk([quote("a"), quote("b", 1_200_000)], ceiling=CEILING)
    talk.offers("a")
    chosen, declined = talk.offers("b")
    assert isinstance(chosen, Choose)
    assert declined.reason is LossReason.OVER_CEILING


def test_the_best_offer_above_the_ceiling_is_countered_once_at_the_ceiling():
    talk = Talk([quote("a", 1_100_000), quote("b", 1_200_000)], ceiling=CEILING)
    talk.offers("b")
    (countered,) = talk.offers("a")
    assert isinstance(countered, SendCounter)
    assert countered.peer == "a"
    assert countered.counter.schedule == CEILING
    assert countered.counter.offer_hash == message_hash(encode(offer(quote("a", 1_100_000))))
    assert talk.core.wake_at_s == pytest.approx(2.1)
    chosen, declined = talk.offers("a", 1_000_000, final=True)
    assert isinstance(chosen, Choose)
    assert chosen.offer.final
    assert declined.reason is LossReason.OVER_CEILING


@pytest.mark.parametrize("answer", ["refusal", "silence", "gone"])
def test_when_the_counter_fails_everybody_is_over_the_ceiling_or_gone(answer):
    talk = Talk([quote("a", 1_100_000)], ceiling=CEILING)
    (countered,) = talk.offers("a")
    assert isinstance(countered, SendCounter)
    effects = {
        "refusal": lambda: talk.refuses("a", RefusalCode.PRICE_TOO_LOW),
        "silence": lambda: talk.passes(talk.core.wake_at_s),
        "gone": lambda: talk.feed(PeerFailed("a", LossReason.UNREACHABLE, "reset")),
    }[answer]()
    assert isinstance(effects[0], GiveUp)
    expected = LossReason.UNREACHABLE if answer == "gone" else LossReason.OVER_CEILING
    assert talk.reasons() == {"a": expected}


def test_while_the_counter_is_out_nothing_else_ends_it():
    talk = Talk([quote("a", 1_100_000), quote("b")], ceiling=CEILING)
    talk.refuses("b")
    (countered,) = talk.offers("a", at=0.1)
    assert isinstance(countered, SendCounter)
    assert talk.passes(2.0) == []
    assert talk.refuses("b", at=2.05) == []
    chosen, *_ = talk.offers("a", 1_000_000, at=2.05)
    assert isinstance(chosen, Choose)


def test_an_offer_out_of_reach_does_not_end_the_wait_for_the_others():
    talk = Talk([quote("a", 1_100_000), quote("b")], ceiling=CEILING)
    talk.offers("a", final=True)
    assert talk.passes(SOFT_DEADLINE_S) == []
    assert not talk.core.done
    chosen, *_ = talk.offers("b", at=SOFT_DEADLINE_S + 1)
    assert isinstance(chosen, Choose)
    assert chosen.peer == "b"


def test_a_requester_may_haggle_below_its_ceiling_and_still_take_the_first_offer():
    talk = Talk([quote("a")], ceiling=CEILING, counter_below_ppm=900_000)
    (countered,) = talk.offers("a")
    assert isinstance(countered, SendCounter)
    assert countered.counter.schedule == PriceSchedule(output_token=900_000)
    (chosen,) = talk.refuses("a", RefusalCode.PRICE_TOO_LOW)
    assert isinstance(chosen, Choose)
    assert chosen.offer.schedule == CEILING


def test_a_final_offer_is_not_countered():
    talk = Talk([quote("a", 1_100_000)], ceiling=CEILING)
    (gave_up, _) = talk.offers("a", final=True)
    assert isinstance(gave_up, GiveUp)


def test_dearer_after_the_counter_is_bait_and_switch():
    talk = Talk([quote("a", 1_100_000)], ceiling=CEILING, counter_below_ppm=PPM)
    talk.offers("a", 1_050_000)
    declined, gave_up = talk.offers("a", 1_060_000)
    assert declined.reason is BAIT
    assert isinstance(gave_up, GiveUp)


def test_a_dead_counter_does_not_keep_it_from_waking_at_the_right_time():
    talk = Talk([quote("a", 1_100_000), quote("b")], ceiling=CEILING)
    talk.offers("a")
    (countered,) = talk.passes(SOFT_DEADLINE_S)
    assert isinstance(countered, SendCounter)
    assert talk.feed(PeerFailed("a", LossReason.UNREACHABLE, ""), SOFT_DEADLINE_S + 0.5) == []
    assert talk.core.wake_at_s == HARD_DEADLINE_S
    chosen, *_ = talk.offers("b", at=SOFT_DEADLINE_S + 1)
    assert isinstance(chosen, Choose)


# --- properties -----------------------------------------------------------------------

PEERS = ("a", "b", "c", "d")
moves = st.tuples(
    st.sampled_from(["offer", "final", "dear", "wrong", "refuse", "fail", "time"]),
    st.sampled_from([*PEERS, "stranger"]),
    st.floats(0, 1.5),
    st.integers(1, 1_400_000),
)


@given(
    st.integers(0, 4),
    st.lists(moves, max_size=25),
    st.sampled_from([ANY_PRICE, CEILING]),
    st.sampled_from([PPM, 800_000]),
)
def test_it_always_ends_once_with_one_reason_for_each_loser(asked, steps, ceiling, below_ppm):
    talk = Talk(
        [quote(peer, 1_100_000) for peer in PEERS[:asked]],
        ceiling=ceiling,
        counter_below_ppm=below_ppm,
    )
    effects, at = list(talk.started), 0.0
    stranger = quote("stranger")
    for action, peer, passed_s, price in steps:
        at += passed_s
        of = talk.quotes.get(peer, stranger)
        made = {
            "offer": offer(of, min(price, 1_100_000)),
            "final": offer(of, min(price, 1_100_000), final=True),
            "dear": offer(of, 1_100_000 + price),
            "wrong": offer(of, request_hash=bytes(32)),
        }.get(action)
        if made is not None:
            effects += talk.feed(OfferReceived(peer, made, message_hash(encode(made))), at)
        elif action == "refuse":
            effects += talk.refuses(peer, at=at)
        elif action == "fail":
            effects += talk.feed(PeerFailed(peer, LossReason.UNREACHABLE, "x"), at)
        else:
            effects += talk.passes(at)
    wakes = 0
    while (wake_at_s := talk.core.wake_at_s) is not None:
        wakes += 1
        assert wakes <= 4
        at = max(at, wake_at_s)
        effects += talk.passes(at)
    assert talk.core.done
    assert sum(isinstance(one, Choose | GiveUp) for one in effects) == 1
    assert sum(isinstance(one, SendCounter) for one in effects) <= 1
    winner = [talk.core.winner.peer] if talk.core.winner else []
    lost = [loss.peer for loss in talk.core.losses]
    assert sorted(winner + lost) == sorted(PEERS[:asked])
    if talk.core.winner:
        assert talk.core.winner.offer.schedule.output_token <= ceiling.output_token
