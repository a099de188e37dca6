"""AutoNAT v2: is one address of ours reached? Both sides of it.

The dialer picks one address of those that the question names, and dials no other. If that is not
where the question came from, the asker first pays for it with more bytes than the dial costs, so
that nobody gains by making us dial a third party; private addresses are dialed only for whoever
comes from there. The dial back carries a nonce of the question, by which the asker knows that it
came, whatever the dialer claims.

Source: libp2p specs, autonat/autonat-v2.md.
"""

import logging
import random
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

import trio

from overlay.cleanup import shielded
from overlay.dht.wire import MessageReader
from overlay.driver import ByteStream
from overlay.errors import OverlayError, PeerUnavailable, RemoteProtocolError
from overlay.gossip.limits import Rate, RateLimits
from overlay.ids import PeerId, short
from overlay.reach.autonat2_wire import (
    BACK_BYTES_MAX,
    BACK_TAKEN,
    DATA_BYTES_MAX,
    MESSAGE_BYTES_MAX,
    Answer,
    Data,
    DialStatus,
    Message,
    Question,
    Status,
    Toll,
    decode,
    decode_back,
    encode,
)
from overlay.reach.dialback import (
    DIAL_S,
    PEER_RATE,
    PEERS_REMEMBERED_MAX,
    STREAMS_MAX,
    TOTAL_RATE,
    Reply,
)
from overlay.reach.punch import direct_ip

logger = logging.getLogger(__name__)

TOLL_BYTES: Final = (30_000, 100_000)
"""What we ask for a dial to another IP address; what we pay is at most the second."""
TALK_S: Final = 15.0
"""Patience with the messages of one request, besides the dial."""
BACK_S: Final = 5.0
END_S: Final = 1.0
TARGET_RATE: Final = Rate(rate_per_s=1 / 20, burst=4)
"""Dials to one IP address that others than its own peers asked for."""
_REPLIES: Final = {
    Status.REQUEST_REJECTED: Reply.BUSY,
    Status.DIAL_REFUSED: Reply.UNKNOWN,
    Status.INTERNAL_ERROR: Reply.UNKNOWN,
}
_DIALED: Final = {
    DialStatus.OK: Reply.REACHED,
    DialStatus.DIAL_BACK_ERROR: Reply.ANOTHER,
    DialStatus.DIAL_ERROR: Reply.SILENT,
    DialStatus.UNUSED: Reply.UNKNOWN,
}
_DIAL_STATUS: Final = {
    Reply.REACHED: DialStatus.OK,
    Reply.ANOTHER: DialStatus.DIAL_BACK_ERROR,
}


@dataclass(frozen=True, slots=True)
class Dial:
    """Dial this address, and say *nonce* there.

    Attributes:
        paid: whether it is not where the question came from.
    """

    index: int
    address: str
    nonce: int
    paid: bool


class Answerer:
    """What one request makes us do; pure, like its times.

    Args:
        observed: the multiaddr that the asker comes from.
        can_dial: whether we speak what an address is of.
        toll_bytes: what a dial to another IP address costs the asker.
    """

    def __init__(self, observed: str, can_dial: Callable[[str], bool], toll_bytes: int) -> None:
        self._source, self._can_dial = direct_ip(observed), can_dial
        self._left_bytes = toll_bytes
        self._dial: Dial | None = None

    def take(self, message: Message) -> Answer | Toll | Dial | None:
        """Return what to do about *message*; None to wait for more.

        Raises:
            RemoteProtocolError: it is not its turn.
        """
        if self._dial is None and isinstance(message, Question):
            return self._begin(message)
        if self._dial is not None and isinstance(message, Data) and message.data:
            self._left_bytes -= len(message.data)
            return self._dial if self._left_bytes <= 0 else None
        raise RemoteProtocolError("AutoNAT out of turn", penalty=5)

    def _begin(self, question: Question) -> Answer | Toll | Dial:
        for index, address in enumerate(question.addresses):
            ip = direct_ip(address)
            if self._source is None or ip is None or not self._can_dial(address):
                continue
            if ip == self._source or (ip.is_global and not ip.is_multicast):
                self._dial = Dial(index, address, question.nonce, ip != self._source)
                return Toll(index, self._left_bytes) if self._dial.paid else self._dial
        return Answer(Status.DIAL_REFUSED)


