"""Strangers take turns: one at a time, with pauses in which everybody else is served."""

import itertools
import time

import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from overlay import DhtConfig, HostConfig, _libp2p, generate_identity, open_host
from overlay.limits.turns import (
    NEWCOMER_TURNS,
    PAUSE_FACTOR,
    PAUSE_S,
    SPENT_S_MAX,
    Turns,
)
from overlay.limits.turnstile import Newcomer, Turnstile

QUIET = HostConfig(
    listen_addresses=("/ip4/127.0.0.1/tcp/0",), network="test", dht=DhtConfig(explore_interval_s=0)
)


@given(st.lists(st.tuples(st.floats(0, 0.01), st.floats(0, SPENT_S_MAX)), max_size=100))
def test_strangers_get_a_fifth_of_the_time_at_most(script) -> None:
    turns, now_s, worked_s = Turns(), 0.0, 0.0
    for idle_s, work_s in script:
        now_s = turns.next_s(now_s + idle_s)
        turns.begin(now_s)
        worked_s += work_s
        turns.end(now_s, now_s + work_s)
        now_s += work_s
    assert worked_s <= turns.next_s(now_s) / 5 + 1e-9


@given(st.lists(st.floats(0, 0.01), max_size=100))
def test_turns_begin_a_pause_apart_and_nobody_waits_longer(arrivals) -> None:
    turns, now_s, last_s = Turns(), 0.0, -1.0
    for gap_s in arrivals:
        now_s += gap_s
        begins_at_s = turns.next_s(now_s)
        assert last_s + PAUSE_S - 1e-9 <= begins_at_s <= now_s + PAUSE_S + 1e-9
        turns.begin(begins_at_s)
        last_s = now_s = begins_at_s


def test_a_clock_that_jumps_stops_nobody() -> None:
    turns = Turns()
    turns.end(0.0, 1000.0)
    assert turns.next_s(1000.0) <= 1000.0 + PAUSE_FACTOR * SPENT_S_MAX


async def test_a_crowd_of_newcomers_is_served_one_by_one(autojump_clock: MockClock) -> None:
    turnstile, began_at_s = Turnstile(), []

    async def come() -> None:
        newcomer = Newcomer(turnstile)
        for _ in range(5):
            await newcomer.turn()
            began_at_s.append(trio.current_time())

    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(come)
    gaps_s = [later - earlier for earlier, later in itertools.pairwise(began_at_s)]
    assert len(began_at_s) == 50
    assert min(gaps_s) >= PAUSE_S - 1e-9


async def test_who_is_in_for_a_while_waits_no_more(autojump_clock: MockClock) -> None:
    newcomer = Newcomer(Turnstile())
    for _ in range(NEWCOMER_TURNS):
        await newcomer.turn()
    before_s = trio.current_time()
    for _ in range(100):
        await newcomer.turn()
    assert trio.current_time() == before_s


async def test_a_stranger_waits_and_a_neighbour_does_not(monkeypatch) -> None:
    made: list[Turnstile] = []

    class Kept(Turnstile):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    monkeypatch.setattr(_libp2p, "Turnstile", Kept)
    async with (
        open_host(QUIET, generate_identity(), clock=time.time) as server,  # noqa: TID251
        open_host(QUIET, generate_identity(), clock=time.time) as neighbour,  # noqa: TID251
        open_host(QUIET, generate_identity(), clock=time.time) as stranger,  # noqa: TID251
    ):
        server.serve("/echo/1", _echo, streams_max=8)
        await neighbour.connect(server.addresses)
        for _ in range(NEWCOMER_TURNS):
            assert await neighbour.request(server.peer_id, "/echo/1", b"x") == b"x"
        async with trio.open_nursery() as nursery, made[0]._queue:
            nursery.start_soon(stranger.connect, server.addresses)
            await trio.sleep(0.3)
            assert not stranger.connected_peers()
            with trio.fail_after(20):
                assert await neighbour.request(server.peer_id, "/echo/1", b"x") == b"x"
        assert stranger.connected_peers() == (server.peer_id,)


async def _echo(stream) -> None:
    await stream.send(await stream.receive())
