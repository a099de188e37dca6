"""The processes of the long soak: one that is watched, some that stay, some that come and go.

Each is `python -m overlay.soak --child ROLE ADDRESS...`; what is watched prints one `Sample` a
line.
"""

import gc
import json
import os
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import trio

from overlay.addresses import is_circuit
from overlay.errors import OverlayError
from overlay.host import HostConfig, open_host
from overlay.identity import generate_identity
from overlay.limits.arrivals import ArrivalsConfig
from overlay.limits.budget import LimitsConfig
from overlay.node import Node
from overlay.relay.core import RelayConfig
from overlay.soak.census import count_entries
from overlay.soak.rows import resident_mib
from overlay.transport import Stream

LOOPBACK: Final = ("/ip4/127.0.0.1/tcp/0",)
DEAD: Final = ("/ip4/127.0.0.1/tcp/9",)
"""What a node announces that can only dial out."""
NETWORK: Final = "soak"
ECHO: Final = "/echo/1"
NEWS: Final = "news"
"""Where everybody tells its address, and is then asked something by those who stay."""
BODY: Final = bytes(1000)
KEYS: Final = tuple(bytes([number]) * 32 for number in range(16))
SAMPLE_S: Final = 10.0
CENSUS_S: Final = 300.0
VISIT_S: Final = 3.0
BETWEEN_S: Final = 1.0
WAIT_S: Final = 8.0
RESIDENTS: Final = 3


@dataclass(frozen=True, slots=True)
class Sample:
    """What a watched process holds.

    Attributes:
        at_s: seconds since its start.
        rss_mib: resident memory.
        tasks: trio tasks that are alive.
        files: open file descriptors.
        done: what it did so far, by name; "failed ..." among them.
        entries: of the containers of its nodes; empty in most samples.
        objects: live Python objects by type; empty in most samples.
    """

    at_s: float
    rss_mib: float
    tasks: int
    files: int
    done: dict[str, int]
    entries: dict[str, int]
    objects: dict[str, int]


class Watch:
    """Prints the samples of this process."""

    def __init__(self) -> None:
        self.done: Counter[str] = Counter()
        self.nodes: list[Node] = []
        self._start_s = time.monotonic()

    async def report_forever(self) -> None:
        """Print a sample every `SAMPLE_S`, with a census every `CENSUS_S`."""
        next_census_s = CENSUS_S / 5
        while True:
            await trio.sleep(SAMPLE_S)
            at_s = time.monotonic() - self._start_s
            in_full = at_s >= next_census_s
            next_census_s += CENSUS_S if in_full else 0
            print(json.dumps(asdict(self.sample(at_s, in_full=in_full))), flush=True)  # noqa: T201

    def sample(self, at_s: float, *, in_full: bool) -> Sample:
        """Return what is held now."""
        entries: Counter[str] = Counter()
        objects: Counter[str] = Counter()
        if in_full:
            gc.collect()
            for node in self.nodes:
                entries += count_entries(node)
            objects = Counter(type(each).__qualname__ for each in gc.get_objects())
        return Sample(
            round(at_s, 1),
            round(resident_mib(), 2),
            trio.lowlevel.current_statistics().tasks_living,
            len(list(Path("/proc/self/fd").iterdir())),
            dict(self.done),
            dict(entries.most_common(400)),
            dict(objects.most_common(80)),
        )


@asynccontextmanager
async def open_member(
    *relays: str, relay: RelayConfig | None = None, hidden: bool = False
) -> AsyncIterator[Node]:
    """A node with the settings that ship, on loopback, that serves `ECHO`."""
    config = HostConfig(
        listen_addresses=LOOPBACK,
        announce_addresses=DEAD if hidden else (),
        network=NETWORK,
        relays=relays,
        relay=relay,
        limits=LimitsConfig(arrivals=ArrivalsConfig()),
    )
    async with open_host(config, generate_identity(), clock=time.time) as node:  # noqa: TID251
        node.serve(ECHO, echo, streams_max=64)
        yield node


async def echo(stream: Stream) -> None:
    """Send back what comes."""
    await stream.send(await stream.receive())


