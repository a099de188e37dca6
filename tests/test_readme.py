"""What the papers say is so: commands run, settings load, links lead somewhere."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import msgspec
import pytest

from cocoon.cli.parser import make_parser
from cocoon.confidential.tiers import CLAIM
from cocoon.config import NodeConfig
from cocoon.errors import EXIT_MEANINGS
from cocoon.provider import lease

ROOT = Path(__file__).parent.parent
READMES = ("README.md", "README.ru.md", "README.kk.md")
PAPERS = (
    *READMES,
    "ARCHITECTURE.md",
    "GLOSSARY.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    *sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("adr/*.md")),
    *sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("docs/*.md")),
)
RUN_UNTIL_STOPPED = {"devnet", "node", "provide"}
API_URL = "http://127.0.0.1:8646/v1"
KEY_OF = re.compile(r"\$\(cat ([\w/.]+)\)")
SHELL = {".", "curl", "FIRST=/ip4/127.0.0.1/tcp/4001/p2p/12D3KooW..."}
IN_A_HOME = {"config.toml", "jobs/", "receipts/", "swarm/", "tracks.json"}
COMMAND_S = 120
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")
PLACE = re.compile(r"`((?:[\w.-]+/)+[\w.*-]*|\w+\.(?:py|toml|md|json))`")


def text_of(paper: str) -> str:
    return (ROOT / paper).read_text(encoding="utf-8")


def blocks(paper: str, language: str) -> list[str]:
    return [body for kind, body in BLOCK.findall(text_of(paper)) if kind == language]


def commands(paper: str) -> list[list[str]]:
    lines = "".join(blocks(paper, "sh")).replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def cocoon_commands(paper: str) -> list[list[str]]:
    return [words[1:] for words in commands(paper) if words[0] == "cocoon"]


def typed_commands(paper: str) -> list[list[str]]:
    """Return the lines that can be typed here: ours without the first word, and curl's."""
    lines = [words for words in commands(paper) if words[0] in {"cocoon", "curl"}]
    return [words if words[0] == "curl" else words[1:] for words in lines]


# --- without running anything ---


@pytest.mark.parametrize("paper", [*READMES, "CONTRIBUTING.md"])
def test_every_command_is_one_that_is_run_or_parsed_here(paper) -> None:
    makefile = text_of("Makefile")
    for words in commands(paper):
        if words[0] == "make":
            assert re.search(rf"^{re.escape(words[1])}:", makefile, re.MULTILINE), words
        elif Path(words[0]).name == "cocoon":
            make_parser().parse_args(words[1:])
        elif words[0].endswith("python"):
            assert words[1] == "-m", words
            module = ROOT.joinpath(*words[2].split("."))
            assert module.with_suffix(".py").is_file() or (module / "__main__.py").is_file(), words
        else:
            assert words[0] in SHELL, words


def test_ci_runs_what_a_newcomer_is_told_to_run() -> None:
    ci = text_of(".ci/run")
    makefile = text_of("Makefile")
    assert "make setup" in ci
    assert "make test" in ci
    assert "make lint" in ci
    assert "cocoon demo --json" in ci
    assert re.search(r"^demo: setup.*\n\t\$\(BIN\)/cocoon demo$", makefile, re.MULTILINE)


@pytest.mark.parametrize("paper", READMES)
def test_every_quick_start_begins_with_the_two_commands(paper) -> None:
    assert commands(paper)[:2] == [["make", "demo"], ["make", "test"]]


@pytest.mark.parametrize("paper", ["README.md"])
def test_settings_that_are_shown_are_settings(paper) -> None:
    shown = blocks(paper, "toml")
    assert shown
    for text in shown:
        msgspec.toml.decode(text, type=NodeConfig)


def test_the_exit_codes_are_those_of_the_program() -> None:
    rows = re.findall(r"^\| (\d+) \| (.+) \|$", text_of("README.md"), re.MULTILINE)
    assert {int(code): meaning for code, meaning in rows} == EXIT_MEANINGS


def test_the_promise_about_privacy_is_the_programs_own() -> None:
    readme = " ".join(re.sub(r"[*`]", "", text_of("README.md")).split())
    for sentence in CLAIM.split(". "):
        assert sentence.rstrip(".") in readme