class AutoNat2:
    """Asks, and dials for those who ask.

    Args:
        where: returns the multiaddr that a connected peer comes from, "" through a relay.
        can_dial: returns whether we speak what an address is of.
        dial: dials a peer at one address under another id than ours, and says the nonce.
        rng: draws tolls.
    """

    def __init__(
        self,
        where: Callable[[PeerId], str],
        can_dial: Callable[[str], bool],
        dial: Callable[[PeerId, str, int], Awaitable[Reply]],
        *,
        rng: random.Random,
    ) -> None:
        self._where, self._can_dial, self._dial, self._rng = where, can_dial, dial, rng
        self._peers = RateLimits(PEER_RATE, keys_max=PEERS_REMEMBERED_MAX)
        self._targets = RateLimits(TARGET_RATE, keys_max=PEERS_REMEMBERED_MAX)
        self._total = RateLimits(TOTAL_RATE, keys_max=1)
        self._running = 0
        self._expected: dict[int, bool] = {}
        """The nonces of our own questions, and whether each came back."""

    # -- the side that dials --

    async def serve_request(self, raw: ByteStream) -> None:
        """Answer one question."""
        try:
            with trio.move_on_after(TALK_S + DIAL_S + BACK_S):
                await _Talk(raw).send(await self._answer(raw))
                await raw.finish()
                await raw.read(1)  # a reset would overtake the answer
        except OverlayError as error:
            logger.debug("no question of AutoNAT from %s: %r", short(raw.peer_id), error)
        finally:
            with shielded(END_S):
                await raw.reset()

    async def _answer(self, raw: ByteStream) -> Answer:
        now_s = trio.current_time()
        if self._running >= STREAMS_MAX or not self._peers.take(raw.peer_id, now_s):
            return Answer(Status.REQUEST_REJECTED)
        if not self._total.take("", now_s):
            return Answer(Status.REQUEST_REJECTED)
        self._running += 1
        try:
            return await self._serve(raw)
        finally:
            self._running -= 1

    async def _serve(self, raw: ByteStream) -> Answer:
        toll_bytes = self._rng.randint(*TOLL_BYTES)
        answerer = Answerer(self._where(raw.peer_id), self._can_dial, toll_bytes)
        talk = _Talk(raw)
        while True:
            match answerer.take(await talk.receive()):
                case Answer() as answer:
                    return answer
                case Toll() as toll:
                    await talk.send(toll)
                case Dial() as dial:
                    return await self._dial_one(raw.peer_id, dial)
                case None:
                    continue

    async def _dial_one(self, peer_id: PeerId, dial: Dial) -> Answer:
        ip = direct_ip(dial.address)
        if dial.paid and not self._targets.take(ip, trio.current_time()):
            return Answer(Status.REQUEST_REJECTED)
        reply = Reply.SILENT
        with trio.move_on_after(DIAL_S + BACK_S):
            reply = await self._dial(peer_id, dial.address, dial.nonce)
        status = _DIAL_STATUS.get(reply, DialStatus.DIAL_ERROR)
        return Answer(Status.OK, dial.index, status)

    # -- the side that asks --

    async def ask(self, raw: ByteStream, addresses: Sequence[str]) -> tuple[Reply, str]:
        """Ask the peer at *raw*; return what came of it, and the address that it dialed.

        Raises:
            PeerUnavailable: it is gone.
            RemoteProtocolError: it breaks the protocol, or claims a dial that did not come.
        """
        nonce = secrets.randbits(64)
        self._expected[nonce] = False
        try:
            with trio.fail_after(TALK_S + DIAL_S + BACK_S):
                answer = await _ask(_Talk(raw), Question(tuple(addresses), nonce))
            return self._judge(answer, addresses, came=self._expected[nonce])
        except trio.TooSlowError as error:
            raise PeerUnavailable("AutoNAT takes too long") from error
        finally:
            del self._expected[nonce]
            with shielded(END_S):
                await raw.reset()

    @staticmethod
    def _judge(answer: Answer, addresses: Sequence[str], *, came: bool) -> tuple[Reply, str]:
        if answer.status is not Status.OK:
            return _REPLIES[answer.status], ""
        if answer.index >= len(addresses):
            raise RemoteProtocolError("AutoNAT dialed what nobody named", penalty=5)
        if answer.dialed is DialStatus.OK and not came:
            raise RemoteProtocolError("AutoNAT claims a dial that did not come", penalty=5)
        return _DIALED[answer.dialed], addresses[answer.index]

    async def serve_back(self, raw: ByteStream) -> None:
        """Take one dial back; whose id it comes under is of no matter."""
        try:
            with trio.move_on_after(BACK_S):
                nonce = decode_back(await _Talk(raw, BACK_BYTES_MAX).next())
                if nonce in self._expected:
                    self._expected[nonce] = True
                    await raw.write(BACK_TAKEN)
                    await raw.finish()
                    await raw.read(1)  # a reset would overtake the answer
        except OverlayError as error:
            logger.debug("no dial back from %s: %r", short(raw.peer_id), error)
        finally:
            with shielded(END_S):
                await raw.reset()


async def _ask(talk: "_Talk", question: Question) -> Answer:
    await talk.send(question)
    paid = False
    while True:
        match await talk.receive():
            case Answer() as answer:
                return answer
            case Toll(_, size_bytes) if not paid and size_bytes <= TOLL_BYTES[1]:
                paid = True
                for _ in range(0, size_bytes, DATA_BYTES_MAX):
                    await talk.send(Data(bytes(DATA_BYTES_MAX)))
            case _:
                raise RemoteProtocolError("AutoNAT out of turn, or too dear", penalty=1)


class _Talk:
    """Messages on one stream, in turn."""

    def __init__(self, raw: ByteStream, bytes_max: int = MESSAGE_BYTES_MAX) -> None:
        self._raw, self._bytes_max = raw, bytes_max
        self._reader = MessageReader(bytes_max)

    async def send(self, message: Message) -> None:
        await self._raw.write(encode(message))

    async def receive(self) -> Message:
        return decode(await self.next())

    async def next(self) -> bytes:
        while (data := self._reader.next_message()) is None:
            chunk = await self._raw.read(self._bytes_max)
            if not chunk:
                raise RemoteProtocolError("the stream ended before its last message")
            self._reader.feed(chunk)
        return data
