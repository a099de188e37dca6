"""Plain py-libp2p as its own documentation sets it up: what our benchmarks compare with.

Used by `overlay.bench` only, in a process of its own, where none of our fixes is installed.
"""
# ruff: noqa: TID251, ANN401  (the border to libp2p)

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

import trio
from libp2p import new_host
from libp2p.abc import INetStream
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.crypto.x25519 import create_new_key_pair as create_x25519_key_pair
from libp2p.custom_types import TProtocol
from libp2p.kad_dht.kad_dht import DHTMode, KadDHT
from libp2p.network.stream.exceptions import StreamEOF
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import info_from_p2p_addr
from libp2p.pubsub.gossipsub import GossipSub
from libp2p.pubsub.pubsub import Pubsub
from libp2p.security.noise.transport import PROTOCOL_ID as NOISE_ID
from libp2p.security.noise.transport import Transport as NoiseTransport
from libp2p.stream_muxer.yamux.yamux import PROTOCOL_ID as YAMUX_ID
from libp2p.stream_muxer.yamux.yamux import Yamux
from libp2p.tools.anyio_service import background_trio_service
from multiaddr import Multiaddr  # type: ignore[import-untyped]

from overlay.addresses import LOCAL
from overlay.identity import Identity
from overlay.ids import PeerId

MESHSUB: Final = TProtocol("/meshsub/1.1.0")


class StockStream:
    """Implements `overlay.driver.ByteStream` without any of our care."""

    def __init__(self, stream: INetStream) -> None:
        self._stream = stream
        self.peer_id = PeerId(stream.muxed_conn.peer_id.to_base58())
        self.prefix = LOCAL

    async def read(self, bytes_max: int) -> bytes:
        """Return what is there."""
        try:
            return await self._stream.read(bytes_max)
        except StreamEOF:
            return b""

    async def write(self, data: bytes) -> None:
        """Send all of *data*."""
        await self._stream.write(data)

    async def finish(self) -> None:
        """Close our sending side."""
        await self._stream.close_write()  # type: ignore[attr-defined]

    async def reset(self) -> None:
        """Close the stream."""
        await self._stream.close()


class StockHost:
    """A host, its DHT and its gossip."""

    def __init__(self, host: Any, dht: KadDHT | None, pubsub: Pubsub | None) -> None:
        self._host = host
        self._dht = dht
        self._pubsub = pubsub
        self.peer_id = PeerId(host.get_id().to_base58())
        self.addresses = tuple(str(each) for each in host.get_addrs())

    async def connect(self, addresses: tuple[str, ...]) -> None:
        """Dial a peer, and tell the DHT of it."""
        info = info_from_p2p_addr(Multiaddr(addresses[0]))
        await self._host.connect(info)
        if self._dht is not None:
            await self._dht.add_peer(info.peer_id)

    def serve(self, protocol: str, handler: Callable[[StockStream], Awaitable[None]]) -> None:
        """Answer streams."""

        async def handle(stream: INetStream) -> None:
            await handler(StockStream(stream))

        self._host.set_stream_handler(TProtocol(protocol), handle)

    async def open_stream(self, peer_id: PeerId, protocol: str) -> StockStream:
        """Open a stream."""
        target = ID.from_string(peer_id)
        return StockStream(await self._host.new_stream(target, [TProtocol(protocol)]))

    async def explore(self) -> None:
        """Look ourselves up."""
        if self._dht is not None:
            await self._dht.peer_routing.find_closest_peers_network(self._host.get_id().to_bytes())

    async def provide(self, key: str) -> None:
        """Say that we provide *key*."""
        if self._dht is not None:
            await self._dht.provide(key)

    async def find_providers(self, key: str) -> int:
        """Return how many providers of *key* were found."""
        return 0 if self._dht is None else len(await self._dht.find_providers(key))

    async def subscribe(self, topic: str, deliver: Callable[[bytes], None]) -> None:
        """Hand every message of *topic* to *deliver*, until cancelled."""
        if self._pubsub is None:
            return
        self._pubsub.set_topic_validator(topic, lambda *_: True, is_async_validator=False)
        subscription = await self._pubsub.subscribe(topic)
        while True:
            deliver((await subscription.get()).data)

    async def publish(self, topic: str, data: bytes) -> None:
        """Gossip *data*."""
        if self._pubsub is not None:
            await self._pubsub.publish(topic, data)


@asynccontextmanager
async def open_stock_host(
    identity: Identity, *, dht: bool = False, gossip: bool = False
) -> AsyncGenerator[StockHost]:
    """Run a plain host on loopback for the length of the block."""
    keys = create_new_key_pair(identity.seed)
    noise = NoiseTransport(keys, noise_privkey=create_x25519_key_pair().private_key)
    listen = [Multiaddr("/ip4/127.0.0.1/tcp/0")]
    host = new_host(
        keys, sec_opt={NOISE_ID: noise}, muxer_opt={TProtocol(YAMUX_ID): Yamux}, listen_addrs=listen
    )
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(host.run(listen))
        stack.push_async_callback(_close, host)
        kademlia = KadDHT(host, DHTMode.SERVER) if dht else None
        if kademlia is not None:
            await stack.enter_async_context(background_trio_service(kademlia))
        pubsub = await _start_gossip(host, stack) if gossip else None
        yield StockHost(host, kademlia, pubsub)


async def _start_gossip(host: Any, stack: AsyncExitStack) -> Pubsub:
    router = GossipSub(
        protocols=[MESHSUB], degree=6, degree_low=4, degree_high=12, heartbeat_interval=1
    )
    pubsub = Pubsub(host, router)
    for service in (pubsub, router):
        await stack.enter_async_context(background_trio_service(service))
    await pubsub.wait_until_ready()
    return pubsub


async def _close(host: Any) -> None:
    with trio.CancelScope(shield=True, deadline=trio.current_time() + 2):
        await host.close()
