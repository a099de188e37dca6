"""Hole punching, the service: `/libp2p/dcutr` over relayed connections, both roles.

What is decided is in `overlay.reach.punch`; who dials is given.
"""

import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import trio

from overlay.cleanup import shielded
from overlay.dht.wire import MessageReader
from overlay.driver import ByteStream
from overlay.errors import OverlayError, PeerUnavailable, RemoteProtocolError
from overlay.gossip.limits import Rate, RateLimits
from overlay.ids import PeerId, short
from overlay.reach.punch import ATTEMPTS_MAX, Answerer, Asker, Dial
from overlay.reach.punch_wire import (
    MESSAGE_BYTES_MAX,
    PUNCH_PROTOCOL,
    Message,
    decode,
    encode,
)
from overlay.reach.verdict import ip_of

logger = logging.getLogger(__name__)

TALK_S: Final = 10.0
"""Patience with the messages of one attempt."""
DIAL_S: Final = 5.0
"""Patience with the dials of one attempt: the first SYN, and those that TCP repeats."""
END_S: Final = 1.0
AT_ONCE_MAX: Final = 8
PEER_RATE: Final = Rate(rate_per_s=1 / 20, burst=6)
TOTAL_RATE: Final = Rate(rate_per_s=2.0, burst=16)
PEERS_REMEMBERED_MAX: Final = 1024
HOPELESS_S: Final = 600.0
"""How long we spare a peer with which all attempts failed."""


class Puncher:
    """Turns relayed connections into direct ones, where the NATs allow it.

    Args:
        own: returns where we may be reached, the best first.
        seen: returns the multiaddrs that others see us at.
        open_stream: opens a stream to a connected peer.
        dial: dials a peer and waits until we are connected to it directly; raises
            `PeerUnavailable` when nothing came of it.
        dial_known: dials what the peer announces, in the ordinary way; the same.
    """

    def __init__(
        self,
        own: Callable[[], Sequence[str]],
        seen: Callable[[], Sequence[str]],
        open_stream: Callable[[PeerId, str], Awaitable[ByteStream]],
        dial: Callable[[PeerId, Dial], Awaitable[None]],
        dial_known: Callable[[PeerId], Awaitable[None]],
    ) -> None:
        self._own, self._seen = own, seen
        self._open_stream = open_stream
        self._dial, self._dial_known = dial, dial_known
        self._peers = RateLimits(PEER_RATE, keys_max=PEERS_REMEMBERED_MAX)
        self._total = RateLimits(TOTAL_RATE, keys_max=1)
        self._upgrades = RateLimits(TOTAL_RATE, keys_max=1)
        self._running: set[PeerId] = set()
        self._hopeless: OrderedDict[PeerId, float] = OrderedDict()
        self.succeeded = 0
        """Relayed connections that became direct ones by us."""
        self.failed = 0
        """Relayed connections that stayed what they are."""

    async def upgrade(self, peer_id: PeerId) -> bool:
        """Connect directly to *peer_id*, who reached us through a relay; return whether we did."""
        if not self._may_try(peer_id):
            return False
        self._running.add(peer_id)
        try:
            done = await self._upgrade(peer_id)
        finally:
            self._running.discard(peer_id)
        if done:
            self.succeeded += 1
        else:
            self.failed += 1
            self._give_up(peer_id)
        logger.info("%s: %s", short(peer_id), "direct now" if done else "stays relayed")
        return done

    def _may_try(self, peer_id: PeerId) -> bool:
        now_s = trio.current_time()
        if self._hopeless.get(peer_id, -HOPELESS_S) + HOPELESS_S > now_s:
            return False
        if peer_id in self._running or len(self._running) >= AT_ONCE_MAX:
            return False
        return self._upgrades.take("", now_s)  # each dials addresses that the peer names

    def _give_up(self, peer_id: PeerId) -> None:
        self._hopeless[peer_id] = trio.current_time()
        self._hopeless.move_to_end(peer_id)
        if len(self._hopeless) > PEERS_REMEMBERED_MAX:
            self._hopeless.popitem(last=False)

    async def _upgrade(self, peer_id: PeerId) -> bool:
        for attempt in (self._dial_known, *[self._ask] * ATTEMPTS_MAX):
            try:
                with trio.fail_after(TALK_S + DIAL_S):
                    await attempt(peer_id)
            except (OverlayError, trio.TooSlowError) as error:
                logger.debug("punching to %s: %r", short(peer_id), error)
            else:
                return True
        return False

    async def _ask(self, peer_id: PeerId) -> None:
        """Go through the protocol once, as the asker."""
        raw = await self._open_stream(peer_id, PUNCH_PROTOCOL)
        try:
            talk = _Talk(raw)
            asker = Asker(self._own(), self._behind())
            await talk.send(asker.start(trio.current_time()))
            answer = await talk.receive()
            sync, dial = asker.take(answer, trio.current_time())
            await talk.send(sync)
            await raw.finish()
            await self._do(peer_id, dial)
        finally:
            with shielded(END_S):
                await raw.reset()

    async def serve(self, raw: ByteStream) -> None:
        """Answer one stream, on a relayed connection that we dialed."""
        try:
            if self._allows(raw.peer_id):
                with trio.move_on_after(TALK_S + DIAL_S):
                    await self._answer(raw)
        except OverlayError as error:
            logger.debug("no hole to %s: %r", short(raw.peer_id), error)
        finally:
            with shielded(END_S):
                await raw.reset()

    def _allows(self, peer_id: PeerId) -> bool:
        now_s = trio.current_time()
        return self._peers.take(peer_id, now_s) and self._total.take("", now_s)

    async def _answer(self, raw: ByteStream) -> None:
        talk, answerer = _Talk(raw), Answerer(self._own(), self._behind())
        while True:
            step = answerer.take(await talk.receive(), trio.current_time())
            if isinstance(step, Dial):
                await self._do(raw.peer_id, step)
                return
            await talk.send(step)

    async def _do(self, peer_id: PeerId, dial: Dial) -> None:
        """Dial; wait for the other side's dial too, which comes even if we have nowhere to dial."""
        await trio.sleep_until(dial.at_s)
        with trio.move_on_after(DIAL_S):
            await self._dial(peer_id, dial)
            return
        raise PeerUnavailable("nobody came through the hole")

    def _behind(self) -> set[str]:
        return {ip_of(each) for each in self._seen()}


class _Talk:
    """Messages on one stream, in turn."""

    def __init__(self, raw: ByteStream) -> None:
        self._raw = raw
        self._reader = MessageReader(MESSAGE_BYTES_MAX)

    async def send(self, message: Message) -> None:
        await self._raw.write(encode(message))

    async def receive(self) -> Message:
        while (data := self._reader.next_message()) is None:
            chunk = await self._raw.read(MESSAGE_BYTES_MAX)
            if not chunk:
                raise RemoteProtocolError("the stream ended before its last message")
            self._reader.feed(chunk)
        return decode(data)
