"""js-libp2p from npm as a peer that a test drives. Needs Node.js and npm.

The first run installs the pinned packages into the cache, by a lock file whose SHA-512 sums
npm checks; no script of a package is run.
"""

import json
import os
import shutil
import subprocess
from base64 import b64decode, b64encode
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import trio

from contracts.assets import assets_directory

HERE = Path(__file__).parent / "js_libp2p"
INSTALL_S = 180
ANSWER_S = 30


def installed() -> Path:
    """Install the packages once; the directory's name says which."""
    npm = shutil.which("npm")
    if shutil.which("node") is None or npm is None:
        pytest.skip("node and npm are not installed")
    lock = (HERE / "package-lock.json").read_bytes()
    packages = json.loads(lock)["packages"].items()
    assert all("integrity" in each for name, each in packages if name)
    directory = assets_directory() / "test-clients" / sha256(lock).hexdigest()[:16]
    if not (directory / "installed").exists():
        directory.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, directory / name)
        done = subprocess.run(
            [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=directory, capture_output=True, text=True, timeout=INSTALL_S, check=False,
        )  # fmt: skip
        if done.returncode:
            pytest.skip(f"npm could not install js-libp2p: {done.stderr[-300:]}")
        (directory / "installed").touch()
    for script in HERE.glob("*.mjs"):
        shutil.copy(script, directory / script.name)
    return directory


class JsPeer:
    """One process of js-libp2p; see `js_libp2p/peer.mjs` for what it can be told."""

    def __init__(self, process: trio.Process) -> None:
        self._process = process
        self._buffer = b""
        self._turn = trio.Lock()
        self.peer_id = ""
        self.addresses: list[str] = []

    async def greet(self) -> None:
        """Wait until it listens."""
        hello = json.loads(await self._line())
        self.peer_id, self.addresses = hello["peer"], hello["addresses"]

    async def __call__(self, run: str, **arguments: object) -> Any:
        """Run one command and return what it answers."""
        assert self._process.stdin is not None
        async with self._turn:
            order = json.dumps({"run": run, **arguments}).encode() + b"\n"
            await self._process.stdin.send_all(order)
            answer = json.loads(await self._line())
        assert "error" not in answer, f"{run}: {answer['error']}"
        return answer["ok"]

    async def exchange(self, peer: str, *bodies: bytes) -> list[bytes]:
        """Open a stream to *peer*, send frames in turn, return what comes back."""
        encoded = [b64encode(body).decode() for body in bodies]
        return [b64decode(each) for each in await self("exchange", peer=peer, bodies=encoded)]

    async def _line(self) -> bytes:
        assert self._process.stdout is not None
        with trio.fail_after(ANSWER_S):
            while b"\n" not in self._buffer:
                more = await self._process.stdout.receive_some()
                assert more, "js-libp2p ended"
                self._buffer += more
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line


@asynccontextmanager
async def open_js_peer(
    network: str,
    *roles: str,
    listen: str = "",
    announce: str = "",
    prefix: Sequence[str] = (),
    script: str = "peer.mjs",
) -> AsyncGenerator[JsPeer]:
    """Run one peer of js-libp2p for the length of the block.

    Args:
        network: namespaces its protocols.
        roles: what it can besides, relay, dcutr, autonat, and what instead, tls, ws, quic.
        listen: a multiaddr.
        announce: another, to tell others besides.
        prefix: what comes before the command, to enter a namespace.
        script: of `js_libp2p`.
    """
    directory = await trio.to_thread.run_sync(installed)
    environment = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    if listen:
        environment["LISTEN"] = listen
    if announce:
        environment["ANNOUNCE"] = announce
    async with trio.open_nursery() as nursery:
        run = partial(
            trio.run_process,
            [*prefix, "node", "--import", "./node20.mjs", script, network, ",".join(roles)],
            cwd=directory, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            check=False,
        )  # fmt: skip
        process = await nursery.start(run)
        peer = JsPeer(process)
        try:
            await peer.greet()
            yield peer
        finally:
            nursery.cancel_scope.cancel()
