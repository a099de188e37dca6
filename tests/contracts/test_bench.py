import json

import pytest

from contracts import bench
from contracts.emulator import Emulator


def test_every_figure_stands_beside_its_target_and_its_limit(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench, "open_emulator", lambda: emulator)
    monkeypatch.setattr(bench, "TARGETS", {"vouchers": 1, "devnet": 1})
    assert bench.main(["--json", "--cpu-s", "0.05"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in figures] == ["vouchers", "devnet"]
    assert all(each["per_cpu_s"] > each["target"] == 1 for each in figures)
    assert all(each["ratio"] > 0 and each["limit_per_cpu_s"] for each in figures)


def test_a_missed_target_is_an_exit_code(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench, "open_emulator", lambda: emulator)
    monkeypatch.setattr(bench, "TARGETS", {"vouchers": 10**9, "devnet": 1})
    assert bench.main(["--cpu-s", "0.02"]) == 1
    assert "target 1000000000" in capsys.readouterr().out
