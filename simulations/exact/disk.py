"""A node's journal in virtual time: the production `Journal`, and what a crash does to it.

A write takes `faults.disk_s`, and its effects happen after it, as in the node. When the node
loses power meanwhile, the write is lost, or torn: a share of its bytes is in the file. What
was synced stays. The file is then opened again by the production code, which repairs it.
"""

import os
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from cocoon.payments.journal import Journal
from simulations.exact.events import SECOND_US

if TYPE_CHECKING:
    from simulations.exact.node import Node

Change = Callable[[], tuple[Sequence[msgspec.Struct], Callable[[], None]]]
"""Decides, when its turn has come, what to write and what to do when it is written."""

RAM_DISK: Final = Path("/dev/shm")  # noqa: S108  (a private folder is made in it)


class SimDisk:
    """One journal. Changes are made one after the other, each on the present state."""

    def __init__(self, node: "Node", path: Path, record_types: Any) -> None:  # noqa: ANN401
        self._node = node
        self._path = path
        self._types = record_types
        self._queue: deque[Change] = deque()
        self._writing: Sequence[msgspec.Struct] = ()
        self._busy = False
        self._delay_us = int(node.world.scenario.faults.disk_s * SECOND_US)
        self._journal: Journal[Any] = Journal(path, record_types)
        self._open = True

    @property
    def records(self) -> list[Any]:
        """What was in the file when it was last opened."""
        return self._journal.records

    def change(self, change: Change) -> None:
        """Let *change* decide and write, when all changes before it are on the disk."""
        self._queue.append(change)
        self._next()

    def _next(self) -> None:
        while self._queue and not self._busy:
            records, then = self._queue.popleft()()
            if not records:
                then()
                continue
            self._busy, self._writing = True, records
            if self._node.armed is not None:
                self._node.after(self._delay_us // 2, self._node.armed)
                self._node.armed = None
            self._node.after(self._delay_us, self._written, then)

    def _written(self, then: Callable[[], None]) -> None:
        records, self._writing = self._writing, ()
        self._write(records)
        self._busy = False
        then()
        self._next()

    def _write(self, records: Sequence[msgspec.Struct]) -> None:
        self._journal.append_many(records)

    def lose_power(self, share: float) -> None:
        """Keep *share* of the write under way; forget what was only in memory."""
        self._queue.clear()
        if self._writing and share > 0:
            before = self._journal.size_bytes
            self._journal.append_many(self._writing)
            whole = self._journal.size_bytes - before
            os.truncate(self._path, before + int(whole * share))
        self._writing, self._busy = (), False
        self.close()

    def restart(self) -> int:
        """Open the file again; return how many torn bytes were cut off."""
        self._journal, self._open = Journal(self._path, self._types), True
        return self._journal.torn_bytes

    def close(self) -> None:
        """Close the file. Idempotent."""
        if self._open:
            self._open = False
            self._journal.close()
