"""The page about payments names commands and settings that exist."""

import re
import shlex
from pathlib import Path

import pytest

from cocoon.cli.parser import make_parser
from cocoon.config import explain

PAGE = (Path(__file__).parents[3] / "docs" / "payments.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = [line for block in BLOCKS for line in block.splitlines() if line.startswith("cocoon ")]
OPTIONS = sorted(set(re.findall(r"`((?:requester|provider|hub)\.[a-z_]+)", PAGE)))


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_of_the_page_is_one(line: str) -> None:
    parsed = make_parser().parse_args(shlex.split(line, comments=True)[1:])
    assert parsed.run


@pytest.mark.parametrize("option", OPTIONS)
def test_every_setting_of_the_page_is_one(option: str) -> None:
    assert option in {each.name for each in explain()}


def test_every_verb_is_in_the_page() -> None:
    for verb in ("open", "top-up", "pay", "accept", "claim", "close", "exit", "recover", "backup"):
        assert f"`channel {verb}" in PAGE
