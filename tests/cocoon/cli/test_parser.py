"""The parser: every command has help and a function, and nothing heavy is loaded for it."""

import argparse
import inspect
import re
import shlex
import subprocess
import sys
from importlib import import_module
from importlib.metadata import entry_points

import pytest

from cocoon.cli.lessons import LESSONS
from cocoon.cli.parser import (
    CHAT_MODEL,
    DEVNET_PORT,
    EXTENSIONS,
    KERNEL_MS_MAX,
    SPEECH_MODEL,
    full_name,
    make_parser,
)
from cocoon.config import NodeConfig
from cocoon.errors import EXIT_CODES, EXIT_MEANINGS
from cocoon.market import quotes
from cocoon.requester import inputs
from kernels.custom import job

SIMULATIONS = {each.name for each in entry_points(group=EXTENSIONS)}
HEAVY = ("libp2p", "numpy", "httpx", "wasmtime", "pytoniq_core", "tokenizers", "starlette")


def commands() -> dict[str, argparse.ArgumentParser]:
    (subparsers,) = (
        action
        for action in make_parser()._actions
        if isinstance(action, argparse._SubParsersAction)
    )
    return dict(subparsers.choices)


def test_every_promised_command_is_there() -> None:
    wanted = "init node provide ask transcribe quotes explain receipts channels wallet devnet"
    more = "api doctor demo config assets peers swarm channel kernel"
    here = {*wanted.split(), *more.split()}
    extensions = {each.name for each in entry_points(group=EXTENSIONS)}
    assert here | extensions == commands().keys()


@pytest.mark.parametrize("name", commands())
def test_every_command_has_help_and_the_common_options(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        make_parser().parse_args([name, "--help"])
    assert stopped.value.code == 0
    shown = capsys.readouterr().out
    assert all(option in shown for option in ("--home", "--config", "--json", "--verbose"))


@pytest.mark.parametrize("name", commands())
def test_every_command_has_a_function_that_takes_arguments_and_output(name: str) -> None:
    module, _, function = commands()[name].get_default("run").partition(":")
    run = getattr(import_module(full_name(module)), function)
    assert list(inspect.signature(run).parameters) == ["parsed", "output"]
    assert run.__doc__


def test_every_command_teaches_by_lines_that_can_be_typed(capsys) -> None:
    lesson_lines = re.compile(
        r"^  (?:payee +|payer +)?(cocoon .*?)(?:   *\S.*| [<>] .*)?$", re.MULTILINE
    )
    for name in commands().keys() - {"channel"}:
        with pytest.raises(SystemExit):
            make_parser().parse_args([name, "--help"])
        lines = [shlex.split(each) for each in lesson_lines.findall(capsys.readouterr().out)]
        assert lines or name == "peers" or name in SIMULATIONS, name
        for words in lines:
            make_parser().parse_args(words[1:])


@pytest.mark.parametrize("lesson", LESSONS.values(), ids=LESSONS)
def test_what_is_taught_fits_a_terminal(lesson: str) -> None:
    indented = [line for line in lesson.splitlines() if line.startswith(" ")]
    assert [line for line in indented if len(line) >= 80] == []


def test_every_lesson_belongs_to_a_command_that_shows_it(capsys) -> None:
    for name, lesson in LESSONS.items():
        with pytest.raises(SystemExit):
            make_parser().parse_args([*name.split(), "--help"])
        assert lesson.split()[-1] in capsys.readouterr().out


def test_a_word_that_is_almost_a_command_is_understood(capsys) -> None:
    with pytest.raises(SystemExit):
        make_parser().parse_args(["aks", "hi"])
    assert "did you mean 'ask'?" in capsys.readouterr().err


def test_every_exit_code_is_documented(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        make_parser().parse_args(["--help"])
    shown = capsys.readouterr().out
    for code, meaning in EXIT_MEANINGS.items():
        assert f"{code:>3}  {meaning}" in shown
    assert {code for _, code in EXIT_CODES} <= EXIT_MEANINGS.keys()


def test_help_loads_nothing_heavy() -> None:
    script = (
        "import sys\nfrom cocoon.cli.main import make_parser\nmake_parser()\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_the_defaults_agree_with_the_modules_that_are_not_loaded_for_help() -> None:
    assert (CHAT_MODEL, SPEECH_MODEL) == (inputs.CHAT_MODEL, inputs.SPEECH_MODEL)
    assert NodeConfig().chain.url == f"http://127.0.0.1:{DEVNET_PORT}"
    assert KERNEL_MS_MAX == job.TIME_MS_MAX == quotes.KERNEL_MS_MAX
    assert job.ARRAYS_BYTES_MAX == quotes.KERNEL_BYTES_MAX


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nope"],
        ["ask"],
        ["ask", "hi", "--tokens", "0"],
        ["ask", "hi", "--tokens", "1" * 5000],
        ["ask", "hi", "--tokens", "٣"],
        ["ask", "hi", "--temperature", "nan"],
        ["ask", "hi", "--temperature", "-1"],
        ["ask", "hi", "--temperature", "5.001"],
        ["ask", "hi", "--seed", "4294967296"],
        ["devnet", "--port", "65536"],
        ["wallet", "steal"],
        ["ask", "hi", "--spend-max"],
        ["kernel", "submit"],
        ["kernel", "submit", "job", "--ms", "600001"],
        ["kernel", "submit", "job", "--device", "tpu"],
        ["provide", "--kernels", "tpu"],
    ],
    ids=lambda arguments: " ".join(arguments)[:30] or "nothing",
)
def test_wrong_arguments_exit_with_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        make_parser().parse_args(arguments)
    assert stopped.value.code == 2
    assert "usage:" in capsys.readouterr().err
