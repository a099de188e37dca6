"""Customers' kernels sold by a node with a card: real processes and chain, PyCUDA, our driver.

The provider's processes find the driver of tests/kernels/libcuda, which does with a kernel on the
processor what a card would do; all between the market and that driver is what a GPU owner runs.
"""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "kernels" / "libcuda"))

import fixture

from kernels.compile import find_nvrtc
from kernels.custom.confinement import can_confine
from tests.end_to_end.hostile_kernels import ENDLESS, WILD, manifest

SAXPY = Path(__file__).parents[2] / "examples" / "kernels" / "saxpy"


@pytest.fixture(scope="module")
def card(tmp_path_factory) -> dict[str, str]:
    """What a process must be told to find the driver."""
    if find_nvrtc() is None or can_confine():
        pytest.skip(can_confine() or "NVRTC is not installed (pip install nvidia-cuda-nvrtc)")
    try:
        return fixture.pretend(tmp_path_factory.mktemp("card") / "path")
    except fixture.CannotBuild as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def cards(swarm, running_process) -> Iterator:
    """A network of its own, so that nobody else finds the card's quotes."""
    cards = replace(swarm, network="cards", bootstrap="")
    first = cards.home("cards-first")
    log = cards.directory / "cards-first.log"
    with running_process(log, "node", "--home", first) as node:
        cards.bootstrap = node.ready["addresses"][0]
        yield cards


@pytest.fixture(scope="module")
def seller(cards, running_process, card) -> Iterator:
    home = cards.provider_home(
        "card",
        price_ppm=1_000_000,
        provider__kernels__chunk_ms=100,
        provider__kernels__ms_max=20_000,
    )
    text = (home / "config.toml").read_text()
    (home / "config.toml").write_text(text.replace('models = ["SmolLM2-135M-Instruct"]', ""))
    selling = ("provide", "--kernels", "cuda", "--home", home)
    log = cards.directory / "card.log"
    with running_process(log, *selling, variables=card) as provider:
        provider.wait_for("announced", 60)
        provider.home = home
        yield provider


@pytest.fixture(scope="module")
def buyer(cards) -> Path:
    return cards.requester_home("gamer", "12")


@pytest.fixture
def submit(tools, buyer):
    def submit(manifest: Path, *options: str | Path, ms: int):
        common = ["--device", "cuda", "--ms", str(ms), "--home", buyer, "--json"]
        return tools.run("kernel", "submit", manifest, *options, *common)

    return submit


@pytest.fixture
def hostile(tmp_path):
    def hostile(entry: str) -> Path:
        return manifest(tmp_path / entry, entry, ENDLESS + WILD)

    return hostile


def test_a_kernel_is_bought_from_a_card_by_its_milliseconds(seller, submit, tmp_path) -> None:
    seen = seller.seen()
    bought = submit(SAXPY, "--out", tmp_path, ms=500)
    assert bought.code == 0, bought.err
    y = np.load(tmp_path / "y.npy")
    assert np.array_equal(y, 2 * np.arange(10_000, dtype=np.float32) + 1)
    told, ended = bought.json, seller.wait_for("job_ended", since=seen)
    assert told["meter"]["class"] == "kernels-cuda"
    assert 1 <= told["meter"]["metered_ms"] == ended["gpu_ms"] < 500
    assert 0 < told["paid_nanoton"] == ended["paid_nanoton"] == ended["cost_nanoton"]


def test_an_endless_kernel_is_killed_and_paid_for_as_long_as_it_ran(
    seller, submit, hostile
) -> None:
    seen = seller.seen()
    done = submit(hostile("endless"), ms=400)
    assert done.code == 7, done.err
    told, ended = done.json, seller.wait_for("job_ended", since=seen)
    assert (told["finish"], told["meter"]["metered_ms"]) == ("limit", 400)
    assert told["paid_nanoton"] == ended["paid_nanoton"] == ended["cost_nanoton"] > 0
    assert told["failovers"] == []


def test_a_wild_pointer_is_the_kernels_fault_and_the_node_serves_on(
    seller, submit, hostile, tmp_path
) -> None:
    done = submit(hostile("wild"), ms=400)
    assert done.code == 7, done.err
    assert done.json["finish"] == "fault"
    assert "illegal memory access" in done.json["note"]
    assert submit(SAXPY, "--out", tmp_path, ms=500).code == 0


def test_all_of_it_is_receipted_and_what_was_signed_is_what_was_billed(
    seller, buyer, tools
) -> None:
    verified = tools.run("receipts", "verify", "--home", buyer, "--json")
    assert verified.code == 0, verified.out
    assert len(verified.json) == 4
    seller.seen()
    bills = [each["cost_nanoton"] for each in seller.events if each["event"] == "job_ended"]
    paying = tools.run("channels", "--home", buyer, "--json").json["paying"]
    signed_totals = [channel["signed_total"] for channel in paying]  # a full one has a successor
    assert (len(bills), sum(signed_totals)) == (4, sum(bills))


def test_nothing_of_a_customers_kernel_is_left_on_the_sellers_disk(seller, buyer) -> None:
    marks = (b"0xdead", b"x ^= x << 13", b".visible .entry")
    for path in seller.home.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert not [mark for mark in marks if mark in data], path
