"""A provider of kernels under attack: what is asked of it holds, and where it does not it shows."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cocoon.provider.execution import WorkerFailed
from contracts import assets
from contracts.emulator import ASSET
from kernels.compile import find_nvrtc
from kernels.custom.confinement import can_confine
from simulations.soak import kernels
from simulations.soak.cheats import processes_below
from simulations.soak.orders import REFUSED, catalogue

sys.path.insert(0, str(Path(__file__).parents[2] / "kernels" / "libcuda"))

import fixture

JOBS = int(os.environ.get("COCOON_KERNEL_ORDERS", "8"))


@pytest.fixture(autouse=True)
def needs() -> None:
    directory = assets.assets_directory() / ASSET
    if missing := assets.missing_files(assets.pinned(ASSET), directory):
        pytest.skip(f"{missing} not in {directory}; run: cocoon assets fetch tests")
    if find_nvrtc() is None or can_confine():
        pytest.skip(can_confine() or "NVRTC is not installed (pip install nvidia-cuda-nvrtc)")


def test_harmful_kernels_and_cheats_hurt_neither_the_provider_nor_its_books(monkeypatch) -> None:
    monkeypatch.setattr(kernels, "SLOTS", 2)
    jobs, books, rest = kernels.run(JOBS)
    assert jobs.passed, jobs
    assert books.passed, books
    assert rest.passed, rest
    assert jobs.values["honest_jobs"] > 1
    assert books.values["settled_nanoton"] > 0


def test_a_provider_that_blames_itself_for_what_a_customer_sent_is_noticed(monkeypatch) -> None:
    """Whoever ordered that would try it at the next provider; nothing of it ever runs."""

    def careless(error: WorkerFailed, detail: str, **_: bool) -> None:
        Exception.__init__(error, detail)
        error.bad_input = False

    malformed = catalogue(kernels.TERMS["cpu"])[0]
    assert malformed.ends == {REFUSED}
    monkeypatch.setattr(WorkerFailed, "__init__", careless)
    monkeypatch.setattr(kernels, "orders", lambda *_, **__: itertools.repeat(malformed))
    monkeypatch.setattr(kernels, "SLOTS", 1)
    jobs, *_ = kernels.run(1)
    assert not jobs.passed, jobs
    assert jobs.values["wrong_ends"] == 1


def test_kernels_on_a_card_are_attacked_as_well(monkeypatch, tmp_path) -> None:
    """The driver is that of tests/kernels/libcuda."""
    try:
        variables = fixture.pretend(tmp_path / "path")
    except fixture.CannotBuild as error:
        pytest.skip(str(error))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(kernels, "SLOTS", 1)
    for row in kernels.run(max(2, JOBS // 3), seed=4, device="cuda"):
        assert row.passed, row


def test_a_process_that_is_left_behind_is_seen() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        assert process.pid in processes_below()
        process.kill()
        process.wait()
    assert process.pid not in processes_below()
