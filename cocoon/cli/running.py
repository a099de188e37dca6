"""Runs the asynchronous part of a command, so that Ctrl-C ends it in an orderly way."""

import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final, TypeVar

import trio

from cocoon.nursery import open_private_nursery

T = TypeVar("T")

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """What a signal cancels: the innermost part that asked to be first, else everything."""

    def __init__(self) -> None:
        self.requested = False
        self._scopes: list[trio.CancelScope] = []

    @contextmanager
    def first(self) -> Iterator[None]:
        """Cancel this block alone at the first signal; what it stands on goes on working.

        So a job can say goodbye over a network that still runs.
        """
        with trio.CancelScope() as scope:
            self._scopes.append(scope)
            try:
                yield
            finally:
                self._scopes.remove(scope)

    def request(self) -> None:
        """Cancel; asked again, cancel the next part."""
        self.requested = True
        pending = [scope for scope in self._scopes if not scope.cancel_called]
        if pending:
            pending[-1].cancel()


def run_interruptible(work: Callable[[], Awaitable[T]], stop: Stop | None = None) -> T:
    """Run *work*; SIGINT and SIGTERM cancel it: devices stop, what came is paid.

    Args:
        work: the asynchronous part of the command.
        stop: lets *work* have a part of it cancelled first.

    Raises:
        KeyboardInterrupt: it was interrupted.
    """
    stop = stop or Stop()

    async def main() -> T:
        with trio.open_signal_receiver(*SIGNALS) as signals:
            async with open_private_nursery() as nursery:
                with stop.first():
                    nursery.start_soon(_on_each, signals, stop.request)
                    result = await work()
                    nursery.cancel_scope.cancel()
                    if not stop.requested:
                        return result
                nursery.cancel_scope.cancel()
        raise KeyboardInterrupt

    return trio.run(main)


class Farewell:
    """What is done at the first signal before everything is cancelled; at the second, nothing."""

    def __init__(self) -> None:
        self.say: Callable[[], Awaitable[object]] | None = None
        self._begun = False

    async def leave(self, scope: trio.CancelScope) -> None:
        """Say goodbye, then cancel *scope*; asked again meanwhile, cancel it at once."""
        if self.say is not None and not self._begun:
            self._begun = True
            await self.say()
        scope.cancel()


def run_until_stopped(
    serve: Callable[[], Awaitable[None]],
    *,
    stop_with_stdin: bool,
    farewell: Farewell | None = None,
) -> None:
    """Serve until SIGINT, SIGTERM or, when asked, the end of standard input.

    Args:
        serve: the asynchronous part of the command.
        stop_with_stdin: whoever started us may stop us by closing our standard input; then
            nothing is waited for.
        farewell: *serve* may give it something to do first when a signal comes.
    """
    goodbye = farewell or Farewell()

    async def main() -> None:
        with trio.open_signal_receiver(*SIGNALS) as signals:
            async with open_private_nursery() as nursery:
                leave = partial(nursery.start_soon, goodbye.leave, nursery.cancel_scope)
                nursery.start_soon(_on_each, signals, leave)
                if stop_with_stdin:
                    nursery.start_soon(_cancel_at_end_of_stdin, nursery.cancel_scope)
                await serve()
                nursery.cancel_scope.cancel()

    trio.run(main)


async def _on_each(signals: AsyncIterator[int], act: Callable[[], None]) -> None:
    async for _ in signals:
        act()


async def _cancel_at_end_of_stdin(scope: trio.CancelScope) -> None:
    async with trio.lowlevel.FdStream(0) as stdin:
        while await stdin.receive_some(4096):
            pass
    scope.cancel()
