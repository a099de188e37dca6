"""The command of the soak: rows as they are known, what is kept and run again, how it ends."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from overlay.soak import command, report, runner
from overlay.soak.report import Ended, Result, duration
from overlay.soak.rows import Row
from overlay.soak.scenario import OVERLAY, QUICK, Beside, Options, Scenario

COMMAND = [sys.executable, "-m", "overlay.soak"]
FEW = ["--only", "fuzz", "--inputs", "300"]
OPTIONS = Options()


def scenario(name: str, beside: Beside = Beside.WORK, seconds: float = 10.0) -> Scenario:
    return Scenario(name, "about it", beside, lambda _: [], lambda _: seconds, ("seed",))


def result(name: str, *, passed: bool = True, code: str = "") -> Result:
    made = report.result_of(scenario(name), OPTIONS, Row("what", "3 of 3", "all", passed), 7.0)
    return msgspec.structs.replace(made, code=code or made.code)


def ended(name: str, *, held: bool = True, code: str = "") -> Ended:
    row = result(name, code=code)
    return Ended(
        scenario=name, date="d", seconds=42.0, options=row.options, code=row.code, held=held
    )


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A real run of one scenario: its report, and what it printed."""
    path = tmp_path_factory.mktemp("soak") / "deep" / "soak.jsonl"
    done = subprocess.run(
        [*COMMAND, *FEW, "--report", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return path, done.stdout


def test_a_row_is_printed_and_kept_with_all_that_is_needed_to_judge_it(kept) -> None:
    path, printed = kept
    assert "ok   300 damaged inputs" in printed
    row, end = (json.loads(line) for line in path.read_text().splitlines())
    assert row["row"]["values"]["crashes"] == 0
    assert row["row"]["passed"]
    assert row["options"] == {"inputs": 300, "seed": 1}
    assert row["load_average"] >= 0 < row["seconds"]
    assert "cores" in row["where"]["machine"]
    assert (end["type"], end["held"], end["code"]) == ("ended", True, row["code"])


def test_what_held_on_this_code_is_not_run_again(kept, capsys) -> None:
    path, _ = kept
    arguments = [*FEW, "--report", str(path), "--resume", "--json"]
    assert command.main(OVERLAY, module="no.such.module", arguments=arguments) == 0
    shown = capsys.readouterr()
    assert [each["scenario"] for each in json.loads(shown.out)] == ["fuzz"]
    assert "not run again" in shown.err


def test_another_seed_other_code_and_what_did_not_hold_are_run_again() -> None:
    lines = [result("a"), ended("a")]
    assert report.held_before(lines, scenario("a"), OPTIONS) == lines[:1]
    assert not report.held_before(lines, scenario("a"), Options(seed=2))
    assert not report.held_before(lines, scenario("b"), OPTIONS)
    old = [result("a", code="old"), ended("a", code="old")]
    assert not report.held_before(old, scenario("a"), OPTIONS)
    assert not report.held_before(lines[:1], scenario("a"), OPTIONS), "it was interrupted"
    failed = [*lines, result("a", passed=False), ended("a", held=False)]
    assert not report.held_before(failed, scenario("a"), OPTIONS), "the last time counts"


def test_a_report_that_was_cut_off_is_read_as_far_as_it_goes(tmp_path) -> None:
    path = tmp_path / "soak.jsonl"
    report.append(path, result("a"))
    report.append(path, ended("a"))
    path.write_bytes(path.read_bytes() + b'\xff{"type":"row"\n{"ty')
    assert [type(line) for line in report.read(path)] == [Result, Ended]
    assert report.took_before(report.read(path), scenario("a"), Options(seed=9)) is None
    assert report.took_before(report.read(path), scenario("a"), OPTIONS) == 42.0
    assert report.read(tmp_path / "none") == []


def test_what_takes_times_runs_alone_and_the_long_one_beside_the_rest(monkeypatch) -> None:
    timed, long = scenario("timed", Beside.NOTHING), scenario("long", Beside.LONG, 60)
    work = [scenario("one", seconds=50), scenario("two", seconds=30)]
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert list(runner.phases([long, work[0], timed, work[1]])) == [[[timed]], [[long], work]]
    expected_s = {"timed": 5.0, "long": 60.0, "one": 50.0, "two": 30.0}
    assert runner.expected_total_s([timed, long, *work], expected_s) == 5 + 80
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    assert len(list(runner.phases([timed, long, *work]))) == 4


def test_a_table_for_a_page_and_the_words_for_a_time() -> None:
    table = report.markdown([result("a"), result("b", passed=False)])
    assert "| what | all | 3 of 3 | yes |" in table
    assert "**no**" in table
    assert [duration(s) for s in (3, 89, 91, 5280, 8000)] == [
        "3 s", "89 s", "2 min", "88 min", "2 h 13 min",
    ]  # fmt: skip


def test_a_part_that_breaks_off_is_a_row_that_fails(tmp_path, capsys) -> None:
    path = tmp_path / "soak.jsonl"
    arguments = [*FEW, "--report", str(path)]
    assert command.main(OVERLAY, module="overlay.soak.rows", arguments=arguments) == 3
    fuzz = next(each for each in OVERLAY if each.name == "fuzz")
    assert "FAIL fuzz" in capsys.readouterr().out
    assert not report.held_before(report.read(path), fuzz, OPTIONS)


def test_ctrl_c_keeps_the_rows_and_leaves_no_process() -> None:
    arguments = ["--only", "fuzz", "--inputs", "100000000", "--json"]
    soak = subprocess.Popen(
        [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert soak.stderr is not None
    while "fuzz:" not in (line := soak.stderr.readline()):
        assert line, "it ended early"
    children = _children(soak.pid)
    while not children:
        children = _children(soak.pid)
    soak.send_signal(signal.SIGINT)
    out, err = soak.communicate(timeout=30)
    assert soak.returncode == 130
    assert json.loads(out) == []
    assert "interrupted" in err
    assert not any(Path(f"/proc/{child}").exists() for child in children)


def _children(pid: int) -> list[int]:
    """Return the processes that any thread of *pid* has started."""
    told = (
        each.read_text(encoding="ascii") for each in Path(f"/proc/{pid}/task").glob("*/children")
    )
    return [int(each) for text in told for each in text.split()]


def test_the_list_and_the_help_teach(capsys) -> None:
    assert command.main(OVERLAY, module="overlay.soak", arguments=["--list", "--quick"]) == 0
    listed = capsys.readouterr().out
    assert all(each.name in listed for each in OVERLAY)
    with pytest.raises(SystemExit):
        command.main(OVERLAY, module="overlay.soak", arguments=["--help"])
    assert "--resume" in capsys.readouterr().out


def test_the_arguments_of_a_child_say_the_same() -> None:
    for options in (OPTIONS, QUICK, Options(seconds=1.5, record="a b", seed=7)):
        parsed = command._parser(OVERLAY, "x").parse_args(options.arguments())
        assert command._options(parsed) == options
