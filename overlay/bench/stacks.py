"""The two stacks under test behind one small port, so that both run the same measurements."""

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol

import msgspec

from overlay.dht.records import provider_key
from overlay.driver import ByteStream
from overlay.gossip.service import GossipConfig
from overlay.host import DhtConfig, HostConfig, open_host
from overlay.identity import generate_identity
from overlay.ids import PeerId
from overlay.node import Node, parse_addresses
from overlay.rpc.stream import FrameStream
from overlay.transport import Stream

LOOPBACK = ("/ip4/127.0.0.1/tcp/0",)
LOOPBACK_QUIC = ("/ip4/127.0.0.1/udp/0/quic-v1",)
UNLIMITED = GossipConfig(source_rate_per_s=1e6, source_burst=10**6, forwarder_rate_per_s=1e6)

FrameHandler = Callable[[Stream], Awaitable[None]]


class Peer(Protocol):
    """What the measurements ask of a stack."""

    @property
    def peer_id(self) -> PeerId: ...  # noqa: D102
    @property
    def addresses(self) -> tuple[str, ...]: ...  # noqa: D102
    async def connect(self, addresses: tuple[str, ...]) -> None: ...  # noqa: D102
    async def open_stream(self, peer_id: PeerId, protocol: str) -> Stream: ...  # noqa: D102
    def serve(self, protocol: str, handler: FrameHandler) -> None: ...  # noqa: D102
    async def explore(self) -> None: ...  # noqa: D102
    async def provide(self, key: bytes) -> None: ...  # noqa: D102
    async def find_providers(self, key: bytes) -> int: ...  # noqa: D102
    async def subscribe(self, topic: str, deliver: Callable[[bytes], None]) -> None: ...  # noqa: D102
    async def publish(self, topic: str, data: bytes) -> None: ...  # noqa: D102


class Ours:
    """`overlay.open_host` behind the port."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.peer_id = node.peer_id
        self.addresses = node.addresses

    async def connect(self, addresses: tuple[str, ...]) -> None:
        """Dial a peer."""
        await self._node.connect(addresses)

    async def reconnect(self, addresses: tuple[str, ...]) -> None:
        """Hang up and dial again."""
        driver = self._node._driver  # noqa: SLF001  (a node drops only whom it bans)
        await driver.drop(peer_of(addresses))
        await self._node.connect(addresses)

    async def open_stream(self, peer_id: PeerId, protocol: str) -> Stream:
        """Open a stream of frames."""
        return await self._node.open_stream(peer_id, protocol)

    def serve(self, protocol: str, handler: FrameHandler) -> None:
        """Answer streams of frames."""
        self._node.serve(protocol, handler, streams_max=1000)

    async def explore(self) -> None:
        """Look ourselves up."""
        await self._node.explore()

    async def provide(self, key: bytes) -> None:
        """Say that we provide *key*."""
        await self._node.provide(key)

    async def find_providers(self, key: bytes) -> int:
        """Return how many providers were found."""
        return len(await self._node.find_providers(key))

    async def subscribe(self, topic: str, deliver: Callable[[bytes], None]) -> None:
        """Hand every message to *deliver* until cancelled."""
        async with self._node.subscribe(topic, lambda *_: True, queued_max=10_000) as messages:
            async for message in messages:
                deliver(message.data)

    async def publish(self, topic: str, data: bytes) -> None:
        """Gossip *data*."""
        await self._node.publish(topic, data)


class Stock:
    """Plain py-libp2p behind the port."""

    def __init__(self, host: "StockHostPort") -> None:
        self._host = host
        self.peer_id = host.peer_id
        self.addresses = host.addresses

    async def connect(self, addresses: tuple[str, ...]) -> None:
        """Dial a peer."""
        await self._host.connect(addresses)

    async def open_stream(self, peer_id: PeerId, protocol: str) -> Stream:
        """Open a stream of frames."""
        raw = await self._host.open_stream(peer_id, protocol)
        return FrameStream(raw, inbound=False, linger=_forget)

    def serve(self, protocol: str, handler: FrameHandler) -> None:
        """Answer streams of frames."""

        async def handle(raw: ByteStream) -> None:
            await handler(FrameStream(raw, inbound=True, linger=_forget))

        self._host.serve(protocol, handle)

    async def explore(self) -> None:
        """Look ourselves up."""
        await self._host.explore()

    async def provide(self, key: bytes) -> None:
        """Say that we provide *key*."""
        await self._host.provide(provider_key(key))

    async def find_providers(self, key: bytes) -> int:
        """Return how many providers were found."""
        return await self._host.find_providers(provider_key(key))

    async def subscribe(self, topic: str, deliver: Callable[[bytes], None]) -> None:
        """Hand every message to *deliver* until cancelled."""
        await self._host.subscribe(topic, deliver)

    async def publish(self, topic: str, data: bytes) -> None:
        """Gossip *data*."""
        await self._host.publish(topic, data)


class StockHostPort(Protocol):
    """What `overlay._libp2p_stock.StockHost` offers."""

    peer_id: PeerId
    addresses: tuple[str, ...]

    async def connect(self, addresses: tuple[str, ...]) -> None: ...  # noqa: D102
    async def open_stream(self, peer_id: PeerId, protocol: str) -> ByteStream: ...  # noqa: D102
    def serve(self, protocol: str, handler: Callable[[ByteStream], Awaitable[None]]) -> None: ...  # noqa: D102
    async def explore(self) -> None: ...  # noqa: D102
    async def provide(self, key: str) -> None: ...  # noqa: D102
    async def find_providers(self, key: str) -> int: ...  # noqa: D102
    async def subscribe(self, topic: str, deliver: Callable[[bytes], None]) -> None: ...  # noqa: D102
    async def publish(self, topic: str, data: bytes) -> None: ...  # noqa: D102


def _forget(_raw: ByteStream) -> None:
    """Leave a closed stream to its fate, as plain code does."""


@asynccontextmanager
async def _open_ours(**changes: Any) -> AsyncGenerator[Ours]:  # noqa: ANN401  (of the settings)
    config = HostConfig(
        listen_addresses=LOOPBACK,
        network="bench",
        gossip=UNLIMITED,
        dht=DhtConfig(explore_interval_s=0),
    )
    config = msgspec.structs.replace(config, **changes)
    async with open_host(config, generate_identity(), clock=time.time) as node:  # noqa: TID251
        yield Ours(node)


@asynccontextmanager
async def _open_stock(*, dht: bool, gossip: bool) -> AsyncGenerator[Stock]:
    from overlay._libp2p_stock import open_stock_host  # noqa: PLC0415  (in its own process only)

    async with open_stock_host(generate_identity(), dht=dht, gossip=gossip) as host:
        yield Stock(host)


def open_peer(
    stack: str, *, dht: bool = False, gossip: bool = False
) -> AbstractAsyncContextManager[Peer]:
    """Run one peer of *stack* for the length of the block.

    Args:
        stack: "stock" for plain py-libp2p; "ours", or "noise", "tls" or "quic" for ours with
            that alone.
        dht: whether a stock peer has one; ours always has.
        gossip: the same.
    """
    match stack:
        case "stock":
            return _open_stock(dht=dht, gossip=gossip)
        case "noise" | "tls":
            return _open_ours(security=(stack,))
        case "quic":
            return _open_ours(quic=True, listen_addresses=LOOPBACK_QUIC)
        case _:
            return _open_ours()


def peer_of(addresses: Sequence[str]) -> PeerId:
    """Return the peer that *addresses* name."""
    return parse_addresses(addresses).peer_id
