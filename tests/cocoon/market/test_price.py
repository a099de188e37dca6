"""The price rule."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from cocoon.market.price import (
    AMOUNT_NANOTON_MAX,
    PPM,
    STEP_PPM_MAX,
    ZONE_HIGH_PPM,
    ZONE_LOW_PPM,
    above,
    at_most,
    at_risk,
    chunk_cost,
    cost,
    follows,
    highest_after,
    lower_of,
    next_level_ppm,
    recompute,
    schedule_at,
    terms_changed,
    utilisation_ppm,
    worst_case_cost,
)
from cocoon.market.sizes import JobSize, bucket, too_small
from cocoon.messages import (
    VERSION,
    Kind,
    Limits,
    Meter,
    PriceInputs,
    PriceSchedule,
    Quote,
    Tier,
    decode,
    encode,
)

INT64_MAX = 2**63 - 1
BASE = PriceSchedule(prompt_token=20_000, cached_token=2_000, output_token=160_000)
amounts = st.one_of(st.integers(0, 10**9), st.integers(0, AMOUNT_NANOTON_MAX))
small_amounts = st.integers(0, 10**9)
counts = st.one_of(st.integers(0, 10**5), st.integers(0, 2**40))
ppms = st.one_of(st.integers(0, 2 * PPM), st.integers(0, 10**12))


def schedules(prices=amounts):
    return st.builds(
        PriceSchedule,
        prompt_token=prices,
        cached_token=prices,
        output_token=prices,
        audio_second=prices,
        gpu_ms=prices,
    )


def meters(numbers=counts):
    return st.builds(
        Meter,
        prompt_tokens=numbers,
        cached_tokens=numbers,
        output_tokens=numbers,
        audio_ms=numbers,
        gpu_ms=numbers,
    )


any_inputs = st.builds(
    PriceInputs,
    base=schedules(),
    previous_level_ppm=ppms,
    floor_ppm=ppms,
    cap_ppm=ppms,
    elasticity_ppm=ppms,
    step_max_ppm=ppms,
    slots=st.integers(1, 4096),
    window_ms=st.integers(1, 86_400_000),
    busy_slot_ms=counts,
)


@st.composite
def settled_inputs(draw):
    """Inputs whose previous level is within floor and cap, as after any first quote."""
    floor, level, cap = sorted(draw(st.tuples(ppms, ppms, ppms)))
    return replace(draw(any_inputs), floor_ppm=floor, previous_level_ppm=level, cap_ppm=cap)


def inputs(busy_ppm: int = 0, **changes) -> PriceInputs:
    made = PriceInputs(
        base=BASE,
        previous_level_ppm=PPM,
        floor_ppm=500_000,
        cap_ppm=4 * PPM,
        elasticity_ppm=50_000,
        step_max_ppm=20_000,
        slots=4,
        window_ms=60_000,
        busy_slot_ms=4 * 60_000 * busy_ppm // PPM,
    )
    return replace(made, **changes)


def quote(price_inputs: PriceInputs, seq: int = 1, at: int = 1_000, **changes) -> Quote:
    level_ppm = next_level_ppm(price_inputs)
    made = Quote(
        version=VERSION,
        peer_id="12D3KooWprovider",
        statement_id=bytes(32),
        resource_class="chat/" + "ab" * 32,
        model_name="m",
        seq=seq,
        inputs=price_inputs,
        level_ppm=level_ppm,
        schedule=schedule_at(price_inputs.base, level_ppm),
        free_slots=1,
        speed_milli_per_s=0,
        limits=Limits(),
        tier=Tier.OPEN,
        evidence_id=bytes(32),
        issued_at_unix_s=at,
        expires_at_unix_s=at + 60,
    )
    return replace(made, **changes)


# --- the level ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("busy_ppm", "level_ppm"),
    [
        (0, 980_000),  # 40 % below the zone x 0.05 = 2 %
        (200_000, 990_000),
        (399_996, PPM),  # less than one part per million: rounded towards no movement
        (500_000, PPM),
        (800_000, 1_010_000),
        (1_000_000, 1_020_000),
    ],
)
def test_the_level_moves_by_elasticity_times_the_distance_from_the_zone(busy_ppm, level_ppm):
    assert next_level_ppm(inputs(busy_ppm)) == level_ppm


def test_a_large_elasticity_is_stopped_by_the_step():
    assert next_level_ppm(inputs(PPM, elasticity_ppm=5 * PPM)) == 1_020_000
    assert next_level_ppm(inputs(0, elasticity_ppm=5 * PPM)) == 980_000


@given(any_inputs, counts)
def test_more_load_never_lowers_the_level(one: PriceInputs, more: int):
    busier = replace(one, busy_slot_ms=one.busy_slot_ms + more)
    assert utilisation_ppm(one) <= utilisation_ppm(busier) <= PPM
    assert next_level_ppm(one) <= next_level_ppm(busier)


@given(settled_inputs())
def test_a_step_is_bounded_and_stays_within_floor_and_cap(one: PriceInputs):
    level = next_level_ppm(one)
    assert one.floor_ppm <= level <= one.cap_ppm
    assert abs(level - one.previous_level_ppm) * PPM <= one.previous_level_ppm * one.step_max_ppm


@given(settled_inputs(), st.data())
def test_inside_the_zone_a_level_within_floor_and_cap_is_a_fixed_point(one, data):
    capacity = one.slots * (one.window_ms + 10)
    low, high = -(-capacity * ZONE_LOW_PPM // PPM), capacity * ZONE_HIGH_PPM // PPM
    busy_slot_ms = data.draw(st.integers(low, high))
    calm = replace(one, window_ms=one.window_ms + 10, busy_slot_ms=busy_slot_ms)
    assert next_level_ppm(calm) == one.previous_level_ppm


@given(any_inputs)
def test_no_message_within_its_limits_makes_a_level_or_price_that_does_not_fit(one: PriceInputs):
    level = next_level_ppm(one)
    assert 0 <= level <= 10**12
    priced = schedule_at(one.base, level)
    assert decode(PriceSchedule, encode(priced)) == priced
    assert all(getattr(priced, field) <= INT64_MAX for field in priced.__struct_fields__)


@given(schedules(small_amounts), st.integers(0, 10**7))
def test_a_schedule_is_its_base_times_the_level_rounded_up(base: PriceSchedule, level_ppm: int):
    priced = schedule_at(base, level_ppm)
    for field in base.__struct_fields__:
        exact = getattr(base, field) * level_ppm
        assert exact <= getattr(priced, field) * PPM < exact + PPM


def test_an_idle_provider_falls_to_its_floor_and_a_full_one_rises_to_its_cap():
    for busy_ppm, end in ((0, 500_000), (PPM, 4 * PPM)):
        state = inputs(busy_ppm)
        for _ in range(200):
            state = replace(state, previous_level_ppm=next_level_ppm(state))
        assert state.previous_level_ppm == end


def test_after_a_tenfold_shock_the_price_settles_without_swinging():
    """Demand that falls as the price rises: busy share = demand / level, never more than all."""
    state, shares = inputs(cap_ppm=100 * PPM), []
    for window in range(300):
        demand_ppm = 500_000 if window < 20 else 5 * PPM
        busy_ppm = min(PPM, demand_ppm * PPM // state.previous_level_ppm)
        shares.append(busy_ppm)
        busy_slot_ms = state.slots * state.window_ms * busy_ppm // PPM
        state = replace(state, busy_slot_ms=busy_slot_ms)
        state = replace(state, previous_level_ppm=next_level_ppm(state))
    assert set(shares[20:120]) > {PPM}
    assert shares[20:] == sorted(shares[20:], reverse=True)  # never back up: no oscillation
    assert ZONE_LOW_PPM <= shares[-1] <= ZONE_HIGH_PPM * 1001 // 1000


# --- costs ----------------------------------------------------------------------------


def test_each_component_is_rounded_up_and_audio_is_counted_in_milliseconds():
    schedule = PriceSchedule(prompt_token=1, output_token=1, audio_second=1_000, gpu_ms=5)
    assert cost(schedule, Meter(prompt_tokens=1, output_tokens=1)) == 2
    assert cost(schedule, Meter(audio_ms=1_000)) == 1
    assert cost(schedule, Meter(audio_ms=1_001)) == 2
    assert cost(schedule, Meter(gpu_ms=1_000)) == 5
    assert cost(schedule, Meter()) == 0


@given(schedules(), meters(), meters())
def test_cost_grows_with_the_meter_and_fits_the_wire(schedule, one: Meter, more: Meter):
    both = Meter(**{f: getattr(one, f) + getattr(more, f) for f in one.__struct_fields__})
    assert 0 <= cost(schedule, one) <= cost(schedule, both) <= AMOUNT_NANOTON_MAX


@given(schedules(small_amounts), meters(st.integers(0, 10**6)), meters(st.integers(0, 10**6)))
def test_cost_is_additive_up_to_the_rounding_of_five_components(schedule, one, more):
    both = Meter(**{f: getattr(one, f) + getattr(more, f) for f in one.__struct_fields__})
    apart = cost(schedule, one) + cost(schedule, more)
    assert 0 <= apart - cost(schedule, both) <= 5


@given(schedules(), st.data())
def test_no_actual_cost_exceeds_the_worst_case(schedule: PriceSchedule, data):
    numbers = st.integers(0, 10**7)
    size = data.draw(
        st.builds(
            JobSize,
            prompt_tokens_max=numbers,
            output_tokens_max=numbers,
            audio_seconds_max=st.integers(0, 86_400),
            kernel_ms_max=st.integers(0, 600_000),
        )
    )
    prompt = data.draw(st.integers(0, size.prompt_tokens_max))
    actual = Meter(
        prompt_tokens=prompt,
        cached_tokens=data.draw(st.integers(0, size.prompt_tokens_max - prompt)),
        output_tokens=data.draw(st.integers(0, size.output_tokens_max)),
        audio_ms=data.draw(st.integers(0, size.audio_seconds_max * 1000)),
        gpu_ms=data.draw(st.integers(0, size.kernel_ms_max)),
    )
    assert cost(schedule, actual) <= worst_case_cost(schedule, size) <= AMOUNT_NANOTON_MAX


def test_the_worst_case_counts_that_new_and_cached_tokens_are_rounded_apart():
    schedule = PriceSchedule(prompt_token=1, cached_token=1)
    assert cost(schedule, Meter(prompt_tokens=1, cached_tokens=1)) == 2
    assert worst_case_cost(schedule, JobSize(prompt_tokens_max=2)) == 2


@given(schedules(small_amounts), st.integers(1, 4096), st.integers(1, 600))
def test_a_chunk_costs_what_its_units_cost_and_the_risk_adds_the_prompt(schedule, tokens, audio_s):
    limits, size = Limits(chunk_tokens=tokens, chunk_audio_s=audio_s), JobSize(prompt_tokens_max=9)
    chat = chunk_cost(schedule, limits, Kind.CHAT)
    assert chat == cost(schedule, Meter(output_tokens=tokens))
    assert chunk_cost(schedule, limits, Kind.TRANSCRIBE) == cost(
        schedule, Meter(audio_ms=audio_s * 1000)
    )
    assert chunk_cost(schedule, limits, Kind.KERNEL) == schedule.gpu_ms
    longer = Limits(chunk_gpu_ms=tokens)
    assert chunk_cost(schedule, longer, Kind.KERNEL) == cost(schedule, Meter(gpu_ms=tokens))
    assert at_risk(schedule, limits, Kind.CHAT, size) >= chat + cost(
        schedule, Meter(prompt_tokens=9)
    )


@given(schedules(), schedules())
def test_at_most_means_every_field_and_above_names_one_that_is_not(one, other):
    every = all(getattr(one, f) <= getattr(other, f) for f in one.__struct_fields__)
    assert at_most(one, other) == every == (above(one, other) == "")
    lower = lower_of(one, other)
    assert at_most(lower, one)
    assert at_most(lower, other)


def test_above_tells_both_numbers():
    told = above(PriceSchedule(output_token=3), PriceSchedule(output_token=2))
    assert told == "output_token 3 nanoton per 1000, at most 2"


# --- recomputing quotes ---------------------------------------------------------------


@given(st.integers(0, PPM), st.integers(500_000, 4 * PPM))
def test_a_quote_by_the_rule_has_nothing_against_it(busy_ppm: int, level_ppm: int):
    assert recompute(quote(inputs(busy_ppm, previous_level_ppm=level_ppm))) == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"level_ppm": 980_001}, "level 980001 ppm, by the rule 980000 ppm"),
        (
            {"schedule": replace(schedule_at(BASE, 980_000), output_token=156_801)},
            "output_token 156801 nanoton per 1000, by the rule 156800",
        ),
        ({"inputs": inputs(busy_slot_ms=240_001)}, "240001 busy ms, more than 4 slots have"),
        ({"inputs": inputs(window_ms=999)}, "window of 999 ms, at least 1000"),
        (
            {"inputs": inputs(step_max_ppm=STEP_PPM_MAX + 1)},
            "step of 100001 ppm, at most 100000",
        ),
        (
            {"inputs": inputs(floor_ppm=2 * PPM, cap_ppm=PPM)},
            "floor 2000000 ppm above cap 1000000 ppm",
        ),
    ],
)
def test_a_price_that_does_not_follow_is_told_with_both_numbers(changes, told):
    assert told in recompute(replace(quote(inputs()), **changes))


def after(first: Quote, *, busy_ppm=PPM, seq=None, seconds=60, **changes) -> Quote:
    start = changes.pop("previous_level_ppm", first.level_ppm)
    return quote(
        inputs(busy_ppm, previous_level_ppm=start, **changes),
        seq=first.seq + 1 if seq is None else seq,
        at=first.issued_at_unix_s + seconds,
    )


def test_one_step_from_the_last_level_over_a_new_window_follows():
    first = quote(inputs())
    assert follows(first, after(first), stepped_at_unix_s=1_000) == []


def test_repeating_the_window_follows_at_any_time():
    first = quote(inputs())
    again = replace(first, seq=2, issued_at_unix_s=1_001, free_slots=0)
    assert follows(first, again, stepped_at_unix_s=1_000) == []


def test_a_step_from_another_level_does_not_follow():
    first = quote(inputs())
    told = follows(first, after(first, previous_level_ppm=PPM), stepped_at_unix_s=None)
    assert told == ["starts from level 1000000 ppm, the last was 980000 ppm"]


def test_a_window_that_overlaps_the_last_one_does_not_follow():
    first = quote(inputs())
    told = follows(first, after(first, seconds=50), stepped_at_unix_s=1_000)
    assert told == ["window of 60000 ms overlaps the one before"]


def test_a_newer_number_from_an_earlier_moment_does_not_follow():
    first = quote(inputs())
    told = follows(first, after(first, seconds=-1), stepped_at_unix_s=None)
    assert told == ["issued before the quote that it follows"]


def test_after_a_gap_the_level_must_be_reachable_in_the_time_that_passed():
    first = quote(inputs())
    honest = after(first, seq=9, seconds=180, previous_level_ppm=1_018_000)
    assert follows(first, honest, stepped_at_unix_s=1_000) == []
    jump = after(first, seq=9, seconds=60, previous_level_ppm=2 * PPM)
    told = follows(first, jump, stepped_at_unix_s=1_000)
    assert told == ["level 2040000 ppm cannot be reached from 980000 ppm"]
    fall = after(first, busy_ppm=0, seq=9, seconds=60, previous_level_ppm=600_000)
    assert follows(first, fall, stepped_at_unix_s=1_000)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, PPM), st.integers(60, 90)), max_size=30), st.data())
def test_an_honest_series_follows_however_many_quotes_were_missed(windows, data):
    series = [quote(inputs())]
    for busy_ppm, seconds in windows:
        series.append(after(series[-1], busy_ppm=busy_ppm, seconds=seconds))
    heard = [one for one in series[1:] if data.draw(st.booleans())]
    previous = series[0]
    for one in heard:
        assert follows(previous, one, stepped_at_unix_s=previous.issued_at_unix_s) == []
        previous = one


def test_new_terms_are_told_apart_from_a_new_load():
    first = quote(inputs())
    assert not terms_changed(first, after(first))
    assert terms_changed(first, after(first, floor_ppm=1))
    assert terms_changed(first, after(first, base=PriceSchedule(output_token=1)))


@given(st.integers(0, 10**12), st.integers(0, STEP_PPM_MAX), st.integers(0, 20))
def test_the_highest_level_after_steps_is_never_below_a_real_one(level_ppm, step_ppm, steps):
    real = level_ppm
    for _ in range(steps):
        real += real * step_ppm // PPM
    assert highest_after(level_ppm, step_ppm, steps) >= min(real, 10**12)


# --- sizes ----------------------------------------------------------------------------


@given(st.integers(0, 2**40))
def test_a_bucket_holds_its_size_and_wastes_at_most_a_quarter(size: int):
    assert size <= bucket(size) <= size + size // 4
    assert bucket(bucket(size)) == bucket(size)


def test_what_does_not_fit_is_told_with_both_numbers():
    limits = Limits(context_tokens=100, output_tokens_max=50, input_bytes_max=1_000)
    assert too_small(limits, JobSize(prompt_tokens_max=50, output_tokens_max=50)) == ""
    told = too_small(limits, JobSize(prompt_tokens_max=51, output_tokens_max=50))
    assert told == "101 tokens of context wanted, at most 100 taken"
    assert too_small(limits, JobSize(output_tokens_max=51))
    assert too_small(limits, JobSize(input_bytes_max=1_001))
    assert too_small(limits, JobSize(audio_seconds_max=1))
    assert "1 ms of a kernel wanted, at most 0" in too_small(limits, JobSize(kernel_ms_max=1))
    assert "bytes of arrays" in too_small(limits, JobSize(kernel_memory_bytes_max=1))
    assert "bytes of results" in too_small(limits, JobSize(kernel_output_bytes_max=1))
