"""Network namespaces: machines, cables and routers with a real NAT, inside one machine.

Needs root, iproute2 and nft. Names carry our process id, so that runs do not meet.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

TOOLS = ("ip", "nft")
ROUTER = """
table ip nat {{
  chain from_inside {{
    type nat hook postrouting priority 100;
    ip saddr {inside} oifname "wan" masquerade {how}
  }}
  chain to_inside {{ type nat hook prerouting priority -100; }}
}}
table inet filter {{
  chain input {{
    type filter hook input priority 0; policy accept;
    ct state established,related accept
    iifname "wan" drop
  }}
  chain pass {{
    type filter hook forward priority 0; policy drop;
    iifname "lan" accept
    ct state established,related accept
    ct status dnat accept
  }}
}}
"""
"""A home router: what comes back may pass, what comes unasked is dropped without a word."""

MINIUPNPD = """
table inet forwarding {
  chain pass { }
  chain to_inside { type nat hook prerouting priority -100; }
  chain from_inside { type nat hook postrouting priority 99; }
}
"""


class Net:
    """The namespaces of one test."""

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

    def run(self, place: str, *command: str, text: str | None = None) -> str:
        done = subprocess.run(
            self.command(place, *command), input=text, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def cable(self, place: str, device: str, other: str, other_device: str) -> None:
        ip(
            "link", "add", device, "netns", self.name(place), "type", "veth",
            "peer", "name", other_device, "netns", self.name(other),
        )  # fmt: skip
        for where, which in ((place, device), (other, other_device)):
            self.run(where, "ip", "link", "set", which, "up")

    def address(self, place: str, device: str, address: str, bits: int = 24) -> None:
        options = ("nodad",) if ":" in address else ()
        self.run(place, "ip", "addr", "add", f"{address}/{bits}", "dev", device, *options)

    def switch(self, place: str) -> None:
        """Turn *place* into a switch."""
        self.make(place)
        self.run(place, "ip", "link", "add", "br0", "type", "bridge")
        self.run(place, "ip", "link", "set", "br0", "up")

    def plug(self, place: str, switch: str, address: str, device: str = "wan") -> None:
        """Connect *place* to *switch*."""
        port = f"p{len(self._made)}{place[:6]}"
        self.cable(place, device, switch, port)
        self.run(switch, "ip", "link", "set", port, "master", "br0")
        self.address(place, device, address)

    def route(self, place: str, gateway: str) -> None:
        self.run(place, "ip", "route", "add", "default", "via", gateway)

    def router(self, place: str, *, inside: str, how: str = "") -> None:
        """Turn *place* into a home router; *how* says how it masquerades."""
        self.run(place, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")
        self.run(place, "nft", "-f", "-", text=ROUTER.format(inside=inside, how=how))


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@contextmanager
def open_net(*more_tools: str) -> Iterator[Net]:
    """An empty net; skips the test where there can be none."""
    if "COCOON_NAMESPACES" not in os.environ:
        pytest.skip("it needs network namespaces: make conformance runs it")
    if missing := [tool for tool in (*TOOLS, *more_tools) if shutil.which(tool) is None]:
        pytest.skip(f"not installed: {', '.join(missing)} (packages iproute2, nftables, ...)")
    net = Net()
    try:
        net.make("first")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"network namespaces are not permitted: {error.stderr.decode().strip()}")
    try:
        yield net
    finally:
        net.remove()


@contextmanager
def miniupnpd(
    net: Net, place: str, directory: Path, *, upnp: bool = True, pcp: bool = True
) -> Iterator[None]:
    """Let the router *place* forward ports by itself, by some of the protocols."""
    net.run(place, "nft", "-f", "-", text=MINIUPNPD)
    config = directory / "miniupnpd.conf"
    settings = {
        "ext_ifname": "wan", "listening_ip": "lan", "http_port": 0, "uuid": "5" * 8,
        "enable_natpmp": "yes" if pcp else "no", "enable_upnp": "yes" if upnp else "no",
        "min_lifetime": 60, "max_lifetime": 86_400, "secure_mode": "yes", "system_uptime": "yes",
        "upnp_table_name": "forwarding", "upnp_nat_table_name": "forwarding",
        "upnp_forward_chain": "pass", "upnp_nat_chain": "to_inside",
        "upnp_nat_postrouting_chain": "from_inside",
    }  # fmt: skip
    lines = [
        *(f"{key}={value}" for key, value in settings.items()),
        "allow 1024-65535 0.0.0.0/0 1024-65535",
    ]
    config.write_text("\n".join(lines) + "\n")
    pid = directory / "pid"
    command = net.command(place, "miniupnpd", "-d", "-f", str(config), "-P", str(pid))
    log = (directory / "log").open("w")
    daemon = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        time.sleep(1)
        assert daemon.poll() is None, (directory / "log").read_text()[-2000:]
        yield
    finally:
        daemon.terminate()
        daemon.wait(10)
        net.run(place, "nft", "delete", "table", "inet", "forwarding")
        log.close()
