"""GossipSub routers: meshes as specified, latency as evaluated, attacks with and without scores."""

import functools

import numpy as np
import pytest

from simulations.models.draws import key_of
from simulations.models.gossip import routers
from simulations.models.gossip.routers import Swarm
from simulations.models.gossip.state import Limits, Weights, connect
from simulations.models.gossip.upkeep import heartbeat

SMALL = {"honest": 200, "publishers": 20, "messages_per_s": 5.0, "duration_s": 8.0}
SYBILS = {"sybils": 200, "sybil_connections": 40, "addresses": 10**6}


@functools.cache
def spread(seed=1, **values):
    return routers.run(Swarm(**SMALL | values), seed)


def settled(sybils=0, beats=20):
    state = connect(200, sybils, 20, 40, 0.025, 0.1, 10**6, 0, 0.0, 1)
    for beat in range(beats):
        args = Limits(scoring=False), Weights(), float(beat), sybils > 0, 200
        heartbeat(state, *args, key_of(1, beat))
    return state


def test_connections_are_the_same_from_both_sides() -> None:
    state = connect(200, 50, 20, 40, 0.025, 0.1, 10, 0, 0.0, 1)
    for one in range(200):
        peers = [int(state.peer[one, slot]) for slot in range(state.links[one])]
        assert len(set(peers)) == len(peers)
        assert one not in peers
        for slot, other in enumerate(peers):
            back = state.back[one, slot]
            assert (back < 0) == (other >= 200)
            if back >= 0:
                assert state.peer[other, back] == one
                assert state.delay_s[other, back] == state.delay_s[one, slot]
                assert state.outbound[one, slot] != state.outbound[other, back]


def test_meshes_settle_within_their_bounds_and_are_mutual() -> None:
    state = settled()
    sizes = state.in_mesh.sum(axis=1)
    assert sizes.min() >= Limits().d_low
    assert sizes.max() <= Limits().d_high
    one, slot = np.nonzero(state.in_mesh)
    assert state.in_mesh[state.peer[one, slot], state.back[one, slot]].all()


def test_everybody_gets_everything_as_fast_as_in_the_evaluation() -> None:
    calm = spread(honest=1_000, publishers=100)
    assert calm.delivered == 1
    assert 60 < calm.percentile_ms(50) < 95, "Vyzovitis et al.: below 100 ms, 25 ms a hop"
    assert 85 < calm.percentile_ms(99) < 165


def test_sybils_that_come_late_find_the_mesh_full() -> None:
    late = spread(**SYBILS)
    assert late.mesh_share[-1] < 0.4
    assert late.delivered > 0.999
    assert late.percentile_ms(99) < 2 * spread().percentile_ms(99)


def test_sybils_that_are_there_from_the_start_slow_everything_and_stop_nothing() -> None:
    cold = spread(cold_boot=True, **SYBILS)
    assert cold.mesh_share[3] > 0.6
    assert cold.percentile_ms(99) > 3 * spread().percentile_ms(99)
    assert cold.delivered > 0.99, "lazy gossip gets it through"


def test_scores_take_silent_sybils_out_of_the_mesh() -> None:
    long = {"cold_boot": True, "warm_up_s": 60.0, **SYBILS}
    scored, blind = spread(**long), spread(**long, limits=Limits(scoring=False))
    assert scored.mesh_share[-1] < 0.6 * blind.mesh_share[-1]
    assert scored.percentile_ms(99) < blind.percentile_ms(99)


def test_sybils_on_few_addresses_are_kept_out() -> None:
    crowded = spread(cold_boot=True, **SYBILS | {"addresses": 1})
    assert crowded.mesh_share[-1] < 0.05


def test_an_eclipsed_router_still_gets_its_messages() -> None:
    eclipsed = spread(targets=1, sybils=150, sybil_connections=1, addresses=10**6, cold_boot=True)
    assert np.isfinite(eclipsed.latency_s[:, 0]).mean() > 0.95
    assert np.isfinite(eclipsed.latency_s[:, 1:]).all()


def test_before_the_flash_covert_sybils_help() -> None:
    covert = spread(attack_s=1e9, cold_boot=True, **SYBILS)
    assert covert.delivered == 1
    assert covert.percentile_ms(99) < spread(cold_boot=True, **SYBILS).percentile_ms(99)


def test_without_flood_publishing_and_lazy_gossip_a_mesh_is_enough() -> None:
    bare = spread(limits=Limits(flood_publish=False, d_lazy=0, gossip_factor=0.0))
    assert bare.delivered == 1
    assert bare.lazy == 0
    assert bare.percentile_ms(50) > spread().percentile_ms(50)


def test_the_same_seed_gives_the_same_swarm() -> None:
    one, other = (routers.run(Swarm(**SMALL), 3) for _ in range(2))
    assert np.array_equal(one.latency_s, other.latency_s)
    assert not np.array_equal(one.latency_s, spread().latency_s)


def test_swarms_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="degree"):
        Swarm(honest=5, degree=20)
