"""Lookups: identical with a plain event loop, and as the theory says."""

import functools
import heapq
import math

import numpy as np
import pytest

from simulations.models.kademlia import lookup as kad
from simulations.models.kademlia.attack import eclipse
from simulations.models.kademlia.lookup import Parameters, look_up, look_up_implicit
from simulations.models.kademlia.tables import build, random_ids, refresh, table_bytes
from simulations.models.underlay import synthetic, synthetic_sites
from simulations.report.theory import greedy_hops

NODES, K = 600, 8


@functools.cache
def network(nodes=NODES, k=K, seed=1):
    ids = random_ids(nodes, seed)
    return build(ids, k, seed), synthetic(nodes, seed)


def draws(nodes, lookups, seed=5):
    rng = np.random.default_rng(seed)
    return rng.integers(0, nodes, lookups), rng.integers(0, 2**64, lookups, dtype=np.uint64)


def plainly(tables, underlay, source, target, parameters, dead):
    """Look up with lists, sets and a heap, written from the paper and not from the kernel."""
    ids, k = [int(one) for one in tables.ids], tables.k

    def known(node):
        contacts = {int(c) for c in tables.contacts[node].ravel() if c >= 0}
        return sorted(contacts, key=lambda c: ids[c] ^ target)[:k]

    def round_trip(node):
        one, other = underlay.site[source], underlay.site[node]
        ways = int(underlay.path_us[one, other]) + int(underlay.path_us[other, one])
        return ways + 2 * int(underlay.last_mile_us[source] + underlay.last_mile_us[node])

    depth = {c: 1 for c in known(source) if c != source}
    state = dict.fromkeys(depth, "new")
    flying, now, requests, timeouts = [], 0, 0, 0
    while True:
        live = sorted((c for c in depth if state[c] != "silent"), key=lambda c: ids[c] ^ target)
        if all(state[c] == "answered" for c in live[: parameters.beta]):
            break
        for c in [c for c in live[:k] if state[c] == "new"]:
            if len(flying) < parameters.alpha:
                state[c] = "asked"
                wait = parameters.timeout_us if dead[c] else round_trip(c)
                heapq.heappush(flying, (now + wait, requests, c))
                requests += 1
        if not flying:
            break
        now, _, node = heapq.heappop(flying)
        state[node] = "silent" if dead[node] else "answered"
        timeouts += bool(dead[node])
        for c in [] if dead[node] else known(node):
            if c != source and c not in depth:
                depth[c], state[c] = depth[node] + 1, "new"
    answered = [c for c in depth if state[c] == "answered"]
    best = min(answered, key=lambda c: ids[c] ^ target, default=-1)
    return best, depth.get(best, 0), requests, timeouts, now


@pytest.mark.parametrize("share_dead", [0.0, 0.15])
@pytest.mark.parametrize(("alpha", "beta"), [(1, 1), (3, K), (10, 3)])
def test_lookups_are_those_of_a_plain_event_loop(alpha, beta, share_dead) -> None:
    tables, underlay = network()
    dead = np.random.default_rng(9).random(NODES) < share_dead
    sources, targets = draws(NODES, 40)
    kinds = np.where(dead, kad.DEAD, kad.ALIVE).astype(np.int8)
    parameters = Parameters(alpha, beta, 2_000_000)
    found = look_up(tables, underlay, sources, targets, parameters, kinds)
    rows = zip(
        *(found.found, found.hops, found.requests, found.timeouts, found.latency_us), strict=True
    )
    for source, target, row in zip(sources, targets, rows, strict=True):
        expected = plainly(tables, underlay, int(source), int(target), parameters, dead)
        assert tuple(int(value) for value in row) == expected


def test_hops_are_what_the_theory_says() -> None:
    for nodes, k in ((1_000, 20), (10_000, 20), (10_000, 8)):
        tables, underlay = network(nodes, k)
        found = look_up(tables, underlay, *draws(nodes, 4_000), Parameters(1, 1))
        assert found.hops.mean() == pytest.approx(greedy_hops(nodes, k), rel=0.04)


