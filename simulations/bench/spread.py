"""One message through a mesh. In a module of its own, so that its memory is not that of others."""

from simulations.bench.measuring import cpu_s
from simulations.models.gossip.broadcast import broadcast
from simulations.models.gossip.mesh import random_mesh
from simulations.models.underlay import synthetic

LARGE = 10_000_000
"""From so many nodes on one try has to do."""


def broadcast_s(nodes: int) -> float:
    """Return CPU-seconds of one message through a D = 8 mesh with heterogeneous latency."""
    small = random_mesh(1_000, 8, 12, 1)
    broadcast(small, synthetic(1_000, 1), 0)
    mesh, underlay = random_mesh(nodes, 8, 12, 1), synthetic(nodes, 1)
    return cpu_s(lambda: broadcast(mesh, underlay, 0), times=1 if nodes >= LARGE else 3)
