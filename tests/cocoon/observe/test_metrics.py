"""Metrics: right, documented, and of a bounded number whatever strangers do."""

import json
import re
from pathlib import Path

import msgspec
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from cocoon.observe.metrics import Metrics
from cocoon.observe.status import ClassStatus, EarningsStatus, NodeStatus, PeerStatus, SaleStatus

ROOT = Path(__file__).parents[3]
OURS = "chat/aa"
STATUS = NodeStatus(
    software="cocoon/1",
    role="provider",
    peer_id="me",
    network="trial",
    addresses=("/ip4/127.0.0.1/tcp/1/p2p/me",),
    started_unix_s=100,
    now_unix_s=160,
    quotes_known=7,
    tasks=9,
    peers=(PeerStatus(peer_id="a"), PeerStatus(peer_id="b")),
    market=tuple(
        ClassStatus(
            resource_class=key,
            model_name=name,
            unit="1000 output tokens",
            providers=3,
            free_slots=2,
            faulty=1,
            cheapest_nanoton=500,
            median_nanoton=600,
        )
        for key, name in ((OURS, "ours"), ("chat/bb", "a stranger's"))
    ),
    sales=(
        SaleStatus(
            resource_class=OURS, model_name="ours", slots=4, free_slots=1, workers=3, level_ppm=9
        ),
    ),
    earnings=EarningsStatus(settled_nanoton=11, unclaimed_nanoton=22, channels_unclaimed=1),
    held={"relay_circuits": 3, "work": 2},
    counted={"relay_bytes": 1234, "refused: streams of peer": 5},
)
END = {
    "job": "1",
    "finish": "stop",
    "cost_nanoton": 30,
    "paid_nanoton": 20,
    "lost_nanoton": 10,
    "output_tokens": 5,
    "audio_ms": 7,
    "gpu_ms": 4,
}


def samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(metrics.text().decode())
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def test_what_a_provider_tells_is_counted() -> None:
    metrics = Metrics(lambda: STATUS)
    for _ in range(2):
        metrics.count("job_started", {"job": "1", "model": "ours"})
        metrics.count("job_ended", END)
    metrics.count("refused", {"code": "busy", "detail": "later"})
    metrics.count("lost", {"reason": "more_expensive", "detail": ""})
    metrics.count("announced", {"classes": []})
    found = samples(metrics)
    assert found["cocoon_jobs_started_total", (("model", "ours"),)] == 2
    assert found["cocoon_jobs_ended_total", (("finish", "stop"),)] == 2
    assert found["cocoon_jobs_refused_total", (("code", "busy"),)] == 1
    assert found["cocoon_offers_lost_total", (("reason", "more_expensive"),)] == 1
    assert found["cocoon_output_tokens_total", ()] == 10
    assert found["cocoon_audio_milliseconds_total", ()] == 14
    assert found["cocoon_kernel_milliseconds_total", ()] == 8
    assert found["cocoon_job_cost_nanoton_total", ()] == 60
    assert found["cocoon_job_paid_nanoton_total", ()] == 40
    assert found["cocoon_job_unpaid_nanoton_total", ()] == 20


def test_gauges_are_read_at_the_moment_of_the_scrape() -> None:
    status = [STATUS]
    metrics = Metrics(lambda: status[0])
    assert samples(metrics)["cocoon_peers_connected", ()] == 2
    status[0] = msgspec.structs.replace(STATUS, peers=())
    found = samples(metrics)
    assert found["cocoon_peers_connected", ()] == 0
    assert found["cocoon_uptime_seconds", ()] == 60
    assert found["cocoon_quotes_known", ()] == 7
    assert found["cocoon_slots", (("model", "ours"),)] == 4
    assert found["cocoon_slots_free", (("model", "ours"),)] == 1
    assert found["cocoon_workers", (("model", "ours"),)] == 3
    assert found["cocoon_price_level_ppm", (("model", "ours"),)] == 9
    assert found["cocoon_settled_nanoton", ()] == 11
    assert found["cocoon_unclaimed_nanoton", ()] == 22


def test_what_the_overlay_holds_and_did_is_told() -> None:
    found = samples(Metrics(lambda: STATUS))
    assert found["cocoon_overlay_held", (("what", "relay_circuits"),)] == 3
    assert found["cocoon_overlay_events_total", (("event", "relay_bytes"),)] == 1234
    assert found["cocoon_overlay_events_total", (("event", "refused: streams of peer"),)] == 5


def test_what_strangers_quote_makes_no_time_series() -> None:
    text = Metrics(lambda: STATUS).text().decode()
    assert 'cocoon_market_providers{model="ours"} 3.0' in text
    assert "stranger" not in text


def test_a_node_that_is_not_up_yet_can_be_scraped() -> None:
    empty = msgspec.structs.replace(STATUS, peers=(), market=(), sales=(), earnings=None)
    assert samples(Metrics(lambda: empty))["cocoon_peers_connected", ()] == 0


@pytest.fixture
def exported() -> set[str]:
    families = text_string_to_metric_families(Metrics(lambda: STATUS).text().decode())
    return {f.name for f in families if f.name.startswith("cocoon_")}


def test_the_page_lists_exactly_what_is_exported(exported) -> None:
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    documented = {
        name.removesuffix("_total").removesuffix("_info")
        for name in re.findall(r"^\| `(cocoon_\w+)", page, re.MULTILINE)
    }
    assert documented == exported


def test_the_dashboard_asks_for_nothing_that_is_not_exported(exported) -> None:
    board = json.loads((ROOT / "deploy" / "grafana-dashboard.json").read_text(encoding="utf-8"))
    asked = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    assert asked
    named = {name for expr in asked for name in re.findall(r"cocoon_\w+", expr)}
    assert {n.removesuffix("_total").removesuffix("_info") for n in named} <= exported
