"""Locks by key: one at a time for each, side by side for different ones, and none left over."""

import trio
import trio.testing

from cocoon.payments.turns import Turns


async def test_each_key_is_held_by_one_at_a_time_and_then_forgotten(autojump_clock):
    turns, held, together = Turns(), [], []

    async def work(key: str) -> None:
        async with turns.turn(key):
            assert turns.taken(key)
            held.append(key)
            together.append(sorted(held))
            await trio.sleep(1)
            held.remove(key)

    async with trio.open_nursery() as nursery:
        for key in "aab":
            nursery.start_soon(work, key)
    assert ["a", "a"] not in together
    assert ["a", "b"] in together
    assert trio.current_time() < 3, "different keys do not wait for each other"
    assert len(turns) == 0 and not turns.taken("a")


async def test_who_gives_up_waiting_leaves_nothing_behind(autojump_clock):
    turns = Turns()

    async def wait_in_vain() -> None:
        with trio.move_on_after(1) as waited:
            async with turns.turn("a"):
                raise AssertionError("it is held")
        assert waited.cancelled_caught

    async with trio.open_nursery() as nursery, turns.turn("a"):
        nursery.start_soon(wait_in_vain)
        await trio.sleep(2)
        assert len(turns) == 1
    assert len(turns) == 0
