"""Asking and answering DHT messages on streams that are kept open and used again.

A new stream costs several times more than a message, so one idle stream to each of the
peers asked last is kept. A peer that closes after each answer, as the specification
allows, is asked on a new stream.
"""

import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Final

import trio

from overlay.cleanup import shielded
from overlay.dht.wire import MESSAGE_BYTES_MAX, Kind, Message, MessageReader, decode, encode_framed
from overlay.driver import ByteStream
from overlay.errors import OverlayError, PeerUnavailable, RemoteProtocolError
from overlay.ids import PeerId, short
from overlay.transport import PeerAddress

logger = logging.getLogger(__name__)

IDLE_STREAMS_MAX: Final = 128
IDLE_S: Final = 20.0
"""How long our idle stream is trusted; the answering side waits for twice as long."""
READ_BYTES: Final = 16 * 1024
MESSAGE_S: Final = 10.0
"""How long a begun message may take to come in."""
OWED_MAX: Final = 3
RESET_S: Final = 0.5

OpenStream = Callable[[PeerAddress], Awaitable[ByteStream]]


class _Line:
    """One stream of messages.

    Attributes:
        owed: answers that are still to come, to questions that nobody waits for any more.
        whole: False while half a question may have been sent.
    """

    def __init__(self, raw: ByteStream) -> None:
        self.raw = raw
        self.reader = MessageReader()
        self.used_at_s = 0.0
        self.owed = 0
        self.whole = True

    async def receive(self) -> Message | None:
        """Return the next message, or None at the peer's end between messages.

        Cancelling loses nothing.
        """
        while (data := self.reader.next_message()) is None:
            chunk = await self.raw.read(READ_BYTES)
            if not chunk:
                if self.reader.waiting_bytes:
                    raise RemoteProtocolError("stream ended inside a DHT message")
                return None
            self.reader.feed(chunk)
        return decode(data)

    async def ask(self, request: Message) -> Message:
        """Send *request* and return its answer.

        The specification gives ADD_PROVIDER no answer, while py-libp2p echoes it; a PING
        behind it tells that it was taken: a peer that refuses resets the stream.
        """
        data = encode_framed(request)
        expected = request.kind
        if request.kind is Kind.ADD_PROVIDER:
            data += encode_framed(Message(Kind.PING))
            expected = Kind.PING
        self.whole = False
        await self.raw.write(data)
        self.whole = True
        self.owed += 1
        while True:
            answer = await self.receive()
            if answer is None:
                raise PeerUnavailable("the peer closed the stream without an answer")
            if answer.kind is Kind.ADD_PROVIDER:
                continue  # an echo: the answer is the PING
            self.owed -= 1
            if self.owed:
                continue  # to an earlier question
            if answer.kind is not expected:
                raise RemoteProtocolError("an answer to another question")
            return answer


class _Contact:
    """The line to one peer, used by one question at a time."""

    def __init__(self) -> None:
        self.lock = trio.Lock()
        self.line: _Line | None = None
        self.users = 0


class Exchange:
    """Asks peers. One stream is kept to each of the last `IDLE_STREAMS_MAX` peers.

    Questions to one peer take turns: a stream more costs more than the wait. A question
    that is cancelled leaves its stream usable; the late answer is skipped.
    """

    def __init__(self, open_stream: OpenStream) -> None:
        self._open_stream = open_stream
        self._contacts: OrderedDict[PeerId, _Contact] = OrderedDict()

    async def ask(self, peer: PeerAddress, request: Message) -> Message:
        """Return the answer of *peer*.

        Raises:
            PeerUnavailable: it cannot be reached, refused, or hung up.
            RemoteProtocolError: its answer is malformed.
        """
        contact = self._contacts.setdefault(peer.peer_id, _Contact())
        self._contacts.move_to_end(peer.peer_id)
        contact.users += 1
        try:
            async with contact.lock:
                return await self._ask_in_turn(contact, peer, request)
        finally:
            contact.users -= 1
            if contact.line is None and not contact.users:
                self._contacts.pop(peer.peer_id, None)

    async def prune(self) -> None:
        """Close the streams that are idle for too long, and those beyond the bound."""
        now_s = trio.current_time()
        surplus = len(self._contacts) - IDLE_STREAMS_MAX
        for peer_id, contact in list(self._contacts.items()):
            line = contact.line
            old = line is not None and now_s - line.used_at_s >= IDLE_S
            if (old or surplus > 0) and not contact.users:
                surplus -= 1
                del self._contacts[peer_id]
                if line is not None:
                    await _discard(line)

    async def _ask_in_turn(self, contact: _Contact, peer: PeerAddress, request: Message) -> Message:
        line = contact.line
        if line is not None and _usable(line):
            try:
                return await self._ask_on(contact, line, request)
            except PeerUnavailable:
                logger.debug("the idle DHT stream to %s was over", short(peer.peer_id))
        elif line is not None:
            contact.line = None
            await _discard(line)
        line = _Line(await self._open_stream(peer))
        return await self._ask_on(contact, line, request)

    async def _ask_on(self, contact: _Contact, line: _Line, request: Message) -> Message:
        contact.line = None
        answered = False
        try:
            answer = await line.ask(request)
            answered = True
        except trio.Cancelled:
            answered = line.whole  # then the answers to come can be counted, and skipped
            raise
        finally:
            line.used_at_s = trio.current_time()
            if answered:
                contact.line = line
            else:
                await _discard(line)
        return answer


def _usable(line: _Line) -> bool:
    return line.owed <= OWED_MAX and trio.current_time() - line.used_at_s < IDLE_S


async def answer_stream(raw: ByteStream, answer: Callable[[PeerId, Message], Message]) -> None:
    """Answer every request on *raw* until the peer ends it or is silent for too long.

    Raises:
        RemoteProtocolError: a malformed or refused request; the stream is reset.
        PeerUnavailable: the peer is gone.
    """
    line = _Line(raw)
    ended = False
    try:
        while (request := await _next_request(line)) is not None:
            answers = encode_framed(answer(raw.peer_id, request))
            while (more := line.reader.next_message()) is not None:
                answers += encode_framed(answer(raw.peer_id, decode(more)))
                if len(answers) > MESSAGE_BYTES_MAX:
                    break
            await raw.write(answers)
        await raw.finish()
        ended = True
    finally:
        if not ended:
            await _discard(line)


async def _next_request(line: _Line) -> Message | None:
    patience_s = MESSAGE_S if line.reader.waiting_bytes else 2 * IDLE_S
    with trio.move_on_after(patience_s):
        return await line.receive()
    return None


async def _discard(line: _Line) -> None:
    with shielded(RESET_S):
        try:
            await line.raw.reset()
        except OverlayError as error:
            logger.debug("discarding a DHT stream: %r", error)
