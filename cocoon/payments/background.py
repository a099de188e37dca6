"""A task that runs for the length of a block, without wrapping the block's own error."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import trio


@asynccontextmanager
async def running(task: Callable[[], Awaitable[object]]) -> AsyncGenerator[None]:
    """Run *task* beside the block, and cancel it when the block ends.

    One error, the block's or the task's, comes out as it is; several as a group.
    """
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(task)
            yield
            nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        if len(group.exceptions) > 1:
            raise
        # The group is only trio's wrapping: who called must not need `except*`.
        error = group.exceptions[0]
        raise error from error.__cause__
