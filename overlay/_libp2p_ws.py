"""WebSocket below libp2p, for firewalls that let nothing else out, and for browsers behind a proxy.

Upstream's (0.8.1) is not used: it does the HTTP handshake before any limit is asked, and takes
frames of 32 MiB. Here a socket is counted first, the handshake is part of the one that proves
the id, and bytes are handed on as they come. The protocol itself is wsproto's.

Source: libp2p specs, websockets/README.md; RFC 6455. TLS (wss) is a reverse proxy's.
"""
# ruff: noqa: ANN401, TID251  (the border to libp2p: its loose types)

import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import trio
from libp2p.abc import IRawConnection, ITransport
from libp2p.io.abc import ReadWriteCloser
from libp2p.io.exceptions import IOException
from libp2p.io.trio import TrioTCPStream
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.transport.exceptions import OpenConnectionError
from libp2p.transport.tcp.tcp import TCP, TCPListener
from multiaddr import Multiaddr  # type: ignore[import-untyped]
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    Pong,
    RejectConnection,
    Request,
)
from wsproto.utilities import ProtocolError

from overlay._libp2p_addresses import parse
from overlay.addresses import is_quic, is_websocket
from overlay.cleanup import shielded
from overlay.errors import LocalProtocolError
from overlay.reach.verdict import port_of

logger = logging.getLogger(__name__)

FRAME_BYTES: Final = 64 * 1024
READ_BYTES: Final = 64 * 1024
OPEN_S: Final = 10.0
CLOSE_S: Final = 0.5
_SUFFIX: Final = "/ws"


class WebSocketError(IOException):
    """The other side does not speak WebSocket as we do."""


class WebSocket(ReadWriteCloser):
    """A WebSocket where libp2p expects a socket; `open` comes first.

    Args:
        stream: the TCP stream below.
        host: what the client asks for; "" for the side of the server.
    """

    def __init__(self, stream: TrioTCPStream, host: str = "") -> None:
        self.stream = stream
        self._host = host
        self._protocol = WSConnection(ConnectionType.CLIENT if host else ConnectionType.SERVER)
        self._received = bytearray()
        self._ended = False
        self._reading, self._writing = trio.Lock(), trio.Lock()

    async def open(self) -> None:
        """Do the handshake of HTTP; the side of the server waits for the first bytes, too.

        Raises:
            WebSocketError: it fails.
        """
        if self._host:
            await self._send(Request(host=self._host, target="/"))
        expected = AcceptConnection if self._host else Request
        while not (events := await self._events()):
            pass
        if not isinstance(events[0], expected):
            raise WebSocketError(f"no handshake of WebSocket: {type(events[0]).__name__}")
        if not self._host:
            await self._send(AcceptConnection())
        for event in events[1:]:  # the other side may have begun to talk
            await self._take(event)
        if not self._host:  # js-libp2p loses what comes at once with our answer
            await self._fill()

    async def read(self, n: int | None = None) -> bytes:
        """Return 1 to *n* bytes, b"" at the end."""
        if n == 0:
            return b""
        async with self._reading:
            await self._fill()
            data = bytes(self._received[:n])
            del self._received[: len(data)]
            return data

    async def write(self, data: bytes) -> None:
        """Send all of *data*."""
        for start in range(0, len(data), FRAME_BYTES):
            await self._send(BytesMessage(data=bytes(data[start : start + FRAME_BYTES])))

    async def close(self) -> None:
        """Say so, and close the socket."""
        with trio.move_on_after(CLOSE_S):
            try:
                await self._send(CloseConnection(code=1000))
            except (IOException, ProtocolError) as error:
                logger.debug("closing a WebSocket: %r", error)
        with shielded(CLOSE_S):
            await self.stream.close()

    def get_remote_address(self) -> tuple[str, int] | None:
        """Return the address of the socket below."""
        return self.stream.get_remote_address()

    async def _fill(self) -> None:
        """Wait for bytes, or for the end."""
        while not self._received and not self._ended:
            for event in await self._events():
                await self._take(event)

    async def _take(self, event: Event) -> None:
        match event:
            case BytesMessage():
                self._received += event.data
            case Ping():
                await self._send(event.response())
            case Pong():
                pass
            case CloseConnection() | RejectConnection():
                self._ended = True
            case _:
                raise WebSocketError(f"no bytes: {type(event).__name__}")

    async def _events(self) -> list[Event]:
        """Return what the next bytes mean; at most those of one read are held."""
        data = await self.stream.read(READ_BYTES)
        if not data:
            self._ended = True
            if self._protocol.state.name == "CONNECTING":
                raise WebSocketError("the socket ended before the handshake")
            return []
        try:
            self._protocol.receive_data(data)
            return list(self._protocol.events())
        except ProtocolError as error:
            raise WebSocketError(str(error)) from error

    async def _send(self, event: Event) -> None:
        async with self._writing:
            try:
                data = self._protocol.send(event)
            except ProtocolError as error:
                raise WebSocketError(str(error)) from error
            await self.stream.write(data)


class WebSocketListener(TCPListener):
    """Listens on TCP; the WebSocket is opened by whoever counts the connection."""

    def __init__(self, handler: Callable[[ReadWriteCloser], Awaitable[None]]) -> None:
        async def handle(stream: ReadWriteCloser) -> None:
            await handler(WebSocket(stream))  # type: ignore[arg-type]  # of TCP: TrioTCPStream

        super().__init__(handle)

    def get_addrs(self) -> tuple[Multiaddr, ...]:
        """Return where we listen."""
        return tuple(parse(f"{each}{_SUFFIX}") for each in super().get_addrs())


class WebSockets(ITransport):
    """The transport of addresses that end in /ws."""

    def __init__(self) -> None:
        self._tcp = TCP()

    async def dial(self, maddr: Multiaddr) -> IRawConnection:
        """Connect to *maddr*.

        Raises:
            OpenConnectionError: nobody there speaks WebSocket.
        """
        below = parse(str(maddr).partition(_SUFFIX)[0])
        raw: Any = await self._tcp.dial(below)
        parts = str(below).split("/")
        host = f"[{parts[2]}]" if parts[1] == "ip6" else parts[2]
        socket = WebSocket(raw.stream, f"{host}:{parts[4]}")
        try:
            with trio.fail_after(OPEN_S):
                await socket.open()
        except (IOException, trio.TooSlowError) as error:
            await socket.close()
            raise OpenConnectionError(f"{maddr}: {error!r}") from error
        except BaseException:
            with shielded(CLOSE_S):
                await raw.close()
            raise
        return RawConnection(socket, True, addresses=[maddr])

    def create_listener(self, handler_function: Any) -> WebSocketListener:
        """Return a listener that hands what comes to *handler_function*."""
        return WebSocketListener(handler_function)

    def can_dial(self, maddr: Multiaddr) -> bool:
        """Return whether *maddr* is a plain WebSocket address."""
        names = [each.name for each in maddr.protocols()]
        return names[1:3] == ["tcp", "ws"]

    can_listen = can_dial

    def protocols(self) -> list[str]:
        """Return the names that make an address one of ours."""
        return ["ws"]


def refuse_shared_ports(addresses: Sequence[str]) -> None:
    """Refuse a WebSocket on a port of plain TCP: the system would deal sockets out at random.

    Raises:
        LocalProtocolError: two of *addresses* share a port.
    """
    ports: dict[int, bool] = {}
    for each in addresses:
        port = 0 if is_quic(each) else port_of(each)
        if port and ports.setdefault(port, is_websocket(each)) != is_websocket(each):
            raise LocalProtocolError(f"{each}: a WebSocket needs a port of its own")
