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
from importlib.util import find_spec
from pathlib import Path

import msgspec
import pytest

from cocoon.cli.parser import make_parser
from cocoon.confidential.tiers import CLAIM
from cocoon.config import NodeConfig
from cocoon.errors import EXIT_MEANINGS
from cocoon.provider import lease
from kernels.compile import find_nvrtc
from kernels.custom.confinement import can_confine
from kernels.custom.manifest import Manifest
from kernels.device import GPU_REMEDY, PTX_REMEDY

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
RUN_UNTIL_STOPPED = {"devnet", "node", "provide", "api"}
TYPED = {"cocoon", "curl", "python", "echo"}
"""What lines begin with that a test types into a shell; the others set an environment up."""
RUN_PAGES = ("README.md", "docs/selling.md", "docs/buying.md", "docs/payments.md")
CHAIN_URL = "http://127.0.0.1:8645"
API_URL = "http://127.0.0.1:8646/v1"
PRINTED = re.compile(r"(?<![\w./-])(cocoon-[a-z]+-|0:)\.\.\.")
SHELL = {".", "curl", "echo", "nft", "apt-get", "FIRST=/ip4/127.0.0.1/tcp/4001/p2p/12D3KooW..."}
OURS = ("cocoon ", "make ", "python ", "pytest ", "pip ")
IN_A_HOME = {"config.toml", "jobs/", "receipts/", "swarm/", "tracks.json"}
COMMAND_S = 120
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")
PLACE = re.compile(r"`((?:[\w.-]+/)+[\w.*-]*|\w+\.(?:py|toml|md|json))`")


def text_of(paper: str) -> str:
    return (ROOT / paper).read_text(encoding="utf-8")


def blocks(paper: str, language: str) -> list[str]:
    return [body for kind, body in BLOCK.findall(text_of(paper)) if kind == language]


def lines(paper: str) -> list[str]:
    """Return what a page has its reader type, line by line."""
    joined = "".join(blocks(paper, "sh")).replace("\\\n", " ").splitlines()
    return [line for line in joined if shlex.split(line, comments=True)]


def commands(paper: str) -> list[list[str]]:
    return [words_of(line) for line in lines(paper)]


def indented_commands(paper: str) -> list[list[str]]:
    indented = (line[4:] for line in text_of(paper).splitlines() if line.startswith("    "))
    return [words_of(line) for line in indented if line.startswith(OURS)]


def words_of(line: str) -> list[str]:
    """Return the words of the last command of a line, without where its output goes."""
    words = shlex.split(line, comments=True)
    start = len(words) - words[::-1].index("|") if "|" in words else 0
    end = words.index(">") if ">" in words else len(words)
    return words[start:end]


# --- without running anything ---


@pytest.mark.parametrize("paper", PAPERS)
def test_every_command_is_one(paper) -> None:
    """Of ours: it parses, or its target, module, file or extra is there."""
    for words in [*commands(paper), *indented_commands(paper)]:
        while re.match(r"\w+=", words[0]) and len(words) > 1:
            words = words[1:]  # noqa: PLW2901  (variables before a command)
        check_command(words)


def check_command(words: list[str]) -> None:
    match words[0].removeprefix(".venv/bin/"), words[1:]:
        case "cocoon", arguments:
            make_parser().parse_args(arguments)
        case "make", arguments:
            target = next(each for each in arguments if "=" not in each)
            is_target = re.search(rf"^{re.escape(target)}:", text_of("Makefile"), re.MULTILINE)
            assert is_target or target.startswith("."), words
        case "python", ["-m", "pytest", *arguments]:
            check_tests(arguments)
        case "pytest", arguments:
            check_tests(arguments)
        case "python", ["-m", module, *_]:
            place = ROOT.joinpath(*module.split("."))
            assert place.with_suffix(".py").is_file() or (place / "__main__.py").is_file(), words
        case "python", [program, *_]:
            assert (ROOT / program).is_file(), words
        case "pip", ["install", *arguments]:
            # For our extras pip builds a package that libp2p pins (requirements/README.md).
            assert not any("[" in each for each in arguments), words
        case program, _:
            assert program in SHELL, words