def test_nearly_every_lookup_finds_the_nearest() -> None:
    tables, underlay = network(10_000, 20)
    sources, targets = draws(10_000, 2_000)
    found = look_up(tables, underlay, sources, targets)
    assert (kad.truly_nearest(tables.ids, targets) == found.found).mean() > 0.995
    assert (found.closest >= 0).all()


def test_the_nearest_is_the_nearest() -> None:
    ids, (_, targets) = random_ids(300, 2), draws(300, 200)
    expected = [int(np.argmin(ids ^ target)) for target in targets]
    assert kad.truly_nearest(ids, targets).tolist() == expected


def test_more_in_flight_is_faster_and_costs_requests() -> None:
    tables, underlay = network(10_000, 20)
    one, ten = (
        look_up(tables, underlay, *draws(10_000, 500), Parameters(alpha)) for alpha in (1, 10)
    )
    assert ten.latency_us.mean() < one.latency_us.mean() / 3
    assert ten.requests.mean() > one.requests.mean()


def test_buckets_hold_who_shares_that_many_bits_each_once() -> None:
    tables, _ = network()
    for node in range(0, NODES, 37):
        for bucket in range(tables.contacts.shape[1]):
            contacts = [int(c) for c in tables.contacts[node, bucket] if c >= 0]
            assert len(set(contacts)) == len(contacts)
            for contact in contacts:
                difference = int(tables.ids[node] ^ tables.ids[contact])
                assert 64 - difference.bit_length() == bucket
    assert tables.contacts.nbytes == table_bytes(NODES, K)


def test_a_refresh_takes_the_dead_out_and_timeouts_go() -> None:
    nodes = 1_000
    ids = random_ids(nodes, 3)
    tables, underlay = build(ids, 20, 3), synthetic(nodes, 3)
    alive = np.random.default_rng(1).random(nodes) > 0.3
    kinds = np.where(alive, kad.ALIVE, kad.DEAD).astype(np.int8)
    sources = np.flatnonzero(alive)[:200]
    targets = draws(nodes, 200)[1]
    before = look_up(tables, underlay, sources, targets, kinds=kinds)
    refresh(tables, alive, np.ones(nodes, np.bool_), 4)
    after = look_up(tables, underlay, sources, targets, kinds=kinds)
    assert before.timeouts.mean() > 3
    assert after.timeouts.sum() == 0
    assert after.latency_us.mean() < before.latency_us.mean() / 2


def test_computed_tables_give_the_same_network_and_the_same_scaling() -> None:
    ids = random_ids(10_000, 1)
    found, again = (
        look_up_implicit(ids, synthetic_sites(1), *draws(10_000, 1_000), Parameters(1, 1))
        for _ in range(2)
    )
    assert (found.found == again.found).all()
    assert found.hops.mean() == pytest.approx(greedy_hops(10_000, 20), rel=0.05)
    assert (kad.truly_nearest(ids, draws(10_000, 1_000)[1]) == found.found).mean() > 0.95


def test_as_many_sybils_as_a_bucket_hide_a_record_and_half_of_them_do_not() -> None:
    none, half, full = (eclipse(1_000, sybils, 5, 100, 1) for sybils in (0, 10, 20))
    assert none.honest_found == 1
    assert none.attackers_found == 0
    assert half.honest_found == 1
    assert half.attackers_found == pytest.approx(0.5, abs=0.02)
    assert full.honest_found < 0.05


def test_identifiers_are_different_and_sorted() -> None:
    ids = random_ids(5_000, 1)
    assert (ids[1:] > ids[:-1]).all()


@pytest.mark.parametrize("values", [(0, 1, 1), (33, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_parameters_that_no_node_has_are_refused(values) -> None:
    with pytest.raises(ValueError, match="alpha"):
        Parameters(*values)


def test_the_theory_is_within_its_known_values() -> None:
    assert greedy_hops(10**5, 20) == pytest.approx(3.155, abs=0.001)
    assert greedy_hops(10**4, 1) == pytest.approx(6.731, abs=0.001)
    assert math.isfinite(greedy_hops(10**8, 20))
