"""libp2p hosts without sockets: an in-memory transport for one process, for simulations.

Everything above the transport is the real thing: multistream, Noise, yamux, identify,
Kademlia, GossipSub, and our fixes. Only `dial` and `listen` are replaced, by pipes with a
delay. Works under trio's MockClock; see `simulations.whole.virtual` for what else two runs
need to be the same.
"""
# ruff: noqa: TID251  (the border to libp2p)

import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Final

import trio
from libp2p.abc import IListener, IRawConnection, ITransport
from libp2p.custom_types import THandler
from libp2p.io.abc import ReadWriteCloser
from libp2p.io.exceptions import ConnectionClosedError
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.transport.exceptions import OpenConnectionError
from multiaddr import Multiaddr  # type: ignore[import-untyped]

from overlay._memory_stream import WINDOW_BYTES, Pipe
from overlay.errors import PeerUnavailable
from overlay.host import HostConfig, open_host
from overlay.identity import Identity
from overlay.node import Node

logger = logging.getLogger(__name__)

PORT: Final = 4001
FIRST_PORT: Final = 40_000
HOSTS_MAX: Final = 1 << 16

Place = tuple[str, int]
"""Address and port, as a socket would have them."""


class MemoryEther:
    """What lies between the hosts: made by `open_memory_ether`.

    Attributes:
        between: one-way delay in seconds between the hosts with these numbers.
        connections: how many have been opened.
        sent_bytes: in all of them.
        writes: how many pieces that was.
    """

    def __init__(
        self,
        nursery: trio.Nursery,
        *,
        network: str,
        clock: Callable[[], float],
        between: Callable[[int, int], float],
    ) -> None:
        self.nursery = nursery
        self.between = between
        self.listeners: dict[Place, _Listener] = {}
        self.connections = 0
        self.sent_bytes = 0
        self.writes = 0
        self._network = network
        self._clock = clock
        self._hosts = 0

    @asynccontextmanager
    async def open_host(self, identity: Identity) -> AsyncGenerator[Node]:
        """Run a host for the length of the block, like `overlay.open_host`."""
        number = self._hosts
        self._hosts += 1
        config = HostConfig(
            listen_addresses=(f"/ip4/{address_of(number)}/tcp/{PORT}",), network=self._network
        )
        transport = MemoryTransport(self, number)
        async with open_host(config, identity, clock=self._clock, transport=transport) as node:
            yield node


def address_of(number: int) -> str:
    """Return the address of the host with this number."""
    return f"10.{number >> 8 >> 8 & 255}.{number >> 8 & 255}.{number & 255}"


def _number_of(address: str) -> int:
    _, high, middle, low = (int(part) for part in address.split("."))
    return (high << 16) + (middle << 8) + low


def _place(address: Multiaddr) -> Place:
    return str(address.value_for_protocol("ip4")), int(address.value_for_protocol("tcp"))


class _Connection(ReadWriteCloser):
    """One end of a connection."""

    def __init__(self, ether: MemoryEther, incoming: Pipe, outgoing: Pipe, remote: Place) -> None:
        self._ether = ether
        self._incoming, self._outgoing, self._remote = incoming, outgoing, remote

    async def read(self, n: int | None = None) -> bytes:
        """Return what arrived, or b"" at the end."""
        try:
            return await self._incoming.read(WINDOW_BYTES if n is None else n)
        except PeerUnavailable as error:
            raise ConnectionClosedError(str(error)) from error

    async def write(self, data: bytes) -> None:
        """Send all of *data*."""
        self._ether.sent_bytes += len(data)
        self._ether.writes += 1
        try:
            await self._outgoing.write(data)
        except PeerUnavailable as error:
            raise ConnectionClosedError(str(error)) from error

    async def close(self) -> None:
        """Close both directions."""
        self._outgoing.finish()
        self._incoming.break_off()
        await trio.lowlevel.checkpoint()

    def get_remote_address(self) -> Place:
        """Return where the other end is."""
        return self._remote


class _Listener(IListener):
    def __init__(self, ether: MemoryEther, handler: THandler) -> None:
        self._ether = ether
        self._handler = handler
        self._place: Place | None = None

    async def listen(self, maddr: Multiaddr) -> None:
        place = _place(maddr)
        if place in self._ether.listeners:
            raise OpenConnectionError(f"{maddr} is taken")
        self._ether.listeners[place] = self
        self._place = place
        await trio.lowlevel.checkpoint()

    def get_addrs(self) -> tuple[Multiaddr, ...]:
        if self._place is None:
            return ()
        return (Multiaddr(f"/ip4/{self._place[0]}/tcp/{self._place[1]}"),)

    async def close(self) -> None:
        if self._place is not None:
            self._ether.listeners.pop(self._place, None)
        await trio.lowlevel.checkpoint()

    async def serve(self, connection: _Connection) -> None:
        """Hand an inbound connection to the host."""
        try:
            await self._handler(connection)
        except Exception as error:  # noqa: BLE001  (as libp2p's TCP listener has it)
            logger.debug("inbound connection failed: %r", error)


class MemoryTransport(ITransport):
    """Implements libp2p's `ITransport` for the host with this number."""

    def __init__(self, ether: MemoryEther, number: int) -> None:
        self._ether = ether
        self._number = number
        self._port = FIRST_PORT

    async def dial(self, maddr: Multiaddr) -> IRawConnection:
        """Connect, after the two delays of a handshake."""
        ether, place = self._ether, _place(maddr)
        one_way_s = ether.between(self._number, _number_of(place[0]))
        await trio.sleep(2 * one_way_s)
        listener = ether.listeners.get(place)
        if listener is None:
            raise OpenConnectionError(f"{maddr} refuses the connection")
        self._port += 1
        ether.connections += 1
        there, back = Pipe(one_way_s), Pipe(one_way_s)
        ours = _Connection(ether, back, there, place)
        theirs = _Connection(ether, there, back, (address_of(self._number), self._port))
        ether.nursery.start_soon(listener.serve, theirs)
        return RawConnection(ours, True)

    def create_listener(self, handler_function: THandler) -> IListener:
        """Return a listener that hands connections to *handler_function*."""
        return _Listener(self._ether, handler_function)

    def can_dial(self, maddr: Multiaddr) -> bool:
        """Tell whether it is an address of this ether."""
        names = [protocol.name for protocol in maddr.protocols()]
        return names[:2] == ["ip4", "tcp"]

    def can_listen(self, maddr: Multiaddr) -> bool:
        """Tell the same."""
        return self.can_dial(maddr)

    def protocols(self) -> list[str]:
        """Return what it stands in for."""
        return ["tcp"]

    async def close(self) -> None:
        """Nothing is open here."""
        await trio.lowlevel.checkpoint()


@asynccontextmanager
async def open_memory_ether(
    *, network: str, clock: Callable[[], float], between: Callable[[int, int], float]
) -> AsyncGenerator[MemoryEther]:
    """Keep an ether for libp2p hosts for the length of the block.

    Args:
        network: name of the swarm.
        clock: unix seconds of every host.
        between: one-way delay in seconds between hosts, by their numbers from 0 on.
    """
    async with trio.open_nursery() as nursery:
        yield MemoryEther(nursery, network=network, clock=clock, between=between)
        nursery.cancel_scope.cancel()
