"""Making and checking quotes."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from cocoon.market.load import Load
from cocoon.market.price import PPM, follows, recompute
from cocoon.market.quotes import (
    CHANGES_PER_S,
    LIFETIME_S_MAX,
    REISSUE_S,
    REISSUES_PER_S,
    UNHURRIED,
    Offering,
    PriceTerms,
    Quoter,
    change_s,
    effective_crowd,
    make_quote,
    reissue_s,
    validate_quote,
)
from cocoon.messages import Kind, Limits, ModelOnOffer, PriceSchedule, Quote, Tier, decode, encode
from overlay.errors import LocalProtocolError

NOW = 1_800_000_000
MODEL = ModelOnOffer(
    kind=Kind.CHAT,
    name="small",
    model_id=bytes(32),
    engine_id=bytes(32),
    limits=Limits(context_tokens=512, output_tokens_max=256, input_bytes_max=65_536),
)
OFFERING = Offering(
    peer_id="12D3KooWprovider",
    statement_id=bytes(32),
    model=MODEL,
    terms=PriceTerms(base=PriceSchedule(prompt_token=20_000, output_token=160_000)),
    tier=Tier.OPEN,
)


def quote(*, previous=None, load=None, now=NOW, offering=OFFERING) -> Quote:
    return make_quote(
        offering,
        previous=previous,
        load=load,
        slots=4,
        free_slots=3,
        speed_milli_per_s=45_000,
        now_unix_s=now,
    )


def quoter(**changes) -> Quoter:
    return Quoter([OFFERING], slots=4, now_ms=0, **changes)


def test_a_quote_is_valid_recomputable_and_survives_the_wire():
    made = quote()
    assert decode(Quote, encode(made)) == made
    assert validate_quote(made, peer_id=made.peer_id, now_unix_s=NOW) == []
    assert recompute(made) == []
    assert len(encode(made)) < 1_200


def test_only_a_finished_window_moves_the_level():
    first = quote()
    again = quote(previous=first, now=NOW + 15)
    full = quote(previous=again, load=Load(4, 60_000, 240_000), now=NOW + 60)
    assert [one.level_ppm for one in (first, again, full)] == [980_000, 980_000, 999_600]
    assert [one.seq - first.seq for one in (first, again, full)] == [0, 1, 2]


def test_a_provider_that_forgot_everything_counts_on_above_what_it_published():
    first = quote()
    for _ in range(20):
        first = quote(previous=first)
    assert quote(now=NOW + 1).seq > first.seq


def test_new_terms_apply_at_once_and_keep_the_measured_window():
    dearer = Offering(
        peer_id=OFFERING.peer_id,
        statement_id=bytes(32),
        model=MODEL,
        terms=PriceTerms(base=PriceSchedule(output_token=320_000)),
        tier=Tier.OPEN,
    )
    first = quote()
    second = quote(previous=first, offering=dearer, now=NOW + 1)
    assert second.schedule.output_token == 2 * first.schedule.output_token
    assert recompute(second) == []
    assert follows(first, second, stepped_at_unix_s=NOW) == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"version": 2}, "version 2, this node speaks 1"),
        ({"peer_id": "12D3KooWother"}, "signed by 12D3KooWprovider, speaks for 12D3KooWother"),
        ({"resource_class": "chat/nothex"}, "malformed resource class"),
        ({"resource_class": "chat/" + "a" * 64 + "\n"}, "malformed resource class"),
        ({"free_slots": 5}, "5 of 4 slots free"),
        ({"issued_at_unix_s": NOW + 6}, "issued 6 s in the future"),
        ({"expires_at_unix_s": NOW}, "expired 0 s ago"),
        ({"expires_at_unix_s": NOW + LIFETIME_S_MAX + 1}, "lifetime of 2501 s, at most 2500"),
        ({"speed_milli_per_s": 10**9 + 1}, "speed of 1000000001, at most 1000000000"),
        ({"limits": Limits(context_tokens=2**24 + 1)}, "context of 16777217, at most 16777216"),
        ({"limits": Limits(audio_seconds_max=86_401)}, "audio seconds of 86401, at most 86400"),
    ],
)
def test_what_is_wrong_with_a_quote_is_told(changes, told):
    bad = replace(quote(), **changes)
    assert told in validate_quote(bad, peer_id="12D3KooWprovider", now_unix_s=NOW)


def test_a_clock_a_little_ahead_is_forgiven():
    assert validate_quote(quote(now=NOW + 5), peer_id=OFFERING.peer_id, now_unix_s=NOW) == []


def test_a_quoter_publishes_at_once_then_every_quarter_minute():
    source = quoter()
    published = [
        second for second in range(50) if source.due(now_ms=second * 1000, now_unix_s=NOW + second)
    ]
    assert published == [0, REISSUE_S, 2 * REISSUE_S, 3 * REISSUE_S]


def test_a_change_of_free_slots_is_published_within_a_second():
    source = quoter()
    source.due(now_ms=0, now_unix_s=NOW)
    source.started(100)
    assert source.due(now_ms=500, now_unix_s=NOW) == []
    (changed,) = source.due(now_ms=1_000, now_unix_s=NOW + 1)
    assert changed.free_slots == 3


def test_a_busy_provider_gets_dearer_window_by_window_and_keeps_its_memory():
    source = quoter()
    for _ in range(4):
        source.started(0)
    levels = [
        made.level_ppm
        for second in range(0, 301, 60)
        for made in source.due(now_ms=second * 1000, now_unix_s=NOW + second)
    ]
    assert levels == [980_000, 999_600, 1_019_592, 1_039_983, 1_060_782, 1_081_997]
    last = source.last(OFFERING.resource_class)
    assert last is not None
    woken = quoter(restored=[last])
    (next_one,) = woken.due(now_ms=0, now_unix_s=NOW + 400)
    assert (next_one.seq, next_one.level_ppm) == (last.seq + 1, 1_081_997)


def test_a_window_too_short_for_the_rule_is_our_bug():
    with pytest.raises(LocalProtocolError):
        quoter(window_ms=999)


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.sampled_from(["start", "end", "wait", "dearer"]), st.integers(0, 40_000)),
        max_size=60,
    ),
    st.integers(0, 500_000),
)
def test_whatever_a_provider_does_its_quotes_follow_the_rule(steps, booted_ms):
    """The quoter may be made long before the first quote goes out."""
    source, now_ms, history = Quoter([OFFERING], slots=2, now_ms=0), booted_ms, []
    base = 160_000
    for action, passed_ms in steps:
        now_ms += passed_ms
        if action == "start" and source.window.free_slots:
            source.started(now_ms)
        elif action == "end" and source.window.running:
            source.ended(now_ms)
        elif action == "dearer":
            base += 1
            terms = PriceTerms(base=PriceSchedule(output_token=base))
            source.replace(
                Offering(
                    peer_id=OFFERING.peer_id,
                    statement_id=bytes(32),
                    model=MODEL,
                    terms=terms,
                    tier=Tier.OPEN,
                )
            )
        history += source.due(now_ms=now_ms, now_unix_s=NOW + now_ms // 1000)
    stepped_at = None
    for previous, one in itertools.pairwise(history):
        assert recompute(one) == []
        assert follows(previous, one, stepped_at_unix_s=stepped_at) == []
        if one.inputs.previous_level_ppm != previous.inputs.previous_level_ppm or (
            one.inputs.window_ms != previous.inputs.window_ms
        ):
            stepped_at = one.issued_at_unix_s
        assert one.level_ppm <= 4 * PPM


@given(st.dictionaries(st.integers(), st.integers(1, 400), max_size=12).filter(
    lambda providers: sum(providers.values()) <= 2000))  # fmt: skip
def test_all_classes_of_a_kind_together_have_the_rate_of_one(sizes) -> None:
    providers = {str(name): count for name, count in sizes.items()}
    crowds = {name: effective_crowd(name, providers) for name in providers}
    renewals = sum(count / reissue_s(crowds[name]) for name, count in providers.items())
    changes = sum(count / change_s(crowds[name]) for name, count in providers.items())
    assert renewals <= REISSUES_PER_S + 1e-6
    assert changes <= CHANGES_PER_S + 1e-6


@given(st.integers(1, 20_000))
def test_a_lone_class_waits_as_its_own_crowd_asks(count: int) -> None:
    assert effective_crowd("one", {"one": count}) == count


@given(st.integers(1, 10), st.integers(200, 10_000))
def test_a_small_class_renews_at_its_pace_beside_a_big_one(small: int, big: int) -> None:
    crowd = effective_crowd("small", {"small": small, "big": big})
    assert crowd <= UNHURRIED
    assert reissue_s(crowd) == REISSUE_S
