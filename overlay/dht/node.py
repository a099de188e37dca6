"""Where our Kademlia meets libp2p: streams to peers, and what the peer store knows.

Source of the protocol: libp2p specs, kad-dht/README.md.
"""

import logging
import random
from collections.abc import Awaitable, Callable
from typing import Final

import trio

from overlay.addresses import LOCAL
from overlay.dht.exchange import Exchange, OpenStream, answer_stream
from overlay.dht.kademlia import Kademlia
from overlay.dht.wire import Kind, Message
from overlay.driver import ByteStream
from overlay.errors import OverlayError
from overlay.ids import PeerId
from overlay.transport import PeerAddress

logger = logging.getLogger(__name__)

PRUNE_S: Final = 10.0
TIDY_S: Final = 300.0
STREAMS_ANSWERED_MAX: Final = 512
STREAMS_PER_PEER_MAX: Final = 4


def network_protocol(network: str) -> str:
    """Return the protocol id of the DHT of *network*; /cocoon/kad/1.0.0 for the main one."""
    return "/cocoon/kad/1.0.0" if network == "main" else f"/cocoon/{network}/kad/1.0.0"


class DhtNode:
    """Our Kademlia over the streams of one host.

    Args:
        own: returns our id and the addresses that we announce.
        open_stream: opens a DHT stream, dialing the given addresses if needed.
        where: returns the addresses that a connected peer announced, and its prefix.
    """

    def __init__(
        self,
        own: Callable[[], PeerAddress],
        open_stream: OpenStream,
        where: Callable[[PeerId], tuple[PeerAddress, str]],
        network: str,
        *,
        clock: Callable[[], float],
        rng: random.Random,
    ) -> None:
        self._exchange = Exchange(open_stream)
        self._where = where
        self._answering: dict[PeerId, int] = {}
        self.kademlia = Kademlia(own, self._exchange, network, clock=clock, rng=rng)

    async def serve(self, raw: ByteStream) -> None:
        """Answer one inbound stream of requests; never raises an Exception."""
        peer_id = raw.peer_id
        mine = self._answering.get(peer_id, 0)
        if mine >= STREAMS_PER_PEER_MAX or len(self._answering) >= STREAMS_ANSWERED_MAX:
            await raw.reset()
            return
        self._answering[peer_id] = mine + 1
        try:
            await answer_stream(raw, self._answer)
        except OverlayError as error:
            logger.debug("a DHT stream ended: %r", error)
        finally:
            self._answering[peer_id] -= 1
            if not self._answering[peer_id]:
                del self._answering[peer_id]

    async def run(self) -> None:
        """Keep the table and the stores in order, for as long as the host runs."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.kademlia.meet_candidates_forever)
            nursery.start_soon(_every, PRUNE_S, self._exchange.prune)
            nursery.start_soon(_every, TIDY_S, self.kademlia.tidy)

    def _answer(self, peer_id: PeerId, request: Message) -> Message:
        if peer_id in self.kademlia.table and request.kind is not Kind.ADD_PROVIDER:
            return self.kademlia.answer(PeerAddress(peer_id, ()), LOCAL, request)
        sender, prefix = self._where(peer_id)
        self.kademlia.table.moved(sender, trio.current_time())
        return self.kademlia.answer(sender, prefix, request)


async def _every(interval_s: float, work: Callable[[], Awaitable[None]]) -> None:
    while True:
        await trio.sleep(interval_s)
        await work()