def test_it_is_said_whose_cocoon_this_is_not() -> None:
    assert "not Telegram's Cocoon and does not interoperate with it" in text_of("README.md")
    assert all("Telegram" in text_of(paper) for paper in READMES)


@pytest.mark.parametrize("paper", PAPERS)
def test_links_lead_somewhere(paper) -> None:
    links = LINK.findall(text_of(paper))
    home = (ROOT / paper).parent
    lost = [x for x in links if not x.startswith("https://") and not (home / x).exists()]
    assert not lost


def test_every_file_that_the_architecture_names_exists() -> None:
    named = set(PLACE.findall(text_of("ARCHITECTURE.md"))) - IN_A_HOME
    assert len(named) > 40
    lost = sorted(name for name in named if not list(ROOT.glob(name.rstrip("/"))))
    assert not lost


def test_the_billing_rule_is_the_programs_own() -> None:
    rules = re.findall(r"^\* (.+?[;.])$", lease.__doc__ or "", re.MULTILINE | re.DOTALL)
    architecture = " ".join(text_of("ARCHITECTURE.md").split())
    assert len(rules) >= 4
    assert [x for x in rules if " ".join(x.split()) not in architecture] == []


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads(text_of("pyproject.toml"))["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["gpu"]
    table = text_of("ARCHITECTURE.md").partition("## Dependencies")[2]
    rows = " , ".join(re.findall(r"^\| ([^|]+) \|", table, re.MULTILINE))
    without = [x for x in wanted if not re.search(rf"\b{re.split('[<>=]', x)[0]}\b", rows)]
    assert not without


def test_every_decision_has_its_four_parts() -> None:
    decisions = sorted(ROOT.glob("adr/*.md"))
    assert [int(path.name[:4]) for path in decisions] == list(range(1, len(decisions) + 1))
    for path in decisions:
        found = re.findall(r"^## (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert found == ["Context", "Options", "Decision", "Consequences"], path.name


# --- running the page ---


class Terminals:
    """Runs the page's lines, each long-running command in a process of its own."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self._directory = directory
        self._stack = stack
        self._first = self._chain_url = ""
        self._printed = ""
        self._api = stack.enter_context(ExitStack())
        self._api_url = ""

    def type(self, words: list[str]) -> str:
        """Run one command as it stands, but on ports that are free here; return its output."""
        if words[0] == "curl":
            return self._curl(words[1:])
        self._api.close()  # it has the home's money for itself while it runs
        line = [self._as_typed(word) for word in words]
        if words[0] == "api":
            line += ["--address", "127.0.0.1:0", "--json", "-v"]
            self._api_url = self._api.enter_context(running(self._directory, line))["base_url"]
            return ""
        if words[0] in RUN_UNTIL_STOPPED:
            self._start([*line, "--json", "-v"])
            return ""
        if words[:2] == ["wallet", "create"]:
            self._use_this_chain(self._directory / words[words.index("--home") + 1])
        said = self._finish(line, expected=0)
        self._printed += said
        return said

    def _curl(self, words: list[str]) -> str:
        """Run curl as it stands, with what the shell would put in."""

        def key(found: re.Match[str]) -> str:
            return (self._directory / found[1]).read_text("utf-8").strip()

        line = [KEY_OF.sub(key, word.replace(API_URL, self._api_url)) for word in words]
        done = subprocess.run(
            ["curl", "--silent", "--show-error", "--fail-with-body", *line],
            cwd=self._directory,
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def _use_this_chain(self, home: Path) -> None:
        """Say where the page's devnet is: there it is on the port that all homes expect."""
        home.mkdir(mode=0o700)
        (home / "config.toml").write_text(f'[chain]\nurl = "{self._chain_url}"\n')

    def _as_typed(self, word: str) -> str:
        """Return what a reader would type: ``...`` is the rest of what was printed last."""
        if not word.endswith("..."):
            return self._on_free_ports(word)
        start = re.escape(word.removesuffix("..."))
        return re.findall(rf"(?<!\w){start}[\w-]{{16,}}", self._printed)[-1]

    def _on_free_ports(self, word: str) -> str:
        if word == "$FIRST":
            return self._first
        if word == "http://127.0.0.1:8645":
            return self._chain_url
        return word.replace("/tcp/4001", "/tcp/0")

    def _finish(self, line: list[str], *, expected: int) -> str:
        done = subprocess.run(
            command(line),
            cwd=self._directory,
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
            check=False,
        )
        logs = "".join(log.read_text("utf-8")[-4000:] for log in self._directory.glob("*.log"))
        assert done.returncode == expected, f"{line}: {done.stdout}{done.stderr}\n{logs}"
        return done.stdout

    def _start(self, line: list[str]) -> None:
        where = ["--port", "0"] if line[0] == "devnet" else []
        ready = self._stack.enter_context(running(self._directory, [*line, *where]))
        if line[0] == "devnet":
            self._chain_url = str(ready["url"])
        elif line[0] == "node":
            self._first = str(ready["addresses"][0])


def command(line: list[str]) -> list[str]:
    # -P: the directory that it runs in is not searched for modules.
    return [sys.executable, "-P", "-m", "cocoon", *line]


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "COCOON_HOME"}
    return {**kept, "OPENBLAS_NUM_THREADS": "1", "COLUMNS": "200"}


@contextmanager
def running(directory: Path, line: list[str]) -> Iterator[dict]:
    """Run a command that does not end by itself; yield what it says when it is ready."""
    log = directory / f"{line[0]}.log"
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            command(line),
            cwd=directory,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
        )
    too_late = threading.Timer(COMMAND_S, process.kill)
    too_late.start()
    try:
        ready = next((told for told in events(process) if told["event"] == "ready"), None)
        too_late.cancel()
        assert ready, f"{line} never became ready: {log.read_text(encoding='utf-8')}"
        yield ready
    finally:
        too_late.cancel()
        process.terminate()
        process.communicate(timeout=30)
    assert process.returncode == 0, log.read_text(encoding="utf-8")


