"""Customers' kernels over the market, real processes and chain: bought, paid, attacked."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from kernels.compile import find_nvrtc
from kernels.custom.confinement import can_confine

EXAMPLES = Path(__file__).parents[2] / "examples" / "kernels"
PER_1000_MS = 300_000


@pytest.fixture(scope="module")
def kernels(swarm) -> Iterator:
    """A provider of kernels on a CPU, and nothing else."""
    if find_nvrtc() is None or can_confine():
        pytest.skip(can_confine() or "NVRTC is not installed (pip install nvidia-cuda-nvrtc)")
    home = swarm.provider_home(
        "kernels",
        price_ppm=1_000_000,
        provider__kernels__enabled=True,
        provider__kernels__device="cpu",
        provider__kernels__chunk_ms=5,
        provider__kernels__ms_max=20_000,
    )
    text = (home / "config.toml").read_text()
    (home / "config.toml").write_text(text.replace('models = ["SmolLM2-135M-Instruct"]', ""))
    with swarm.provider(home) as provider:
        provider.home = home
        yield provider


def saxpy(arrays: dict) -> None:
    assert np.array_equal(arrays["y"], 2 * np.arange(10_000, dtype=np.float32) + 1)


def histogram(arrays: dict) -> None:
    data = np.random.default_rng(7).integers(0, 255, 1_000_000, endpoint=True).astype(np.uint8)
    assert np.array_equal(arrays["counts"], np.bincount(data, minlength=256))


def nbody(arrays: dict) -> None:
    assert np.isfinite(arrays["acceleration"]).all()
    assert arrays["acceleration"].shape == (1_000, 4)


def test_the_three_examples_are_bought_paid_and_receipted(swarm, kernels, tools, tmp_path) -> None:
    home, paid, receipts = swarm.requester_home("scientist"), 0, []
    for check in (saxpy, histogram, nbody):
        out = tmp_path / check.__name__
        manifest = EXAMPLES / check.__name__
        bought = tools.run(
            "kernel", "submit", manifest, "--ms", "50", "--out", out, "--home", home, "--json"
        )
        assert bought.code == 0, bought.err
        told = bought.json
        check({each["name"]: np.load(each["path"]) for each in told["outputs"]})
        assert told["meter"]["class"] == "kernels-cpu"
        metered_ms = told["meter"]["metered_ms"]
        assert 1 <= metered_ms <= 50
        assert told["paid_nanoton"] == -(-PER_1000_MS * tools.times * metered_ms // 1000)
        assert told["vouchers"] >= 1
        paid += told["paid_nanoton"]
        receipts += told["receipts"]
    verified = tools.run("receipts", "verify", *receipts, "--json")
    assert verified.code == 0, verified.out
    assert len(receipts) == 3
    (channel,) = tools.run("channels", "--home", home, "--json").json["paying"]
    assert channel["signed_total"] == paid > 0
