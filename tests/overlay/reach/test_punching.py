"""The service that punches, over streams in memory: attempts, limits, and giving up."""

from collections.abc import Sequence

import pytest
import trio
import trio.testing

from overlay import PeerId
from overlay.errors import OverlayError, PeerUnavailable
from overlay.reach.punch import ATTEMPTS_MAX, Dial, Role
from overlay.reach.punching import HOPELESS_S, PEER_RATE, TOTAL_RATE, Puncher

A, B = PeerId("A"), PeerId("B")
ADDRESS_OF = {A: "/ip4/8.8.4.4/tcp/1", B: "/ip4/1.1.1.1/tcp/2"}


class Pipe:
    """One end of a stream of bytes between two peers."""

    prefix = ""

    def __init__(self, peer_id: PeerId, below: trio.abc.Stream) -> None:
        self.peer_id, self._below = peer_id, below

    async def read(self, bytes_max: int) -> bytes:
        try:
            return await self._below.receive_some(bytes_max)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise PeerUnavailable("reset") from error

    async def write(self, data: bytes) -> None:
        try:
            await self._below.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise PeerUnavailable("reset") from error

    async def finish(self) -> None:
        pass

    async def reset(self) -> None:
        await self._below.aclose()


class World:
    """Two punchers, and NATs that let the attempts through that are named."""

    def __init__(self, nursery: trio.Nursery, through: Sequence[int]) -> None:
        self.dials: list[tuple[PeerId, Dial, float]] = []
        self.opened = 0
        self._through, self._nursery = through, nursery
        self.punchers = {each: self._puncher(each) for each in (A, B)}

    def _puncher(self, own: PeerId) -> Puncher:
        async def open_stream(peer_id: PeerId, _protocol: str) -> Pipe:
            self.opened += 1
            one, other = trio.testing.memory_stream_pair()
            self._nursery.start_soon(self.punchers[peer_id].serve, Pipe(own, other))
            return Pipe(peer_id, one)

        async def dial(peer_id: PeerId, dial: Dial) -> None:
            self.dials.append((peer_id, dial, trio.current_time()))
            if self.opened not in self._through:
                await trio.sleep_forever()

        async def dial_known(_peer_id: PeerId) -> None:
            raise PeerUnavailable("it announces no public address")

        return Puncher(lambda: [ADDRESS_OF[own]], list, open_stream, dial, dial_known)


async def test_both_sides_dial_each_other_in_their_roles(autojump_clock) -> None:
    async with trio.open_nursery() as nursery:
        world = World(nursery, through=[1])
        assert await world.punchers[B].upgrade(A)
        await trio.testing.wait_all_tasks_blocked()
        assert {(to, dial.addresses, dial.role) for to, dial, _ in world.dials} == {
            (A, (ADDRESS_OF[A],), Role.SERVER),
            (B, (ADDRESS_OF[B],), Role.CLIENT),
        }
        assert (world.punchers[B].succeeded, world.punchers[B].failed) == (1, 0)


@pytest.mark.parametrize("through", [1, 2, ATTEMPTS_MAX])
async def test_a_failed_attempt_is_followed_by_another(through, autojump_clock) -> None:
    async with trio.open_nursery() as nursery:
        world = World(nursery, through=[through])
        assert await world.punchers[B].upgrade(A)
        assert world.opened == through


async def test_a_hopeless_peer_is_left_alone_for_a_while(autojump_clock) -> None:
    async with trio.open_nursery() as nursery:
        world = World(nursery, through=[])
        assert not await world.punchers[B].upgrade(A)
        assert world.opened == ATTEMPTS_MAX
        assert not await world.punchers[B].upgrade(A)
        assert world.opened == ATTEMPTS_MAX
        await trio.sleep(HOPELESS_S + 1)
        assert not await world.punchers[B].upgrade(A)
        assert world.opened == 2 * ATTEMPTS_MAX


async def not_behind_a_nat(_peer_id: PeerId) -> None:
    await trio.lowlevel.checkpoint()


async def test_many_strangers_cost_few_attempts(autojump_clock) -> None:
    async with trio.open_nursery() as nursery:
        world = World(nursery, through=range(1000))
        puncher = world.punchers[B]
        puncher._dial_known = not_behind_a_nat
        done = [await puncher.upgrade(A) for _ in range(3 * TOTAL_RATE.burst)]
        assert done.count(True) == TOTAL_RATE.burst
        await trio.sleep(1)
        assert await puncher.upgrade(A)


async def test_nobody_makes_us_dial_more_often_than_we_allow(autojump_clock) -> None:
    async with trio.open_nursery() as nursery:
        world = World(nursery, through=range(1000))
        for _ in range(4 * PEER_RATE.burst):
            try:
                await world.punchers[B]._ask(A)
            except OverlayError:
                pass
            await trio.testing.wait_all_tasks_blocked()
        dialed_by_a = [to for to, _, _ in world.dials if to == B]
        assert len(dialed_by_a) == PEER_RATE.burst
