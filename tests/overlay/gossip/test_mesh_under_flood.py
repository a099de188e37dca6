"""Throw-away authors behind some nodes of a mesh: what all nodes still hear of honest ones."""

import random
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import pytest
import trio
from trio.testing import MockClock

from overlay import GossipConfig, HostConfig, generate_identity
from overlay.ids import PeerId
from overlay.memory import MemoryNetwork, open_network
from overlay.node import Node

NETWORK = "flooded"
CONFIG = HostConfig(network=NETWORK, gossip=GossipConfig(topic_rate_per_s=20.0, topic_burst=100))
NODES, LINKS, SECONDS = 16, 3, 20
HONEST_PER_S = 8
"""By all nodes together: less than half of a topic's rate."""
HOSTILE_PER_S = 100
"""Behind each node that has a hostile neighbour: five times that rate."""


@dataclass(slots=True)
class Mesh:
    """Nodes, what honest ones published, and who heard it."""

    nodes: list[Node]
    sent: int = 0
    heard: set[tuple[PeerId, bytes]] = field(default_factory=set)

    @property
    def delivered_percent(self) -> float:
        return 100 * len(self.heard) / self.sent / len(self.nodes)

    async def publish(self, rng: random.Random) -> None:
        for number in range(SECONDS * HONEST_PER_S):
            self.sent += 1
            await rng.choice(self.nodes).publish("quotes", b"honest %d" % number)
            await trio.sleep(1 / HONEST_PER_S)

    async def flood(self, hostile: int) -> None:
        authors = iter_authors()
        for _ in range(10 * SECONDS):
            for node in self.nodes[:hostile]:
                neighbour = PeerId(f"hostile neighbour of {node.peer_id}")
                for _ in range(HOSTILE_PER_S // 10):
                    message = (next(authors), 1)
                    node._driver.hear(neighbour, message, f"cocoon/{NETWORK}/quotes", b"junk")
            await trio.sleep(0.1)


def iter_authors() -> Iterator[PeerId]:
    number = 0
    while True:
        number += 1
        yield PeerId(f"throw-away {number}")


async def open_mesh(stack: AsyncExitStack, network: MemoryNetwork, rng: random.Random) -> Mesh:
    mesh = Mesh([])
    for _ in range(NODES):
        node = await stack.enter_async_context(
            network.open_host(generate_identity(), config=CONFIG)
        )

        def validate(_source: PeerId, data: bytes, own: PeerId = node.peer_id) -> bool:
            if data.startswith(b"honest"):
                mesh.heard.add((own, data))
            return True

        await stack.enter_async_context(node.subscribe("quotes", validate))
        mesh.nodes.append(node)
    for node in mesh.nodes:
        for other in rng.sample([each for each in mesh.nodes if each is not node], LINKS):
            await node.connect(other.addresses)
    return mesh


@pytest.mark.parametrize(("hostile", "delivered_percent_min"), [(0, 99), (1, 98), (4, 95)])
async def test_all_hear_honest_authors_while_a_quarter_of_the_nodes_is_flooded(
    hostile: int, delivered_percent_min: int, autojump_clock: MockClock
) -> None:
    rng = random.Random(1)  # noqa: S311  (repeatable)
    async with (
        open_network(seed=1, latency_s=0.02, gossip_degree=6) as network,
        AsyncExitStack() as stack,
    ):
        mesh = await open_mesh(stack, network, rng)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(mesh.publish, rng)
            nursery.start_soon(mesh.flood, hostile)
        await trio.sleep(2)
    assert mesh.delivered_percent >= delivered_percent_min
