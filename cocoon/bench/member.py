"""Members of a swarm that only exist to be measured, in processes of their own.

``python -m cocoon.bench.member crowd`` runs many plain nodes in one process: each has
its own key, sockets and routing table, they only share an interpreter. ``newcomer`` is
one node that joins, and reports when it had joined and when it knew its first price.
"""

import argparse
from functools import partial
from pathlib import Path
from typing import Final

import trio

from cocoon.cli.output import Output
from cocoon.cli.running import run_until_stopped
from cocoon.config import NodeConfig, PathsConfig
from cocoon.config_network import NetworkConfig
from cocoon.demo.cast import CHAT_MODEL, NETWORK
from cocoon.messages import Kind, resource_class
from cocoon.node import Node, open_node
from cocoon.requester.inputs import model_id

LISTEN: Final = "/ip4/127.0.0.1/tcp/0"
LOOK_AGAIN_S: Final = 0.2


def _config(home: Path, bootstrap: str) -> NodeConfig:
    home.mkdir(parents=True, exist_ok=True)
    network = NetworkConfig(name=NETWORK, listen_addresses=(LISTEN,), bootstrap=(bootstrap,))
    return NodeConfig(network=network, paths=PathsConfig(home=str(home)))


async def _run_one(home: Path, bootstrap: str, joined: trio.Event) -> None:
    async with open_node(_config(home, bootstrap), must_join=True):
        joined.set()
        await trio.sleep_forever()


async def run_crowd(home: Path, bootstrap: str, nodes: int, output: Output) -> None:
    """Run *nodes* plain nodes; they join one after another."""
    async with trio.open_nursery() as nursery:
        for number in range(nodes):
            joined = trio.Event()
            nursery.start_soon(_run_one, home / str(number), bootstrap, joined)
            await joined.wait()
        output.event("ready", nodes=nodes)


async def _ask_around(node: Node, wanted: str) -> None:
    while True:
        await node.directory.discover(wanted)
        await trio.sleep(LOOK_AGAIN_S)


async def _wait_for_quote(node: Node, wanted: str) -> None:
    """Return when the book has a quote, heard by gossip or asked for, whichever is first."""
    node.directory.book.watch([wanted])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_ask_around, node, wanted)
        while not node.directory.book.candidates(wanted, int(node.clock())):
            await node.directory.wait_for_news()
        nursery.cancel_scope.cancel()


async def run_newcomer(home: Path, bootstrap: str, output: Output) -> None:
    """Join, and tell how long it took to join and to know a price."""
    began_s = trio.current_time()
    async with open_node(_config(home, bootstrap), must_join=True) as node:
        joined_s = trio.current_time()
        await _wait_for_quote(node, resource_class(Kind.CHAT, model_id(CHAT_MODEL, "chat")))
        quoted_s = trio.current_time()
        output.event(
            "ready",
            join_ms=1000 * (joined_s - began_s),
            first_quote_ms=1000 * (quoted_s - began_s),
        )
        await trio.sleep_forever()


def main() -> None:
    """Run as one of the two until standard input ends."""
    parser = argparse.ArgumentParser(prog="python -m cocoon.bench.member", description=__doc__)
    parser.add_argument("what", choices=["crowd", "newcomer"])
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--nodes", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--stop-with-stdin", action="store_true")
    parsed = parser.parse_args()
    output = Output(as_json=True)
    work = partial(run_newcomer, parsed.home, parsed.bootstrap, output)
    if parsed.what == "crowd":
        work = partial(run_crowd, parsed.home, parsed.bootstrap, parsed.nodes, output)
    run_until_stopped(work, stop_with_stdin=True)


if __name__ == "__main__":
    main()
