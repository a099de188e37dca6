"""A public bootstrap and relay, a requester, and a provider behind a NAT, on one machine.

Each stands in a network namespace of its own; the NATs are nftables' masquerading, the router
that forwards ports by itself is miniupnpd. What the operators' guide promises is tried here.
Needs root, iproute2 and nft; `make conformance` runs it (about two minutes).

    boot 9.9.1.1 --+
    req  9.9.1.2 --+-- bridge
    nat  9.9.1.3 --+-- 9.9.1.4 nat2
     |   192.168.77.1   192.168.78.1 |
    prov 192.168.77.2   192.168.78.2 home
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from cocoon import assets
from cocoon.config import default_assets
from tests.namespaces import Net, miniupnpd, open_net

BOOT, REQUESTER, NAT, NAT2 = "9.9.1.1", "9.9.1.2", "9.9.1.3", "9.9.1.4"
PROVIDER = "192.168.77.2"
PORT = 4001
OTHER = 4002
CHAIN_PORT = "8645"
CHAT = "SmolLM2-135M-Instruct"
NEEDED = (CHAT, "ton-emulator")
QUESTION = "What is the capital of France?"
RUN_S = 120
STOP_S = 30
FORWARD = f'add rule ip nat to_inside iifname "wan" tcp dport {PORT} dnat to {PROVIDER}:{PORT}'
FIREWALL = """
table inet filter {
  chain input {
    type filter hook input priority 0; policy drop;
    iif lo accept
    ct state established,related accept
  }
}
"""
OPEN = f"add rule inet filter input tcp dport {PORT} accept"


@pytest.fixture(scope="module")
def net() -> Iterator[Net]:
    with open_net() as net:
        build(net)
        yield net


def build(net: Net) -> None:
    net.switch("bridge")
    net.make("boot", "req", "nat", "nat2", "prov", "home")
    for place, address in (("boot", BOOT), ("req", REQUESTER), ("nat", NAT), ("nat2", NAT2)):
        net.plug(place, "bridge", address)
    for place, router, inside in (("prov", "nat", "192.168.77"), ("home", "nat2", "192.168.78")):
        net.cable(place, "wan", router, "lan")
        net.address(router, "lan", f"{inside}.1")
        net.address(place, "wan", f"{inside}.2")
        net.route(place, f"{inside}.1")
        net.router(router, inside=f"{inside}.0/24")


@pytest.fixture(scope="module")
def bootstrap(net: Net, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A public node, from its settings, as the guide says."""
    home = tmp_path_factory.mktemp("boot")
    write(home, f'listen_addresses = ["/ip4/{BOOT}/tcp/{PORT}"]', "relay = true")
    with ExitStack() as stack:
        yield running(net, stack, "boot", "node", "--home", home)["addresses"][0]


def write(home: Path, *lines: str) -> None:
    text = "\n".join(["[network]", 'name = "namespaces"', *lines])
    (home / "config.toml").write_text(f"{text}\n")


def doctor(net: Net, place: str, home: Path, *lines: str) -> dict:
    write(home, *lines)
    command = [sys.executable, "-m", "cocoon", "doctor", "network", "--home", str(home), "--json"]
    done = subprocess.run(
        net.command(place, *command), capture_output=True, text=True, timeout=RUN_S, check=False
    )
    assert done.returncode in (0, 3), done.stderr
    return json.loads(done.stdout)


def test_a_public_node_is_reachable(net: Net, bootstrap: str, tmp_path: Path) -> None:
    said = doctor(net, "req", tmp_path, f'bootstrap = ["{bootstrap}"]')
    assert (said["reach"], said["behind_nat"]) == ("reachable", False)
    assert said["reached_at"] == [f"/ip4/{REQUESTER}/tcp/{PORT}"]
    assert said["advice"] == []


def test_a_firewall_is_told_from_a_nat_and_its_line_helps(
    net: Net, bootstrap: str, tmp_path: Path
) -> None:
    net.run("req", "nft", "-f", "-", text=FIREWALL)
    try:
        said = doctor(net, "req", tmp_path, f'bootstrap = ["{bootstrap}"]')
        assert (said["reach"], said["behind_nat"]) == ("only dials out", False)
        assert f"open TCP port {PORT}" in said["advice"][0]
        net.run("req", "nft", OPEN)
        said = doctor(net, "req", tmp_path, f'bootstrap = ["{bootstrap}"]')
        assert said["reach"] == "reachable"
    finally:
        net.run("req", "nft", "flush", "ruleset")


def test_behind_a_nat_the_doctor_says_so_and_a_relay_helps(
    net: Net, bootstrap: str, tmp_path: Path
) -> None:
    join = f'bootstrap = ["{bootstrap}"]'
    said = doctor(net, "prov", tmp_path, join)
    assert (said["reach"], said["behind_nat"]) == ("only dials out", True)
    assert said["seen_as"] == {NAT: 1}
    assert f"forward TCP port {PORT}" in said["advice"][0]
    assert said["router"] == "no router here forwards ports by itself"
    assert "UPnP" in said["advice"][1]
    assert "network.relays" in said["advice"][2]
    said = doctor(net, "prov", tmp_path, join, 'relays = ["auto"]')
    assert said["reach"] == "reachable through a relay"
    assert said["relayed_at"] == [f"{bootstrap}/p2p-circuit"]


