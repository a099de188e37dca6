"""The benchmark's page says what was measured, what was missed, and what is only quoted."""

import pytest

pytest.importorskip("numba")

from simulations.bench import engines, peers
from simulations.bench.figures import Figure, page

FIGURES = [
    Figure("fast", 2e6, "1/CPU-s", 1e6, False, "SimPy", 40.0),
    Figure("slow", 0.9, "CPU-s", 0.5, True),
    Figure("  its memory", 12.0, "MiB"),
]


def test_a_page_shows_verdicts_peers_and_the_machine() -> None:
    text = page(FIGURES)
    assert "| fast | 2e+06 | 1/CPU-s | 1e+06: met | 40 x SimPy |" in text
    assert "| slow | 0.9 | CPU-s | 0.5: MISSED |  |" in text
    assert "| … its memory | 12 | MiB |  |  |" in text
    assert "numpy" in text
    measured, _, quoted = text.partition("## Quoted, not run here")
    assert "PeerSim" not in measured
    assert all(name in quoted for name in peers.QUOTED)


def test_the_whole_nodes_of_the_benchmark_are_a_hundred_and_work() -> None:
    assert engines.WHOLE.population.nodes == 100
    assert engines.WHOLE.engine == "nodes"


def test_every_peer_runs_the_same_load() -> None:
    for name, run in peers.PHOLD.items():
        if peers.is_here(name):
            assert run(50, 500) > 0, name
