"""Leaving a block well: bounded clean-up, and errors that keep their own type."""

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeVar

import trio

T = TypeVar("T")


def shielded(patience_s: float) -> trio.CancelScope:
    """Return a scope that survives outer cancellation and gives up after *patience_s*."""
    return trio.CancelScope(shield=True, deadline=trio.current_time() + patience_s)


@asynccontextmanager
async def unwrapped(inner: AbstractAsyncContextManager[T]) -> AsyncGenerator[T]:
    """Run a block inside *inner*; an Exception of the block is raised after *inner* closed.

    The nurseries inside *inner* would wrap it in exception groups otherwise.
    """
    failure: Exception | None = None
    async with inner as value:
        try:
            yield value
        except Exception as error:  # noqa: BLE001  (raised again below)
            failure = error
    if failure is not None:
        raise failure
