"""What must change in libp2p 0.8.1 before it may face strangers.

One function for each upstream bug. Each says what is wrong, in which version it was
seen, and what to check before dropping it. Run `tests/overlay/test_libp2p_hardening.py`
on every upgrade: these functions lean on private names.
"""
# ruff: noqa: ANN401, SLF001, TID251  (the border to libp2p: its privates, its loose types)

import functools
import logging
import struct
from collections.abc import Awaitable, Callable
from typing import Any, Final

import trio
from libp2p import __version__ as libp2p_version
from libp2p.abc import IMuxedConn, INetConn, INetStream, INetwork
from libp2p.host.basic_host import BasicHost
from libp2p.network.connection import swarm_connection
from libp2p.network.connection.exceptions import RawConnError
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.network.exceptions import SwarmException
from libp2p.network.swarm import Swarm
from libp2p.peer.id import ID
from libp2p.peer.peerstore import PeerStoreError
from libp2p.stream_muxer.exceptions import MuxedStreamError
from libp2p.stream_muxer.yamux import yamux
from multiaddr import Multiaddr  # type: ignore[import-untyped]

from overlay import _libp2p_inbound as inbound
from overlay._libp2p_ws import WebSocket
from overlay.addresses import is_circuit, is_quic, prefix_of
from overlay.cleanup import shielded
from overlay.errors import LocalProtocolError
from overlay.ids import PeerId
from overlay.limits.arrivals import BANNED_AGAIN_FAULTS, BANNED_NOW_FAULTS
from overlay.limits.gate import Gate
from overlay.limits.turnstile import Turnstile

logger = logging.getLogger(__name__)

TESTED_VERSION: Final = "0.8.1"
WINDOW_BYTES: Final = 2 << 20
"""Receive window of one stream, once it carries bulk data: 20 MB/s over 100 ms."""
WRITE_STALL_S: Final = 120.0
"""How long a stream's window may stay shut before the write fails."""
FRAME_WRITE_S: Final = 30.0
"""How long one yamux frame may take to leave before the connection is cut."""
CLOSING_WRITE_S: Final = 0.5
"""The same, once the host is closing."""
HANDSHAKE_S: Final = 20.0
"""How long a stranger may take to prove its id."""
ADD_S: Final = 5.0
"""How long a connection that has proved its id may take to start."""
DIAL_STAGGER_S: Final = 0.25
DIAL_S: Final = 10.0
ADDRESSES_DIALED_MAX: Final = 16
WINDOW_POLL_S: Final = 0.05
"""How soon a writer that waits for its window sees that the stream is over."""
FRAME_PAYLOAD_BYTES: Final = 2 * 65_519 - yamux.HEADER_SIZE
"""What fits with its header into two Noise messages, of 65 535 bytes less the tag of 16."""
_CREDIT_BATCH_BYTES: Final = 4096


def check_version() -> None:
    """Warn when libp2p is not the version that these patches were tested on."""
    if libp2p_version != TESTED_VERSION:
        logger.warning("libp2p %s, but Cocoon is tested on %s", libp2p_version, TESTED_VERSION)


def replace_attribute(owner: object, name: str, value: object) -> None:
    """Replace an attribute that must exist: a renamed one means that a fix no longer holds."""
    if not hasattr(owner, name):
        raise LocalProtocolError(f"libp2p {libp2p_version} has no {name} any more")
    setattr(owner, name, value)


@functools.cache
def quiet_logs() -> None:
    """Move libp2p's warnings and errors to our own log, at level DEBUG.

    Upstream (0.8.1) logs at ERROR when a peer does not speak a protocol and at WARNING
    when one hangs up, and `swarm_connection` logs with the module functions of `logging`,
    which installs a handler on the root logger of our process. To drop: a peer that dials,
    asks for an unknown protocol and is killed leaves no line on stderr.
    """
    library = logging.getLogger("libp2p")
    library.setLevel(logging.WARNING)
    library.propagate = False
    library.addHandler(_ForwardingHandler())
    replace_attribute(swarm_connection, "logging", logging.getLogger("libp2p.swarm_connection"))


class _ForwardingHandler(logging.Handler):
    """Repeats libp2p's complaints in our log, where they are only of interest in a hunt."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log *record* at DEBUG, with the severity that libp2p gave it."""
        logger.debug("%s (%s): %s", record.name, record.levelname, record.getMessage())