def test_a_forwarded_port_helps_too(net: Net, bootstrap: str, tmp_path: Path) -> None:
    net.run("nat", "nft", FORWARD)
    try:
        said = doctor(net, "prov", tmp_path, f'bootstrap = ["{bootstrap}"]')
        assert (said["reach"], said["behind_nat"]) == ("reachable", True)
        assert said["reached_at"] == [f"/ip4/{NAT}/tcp/{PORT}"]
        assert f'announce_addresses = ["/ip4/{NAT}/tcp/{PORT}"]' in said["advice"][0]
    finally:
        net.run("nat", "nft", "flush", "chain", "ip", "nat", "to_inside")


def test_a_router_that_forwards_by_itself_is_asked_to(
    net: Net, bootstrap: str, tmp_path: Path
) -> None:
    if shutil.which("miniupnpd") is None:
        pytest.skip("not installed: miniupnpd (package miniupnpd-nftables)")
    with miniupnpd(net, "nat", tmp_path):
        said = doctor(net, "prov", tmp_path, f'bootstrap = ["{bootstrap}"]')
    assert (said["reach"], said["behind_nat"]) == ("reachable", True)
    assert said["reached_at"] == [f"/ip4/{NAT}/tcp/{PORT}"]
    assert said["router"] == f"PCP forwards port {PORT} of {NAT} to us"
    assert said["advice"] == []


COUNT = f"insert rule inet filter pass ip saddr {NAT2} tcp dport {PORT} counter"


@pytest.mark.parametrize("way", ["through a relay", "through a hole", "by UPnP"])
def test_a_provider_behind_a_nat_sells_to_a_stranger(net: Net, tmp_path: Path, way: str) -> None:
    """The whole market: a chain, a relay, a provider behind a NAT, a paid answer."""
    if missing := [
        each for each in NEEDED if not assets.is_present(each, default_assets(os.environ))
    ]:
        pytest.skip(f"not here: {missing} (cocoon assets fetch tests)")
    buyer = "home" if way == "through a hole" else "req"
    settings = {
        "through a relay": (
            "--set",
            'network.relays=["auto"]',
            "--set",
            "network.hole_punching=false",
        ),
        "through a hole": ("--set", 'network.relays=["auto"]'),
        "by UPnP": (),
    }[way]
    with ExitStack() as stack:
        if way == "by UPnP":
            stack.enter_context(miniupnpd(net, "nat", tmp_path, pcp=False))
        net.run("nat", "nft", COUNT)
        start = partial(running, net, stack)
        start("boot", "devnet", "--host", BOOT, "--port", CHAIN_PORT, "--home", tmp_path / "chain")
        relay = "network.relay=true"
        init(net, "boot", tmp_path / "boot", "--set", relay, "--listen", f"/ip4/{BOOT}/tcp/{OTHER}")
        (first,) = start("boot", "node", "--home", tmp_path / "boot")["addresses"]
        joined = ("--bootstrap", first, "--listen", "/ip4/0.0.0.0/tcp/4001")
        init(net, "prov", tmp_path / "prov", *joined, *settings, "--model", CHAT)
        selling = start("prov", "provide", "--home", tmp_path / "prov")
        init(net, buyer, tmp_path / "req", *joined)
        cocoon(net, buyer, "wallet", "faucet", "5", "--home", tmp_path / "req")
        said = cocoon(net, buyer, "ask", QUESTION, "--home", tmp_path / "req", "--json")
        rules = net.run("nat", "nft", "list", "chain", "inet", "filter", "pass")
    packets = int(rules.partition("counter packets ")[2].split()[0])
    assert (packets > 10) == (way == "through a hole")
    answer = json.loads(said)
    assert answer["provider"] == selling["peer_id"]
    assert answer["paid_nanoton"] > 0
    assert "Paris" in answer["text"]


def init(net: Net, place: str, home: Path, *options: str) -> None:
    chain = ("--chain-url", f"http://{BOOT}:{CHAIN_PORT}", "--devnet-wallet")
    cocoon(net, place, "init", "--home", home, "--network", "trial", *chain, *options)


def cocoon(net: Net, place: str, *arguments: str | Path) -> str:
    command = net.command(place, sys.executable, "-m", "cocoon", *map(str, arguments))
    done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_S, check=False)
    assert done.returncode == 0, f"{arguments}: {done.stderr[-2000:]}"
    return done.stdout


def running(net: Net, stack: ExitStack, place: str, *arguments: str | Path) -> dict:
    """Start a command that runs until it is stopped; return its "ready" event."""
    command = net.command(place, sys.executable, "-m", "cocoon", *map(str, arguments), "--json")
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    stack.callback(stop, process)
    assert process.stdout is not None
    for line in process.stdout:
        if (event := json.loads(line)).get("event") == "ready":
            return event
    raise AssertionError(f"{arguments} ended before it was ready")


def stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    assert process.stdout is not None
    process.stdout.close()
