"""The network's price rule over arrays, bit-exact with `cocoon.market.price`.

`cocoon.market.price` is the rule; this is its image for a million providers at a time.
Tests compare them on random inputs. All values are int64; within the bounds of the
wire (levels up to 10^12 ppm, steps that `recompute` accepts) nothing overflows.
"""

import numpy as np

from cocoon.market.price import PPM, ZONE_HIGH_PPM, ZONE_LOW_PPM
from simulations.models.compiled import U64, Int64s, compiled, compiled_inline

LEVEL_PPM_MAX = 10**12
_PPM, _LOW, _HIGH, _THOUSAND = PPM, ZONE_LOW_PPM, ZONE_HIGH_PPM, 1000
_SHORT, _SMALL = 9 * 10**12, 9 * 10**12


@compiled_inline
def utilisation_ppm(busy_slot_ms: int, slot_ms: int) -> int:
    """Return `busy * PPM // slot_ms`, at most PPM; by long division, so that it cannot overflow."""
    if busy_slot_ms >= slot_ms:
        return _PPM
    if busy_slot_ms < _SHORT:  # the usual case: one division
        return int(U64(busy_slot_ms * _PPM) // U64(slot_ms))
    high, rest = divmod(busy_slot_ms * _THOUSAND, slot_ms)
    return high * _THOUSAND + rest * _THOUSAND // slot_ms


@compiled_inline
def scaled(amount: int, ppm: int) -> int:
    """Return `amount * ppm // PPM` for amounts up to 10^12 and ppm up to 10^6, exactly."""
    if amount < _SMALL:
        return int(U64(amount * ppm) // U64(_PPM))
    return amount // _PPM * ppm + amount % _PPM * ppm // _PPM


@compiled_inline
def next_level_ppm(
    level_ppm: int,
    utilisation: int,
    floor_ppm: int,
    cap_ppm: int,
    elasticity_ppm: int,
    step_max_ppm: int,
) -> int:
    """Return the next level: the zone leaves it alone, outside it moves by at most a step."""
    level_ppm = min(max(level_ppm, floor_ppm), cap_ppm)
    distance = 0
    if utilisation > _HIGH:
        distance = utilisation - _HIGH
    elif utilisation < _LOW:
        distance = _LOW - utilisation
    if distance == 0:
        return level_ppm
    step = min(scaled(elasticity_ppm, distance), step_max_ppm, _PPM)
    movement = scaled(level_ppm, step)
    moved = level_ppm + movement if utilisation > _HIGH else level_ppm - movement
    return min(max(moved, floor_ppm), cap_ppm)


@compiled_inline
def price_at(base_nanoton: int, level_ppm: int) -> int:
    """Return base times level, rounded up (for bases up to 9 * 10^12 at a level of 1)."""
    return base_nanoton // _PPM * level_ppm + -(-(base_nanoton % _PPM * level_ppm) // _PPM)


@compiled
def step_levels(
    level_ppm: Int64s,
    busy_slot_ms: Int64s,
    slot_ms: Int64s,
    floor_ppm: Int64s,
    cap_ppm: Int64s,
    elasticity_ppm: int,
    step_max_ppm: int,
) -> None:
    """Give every provider its next level, in place; all arrays int64 (providers,)."""
    for one in range(level_ppm.size):
        level_ppm[one] = next_level_ppm(
            level_ppm[one],
            utilisation_ppm(busy_slot_ms[one], slot_ms[one]),
            floor_ppm[one],
            cap_ppm[one],
            elasticity_ppm,
            step_max_ppm,
        )


def check_bounds(level_ppm: Int64s, busy_slot_ms: Int64s) -> None:
    """Refuse values for which int64 would not be exact.

    Raises:
        ValueError: a level above 10^12 ppm, or more busy time than 9 * 10^15 ms.
    """
    if np.any(level_ppm > LEVEL_PPM_MAX) or np.any(busy_slot_ms > 9 * 10**15):
        raise ValueError("levels up to 10^12 ppm and busy times up to 9e15 ms stay exact")
