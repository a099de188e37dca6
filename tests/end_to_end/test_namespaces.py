"""A public bootstrap and relay, a requester, and a provider behind a NAT, on one machine.

Each stands in a network namespace of its own; the NAT is nftables' masquerading. What the
operators' guide promises is tried here. Needs root, iproute2 and nft; `make conformance`
runs it (about half a minute).

    boot 198.51.100.1 --+
    req  198.51.100.2 --+-- bridge
    nat  198.51.100.3 --+
     |   192.168.77.1
    prov 192.168.77.2
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

BOOT, REQUESTER, NAT, PROVIDER = "198.51.100.1", "198.51.100.2", "198.51.100.3", "192.168.77.2"
INSIDE = "192.168.77.1"
PORT = 4001
OTHER = 4002
CHAIN_PORT = "8645"
CHAT = "SmolLM2-135M-Instruct"
NEEDED = (CHAT, "ton-emulator")
QUESTION = "What is the capital of France?"
RUN_S = 120
STOP_S = 30
MASQUERADE = """
table ip nat {
  chain from_inside {
    type nat hook postrouting priority 100;
    ip saddr 192.168.77.0/24 oifname "wan" masquerade
  }
  chain to_inside { type nat hook prerouting priority -100; }
  chain pass {
    type filter hook forward priority 0; policy drop;
    iifname "lan" accept
    ct state established,related accept
    ct status dnat accept
  }
}
"""
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


class Net:
    """The namespaces; names carry our process id, so that runs do not meet."""

    def __init__(self) -> None:
        self.prefix = f"cocoon{os.getpid()}"
        self._made: list[str] = []

    def name(self, place: str) -> str:
        return f"{self.prefix}-{place}"

    def make(self, *places: str) -> None:
        for place in places:
            ip("netns", "add", self.name(place))
            self._made.append(place)
            self.run(place, "ip", "link", "set", "lo", "up")

    def remove(self) -> None:
        for place in self._made:
            ip("netns", "del", self.name(place))

    def command(self, place: str, *command: str) -> list[str]:
        return ["ip", "netns", "exec", self.name(place), *command]

    def run(self, place: str, *command: str, text: str | None = None) -> None:
        done = subprocess.run(
            self.command(place, *command), input=text, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"

    def cable(self, place: str, device: str, other: str, other_device: str) -> None:
        ip(
            "link", "add", device, "netns", self.name(place), "type", "veth",
            "peer", "name", other_device, "netns", self.name(other),
        )  # fmt: skip
        for where, which in ((place, device), (other, other_device)):
            self.run(where, "ip", "link", "set", which, "up")

    def address(self, place: str, device: str, address: str) -> None:
        self.run(place, "ip", "addr", "add", f"{address}/24", "dev", device)


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@pytest.fixture(scope="module")
def net() -> Iterator[Net]:
    if "COCOON_NAMESPACES" not in os.environ:
        pytest.skip("it takes half a minute: make conformance runs it")
    if missing := [tool for tool in ("ip", "nft") if shutil.which(tool) is None]:
        pytest.skip(f"not installed: {', '.join(missing)} (packages iproute2, nftables)")
    net = Net()
    try:
        net.make("bridge")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"network namespaces are not permitted: {error.stderr.decode().strip()}")
    try:
        build(net)
        yield net
    finally:
        net.remove()


def build(net: Net) -> None:
    net.make("boot", "req", "nat", "prov")
    net.run("bridge", "ip", "link", "add", "br0", "type", "bridge")
    net.run("bridge", "ip", "link", "set", "br0", "up")
    for place, address in (("boot", BOOT), ("req", REQUESTER), ("nat", NAT)):
        net.cable(place, "wan", "bridge", place)
        net.run("bridge", "ip", "link", "set", place, "master", "br0")
        net.address(place, "wan", address)
    net.cable("prov", "wan", "nat", "lan")
    net.address("nat", "lan", INSIDE)
    net.address("prov", "wan", PROVIDER)
    net.run("prov", "ip", "route", "add", "default", "via", INSIDE)
    net.run("nat", "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
    net.run("nat", "nft", "-f", "-", text=MASQUERADE)


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
    assert "network.relays" in said["advice"][1]
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


def test_a_provider_behind_a_nat_sells_to_a_stranger(net: Net, tmp_path: Path) -> None:
    """The whole market: a chain, a relay, a provider that only dials out, a paid answer."""
    if missing := [
        each for each in NEEDED if not assets.is_present(each, default_assets(os.environ))
    ]:
        pytest.skip(f"not here: {missing} (cocoon assets fetch tests)")
    with ExitStack() as stack:
        start = partial(running, net, stack)
        start("boot", "devnet", "--host", BOOT, "--port", CHAIN_PORT, "--home", tmp_path / "chain")
        relay = "network.relay=true"
        init(net, "boot", tmp_path / "boot", "--set", relay, "--listen", f"/ip4/{BOOT}/tcp/{OTHER}")
        (first,) = start("boot", "node", "--home", tmp_path / "boot")["addresses"]
        joined = ("--bootstrap", first, "--listen", "/ip4/0.0.0.0/tcp/4001")
        hidden = (*joined, "--set", 'network.relays=["auto"]', "--model", CHAT)
        init(net, "prov", tmp_path / "prov", *hidden)
        selling = start("prov", "provide", "--home", tmp_path / "prov")
        init(net, "req", tmp_path / "req", *joined)
        cocoon(net, "req", "wallet", "faucet", "5", "--home", tmp_path / "req")
        said = cocoon(net, "req", "ask", QUESTION, "--home", tmp_path / "req", "--json")
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
