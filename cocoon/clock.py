"""The one place that reads the wall clock; everything else takes the time as an argument."""

import time
from collections.abc import Callable

Clock = Callable[[], float]
"""Returns the unix time in seconds."""


def wall_clock() -> float:
    """Return the unix time in seconds."""
    return time.time()  # noqa: TID251  (this is the one wall clock)
