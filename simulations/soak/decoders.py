"""Every reader of `market_targets` and `chain_targets`, fed with damaged inputs.

It may answer, or raise what its docstring names; anything else is a crash. What an input makes it
allocate is bounded, too: a few bytes must not announce a gigabyte.
"""

import gc
import random
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from overlay.soak.quiet import silenced
from overlay.soak.rows import Row, resident_mib
from simulations.soak.chain_targets import chain_targets
from simulations.soak.market_targets import market_targets
from simulations.soak.targets import Target

GROWTH_MIB_MAX: Final = 64.0
PEAK_MIB_MAX: Final = 16.0
"""What one input may allocate at once; the largest inputs here have 100 kB."""
SLOW_S_MAX: Final = 2.0
"""What one input may take; generous, for a machine that does other things."""
MIB: Final = 1 << 20


def all_targets(home: Path) -> list[Target]:
    """Return everything that is fed; *home* is a folder to write to."""
    return [*market_targets(home), *chain_targets(home)]


def run(inputs: int, *, seed: int = 1) -> Iterator[Row]:
    """Feed *inputs* inputs, shared among the targets; yield two rows.

    Raises:
        Exception: whatever a target let escape: a crash, with the input in a note.
    """
    with silenced(), tempfile.TemporaryDirectory(prefix="cocoon-soak-") as folder:
        yield from feed_all(all_targets(Path(folder)), inputs, seed)


def feed_all(targets: list[Target], inputs: int, seed: int) -> Iterator[Row]:
    """Feed *targets* in turn; see `run`."""
    rng = random.Random(seed)  # noqa: S311  (repeatable garbage)
    for target in targets:
        target.feed(target.valid)
    gc.collect()
    before_mib, answered = resident_mib(), 0
    peaks_mib: dict[str, float] = dict.fromkeys((each.name for each in targets), 0.0)
    slowest = dict(peaks_mib)
    tracemalloc.start(1)
    for number in range(inputs):
        target = targets[number % len(targets)]
        data = target.damage(rng, target.valid)
        tracemalloc.reset_peak()
        held, start_s = tracemalloc.get_traced_memory()[0], time.perf_counter()
        answered += _feed(target, data)
        took_s = time.perf_counter() - start_s
        peak_mib = (tracemalloc.get_traced_memory()[1] - held) / MIB
        peaks_mib[target.name] = max(peaks_mib[target.name], peak_mib)
        slowest[target.name] = max(slowest[target.name], took_s)
    tracemalloc.stop()
    gc.collect()
    growth_mib = resident_mib() - before_mib
    greedy, slow = max(peaks_mib, key=peaks_mib.__getitem__), max(slowest, key=slowest.__getitem__)
    peak_mib, slow_s = peaks_mib[greedy], slowest[slow]
    yield Row(
        f"{inputs} damaged inputs to {len(targets)} readers of Cocoon and its chain",
        f"0 crashes, {answered} understood, {growth_mib:+.0f} MiB; most for one input "
        f"{peak_mib:.1f} MiB ({greedy})",
        f"0 crashes, at most {GROWTH_MIB_MAX:.0f} MiB, and {PEAK_MIB_MAX:.0f} MiB for one input",
        growth_mib <= GROWTH_MIB_MAX and peak_mib <= PEAK_MIB_MAX,
        {
            "inputs": inputs,
            "targets": len(targets),
            "crashes": 0,
            "understood": answered,
            "growth_mib": growth_mib,
            "peak_mib": peak_mib,
        },
    )
    yield Row(
        "the slowest of these inputs",
        f"{1000 * slow_s:.0f} ms ({slow}), while allocations are traced",
        f"at most {SLOW_S_MAX:.0f} s",
        slow_s <= SLOW_S_MAX,
        {"slowest_s": slow_s},
    )


def _feed(target: Target, data: bytes) -> bool:
    """Feed one input; tell whether it was understood."""
    try:
        target.feed(data)
    except target.refusals:
        return False
    except Exception as error:
        shown = data.hex() if len(data) <= 2000 else f"{data[:1000].hex()}... ({len(data)} bytes)"
        error.add_note(f"{target.name} with {shown}")
        raise
    return True
