"""Connections and streams of QUIC where libp2p expects a muxer: each stream is one of QUIC's.

Upstream's (0.8.1) is not used: its writers see success for bytes that are lost, and it carries
3 MB/s. Here `overlay._aioquic` does the protocol without I/O, a stream's window opens as it is
read, and a writer waits while too much is not acknowledged.

Source: libp2p specs, quic/README.md.
"""
# ruff: noqa: TID251  (the border to libp2p)

import logging
from collections.abc import Callable
from types import TracebackType
from typing import Final, NamedTuple, Protocol, Self

import trio
from libp2p.abc import IMuxedConn, IMuxedStream
from libp2p.connection_types import ConnectionType
from libp2p.io.exceptions import ConnectionClosedError
from libp2p.peer.id import ID
from libp2p.stream_muxer.exceptions import (
    MuxedConnUnavailable,
    MuxedStreamClosed,
    MuxedStreamEOF,
    MuxedStreamReset,
)
from multiaddr import Multiaddr  # type: ignore[import-untyped]

from overlay._aioquic import IDLE_S, Address, Quic, events
from overlay._libp2p_addresses import parse
from overlay._libp2p_unread import CONNECTION_UNREAD_BYTES, TooMuchUnread, Unread
from overlay.addresses import prefix_of
from overlay.errors import RemoteProtocolError
from overlay.ids import PeerId
from overlay.limits.budget import Holder
from overlay.limits.gate import Gate
from overlay.limits.turnstile import Newcomer
from overlay.tls_certificate import Proven

logger = logging.getLogger(__name__)

UNACKNOWLEDGED_BYTES_MAX: Final = 2 << 20
"""Of one stream: what a writer may be ahead of its reader's side."""
WRITE_STALL_S: Final = 120.0
"""How long a writer waits for a reader, as over TCP."""
KEEP_ALIVE_S: Final = IDLE_S / 3
WAITING_DATAGRAMS_MAX: Final = 64
ARRIVED_MAX: Final = 256
_CHUNK_BYTES: Final = 64 * 1024
_IN_ORDER: Final = 0
_REFUSED: Final = 1


class UdpAddress(NamedTuple):
    """Where a peer is, where libp2p expects a host and a port, and means TCP."""

    host: str
    port: int


def quic_multiaddr(address: UdpAddress) -> Multiaddr:
    """Return *address* as a multiaddr of QUIC."""
    kind = "ip6" if ":" in address.host else "ip4"
    return parse(f"/{kind}/{address.host}/udp/{address.port}/quic-v1")


class QuicStream(IMuxedStream):
    """One stream. Made by `QuicLink`."""

    def __init__(self, link: "QuicLink", stream_id: int) -> None:
        self.muxed_conn = link
        self._link = link
        self.stream_id = stream_id
        self._received = bytearray()
        self._changed = trio.Event()
        self._read_ended = self._write_ended = False
        self._was_reset = self._was_stopped = False

    @property
    def is_heard(self) -> bool:
        """Whether the peer may still read what we write."""
        return not (self._was_reset or self._was_stopped or self._link.is_closed)

    @property
    def is_over(self) -> bool:
        """Whether neither side can say anything any more."""
        return self._was_reset or (self._read_ended and self._write_ended and not self._received)

    async def read(self, n: int | None = None) -> bytes:
        """Return 1 to *n* bytes; the peer may send as many more. Cancelling loses none.

        Raises:
            MuxedStreamEOF: the peer finished.
            MuxedStreamReset: the stream or its connection broke off.
        """
        await trio.lowlevel.checkpoint()
        while not self._received:
            if self._was_reset or (self._link.is_closed and not self._read_ended):
                raise MuxedStreamReset("the stream broke off")
            if self._read_ended:
                raise MuxedStreamEOF("the peer finished")
            await self._change()
        data = bytes(self._received[:n])
        del self._received[: len(data)]
        self._link.note_read(self, len(data))
        return data

    async def write(self, data: bytes) -> None:
        """Hand *data* to QUIC, at the pace at which the peer acknowledges it.

        Raises:
            MuxedStreamClosed: we finished already.
            MuxedStreamReset: the stream broke off, or nobody reads for two minutes.
        """
        for start in range(0, len(data), _CHUNK_BYTES):
            with trio.move_on_after(WRITE_STALL_S) as patience:
                while self._link.is_ahead(self):
                    await self._change()
            if patience.cancelled_caught:
                raise MuxedStreamReset("the peer does not read")
            self._send(data[start : start + _CHUNK_BYTES])
            await trio.lowlevel.checkpoint()

    async def close(self) -> None:
        """Say that we finished; the peer may go on."""
        if not (self._write_ended or self._was_reset or self._link.is_closed):
            self._write_ended = True
            self._link.send(self, b"", end_stream=True)
        await trio.lowlevel.checkpoint()

    close_write = close

    async def reset(self) -> None:
        """Break off, unless both sides finished."""
        self.break_off()
        await trio.lowlevel.checkpoint()

    def break_off(self) -> None:
        """Do what `reset` does, at once."""
        if not self.is_over:
            self._was_reset = True
            self._link.abandon(self)
            self.drop_unread()
        self.wake()

    def set_deadline(self, ttl: int) -> None:
        """Do nothing: whoever calls has deadlines of its own."""

    def get_remote_address(self) -> tuple[str, int] | None:
        """Return where the peer is."""
        return self._link.get_remote_address()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _type: type[BaseException] | None,
        _value: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def take(self, data: bytes, *, is_last: bool) -> None:
        """Keep what came in until it is read."""
        self._received += data
        self._read_ended = self._read_ended or is_last
        if self.is_over:
            self.drop_unread()
        self.wake()

    def hear_stop(self) -> None:
        """Note that the peer reads no more; it may go on sending."""
        self._was_stopped = self._write_ended = True
        if self.is_over:
            self.drop_unread()
        self.wake()

    def drop_unread(self) -> None:
        """Forget what nobody will read."""
        size_bytes = len(self._received)
        self._received.clear()
        self._link.note_read(self, size_bytes)

    def wake(self) -> None:
        """Let readers and writers look again."""
        self._changed.set()
        self._changed = trio.Event()

    async def _change(self) -> None:
        await self._changed.wait()

    def _send(self, data: bytes) -> None:
        if not self.is_heard:
            raise MuxedStreamReset("the stream broke off")
        if self._write_ended:
            raise MuxedStreamClosed("we finished already")
        self._link.send(self, data)


