"""Whole nodes in virtual time: discovery, negotiation, payment, and the same run again."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import trio

from cocoon.errors import ConfigError
from simulations.scenario import Scenario, changed, load
from simulations.whole.run import run, run_libp2p
from simulations.whole.virtual import run_virtual

ROOT = Path(__file__).parents[3]
NODES = ROOT / "examples" / "nodes.toml"

LIBP2P = """
import sys
from simulations.scenario import Scenario, changed
from simulations.whole.run import run_libp2p
scenario = changed(
    Scenario(engine="libp2p", duration_s=25.0),
    **{
        "population.providers": 1,
        "population.requesters": 3,
        "workload.jobs_per_hour": 300.0,
        "record.event_log": True,
    },
)
outcome = run_libp2p(scenario, 1, lambda share: None)
kept = ("jobs", "jobs_done", "tokens", "paid_nanoton", "connections", "sent_bytes")
print([(name, outcome.summary.get(name)) for name in kept], outcome.violations)
print(*outcome.log, sep="\\n")
"""


@pytest.fixture(scope="module")
def short() -> Scenario:
    return changed(load(NODES), duration_s=60.0, **{"workload.jobs_per_hour": 240.0})


def silent(share: float) -> None:
    pass


def test_a_swarm_of_whole_nodes_finds_negotiates_works_and_pays(short) -> None:
    outcome = run(short, 1, silent)
    assert not outcome.violations
    assert outcome.summary["nodes"] == 12
    assert outcome.summary["jobs_done"] >= 5
    assert outcome.summary["paid_nanoton"] > 0
    assert outcome.summary["lost_by_providers_nanoton"] == 0
    assert outcome.summary["chain"] == "ledger (not the TVM)"
    jobs = outcome.tables["job"]
    assert all(
        first < total
        for first, total in zip(jobs["first_output_s"], jobs["total_s"], strict=True)
        if first
    )


def test_the_same_seed_is_the_same_run_and_another_is_another(short) -> None:
    hashes = [run(short, seed, silent).log_hash for seed in (1, 1, 2)]
    assert hashes[0] == hashes[1] != hashes[2]


def test_py_libp2p_hosts_in_memory_repeat_themselves_byte_for_byte() -> None:
    runs = [
        subprocess.run(
            [sys.executable, "-c", LIBP2P],
            cwd=ROOT,
            env=os.environ | {"PYTHONHASHSEED": "0"},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for _ in range(2)
    ]
    assert runs[0] == runs[1]
    assert "job done tokens=" in runs[0]
    assert "('sent_bytes', " in runs[0]


def test_without_a_fixed_hash_seed_libp2p_says_so(monkeypatch) -> None:
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    with pytest.raises(ConfigError, match="PYTHONHASHSEED=0"):
        run_libp2p(Scenario(engine="libp2p"), 1, silent)


def test_virtual_time_jumps_threads_take_none_and_all_is_put_back() -> None:
    wall_clock = time.time  # noqa: TID251  (it is put back)
    before = (wall_clock, os.urandom, trio.to_thread.run_sync)

    async def main() -> tuple[float, bytes, str]:
        wall = time.time  # noqa: TID251  (what code sees that asks the system)
        with trio.fail_after(10_000):
            await trio.sleep(5000)
        word = await trio.to_thread.run_sync(lambda: "done here")
        return wall(), os.urandom(40), word

    began_s = time.monotonic()
    one, other, third = (run_virtual(main, seed=seed) for seed in (1, 1, 2))
    assert time.monotonic() - began_s < 5000
    assert one == other
    assert one[0] == 1_767_225_600 + 5000
    assert one[1] != third[1]
    assert one[2] == "done here"
    after = (time.time, os.urandom, trio.to_thread.run_sync)  # noqa: TID251
    assert after == before


def test_the_order_of_tasks_that_wake_together_is_the_seeds() -> None:
    async def main() -> list[int]:
        order: list[int] = []

        async def task(number: int) -> None:
            await trio.sleep(1)
            order.append(number)

        async with trio.open_nursery() as nursery:
            for number in range(12):
                nursery.start_soon(task, number)
        return order

    orders = [run_virtual(main, seed=seed) for seed in (1, 1, 2, 3, 4)]
    assert orders[0] == orders[1]
    assert len({tuple(order) for order in orders}) > 1, "trio's private switch has changed"
