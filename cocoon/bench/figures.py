"""What a benchmark reports, and the arithmetic on its samples. Pure.

Times are in milliseconds, memory in mebibytes, unless a name says otherwise.
"""

from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import Final

import msgspec

TTFT_ADDED_MS_MAX: Final = 60.0
RATE_LOSS_PERCENT_MAX: Final = 3.0
FIRST_QUOTE_MS_MAX: Final = 2000.0
SETUP_S_MAX: Final = 60.0
IDLE_MB_MAX: Final = 150.0


class Spread(msgspec.Struct, frozen=True):
    """A sample: how many, and its quartiles (linear interpolation between ranks)."""

    n: int
    min: float
    q1: float
    median: float
    q3: float
    max: float


class Overhead(msgspec.Struct, frozen=True):
    """A job through the market against the same job on a worker called directly.

    Attributes:
        vouchers: of one job, the median.
        ttft_added_ms: market minus direct, for each pair of jobs that ran one after the other.
        rate_ratio: market / direct in tokens a second, for each pair.
        rate_noise: the same ratio between one direct job and the next: what is left of
            the difference when there is none.
        steps_ms: where the market's time to the first token goes.
    """

    pairs: int
    tokens: int
    vouchers: float
    ttft_direct_ms: Spread
    ttft_market_ms: Spread
    ttft_added_ms: Spread
    rate_direct_tokens_per_s: Spread
    rate_market_tokens_per_s: Spread
    rate_ratio: Spread
    rate_noise: Spread
    steps_ms: dict[str, Spread]


class Join(msgspec.Struct, frozen=True):
    """How soon a newcomer knows a price.

    Attributes:
        nodes: in the swarm before it came, the first node and the provider included.
        layout: which of them share a process.
        from_process_start_ms: until the first quote, the interpreter's start included.
        from_open_node_ms: the same from the call of `cocoon.node.open_node`.
        join_ms: the part of it until `open_node` has joined.
    """

    nodes: int
    layout: str
    from_process_start_ms: Spread
    from_open_node_ms: Spread
    join_ms: Spread


class Process(msgspec.Struct, frozen=True):
    """One idle process.

    Attributes:
        rss_mb: resident memory; pss_mb counts shared pages in shares.
        cpu_percent: of one core, while it had nothing to do.
    """

    name: str
    rss_mb: float
    pss_mb: float
    cpu_percent: float


class Idle(msgspec.Struct, frozen=True):
    """Processes of nodes that have nothing to do; workers hold a model and count apart."""

    nodes: list[Process]
    workers: list[Process]


class Setup(msgspec.Struct, frozen=True):
    """The start of the demonstration: seconds by part, in order, and in all."""

    parts_s: dict[str, float]
    total_s: float


class Negotiate(msgspec.Struct, frozen=True):
    """From the request to the chosen offer.

    Attributes:
        asked: providers that were sent the request, the median over the jobs.
        offers: how many of them answered with an offer, likewise.
    """

    asked: float
    offers: float
    choice_ms: Spread


class JournalRate(msgspec.Struct, frozen=True):
    """Durable vouchers a second, with so many channels paying at once."""

    channels: int
    vouchers_per_s: float
    append_ms: Spread


class Journals(msgspec.Struct, frozen=True):
    """What the disk allows.

    Attributes:
        directory: where the journal was; its file system decides the figures.
        fsync_ms: a bare write and sync of 200 bytes there, to compare with.
    """

    directory: str
    fsync_ms: Spread
    payer: list[JournalRate]


class Machine(msgspec.Struct, frozen=True):
    """What it ran on, and how busy that was with other things."""

    cpu: str
    cores: int
    python: str
    system: str
    load_before: float
    load_after: float


class Target(msgspec.Struct, frozen=True):
    """One speed to reach."""

    name: str
    limit: float
    measured: float
    unit: str
    met: bool


class Report(msgspec.Struct, kw_only=True):
    """Everything that was measured; what was not asked for, or failed, is null.

    Attributes:
        failures: why a benchmark has no figures, by its name.
    """

    machine: Machine
    took_s: float
    overhead: Overhead | None = None
    join: Join | None = None
    idle: Idle | None = None
    setup: Setup | None = None
    negotiate: Negotiate | None = None
    journal: Journals | None = None
    targets: list[Target] = []
    failures: dict[str, str] = {}


