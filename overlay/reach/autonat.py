"""AutoNAT v1, by which nodes of js-, go- and rust-libp2p ask whether they are reached.

Our own nodes ask by `overlay.reach.dialback`; this is for the others, and for us among them.
The rule against amplification is the same: only the IP address that the question came from
is dialed, whatever else the question names.

Source: libp2p specs, autonat/autonat-v1.md (messages prefixed with their length as a varint).
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import trio

from overlay.cleanup import shielded
from overlay.driver import ByteStream
from overlay.errors import OverlayError, RemoteProtocolError
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
from overlay.reach.punch import tcp_ip
from overlay.reach.verdict import ip_of
from overlay.relay.circuit import read_message

logger = logging.getLogger(__name__)

AUTONAT_PROTOCOL: Final = "/libp2p/autonat/1.0.0"
DIALED_MAX: Final = 2
END_S: Final = 1.0
_REPLIES: Final = {
    Status.OK: Reply.REACHED,
    Status.DIAL_ERROR: Reply.SILENT,
    Status.DIAL_REFUSED: Reply.BUSY,
}


class AutoNat:
    """The side that dials back; arguments as for `overlay.reach.dialback.Dialback`."""

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
    source = tcp_ip(observed)
    if source is None:
        return ()
    same = (each for each in addresses if tcp_ip(each) == source)
    return tuple(dict.fromkeys(same))[:DIALED_MAX]


async def ask(raw: ByteStream, own_id: PeerId, address: str) -> tuple[Reply, str]:
    """Ask the peer at *raw* whether it reaches us at *address*; return what, and where.

    js-libp2p (autonat 3.0.28) takes a connection that we dialed from our listening port for a
    dial back, and closes it before it answers: then this raises, and says nothing wrong.

    Raises:
        PeerUnavailable: it is gone.
        RemoteProtocolError: it does not speak the protocol.
    """
    try:
        await raw.write(encode(Question(own_id, (address,))))
        answer, _ = await read_message(raw, decode)
    finally:
        with shielded(END_S):
            await raw.reset()
    if not isinstance(answer, Answer):
        raise RemoteProtocolError("AutoNAT answered by a question", penalty=5)
    reply = _REPLIES.get(answer.status, Reply.UNKNOWN)
    if reply is Reply.REACHED and ip_of(answer.address) != ip_of(address):
        raise RemoteProtocolError("AutoNAT reached somebody else", penalty=5)
    return reply, address
