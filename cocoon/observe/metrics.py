"""The node's numbers in the OpenMetrics text format. Documented, each, in `docs/metrics.md`.

Counters follow what a provider tells (`count`); everything else is read from a `NodeStatus`
at the moment of the scrape, so nothing has to be kept up to date in between.

Labels take values from closed sets and from this node's own settings only: a stranger can
not make the number of time series grow.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from cocoon.observe.status import NodeStatus

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST

_COUNTERS: Final[tuple[tuple[str, str, tuple[str, ...]], ...]] = (
    ("cocoon_jobs_started", "Jobs begun, by model", ("model",)),
    ("cocoon_jobs_ended", "Jobs over, by how they ended", ("finish",)),
    ("cocoon_jobs_refused", "Requests refused, by the typed reason", ("code",)),
    ("cocoon_offers_lost", "Offers that a requester declined, by its reason", ("reason",)),
    ("cocoon_output_tokens", "Output tokens sent", ()),
    ("cocoon_audio_milliseconds", "Audio that was transcribed", ()),
    ("cocoon_kernel_milliseconds", "Metered time of customers' kernels", ()),
    ("cocoon_job_cost_nanoton", "What the jobs cost that were done", ()),
    ("cocoon_job_paid_nanoton", "What requesters have paid for them with vouchers", ()),
    ("cocoon_job_unpaid_nanoton", "What they still owed when they left", ()),
)


class Metrics:
    """One node's registry; no global state.

    Args:
        status: returns the present `NodeStatus`; called once for each scrape.
    """

    def __init__(self, status: Callable[[], NodeStatus]) -> None:
        self._registry = CollectorRegistry()
        self._counters = {
            name: Counter(name, words, labels, registry=self._registry)
            for name, words, labels in _COUNTERS
        }
        self._registry.register(_StatusCollector(status))
        ProcessCollector(registry=self._registry)

    def count(self, event: str, fields: Mapping[str, object]) -> None:
        """Take note of what a provider told (see `cocoon.provider.session`)."""
        match event:
            case "job_started":
                self._counters["cocoon_jobs_started"].labels(str(fields["model"])).inc()
            case "job_ended":
                self._count_end(fields)
            case "refused":
                self._counters["cocoon_jobs_refused"].labels(str(fields["code"])).inc()
            case "lost":
                self._counters["cocoon_offers_lost"].labels(str(fields["reason"])).inc()
            case _:
                pass

    def _count_end(self, fields: Mapping[str, object]) -> None:
        self._counters["cocoon_jobs_ended"].labels(str(fields["finish"])).inc()
        for name, field in (
            ("cocoon_output_tokens", "output_tokens"),
            ("cocoon_audio_milliseconds", "audio_ms"),
            ("cocoon_kernel_milliseconds", "gpu_ms"),
            ("cocoon_job_cost_nanoton", "cost_nanoton"),
            ("cocoon_job_paid_nanoton", "paid_nanoton"),
            ("cocoon_job_unpaid_nanoton", "lost_nanoton"),
        ):
            self._counters[name].inc(int(str(fields[field])))

    def text(self) -> bytes:
        """Return everything as OpenMetrics text."""
        data: bytes = generate_latest(self._registry)  # type: ignore[no-untyped-call]  # upstream
        return data


class _StatusCollector(Collector):
    """Turns a `NodeStatus` into gauges."""

    def __init__(self, status: Callable[[], NodeStatus]) -> None:
        self._status = status

    def describe(self) -> list[Metric]:
        """Name nothing beforehand: the node may not be up yet when this is registered."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield every gauge."""
        now = self._status()
        yield InfoMetricFamily(
            "cocoon_build",
            "What runs here",
            value={"software": now.software, "role": now.role, "network": now.network},
        )
        yield _gauge("cocoon_uptime_seconds", "Time since the start", now.uptime_s)
        yield _gauge("cocoon_peers_connected", "Peers with a live connection", len(now.peers))
        yield _gauge("cocoon_quotes_known", "Quotes in the book", now.quotes_known)
        yield _gauge("cocoon_tasks", "trio tasks that are alive", now.tasks)
        yield from _overlay(now)
        yield from _market(now)
        yield from _sales(now)
        if now.earnings is not None:
            settled, unclaimed = now.earnings.settled_nanoton, now.earnings.unclaimed_nanoton
            yield _gauge("cocoon_settled_nanoton", "Earnings that reached our wallet", settled)
            yield _gauge("cocoon_unclaimed_nanoton", "Vouchers not claimed on chain yet", unclaimed)


def _gauge(name: str, words: str, value: float) -> Metric:
    return GaugeMetricFamily(name, words, value=value)


def _overlay(now: NodeStatus) -> Iterator[Metric]:
    """Yield what the overlay holds and has done: names that we chose, never a stranger."""
    held = GaugeMetricFamily("cocoon_overlay_held", "What the overlay holds now", labels=["what"])
    for what, amount in sorted(now.held.items()):
        held.add_metric([what], amount)
    counted = CounterMetricFamily(
        "cocoon_overlay_events", "What the overlay did or refused", labels=["event"]
    )
    for event, amount in sorted(now.counted.items()):
        counted.add_metric([event], amount)
    yield from (held, counted)


def _market(now: NodeStatus) -> Iterator[Metric]:
    """Yield the market's gauges, for the models that this node sells itself."""
    ours = {sale.resource_class for sale in now.sales}
    providers = GaugeMetricFamily(
        "cocoon_market_providers", "Providers that quote a model of ours", labels=["model"]
    )
    cheapest = GaugeMetricFamily(
        "cocoon_market_cheapest_nanoton", "Cheapest sound quote, for 1000 units", labels=["model"]
    )
    for one in now.market:
        if one.resource_class in ours:
            providers.add_metric([one.model_name], one.providers)
            cheapest.add_metric([one.model_name], one.cheapest_nanoton)
    yield from (providers, cheapest)


def _sales(now: NodeStatus) -> Iterator[Metric]:
    columns = (
        ("cocoon_slots", "Jobs that can run at the same time", "slots"),
        ("cocoon_slots_free", "Jobs that could start now", "free_slots"),
        ("cocoon_workers", "Worker processes that are alive", "workers"),
        ("cocoon_price_level_ppm", "Price in millionths of the base price", "level_ppm"),
    )
    for name, words, field in columns:
        family = GaugeMetricFamily(name, words, labels=["model"])
        for sale in now.sales:
            family.add_metric([sale.model_name], getattr(sale, field))
        yield family
