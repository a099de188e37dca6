"""The price rule: a pure integer function that anyone can recompute from a quote.

Utilisation between `ZONE_LOW_PPM` and `ZONE_HIGH_PPM` leaves the level alone.
Outside, the level moves by elasticity x distance from the zone, at most
`step_max_ppm` in one window, and never leaves [floor, cap]. The level times the
base gives the price schedule.

Roundings: utilisation down, the movement of a level towards no movement, prices
and costs up (for the payee). Amounts that no purse could hold are cut off at
`AMOUNT_NANOTON_MAX`, so that every result fits its wire field.

Source: the shape (stability zone, elasticity, bounded step) is that of Gonka's
per-model price; here each provider applies it to its own load.
"""

from typing import Final, assert_never

from cocoon.market.sizes import JobSize
from cocoon.messages import PER_UNITS, Kind, Limits, Meter, PriceInputs, PriceSchedule, Quote
from contracts.units import SUPPLY_NANOTON_MAX, NanoTon, price_rounded_up

PPM: Final = 1_000_000
ZONE_LOW_PPM: Final = 400_000
ZONE_HIGH_PPM: Final = 600_000
AMOUNT_NANOTON_MAX: Final = SUPPLY_NANOTON_MAX // 2
WINDOW_MS_MIN: Final = 1_000
"""A shorter window could be used to step more often than anyone can follow."""
STEP_PPM_MAX: Final = 100_000
"""No rule may move a price by more than a tenth in one window."""
_STEPS_FOLLOWED_MAX: Final = 512
_PACE_SLACK_MS: Final = 2_000
"""Quotes carry whole seconds, so two of them can be off by one; clocks are adjusted, too."""


