"""Commands without a network: what is printed, as words and as JSON, and the exit code."""

import errno
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from cocoon.cli.main import report, run
from cocoon.cli.nodes import check_listening
from cocoon.cli.output import Output
from cocoon.config_network import NetworkConfig
from cocoon.errors import NoProvider
from cocoon.node import host_settings
from contracts.errors import ChainUnavailable
from overlay.errors import LocalProtocolError

NOBODY = "http://127.0.0.1:1"
PEER = "12D3KooWLD5x7AwbLrm71Ej39ppP83jitENCytMRdTooqr9Qf9iV"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("COCOON_HOME", raising=False)
    monkeypatch.setenv("COCOON_ASSETS", str(tmp_path / "assets"))
    return tmp_path / "home"


@pytest.fixture
def made(home: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert run(["init", "--home", str(home), "--devnet-wallet", "--chain-url", NOBODY]) == 0
    capsys.readouterr()
    return home


def said(capsys: pytest.CaptureFixture[str]) -> dict:
    return json.loads(capsys.readouterr().out)


# --- init ---


def test_init_makes_private_files_and_says_what_comes_next(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["init", "--home", str(home), "--devnet-wallet"]) == 0
    shown = capsys.readouterr().out
    assert "cocoon devnet" in shown
    assert "not audited" in shown
    for name in ("config.toml", "identity.key", "wallet.key"):
        assert (home / name).stat().st_mode & 0o777 == 0o600


def test_init_twice_changes_nothing_and_says_so(
    made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path.name: path.read_bytes() for path in made.iterdir() if path.is_file()}
    assert run(["init", "--home", str(made), "--network", "other", "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["home"] == str(made)
    assert "not applied" in captured.err
    assert "network.name" in captured.err
    assert before == {path.name: path.read_bytes() for path in made.iterdir() if path.is_file()}


@pytest.mark.parametrize(
    "options",
    [[], ["--set", "nope.nope=1", "--devnet-wallet"], ["--set", "novalue", "--devnet-wallet"]],
    ids=["no passphrase", "unknown option", "no value"],
)
def test_init_that_is_refused_writes_nothing(
    home: Path, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["init", "--home", str(home), *options]) == 2
    assert not home.exists()
    assert "Traceback" not in capsys.readouterr().err


def test_a_wallet_is_sealed_with_the_passphrase_of_the_file(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("correct horse battery\n")
    assert run(["init", "--home", str(home), "--passphrase-file", str(secret)]) == 0
    shown = capsys.readouterr()
    assert "24 words" in shown.err
    assert "correct horse" not in shown.out + shown.err + (home / "config.toml").read_text()
    assert "argon2id" in (home / "wallet.key").read_text()
    secret.write_text("short")
    other = tmp_path / "other"
    assert run(["init", "--home", str(other), "--passphrase-file", str(secret)]) == 2
    assert not other.exists()


def test_settings_are_changed_in_place(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = ["config", "--home", str(made), "--json"]
    relays = 'network.relays=["auto"]'
    assert run([*base, "--set", "provider.slots=3", "--set", relays]) == 0
    assert run([*base, "--set", "provider.slots=0"]) == 2
    capsys.readouterr()
    assert run(base) == 0
    config = said(capsys)
    assert (config["provider"]["slots"], config["network"]["relays"]) == (3, ["auto"])
    assert config["chain"]["url"] == NOBODY
    assert (made / "config.toml").stat().st_mode & 0o777 == 0o600


def test_a_second_node_on_one_home_is_refused(
    made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket(socket.AF_UNIX) as running:
        running.bind(str(made / "node.sock"))
        assert run(["config", "--home", str(made)]) == 0
        running.listen()
        assert run(["node", "--home", str(made), "--listen", "/ip4/127.0.0.1/tcp/0"]) == 2
    assert "runs on" in capsys.readouterr().err


@pytest.mark.parametrize(
    "address",
    [
        f"/ip4/198.51.100.1/tcp/4001/p2p/{PEER}",
        f"/ip6/2001:db8::1/tcp/4001/ws/p2p/{PEER}",
        f"/dns4/boot.example.org/udp/4001/quic-v1/p2p/{PEER}",
        f"/ip4/198.51.100.1/tcp/4001/p2p/{PEER}/p2p-circuit/p2p/{PEER}",
        "/dnsaddr/boot.example.org",
    ],
)
def test_what_can_be_dialed_can_be_named(address: str) -> None:
    assert host_settings(NetworkConfig(bootstrap=(address,))).bootstrap == (address,)


@pytest.mark.parametrize("address", ["/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/tcp/0/ws"])
def test_what_the_guide_listens_on_can_be_listened_on(address: str) -> None:
    check_listening([address])


def test_a_key_file_that_cannot_be_used_is_no_bug_of_ours(
    made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (made / "identity.key").write_text("nonsense")
    assert run(["quotes", "--once", "--home", str(made)]) == 2
    assert "move it away for a new key" in capsys.readouterr().err


# --- what needs no network ---


def test_channels_of_a_fresh_home_need_neither_chain_nor_lock(
    made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["channels", "--home", str(made), "--json"]) == 0
    nothing = {"settled_nanoton": 0, "unclaimed_nanoton": 0}
    assert said(capsys) == {
        "paying": [],
        "paid": [],
        "routes": [],
        "at_risk_nanoton": 0,
        "held_nanoton": 0,
        "interrupted_jobs": [],
        "earned": nothing,
    }


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["wallet"], 6),
        (["ask", "hi", "--spend-max", "0"], 2),
        (["ask", "hi", "--spend-max", "much"], 2),
        (["config", "--set", "provider.slot=1"], 2),
        (["wallet", "send", "1"], 2),
        (["wallet", "send", "0", "--to", "0:" + "0" * 64], 2),
        (["wallet", "send", "1", "--to", "nowhere"], 2),
        (["wallet", "faucet", "0.0000000001"], 2),
        (["wallet", "faucet"], 6),
        (["ask", ""], 2),
        (["ask", "hi", "--model", "nope"], 2),
        (["ask", "hi"], 6),
        (["quotes", "--model", "nope"], 2),
        (["quotes", "--bootstrap", "198.51.100.1:4001"], 2),
        (["quotes", "--bootstrap", "/ip4/198.51.100.1/tcp/4001"], 2),
        (["quotes", "--bootstrap", f"/ip4/198.51.100.1/tcp/4001/p2p/{PEER[:-1]}..."], 2),
        (["quotes", "--bootstrap", f"/ip4/198.51.100.999/tcp/4001/p2p/{PEER}"], 2),
        (["quotes", "--bootstrap", f"/ip6/198.51.100.1/tcp/4001/p2p/{PEER}"], 2),
        (["transcribe", "/nonexistent.ogg"], 2),
        (["explain"], 2),
        (["explain", "nope"], 2),
        (["receipts", "verify"], 2),
        (["receipts", "verify", "/"], 2),
        (["channels", "exit"], 6),
        (["provide"], 2),
        (["provide", "--model", "nope"], 2),
        (["provide", "--model", "whisper-tiny.en"], 3),
        (["node", "--listen", "bad"], 2),
        (["node", "--network", "NOT OK"], 2),
        (["assets", "fetch"], 3),
        (["assets", "path", "nope"], 3),
        (["demo"], 3),
        (["demo", "--voice-note", "/nonexistent.ogg"], 2),
        (["devnet"], 3),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else str(value),
)
def test_what_is_wrong_is_one_object_and_one_line(
    made: Path, arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*arguments, "--home", str(made), "--json"]) == code
    captured = capsys.readouterr()
    error = json.loads(captured.out)["error"]
    assert error["exit_code"] == code
    assert error["message"]
    assert "Traceback" not in captured.err
    assert captured.err.startswith("cocoon: ")


def test_a_port_in_use_is_refused_with_a_remedy(
    made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"/ip4/127.0.0.1/tcp/{taken.getsockname()[1]}"
        assert run(["node", "--home", str(made), "--listen", address]) == 2
    assert "--listen" in capsys.readouterr().err


def test_the_doctor_wants_of_a_buyer_only_what_it_needs(
    made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["doctor", "--home", str(made), "--json"]) == 0
    findings = said(capsys)
    assert run(["doctor", "--home", str(made)]) == 0
    shown = capsys.readouterr().out
    for each in findings:
        assert each["good"] or not each["remedy"] or f": {each['remedy']}\n" in shown


def test_the_doctor_says_what_mends_each_finding(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["doctor", "--home", str(home), "--json"]) == 3
    findings = json.loads(capsys.readouterr().out)
    missing = {f["what"]: f["remedy"] for f in findings if not f["good"] and not f["optional"]}
    assert missing["node key"] == "cocoon init"
    assert missing["ton-emulator"] == "cocoon assets fetch ton-emulator"
    by_name = {f["what"].partition(" (")[0]: f for f in findings if f["optional"]}
    cpu, gpu = by_name["CPU engine"], by_name["GPU"]
    assert cpu["good"] == ("native" in cpu["detail"])
    assert cpu["good"] or cpu["remedy"]
    assert "never run on a card by us" in gpu["detail"]


def test_half_an_explanation_is_named_and_not_a_fault_of_ours(
    made: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (made / "jobs").mkdir()
    (made / "jobs" / "j1-1.json").write_bytes(b'{"job_id": "j1", "at_un')
    assert run(["explain", "--home", str(made)]) == 2
    assert "j1-1.json cannot be read" in capsys.readouterr().err


def test_explained_settings_warn_of_mainnet(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "--explain", "--json"]) == 0
    options = {o["name"]: o for o in json.loads(capsys.readouterr().out)}
    assert "NOT AUDITED" in options["chain.url"]["description"]
    assert "127.0.0.1" in options["chain.url"]["default"]


def test_the_command_line_is_above_the_file(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    base = ["wallet", "address", "--home", str(made), "--json"]
    assert run([*base, "--chain-url", "ftp://nowhere"]) == 2
    assert "chain" in said(capsys)["error"]["message"]
    assert run(base) == 0


def test_results_that_are_not_there_are_no_bug_of_ours(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["sim", "compare", "nope", "nope", "--json"]) == 2
    assert said(capsys)["error"]["kind"] == "BadResults"


# --- reports ---


def test_a_bug_is_reported_with_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(LocalProtocolError("ours"), Output(as_json=True), verbose=0) == 70
    assert said(capsys)["error"]["kind"] == "LocalProtocolError"


def test_the_worst_of_several_errors_decides(capsys: pytest.CaptureFixture[str]) -> None:
    group = ExceptionGroup("x", [NoProvider("none"), ZeroDivisionError("ours")])
    assert report(group, Output(as_json=True), verbose=0) == 70
    assert said(capsys)["error"]["kind"] == "ZeroDivisionError"


def test_a_full_disk_is_said_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    full = OSError(errno.ENOSPC, "No space left on device", "/home/journal")
    assert report(full, Output(as_json=False), verbose=0) == 2
    assert "/home/journal: No space left on device; free some" in capsys.readouterr().err


def test_interruption_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(KeyboardInterrupt("1 GRAM paid"), Output(as_json=False), verbose=0) == 130
    assert "interrupted: 1 GRAM paid" in capsys.readouterr().err


def test_notes_and_a_hint_follow_the_error(capsys: pytest.CaptureFixture[str]) -> None:
    error = ChainUnavailable("no connection [not markup]")
    error.add_note("logs are in /somewhere")
    assert report(error, Output(as_json=False), verbose=0) == 6
    shown = capsys.readouterr().err
    assert "[not markup]" in shown
    assert "cocoon devnet" in shown
    assert "logs are in /somewhere" in shown


def test_a_reader_that_leaves_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "cocoon", "config", "--explain"]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")
