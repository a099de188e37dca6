"""Asking a peer to dial us back: `/cocoon/<network>/dialback/1`.

The asker sends one frame, MessagePack of `Question`; the answer is one frame, `Answer`.
Only a port can be asked for: the address that is dialed is the one that the question came
from, so nobody can be made to dial a third party. Rates are limited, in total too.
"""

import enum
from collections.abc import Awaitable, Callable
from typing import Annotated, Final

import msgspec
import trio

from overlay.errors import RemoteProtocolError
from overlay.gossip.limits import Rate, RateLimits
from overlay.ids import PeerId
from overlay.transport import Stream

DIALBACK_PROTOCOL: Final = "/dialback/1"
STREAMS_MAX: Final = 8
DIAL_S: Final = 5.0
"""Patience of the one who dials back."""
QUESTION_S: Final = 5.0
PEER_RATE: Final = Rate(rate_per_s=1 / 30, burst=4)
TOTAL_RATE: Final = Rate(rate_per_s=2.0, burst=16)
PEERS_REMEMBERED_MAX: Final = 4096
ADDRESS_CHARACTERS_MAX: Final = 128


class Reply(enum.Enum):
    """What came of a dial back."""

    REACHED = "reached"
    """The asker answered, and proved its id."""
    ANOTHER = "another"
    """Somebody answered there, under another id."""
    SILENT = "silent"
    """Nobody answered."""
    BUSY = "busy"
    """Asked too often: try again in a minute."""
    UNKNOWN = "unknown"
    """The asker came through a relay: there is no address to dial."""


class Question(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Dial me back at this TCP port of the address that I ask from."""

    port: Annotated[int, msgspec.Meta(ge=1, le=65_535)]


class Answer(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What came of it.

    Attributes:
        reply: the outcome.
        observed: the multiaddr that the question came from, "" if through a relay.
        dialed: the multiaddr that was dialed, "" if none was.
    """

    reply: Reply
    observed: Annotated[str, msgspec.Meta(max_length=ADDRESS_CHARACTERS_MAX)] = ""
    dialed: Annotated[str, msgspec.Meta(max_length=ADDRESS_CHARACTERS_MAX)] = ""


_questions: Final = msgspec.msgpack.Decoder(Question)
_answers: Final = msgspec.msgpack.Decoder(Answer)


def with_port(observed: str, port: int) -> str:
    """Return the address to dial for somebody who asks from *observed*.

    >>> with_port("/ip4/8.8.4.4/tcp/50123", 4001)
    '/ip4/8.8.4.4/tcp/4001'
    """
    return f"{observed.rpartition('/')[0]}/{port}"


class Dialback:
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
        self._where = where
        self._dial = dial
        self._peers = RateLimits(PEER_RATE, keys_max=PEERS_REMEMBERED_MAX)
        self._total = RateLimits(TOTAL_RATE, keys_max=1)

    async def serve(self, stream: Stream) -> None:
        """Answer one question.

        Raises:
            RemoteProtocolError: it is no question.
        """
        with trio.move_on_after(QUESTION_S + DIAL_S):
            body = await stream.receive()
            try:
                question = _questions.decode(body)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
                raise RemoteProtocolError("not a question to dial back", penalty=5) from error
            answer = await self._answer(stream.peer_id, question)
            await stream.send(msgspec.msgpack.encode(answer))

    async def _answer(self, peer_id: PeerId, question: Question) -> Answer:
        now_s, observed = trio.current_time(), self._where(peer_id)
        if not observed:
            return Answer(Reply.UNKNOWN)
        if not self._peers.take(peer_id, now_s) or not self._total.take("", now_s):
            return Answer(Reply.BUSY, observed)
        address = with_port(observed, question.port)
        with trio.move_on_after(DIAL_S):
            return Answer(await self._dial(peer_id, address), observed, address)
        return Answer(Reply.SILENT, observed, address)


def ask(port: int) -> bytes:
    """Return the question that asks for a dial back at *port*."""
    return msgspec.msgpack.encode(Question(port))


def read_answer(body: bytes) -> Answer:
    """Return the answer in *body*.

    Raises:
        RemoteProtocolError: it is none.
    """
    try:
        return _answers.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise RemoteProtocolError("not an answer to a dial back", penalty=5) from error