def quantile(ordered: Sequence[float], share: float) -> float:
    """Return the value below which *share* (0 to 1) of an ordered sample lies."""
    position = share * (len(ordered) - 1)
    low = int(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)


def spread(values: Sequence[float], digits: int = 3) -> Spread:
    """Summarise a sample.

    Raises:
        ValueError: it is empty.
    """
    if not values:
        raise ValueError("no samples")
    ordered = sorted(values)
    cuts = (round(quantile(ordered, share), digits) for share in (0, 0.25, 0.5, 0.75, 1))
    return Spread(len(ordered), *cuts)


class Sample(msgspec.Struct, frozen=True):
    """One job as its caller saw it.

    Attributes:
        tokens_per_s: from the first token to the last; the first one starts the clock.
        steps_ms: of a market's job, by name.
    """

    ttft_ms: float
    tokens: int
    tokens_per_s: float
    text: str
    vouchers: int = 0
    steps_ms: dict[str, float] = {}


def sample(began_s: float, arrivals_s: Sequence[float], text: str) -> Sample:
    """Turn the arrival time of each token into a sample.

    Raises:
        ValueError: fewer than two tokens came, so there is no speed.
    """
    if len(arrivals_s) < 2:
        raise ValueError(f"{len(arrivals_s)} tokens are too few to measure a speed")
    return Sample(
        ttft_ms=1000 * (arrivals_s[0] - began_s),
        tokens=len(arrivals_s),
        tokens_per_s=(len(arrivals_s) - 1) / (arrivals_s[-1] - arrivals_s[0]),
        text=text,
    )


def overhead(pairs: Sequence[tuple[Sample, Sample]]) -> Overhead:
    """Compare (direct, market) pairs; noise of the machine that both saw cancels.

    Raises:
        ValueError: fewer than two pairs, or the two sides did not do the same work.
    """
    if len(pairs) < 2:
        raise ValueError("at least two pairs are needed")
    if any(direct.text != market.text for direct, market in pairs):
        raise ValueError("the direct job and the market's job gave different answers")
    direct, market = [d for d, _ in pairs], [m for _, m in pairs]
    steps = market[0].steps_ms
    return Overhead(
        pairs=len(pairs),
        tokens=market[0].tokens,
        vouchers=median(m.vouchers for m in market),
        ttft_direct_ms=spread([d.ttft_ms for d in direct]),
        ttft_market_ms=spread([m.ttft_ms for m in market]),
        ttft_added_ms=spread([m.ttft_ms - d.ttft_ms for d, m in pairs]),
        rate_direct_tokens_per_s=spread([d.tokens_per_s for d in direct]),
        rate_market_tokens_per_s=spread([m.tokens_per_s for m in market]),
        rate_ratio=spread([m.tokens_per_s / d.tokens_per_s for d, m in pairs], 4),
        rate_noise=spread([b.tokens_per_s / a.tokens_per_s for a, b in pairwise(direct)], 4),
        steps_ms={name: spread([m.steps_ms[name] for m in market]) for name in steps},
    )


def _target(name: str, limit: float, measured: float, unit: str) -> Target:
    return Target(name, limit, round(measured, 3), unit, measured < limit)


def targets(report: Report) -> list[Target]:
    """Hold the medians against the speeds to reach; only what was measured is judged."""
    found: list[Target] = []
    if (cost := report.overhead) is not None:
        added = cost.ttft_added_ms.median
        loss = 100 * (1 - cost.rate_ratio.median)
        found.append(_target("first token, added", TTFT_ADDED_MS_MAX, added, "ms"))
        found.append(_target("tokens a second, lost", RATE_LOSS_PERCENT_MAX, loss, "%"))
    if report.join is not None:
        soon = report.join.from_open_node_ms.median
        found.append(_target("first quote after joining", FIRST_QUOTE_MS_MAX, soon, "ms"))
    if report.setup is not None:
        found.append(_target("demo set-up", SETUP_S_MAX, report.setup.total_s, "s"))
    if report.idle is not None:
        worst = max(one.rss_mb for one in report.idle.nodes)
        found.append(_target("idle node, the largest", IDLE_MB_MAX, worst, "MB"))
    return found
