"""The ether of the engine `libp2p`: unmodified py-libp2p hosts, in memory, in virtual time."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import trio

from overlay._libp2p_memory import open_memory_ether
from overlay.memory import EPOCH_UNIX_S
from simulations.latency import latency_model
from simulations.scenario import Scenario
from simulations.whole.swarm import NETWORK, Ether


@asynccontextmanager
async def open_libp2p_ether(scenario: Scenario, seed: int) -> AsyncGenerator[Ether]:
    """Keep the ether for the length of the block."""
    model = latency_model(scenario.latency, nodes=scenario.population.nodes, seed=seed)

    def between(here: int, there: int) -> float:
        return model.one_way_us(here, there) / 1e6

    def clock() -> float:
        return EPOCH_UNIX_S + trio.current_time()

    async with open_memory_ether(network=NETWORK, clock=clock, between=between) as ether:
        yield ether
