"""CPU time and memory of this process."""

import resource
import time
from collections.abc import Callable


def cpu_s(action: Callable[[], object], times: int = 3) -> float:
    """Return the least CPU time of *action* in *times* tries; it was compiled before.

    The least, because whatever else runs on the machine can only add to it.
    """
    best = float("inf")
    for _ in range(times):
        started = time.process_time()
        action()
        best = min(best, time.process_time() - started)
    return best


def peak_mib() -> float:
    """Return the most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
