"""`cocoon devnet` as people run it: a process, its files, its time, and Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cocoon.cli.main import run
from contracts import assets
from contracts.emulator import ASSET

ROOT = Path(__file__).parents[3]
END_S = 30


@pytest.fixture(autouse=True)
def _emulator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COCOON_HOME", raising=False)
    directory = assets.assets_directory() / ASSET
    if missing := assets.missing_files(assets.pinned(ASSET), directory):
        pytest.skip(f"{missing} not in {directory}; run: cocoon assets fetch tests")


@contextmanager
def devnet(folder: Path, *options: str) -> Iterator[tuple[dict, subprocess.Popen]]:
    command = [sys.executable, "-m", "cocoon", "devnet", "--port", "0", "--json", *options]
    with subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            line = running.stdout.readline()
            assert line, running.stderr.read()
            yield json.loads(line), running
        finally:
            running.kill()


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> dict:
    capsys.readouterr()
    assert run([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_devnet_keeps_everything_and_proves_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home, options = str(tmp_path / "home"), ("--state", "chain", "--liteserver", "net.json")
    with devnet(tmp_path, *options) as (ready, running):
        url = ready["url"]
        at = ("--home", home, "--chain-url", url)
        assert run(["init", "--devnet-wallet", *at]) == 0
        answer(capsys, "wallet", "faucet", "3", *at)
        assert answer(capsys, "devnet", "snapshot", "--chain-url", url) == {"snapshot": 1}
        before = answer(capsys, "devnet", "info", "--chain-url", url)
        after = answer(capsys, "devnet", "warp", "5000", "--chain-url", url)
        assert after["unix_s"] >= before["unix_s"] + 5000
        listed = answer(capsys, "devnet", "snapshots", "--chain-url", url)
        assert [each["snapshot"] for each in listed] == [1]
        restored = answer(capsys, "devnet", "restore", "1", "--chain-url", url)
        assert restored["unix_s"] < after["unix_s"]
        again = subprocess.run(
            [sys.executable, "-m", "cocoon", "devnet", "--port", "0", "--state", "chain"],
            cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=END_S,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert again.returncode != 0
        assert "another devnet uses chain" in again.stderr
        running.send_signal(signal.SIGINT)
        assert running.wait(END_S) == 0
        assert running.stderr.read() == ""
    with devnet(tmp_path, *options) as (ready, _):
        config = str(tmp_path / ready["global_config"])
        proven = ("--home", home, "--chain-url", config)
        wallet = answer(capsys, "wallet", *proven)
        assert wallet["balance_nanoton"] == 3 * 10**9
        assert wallet["network_id"] == ready["network_id"]
        assert run(["doctor", "--json", *proven]) in (0, 3)
        findings = json.loads(capsys.readouterr().out)
        (chain,) = [each for each in findings if each["what"] == "chain"]
        assert chain["good"]
        assert "every state is proven" in chain["detail"]
        assert run(["wallet", "faucet", "1", *proven]) == 2


@pytest.mark.parametrize(
    "words",
    [
        ["devnet", "warp"],
        ["devnet", "warp", "-5"],
        ["devnet", "warp", "5", "--chain-url", "net.json"],
        ["devnet", "dance"],
        ["devnet", "--liteserver", "net.json", "--host", "localhost"],
    ],
    ids=" ".join,
)
def test_what_makes_no_sense_is_refused_with_a_remedy(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        code = run([*words, "--home", str(tmp_path)])
    except SystemExit as stopped:
        code = stopped.code
    assert code == 2
    assert "Traceback" not in capsys.readouterr().err


def test_the_doctor_says_when_no_chain_is_reached(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for url in ("http://127.0.0.1:1", str(tmp_path / "net.json")):
        run(["doctor", "--home", str(tmp_path), "--chain-url", url, "--json"])
        findings = json.loads(capsys.readouterr().out)
        (chain,) = [each for each in findings if each["what"] == "chain"]
        assert not chain["good"]
        assert "cocoon devnet" in chain["remedy"]
