"""Peers on the same LAN, by multicast DNS: the timing. Messages: `mdns`; sockets: `multicast`."""

import logging
import random
import string
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import trio

from overlay.errors import OverlayError
from overlay.ids import PeerId, short
from overlay.reach import mdns
from overlay.reach.mdns import Found, Question
from overlay.reach.multicast import Channel, open_channels
from overlay.reach.verdict import ip_of

logger = logging.getLogger(__name__)

ASK_S: Final = (1.0, 4.0, 15.0, 60.0)
"""Pauses between our questions; the last one for ever."""
ANSWER_PAUSE_S: Final = 1.0
"""We answer all questions of so long with one datagram (RFC 6762, section 6)."""
ANSWER_DELAY_S: Final = (0.02, 0.12)
DIAL_S: Final = 10.0
AGAIN_S: Final = 300.0
"""A peer that was dialed, in vain or not, is left alone for so long."""
PEERS_MAX: Final = 256
DIALS_MAX: Final = 4
INSTANCE_LETTERS: Final = 32


class Lan:
    """Looks for peers on our LANs, and tells them where we are.

    Args:
        network: whose peers.
        own_id: our own peer id.
        addresses: returns our full multiaddrs.
        connect: dials a peer.
        rng: names us, spreads answers in time.
    """

    def __init__(
        self,
        network: str,
        own_id: PeerId,
        addresses: Callable[[], Sequence[str]],
        connect: Callable[[Sequence[str]], Awaitable[PeerId]],
        *,
        rng: random.Random,
    ) -> None:
        self._service = mdns.service_of(network)
        self._own_id, self._addresses, self._connect = own_id, addresses, connect
        self._rng = rng
        self._instance = "".join(rng.choices(string.ascii_lowercase, k=INSTANCE_LETTERS))
        self._dialed: OrderedDict[PeerId, float] = OrderedDict()
        self._dialing = 0
        self._asked = trio.Event()

    async def run(self) -> None:
        """Look until cancelled; a machine without multicast looks in vain."""
        try:
            channels = open_channels(self._addresses())
        except OSError as error:
            logger.warning("no multicast DNS here: %s", error)
            return
        try:
            async with trio.open_nursery() as nursery:
                for each in channels:
                    nursery.start_soon(self._listen, each, nursery)
                nursery.start_soon(self._answer, channels)
                nursery.start_soon(self._ask, channels)
        finally:
            for each in channels:
                each.close()

    async def _ask(self, channels: Sequence[Channel]) -> None:
        self._asked.set()  # who is there already hears of us at once
        question = mdns.encode_question(self._service)
        pauses = iter(ASK_S)
        pause_s = 0.0
        while True:
            for each in channels:
                await _send(each, question)
            pause_s = next(pauses, pause_s)
            await trio.sleep(pause_s * self._rng.uniform(0.8, 1.2))

    async def _answer(self, channels: Sequence[Channel]) -> None:
        while True:
            await self._asked.wait()
            await trio.sleep(self._rng.uniform(*ANSWER_DELAY_S))
            self._asked = trio.Event()
            for each in channels:
                near = [address for address in self._addresses() if ip_of(address) == each.ip]
                if near:
                    answer = mdns.encode_answer(self._service, self._instance, near)
                    await _send(each, answer)
            await trio.sleep(ANSWER_PAUSE_S)

    async def _listen(self, channel: Channel, nursery: trio.Nursery) -> None:
        while True:
            try:
                data, sender = await channel.receive(mdns.DATAGRAM_BYTES_MAX + 1)
            except OSError as error:
                logger.debug("the LAN is away: %r", error)
                await trio.sleep(ANSWER_PAUSE_S)
                continue
            said = mdns.read(data, sender, self._service)
            if isinstance(said, Question):
                self._asked.set()
            elif said is not None and self._is_new(said):
                nursery.start_soon(self._dial, said)

    def _is_new(self, found: Found) -> bool:
        now_s = trio.current_time()
        if found.peer_id == self._own_id or self._dialing >= DIALS_MAX:
            return False
        if now_s - self._dialed.get(found.peer_id, -AGAIN_S) < AGAIN_S:
            return False
        self._dialed[found.peer_id] = now_s
        self._dialed.move_to_end(found.peer_id)
        if len(self._dialed) > PEERS_MAX:
            self._dialed.popitem(last=False)
        return True

    async def _dial(self, found: Found) -> None:
        self._dialing += 1
        try:
            with trio.move_on_after(DIAL_S):
                await self._connect(found.addresses)
                logger.info("%s is on our LAN", short(found.peer_id))
        except OverlayError as error:
            logger.debug("%s on our LAN does not answer: %r", short(found.peer_id), error)
        finally:
            self._dialing -= 1


async def _send(channel: Channel, data: bytes) -> None:
    try:
        await channel.send(data)
    except OSError as error:
        logger.debug("no multicast from %s: %r", channel.ip, error)
