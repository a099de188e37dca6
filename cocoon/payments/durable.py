"""A book and its journal, moved together from trio: first the disk, then the memory.

Appends of many tasks share one sync (group commit).
"""

import logging
from collections.abc import Iterable
from typing import Final, Generic, Protocol, TypeVar

import msgspec
import trio

from cocoon.payments.journal import Journal, JournalError

COMPACT_ABOVE_BYTES: Final = 4 << 20
GROWTH: Final = 4
"""Compacted again when the journal has grown to so many times its compacted size."""

_log = logging.getLogger(__name__)

R = TypeVar("R", bound=msgspec.Struct)


class Book(Protocol[R]):
    """The replay of a journal."""

    def apply(self, record: R) -> None:
        """Take in one record; never raises."""
        ...

    def snapshot(self) -> Iterable[R]:
        """Return the fewest records that replay to the same book."""
        ...


class _Batch(Generic[R]):
    def __init__(self, records: tuple[R, ...]) -> None:
        self.records = records
        self.written = False
        self.error: JournalError | None = None


class DurableLog(Generic[R]):
    """Takes records from any number of tasks, onto the disk and then into the book.

    While one sync runs, later appends gather, and the next sync takes all of them.
    """

    def __init__(
        self,
        journal: Journal[R],
        book: Book[R],
        *,
        compact_above_bytes: int = COMPACT_ABOVE_BYTES,
    ) -> None:
        self._journal = journal
        self._book = book
        self._compact_min_bytes = compact_above_bytes
        self._compact_above_bytes = compact_above_bytes
        self._lock = trio.Lock()
        self._pending: list[_Batch[R]] = []

    async def append(self, *records: R) -> None:
        """Write *records*; they are on the disk and in the book when this returns.

        A cancelled call has either written nothing (it raises at once) or
        everything: once begun it is shielded, for as long as the disk takes.

        Raises:
            JournalError: they are not on the disk; or they may not be, and no later append
                will work. See `Journal.append_many`.
        """
        await trio.lowlevel.checkpoint()
        if not records:
            return
        with trio.CancelScope(shield=True):
            batch = _Batch(records)
            self._pending.append(batch)
            async with self._lock:
                if not batch.written and batch.error is None:
                    await self._flush()
        if batch.error is not None:
            raise batch.error

    async def _flush(self) -> None:
        batches, self._pending = self._pending, []
        records = [record for batch in batches for record in batch.records]
        try:
            await trio.to_thread.run_sync(self._journal.append_many, records)
        except BaseException as error:
            # Of the others that wait, too, nobody may believe that it is on the disk.
            for batch in batches:
                batch.error = JournalError(str(error) or type(error).__name__)
            if isinstance(error, JournalError):
                return
            raise
        for batch in batches:
            batch.written = True
        for record in records:
            self._book.apply(record)
        if self._journal.size_bytes > self._compact_above_bytes:
            await self._compact()

    async def _compact(self) -> None:
        # Under the lock: no record can be on the disk and not yet in the book.
        kept = list(self._book.snapshot())
        try:
            await trio.to_thread.run_sync(self._journal.compact, kept)
        except JournalError as error:
            _log.warning("%s", error)  # what was appended is on the disk all the same
        grown = GROWTH * self._journal.size_bytes
        self._compact_above_bytes = max(self._compact_min_bytes, grown)
