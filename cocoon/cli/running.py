"""Runs the asynchronous part of a command, so that Ctrl-C ends it in an orderly way."""

import signal
from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio

from cocoon.nursery import open_private_nursery

T = TypeVar("T")


def run_interruptible(work: Callable[[], Awaitable[T]]) -> T:
    """Run *work*; SIGINT and SIGTERM cancel it: devices stop, what came is paid.

    Raises:
        KeyboardInterrupt: it was interrupted.
    """

    async def main() -> T:
        async with open_private_nursery() as nursery:
            nursery.start_soon(_cancel_on_signal, nursery.cancel_scope)
            result = await work()
            nursery.cancel_scope.cancel()
            return result
        raise KeyboardInterrupt

    return trio.run(main)


def run_until_stopped(serve: Callable[[], Awaitable[None]], *, stop_with_stdin: bool) -> None:
    """Serve until SIGINT, SIGTERM or, when asked, the end of standard input."""

    async def main() -> None:
        async with open_private_nursery() as nursery:
            nursery.start_soon(_cancel_on_signal, nursery.cancel_scope)
            if stop_with_stdin:
                nursery.start_soon(_cancel_at_end_of_stdin, nursery.cancel_scope)
            await serve()
            nursery.cancel_scope.cancel()

    trio.run(main)


async def _cancel_on_signal(scope: trio.CancelScope) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            scope.cancel()
            return


async def _cancel_at_end_of_stdin(scope: trio.CancelScope) -> None:
    async with trio.lowlevel.FdStream(0) as stdin:
        while await stdin.receive_some(4096):
            pass
    scope.cancel()
