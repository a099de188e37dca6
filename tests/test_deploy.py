"""What `deploy/` gives an operator works with this version: the unit, and the dashboard."""

import configparser
import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from cocoon.cli.parser import make_parser
from cocoon.observe.metrics import Metrics
from cocoon.observe.status import EarningsStatus, NodeStatus

DEPLOY = Path(__file__).parents[1] / "deploy"
UNIT = DEPLOY / "cocoon-provider.service"
BOARD = json.loads((DEPLOY / "grafana-dashboard.json").read_text(encoding="utf-8"))
HELD = {"connections": 3, "streams_inbound": 2, "work": 1, "bans": 0}
COUNTED = {"refused: connection banned": 5, "gossip refused: topic": 2}
EXPOSURE_MAX = 50
"""Tenths; systemd calls up to 50 "OK", and an ordinary service has 96."""


@pytest.fixture
def analyze(tmp_path):
    """Run systemd-analyze on the unit, as if it were installed."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("there is no systemd-analyze here")
    path = tmp_path / UNIT.name
    text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", UNIT.read_text(), flags=re.MULTILINE)
    path.write_text(text)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["systemd-analyze", *arguments, str(path)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return run


def test_systemd_understands_every_line_of_the_unit(analyze) -> None:
    done = analyze("verify")
    assert (done.returncode, done.stderr) == (0, "")


def test_the_service_may_do_little(analyze) -> None:
    done = analyze("security", "--offline=true", f"--threshold={EXPOSURE_MAX}")
    assert done.returncode == 0, done.stdout[-300:] + done.stderr


def test_the_unit_starts_a_command_that_there_is_and_heeds_its_exit_codes() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]  # keys keep their case
    unit.read(UNIT)
    program, *arguments = shlex.split(unit["Service"]["ExecStart"])
    assert program.endswith("/bin/cocoon")
    assert arguments == ["provide"]
    make_parser().parse_args(arguments)  # else it exits
    assert unit["Service"]["RestartPreventExitStatus"].split() == ["2", "3"]
    assert "MemoryDenyWriteExecute" not in unit["Service"], "kernels are compiled"
    assert "PrivateDevices" not in unit["Service"], "a GPU is a device"


def test_the_steps_at_the_head_of_the_unit_are_commands() -> None:
    steps = re.findall(r"^#   as \S+/bin/cocoon (.*)$", UNIT.read_text(), re.MULTILINE)
    assert len(steps) == 3
    for step in steps:
        make_parser().parse_args(shlex.split(step))


@pytest.fixture
def series() -> dict[str, list[dict[str, str]]]:
    """Labels of every time series of a node, by name."""
    status = NodeStatus(
        software="s", role="provider", peer_id="p", network="n", addresses=(), started_unix_s=0,
        now_unix_s=1, quotes_known=0, tasks=1, peers=(), market=(), held=HELD, counted=COUNTED,
        earnings=EarningsStatus(settled_nanoton=1, unclaimed_nanoton=2, channels_unclaimed=1),
    )  # fmt: skip
    metrics = Metrics(lambda: status)
    found: dict[str, list[dict[str, str]]] = {}
    for family in text_string_to_metric_families(metrics.text().decode()):
        found.setdefault(family.name, [])
        for sample in family.samples:
            found.setdefault(sample.name, []).append(dict(sample.labels))
    return found


def expressions() -> list[str]:
    return [target["expr"] for panel in BOARD["panels"] for target in panel["targets"]]


def test_every_expression_of_the_dashboard_names_a_metric_that_exists(series) -> None:
    for expression in expressions():
        for name in re.findall(r"\b(?:cocoon|process)_\w+", expression):
            assert name in series or name.removesuffix("_total") in series, expression


def test_every_label_that_the_dashboard_picks_is_one_of_the_metric(series) -> None:
    picked = [
        (name, label, pattern)
        for expression in expressions()
        for name, inside in re.findall(r"(\w+)\{([^}]*)\}", expression)
        for label, pattern in re.findall(r'(\w+)=~"([^"$]+)"', inside)
    ]
    assert picked
    for name, label, pattern in picked:
        values = [labels[label] for labels in series[name]]
        assert any(re.fullmatch(pattern, value) for value in values), (name, label, pattern)


def test_panels_have_names_of_their_own_and_do_not_overlap() -> None:
    panels = BOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = {(p["gridPos"]["x"], p["gridPos"]["y"]) for p in panels}
    assert len(places) == len(panels)
