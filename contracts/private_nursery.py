"""A nursery whose one error comes out as itself, not as a group of one.

For nurseries that are an implementation detail: whoever opens a chain wants to catch
`ChainUnavailable`. (`cocoon.nursery` says the same for the node; this package may not
import it.)
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import trio


@asynccontextmanager
async def open_private_nursery() -> AsyncGenerator[trio.Nursery]:
    """Open a nursery; a lone error, or cancellation, comes out as it is; of both, the error."""
    try:
        async with trio.open_nursery() as nursery:
            yield nursery
    except BaseExceptionGroup as group:
        found = _leaves(group)
        errors = [one for one in found if not isinstance(one, trio.Cancelled)]
        if len(errors) > 1:
            raise
        (first,) = errors or found[:1]
        raise first from first.__cause__


def _leaves(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [leaf for part in error.exceptions for leaf in _leaves(part)]
    return [error]
