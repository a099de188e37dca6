"""How many threads an engine may use."""

import os


def threads_default() -> int:
    """Return how many threads an engine may use: `OMP_NUM_THREADS`, or what there are."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    if wanted.isdecimal() and int(wanted):
        return int(wanted)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
