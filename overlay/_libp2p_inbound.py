"""Inbound sockets before any cryptography: where they come from, and refusing them."""
# ruff: noqa: ANN401, TID251  (the border to libp2p: its privates, its loose types)

import functools
import logging
import socket
import struct
from collections.abc import Callable
from typing import Any, Final

import trio
from libp2p.abc import IMuxedConn
from libp2p.io.exceptions import ConnectionClosedError, IncompleteReadError, IOException
from libp2p.io.trio import TrioTCPStream
from libp2p.network.exceptions import SwarmException

from overlay.addresses import prefix_of
from overlay.limits.turnstile import Newcomer, Turnstile

logger = logging.getLogger(__name__)

HUNG_UP: Final = (  # and a plain IOException, by which a circuit says that it ended
    IncompleteReadError,
    ConnectionClosedError,
    trio.BrokenResourceError,
    trio.ClosedResourceError,
)
CHAIN_MAX: Final = 16
NEWCOMER: Final = "_cocoon_newcomer"
"""The attribute of a socket by which `overlay._libp2p_speed.read_ahead` knows a newcomer."""
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


def socket_of(connection: Any) -> trio.SocketStream | None:
    """Return the socket below *connection*, or None if there is none."""
    while connection is not None and not isinstance(connection, trio.SocketStream):
        connection = getattr(connection, "stream", None)
    return connection


def address_of(connection: Any) -> str:
    """Return the IP address that *connection* comes from, "" if it came over no socket."""
    remote = connection.get_remote_address()
    return str(remote[0]) if remote else ""


async def refuse(connection: Any) -> None:
    """Close *connection* at once, with a reset: a refused crowd must not fill TIME_WAIT."""
    below = socket_of(connection)
    if below is None:
        await connection.close()
        return
    try:
        below.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    except OSError as error:
        logger.debug("a refused socket is gone: %r", error)
    await trio.aclose_forcefully(below)


def take_turns(connection: Any, turnstile: Turnstile) -> None:
    """Have what a new inbound *connection* brings first wait for its turns.

    Only what comes over a socket: for circuits see `overlay._libp2p_relay.CircuitSocket`.
    """
    address = address_of(connection)
    newcomer = Newcomer(turnstile, prefix_of(address) or address, address)
    if isinstance(connection, IMuxedConn):
        connection.newcomer = newcomer  # type: ignore[attr-defined]  # a `QuicLink`
        return
    while connection is not None and not isinstance(connection, TrioTCPStream):
        connection = getattr(connection, "stream", None)
    if connection is not None:
        setattr(connection, NEWCOMER, newcomer)


def is_fault(error: BaseException) -> bool:
    """Return whether a handshake failed by what the peer sent, or did not send in time.

    Hanging up is none: whoever dials two addresses of ours leaves the slower one. Nor is
    a limit of our own, which libp2p reports as an error that nothing caused.
    """
    reasons = [error]
    while len(reasons) < CHAIN_MAX and (reason := _reason(reasons[-1])) is not None:
        reasons.append(reason)
    if len(reasons) == 1 and isinstance(error, SwarmException):
        return False
    return not any(isinstance(each, HUNG_UP) or type(each) is IOException for each in reasons)


def _reason(error: BaseException) -> BaseException | None:
    return error.__cause__ or error.__context__


@functools.cache
def read_ipv6_addresses() -> None:
    """Say where peers on IPv6 come from.

    Upstream (0.8.1) knows addresses of two parts, host and port; those of IPv6 have four, so
    that such a peer comes from nowhere, and no limit of an address or a prefix counts it.
    To drop: `get_remote_address` of a connection over ::1 is not None.
    """
    original: Callable[[TrioTCPStream], tuple[str, int] | None] = TrioTCPStream.get_remote_address

    @functools.wraps(original)
    def get_remote_address(self: TrioTCPStream) -> tuple[str, int] | None:
        known = original(self)
        if known is not None:
            return known
        try:
            host, port = self.stream.socket.getpeername()[:2]
        except (OSError, AttributeError, ValueError):
            return None
        self._cached_remote_address = (str(host), int(port))
        return self._cached_remote_address

    TrioTCPStream.get_remote_address = get_remote_address  # type: ignore[method-assign]
