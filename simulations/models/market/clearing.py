"""What the market could have achieved: the efficient allocation of each minute, and its price.

The values of all slot-seconds that were asked for in a minute are matched, highest first,
with the slot-seconds that there are, cheapest first, as long as the value is above the
cost. No rule that does not know the future can do better over the minute; jobs that would
fit better a minute later make the bound loose, by less than the patience of requesters allows.
"""

import numpy as np

from simulations.models.compiled import Floats, Int64s
from simulations.models.market.trading import (
    COST_NANOTON,
    OCTAVE_HIGH,
    OCTAVE_LOW,
    VALUE_BINS,
)

MINUTE_S = 60.0


def _values() -> Floats:
    """Return the middle value of each bin, highest first."""
    edges = COST_NANOTON * 2.0 ** np.linspace(OCTAVE_LOW, OCTAVE_HIGH, VALUE_BINS + 1)
    return np.asarray(np.sqrt(edges[1:] * edges[:-1])[::-1], np.float64)


def optimum_by_minute(wanted: Floats, costs: Int64s, slots: int) -> Floats:
    """Return the largest welfare of each minute.

    Args:
        wanted: slot-seconds asked for, float64 (minutes, value bins), lowest value first.
        costs: of each provider that is there.
        slots: of each.
    """
    ordered = np.sort(costs).astype(np.float64)
    capacity = np.arange(1, ordered.size + 1) * slots * MINUTE_S
    spent = np.cumsum(ordered) * slots * MINUTE_S
    capacity, spent = np.append(0.0, capacity), np.append(0.0, spent)
    values = _values()
    best = np.zeros(wanted.shape[0])
    for minute, row in enumerate(wanted):
        sold = np.cumsum(row[::-1])
        gross = np.cumsum(row[::-1] * values)
        at = np.append(0.0, sold)
        gained = np.append(0.0, gross) - np.interp(at, capacity, spent)
        gained[at > capacity[-1]] = -np.inf
        full = np.interp(capacity[-1], at, np.append(0.0, gross)) - spent[-1]
        best[minute] = max(gained.max(), full if sold[-1] >= capacity[-1] else 0.0)
    return best


def clearing_price(wanted: Floats, slots_s: float, share: float = 1.0) -> float:
    """Return the price at which *share* of the capacity would be wanted.

    Args:
        wanted: slot-seconds by value bin (one period), lowest value first.
        slots_s: slot-seconds that there are in that period.
        share: 1 for the market-clearing price, 0.6 for the upper end of the rule's zone.
    """
    sold = np.append(0.0, np.cumsum(wanted[::-1]))
    values = _values()
    if sold[-1] <= share * slots_s:
        return 0.0
    return float(values[min(int(np.searchsorted(sold, share * slots_s)), VALUE_BINS) - 1])