class Socket(Protocol):
    """What a connection asks of the socket that it shares with others."""

    @property
    def listens(self) -> bool:
        """Whether strangers may come in here."""

    def send(self, data: bytes, address: Address) -> None:
        """Send one datagram, or lose it."""

    def add_id(self, connection_id: bytes, link: "QuicLink") -> None:
        """Hand on to *link* what is for *connection_id*."""

    def remove_id(self, connection_id: bytes) -> None:
        """Stop that."""

    def wake_at(self, deadline_s: float) -> None:
        """Call `QuicLink.handle_timer` at *deadline_s* or before, in the time of trio."""

    def forget(self, link: "QuicLink") -> None:
        """Hand nothing on to *link* any more."""


class QuicLink(IMuxedConn):
    """One connection. Its socket's task calls `receive` and `handle_timer`; neither waits.

    Args:
        address: where the peer is.
        make_quic: makes the connection, once it may come in.
        socket: what datagrams go out by.
        gate: counts what is not read.
        clock: returns unix seconds.

    Attributes:
        deadline_s: when `handle_timer` wants to be called, in the time of trio.
        newcomer: the turns for which what comes first has to wait, if any.
        peer_id: who the peer is, once `open` returned.
    """

    peer_id: ID

    def __init__(
        self,
        address: Address,
        make_quic: Callable[[], Quic],
        socket: Socket,
        gate: Gate,
        clock: Callable[[], float],
    ) -> None:
        self.deadline_s = float("inf")
        self.event_started = trio.Event()
        self.event_closed = trio.Event()
        self._address = address
        self._make_quic = make_quic
        self._socket = socket
        self._gate = gate
        self._clock = clock
        self._quic: Quic | None = None
        self.newcomer: Newcomer | None = None
        self._waiting: list[tuple[bytes, Address]] = []
        self._came = trio.Event()
        self._proven: Proven | None = None
        self._shaken = trio.Event()
        self._fault: Exception | None = None
        self._unread: Unread | None = None
        self._streams: dict[int, QuicStream] = {}
        self._over: set[int] = set()
        self._writing: set[QuicStream] = set()
        self._arrived_send, self._arrived = trio.open_memory_channel[QuicStream](ARRIVED_MAX)
        self._heard_s = trio.current_time()
        self._pings = 0

    # -- libp2p's side ----------------------------------------------------------------------

    @property
    def is_initiator(self) -> bool:
        """Whether we dialed."""
        return self._quic is not None and self._quic.is_client

    @property
    def is_established(self) -> bool:
        """Whether the peer proved its id, and the connection lives."""
        return self._proven is not None and not self.is_closed

    @property
    def is_closed(self) -> bool:
        """Whether nothing passes any more."""
        return self.event_closed.is_set()

    @property
    def is_from_listener(self) -> bool:
        """Whether our end is the port that we listen on."""
        return self._socket.listens

    async def open(self, expected: str = "") -> None:
        """Do the handshake; whoever calls sets a deadline, and closes if it fails.

        Args:
            expected: the id of the peer that we dial.

        Raises:
            RemoteProtocolError: the peer does not do its part, or is another one.
            ConnectionClosedError: it went away.
        """
        quic = self._quic = self._make_quic()
        self._socket.add_id(quic.host_cid, self)
        if quic.is_client:
            quic.connect(self._address, trio.current_time())
        while self.newcomer is not None and not self._shaken.is_set():
            await self._take_turn(self.newcomer)
        self._take_waiting()
        await self._shaken.wait()
        if self._proven is None:
            raise self._fault or ConnectionClosedError("the handshake of QUIC broke off")
        if expected and self._proven.peer_id != expected:
            raise RemoteProtocolError(f"{self._proven.peer_id} answers instead of {expected}")
        self.peer_id = ID.from_string(self._proven.peer_id)

    async def start(self) -> None:
        """Stay until the connection ends."""
        self.event_started.set()
        while self.newcomer is not None and self.newcomer.is_new and not self.is_closed:
            await self._take_turn(self.newcomer)
        self.newcomer = None
        self._take_waiting()
        await self.event_closed.wait()

    async def open_stream(self) -> QuicStream:
        """Return a new stream; the peer learns of it with its first bytes."""
        if self._quic is None or self.is_closed:
            raise MuxedConnUnavailable("the connection is closed")
        await trio.lowlevel.checkpoint()
        stream_id = self._quic.get_next_available_stream_id()
        self._quic.send_stream_data(stream_id, b"")  # takes the number
        return self._new_stream(stream_id)

    async def accept_stream(self) -> QuicStream:
        """Wait for a stream that the peer opens."""
        try:
            return await self._arrived.receive()
        except trio.EndOfChannel as error:
            raise MuxedConnUnavailable("the connection is closed") from error

    async def close(self) -> None:
        """Say goodbye, and end everything."""
        self.hang_up(_IN_ORDER)
        await trio.lowlevel.checkpoint()

    def get_remote_address(self) -> tuple[str, int] | None:
        """Return where the peer is."""
        return UdpAddress(*self._address)

    def get_transport_addresses(self) -> list[Multiaddr]:
        """Return where the peer is, as a multiaddr."""
        return [quic_multiaddr(UdpAddress(*self._address))]

    def get_connection_type(self) -> ConnectionType:
        """Say that no relay is between."""
        return ConnectionType.DIRECT

    # -- the socket's side ------------------------------------------------------------------

    def receive(self, data: bytes, address: Address) -> bool:
        """Take one datagram; return whether `advance` should come, after a few."""
        if self._quic is not None and self.newcomer is None:
            self._receive(self._quic, data, address)
            return True
        if len(self._waiting) < WAITING_DATAGRAMS_MAX:  # else it is lost, and sent again
            self._waiting.append((data, address))
        self._came.set()
        return False

    def _receive(self, quic: Quic, data: bytes, address: Address) -> None:
        self._heard_s = trio.current_time()
        try:
            quic.receive_datagram(data, address, self._heard_s)
        except Exception as error:  # noqa: BLE001  (a wall: what a peer sends ends its connection)
            logger.debug("aioquic: %r", error)
            self._fail(RemoteProtocolError(f"QUIC: {error!r}", penalty=10))

    async def _take_turn(self, newcomer: Newcomer) -> None:
        """Wait until something came, and for a turn; then take what came."""
        if not self._waiting:
            self._came = trio.Event()
            await self._came.wait()
        await newcomer.turn()
        self._take_waiting()

    def _take_waiting(self) -> None:
        if self._quic is not None:
            for data, address in self._waiting:
                self._receive(self._quic, data, address)
        self._waiting.clear()
        self.advance()

    def handle_timer(self, now_s: float) -> None:
        """Do what time asks for: send again, keep alive, give up."""
        if self._quic is None:
            return
        timer_s = self._quic.get_timer()
        if timer_s is not None and timer_s <= now_s:
            self._quic.handle_timer(now_s)
        if self.is_established and now_s - self._heard_s >= KEEP_ALIVE_S * (1 + self._pings):
            self._pings += 1
            self._quic.send_ping(self._pings)
        self.advance()

    def advance(self) -> None:
        """Hand on what came, send what waits, and set the timer."""
        if self._quic is None:
            return
        while (event := self._quic.next_event()) is not None:
            self._handle(event)
        for data, address in self._quic.datagrams_to_send(trio.current_time()):
            self._socket.send(data, address)
        waiting, self._writing = self._writing, set()
        for stream in waiting:
            stream.wake()
        for stream_id in [each for each in self._over if self._quic.is_over(each)]:
            self._over.remove(stream_id)
            self._streams.pop(stream_id, None)
        self._set_timer(self._quic)

    def hang_up(self, code: int) -> None:
        """Close at once; what was not acknowledged may be lost."""
        if self._quic is not None and not self.is_closed:
            self._quic.close(error_code=code)
            self.advance()
        self._end()

    # -- a stream's side --------------------------------------------------------------------

    def send(self, stream: QuicStream, data: bytes, *, end_stream: bool = False) -> None:
        """Give bytes of a stream to QUIC."""
        if self._quic is not None:
            self._quic.send_stream_data(stream.stream_id, data, end_stream)
            self._note(stream)
            self.advance()

    def note_read(self, stream: QuicStream, size_bytes: int) -> None:
        """Give the peer room for what was read."""
        if self._quic is None or self._unread is None:
            return
        self._unread.remove(size_bytes)
        self._note(stream)
        if self._quic.note_read(stream.stream_id, size_bytes) and not self.is_closed:
            self.advance()

    def is_ahead(self, stream: QuicStream) -> bool:
        """Return whether a writer must wait; it is woken when that may have changed."""
        if self._quic is None or not stream.is_heard:
            return False
        ahead_bytes = self._quic.unacknowledged_bytes(stream.stream_id)
        if ahead_bytes < UNACKNOWLEDGED_BYTES_MAX:
            return False
        self._writing.add(stream)
        return True

    def abandon(self, stream: QuicStream) -> None:
        """Tell the peer that we neither send nor read a stream any more."""
        if self._quic is not None and not self.is_closed:
            self._quic.abandon(stream.stream_id, _IN_ORDER)
            self._note(stream)
            self.advance()

    def _note(self, stream: QuicStream) -> None:
        if stream.is_over:
            self._over.add(stream.stream_id)

    # -- inside -----------------------------------------------------------------------------

    def _handle(self, event: events.QuicEvent) -> None:
        match event:
            case events.HandshakeCompleted():
                self._know()
            case events.StreamDataReceived():
                self._take(event.stream_id, event.data, is_last=event.end_stream)
            case events.StreamReset() if event.stream_id in self._streams:
                self._streams[event.stream_id].break_off()
            case events.StopSendingReceived() if event.stream_id in self._streams:
                self._streams[event.stream_id].hear_stop()
            case events.PingAcknowledged():
                self._pings = 0
            case events.ConnectionIdIssued():
                self._socket.add_id(event.connection_id, self)
            case events.ConnectionIdRetired():
                self._socket.remove_id(event.connection_id)
            case events.ConnectionTerminated():
                self._end()
                self._socket.forget(self)
            case _:
                pass

    def _know(self) -> None:
        """Learn who the peer is."""
        if self._quic is None:
            return
        try:
            self._proven = self._quic.proven(self._clock())
        except RemoteProtocolError as error:
            self._fail(error)
            return
        holder = Holder(PeerId(self._proven.peer_id), prefix_of(self._address[0]))
        self._unread = Unread(self._gate.unread_bytes, holder, CONNECTION_UNREAD_BYTES)
        self._shaken.set()

    def _take(self, stream_id: int, data: bytes, *, is_last: bool) -> None:
        if self._unread is None or self.is_closed:
            return
        stream = self._streams.get(stream_id)
        if stream is None:
            stream = self._new_stream(stream_id)
            try:
                self._arrived_send.send_nowait(stream)
            except trio.WouldBlock:
                stream.break_off()
        try:
            self._unread.add(len(data))
        except TooMuchUnread as error:
            self._fail(RemoteProtocolError(str(error), penalty=10))
            return
        stream.take(data, is_last=is_last)

    def _new_stream(self, stream_id: int) -> QuicStream:
        stream = self._streams[stream_id] = QuicStream(self, stream_id)
        return stream

    def _fail(self, error: Exception) -> None:
        self._fault = self._fault or error
        self.hang_up(_REFUSED)

    def _end(self) -> None:
        if self.event_closed.is_set():
            return
        self.event_closed.set()
        self._shaken.set()
        self._came.set()
        self._arrived_send.close()
        for stream in self._streams.values():
            stream.wake()
        if self._quic is None or not self._quic.has_path:
            self._socket.forget(self)

    def _set_timer(self, quic: Quic) -> None:
        timer_s = quic.get_timer()
        self.deadline_s = float("inf") if timer_s is None else timer_s
        if self.is_established:
            keep_alive_s = self._heard_s + KEEP_ALIVE_S * (1 + self._pings)
            self.deadline_s = min(self.deadline_s, keep_alive_s)
        self._socket.wake_at(self.deadline_s)
