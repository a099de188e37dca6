"""Names the models as engines of ``cocoon sim``; light: numba loads when one runs."""

from simulations.engines import MIB, Engine, register
from simulations.scenario import Scenario

_NUMBA = 200 * MIB


def _table_bytes(scenario: Scenario) -> int:
    """Return what explicit routing tables take, as `kademlia.tables.table_bytes`."""
    nodes = scenario.population.nodes + scenario.attackers.sybils
    return nodes * (max(1, nodes - 1).bit_length() + 3) * scenario.dht.k * 4


def _router_bytes(scenario: Scenario) -> int:
    """Return what the routers' connections take when there are sybils."""
    return scenario.attackers.sybils * 100 * 120 + scenario.gossip.messages * 8


for _engine in (
    Engine(
        name="gossip",
        summary="model: GossipSub v1.1; whole routers to 5,000 nodes, one mesh above",
        run="simulations.models.runs:gossip",
        base_bytes=_NUMBA,
        node_bytes=120,
        nodes="20 to 10^8",
        extra_bytes=_router_bytes,
    ),
    Engine(
        name="kademlia",
        summary="model: iterative lookups, exact to the event",
        run="simulations.models.runs:kademlia",
        base_bytes=_NUMBA,
        node_bytes=24,
        nodes="20 to 10^7",
        extra_bytes=_table_bytes,
    ),
    Engine(
        name="churn",
        summary="model: who is there, minute by minute",
        run="simulations.models.runs:churn",
        base_bytes=_NUMBA,
        node_bytes=16,
        nodes="1 to 10^8",
    ),
    Engine(
        name="market",
        summary="model: the price rule among providers and requesters, second by second",
        run="simulations.models.runs:market",
        base_bytes=_NUMBA,
        node_bytes=300,
        nodes="1 to 10^6 providers",
    ),
):
    register(_engine)
