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
    cancellation from outside is never replaced by an error, nor hides one; alone, it comes
    out as one `trio.Cancelled`, so that callers can say goodbye when they see it.
    """
    try:
        async with trio.open_nursery() as nursery:
            yield nursery
    except BaseExceptionGroup as group:
        found = leaves(group)
        if all(isinstance(one, trio.Cancelled) for one in found):
            raise found[0] from None
        if len(found) == 1:
            raise found[0] from found[0].__cause__
        if any(not isinstance(one, Exception) for one in found):
            raise
        for other in found[1:]:
            found[0].add_note(f"and then: {other!r}")
        raise found[0] from found[0].__cause__