# -- stream handlers ---------------------------------------------------------------------


def guard(handler: Callable[[INetStream], Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """Return *handler* with a wall around it.

    Upstream (0.8.1): any exception that leaves a stream handler ends the whole host, or,
    for StreamEOF and StreamReset, silently ends the accept loop of the connection. To
    drop: a handler that raises ValueError leaves its host alive.
    """

    async def guarded(stream: INetStream) -> None:
        try:
            await handler(stream)
        except Exception as error:  # noqa: BLE001  (the wall)
            logger.debug("libp2p stream handler failed: %r", error)
            with shielded(CLOSING_WRITE_S):
                await stream.reset()

    return guarded


def guard_all_handlers(host: BasicHost, gate: Gate) -> None:
    """Put `guard` and *gate* in front of every protocol of *host*, built-in ones too.

    A stream counts from before it names its protocol, so that streams which never do
    are limited like others. Identify also runs as a trio system task, where an exception
    would end the process.
    """
    handle = guard(host._swarm_stream_handler)

    async def admitted(stream: INetStream) -> None:
        peer_id = PeerId(stream.muxed_conn.peer_id.to_base58())
        prefix = prefix_of(remote_ip(stream.muxed_conn))
        if not gate.take_stream(peer_id, prefix):
            with shielded(CLOSING_WRITE_S):
                await stream.reset()
            return
        try:
            await handle(stream)
        finally:
            gate.end_stream(peer_id, prefix)

    host.get_network().set_stream_handler(guard(admitted))
    identify = host._identify_peer

    async def identify_safely(peer_id: ID, *, reason: str) -> None:
        try:
            await identify(peer_id, reason=reason)
        except Exception as error:  # noqa: BLE001  (a system task: see above)
            logger.debug("identify failed: %r", error)

    replace_attribute(host, "_identify_peer", identify_safely)


# -- swarm ------------------------------------------------------------------------------


class SocketLedger:
    """Every TCP socket of one host, so that closing the host can close them all.

    Upstream (0.8.1) loses a socket whose handshake is cancelled. To drop: hosts that close
    during each other's handshakes cause no ResourceWarning.
    """

    def __init__(self) -> None:
        self._streams: set[trio.SocketStream] = set()

    def note(self, connection: Any) -> None:
        """Remember the socket below *connection*, if there is one."""
        below = inbound.socket_of(connection)
        if below is not None:
            self._streams = {each for each in self._streams if each.socket.fileno() != -1}
            self._streams.add(below)

    def close_all(self) -> None:
        """Close what is still open, at once."""
        for stream in self._streams:
            stream.socket.close()
        self._streams.clear()


def track_sockets(swarm: Swarm, ledger: SocketLedger) -> None:
    """Note every socket that *swarm* dials in *ledger*."""

    def tracked(dial: Callable[[Multiaddr], Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def dial_and_note(address: Multiaddr) -> Any:
            connection = await dial(address)
            ledger.note(connection)
            return connection

        return dial_and_note

    for transport in swarm.transport_manager.get_transports():
        replace_attribute(transport, "dial", tracked(transport.dial))


def free_inbound_slots(
    swarm: Swarm, ledger: SocketLedger, gate: Gate, turnstile: Turnstile
) -> None:
    """Ask *gate* about inbound connections, first of all by address; free their slots.

    What those that may stay bring first passes *turnstile*.

    Upstream (0.8.1) waits for the end of the host instead, so that a node is deaf after
    max_connections inbound connections ever. To drop: `max_connections` + 1 short inbound
    connections, one after the other, are all served.
    """

    async def handle(rwc: Any, maddr: Multiaddr, _failure_event: object) -> None:
        prefix = prefix_of(inbound.address_of(rwc))
        relayed = isinstance(rwc, RawConnection)  # a circuit: its relay is not to blame
        address = "" if relayed else inbound.address_of(rwc)
        if not gate.take_arrival(address) or not gate.take_handshake(prefix):
            await inbound.refuse(rwc)
            return
        ledger.note(rwc)
        inbound.take_turns(rwc, turnstile)
        raw = rwc if relayed or isinstance(rwc, IMuxedConn) else RawConnection(rwc, False)
        try:
            muxed: Any = await _handshake(swarm, raw, maddr, gate, prefix)
            await _stay(muxed, gate, prefix, address)
        except Exception as error:  # noqa: BLE001  (strangers' handshakes fail in any way)
            logger.debug("inbound connection failed: %r", error)
            if inbound.is_fault(error):
                gate.blame_address(address)
            with shielded(CLOSING_WRITE_S):
                await raw.close()

    replace_attribute(swarm, "_do_handle_inbound_connection", handle)


async def _handshake(swarm: Swarm, raw: Any, maddr: Multiaddr, gate: Gate, prefix: str) -> object:
    try:
        with trio.fail_after(HANDSHAKE_S):
            if isinstance(raw, IMuxedConn):  # QUIC does all of it by itself
                await raw.open()  # type: ignore[attr-defined]
                await swarm.add_conn(raw, direction="inbound")
                return raw
            if isinstance(raw.stream, WebSocket):
                await raw.stream.open()
            return await swarm.upgrade_inbound_raw_conn(raw, maddr)
    finally:
        gate.end_handshake(prefix)


async def _stay(muxed: Any, gate: Gate, prefix: str, address: str) -> None:
    """Hold the place of an inbound connection until it ends, if it may stay.

    A banned peer is held against the address that it comes from: the next id costs it nothing.
    """
    peer_id = PeerId(muxed.peer_id.to_base58())
    if not gate.take_connection(peer_id, prefix):
        if gate.banned(peer_id):
            gate.blame_address(address, BANNED_AGAIN_FAULTS)
        with shielded(CLOSING_WRITE_S):
            await muxed.close()
        return
    try:
        await muxed.event_closed.wait()
    finally:
        gate.end_connection(peer_id, prefix)
        if gate.banned(peer_id):
            gate.blame_address(address, BANNED_NOW_FAULTS)


def dial_nobody_unasked(swarm: Swarm) -> None:
    """Stop the AutoConnector.

    Upstream (0.8.1) dials every peer that it knows of until half of `high_watermark` is
    reached, whatever `min_connections` and `low_watermark` say. To drop: with both at 0,
    `maybe_connect` dials nobody.
    """

    async def do_nothing() -> None:
        await trio.lowlevel.checkpoint()

    replace_attribute(swarm.auto_connector, "maybe_connect", do_nothing)


def choose_connections_steadily(swarm: Swarm) -> None:
    """Prefer a direct connection to a peer, then the busiest, and the newest on a tie.

    Upstream (0.8.1) breaks ties by memory address, so that two streams to one peer may
    use different connections at random. To drop: `_best_connection` has no `id(`.
    """

    def best(connections: list[INetConn]) -> INetConn:
        index = max(
            range(len(connections)),
            key=lambda each: (
                not is_relayed(connections[each]),
                len(connections[each].get_streams()),
                each,
            ),
        )
        return connections[index]

    replace_attribute(swarm, "_best_connection", best)


def finish_what_is_connected(swarm: Swarm) -> None:
    """Let nobody's cancellation end a connection that others use already.

    Upstream (0.8.1) lists a new connection, tells its observers, and closes it when whoever
    dialed is cancelled meanwhile. To drop: a dial that is cancelled once its connection is
    listed leaves it open.
    """
    add = swarm.add_conn

    async def add_whole(muxed_conn: Any, direction: str = "unknown") -> Any:
        with shielded(ADD_S):
            return await add(muxed_conn, direction=direction)
        raise SwarmException("a connection that did not start in time")

    replace_attribute(swarm, "add_conn", add_whole)


DialCircuit = Callable[[Multiaddr, ID], Awaitable[INetConn]]
SourceFor = Callable[[str], tuple[str, int] | None]
DialPeer = Callable[[ID, SourceFor], Awaitable[list[INetConn]]]


def from_any_port(_address: str) -> None:
    """Say that an address may be dialed from whatever port the system chooses."""


def dial_every_address(swarm: Swarm, dial_circuit: DialCircuit) -> DialPeer:
    """Dial all known addresses of a peer, a quarter of a second apart; the first wins.

    Upstream (0.8.1) waits 250 ms after every success, tries only the first address of
    each transport, drops loopback when there is any other, and then refuses to try again
    for 60 seconds. To drop: a peer that announces a dead and a live TCP address is
    reached, in less than 100 ms, twice.

    Args:
        swarm: whose `dial_peer` is replaced.
        dial_circuit: dials an address that leads through a relay; these come last.

    Returns:
        The same, which takes another argument: where to dial each address from.
    """
    dialing: dict[ID, trio.Lock] = {}

    async def dial(peer_id: ID, source_for: SourceFor = from_any_port) -> list[INetConn]:
        lock = dialing.setdefault(peer_id, trio.Lock())
        try:
            async with lock:
                return live_connections(swarm, peer_id) or [
                    await _dial_race(swarm, peer_id, dial_circuit, source_for)
                ]
        finally:
            if not lock.statistics().tasks_waiting:
                dialing.pop(peer_id, None)

    replace_attribute(swarm, "dial_peer", dial)
    return dial


def is_relayed(connection: Any) -> bool:
    """Return whether *connection* goes through a relay."""
    return any(is_circuit(str(each)) for each in connection.get_transport_addresses() or ())


def live_connections(swarm: INetwork, peer_id: ID) -> list[INetConn]:
    """Return the open connections to *peer_id*."""
    return [each for each in swarm.get_connections(peer_id) if not each.is_closed]


def known_addresses(swarm: Swarm, peer_id: ID) -> list[Multiaddr]:
    """Return the addresses that the peer store has for *peer_id*, at most a few."""
    try:
        return list(swarm.peerstore.addrs(peer_id))[:ADDRESSES_DIALED_MAX]
    except PeerStoreError:
        return []


def remote_address(swarm: INetwork, peer_id: ID) -> str:
    """Return the IP address that a connected peer comes from, or "" if there is none."""
    found = (remote_ip(each.muxed_conn) for each in live_connections(swarm, peer_id))
    return next((each for each in found if each), "")


def remote_ip(muxed_conn: Any) -> str:
    """Return the IP address at the other end, "" if there is none."""
    remote = muxed_conn.get_remote_address()
    return str(remote[0]) if remote else ""


def _dialed_late(address: Multiaddr) -> tuple[bool, bool]:
    """Put relays last, and QUIC, which carries less here, after TCP."""
    return is_circuit(str(address)), is_quic(str(address))


async def _dial_race(
    swarm: Swarm, peer_id: ID, dial_circuit: DialCircuit, source_for: SourceFor
) -> INetConn:
    won: list[INetConn] = []
    addresses = sorted(known_addresses(swarm, peer_id), key=_dialed_late)

    async def attempt(address: Multiaddr, delay_s: float, race: trio.CancelScope) -> None:
        await trio.sleep(delay_s)
        try:
            if is_circuit(str(address)):
                won.append(await dial_circuit(address, peer_id))
            else:
                source = source_for(str(address))
                won.append(await swarm._dial_addr_single_attempt(address, peer_id, source))
            race.cancel()
        except Exception as error:  # noqa: BLE001  (any failure: the next address may do)
            logger.debug("dialing %s: %r", address, error)

    with trio.move_on_after(DIAL_S):
        async with trio.open_nursery() as nursery:
            for index, address in enumerate(addresses):
                nursery.start_soon(attempt, address, index * DIAL_STAGGER_S, nursery.cancel_scope)
    if not won:
        raise SwarmException(f"none of {len(addresses)} addresses of {peer_id} answered")
    return won[0]


# -- yamux ------------------------------------------------------------------------------


@functools.cache
def install_yamux_fixes() -> None:
    """Apply the four fixes below to yamux, once for the process: its classes are global."""
    batch_window_credit()
    write_whole_frames()
    wait_for_window()
    tell_of_opened_windows()


def batch_window_credit() -> None:
    """Grow a busy stream's window once, to `WINDOW_BYTES`, and return credit in halves of it.

    Upstream (0.8.1) sends a window update for every read, even of one byte (half of all
    CPU), grows each window to 16 MiB, and loses the bytes of a read that is cancelled
    while the update is being sent. To drop: 1000 one-byte reads send < 10 updates.
    """

    async def send_credit(self: yamux.YamuxStream, *, bytes_read: int = 0) -> None:
        pending = self._pending_recv_release + bytes_read
        growth = 0
        if self.target_recv_window < WINDOW_BYTES and pending >= _CREDIT_BATCH_BYTES:
            growth = WINDOW_BYTES - self.target_recv_window
            self.target_recv_window = WINDOW_BYTES
        if not growth and pending < self.target_recv_window // 2:
            self._pending_recv_release = pending
            return
        self._pending_recv_release = 0
        self.recv_window += pending + growth
        with shielded(FRAME_WRITE_S):
            await self.send_window_update(pending + growth)

    replace_attribute(yamux.YamuxStream, "_auto_tune_and_send_window_update", send_credit)


def write_whole_frames() -> None:
    """Never leave half an encrypted frame on the wire.

    Upstream (0.8.1): cancelling `stream.write` does, and with it dies every stream of the
    connection. To drop: after 60 cancelled writes another stream still works.
    """

    async def write_frame(self: yamux.Yamux, data: bytes) -> None:
        await trio.lowlevel.checkpoint_if_cancelled()
        async with self._write_lock:
            patience = CLOSING_WRITE_S if is_closing(self) else FRAME_WRITE_S
            with shielded(patience) as scope:
                self._cocoon_write_scope = scope  # type: ignore[attr-defined]
                held = held_openings(self)
                whole = bytes(held) + data if held else data
                held.clear()
                await self.secured_conn.write(whole)
            if scope.cancelled_caught:
                with shielded(CLOSING_WRITE_S):
                    await self.secured_conn.close()
                raise RawConnError("write timed out, connection closed")
        await trio.lowlevel.checkpoint()

    replace_attribute(yamux.Yamux, "_write_frame", write_frame)


def held_openings(connection: yamux.Yamux) -> bytearray:
    """Return the frames that go out with the next one; see `overlay._libp2p_speed`."""
    held: bytearray = connection.__dict__.setdefault("_cocoon_openings", bytearray())
    return held


def is_closing(connection: yamux.Yamux) -> bool:
    """Return whether `hurry` was called on *connection*."""
    return bool(getattr(connection, "_cocoon_closing", False))


def hurry(connection: object) -> None:
    """Make the writes of *connection* give up after half a second, one in progress too."""
    if isinstance(connection, yamux.Yamux):
        connection._cocoon_closing = True  # type: ignore[attr-defined]
        scope = getattr(connection, "_cocoon_write_scope", None)
        if scope is not None:
            scope.deadline = min(scope.deadline, trio.current_time() + CLOSING_WRITE_S)


def wait_for_window() -> None:
    """Let a reader pause: wait up to two minutes for its window, not five seconds.

    Upstream (0.8.1) resets the stream after five. To drop: a transfer survives a reader
    that pauses for ten seconds.
    """

    async def write(self: yamux.YamuxStream, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        view = memoryview(data)
        while view:
            allowed = min(await _open_window(self), len(view))
            self.send_window -= allowed
            header = struct.pack(
                yamux.YAMUX_HEADER_FORMAT, 0, yamux.TYPE_DATA, 0, self.stream_id, allowed
            )
            await self.conn._write_frame(header + bytes(view[:allowed]))
            view = view[allowed:]

    replace_attribute(yamux.YamuxStream, "write", write)


async def _open_window(stream: yamux.YamuxStream) -> int:
    deadline_s = trio.current_time() + WRITE_STALL_S
    while True:
        if stream.closed or stream.send_closed or stream.reset_received:
            raise MuxedStreamError("Stream is closed")
        if stream.send_window > 0:
            return min(stream.send_window, FRAME_PAYLOAD_BYTES)
        if trio.current_time() > deadline_s:
            raise MuxedStreamError("the peer does not read")
        opened = stream._cocoon_opened = trio.Event()  # type: ignore[attr-defined]
        with trio.move_on_after(WINDOW_POLL_S):
            await opened.wait()


def tell_of_opened_windows() -> None:
    """Wake a writer as soon as its window opens; upstream's is a number that nobody watches."""

    def get(self: yamux.YamuxStream) -> int:
        return self._cocoon_send_window  # type: ignore[attr-defined,no-any-return]

    def put(self: yamux.YamuxStream, size_bytes: int) -> None:
        self._cocoon_send_window = size_bytes  # type: ignore[attr-defined]
        opened = getattr(self, "_cocoon_opened", None)
        if size_bytes > 0 and opened is not None:
            opened.set()

    yamux.YamuxStream.send_window = property(get, put)  # type: ignore[assignment]
