"""AutoNAT v1, by which older nodes of js-, go- and rust-libp2p ask whether they are reached.

We answer it, and ask by `overlay.reach.autonat2`. The rule against amplification is v1's: only the
IP address that the question came from is dialed, whatever else the question names.

Source: libp2p specs, autonat/autonat-v1.md (messages prefixed with their length as a varint).
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import trio

from overlay.cleanup import shielded
from overlay.driver import ByteStream
from overlay.errors import OverlayError
from overlay.gossip.limits import RateLimits
from overlay.ids import PeerId, short
from overlay.reach.autonat_wire import Answer, Question, Status, decode, encode
from overlay.reach.dialback import (
    DIAL_S,
    PEER_RATE,
    PEERS_REMEMBERED_MAX,
    QUESTION_S,
    STREAMS_MAX,
    TOTAL_RATE,
    Reply,
)
from overlay.reach.punch import direct_ip, tcp_ip
from overlay.relay.circuit import read_message

logger = logging.getLogger(__name__)

AUTONAT_PROTOCOL: Final = "/libp2p/autonat/1.0.0"
DIALED_MAX: Final = 2
END_S: Final = 1.0


class AutoNat:
    """The side that dials back.

    Args:
        where: returns the multiaddr that a connected peer comes from, "" through a relay.
        dial: dials a peer at one address and says what answered.
    """

    def __init__(
        self,
        where: Callable[[PeerId], str],
        dial: Callable[[PeerId, str], Awaitable[Reply]],
    ) -> None:
        self._where, self._dial = where, dial
        self._peers = RateLimits(PEER_RATE, keys_max=PEERS_REMEMBERED_MAX)
        self._total = RateLimits(TOTAL_RATE, keys_max=1)
        self._running = 0

    async def serve(self, raw: ByteStream) -> None:
        """Answer one question."""
        try:
            with trio.move_on_after(QUESTION_S + DIAL_S):
                question, _ = await read_message(raw, decode)
                answer = await self._answer(raw.peer_id, question)
                await raw.write(encode(answer))
                await raw.finish()
        except OverlayError as error:
            logger.debug("no question of AutoNAT from %s: %r", short(raw.peer_id), error)
        finally:
            with shielded(END_S):
                await raw.reset()

    async def _answer(self, peer_id: PeerId, question: Question | Answer) -> Answer:
        if not isinstance(question, Question) or question.peer_id != peer_id:
            return Answer(Status.BAD_REQUEST, "ask for yourself")
        chosen = worth_dialing_back(question.addresses, self._where(peer_id))
        if not chosen:
            return Answer(Status.DIAL_REFUSED, "no address of where you come from")
        now_s = trio.current_time()
        if self._running >= STREAMS_MAX or not self._peers.take(peer_id, now_s):
            return Answer(Status.DIAL_REFUSED, "too often")
        if not self._total.take("", now_s):
            return Answer(Status.DIAL_REFUSED, "too busy")
        self._running += 1
        try:
            return await self._dial_each(peer_id, chosen)
        finally:
            self._running -= 1

    async def _dial_each(self, peer_id: PeerId, addresses: Sequence[str]) -> Answer:
        with trio.move_on_after(DIAL_S):
            for each in addresses:
                if await self._dial(peer_id, each) is Reply.REACHED:
                    return Answer(Status.OK, "", each)
        return Answer(Status.DIAL_ERROR, "nobody answered under your id")


def worth_dialing_back(addresses: Sequence[str], observed: str) -> tuple[str, ...]:
    """Return which of *addresses* to dial for somebody who comes from *observed*: its own.

    >>> worth_dialing_back(["/ip4/8.8.4.4/tcp/1", "/ip4/9.9.9.9/tcp/1"], "/ip4/8.8.4.4/tcp/5")
    ('/ip4/8.8.4.4/tcp/1',)
    """
    source = direct_ip(observed)
    if source is None:
        return ()
    same = (each for each in addresses if tcp_ip(each) == source)
    return tuple(dict.fromkeys(same))[:DIALED_MAX]
