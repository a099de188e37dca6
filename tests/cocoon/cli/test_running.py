"""Signals: the part that asked to be first is cancelled first, and then the rest."""

import os
import signal

import pytest
import trio
import trio.lowlevel

from cocoon.cli.running import Farewell, Stop, run_interruptible, run_until_stopped


def test_work_that_ends_gives_its_result() -> None:
    async def work() -> int:
        await trio.lowlevel.checkpoint()
        return 7

    assert run_interruptible(work) == 7


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_cancels_the_work(number: int) -> None:
    cleaned = []

    async def work() -> None:
        os.kill(os.getpid(), number)
        try:
            await trio.sleep_forever()
        finally:
            cleaned.append(True)

    with pytest.raises(KeyboardInterrupt):
        run_interruptible(work)
    assert cleaned


def test_the_first_part_says_goodbye_while_the_rest_still_runs() -> None:
    stop, told = Stop(), []

    async def work() -> None:
        async with trio.open_nursery() as network:
            network.start_soon(trio.sleep_forever)
            with stop.first():
                os.kill(os.getpid(), signal.SIGINT)
                await trio.sleep_forever()
            await trio.lowlevel.checkpoint()
            told.append(network.cancel_scope.cancel_called)
            network.cancel_scope.cancel()

    with pytest.raises(KeyboardInterrupt):
        run_interruptible(work, stop)
    assert told == [False]


def test_a_second_signal_ends_what_does_not_end() -> None:
    stop = Stop()

    async def work() -> None:
        with stop.first():
            os.kill(os.getpid(), signal.SIGINT)
            await trio.sleep_forever()
        os.kill(os.getpid(), signal.SIGINT)
        await trio.sleep_forever()

    with pytest.raises(KeyboardInterrupt):
        run_interruptible(work, stop)


def test_errors_come_out_as_themselves() -> None:
    async def work() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run_interruptible(work)


def test_a_server_stops_at_a_signal_without_an_error() -> None:
    async def serve() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await trio.sleep_forever()

    run_until_stopped(serve, stop_with_stdin=False)


def test_a_server_says_goodbye_before_it_stops() -> None:
    farewell, told = Farewell(), []

    async def say() -> None:
        await trio.lowlevel.checkpoint()
        told.append("goodbye")

    async def serve() -> None:
        farewell.say = say
        os.kill(os.getpid(), signal.SIGTERM)
        try:
            await trio.sleep_forever()
        finally:
            told.append("stopped")

    run_until_stopped(serve, stop_with_stdin=False, farewell=farewell)
    assert told == ["goodbye", "stopped"]


def test_a_second_signal_ends_a_goodbye_that_takes_long() -> None:
    farewell = Farewell()

    async def say() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await trio.sleep_forever()

    async def serve() -> None:
        farewell.say = say
        os.kill(os.getpid(), signal.SIGTERM)
        await trio.sleep_forever()

    run_until_stopped(serve, stop_with_stdin=False, farewell=farewell)