def events(process: subprocess.Popen) -> Iterator[dict]:
    assert process.stdout is not None
    for line in process.stdout:
        yield json.loads(line)


@pytest.fixture
def page(tmp_path) -> Path:
    """A directory with nothing in it but the voice note and the examples, as in a clone."""
    note = tmp_path / "cocoon" / "data" / "voice-note.ogg"
    note.parent.mkdir(parents=True)
    shutil.copy(ROOT / "cocoon" / "data" / "voice-note.ogg", note)
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    return tmp_path


@pytest.mark.skipif(shutil.which("curl") is None, reason="the page uses curl")
def test_the_page_runs_from_top_to_bottom(page) -> None:
    """Two nodes that share an address and a URL: join, quote, ask, transcribe, verify, settle."""
    said: dict[str, str] = {}
    with ExitStack() as stack:
        terminals = Terminals(page, stack)
        for words in typed_commands("README.md"):
            if words[:2] == ["channels", "exit"]:  # there, a channel is open
                terminals.type(["ask", "Hello.", "--tokens", "8", "--home", "buyer"])
            said[" ".join(words[:2])] = terminals.type(words)
    assert "fruit" in said["ask List three fruits."].lower()
    assert "send you the report tomorrow" in said["transcribe cocoon/data/voice-note.ogg"]
    assert "SmolLM2" in said["quotes --once"]
    assert "won" in said["explain --home"]
    assert said["receipts verify"].count(": verified") == 2
    assert "NOT" not in said["receipts verify"]
    assert "open, " in said["channels list"]
    assert " back, fees " in said["channels close"]
    assert "balance  4.98" in said["wallet show"]
    assert "challenge_s" in said["config --explain"]
    assert said["channels exit"]
    chat, speech = (
        json.loads(said[f"curl {API_URL}/{path}"])
        for path in ("chat/completions", "audio/transcriptions")
    )
    assert chat["usage"]["completion_tokens"] > 0
    assert "send you the report tomorrow" in speech["text"]
    assert "0.75" in said["channel top-up"]
    assert said["channel claim"]
    assert " back, fees " in said["channel close"]
    assert "meter: " in said["kernel run"]
    assert "selling" in said["swarm --once"] or "provider" in said["swarm --once"]
    assert list((page / "first-run").rglob("*.png"))
