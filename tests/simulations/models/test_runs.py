"""Every model runs from a scenario file, says what it found, and refuses what it cannot honour."""

import hashlib

import pytest

from cocoon.errors import ConfigError
from simulations.engines import engine_of, engines
from simulations.scenario import Scenario, changed

MODELS = ("gossip", "kademlia", "churn", "market")


def run(engine, **values):
    scenario = changed(
        Scenario(engine=engine, duration_s=1_200.0),
        **{"population.providers": 30, "population.requesters": 60} | values,
    )
    shares = []
    outcome = engine_of(scenario).load()(scenario, 1, shares.append)
    assert shares[-1] == 1
    return outcome


def small(engine):
    values = {"churn.session": "weibull", "gossip.messages": 10, "gossip.messages_per_s": 5.0}
    return run(engine, **values, **{"dht.lookups": 50})


@pytest.mark.parametrize("engine", MODELS)
def test_a_run_gives_plain_figures_and_tables_of_one_length(engine) -> None:
    outcome, again = small(engine), small(engine)
    assert outcome.summary == again.summary
    assert all(type(value) in {int, float, str} for value in outcome.summary.values())
    assert outcome.tables
    for columns in outcome.tables.values():
        assert len({len(column) for column in columns.values()}) == 1


def test_all_models_are_listed_with_an_estimate_of_their_memory() -> None:
    known = {engine.name: engine for engine in engines()}
    assert set(MODELS) <= set(known)
    big = changed(Scenario(engine="kademlia"), **{"population.others": 1_000_000})
    assert 1.5e9 < known["kademlia"].estimate_bytes(big) < 3e9


def test_more_nodes_than_routers_go_through_one_mesh() -> None:
    outcome = run("gossip", **{"population.others": 6_000, "gossip.messages": 2})
    assert outcome.summary["model"] == "broadcast"
    assert outcome.summary["reliability"] == 1
    with pytest.raises(ConfigError, match="sybils"):
        run("gossip", **{"population.others": 6_000, "attackers.sybils": 5})


def test_dead_contacts_cost_time() -> None:
    calm, dead = (run("kademlia", **{"dht.dead": share}) for share in (0.0, 0.4))
    assert calm.summary["timeouts_mean"] == 0
    assert dead.summary["timeouts_mean"] > 1
    assert dead.summary["latency_p90_ms"] > calm.summary["latency_p90_ms"]


def test_a_ceiling_below_every_price_sells_nothing() -> None:
    assert run("market", **{"prices.ceiling_ppm": 100_000}).summary["served_share"] == 0
    assert run("market").summary["served_share"] > 0.5


def test_what_a_model_cannot_honour_is_refused_by_key() -> None:
    with pytest.raises(ConfigError, match=r"churn\.session"):
        run("churn", **{"churn.session": "none"})


def test_a_measured_matrix_is_what_messages_take(tmp_path) -> None:
    file = tmp_path / "two.csv"
    file.write_text("0,40\n40,0\n", encoding="utf-8")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    values = {"model": "matrix", "matrix": str(file), "matrix_sha256": digest}
    found = run("kademlia", **{f"latency.{key}": value for key, value in values.items()})
    waits = set(found.tables["lookup"]["latency_us"] % 80_000)
    assert waits == {0}, "whole round trips of 80 ms, or none"
    with pytest.raises(ConfigError, match=r"two\.csv"):
        run(
            "kademlia",
            **{f"latency.{k}": v for k, v in values.items()} | {"latency.matrix_sha256": "0" * 64},
        )


@pytest.mark.parametrize("model", ["constant", "lognormal", "geographic"])
def test_every_built_in_latency_runs(model) -> None:
    found = run("kademlia", **{"latency.model": model, "dht.lookups": 30})
    assert found.summary["latency_p50_ms"] > 0
