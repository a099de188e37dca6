"""The rendezvous point's side of the protocol: streams and rates. What it holds: `core`."""

import logging
from collections import Counter
from collections.abc import Callable
from typing import Final

import trio

from overlay.cleanup import shielded
from overlay.dht.wire import MessageReader
from overlay.driver import ByteStream
from overlay.errors import OverlayError, RemoteProtocolError
from overlay.gossip.limits import Rate, RateLimits
from overlay.ids import PeerId, short
from overlay.rendezvous.core import RendezvousConfig, RendezvousCore
from overlay.rendezvous.wire import (
    REQUEST_BYTES_MAX,
    Discover,
    Discovered,
    Message,
    Register,
    Registered,
    Status,
    Unregister,
    decode_request,
    encode,
)

logger = logging.getLogger(__name__)

STREAM_S: Final = 30.0
"""Life of one stream, which may ask several times."""
END_S: Final = 1.0
PEER_RATE: Final = Rate(rate_per_s=0.2, burst=16)
TOTAL_RATE: Final = Rate(rate_per_s=50.0, burst=200)
"""A registration costs us the check of a signature, a discovery up to 64 KiB."""
PEERS_REMEMBERED_MAX: Final = 4096


class RendezvousServer:
    """Answers `/rendezvous/1.0.0`.

    Args:
        config: what we hold for others.
        nonce: 8 random bytes.
        clock: returns unix seconds.
        blame: lowers the standing of a peer that breaks the protocol.
    """

    def __init__(
        self,
        config: RendezvousConfig,
        nonce: bytes,
        *,
        clock: Callable[[], float],
        blame: Callable[[PeerId, float, str], None],
    ) -> None:
        self.core = RendezvousCore(config, nonce)
        self.counted: Counter[str] = Counter()
        """What happened since the start, by name; for metrics."""
        self._clock, self._blame = clock, blame
        self._peers = RateLimits(PEER_RATE, keys_max=PEERS_REMEMBERED_MAX)
        self._total = RateLimits(TOTAL_RATE, keys_max=1)

    async def serve(self, raw: ByteStream) -> None:
        """Answer one inbound stream; never raises an Exception."""
        reader = MessageReader(REQUEST_BYTES_MAX)
        try:
            with trio.move_on_after(STREAM_S):
                while chunk := await raw.read(REQUEST_BYTES_MAX):
                    reader.feed(chunk)
                    while (data := reader.next_message()) is not None:
                        answer = self._answer(raw, decode_request(data))
                        if answer is not None:
                            await raw.write(encode(answer))
                await raw.finish()
        except RemoteProtocolError as error:
            self._blame(raw.peer_id, error.penalty, str(error))
        except OverlayError as error:
            logger.debug("rendezvous with %s ended: %r", short(raw.peer_id), error)
        finally:
            with shielded(END_S):
                await raw.reset()

    def _answer(self, raw: ByteStream, asked: Message) -> Registered | Discovered | None:
        peer_id, now_unix_s = raw.peer_id, self._clock()
        match asked:
            case Unregister(namespace):
                self.core.unregister(peer_id, namespace)
                return None
            case Register():
                if self._too_often(peer_id):
                    return Registered(Status.UNAVAILABLE, "too often")
                said = self.core.register(peer_id, raw.prefix, asked, now_unix_s)
                done = said.status is Status.OK
                self.counted["rendezvous_" + ("registered" if done else "refused")] += 1
                return said
            case Discover():
                if self._too_often(peer_id):
                    return Discovered(Status.UNAVAILABLE, "too often")
                self.counted["rendezvous_discovered"] += 1
                return self.core.discover(asked, now_unix_s)
            case Registered() | Discovered():
                raise RemoteProtocolError("an answer that nobody asked for", penalty=5)

    def _too_often(self, peer_id: PeerId) -> bool:
        now_s = trio.current_time()
        return not (self._peers.take(peer_id, now_s) and self._total.take("", now_s))
