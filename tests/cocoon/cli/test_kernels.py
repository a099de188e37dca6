"""`cocoon kernel run`: the three examples, and what is said when something is wrong."""

import json
from pathlib import Path

import numpy as np
import pytest

from cocoon.cli.main import run
from kernels.compile import find_nvrtc

EXAMPLES = Path(__file__).parents[3] / "examples" / "kernels"

pytestmark = pytest.mark.skipif(find_nvrtc() is None, reason="pip install nvidia-cuda-nvrtc")


def run_example(name: str, capsys, *options: str) -> dict:
    code = run(["kernel", "run", str(EXAMPLES / name), "--device", "cpu", "--json", *options])
    report = json.loads(capsys.readouterr().out)
    assert code == 0, report
    assert report["usage"]["device"] == "cpu"
    assert report["usage"]["device_ms"] >= 1
    assert report["usage"]["fuel"] > 0
    return report


def test_saxpy(capsys, tmp_path) -> None:
    report = run_example("saxpy", capsys, "--out", str(tmp_path / "out"))
    (output,) = report["outputs"]
    y = np.load(output["path"])
    assert np.array_equal(y, 2 * np.arange(10_000, dtype=np.float32) + 1)
    assert output["first_values"] == y[:6].tolist()


def test_histogram(capsys, tmp_path) -> None:
    report = run_example("histogram", capsys, "--out", str(tmp_path))
    counts = np.load(report["outputs"][0]["path"])
    data = np.random.default_rng(7).integers(0, 255, 1_000_000, endpoint=True).astype(np.uint8)
    assert np.array_equal(counts, np.bincount(data, minlength=256))


def test_nbody(capsys, tmp_path) -> None:
    report = run_example("nbody", capsys, "--out", str(tmp_path))
    found = np.load(report["outputs"][0]["path"])
    bodies = np.random.default_rng(1).random((1000, 4)).astype(np.float32).astype(np.float64)
    apart = bodies[None, :, :3] - bodies[:, None, :3]
    pull = bodies[None, :, 3] / (np.sum(apart**2, axis=2) + 0.01) ** 1.5
    truth = np.einsum("ij,ijk->ik", pull, apart)
    assert np.allclose(found[:, :3], truth, rtol=1e-3, atol=1e-2)


def test_people_see_outputs_and_the_meter(capsys) -> None:
    assert run(["kernel", "run", str(EXAMPLES / "saxpy"), "--device", "cpu"]) == 0
    shown = capsys.readouterr().out
    assert "1, 3, 5, 7, 9, 11, ..." in shown
    assert "meter: " in shown


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (("entry = ", "entri = "), 2, "entri"),
        (('entry = "saxpy"', 'entry = "other"'), 2, "no kernel is called 'other'"),
        (('source = "saxpy.cu"', 'source = "none.cu"'), 2, "none.cu"),
        (("block = [256, 1, 1]", "block = [256, 1, 1]\n[limits]\nfuel = 10"), 7, "fuel"),
    ],
)
def test_what_is_wrong_is_one_line_and_a_code(tmp_path, capsys, change, code, words) -> None:
    text = (EXAMPLES / "saxpy" / "job.toml").read_text()
    assert change[0] in text
    (tmp_path / "job.toml").write_text(text.replace(*change))
    (tmp_path / "saxpy.cu").write_text((EXAMPLES / "saxpy" / "saxpy.cu").read_text())
    assert run(["kernel", "run", str(tmp_path), "--device", "cpu", "--json"]) == code
    assert words in json.loads(capsys.readouterr().out)["error"]["message"]
