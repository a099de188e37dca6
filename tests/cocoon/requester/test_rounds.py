"""Rounds of asking: bounded, wider after refusals as busy, and nobody is bothered twice."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from offerings import offering, quote_of

from cocoon.market.match import ANY_PRICE, Loss, Preferences, Shortlist
from cocoon.market.negotiate import Negotiation, RefusalReceived
from cocoon.messages import (
    Limits,
    LossReason,
    Refusal,
    RefusalCode,
    RequestForOffer,
    Tier,
)
from cocoon.requester.rounds import WAIT_MAX_S, Rounds

NOW = 1_800_000_000


def quote(peer: str):
    limits = Limits(context_tokens=9, output_tokens_max=9, input_bytes_max=9)
    return quote_of(offering(peer, price=1, limits=limits))


def refused(**codes: RefusalCode) -> Negotiation:
    """A negotiation in which everybody said no."""
    core = Negotiation(
        request=RequestForOffer(
            nonce=bytes(16),
            resource_class="chat/" + "00" * 32,
            chain_network_id=-3,
            input_bytes_max=1,
            prompt_tokens_max=1,
            output_tokens_max=1,
            audio_seconds_max=0,
            tier_min=Tier.OPEN,
            ceiling=ANY_PRICE,
            deadline_unix_s=NOW,
        ),
        request_hash=bytes(32),
        quotes=[quote(peer) for peer in codes],
        prefs=Preferences(),
        tracks={},
        rng=random.Random(1),  # noqa: S311  (a test)
        now_s=0.0,
    )
    core.start()
    for peer, code in codes.items():
        core.handle(RefusalReceived(peer, Refusal(code=code)), now_s=0.1, now_unix_s=NOW)
    assert core.done
    return core


def left(count: int) -> Shortlist:
    return Shortlist((), (), count)


def test_after_refusals_as_busy_the_next_round_is_wide_and_spares_who_said_no():
    rounds = Rounds(3)
    assert rounds.begin(Preferences()) == Preferences()
    core = refused(full=RefusalCode.BUSY, choosy=RefusalCode.POLICY)
    assert rounds.came_to_nothing(left(1), core)
    prefs = rounds.begin(Preferences(excluded=frozenset({"dead"})))
    assert prefs.busy == {"full"}
    assert prefs.excluded == {"choosy", "dead"}
    assert rounds.turned_down["choosy"].reason is LossReason.REFUSED


@pytest.mark.parametrize(
    ("code", "free_left", "again"),
    [
        (RefusalCode.BUSY, 1, True),
        (RefusalCode.BUSY, 0, False),
        (RefusalCode.POLICY, 1, False),
    ],
)
def test_another_round_is_begun_only_when_somebody_was_busy_and_somebody_is_left(
    code, free_left, again
):
    rounds = Rounds(2)
    rounds.begin(Preferences())
    assert rounds.came_to_nothing(left(free_left), refused(one=code)) is again


def test_who_gave_its_slot_away_after_the_offer_widens_the_next_round_too():
    rounds = Rounds(2)
    rounds.lost_slot("gone")
    assert rounds.begin(Preferences()).busy == {"gone"}


@given(st.integers(1, 6), st.integers(0, 9))
def test_there_are_never_more_rounds_than_allowed(rounds_max, free_left):
    rounds, begun = Rounds(rounds_max), 0
    while not rounds.exhausted:
        rounds.begin(Preferences())
        begun += 1
        if not rounds.came_to_nothing(left(free_left), refused(a=RefusalCode.BUSY)):
            break
    assert begun == (rounds_max if free_left else 1)


@given(st.integers(0, 100), st.integers(0, 2**32))
def test_waiting_takes_as_long_as_the_patience_and_no_longer(patience_s, seed):
    rounds, waited_s = Rounds(3, patience_s=patience_s), []
    busy = [Loss("a", LossReason.NO_FREE_SLOT, ""), Loss("b", LossReason.OVER_CEILING, "")]
    while wait_s := rounds.wait_for_slot_s(busy, attempts=1, rng=random.Random(seed)):  # noqa: S311
        assert rounds.begun == 1
        waited_s.append(wait_s)
        rounds.begin(Preferences())
    assert sum(waited_s) == pytest.approx(patience_s)
    assert all(wait_s <= WAIT_MAX_S for wait_s in waited_s)


def test_nobody_waits_for_what_waiting_does_not_mend():
    rounds = Rounds(3, patience_s=60)
    dear = [Loss("b", LossReason.OVER_CEILING, "")]
    assert rounds.wait_for_slot_s(dear, attempts=0, rng=random.Random(1)) == 0  # noqa: S311
    rounds.lost_slot("b")
    assert rounds.wait_for_slot_s(dear, attempts=0, rng=random.Random(1)) > 0  # noqa: S311
