"""ADNL frames over a trio stream, from either side."""

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

import trio

from contracts.adnl import (
    HELLO_BYTES,
    NONCE_BYTES,
    PARAMS_BYTES,
    SIZE_BYTES,
    Session,
    accept_hello,
    client_hello,
)
from contracts.errors import ChainUnavailable, InvalidData
from contracts.tl import MESSAGE_BYTES_MAX

SEND_S: Final = 10.0
_CHUNK_BYTES: Final = 1 << 16

BROKEN: Final = (trio.BrokenResourceError, trio.ClosedResourceError, OSError)


class AdnlStream:
    """An encrypted stream of messages.

    Args:
        stream: below.
        session: of the handshake.
        frame_bytes_max: longer ones are refused before they are read.
    """

    def __init__(
        self, stream: trio.abc.Stream, session: Session, frame_bytes_max: int = MESSAGE_BYTES_MAX
    ) -> None:
        self._stream = stream
        self._session = session
        self._frame_bytes_max = frame_bytes_max
        self._sending = trio.Lock()
        self._broken = False

    async def receive(self) -> bytes:
        """Return the next message; empty ones only say that the other side is there.

        Raises:
            InvalidData: it is too long, or was changed on the way.
            ChainUnavailable: the other side is gone.
        """
        size = self._session.open_size(await read_exactly(self._stream, SIZE_BYTES))
        if size > self._frame_bytes_max:
            raise InvalidData(f"an ADNL frame of {size} bytes")
        return self._session.open_body(await read_exactly(self._stream, size))

    async def send(self, message: bytes) -> None:
        """Send a message. If this is cancelled half-way, nothing can be sent any more.

        Raises:
            ChainUnavailable: the other side is gone, or takes nothing any more.
        """
        async with self._sending:
            if self._broken:
                raise ChainUnavailable("the connection broke in the middle of a message")
            self._broken = True
            frame = self._session.seal(message, os.urandom(NONCE_BYTES))
            try:
                with trio.fail_after(SEND_S):
                    await self._stream.send_all(frame)
            except (*BROKEN, trio.TooSlowError) as error:
                raise ChainUnavailable(f"the connection broke: {error!r}") from error
            self._broken = False


async def read_exactly(stream: trio.abc.ReceiveStream, size_bytes: int) -> bytes:
    """Read that many bytes; memory grows with what comes, not with what is announced.

    Raises:
        ChainUnavailable: the stream ends before.
    """
    data = bytearray()
    while len(data) < size_bytes:
        try:
            part = await stream.receive_some(min(size_bytes - len(data), _CHUNK_BYTES))
        except BROKEN as error:
            raise ChainUnavailable(f"the connection broke: {error!r}") from error
        if not part:
            raise ChainUnavailable("the other side closed the connection")
        data += part
    return bytes(data)


@asynccontextmanager
async def open_adnl(
    host: str, port: int, server_key: bytes, *, timeout_s: float
) -> AsyncGenerator[AdnlStream]:
    """Connect to a server for the length of the block.

    Raises:
        ChainUnavailable: it is not there, not in time, or has another key.
        InvalidData: it does not speak ADNL.
        LocalContractError: *server_key* is not a key.
    """
    packet, session = client_hello(server_key, os.urandom(32), os.urandom(PARAMS_BYTES))
    try:
        with trio.fail_after(timeout_s):
            stream: trio.abc.Stream = await trio.open_tcp_stream(host, port)
    except (OSError, trio.TooSlowError) as error:
        raise ChainUnavailable(f"no connection to {host}:{port}: {error}") from error
    async with stream:
        adnl = AdnlStream(stream, session)
        try:
            with trio.fail_after(timeout_s):
                await stream.send_all(packet)
                if await adnl.receive():
                    raise InvalidData("a server that does not greet")
        except (*BROKEN, trio.TooSlowError) as error:
            raise ChainUnavailable(f"{host}:{port} does not answer: {error!r}") from error
        yield adnl


async def accept_adnl(
    stream: trio.abc.Stream, server_seed: bytes, *, timeout_s: float, frame_bytes_max: int
) -> AdnlStream:
    """Return the encrypted stream of a client that has connected.

    Raises:
        ChainUnavailable: it is gone, or too slow.
        InvalidData: it does not speak ADNL, or means another server.
    """
    try:
        with trio.fail_after(timeout_s):
            session = accept_hello(server_seed, await read_exactly(stream, HELLO_BYTES))
            adnl = AdnlStream(stream, session, frame_bytes_max)
            await adnl.send(b"")
            return adnl
    except trio.TooSlowError as error:
        raise ChainUnavailable("a client that says nothing") from error
