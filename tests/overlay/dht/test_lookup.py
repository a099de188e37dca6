"""The look-up asks nobody twice, ends, and finds the nearest."""

import base58
from hypothesis import given
from hypothesis import strategies as st

from overlay.dht.keys import point_of_peer
from overlay.dht.lookup import (
    CANDIDATES_MAX,
    NEAREST,
    PREFIX_MAX,
    QUERIES_MAX,
    SLOW_S,
    Lookup,
)
from overlay.ids import PeerId
from overlay.transport import PeerAddress

OWN = PeerId(base58.b58encode(b"own").decode())


def peer(number: int, address: str = "/ip4/127.0.0.1/tcp/1") -> PeerAddress:
    return PeerAddress(PeerId(base58.b58encode(number.to_bytes(8, "big")).decode()), (address,))


def distance(target: int, each: PeerAddress) -> int:
    return point_of_peer(each.peer_id) ^ target


def nearest(target: int, peers: list[PeerAddress]) -> list[PeerAddress]:
    return sorted(peers, key=lambda each: distance(target, each))


points = st.integers(0, 2**256 - 1)


@given(st.integers(2, 120), points, st.integers(1, 3), st.randoms(use_true_random=False))
def test_in_a_static_network_the_nearest_are_found(count, target, paths, rng) -> None:
    network = [peer(number) for number in range(count)]
    lookup = Lookup(target, OWN, confirmed=NEAREST, paths=paths)
    waiting = lookup.begin(rng.sample(network, min(count, 2 * paths)), 0.0)
    asked = []
    while waiting:
        current = waiting.pop(rng.randrange(len(waiting)))
        asked.append(current.peer_id)
        near = nearest(point_of_peer(current.peer_id), network)[:8]
        waiting += lookup.answered(
            current.peer_id, nearest(target, [*near, *network[:1]])[:NEAREST], 0.0
        )
    assert lookup.done
    assert len(asked) == len(set(asked)) <= QUERIES_MAX
    everyone_answers_with_the_nearest = nearest(target, network)[0]
    lookup = Lookup(target, OWN, paths=paths)
    waiting = lookup.begin(network[:4], 0.0)
    while waiting and not lookup.done:
        current = waiting.pop()
        waiting += lookup.answered(current.peer_id, nearest(target, network)[:NEAREST], 0.0)
    assert lookup.closest == nearest(target, network)[:NEAREST]
    assert lookup.closest[0] == everyone_answers_with_the_nearest


class Event:
    ANSWER, FAIL, TICK = range(3)


events = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 10**6), st.lists(st.integers(0, 400), max_size=40)),
    max_size=300,
)


@given(events, points)
def test_whatever_is_answered_nobody_is_asked_twice_and_memory_is_bounded(script, target) -> None:
    lookup = Lookup(target, OWN)
    waiting = lookup.begin([peer(number) for number in range(6)], 0.0)
    asked = [each.peer_id for each in waiting]
    now_s = 0.0
    for kind, choice, named in script:
        now_s += 0.1
        asks = []
        if kind == Event.TICK or not waiting:
            asks = lookup.tick(now_s)
        else:
            current = waiting.pop(choice % len(waiting))
            if kind == Event.ANSWER:
                asks = lookup.answered(current.peer_id, [peer(each) for each in named], now_s)
            else:
                asks = lookup.failed(current.peer_id, now_s)
        waiting += asks
        asked += [each.peer_id for each in asks]
        assert OWN not in asked
        assert len(asked) == len(set(asked)) <= QUERIES_MAX
        assert all(len(path.candidates) <= CANDIDATES_MAX + QUERIES_MAX for path in lookup._paths)
        assert len(lookup.closest) <= NEAREST
    while waiting:
        waiting += lookup.failed(waiting.pop().peer_id, now_s)
    assert lookup.done


@given(points, st.integers(0, 5))
def test_answers_and_failures_that_come_late_change_nothing(target, number) -> None:
    lookup = Lookup(target, OWN)
    lookup.begin([peer(each) for each in range(6)], 0.0)
    lookup.failed(peer(number).peer_id, 0.1)
    assert lookup.answered(peer(number).peer_id, [peer(99)], 0.2) == []
    assert peer(number) not in lookup.closest
    assert peer(99) not in lookup.closest


def test_a_slow_peer_gives_its_place_to_another() -> None:
    lookup = Lookup(0, OWN, paths=1, alpha=1)
    [first] = lookup.begin([peer(1), peer(2)], 0.0)
    assert lookup.tick(SLOW_S / 2) == []
    [second] = lookup.tick(SLOW_S)
    assert first != second
    assert not lookup.done
    lookup.answered(second.peer_id, [], SLOW_S)
    assert not lookup.done, "too few answered: the slow one is waited for"
    lookup.answered(first.peer_id, [], 2.0)
    assert lookup.done
    assert set(lookup.closest) == {peer(1), peer(2)}


def test_paths_share_nobody() -> None:
    lookup = Lookup(0, OWN, paths=2, alpha=2)
    waiting = lookup.begin([peer(1), peer(2)], 0.0)
    assert len(waiting) == 2
    both = [peer(each) for each in range(3, 9)]
    one = lookup.answered(waiting[0].peer_id, both, 0.0)
    other = lookup.answered(waiting[1].peer_id, both, 0.0)
    assert one
    assert other
    assert not {each.peer_id for each in one} & {each.peer_id for each in other}


def test_one_prefix_does_not_fill_the_candidates() -> None:
    lookup = Lookup(0, OWN, paths=1, alpha=1)
    [first] = lookup.begin([peer(1)], 0.0)
    crowd = [peer(each, f"/ip4/8.8.8.{each}/tcp/1") for each in range(2, 20)]
    lookup.answered(first.peer_id, crowd, 0.0)
    assert len(lookup.closest) == 1 + PREFIX_MAX
    # a failed one makes room for another of its prefix
    [stranger] = [each for each in lookup._asked if each != first.peer_id]
    lookup.failed(stranger, 0.0)
    assert len(lookup.closest) == PREFIX_MAX


def test_without_anybody_it_is_over_at_once() -> None:
    lookup = Lookup(0, OWN)
    assert lookup.begin([], 0.0) == []
    assert lookup.done
    assert lookup.closest == []


def test_a_stopped_lookup_asks_nobody() -> None:
    lookup = Lookup(0, OWN)
    [first, *_] = lookup.begin([peer(each) for each in range(9)], 0.0)
    lookup.stop()
    assert lookup.done
    assert lookup.answered(first.peer_id, [peer(50)], 0.0) == []
