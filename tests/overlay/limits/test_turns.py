"""Strangers take turns: one at a time, with pauses in which everybody else is served."""

import itertools
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import msgspec
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from overlay import DhtConfig, HostConfig, _libp2p, generate_identity, open_host
from overlay.addresses import is_circuit
from overlay.limits.turns import (
    NEWCOMER_TURNS,
    PAUSE_FACTOR,
    PAUSE_S,
    SPENT_S_MAX,
    Line,
    Turns,
)
from overlay.limits.turnstile import Newcomer, Turnstile
from overlay.relay.core import RelayConfig

QUIET = HostConfig(
    listen_addresses=("/ip4/127.0.0.1/tcp/0",), network="test", dht=DhtConfig(explore_interval_s=0)
)
DEAD = ("/ip4/127.0.0.1/tcp/9",)


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


names = st.sampled_from("abc")


@given(st.lists(st.tuples(names, names), max_size=60), st.lists(st.booleans(), max_size=200))
def test_whoever_is_alone_in_its_name_waits_for_one_of_each_other_at_most(before, calls) -> None:
    """Others never stop joining: three groups of three, and ourselves in one of them."""
    line: Line[str] = Line()
    for group, member in before:
        line.join(group, member, "other")
    line.join("a", "own", "own")
    for waited, joins in enumerate(calls):
        if joins:
            for group in "abc":
                for member in "abc":
                    line.join(group, member, "other")
        if line.call() == "own":
            break
        assert waited + 1 < 3 * 4


@given(st.lists(st.tuples(names, names, st.integers(0, 3)), max_size=60), st.data())
def test_everybody_is_called_once_or_leaves(joined, data) -> None:
    line: Line[int] = Line()
    waiting = {}
    for number, (group, member, then) in enumerate(joined):
        line.join(group, member, number)
        waiting[number] = (group, member)
        if then == 0:
            del waiting[line.call()]
        elif then == 1:
            gone = data.draw(st.sampled_from(sorted(waiting)))
            line.leave(*waiting.pop(gone), gone)
    while line:
        del waiting[line.call()]
    assert waiting == {}


class Gated(Turnstile):
    """Gives turns while it is open."""

    def __init__(self) -> None:
        super().__init__()
        self._opened = trio.Event()
        self._opened.set()
        self._running = trio.CancelScope()

    def shut(self) -> None:
        self._opened = trio.Event()
        self._running.cancel()

    def open(self) -> None:
        self._opened.set()

    async def run(self) -> None:
        while True:
            await self._opened.wait()
            with trio.CancelScope() as self._running:
                await super().run()


@asynccontextmanager
async def running_turnstile() -> AsyncGenerator[Turnstile]:
    turnstile = Turnstile()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(turnstile.run)
        yield turnstile
        nursery.cancel_scope.cancel()


async def test_a_crowd_of_newcomers_is_served_one_by_one(autojump_clock: MockClock) -> None:
    began_at_s = []

    async def come(turnstile: Turnstile, number: int) -> None:
        newcomer = Newcomer(turnstile, f"{number}", "")
        for _ in range(5):
            await newcomer.turn()
            began_at_s.append(trio.current_time())

    async with running_turnstile() as turnstile, trio.open_nursery() as nursery:
        for number in range(10):
            nursery.start_soon(come, turnstile, number)
    gaps_s = [later - earlier for earlier, later in itertools.pairwise(began_at_s)]
    assert len(began_at_s) == 50
    assert min(gaps_s) >= PAUSE_S - 1e-9


async def test_a_crowd_behind_one_relay_holds_up_nobody_else(autojump_clock: MockClock) -> None:
    """Fifty come through one relay at once; then somebody comes through another one."""
    async with running_turnstile() as turnstile, trio.open_nursery() as nursery:
        for number in range(50):
            nursery.start_soon(turnstile.take, "relay", f"{number}")
        await trio.sleep(PAUSE_S / 2)
        before_s = trio.current_time()
        await turnstile.take("another relay", "somebody")
        assert trio.current_time() - before_s <= 2 * PAUSE_S


