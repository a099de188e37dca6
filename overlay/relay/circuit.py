"""One message at the start of a stream, and what comes after it."""

from collections.abc import Callable
from typing import Final, TypeVar

import trio

from overlay.dht.wire import MessageReader
from overlay.driver import ByteStream
from overlay.errors import PeerUnavailable, RemoteProtocolError
from overlay.ids import PeerId
from overlay.relay.wire import MESSAGE_BYTES_MAX

MESSAGE_S: Final = 20.0
"""How long a peer may take over one message of the protocol, its own dialing included."""
_T = TypeVar("_T")


async def read_message(raw: ByteStream, decode: Callable[[bytes], _T]) -> tuple[_T, bytes]:
    """Return the first message of *raw*, and the bytes that came with it.

    Raises:
        PeerUnavailable: the peer is gone, or takes longer than `MESSAGE_S`.
        RemoteProtocolError: it is no message.
    """
    reader = MessageReader(MESSAGE_BYTES_MAX)
    with trio.move_on_after(MESSAGE_S):
        while (data := reader.next_message()) is None:
            chunk = await raw.read(MESSAGE_BYTES_MAX)
            if not chunk:
                raise RemoteProtocolError("the stream ended before a relay message")
            reader.feed(chunk)
        return decode(data), reader.take_rest()
    raise PeerUnavailable("no relay message in time")


class Circuit:
    """Implements `overlay.driver.ByteStream`: bytes to *peer_id* through a relay.

    The relay sees only that they flow: both ends do a handshake of their own inside.

    Args:
        raw: the stream to the relay.
        peer_id: who the relay says is at the other end.
        early: bytes that came with the relay's message.
    """

    def __init__(self, raw: ByteStream, peer_id: PeerId, early: bytes) -> None:
        self._raw = raw
        self._early = early
        self.relay = raw.peer_id
        self.peer_id = peer_id

    async def read(self, bytes_max: int) -> bytes:
        """Return what is there, at least a byte, or b"" at the end."""
        if self._early:
            data, self._early = self._early[:bytes_max], self._early[bytes_max:]
            await trio.lowlevel.checkpoint()
            return data
        return await self._raw.read(bytes_max)

    async def write(self, data: bytes) -> None:
        """Send all of *data*."""
        await self._raw.write(data)

    async def finish(self) -> None:
        """Close our sending side."""
        await self._raw.finish()

    async def reset(self) -> None:
        """Abort both sides."""
        await self._raw.reset()
