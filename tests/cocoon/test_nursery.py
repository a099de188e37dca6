"""Errors come out of a private nursery as themselves, and so does a cancellation."""

import pytest
import trio

from cocoon.nursery import leaves, open_private_nursery


async def fail(error: Exception) -> None:
    await trio.lowlevel.checkpoint()
    raise error


async def test_one_error_comes_out_as_itself():
    with pytest.raises(KeyError):
        async with open_private_nursery() as nursery:
            nursery.start_soon(fail, KeyError("x"))


async def test_an_interrupt_comes_out_as_itself():
    with pytest.raises(KeyboardInterrupt):
        async with open_private_nursery(), open_private_nursery():
            raise KeyboardInterrupt


async def test_of_two_errors_the_first_comes_out_with_a_note_of_the_other():
    async def fail_late() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("y")

    with pytest.raises((KeyError, ValueError)) as caught:
        async with open_private_nursery() as nursery:
            nursery.start_soon(fail_late)
            nursery.start_soon(fail, KeyError("x"))
    assert caught.value.__notes__[0].startswith("and then: ")


async def test_nested_nurseries_unwrap_to_the_core():
    with pytest.raises(KeyError):
        async with open_private_nursery(), open_private_nursery() as inner:
            inner.start_soon(fail, KeyError("x"))


async def test_a_cancellation_comes_out_as_one_that_can_be_seen():
    seen = []
    with trio.CancelScope() as scope:
        try:
            async with open_private_nursery() as nursery:
                nursery.start_soon(trio.sleep_forever)
                nursery.start_soon(trio.sleep_forever)
                scope.cancel()
        except trio.Cancelled as error:
            seen.append(error)
            raise
    assert scope.cancelled_caught
    assert len(seen) == 1


async def test_an_error_that_meets_a_cancellation_comes_out_as_itself_and_hides_nothing():
    async def fail_when_cancelled() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("broke on the way out")

    with trio.CancelScope() as scope:
        with pytest.raises(ValueError, match="on the way out"):
            async with open_private_nursery() as nursery:
                nursery.start_soon(trio.sleep_forever)
                nursery.start_soon(fail_when_cancelled)
                scope.cancel()
        await trio.lowlevel.checkpoint()
        pytest.fail("it was cancelled")
    assert scope.cancelled_caught


def test_leaves_are_the_errors_inside_in_order():
    one, two, three = KeyError(1), KeyError(2), KeyError(3)
    assert leaves(ExceptionGroup("", [one, ExceptionGroup("", [two, three])])) == [one, two, three]
    assert leaves(one) == [one]