async def test_who_gives_up_waiting_takes_no_turn(autojump_clock: MockClock) -> None:
    async with running_turnstile() as turnstile:
        await turnstile.take("a", "")
        with trio.move_on_after(PAUSE_S / 2):
            await turnstile.take("a", "")
        assert not turnstile._line
        before_s = trio.current_time()
        await turnstile.take("a", "")
        assert trio.current_time() - before_s <= PAUSE_S


async def test_a_long_turn_that_ends_late_is_followed_by_a_long_pause(
    autojump_clock: MockClock,
) -> None:
    async with running_turnstile() as turnstile, trio.open_nursery() as nursery:
        began_at_s = await turnstile.take("a", "")
        nursery.start_soon(turnstile.take, "b", "")
        await trio.sleep(SPENT_S_MAX * 0.9)
        turnstile.end(began_at_s)
        before_s = trio.current_time()
        await turnstile.take("c", "")
        assert trio.current_time() - before_s >= PAUSE_FACTOR * SPENT_S_MAX * 0.9


async def test_who_is_in_for_a_while_waits_no_more(autojump_clock: MockClock) -> None:
    async with running_turnstile() as turnstile:
        newcomer = Newcomer(turnstile, "a", "")
        for _ in range(NEWCOMER_TURNS):
            await newcomer.turn()
        before_s = trio.current_time()
        for _ in range(100):
            await newcomer.turn()
        assert trio.current_time() == before_s


@pytest.fixture
def made(monkeypatch) -> list[Gated]:
    """The turnstiles of the hosts that a test opens, in order."""
    found: list[Gated] = []

    class Kept(Gated):
        def __init__(self) -> None:
            super().__init__()
            found.append(self)

    monkeypatch.setattr(_libp2p, "Turnstile", Kept)
    return found


def open_quiet(**options):
    config = msgspec.structs.replace(QUIET, **options)
    return open_host(config, generate_identity(), clock=time.time)  # noqa: TID251


async def test_a_stranger_waits_and_a_neighbour_does_not(made) -> None:
    async with open_quiet() as server, open_quiet() as neighbour, open_quiet() as stranger:
        server.serve("/echo/1", _echo, streams_max=8)
        await neighbour.connect(server.addresses)
        for _ in range(NEWCOMER_TURNS):
            assert await neighbour.request(server.peer_id, "/echo/1", b"x") == b"x"
        async with trio.open_nursery() as nursery:
            made[0].shut()
            nursery.start_soon(stranger.connect, server.addresses)
            await _until(lambda: bool(made[0]._line))
            assert not stranger.connected_peers()
            with trio.fail_after(30):
                assert await neighbour.request(server.peer_id, "/echo/1", b"x") == b"x"
            made[0].open()
        assert stranger.connected_peers() == (server.peer_id,)


async def test_a_stranger_that_a_relay_brings_waits_too(made) -> None:
    async with (
        open_quiet(relay=RelayConfig()) as relay,
        open_quiet(relays=relay.addresses, announce_addresses=DEAD) as hidden,
        open_quiet() as stranger,
    ):
        hidden.serve("/echo/1", _echo, streams_max=8)
        await _until(lambda: any(is_circuit(each) for each in hidden.addresses))
        circuits = [each for each in hidden.addresses if is_circuit(each)]
        await stranger.connect(relay.addresses)
        async with trio.open_nursery() as nursery:
            made[1].shut()
            nursery.start_soon(stranger.connect, circuits)
            await _until(lambda: bool(made[1]._line))
            ((group, members),) = made[1]._line._groups.items()
            assert (group, list(members)) == (relay.peer_id, [stranger.peer_id])
            assert hidden.peer_id not in stranger.connected_peers()
            made[1].open()
        with trio.fail_after(30):
            assert await stranger.request(hidden.peer_id, "/echo/1", b"x") == b"x"


async def _until(condition: Callable[[], bool]) -> None:
    with trio.fail_after(30):
        while not condition():  # noqa: ASYNC110
            await trio.sleep(0.02)


async def _echo(stream) -> None:
    await stream.send(await stream.receive())
