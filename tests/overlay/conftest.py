"""The two kinds of swarm that the contract tests run on."""

import time
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

import pytest

from overlay import DhtConfig, GossipConfig, HostConfig, generate_identity, open_host
from overlay.memory import MemoryNetwork, open_network
from overlay.node import Node

LOOPBACK = ("/ip4/127.0.0.1/tcp/0",)
DEFAULT_LIMITS = GossipConfig()
QUIET = DhtConfig(explore_interval_s=0)


class Swarm(Protocol):
    """Opens hosts that can find each other."""

    def now_unix_s(self) -> float: ...

    def open_host(
        self, *, explores: bool = False, gossip: GossipConfig = DEFAULT_LIMITS
    ) -> AbstractAsyncContextManager[Node]: ...


class Libp2pSwarm:
    def now_unix_s(self) -> float:
        return time.time()  # noqa: TID251  (the tests' own clock)

    def open_host(
        self, *, explores: bool = False, gossip: GossipConfig = DEFAULT_LIMITS
    ) -> AbstractAsyncContextManager[Node]:
        dht = DhtConfig() if explores else QUIET
        config = HostConfig(listen_addresses=LOOPBACK, network="test", dht=dht, gossip=gossip)
        return open_host(config, generate_identity(), clock=self.now_unix_s)


@asynccontextmanager
async def open_memory_swarm() -> AsyncGenerator["MemorySwarm"]:
    async with open_network(seed=7, latency_s=0.001) as network:
        yield MemorySwarm(network)


class MemorySwarm:
    def __init__(self, network: MemoryNetwork) -> None:
        self.network = network

    def now_unix_s(self) -> float:
        return self.network.clock()

    def open_host(
        self, *, explores: bool = False, gossip: GossipConfig = DEFAULT_LIMITS
    ) -> AbstractAsyncContextManager[Node]:
        dht = DhtConfig() if explores else QUIET
        config = HostConfig(network="memory", dht=dht, gossip=gossip)
        return self.network.open_host(generate_identity(), config=config)


@pytest.fixture(params=["libp2p", "memory"])
async def swarm(request: pytest.FixtureRequest) -> AsyncGenerator[Swarm]:
    """A swarm of the real kind, and one inside this process."""
    if request.param == "libp2p":
        yield Libp2pSwarm()
        return
    async with open_memory_swarm() as memory:
        yield memory


@pytest.fixture
def libp2p_swarm() -> Libp2pSwarm:
    return Libp2pSwarm()
