"""A node of the overlay in a process of its own, told what to do by JSON lines.

    python node_process.py '{"listen_addresses": [...], ...}'

The argument is a `HostConfig`. The first line out is {"peer": ..., "addresses": [...]}; then
each line in, {"run": ..., ...}, is answered with {"ok": ...} or {"error": ...}.
"""

# ruff: noqa: T201  (its answers go to stdout)

import json
import logging
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import trio

from overlay import HostConfig, PeerId, generate_identity, open_host
from overlay.errors import OverlayError
from overlay.node import Node
from overlay.transport import Stream

ROOT = Path(__file__).parents[3]
ANSWER_S = 40.0
ECHO = "/echo/1"


class NodeProcess:
    """The test's end."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._pump, daemon=True).start()
        hello = self._answer()
        self.peer_id: str = hello["peer"]
        self.addresses: list[str] = hello["addresses"]

    def __call__(self, run: str, **arguments: object) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"run": run, **arguments}) + "\n")
        self._process.stdin.flush()
        answer = self._answer()
        assert "error" not in answer, f"{run}: {answer['error']}"
        return answer["ok"]

    def until(self, run: str, wanted: Any, *, within_s: float = 20.0, **arguments: object) -> Any:
        """Ask again and again until *wanted* says that the answer will do; return the last."""
        end = time.monotonic() + within_s
        while not wanted(answer := self(run, **arguments)) and time.monotonic() < end:
            time.sleep(0.1)
        return answer

    def _pump(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put("")

    def _answer(self) -> Any:
        line = self._lines.get(timeout=ANSWER_S)
        assert line, "the node ended"
        return json.loads(line)


@contextmanager
def running(prefix: list[str], **config: object) -> Iterator[NodeProcess]:
    """Run a node; *prefix* is what comes before the command, to enter a namespace."""
    text = json.dumps({"network": "test", "dht": {"explore_interval_s": 0}, **config})
    command = [*prefix, sys.executable, "-m", "tests.overlay.reach.node_process", text]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        yield NodeProcess(process)
    finally:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


async def echo(stream: Stream) -> None:
    await stream.send(await stream.receive())


async def obey(node: Node, order: dict[str, Any]) -> Any:
    match order["run"]:
        case "addresses":
            return node.addresses
        case "connect":
            return await node.connect(order["addresses"])
        case "echo":
            body, protocol = order["body"].encode(), order.get("protocol", ECHO)
            return (await node.request(PeerId(order["peer"]), protocol, body)).decode()
        case "where":
            return node._driver.where(PeerId(order["peer"]))
        case "peers":
            return node.connected_peers()
        case "ways":
            return node._driver.ways(PeerId(order["peer"]))
        case "punches":
            return node._driver.punches
        case "router":
            return await node.router()
        case "observed":
            return node.observed
        case "dialback":
            answer = await node.ask_dialback(PeerId(order["peer"]), order["addresses"])
            return answer.reply.value
    raise ValueError(order["run"])


async def main(config: HostConfig) -> None:
    async with open_host(config, generate_identity(), clock=time.time) as node:  # noqa: TID251
        node.serve(ECHO, echo, streams_max=8)
        print(json.dumps({"peer": node.peer_id, "addresses": node.addresses}), flush=True)
        async with trio.lowlevel.FdStream(sys.stdin.fileno()) as lines:
            held = b""
            async for chunk in lines:
                *whole, held = (held + chunk).split(b"\n")
                for line in whole:
                    try:
                        with trio.fail_after(ANSWER_S - 5):
                            said = {"ok": await obey(node, json.loads(line))}
                    except (OverlayError, trio.TooSlowError) as error:
                        logging.getLogger(__name__).debug("%s failed", line, exc_info=True)
                        said = {"error": repr(error)}
                    print(json.dumps(said), flush=True)


if __name__ == "__main__":
    if os.environ.get("COCOON_TEST_LOG"):
        logging.basicConfig(
            level=logging.DEBUG,
            filename=f"{os.environ['COCOON_TEST_LOG']}.{os.getpid()}",
            format="%(relativeCreated)d %(name)s %(message)s",
        )
    trio.run(main, msgspec.json.decode(sys.argv[1], type=HostConfig))
