"""One message through a mesh: exactly the shortest paths, whatever the windows."""

import heapq

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulations.models.gossip.broadcast import NEVER, Timing, broadcast
from simulations.models.gossip.mesh import random_mesh
from simulations.models.underlay import Underlay, constant, from_matrix, synthetic


def by_dijkstra(mesh, underlay, source, timing):
    """Return arrivals by a plain event loop with exact integers."""
    arrival = {source: 0}
    queue = [(0, source)]
    while queue:
        now, one = heapq.heappop(queue)
        if now > arrival[one]:
            continue
        for slot in range(mesh.degree[one]):
            other = int(mesh.neighbours[one, slot])
            path = int(underlay.path_us[underlay.site[one], underlay.site[other]])
            miles = int(underlay.last_mile_us[one]) + int(underlay.last_mile_us[other])
            at = now + timing.validate_us + timing.copy_us * (slot + 1) + path + miles
            if at < arrival.get(other, NEVER):
                arrival[other] = at
                heapq.heappush(queue, (at, other))
    return [arrival.get(peer, int(NEVER)) for peer in range(mesh.degree.size)]


@settings(max_examples=20)
@given(
    st.integers(20, 300),
    st.integers(2, 12),
    st.integers(0, 2**32),
    st.integers(0, 5_000),
    st.integers(1, 5_000),
)
def test_arrivals_are_those_of_an_event_loop(peers, degree, seed, validate_us, copy_us) -> None:
    mesh, underlay = random_mesh(peers, degree, degree + 4, seed), synthetic(peers, seed)
    timing = Timing(validate_us, copy_us)
    found = broadcast(mesh, underlay, seed % peers, timing)
    assert found.arrival_us.tolist() == by_dijkstra(mesh, underlay, seed % peers, timing)


def test_meshes_are_symmetric_without_loops_and_within_their_bound() -> None:
    mesh = random_mesh(2_000, 8, 12, 1)
    edges = {
        (one, int(mesh.neighbours[one, slot]))
        for one in range(2_000)
        for slot in range(mesh.degree[one])
    }
    assert len(edges) == mesh.degree.sum(), "no edge twice"
    assert all((other, one) in edges and one != other for one, other in edges)
    assert mesh.degree.max() <= 12
    assert abs(mesh.degree.mean() - 8) < 0.1


def test_a_copy_goes_over_every_edge_and_everybody_gets_it() -> None:
    mesh = random_mesh(5_000, 8, 12, 1)
    found = broadcast(mesh, synthetic(5_000, 1), 0)
    assert found.delivered == 1
    assert found.copies == mesh.degree.sum()
    assert found.redundancy == pytest.approx(found.copies / 4_999 - 1)
    assert found.hops[0] == 0
    assert 3 <= found.hops.max() <= 20


def test_equal_delays_count_hops() -> None:
    mesh = random_mesh(500, 6, 10, 2)
    found = broadcast(mesh, constant(500, 1_000_000), 3, Timing(validate_us=0, copy_us=1))
    assert (found.arrival_us // 1_000_000 == found.hops).all()


@pytest.mark.parametrize(("degree", "most"), [(8, 4), (1, 4), (8, 300)])
def test_a_mesh_that_cannot_be_is_refused(degree, most) -> None:
    with pytest.raises(ValueError, match="no mesh"):
        random_mesh(1_000, degree, most, 1)


def test_an_underlay_that_does_not_fit_is_refused() -> None:
    zeros = np.zeros(3, np.int32)
    with pytest.raises(ValueError, match="site outside"):
        Underlay(zeros + 1, zeros, np.zeros((1, 1), np.int32))
    with pytest.raises(ValueError, match="negative"):
        Underlay(zeros, zeros - 1, np.zeros((1, 1), np.int32))
    with pytest.raises(ValueError, match="at most"):
        broadcast(
            random_mesh(50, 4, 8, 1),
            Underlay(
                *(np.zeros(50, np.int32),), np.full(50, 2**21, np.int32), np.zeros((1, 1), np.int32)
            ),
            0,
        )


def test_measured_sites_are_used_in_proportion() -> None:
    path = np.array([[1, 9], [9, 1]], np.int32)
    underlay = from_matrix(path, np.array([3, 1], np.int32), 10_000, 2, seed=1)
    assert abs((underlay.site == 0).mean() - 0.75) < 0.02
    assert underlay.delay_us_min == 5