def utilisation_ppm(inputs: PriceInputs) -> int:
    """Return the busy share of all slots over the window, rounded down, at most `PPM`."""
    return min(PPM, inputs.busy_slot_ms * PPM // (inputs.slots * inputs.window_ms))


def next_level_ppm(inputs: PriceInputs) -> int:
    """Return the level that follows from *inputs*: the whole rule.

    Monotone in `busy_slot_ms`; a fixed point while utilisation is in the zone.
    A previous level outside [floor, cap] (the terms changed) is first brought in.
    """
    level = _within(inputs.previous_level_ppm, inputs)
    utilisation = utilisation_ppm(inputs)
    distance = max(0, utilisation - ZONE_HIGH_PPM) or min(0, utilisation - ZONE_LOW_PPM)
    step = min(abs(distance) * inputs.elasticity_ppm // PPM, inputs.step_max_ppm, PPM)
    movement = level * step // PPM
    return _within(level + movement if distance > 0 else level - movement, inputs)


def _within(level_ppm: int, inputs: PriceInputs) -> int:
    return min(max(level_ppm, inputs.floor_ppm), inputs.cap_ppm)


def schedule_at(base: PriceSchedule, level_ppm: int) -> PriceSchedule:
    """Return *base* at *level_ppm*, each field rounded up.

    >>> schedule_at(PriceSchedule(output_token=101), 1_500_000).output_token
    152
    """

    def scaled(price: int) -> int:
        return min(price_rounded_up(price, level_ppm, PPM), AMOUNT_NANOTON_MAX)

    return PriceSchedule(
        prompt_token=scaled(base.prompt_token),
        cached_token=scaled(base.cached_token),
        output_token=scaled(base.output_token),
        audio_second=scaled(base.audio_second),
        gpu_ms=scaled(base.gpu_ms),
    )


def lower_of(one: PriceSchedule, other: PriceSchedule) -> PriceSchedule:
    """Return the lower price, field by field."""
    return PriceSchedule(
        prompt_token=min(one.prompt_token, other.prompt_token),
        cached_token=min(one.cached_token, other.cached_token),
        output_token=min(one.output_token, other.output_token),
        audio_second=min(one.audio_second, other.audio_second),
        gpu_ms=min(one.gpu_ms, other.gpu_ms),
    )


def at_most(schedule: PriceSchedule, ceiling: PriceSchedule) -> bool:
    """Tell whether every field of *schedule* is at most that of *ceiling*."""
    return (
        schedule.prompt_token <= ceiling.prompt_token
        and schedule.cached_token <= ceiling.cached_token
        and schedule.output_token <= ceiling.output_token
        and schedule.audio_second <= ceiling.audio_second
        and schedule.gpu_ms <= ceiling.gpu_ms
    )


def above(schedule: PriceSchedule, ceiling: PriceSchedule) -> str:
    """Name the first field in which *schedule* exceeds *ceiling*; empty when none does."""
    for field in PriceSchedule.__struct_fields__:
        price, limit = getattr(schedule, field), getattr(ceiling, field)
        if price > limit:
            return f"{field} {price} nanoton per {PER_UNITS}, at most {limit}"
    return ""


def cost(schedule: PriceSchedule, meter: Meter) -> NanoTon:
    """Return what *meter* costs, each component rounded up.

    `prompt_tokens` counts the tokens that were computed and `cached_tokens` those
    that were not: no token is in both, so the cost grows with every field.
    """
    # Written out, and not by `price_rounded_up`: it runs thrice for every piece of output.
    total = (
        -(-schedule.prompt_token * meter.prompt_tokens // PER_UNITS)
        - (-schedule.cached_token * meter.cached_tokens // PER_UNITS)
        - (-schedule.output_token * meter.output_tokens // PER_UNITS)
        - (-schedule.audio_second * meter.audio_ms // (PER_UNITS * 1000))
        - (-schedule.gpu_ms * meter.gpu_ms // PER_UNITS)
    )
    return NanoTon(min(total, AMOUNT_NANOTON_MAX))


def _total(*amounts: int) -> NanoTon:
    return NanoTon(min(sum(amounts), AMOUNT_NANOTON_MAX))


def worst_case_cost(schedule: PriceSchedule, size: JobSize) -> NanoTon:
    """Return the most that a job within *size* can cost."""
    return _total(
        _prompt_cost_max(schedule, size),
        price_rounded_up(schedule.output_token, size.output_tokens_max, PER_UNITS),
        price_rounded_up(schedule.audio_second, size.audio_seconds_max, PER_UNITS),
        price_rounded_up(schedule.gpu_ms, size.kernel_ms_max, PER_UNITS),
    )


def _prompt_cost_max(schedule: PriceSchedule, size: JobSize) -> int:
    dearest = max(schedule.prompt_token, schedule.cached_token)
    second_rounding = schedule.prompt_token and schedule.cached_token and size.prompt_tokens_max
    return price_rounded_up(dearest, size.prompt_tokens_max, PER_UNITS) + bool(second_rounding)


def chunk_cost(schedule: PriceSchedule, limits: Limits, kind: Kind) -> NanoTon:
    """Return what one chunk of output costs at most: what a provider sends unpaid."""
    match kind:
        case Kind.CHAT:
            return cost(schedule, Meter(output_tokens=limits.chunk_tokens))
        case Kind.TRANSCRIBE:
            return cost(schedule, Meter(audio_ms=limits.chunk_audio_s * 1000))
        case Kind.KERNEL:
            return cost(schedule, Meter(gpu_ms=limits.chunk_gpu_ms))
        case _:
            assert_never(kind)


def at_risk(schedule: PriceSchedule, limits: Limits, kind: Kind, size: JobSize) -> NanoTon:
    """Return the most that one side can lose to the other: the prompt and one chunk."""
    return _total(_prompt_cost_max(schedule, size), chunk_cost(schedule, limits, kind))


def recompute(quote: Quote) -> list[str]:
    """Say why the price of *quote* does not follow from its own inputs; empty when it does."""
    inputs, reasons = quote.inputs, []
    if inputs.floor_ppm > inputs.cap_ppm:
        reasons.append(f"floor {inputs.floor_ppm} ppm above cap {inputs.cap_ppm} ppm")
    if inputs.step_max_ppm > STEP_PPM_MAX:
        reasons.append(f"step of {inputs.step_max_ppm} ppm, at most {STEP_PPM_MAX}")
    if inputs.window_ms < WINDOW_MS_MIN:
        reasons.append(f"window of {inputs.window_ms} ms, at least {WINDOW_MS_MIN}")
    if inputs.busy_slot_ms > inputs.slots * inputs.window_ms:
        reasons.append(f"{inputs.busy_slot_ms} busy ms, more than {inputs.slots} slots have")
    level = next_level_ppm(inputs)
    if quote.level_ppm != level:
        reasons.append(f"level {quote.level_ppm} ppm, by the rule {level} ppm")
    elif quote.schedule != (by_rule := schedule_at(inputs.base, level)):
        reasons.append(_difference(quote.schedule, by_rule))
    return reasons


def _difference(schedule: PriceSchedule, by_rule: PriceSchedule) -> str:
    for field in PriceSchedule.__struct_fields__:
        price, right = getattr(schedule, field), getattr(by_rule, field)
        if price != right:
            return f"{field} {price} nanoton per {PER_UNITS}, by the rule {right}"
    return ""


def terms_changed(previous: Quote, quote: Quote) -> bool:
    """Tell whether the provider set new terms (base, floor, cap, elasticity or step).

    That is its right; the book marks it, so that everyone sees who does it often.
    """
    return _terms(previous.inputs) != _terms(quote.inputs)


def _terms(inputs: PriceInputs) -> tuple[PriceSchedule, int, int, int, int]:
    return (
        inputs.base,
        inputs.floor_ppm,
        inputs.cap_ppm,
        inputs.elasticity_ppm,
        inputs.step_max_ppm,
    )


def same_window(previous: Quote, quote: Quote) -> bool:
    """Tell whether both quotes rest on the same measured window: no new step was made."""
    one, other = previous.inputs, quote.inputs
    return (one.previous_level_ppm, one.slots, one.window_ms, one.busy_slot_ms) == (
        other.previous_level_ppm,
        other.slots,
        other.window_ms,
        other.busy_slot_ms,
    )


def follows(previous: Quote, quote: Quote, *, stepped_at_unix_s: int | None) -> list[str]:
    """Say why *quote* cannot come after *previous* of the same provider and class.

    The next quote either repeats the measured window, or makes one step from the
    previous level over a window that began after the last step. When quotes in
    between were missed, the level must be reachable in the time that passed.

    Args:
        previous: the newest quote known before.
        quote: one with a higher `seq`.
        stepped_at_unix_s: when the last step was published, None when unknown.
    """
    reasons = []
    if quote.issued_at_unix_s < previous.issued_at_unix_s:
        reasons.append("issued before the quote that it follows")
    if same_window(previous, quote):
        return reasons
    if quote.seq > previous.seq + 1:
        return reasons + _unreachable(previous, quote)
    if quote.inputs.previous_level_ppm != previous.level_ppm:
        left, said = previous.level_ppm, quote.inputs.previous_level_ppm
        reasons.append(f"starts from level {said} ppm, the last was {left} ppm")
    if stepped_at_unix_s is not None:
        passed_ms = (quote.issued_at_unix_s - stepped_at_unix_s) * 1000 + _PACE_SLACK_MS
        if quote.inputs.window_ms > passed_ms:
            reasons.append(f"window of {quote.inputs.window_ms} ms overlaps the one before")
    return reasons


def _unreachable(previous: Quote, quote: Quote) -> list[str]:
    elapsed_ms = (quote.issued_at_unix_s - previous.issued_at_unix_s) * 1000 + _PACE_SLACK_MS
    steps = min(elapsed_ms // quote.inputs.window_ms + 1, _STEPS_FOLLOWED_MAX)
    highest = highest_after(previous.level_ppm, quote.inputs.step_max_ppm, steps)
    lowest = previous.level_ppm
    for _ in range(steps):
        lowest -= -(-lowest * min(quote.inputs.step_max_ppm, PPM) // PPM)
    allowed = max(lowest, quote.inputs.floor_ppm), max(highest, quote.inputs.floor_ppm)
    low, high = (min(level, quote.inputs.cap_ppm) for level in allowed)
    if low <= quote.level_ppm <= high:
        return []
    return [f"level {quote.level_ppm} ppm cannot be reached from {previous.level_ppm} ppm"]


def highest_after(level_ppm: int, step_max_ppm: int, steps: int) -> int:
    """Return the highest level (rounded up) after so many steps up; stops at the wire's limit."""
    for _ in range(steps):
        if level_ppm > PPM * PPM:
            break
        level_ppm += -(-level_ppm * step_max_ppm // PPM)
    return level_ppm
