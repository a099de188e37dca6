"""The two processes of a flood: the node that is attacked, and all who attack it.

Each answers what `overlay.soak.flood` asks (see `overlay.soak.child`). What the attackers send is
made and signed before they begin, so that they take no more of a shared machine than sending does.
"""

import itertools
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

import trio

from overlay.driver import ByteStream
from overlay.errors import OverlayError
from overlay.gossip.service import GossipConfig
from overlay.host import DhtConfig, HostConfig, open_host
from overlay.identity import Identity, generate_identity
from overlay.limits.arrivals import ArrivalsConfig
from overlay.limits.budget import LimitsConfig
from overlay.node import Node
from overlay.protobuf import framed
from overlay.soak.child import answer_forever
from overlay.soak.handlers import fields
from overlay.soak.rows import resident_mib

TOPIC: Final = "quotes"
MESHSUB: Final = "/cocoon/soak/meshsub/1.1.0"
ATTACKERS: Final = 10
FLOOD_PER_S: Final = 1000
CHUNK: Final = 10
"""Messages that an attacker sends at a time."""
CHUNK_S: Final = CHUNK * ATTACKERS / FLOOD_PER_S
"""How often; who is cut off dials as often."""
LIVES: Final = 3
"""Ids of one attacker: when it is cut off, it comes again with the next one."""
AS_PUBLIC: Final = LimitsConfig(arrivals=ArrivalsConfig(local_factor=1))
"""Treats loopback addresses like those of strangers."""
CONFIG: Final = HostConfig(
    listen_addresses=("/ip4/127.0.0.1/tcp/0",),
    network="soak",
    dht=DhtConfig(explore_interval_s=0),
    gossip=GossipConfig(),
    limits=AS_PUBLIC,
)
_source: ContextVar[str | None] = ContextVar("_source", default=None)
"""The IP address that a task dials from."""


def open_flooded(identity: Identity) -> AbstractAsyncContextManager[Node]:
    """Open a node of the swarm in which all of this happens."""
    return open_host(CONFIG, identity, clock=time.time)  # noqa: TID251


async def target() -> None:
    """Be the node that is attacked; it follows the topic like any other."""
    async with (
        open_flooded(generate_identity()) as node,
        node.subscribe(TOPIC, lambda *_: True, queued_max=1) as _messages,
    ):

        async def answer(_asked: dict[str, Any]) -> object:
            return {
                "addresses": node.addresses,
                "resident_mib": resident_mib(),
                "cpu_s": time.process_time(),
                "refused": {**node.gossip_refused, **node.gate.refused},
            }

        await answer_forever(answer)


@dataclass(slots=True)
class _Life:
    """One id of an attacker, and what it has to say: chunks of framed RPCs."""

    node: Node
    chunks: list[bytes]


class _Attacker:
    """Sends a chunk whenever one is due; when it was cut off, it dials first, as its next id."""

    def __init__(self, lives: list[_Life]) -> None:
        self._lives = lives
        self._turn = 0
        self._stream: ByteStream | None = None
        self.counted: Counter[str] = Counter()

    async def attack(self, addresses: list[str], source: str, chunks: int) -> None:
        """Offer that many chunks, at the rate of a tenth of the flood, from one IP address."""
        _source.set(source)
        start_s, due = trio.current_time(), 0
        while due < chunks:
            await trio.sleep_until(start_s + due * CHUNK_S)
            with trio.move_on_at(start_s + chunks * CHUNK_S):
                await self._offer(addresses, due)
            due = max(due + 1, int((trio.current_time() - start_s) / CHUNK_S))

    async def _offer(self, addresses: list[str], due: int) -> None:
        life = self._lives[self._turn]
        try:
            if self._stream is None:
                self.counted["dials"] += 1
                peer_id = await life.node.connect(addresses)
                driver = life.node._driver  # noqa: SLF001  (the attacker's own)
                self._stream = await driver.open_stream(peer_id, MESHSUB)
                self.counted["connected"] += 1
            await self._stream.write(life.chunks[due])
            self.counted["sent"] += CHUNK
        except OverlayError:
            if self._stream is not None:
                self._turn = min(self._turn + 1, len(self._lives) - 1)
            self._stream = None


async def attackers() -> None:
    """Be ten attackers: asked to "prepare" messages of a kind, to "attack", and to go "home"."""
    async with AsyncExitStack() as stack:
        ready: list[_Attacker] = []

        async def answer(asked: dict[str, Any]) -> object:
            if "prepare" in asked:
                ready[:] = [
                    _Attacker([await _live(stack, asked) for _ in range(LIVES)])
                    for _ in range(ATTACKERS)
                ]
                return len(ready)
            if "attack" in asked:
                return await _attack_together(ready, **asked["attack"])
            await stack.aclose()
            return True

        with _dialing_from_anywhere():
            await answer_forever(answer)


async def _live(stack: AsyncExitStack, asked: dict[str, Any]) -> _Life:
    identity = generate_identity()
    node = await stack.enter_async_context(open_flooded(identity))
    messages = messages_of(identity, asked["prepare"])
    chunks = [b"".join(itertools.islice(messages, CHUNK)) for _ in range(asked["chunks"])]
    return _Life(node, chunks)


async def _attack_together(
    ready: list[_Attacker], addresses: list[str], sources: list[str], chunks: int
) -> dict[str, float]:
    before_s, start_s = time.process_time(), trio.current_time()
    async with trio.open_nursery() as nursery:
        for attacker, source in zip(ready, itertools.cycle(sources), strict=False):
            nursery.start_soon(attacker.attack, addresses, source, chunks)
    counted: Counter[str] = Counter()
    for attacker in ready:
        counted += attacker.counted
    core = (time.process_time() - before_s) / (trio.current_time() - start_s)
    return {**counted, "offered": len(ready) * chunks * CHUNK, "core": core}


@contextmanager
def _dialing_from_anywhere() -> Iterator[None]:
    """Have every socket of this process dial from the address of its attacker."""
    dial = trio.open_tcp_stream

    async def dial_from(host: str, port: int) -> trio.SocketStream:
        return await dial(host, port, local_address=_source.get())

    trio.open_tcp_stream = dial_from  # type: ignore[assignment]
    try:
        yield
    finally:
        trio.open_tcp_stream = dial


def messages_of(identity: Identity, kind: str) -> Iterator[bytes]:
    """Yield framed GossipSub RPCs of one message each, without end.

    They are "forged" (bad signatures), "replayed" (one good message again and again), "sound"
    (each new, and signed by who sends it) or "throw-away" (each new, of an author of its own).
    """
    rng = random.Random(identity.public_key)  # noqa: S311  (garbage)
    topic = f"cocoon/soak/{TOPIC}".encode()
    same = rng.randbytes(16)
    while True:
        if kind == "throw-away":
            identity = generate_identity()
        author = bytes.fromhex("002408011220") + identity.public_key
        source = author if kind != "forged" else author[:6] + rng.randbytes(32)
        data = same if kind == "replayed" else rng.randbytes(16)
        parts = [(1, source), (2, data), (3, rng.randbytes(8)), (4, topic)]
        body = fields(*parts)
        signed = bytes(64) if kind == "forged" else identity.sign(b"libp2p-pubsub:" + body)
        yield framed(fields((2, body + fields((5, signed)))))
