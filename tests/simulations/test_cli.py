"""``cocoon sim``: every action from the command line, with results, plots and exit codes."""

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from cocoon.cli.main import run as cocoon
from cocoon.cli.parser import make_parser
from simulations.cli.dispatch import sim_command
from simulations.scenario import Scenario, load

pytest.importorskip("pyarrow", reason="the extra `sim` is not installed")

ROOT = Path(__file__).parents[2]
SMALL = [
    *("--set", "population.providers=2", "--set", "population.requesters=3"),
    *("--set", "duration_s=120.0", "--set", "workload.shock_at_s=0.0"),
    *("--set", "prices.challenge_s=60"),
]


def sim(capsys, *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    code = cocoon(["sim", *arguments])
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def test_a_new_scenario_is_checked_and_not_overwritten(capsys, tmp_path) -> None:
    file = tmp_path / "swarm.toml"
    assert sim(capsys, "new", str(file), "--name", "mine")[0] == 0
    assert load(file).name == "mine"
    code, out, _ = sim(capsys, "check", str(file), "--json")
    assert (code, json.loads(out)["engine"]) == (0, "exact")
    code, _, err = sim(capsys, "new", str(file))
    assert code == 2
    assert "--force" in err


def test_a_wrong_scenario_exits_with_2_and_names_the_line(capsys, tmp_path) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text("[link]\nlos = 1\n")
    code, _, err = sim(capsys, "check", str(file))
    assert code == 2
    assert "line 2" in err
    assert "did you mean `loss`" in err


def test_a_scenario_that_does_not_fit_says_so_before_it_starts(capsys, tmp_path) -> None:
    out = tmp_path / "results"
    first = str(ROOT / "examples" / "first.toml")
    code, _, err = sim(capsys, "run", first, "--out", str(out), "--set", "population.others=9e8")
    assert code == 2
    code, _, err = sim(
        capsys, "run", first, "--out", str(out), "--set", "population.others=900000000"
    )
    assert code == 2
    assert "MiB" in err
    assert not out.exists()


def test_the_list_names_every_engine_and_every_key(capsys) -> None:
    _, out, _ = sim(capsys, "list", "--json")
    assert {"exact", "nodes", "libp2p"} <= {engine["name"] for engine in json.loads(out)}
    _, out, _ = sim(capsys, "list", "--keys", "--json")
    assert "population.providers" in {key["name"] for key in json.loads(out)}


def test_the_first_example_gives_tables_plots_and_a_manifest_once(capsys, tmp_path) -> None:
    first, out = str(ROOT / "examples" / "first.toml"), tmp_path / "results"
    code, said, _ = sim(capsys, "run", first, "--out", str(out), *SMALL, "--json")
    assert code == 0
    told = json.loads(said)
    (run,) = told["runs"]
    assert run["summary"]["jobs_done"] > 0
    names = {Path(plot).name for plot in told["plots"]}
    assert {"jobs.png", "jobs.svg", "prices.png", "prices.svg"} <= names
    assert all(Path(plot).stat().st_size > 2000 for plot in told["plots"])
    folder = out / "runs" / run["key"]
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["scenario"]["population"]["providers"] == 2
    before = (folder / "manifest.json").stat().st_mtime_ns
    assert sim(capsys, "run", first, "--out", str(out), *SMALL, "--no-plots")[0] == 0
    assert sim(capsys, "resume", str(out))[0] == 0
    assert (folder / "manifest.json").stat().st_mtime_ns == before  # nothing ran twice
    log = tmp_path / "events.log"
    code, said, _ = sim(capsys, "replay", str(folder), "--log", str(log), "--json")
    assert code == 0
    assert json.loads(said)["log_sha256"] == manifest["log_hash"]
    assert " accept " in log.read_text()


def test_a_violation_exits_with_1_and_prints_what_replays_and_shrinks_it(
    capsys, tmp_path, monkeypatch
) -> None:
    from simulations.exact.checkers import Checkers

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        Checkers,
        "payee_restarted",
        lambda self, node, book, channels: self.violated(f"planted in {node}"),
    )
    market = str(ROOT / "examples" / "market_faults.toml")
    short = ["--set", "duration_s=100.0"]
    code, _, err = sim(capsys, "seeds", market, "--count", "20", *short)
    assert code == 1
    assert "planted in" in err
    (line,) = [line for line in err.splitlines() if "cocoon sim replay" in line]
    command = line.split("cocoon sim ")[1].replace("'", "").split()
    assert "--shrink" in command
    code, out, _ = sim(capsys, *command, "--json")
    assert code == 1
    told = json.loads(out)
    assert len(told["faults"]) == 1
    assert told["faults"][0].startswith("crash:")
    (kept,) = tmp_path.glob("faults-*.json")
    again = [part for part in command if part != "--shrink"]
    code, out, err = sim(capsys, *again, "--faults", str(kept), "--json")
    assert code == 1


def test_a_good_seed_exits_with_0(capsys) -> None:
    market = str(ROOT / "examples" / "market_faults.toml")
    code, out, _ = sim(
        capsys, "seeds", market, "--count", "2", "--set", "duration_s=60.0", "--json"
    )
    assert (code, json.loads(out)["violations"]) == (0, [])


def test_every_action_has_help_and_every_function_of_ours_exists() -> None:
    (subparsers,) = (a for a in make_parser()._actions if hasattr(a, "choices") and a.choices)
    (actions,) = (a for a in subparsers.choices["sim"]._actions if isinstance(a.choices, dict))
    wanted = "new list check run sweep plot compare resume report replay seeds"
    assert set(wanted.split()) == set(actions.choices)
    for name, parser in actions.choices.items():
        module, _, function = parser.get_default("act").partition(":")
        if not module.startswith(("simulations.sweep", "simulations.report")):
            assert callable(getattr(import_module(module), function)), name


def test_without_the_extra_the_command_says_how_to_get_it(capsys, monkeypatch) -> None:
    import argparse

    from cocoon.errors import MissingAsset

    monkeypatch.setitem(sys.modules, "matplotlib", None)
    parsed = argparse.Namespace(act="simulations.plots:plot_command", out=Path("x"))
    monkeypatch.setattr("simulations.plots.read_runs", lambda results: [])
    with pytest.raises(MissingAsset, match="needs matplotlib: pip install matplotlib"):
        sim_command(parsed, None)


def test_the_example_with_an_attacker_and_a_metric_is_short_and_runs() -> None:
    example = ROOT / "examples" / "attacker_and_metric.py"
    assert len(example.read_text().splitlines()) < 40
    done = subprocess.run(
        [sys.executable, str(example)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    rows = [line.split() for line in done.stdout.splitlines()]
    assert [row[0] for row in rows] == ["0", "1", "2"]
    assert float(rows[2][4]) > float(rows[0][4])  # dawdlers cost time


@pytest.mark.parametrize(
    "example", sorted((ROOT / "examples").glob("*.toml")), ids=lambda p: p.stem
)
def test_every_example_is_a_scenario(example: Path) -> None:
    assert load(example) != Scenario()
