"""A swarm of DHT nodes inside one process: the real node, only the wire is made up.

For tests, `python -m overlay.soak` and simulations, under trio's MockClock.
"""

import random
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Final

import base58
import trio

from overlay.dht.kademlia import Kademlia
from overlay.dht.wire import Message
from overlay.errors import PeerUnavailable, RemoteProtocolError
from overlay.ids import PeerId
from overlay.transport import PeerAddress

EPOCH_UNIX_S: Final = 1_767_225_600.0
_PEER_ID_PREFIX: Final = bytes.fromhex("002408011220")

Answerer = Callable[[PeerAddress, str, Message], Message]


class DhtModel:
    """The ether between the nodes. Make one with `open_model`.

    Attributes:
        nodes: the honest nodes that run.
        queries: messages sent so far.
    """

    def __init__(self, seed: int, latency_s: float, nursery: trio.Nursery) -> None:
        self.rng = random.Random(seed)  # noqa: S311  (a simulation)
        self.nodes: dict[PeerId, Kademlia] = {}
        self.queries = 0
        self._latency_s = latency_s
        self._nursery = nursery
        self._answerers: dict[PeerId, Answerer] = {}
        self._silent: set[PeerId] = set()
        self._sides: dict[PeerId, int] = {}

    def clock(self) -> float:
        """Return unix seconds of the model's time."""
        return EPOCH_UNIX_S + trio.current_time()

    def new_id(self) -> PeerId:
        """Return a random peer id."""
        return PeerId(base58.b58encode(_PEER_ID_PREFIX + self.rng.randbytes(32)).decode())

    def new_address(self, prefix: str | None = None) -> str:
        """Return a random public address, of the /24 that *prefix* ("1.2.3") names."""
        lead = prefix or ".".join(str(self.rng.randrange(11, 99)) for _ in range(3))
        return f"/ip4/{lead}.{self.rng.randrange(1, 255)}/tcp/4001"

    def add(self, *, prefix: str | None = None) -> Kademlia:
        """Start one honest node; it knows nobody yet."""
        own = PeerAddress(self.new_id(), (self.new_address(prefix),))
        asker = _ModelAsker(self, own)
        node = Kademlia(lambda: own, asker, "model", clock=self.clock, rng=self.rng)
        self.nodes[own.peer_id] = node
        self._answerers[own.peer_id] = node.answer
        self._nursery.start_soon(node.meet_candidates_forever)
        return node

    def add_liar(self, peer_id: PeerId, answer: Answerer) -> None:
        """Start a peer that answers as it likes."""
        self._answerers[peer_id] = answer

    async def join(self, node: Kademlia, via: Kademlia) -> None:
        """Introduce *node* to *via*, and let it look itself up."""
        await node.introduce(self.address(via))
        await node.explore()

    def address(self, node: Kademlia) -> PeerAddress:
        """Return where *node* is."""
        asker = node._asker  # noqa: SLF001  (the model made it)
        return asker.own if isinstance(asker, _ModelAsker) else PeerAddress(node.table.own_id, ())

    def kill(self, peer_id: PeerId, *, silently: bool) -> None:
        """Take a node away: queries to it fail at once, or, *silently*, wait in vain."""
        self.nodes.pop(peer_id, None)
        del self._answerers[peer_id]
        if silently:
            self._silent.add(peer_id)

    def part(self, side: int, peers: list[PeerId]) -> None:
        """Put *peers* on a *side* (0 at first); queries between sides wait in vain."""
        self._sides.update(dict.fromkeys(peers, side))

    async def deliver(self, sender: PeerAddress, to: PeerId, request: Message) -> Message:
        """Carry one request and its answer."""
        self.queries += 1
        parted = self._sides.get(sender.peer_id, 0) != self._sides.get(to, 0)
        if parted or to in self._silent:
            await trio.sleep_forever()
        await trio.sleep(2 * self._latency_s * self.rng.uniform(0.5, 1.5))
        answerer = self._answerers.get(to)
        if answerer is None:
            raise PeerUnavailable("connection refused")
        prefix = sender.addresses[0].split("/")[2].rpartition(".")[0]
        try:
            return answerer(sender, f"{prefix}.0/24", request)
        except RemoteProtocolError as error:
            raise PeerUnavailable("stream reset") from error


class _ModelAsker:
    def __init__(self, model: DhtModel, own: PeerAddress) -> None:
        self._model = model
        self.own = own

    async def ask(self, peer: PeerAddress, request: Message) -> Message:
        return await self._model.deliver(self.own, peer.peer_id, request)


@asynccontextmanager
async def open_model(*, seed: int, latency_s: float = 0.02) -> AsyncGenerator[DhtModel]:
    """Provide an empty model for the length of the block."""
    async with trio.open_nursery() as nursery:
        try:
            yield DhtModel(seed, latency_s, nursery)
        finally:
            nursery.cancel_scope.cancel()


async def populate(model: DhtModel, count: int) -> list[Kademlia]:
    """Start *count* nodes, each joining through an earlier one, and let them settle."""
    nodes = [model.add()]
    for _ in range(count - 1):
        node = model.add()
        await model.join(node, model.rng.choice(nodes))
        nodes.append(node)
    return nodes
