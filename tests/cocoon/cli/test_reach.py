"""`cocoon doctor network`, against a real node that dials back."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from cocoon.cli.main import run
from cocoon.cli.reach import is_ours, switched_on
from cocoon.config import NetworkConfig
from cocoon.errors import ConfigError
from cocoon.node import host_settings
from overlay.identity import generate_identity
from overlay.relay.core import MIB


@pytest.fixture(scope="module")
def bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a relay that also helps others join."""
    with bootstrap_node(tmp_path_factory.mktemp("bootstrap") / "home", "relay = true") as address:
        yield address


@contextmanager
def bootstrap_node(home: Path, network: str) -> Iterator[str]:
    home.mkdir()
    (home / "config.toml").write_text(f"[network]\nname = 'reach'\n{network}\n")
    command = [sys.executable, "-m", "cocoon", "node", "--json", "--home", str(home)]
    listen = ["--listen", "/ip4/127.0.0.1/tcp/0"]
    with subprocess.Popen([*command, *listen], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if (event := json.loads(line)).get("event") == "ready":
                    break
            yield event["addresses"][0]
        finally:
            process.terminate()


def examine(home: Path, network: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, dict]:
    home.mkdir()
    (home / "config.toml").write_text(f"[network]\nname = 'reach'\n{network}\n")
    code = run(["doctor", "network", "--home", str(home), "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_a_reachable_node_is_told_where(
    tmp_path: Path, bootstrap: str, capsys: pytest.CaptureFixture[str], unused_port: int
) -> None:
    settings = (
        f"bootstrap = ['{bootstrap}']\nlisten_addresses = ['/ip4/127.0.0.1/tcp/{unused_port}']"
    )
    code, said = examine(tmp_path / "home", settings, capsys)
    assert (code, said["reach"]) == (0, "reachable")
    assert said["reached_at"] == [f"/ip4/127.0.0.1/tcp/{unused_port}"]
    assert (said["seen_as"], said["behind_nat"]) == ({"127.0.0.1": 1}, False)


def test_a_node_with_quic_is_told_where_that_reaches_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], unused_port: int
) -> None:
    home = tmp_path / "public"
    with bootstrap_node(home, "quic = true") as address:
        listen = f"/ip4/127.0.0.1/tcp/{unused_port}"
        settings = f"quic = true\nbootstrap = ['{address}']\nlisten_addresses = ['{listen}']"
        code, said = examine(tmp_path / "home", settings, capsys)
    assert (code, said["reach"], said["reached_at"]) == (0, "reachable", [listen])
    assert said["quic_at"] == [f"/ip4/127.0.0.1/udp/{unused_port}/quic-v1"]


def test_a_node_whose_port_is_shut_is_told_what_would_help(
    tmp_path: Path, bootstrap: str, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = f"bootstrap = ['{bootstrap}']\nlisten_addresses = ['/ip4/127.0.0.1/tcp/0']\n"
    closed = "announce_addresses = ['/ip4/127.0.0.1/tcp/9']\n"
    code, said = examine(tmp_path / "home", settings + closed, capsys)
    assert (code, said["reach"], said["tcp_ports"]) == (3, "only dials out", [9])
    code, said = examine(tmp_path / "again", f"{settings}{closed}relays = ['{bootstrap}']", capsys)
    assert (code, said["reach"]) == (0, "reachable through a relay")
    assert said["relayed_at"] == [f"{bootstrap}/p2p-circuit"]


def test_alone_there_is_no_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = "listen_addresses = ['/ip4/127.0.0.1/tcp/0']"
    code, said = examine(tmp_path / "home", settings, capsys)
    assert (code, said["reach"]) == (3, "unknown")
    assert "--bootstrap" in said["advice"][0]


def test_an_address_of_another_machine_is_not_ours() -> None:
    assert is_ours("127.0.0.1")
    assert not is_ours("203.0.113.7")


def test_settings_of_a_relay_reach_the_overlay() -> None:
    settings = host_settings(
        NetworkConfig(relay=True, relay_circuits_max=5, relay_circuit_mib_max=7, relays=("auto",))
    )
    assert settings.relay is not None
    assert (settings.relay.circuits, settings.relay.circuit_bytes) == (5, 7 * MIB)
    assert settings.relays == ("auto",)
    assert host_settings(NetworkConfig()).relay is None


def test_quic_listens_beside_tcp_once_it_is_switched_on() -> None:
    tcp, ws = "/ip4/0.0.0.0/tcp/4001", "/ip4/0.0.0.0/tcp/4002/ws"
    network = NetworkConfig(listen_addresses=(tcp, ws))
    assert host_settings(network).listen_addresses == (tcp, ws)
    settings = host_settings(msgspec.structs.replace(network, quic=True))
    assert settings.quic
    assert settings.listen_addresses == (tcp, ws, "/ip4/0.0.0.0/udp/4001/quic-v1")


def test_who_switched_quic_on_is_told_that_it_is_experimental(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.toml").write_text(
        "[network]\nname = 'reach'\nquic = true\nlisten_addresses = ['/ip4/127.0.0.1/tcp/0']\n"
    )
    run(["doctor", "network", "--home", str(tmp_path)])
    assert "experimental" in capsys.readouterr().out


def test_settings_of_rendezvous_reach_the_overlay() -> None:
    peer = generate_identity().peer_id
    network = NetworkConfig(
        rendezvous=(f"/ip4/203.0.113.7/tcp/1/p2p/{peer}",), rendezvous_point=True,
        rendezvous_registrations_max=9,
    )  # fmt: skip
    settings = host_settings(network)
    assert settings.rendezvous == network.rendezvous
    assert settings.rendezvous_point is not None
    assert settings.rendezvous_point.registrations == 9
    assert host_settings(NetworkConfig()).rendezvous_point is None


def test_what_is_switched_on_is_said_in_words() -> None:
    assert switched_on(NetworkConfig()) == "asking the home router, hole punching"
    network = NetworkConfig(
        announce_addresses=("/ip4/203.0.113.7/tcp/1",), hole_punching=False, relay=True,
        rendezvous_point=True,
    )  # fmt: skip
    assert switched_on(network) == "being a relay, being a rendezvous point"
    nothing = NetworkConfig(port_mapping=False, hole_punching=False)
    assert switched_on(nothing) == "nothing"


def test_a_relay_without_its_id_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"network\.relays"):
        host_settings(NetworkConfig(relays=("/ip4/203.0.113.7/tcp/4001",)))


def test_a_rendezvous_point_without_its_id_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"network\.rendezvous"):
        host_settings(NetworkConfig(rendezvous=("/ip4/203.0.113.7/tcp/4001",)))


@pytest.fixture
def unused_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
