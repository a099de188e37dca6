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
from pathlib import Path

import pytest

HERE = Path(__file__).parent
BOOT, REQUESTER, NAT, PROVIDER = "198.51.100.1", "198.51.100.2", "198.51.100.3", "192.168.77.2"
INSIDE = "192.168.77.1"
PORT = 4001
RUN_S = 120
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
    command = [sys.executable, "-m", "cocoon", "node", "--home", str(home), "--json"]
    with subprocess.Popen(
        net.command("boot", *command), stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if (event := json.loads(line)).get("event") == "ready":
                    break
            yield event["addresses"][0]
        finally:
            process.terminate()


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


def test_a_provider_behind_a_nat_serves_a_stranger(net: Net, bootstrap: str) -> None:
    provider = net.command(
        "prov", sys.executable, str(HERE / "provider_behind_nat.py"), bootstrap,
        f"/ip4/0.0.0.0/tcp/{PORT}",
    )  # fmt: skip
    with subprocess.Popen(provider, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            serving = json.loads(process.stdout.readline())
            requester = net.command(
                "req", sys.executable, str(HERE / "requester_of_nat.py"), bootstrap,
                f"/ip4/{REQUESTER}/tcp/0",
            )  # fmt: skip
            done = subprocess.run(
                requester, capture_output=True, text=True, timeout=RUN_S, check=False
            )
        finally:
            process.terminate()
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["same"]
    assert said["found"][0] == serving["peer"]
    assert f"{bootstrap}/p2p-circuit" in said["found"]
