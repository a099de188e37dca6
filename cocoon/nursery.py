"""A nursery whose one error comes out as itself, not as a group of one.

For nurseries that are an implementation detail: the callers of ``run`` want to catch
`PeerUnavailable`, not an `ExceptionGroup` that holds it.
"""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import trio


def leaves(error: BaseException) -> list[BaseException]:
    """Return the errors inside nested groups, in order."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for part in error.exceptions for leaf in leaves(part)]
    return [error]


@asynccontextmanager
async def open_private_nursery() -> AsyncGenerator[trio.Nursery]:
    """Open a nursery; when it fails, raise the first error itself.

    Further errors are what the first one broke; they are attached to it as notes. A
    cancellation from outside comes out as one `trio.Cancelled`, so that callers can say goodbye
    when they see it. With an error beside it the error comes out: trio cancels again at the
    next checkpoint, and a group of both would lose the cancellation to its scope, and leave a
    group of one error, which nobody catches.
    """
    try:
        async with trio.open_nursery() as nursery:
            yield nursery
    except BaseExceptionGroup as group:
        found = leaves(group)
        errors = [one for one in found if not isinstance(one, trio.Cancelled)]
        if not errors:
            raise found[0] from None
        first, *others = errors
        if others and any(not isinstance(one, Exception) for one in errors):
            raise
        for other in others:
            first.add_note(f"and then: {other!r}")
        raise first from first.__cause__
