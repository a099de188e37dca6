"""Customers' kernels over the market, real processes and chain: bought, paid, attacked."""

import shlex
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from kernels.compile import find_nvrtc
from kernels.custom.confinement import can_confine
from tests.end_to_end.hostile_kernels import manifest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "kernels"


@pytest.fixture(scope="module")
def kernels(swarm, running_process) -> Iterator:
    """A provider of kernels on a CPU, and nothing else."""
    if find_nvrtc() is None or can_confine():
        pytest.skip(can_confine() or "NVRTC is not installed (pip install nvidia-cuda-nvrtc)")
    home = swarm.provider_home(
        "kernels",
        price_ppm=1_000_000,
        provider__kernels__chunk_ms=5,
        provider__kernels__ms_max=20_000,
    )
    text = (home / "config.toml").read_text()
    (home / "config.toml").write_text(text.replace('models = ["SmolLM2-135M-Instruct"]', ""))
    selling = ("provide", "--kernels", "cpu", "--home", home)
    with running_process(swarm.directory / "kernels.log", *selling) as provider:
        provider.wait_for("announced", 60)
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


@pytest.fixture(scope="module")
def scientist(swarm) -> Path:
    return swarm.requester_home("scientist")


@pytest.fixture
def submit(tools, scientist):
    def submit(manifest: Path, *options: str | Path, ms: int = 50):
        common = ["--ms", str(ms), "--home", scientist, "--json"]
        return tools.run("kernel", "submit", manifest, *options, *common)

    return submit


def test_what_it_would_cost_and_who_would_not_take_it_is_told_before_anything_is_bought(
    kernels, submit
) -> None:
    looked = submit(EXAMPLES / "saxpy", "--dry-run", ms=20_001)
    assert looked.code == 0, looked.err
    (line,) = looked.json
    assert line["name"] == "kernels-cpu"
    assert "instructions" in line["unit"]
    assert line["at_most_nanoton"] == -(-line["gpu_ms_nanoton_per_1000"] * 20_001 // 1000)
    assert "20001 ms of a kernel wanted, at most 20000 taken" in line["problem"]


def test_the_commands_of_the_page_do_what_it_says(
    scientist, kernels, tools, tmp_path, monkeypatch
) -> None:
    page = (ROOT / "docs" / "customer-kernels.md").read_text()
    block = page.split("## Buy\n\n```sh\n")[1].split("```")[0]
    commands = [shlex.split(line, comments=True)[1:] for line in block.splitlines()]
    assert len(commands) == 3
    monkeypatch.chdir(tmp_path)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    for command in commands:
        done = tools.run(*command, "--home", scientist)
        assert done.code == 0, done.err
    saxpy({"y": np.load(tmp_path / "results" / "y.npy")})
    assert "1 ms metered (kernels-cpu: 1 ms is 1000000 PTX instructions" in done.out


def test_a_hostile_kernel_ends_typed_and_costs_what_it_used(kernels, submit, tmp_path) -> None:
    seen = kernels.seen()
    done = submit(manifest(tmp_path / "endless", "endless"), ms=20)
    assert done.code == 7, done.err
    told = done.json
    assert (told["finish"], told["meter"]["metered_ms"]) == ("limit", 20)
    assert "fuel" in told["note"]
    assert told["outputs"] == told["failovers"] == []
    ended = kernels.wait_for("job_ended", since=seen)
    assert told["paid_nanoton"] == ended["paid_nanoton"] == ended["cost_nanoton"] > 0


def test_a_kernel_that_is_refused_costs_nothing_and_the_compiler_is_quoted(
    kernels, submit, tmp_path
) -> None:
    seen = kernels.seen()
    bad = 'extern "C" __global__ void f(int* p) { p = ; }'
    refused = submit(manifest(tmp_path / "bad", "f", bad))
    assert refused.code == 2
    assert "nothing was paid" in refused.err
    assert "expected an expression" in refused.err
    ended = kernels.wait_for("job_ended", since=seen)
    assert ended["cost_nanoton"] == ended["paid_nanoton"] == 0
    kernels.seen()
    for words in (str(kernels.events), kernels.log.read_text()):
        assert "p = ;" not in words, "the operator's log holds a line of the customer's"


def test_the_node_serves_on_and_all_that_was_bought_is_paid_and_receipted(
    scientist, kernels, tools, submit, tmp_path
) -> None:
    """With the page's saxpy the three examples; with the hostile one four receipts."""
    for check in (histogram, nbody):
        seen = kernels.seen()
        bought = submit(EXAMPLES / check.__name__, "--out", tmp_path / check.__name__)
        assert bought.code == 0, bought.err
        told = bought.json
        check({each["name"]: np.load(each["path"]) for each in told["outputs"]})
        assert told["meter"]["class"] == "kernels-cpu"
        ended = kernels.wait_for("job_ended", since=seen)
        assert 1 < told["meter"]["metered_ms"] == ended["gpu_ms"] <= 50
        assert 0 < told["paid_nanoton"] == ended["paid_nanoton"] == ended["cost_nanoton"]
        assert told["vouchers"] >= 1
    verified = tools.run("receipts", "verify", "--home", scientist, "--json")
    assert verified.code == 0, verified.out
    assert len(verified.json) == 4
    (channel,) = tools.run("channels", "--home", scientist, "--json").json["paying"]
    bills = [one["cost_nanoton"] for one in kernels.events if one["event"] == "job_ended"]
    assert channel["signed_total"] == sum(bills)


def test_nothing_of_a_customers_kernel_is_left_on_the_providers_disk(kernels, scientist) -> None:
    marks = (b"0x5eed", b"p[0] = x", b"xorshift", b".visible .entry")
    for path in kernels.home.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert not [mark for mark in marks if mark in data], path
