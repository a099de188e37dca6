"""Random meshes: who is whose mesh neighbour, as one array of fixed width.

Source: GossipSub v1.0 and v1.1 (libp2p specs, pubsub/gossipsub): degree D, at most D_hi.
"""

from dataclasses import dataclass

import numpy as np

from simulations.models.compiled import Bytes, Int32s, compiled
from simulations.models.draws import below, draw, key_of

_TRIES = 64


@dataclass(frozen=True, slots=True, eq=False)
class Mesh:
    """An undirected graph.

    Attributes:
        neighbours: int32 (peers, degree_max); the first `degree[i]` of row i are used.
        degree: int8 (peers,).
    """

    neighbours: Int32s
    degree: Bytes


@compiled
def _graft(neighbours: Int32s, degree: Bytes, each: int, key: np.uint64) -> None:
    peers, degree_max = neighbours.shape
    counter = 0
    for one in range(peers):
        grafted, tries = 0, 0
        while grafted < each and tries < _TRIES and degree[one] < degree_max:
            tries += 1
            other = below(draw(key, counter), peers)
            counter += 1
            known = other == one or degree[other] >= degree_max
            for slot in range(degree[one]):
                known = known or neighbours[one, slot] == other
            if not known:
                neighbours[one, degree[one]] = other
                neighbours[other, degree[other]] = one
                degree[one] += 1
                degree[other] += 1
                grafted += 1


def random_mesh(peers: int, degree: int, degree_max: int, seed: int) -> Mesh:
    """Return a mesh in which each peer grafts degree/2 others: mean *degree*, at most *degree_max*.

    Raises:
        ValueError: the degrees do not fit each other.
    """
    if not 2 <= degree <= degree_max <= 127 or peers <= degree_max:
        raise ValueError(f"no mesh of degree {degree}, at most {degree_max}, among {peers} peers")
    neighbours, counts = np.full((peers, degree_max), -1, np.int32), np.zeros(peers, np.int8)
    _graft(neighbours, counts, degree // 2, key_of(seed, 0x3E54))
    return Mesh(neighbours, counts)