def check_tests(arguments: list[str]) -> None:
    paths = [each for each in arguments if each.startswith("tests/")]
    assert paths
    assert [each for each in paths if not (ROOT / each).exists()] == []


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


@pytest.mark.parametrize("paper", PAPERS)
def test_settings_that_are_shown_are_settings(paper) -> None:
    for text in blocks(paper, "toml"):
        kind = Manifest if text.startswith("entry = ") else NodeConfig
        msgspec.toml.decode(text, type=kind)


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


def test_what_the_doctor_would_install_is_what_the_extras_name() -> None:
    extras = tomllib.loads(text_of("pyproject.toml"))["project"]["optional-dependencies"]
    for remedy, extra in ((PTX_REMEDY, "ptx"), (GPU_REMEDY, "gpu")):
        names = {re.split("[<>=;]", each)[0] for each in extras[extra]}
        assert set(remedy.partition("install ")[2].split()) == names


def test_every_decision_has_its_four_parts() -> None:
    decisions = sorted(ROOT.glob("adr/*.md"))
    assert [int(path.name[:4]) for path in decisions] == list(range(1, len(decisions) + 1))
    for path in decisions:
        found = re.findall(r"^## (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert found == ["Context", "Options", "Decision", "Consequences"], path.name


# --- running the page ---


class Terminals:
    """Types the lines of pages into a shell; what runs until it is stopped is a process of its own.

    Lines are typed as they stand, but for ports (free ones) and what an earlier line printed.
    """

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self._directory = directory
        self._stack = stack
        self._printed = ""
        self._api = stack.enter_context(ExitStack())
        self._found = {"/tcp/4001": "/tcp/0"}
        self._said: list[tuple[str, str]] = []
        self._path = f"{programs(directory / 'bin')}:{os.environ['PATH']}"

    def type(self, line: str) -> None:
        """Run one line."""
        words = shlex.split(line, comments=True)
        if API_URL not in line:
            self._api.close()  # it has the home's money for itself while it runs
        if words[0] == "cocoon" and words[1] in RUN_UNTIL_STOPPED:
            self._start(shlex.split(self._as_typed(line), comments=True)[1:])
            return
        if words[:3] == ["cocoon", "wallet", "create"]:
            self._use_this_chain(self._directory / words[words.index("--home") + 1])
        said = self._run(self._as_typed(line))
        self._printed += said
        self._said.append((line, said))

    def said(self, beginning: str) -> str:
        """Return what the last line that begins so has printed."""
        return [said for line, said in self._said if line.startswith(beginning)][-1]

    def _as_typed(self, line: str) -> str:
        """Return what a reader would type: ``...`` is the rest of what was printed last."""
        line = line.partition(" #")[0]
        for shown, here in self._found.items():
            line = line.replace(shown, here)
        return PRINTED.sub(self._printed_last, line)

    def _printed_last(self, found: re.Match[str]) -> str:
        start = re.escape(found[1])
        return re.findall(rf"(?<!\w){start}[\w-]{{16,}}", self._printed)[-1]

    def _use_this_chain(self, home: Path) -> None:
        """Say where the page's devnet is: there it is on the port that all homes expect."""
        home.mkdir(mode=0o700)
        (home / "config.toml").write_text(f'[chain]\nurl = "{self._found[CHAIN_URL]}"\n')

    def _run(self, line: str) -> str:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", line],
            cwd=self._directory,
            env=environment() | {"PATH": self._path},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
            check=False,
        )
        logs = "".join(log.read_text("utf-8")[-4000:] for log in self._directory.glob("*.log"))
        assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}\n{logs}"
        return done.stdout

    def _start(self, line: list[str]) -> None:
        if line[0] == "devnet" and CHAIN_URL in self._found:
            return  # it runs already
        more = {"devnet": ["--port", "0"], "api": ["--address", "127.0.0.1:0"]}.get(line[0], [])
        stack = self._api if line[0] == "api" else self._stack
        ready = stack.enter_context(running(self._directory, [*line, *more, "--json", "-v"]))
        match line[0]:
            case "devnet":
                self._found[CHAIN_URL] = str(ready["url"])
            case "node":
                self._found["$FIRST"] = str(ready["addresses"][0])
            case "api":
                self._found[API_URL] = str(ready["base_url"])


