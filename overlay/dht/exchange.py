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
from overlay.dht.wire import Kind, Message, MessageReader, decode, encode_framed
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
RESET_S: Final = 0.5

OpenStream = Callable[[PeerAddress], Awaitable[ByteStream]]


class _Line:
    """One stream of messages."""

    def __init__(self, raw: ByteStream) -> None:
        self.raw = raw
        self.reader = MessageReader()
        self.used_at_s = 0.0

    async def receive(self) -> Message | None:
        """Return the next message, or None at the peer's end between messages."""
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
        await self.raw.write(data)
        while True:
            answer = await self.receive()
            if answer is None:
                raise PeerUnavailable("the peer closed the stream without an answer")
            if answer.kind is expected:
                return answer
            if answer.kind is not request.kind:
                raise RemoteProtocolError("an answer to another question")


class Exchange:
    """Asks peers. At most one idle stream is kept to each of `IDLE_STREAMS_MAX` peers."""

    def __init__(self, open_stream: OpenStream) -> None:
        self._open_stream = open_stream
        self._idle: OrderedDict[PeerId, _Line] = OrderedDict()

    async def ask(self, peer: PeerAddress, request: Message) -> Message:
        """Return the answer of *peer*.

        Raises:
            PeerUnavailable: it cannot be reached, refused, or hung up.
            RemoteProtocolError: its answer is malformed.
        """
        line = self._idle.pop(peer.peer_id, None)
        if line is not None and trio.current_time() - line.used_at_s < IDLE_S:
            try:
                return await self._ask_on(line, peer.peer_id, request)
            except PeerUnavailable:
                logger.debug("the idle DHT stream to %s was over", short(peer.peer_id))
        elif line is not None:
            await _discard(line)
        return await self._ask_on(_Line(await self._open_stream(peer)), peer.peer_id, request)

    async def prune(self) -> None:
        """Close the streams that are idle for too long."""
        now_s = trio.current_time()
        for peer_id, line in list(self._idle.items()):
            if now_s - line.used_at_s >= IDLE_S and self._idle.pop(peer_id, None) is line:
                await _discard(line)

    async def _ask_on(self, line: _Line, peer_id: PeerId, request: Message) -> Message:
        kept = False
        try:
            answer = await line.ask(request)
            kept = True
        finally:
            if not kept:
                await _discard(line)
        await self._keep(peer_id, line)
        return answer

    async def _keep(self, peer_id: PeerId, line: _Line) -> None:
        line.used_at_s = trio.current_time()
        surplus = self._idle.pop(peer_id, None)
        self._idle[peer_id] = line
        if surplus is None and len(self._idle) > IDLE_STREAMS_MAX:
            _, surplus = self._idle.popitem(last=False)
        if surplus is not None:
            await _discard(surplus)


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
            await raw.write(encode_framed(answer(raw.peer_id, request)))
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