async def subject() -> None:
    """Be the node that everybody joins through: bootstrap, relay, echo, reader of the news."""
    watch = Watch()
    async with open_member(relay=RelayConfig()) as node, trio.open_nursery() as nursery:
        watch.nodes.append(node)
        print(json.dumps({"addresses": node.addresses}), flush=True)  # noqa: T201
        nursery.start_soon(_read_news, node, watch, False)
        nursery.start_soon(_look_up_forever, node, watch)
        await watch.report_forever()


async def residents(addresses: list[str]) -> None:
    """Be a few nodes that stay, tell news, look things up, and ask whoever is new."""
    watch = Watch()
    async with trio.open_nursery() as nursery, AsyncExitStack() as stack:
        for number in range(RESIDENTS):
            node = await stack.enter_async_context(open_member())
            await node.connect(addresses)
            watch.nodes.append(node)
            nursery.start_soon(_read_news, node, watch, True)
            nursery.start_soon(_look_up_forever, node, watch)
            nursery.start_soon(_tell_forever, node, watch)
            await node.provide(KEYS[number])
        await watch.report_forever()


async def visitors(addresses: list[str]) -> None:
    """Be nodes that join, do everything once, and leave, one after the other."""
    watch, turn = Watch(), 0
    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch.report_forever)
        while True:
            with trio.move_on_after(VISIT_S + 2 * WAIT_S):
                await _visit(addresses, watch, turn)
            turn += 1
            await trio.sleep(BETWEEN_S)


async def _visit(addresses: list[str], watch: Watch, turn: int) -> None:
    hidden = turn % 2 == 1
    try:
        async with (
            open_member(*(addresses[:1] if hidden else ()), hidden=hidden) as guest,
            guest.subscribe(NEWS, lambda *_: True),
        ):
            there = await guest.connect(addresses)
            await guest.request(there, ECHO, BODY)
            await guest.find_providers(KEYS[turn % RESIDENTS])
            if turn % 4 == 0:
                await guest.provide(KEYS[RESIDENTS + turn % 8])
            if hidden:
                await _until_relayed(guest)
            watch.done["hidden visits" if hidden else "visits"] += 1
            await trio.sleep(VISIT_S / 2)
            await guest.publish(NEWS, json.dumps(guest.addresses).encode())
            await trio.sleep(VISIT_S / 2)
    except OverlayError as error:
        watch.done[f"failed visit: {type(error).__name__}"] += 1


async def _until_relayed(guest: Node) -> None:
    with trio.move_on_after(WAIT_S):
        while not any(map(is_circuit, guest.addresses)):  # noqa: ASYNC110  (as users would)
            await trio.sleep(0.1)


async def _read_news(node: Node, watch: Watch, asks: bool) -> None:
    async with node.subscribe(NEWS, lambda *_: True) as messages, trio.open_nursery() as nursery:
        async for message in messages:
            watch.done["messages"] += 1
            if asks and message.data.startswith(b"["):
                nursery.start_soon(_ask, node, json.loads(message.data), watch)


async def _ask(node: Node, addresses: list[str], watch: Watch) -> None:
    relayed = [each for each in addresses if is_circuit(each)]
    what = "requests through the relay" if relayed else "requests"
    with trio.move_on_after(WAIT_S):
        try:
            peer_id = await node.connect(relayed or addresses)
            watch.done[what] += await node.request(peer_id, ECHO, BODY) == BODY
        except OverlayError as error:
            watch.done[f"failed {what}: {type(error).__name__}"] += 1


async def _look_up_forever(node: Node, watch: Watch) -> None:
    rng = random.Random(node.peer_id)  # noqa: S311  (spreads load)
    while True:
        await trio.sleep(rng.uniform(5, 15))
        try:
            found = await node.find_providers(rng.choice(KEYS[:RESIDENTS]))
            watch.done["look-ups" if found else "look-ups of nothing"] += 1
        except OverlayError:
            watch.done["failed look-ups"] += 1


async def _tell_forever(node: Node, watch: Watch) -> None:
    while True:
        await trio.sleep(RESIDENTS)
        await node.publish(NEWS, b"." + os.urandom(300))
        watch.done["published"] += 1