def programs(directory: Path) -> Path:
    """Make what an activated environment has on its PATH."""
    directory.mkdir()
    # -P: the directory that it runs in is not searched for modules.
    for name, call in (("cocoon", "-P -m cocoon"), ("python", "")):
        program = directory / name
        program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} {call} "$@"\n')
        program.chmod(0o755)
    return directory


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "COCOON_HOME"}
    return {**kept, "OPENBLAS_NUM_THREADS": "1", "COLUMNS": "200"}


@contextmanager
def running(directory: Path, line: list[str]) -> Iterator[dict]:
    """Run a command that does not end by itself; yield what it says when it is ready."""
    log = directory / f"{line[0]}.log"
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [directory / "bin" / "cocoon", *line],
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


def typed_lines() -> Iterator[str]:
    """Yield what the pages have their readers type, but for what needs what is not here."""
    kernels = find_nvrtc() is not None and not can_confine()
    for line in (each for paper in RUN_PAGES for each in lines(paper)):
        needed = "openai" not in line or find_spec("openai") is not None
        if line.split()[0] in TYPED and needed and (kernels or "buy.py kernel" not in line):
            yield line if kernels else line.replace(" --kernels cpu", "")


@pytest.mark.skipif(shutil.which("curl") is None, reason="the page uses curl")
def test_the_pages_run_from_top_to_bottom(page) -> None:
    """Nodes that share an address and a URL: join, quote, ask, transcribe, verify, settle."""
    with ExitStack() as stack:
        shell = Terminals(page, stack)
        for line in typed_lines():
            if line.startswith("cocoon channels exit"):  # there, a channel is open
                shell.type('cocoon ask "Hello." --tokens 8 --home buyer')
            shell.type(line)
    said = shell.said
    assert "fruit" in said('cocoon ask "List three').lower()
    assert "SmolLM2" in said("cocoon quotes --once")
    assert "won" in said("cocoon explain --home")
    assert said("cocoon receipts verify").count(": verified") == 2
    assert "NOT" not in said("cocoon receipts verify")
    assert "open, " in said("cocoon channels list --home buyer")
    assert " back, fees " in said("cocoon channels close")
    assert "balance  4.98" in said("cocoon wallet show --home buyer")
    assert "challenge_s" in said("cocoon config --explain")
    assert said("cocoon channels exit")
    chat, speech = (
        json.loads(said(f"curl {API_URL}/{path}"))
        for path in ("chat/completions", "audio/transcriptions")
    )
    assert chat["usage"]["completion_tokens"] > 0
    assert "send you the report tomorrow" in speech["text"]
    assert "0.75" in said("cocoon channel top-up")
    assert said("cocoon channel claim")
    assert " back, fees " in said("cocoon channel close")
    assert "meter: " in said("cocoon kernel run")
    assert "selling" in said("cocoon swarm --once") or "provider" in said("cocoon swarm --once")
    assert list((page / "first-run").rglob("*.png"))
    assert "fruit" in said("python examples/buy.py chat").lower()
    assert "send you the report tomorrow" in said("python examples/buy.py transcribe")
    assert "send you the report tomorrow" in (page / "note.txt").read_text()
    assert json.loads((page / "answer.json").read_text())["paid_nanoton"] > 0
