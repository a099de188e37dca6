"""One connection to a liteserver: many questions at once, each with a deadline."""

import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeVar, cast

import trio

from contracts.adnl_stream import AdnlStream, open_adnl
from contracts.errors import ChainUnavailable, ContractError, InvalidData, MessageRejected
from contracts.lite_config import LiteServer
from contracts.lite_messages import AdnlAnswer, AdnlQuery, Failure, Query, TcpPing, TcpPong
from contracts.private_nursery import open_private_nursery
from contracts.rejection import exit_code_in
from contracts.tl import Boxed, decode, encode

PING_S: Final = 10.0
QUESTIONS_MAX: Final = 64

A = TypeVar("A", bound=Boxed)


class ServerFailure(ChainUnavailable):
    """The server answered that it can not answer: another one, or later, may."""


class LiteConnection:
    """A connection; made by `open_connection`.

    Attributes:
        closed: set when it is broken.
        why: it is.
        lied: whether that is because of what the server said.
    """

    def __init__(self, adnl: AdnlStream, timeout_s: float) -> None:
        self._adnl = adnl
        self._timeout_s = timeout_s
        self._asked: dict[bytes, trio.MemorySendChannel[bytes]] = {}
        self._room = trio.Semaphore(QUESTIONS_MAX)
        self._pong = trio.Event()
        self._ping_id = 0
        self.closed = trio.Event()
        self.why = "the connection is closed"
        self.lied = False

    async def ask(self, query: Boxed, kind: type[A], *, prefix: bytes = b"") -> A:
        """Ask, and return the answer.

        Args:
            query: what to ask.
            kind: of answer.
            prefix: goes in front of the query.

        Raises:
            MessageRejected: a contract refused the message that was handed in.
            ChainUnavailable: no answer in time, or one that is an error.
            InvalidData: an answer that makes no sense.
        """
        if self.closed.is_set():
            raise ChainUnavailable(self.why)
        query_id = os.urandom(32)
        asks, answers = trio.open_memory_channel[bytes](1)
        try:
            with trio.fail_after(self._timeout_s):
                async with self._room:
                    self._asked[query_id] = asks
                    inner = encode(Query(prefix + encode(query)))
                    await self._adnl.send(encode(AdnlQuery(query_id, inner)))
                    answer = await answers.receive()
        except trio.TooSlowError as error:
            raise ChainUnavailable(f"no answer within {self._timeout_s} s") from error
        except trio.EndOfChannel as error:
            raise ChainUnavailable(self.why) from error
        finally:
            self._asked.pop(query_id, None)
            asks.close()
            answers.close()
        return _opened(answer, kind)

    async def receive(self) -> None:
        """Hand answers on, until the connection breaks.

        Raises:
            ChainUnavailable: it broke.
            InvalidData: the server says what makes no sense.
        """
        while True:
            message = await self._adnl.receive()
            if not message:
                continue
            match decode(message, AdnlAnswer, TcpPong):
                case AdnlAnswer(query_id, answer):
                    asks = self._asked.pop(query_id, None)
                    if asks is not None:
                        asks.send_nowait(answer)
                        asks.close()
                case TcpPong(random_id) if random_id == self._ping_id:
                    self._pong.set()
                case _:
                    continue  # an answer that came too late

    async def keep_alive(self) -> None:
        """Ask every few seconds whether the server is still there.

        Raises:
            ChainUnavailable: it is not.
        """
        while True:
            await trio.sleep(PING_S)
            self._ping_id = int.from_bytes(os.urandom(8), "little", signed=True)
            self._pong = trio.Event()
            await self._adnl.send(encode(TcpPing(self._ping_id)))
            with trio.move_on_after(PING_S) as scope:
                await self._pong.wait()
            if scope.cancelled_caught:
                raise ChainUnavailable("the server does not answer any more")

    def close(self, why: str) -> None:
        """Let everybody who waits for an answer know that none will come."""
        self.why = why
        self.closed.set()
        for asks in self._asked.values():
            asks.close()
        self._asked.clear()


def _opened(answer: bytes, kind: type[A]) -> A:
    opened = decode(answer, kind, Failure)
    if isinstance(opened, Failure):
        said = f"{opened.code}: {opened.message[:500]}"
        if "cannot apply external message" in opened.message:
            raise MessageRejected(said, exit_code=exit_code_in(opened.message))
        raise ServerFailure(said)
    return cast("A", opened)


@asynccontextmanager
async def open_connection(
    server: LiteServer, *, timeout_s: float
) -> AsyncGenerator[LiteConnection]:
    """Connect to a server for the length of the block.

    A connection that breaks does not end the block: `LiteConnection.closed` tells.

    Raises:
        ChainUnavailable: it is not there.
        InvalidData: it does not speak the protocol.
    """
    async with open_adnl(server.host, server.port, server.key, timeout_s=timeout_s) as adnl:
        connection = LiteConnection(adnl, timeout_s)
        async with open_private_nursery() as nursery:
            nursery.start_soon(_run, connection, connection.receive)
            nursery.start_soon(_run, connection, connection.keep_alive)
            try:
                yield connection
            finally:
                nursery.cancel_scope.cancel()
                connection.close("the connection was given up")


async def _run(connection: LiteConnection, part: Callable[[], Awaitable[None]]) -> None:
    try:
        await part()
    except ContractError as error:
        connection.lied = isinstance(error, InvalidData)
        connection.close(str(error))
