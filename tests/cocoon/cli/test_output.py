"""Output: people and scripts never get each other's; streamed text and spinner never mix."""

import enum
import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from cocoon.cli.output import Output, to_json
from cocoon.cli.progress import Steps


class Colour(enum.Enum):
    RED = "red"


def test_scripts_get_json_only(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output(as_json=True)
    output.say("words")
    output.write("words")
    output.table("t", ("a",), [("b",)])
    output.result({"path": Path("/x"), "colour": Colour.RED, "text": "ш"})
    assert json.loads(capsys.readouterr().out) == {"path": "/x", "colour": "red", "text": "ш"}


def test_people_get_words_only_and_brackets_stay(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output(as_json=False)
    output.say("[bold]not markup[/]")
    output.result({"no": 1})
    output.event("no")
    assert capsys.readouterr().out == "[bold]not markup[/]\n"


def test_events_are_one_line_each(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output(as_json=True)
    output.event("ready", addresses=("a", "b"))
    assert capsys.readouterr().out == '{"event": "ready", "addresses": ["a", "b"]}\n'


def test_what_json_does_not_know_is_text() -> None:
    assert json.loads(to_json([Path("/x")])) == ["/x"]


def test_without_a_terminal_steps_are_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with Steps(Output(as_json=False)) as steps:
        steps.step("one")
        steps.say("fact")
        steps.write("streamed")
        steps.step("two")
    captured = capsys.readouterr()
    assert captured.err == "one\n  fact\ntwo\n"
    assert captured.out == "streamed\n", "the next step begins on a line of its own"


def test_on_a_terminal_each_step_leaves_its_time() -> None:
    output, shown = Output(as_json=False), io.StringIO()
    output.progress = Console(file=shown, force_terminal=True, width=100)
    with Steps(output) as steps:
        steps.step("one")
        steps.step("two [x]")
    text = shown.getvalue()
    assert text.count("✓") == 2
    assert "✓ two [x]" in text


def test_a_step_that_goes_on_is_one_line_on_a_terminal_and_several_elsewhere(capsys) -> None:
    output, shown = Output(as_json=False), io.StringIO()
    with Steps(output) as steps:
        steps.step("sent 1 of 2")
        steps.go_on("sent 2 of 2")
    assert capsys.readouterr().err == "sent 1 of 2\nsent 2 of 2\n"
    output.progress = Console(file=shown, force_terminal=True, width=100)
    with Steps(output) as steps:
        steps.step("sent 1 of 2")
        steps.go_on("sent 2 of 2")
    assert shown.getvalue().count("✓") == 1
    assert "✓ sent 2 of 2" in shown.getvalue()


def test_a_failed_step_is_not_ticked_off() -> None:
    output, shown = Output(as_json=False), io.StringIO()
    output.progress = Console(file=shown, force_terminal=True, width=100)
    with pytest.raises(ZeroDivisionError), Steps(output) as steps:
        steps.step("one")
        raise ZeroDivisionError
    assert "✓" not in shown.getvalue()


def test_what_a_stranger_wrote_does_nothing_to_a_table_or_a_terminal(capsys) -> None:
    output = Output(as_json=False)
    output.table("", ("model",), [("[/x] [red]\x1b[2J\u202eevil",)])
    output.say("refused: \x1b]0;title\x07[bold]")
    shown = capsys.readouterr().out
    assert "[/x] [red]\\x1b[2J\\u202eevil" in shown
    assert "refused: \\x1b]0;title\\x07[bold]" in shown
    assert "\x1b" not in shown


def test_names_and_amounts_stay_whole_on_a_narrow_terminal(monkeypatch, capsys) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    row = ("7LXAhEsK", "SmolLM2-135M-Instruct", "0.000017392 tok", "why not, in words")
    Output(as_json=False).table("", ("provider", "model", "price", ""), [row])
    shown = capsys.readouterr().out
    assert {"7LXAhEsK", "SmolLM2-135M-Instruct", "0.000017392"} <= set(shown.split())


def test_an_answer_is_passed_on_whole_to_a_file_and_harmless_to_a_terminal(monkeypatch) -> None:
    text = "two\nlines\tand \x1b[31m שלום"
    for terminal, expected in ((False, text), (True, text.replace("\x1b", "\\x1b"))):
        shown = io.StringIO()
        monkeypatch.setattr(shown, "isatty", lambda terminal=terminal: terminal)
        monkeypatch.setattr("sys.stdout", shown)
        Output(as_json=False).write(text)
        assert shown.getvalue() == expected
