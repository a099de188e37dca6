"""The journal seen from trio: appends of many tasks share one sync (group commit)."""

from collections.abc import Iterable
from typing import Generic, TypeVar

import msgspec
import trio

from cocoon.payments.journal import Journal

R = TypeVar("R", bound=msgspec.Struct)


class _Batch(Generic[R]):
    def __init__(self, records: tuple[R, ...]) -> None:
        self.records = records
        self.written = False
        self.error: Exception | None = None


class DurableLog(Generic[R]):
    """Appends records from any number of tasks; each returns when its own are on the disk.

    While one sync runs, later appends gather, and the next sync takes all of them.
    """

    def __init__(self, journal: Journal[R]) -> None:
        self._journal = journal
        self._lock = trio.Lock()
        self._pending: list[_Batch[R]] = []

    async def append(self, *records: R) -> None:
        """Write *records*; they are on the disk when this returns.

        A cancelled call has either written nothing (it raises at once) or
        everything: once begun it is shielded, for as long as the disk takes.

        Raises:
            JournalError: they may not be on the disk; no later append will work.
        """
        await trio.lowlevel.checkpoint()
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
        except Exception as error:  # noqa: BLE001  (every waiter re-raises it)
            for batch in batches:
                batch.error = error
            return
        for batch in batches:
            batch.written = True

    async def compact(self, records: Iterable[R]) -> None:
        """Replace the journal by *records* (see `Journal.compact`)."""
        kept = list(records)
        async with self._lock:
            await trio.to_thread.run_sync(self._journal.compact, kept)
