"""A swarm of real processes, shared by the whole folder: a chain, a first node, two providers.

Every process is ``python -m cocoon`` with a home of its own; they meet over loopback.
"""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from cocoon import assets
from cocoon.config import Prices, config_template, default_assets
from contracts.keystore import create_plain_keyfile, read_public
from contracts.mnemonic import create_mnemonic, seed_of_mnemonic
from contracts.toncenter import DevnetControl, open_toncenter
from contracts.units import parse_coins
from contracts.wallet import Wallet
from overlay.identity import load_or_create_identity

CHAT = "SmolLM2-135M-Instruct"
NEEDED = (CHAT, "ton-emulator")
TIMES = 20_000  # dear enough that one answer is worth more than the chain's fees
CHALLENGE_S = 600
QUESTION = "List three fruits and say one sentence about each."
READY_S = 90
STEP_S = 60
ROOT = Path(__file__).parents[2]


def environment() -> dict[str, str]:
    return {
        **os.environ,
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
        "PYTHONWARNINGS": "default",
        "COLUMNS": "200",
    }


def cocoon(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "cocoon", *map(str, arguments)]


class Running:
    """A process that prints one JSON event a line."""

    def __init__(
        self, log: Path, *arguments: str | Path, variables: dict[str, str] | None = None
    ) -> None:
        self.log = log
        with log.open("ab") as errors:
            self.process = subprocess.Popen(
                cocoon(*arguments, "--json", "--stop-with-stdin"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
                env=environment() | (variables or {}),
            )
        self.events: list[dict[str, Any]] = []
        self._queue: queue.Queue[dict[str, Any] | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with self.process.stdout as lines:
            for line in lines:
                self._queue.put(json.loads(line))
        self._queue.put(None)

    def wait_for(self, name: str, timeout_s: float = STEP_S, since: int = 0) -> dict[str, Any]:
        """Return the first event of this name after the first `since` events."""
        until = time.monotonic() + timeout_s
        while True:
            for event in self.events[since:]:
                if event["event"] == name:
                    return event
            try:
                event = self._queue.get(timeout=max(0.01, until - time.monotonic()))
            except queue.Empty:
                event = None
            if event is None:
                raise AssertionError(f"no {name!r}: {self.events}\n{self.log.read_text()[-3000:]}")
            self.events.append(event)

    def seen(self) -> int:
        """Take in what has been printed so far; return how many events that are."""
        while not self._queue.empty():
            event = self._queue.get()
            if event is not None:
                self.events.append(event)
        return len(self.events)

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)

    def stop(self) -> None:
        self.process.stdin.close()
        try:
            self.process.wait(10)
        finally:
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self.process.wait(10)


@contextmanager
def running(
    log: Path, *arguments: str | Path, variables: dict[str, str] | None = None
) -> Iterator[Running]:
    process = Running(log, *arguments, variables=variables)
    try:
        process.ready = process.wait_for("ready", READY_S)
        yield process
    finally:
        process.stop()


@dataclass
class Ran:
    """A command that is over."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def run(*arguments: str | Path, timeout_s: float = STEP_S, stdin: str = "") -> Ran:
    done = subprocess.run(
        cocoon(*arguments),
        capture_output=True,
        text=True,
        timeout=timeout_s,
        input=stdin,
        env=environment(),
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Ran(done.returncode, done.stdout, done.stderr)


class Streaming:
    """A ``cocoon ask`` whose answer is read as it comes."""

    def __init__(self, *arguments: str | Path) -> None:
        self.process = subprocess.Popen(
            cocoon("ask", *arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env=environment(),
        )
        self.text = b""

    def read_until(self, characters: int) -> str:
        while len(self.text) < characters:
            part = os.read(self.process.stdout.fileno(), 4096)
            assert part, self.process.stderr.read().decode()
            self.text += part
        return self.text.decode()

    def signal(self, number: int) -> None:
        os.killpg(self.process.pid, number)

    def finish(self, timeout_s: float = STEP_S) -> Ran:
        out, err = self.process.communicate(timeout=timeout_s)
        self.text += out
        return Ran(self.process.returncode, self.text.decode(), err.decode())


@dataclass
class Swarm:
    """The shared processes, and what tests do with them."""

    directory: Path
    chain_url: str
    bootstrap: str
    network: str
    names: dict[str, str] = field(default_factory=dict)
    wallets: dict[str, str] = field(default_factory=dict)

    def home(self, name: str, **settings: object) -> Path:
        """Make a home: settings, node key, wallet. Its coins are play money."""
        home = self.directory / name
        home.mkdir(mode=0o700)
        common: dict[str, object] = {
            "network.name": self.network,
            "network.listen_addresses": ["/ip4/127.0.0.1/tcp/0"],
            "network.bootstrap": [self.bootstrap] if self.bootstrap else [],
            "chain.url": self.chain_url,
            "paths.home": str(home),
        }
        text = config_template(common | {k.replace("__", "."): v for k, v in settings.items()})
        (home / "config.toml").write_text(text)
        self.names[load_or_create_identity(home / "identity.key").peer_id] = name
        seed = seed_of_mnemonic(create_mnemonic())
        self.wallets[name] = Wallet(seed).address
        create_plain_keyfile(home / "wallet.key", seed, address=self.wallets[name])
        return home

    def provider_home(self, name: str, *, price_ppm: int, **settings: object) -> Path:
        base = Prices()
        for field_name in base.__struct_fields__:
            price = getattr(base, field_name) * TIMES * price_ppm // 1_000_000
            settings[f"provider__price__{field_name}"] = price
        return self.home(
            name,
            provider__models=[CHAT],
            provider__threads=1,
            provider__challenge_s_min=CHALLENGE_S,
            provider__limits__chunk_tokens=16,
            **settings,
        )

    def requester_home(self, name: str, coins: str = "3", **settings: object) -> Path:
        base = Prices()
        for field_name in base.__struct_fields__:
            settings[f"requester__ceiling__{field_name}"] = 4 * TIMES * getattr(base, field_name)
        # A loaded machine is slow to answer; what is tested is the choice, not the haste.
        patience = {"requester__compare_timeout_s": 20, "requester__offer_timeout_s": 20}
        home = self.home(name, requester__challenge_s=CHALLENGE_S, **(patience | settings))
        self.pay_out(self.wallets[name], coins)
        return home

    @contextmanager
    def provider(self, home: Path) -> Iterator[Running]:
        """Run a provider that others can find: it is in the DHT."""
        with running(self.directory / f"{home.name}.log", "provide", "--home", home) as process:
            process.wait_for("announced", READY_S)
            yield process

    @contextmanager
    def api(self, home: Path, *options: str) -> Iterator[Running]:
        """Run the HTTP server of a buyer."""
        arguments = ("api", "--home", home, "--address", "127.0.0.1:0", *options)
        with running(self.directory / f"{home.name}.log", *arguments) as process:
            yield process

    # --- the chain, from outside ---

    def pay_out(self, address: str, coins: str) -> None:
        trio.run(DevnetControl(self.chain_url).faucet, address, parse_coins(coins))

    def warp(self, seconds: int) -> None:
        trio.run(DevnetControl(self.chain_url).warp, seconds)

    def balance(self, home: Path) -> int:
        return trio.run(self._balance, read_public(home / "wallet.key").address)

    async def _balance(self, address: str) -> int:
        async with open_toncenter(self.chain_url) as chain:
            return (await chain.account(address)).balance_nanoton

    def wealth(self) -> tuple[int, int]:
        """Return what all wallets hold together, and what the chain has kept as fees."""
        return trio.run(self._wealth)

    async def _wealth(self) -> tuple[int, int]:
        supply = await DevnetControl(self.chain_url).supply()
        assert supply.conserved
        held = [await self._balance(address) for address in self.wallets.values()]
        return sum(held), int(supply.fees_nanoton)


@pytest.fixture(scope="session")
def needed() -> None:
    root = default_assets(os.environ)
    missing = [name for name in NEEDED if not assets.is_present(name, root)]
    if missing:
        pytest.skip(f"not on this machine: {', '.join(missing)}; cocoon assets fetch tests")


@pytest.fixture(scope="session")
def chain_url(needed: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    log = tmp_path_factory.mktemp("chain") / "chain.log"
    with running(log, "devnet", "--port", "0") as chain:
        yield chain.ready["url"]


@pytest.fixture(scope="session")
def swarm(chain_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swarm]:
    """A chain and a first node; no provider yet."""
    swarm = Swarm(tmp_path_factory.mktemp("swarm"), chain_url, "", "e2e")
    first = swarm.home("first")
    with running(swarm.directory / "first.log", "node", "--home", first) as node:
        swarm.bootstrap = node.ready["addresses"][0]
        yield swarm


@pytest.fixture(scope="session")
def steady(swarm: Swarm) -> Iterator[Running]:
    """A provider that is always there: full speed, not the cheapest."""
    home = swarm.provider_home("steady", price_ppm=1_000_000, provider__unpaid_timeout_s=3)
    with swarm.provider(home) as provider:
        provider.home = home
        yield provider


@pytest.fixture(scope="session")
def running_process() -> Any:
    """`running`, for fixtures that live longer than one test."""
    return running


@pytest.fixture
def tools() -> Any:
    """What tests call; a fixture, because test folders are no packages."""

    class Tools:
        question = QUESTION
        chat = CHAT
        challenge_s = CHALLENGE_S
        times = TIMES
        run = staticmethod(run)
        running = staticmethod(running)
        streaming = Streaming
        environment = staticmethod(environment)
        command = staticmethod(cocoon)
        in_thread = staticmethod(lambda f, *a, **k: trio.to_thread.run_sync(partial(f, *a, **k)))

    return Tools
