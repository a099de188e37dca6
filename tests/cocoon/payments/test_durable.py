import threading

import msgspec
import pytest
import trio
import trio.testing

from cocoon.payments.durable import DurableLog
from cocoon.payments.journal import Journal, JournalError


class Noted(msgspec.Struct, frozen=True, tag="noted"):
    number: int


class Gate(Journal[Noted]):
    """A journal whose disk is as slow as the test wants."""

    def __init__(self, path):
        super().__init__(path, Noted)
        self.go = threading.Event()
        self.batches = []
        self.fail = False

    def append_many(self, records):
        self.go.wait(5)
        self.batches.append([record.number for record in records])
        if self.fail:
            raise JournalError("disk full")
        super().append_many(records)


class Memory:
    """A book that remembers numbers, and its snapshot is their sum."""

    def __init__(self, records=()):
        self.numbers = [record.number for record in records]

    def apply(self, record):
        self.numbers.append(record.number)

    def snapshot(self):
        return [Noted(sum(self.numbers))]


async def test_appends_that_wait_share_one_sync(tmp_path):
    with Gate(tmp_path / "j") as journal:
        log = DurableLog(journal, Memory())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(log.append, Noted(0))
            await trio.testing.wait_all_tasks_blocked(0.01)
            for number in range(1, 6):
                nursery.start_soon(log.append, Noted(number))
            await trio.testing.wait_all_tasks_blocked(0.01)
            journal.go.set()
        assert journal.batches[0] == [0]
        assert len(journal.batches) == 2
        assert sorted(journal.batches[1]) == [1, 2, 3, 4, 5]


async def test_a_cancelled_append_that_began_is_still_written_whole(tmp_path):
    with Gate(tmp_path / "j") as journal:
        log = DurableLog(journal, Memory())
        reached = []

        async def append():
            await log.append(Noted(1), Noted(2))
            reached.append(True)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(append)
            await trio.testing.wait_all_tasks_blocked(0.01)
            nursery.cancel_scope.cancel()
            journal.go.set()
        assert reached == [True], "who appended learns that it is on the disk"
    with Journal[Noted](tmp_path / "j", Noted) as journal:
        assert journal.records == [Noted(1), Noted(2)]


async def test_an_append_cancelled_in_the_queue_is_still_written_and_told(tmp_path):
    with Gate(tmp_path / "j") as journal:
        log = DurableLog(journal, Memory())
        queued = trio.CancelScope()
        reached = []

        async def append():
            with queued:
                await log.append(Noted(2))
                reached.append(True)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(log.append, Noted(1))
            await trio.testing.wait_all_tasks_blocked(0.01)
            nursery.start_soon(append)
            await trio.testing.wait_all_tasks_blocked(0.01)
            queued.cancel()
            await trio.testing.wait_all_tasks_blocked(0.01)
            journal.go.set()
        assert (reached, journal.batches) == ([True], [[1], [2]])


async def test_an_append_cancelled_before_it_begins_writes_nothing(tmp_path):
    with Gate(tmp_path / "j") as journal:
        journal.go.set()
        with trio.CancelScope() as scope:
            scope.cancel()
            await DurableLog(journal, Memory()).append(Noted(1))
        assert scope.cancelled_caught
        assert journal.batches == []


async def test_everyone_in_a_failed_batch_is_told(tmp_path):
    with Gate(tmp_path / "j") as journal:
        log = DurableLog(journal, Memory())
        journal.fail = True
        told = []

        async def append(number):
            with pytest.raises(JournalError, match="disk full"):
                await log.append(Noted(number))
            told.append(number)

        async with trio.open_nursery() as nursery:
            for number in range(4):
                nursery.start_soon(append, number)
            await trio.testing.wait_all_tasks_blocked(0.01)
            journal.go.set()
        assert sorted(told) == [0, 1, 2, 3]


async def test_whatever_fails_nobody_believes_that_it_is_on_the_disk(tmp_path):
    """One record that cannot be written takes the others of its batch with it, not in silence."""
    with Journal[Noted](tmp_path / "j", Noted) as journal:
        book, told = Memory(), []
        log = DurableLog(journal, book)

        async def append(number):
            with pytest.raises(JournalError):
                await log.append(Noted(number))
            told.append(number)

        async with trio.open_nursery() as nursery:
            for number in (1 << 64, 1, 2):  # no MessagePack integer is so large
                nursery.start_soon(append, number)
        assert sorted(told) == [1, 2, 1 << 64]
        assert book.numbers == []
        await log.append(Noted(3))
    with Journal[Noted](tmp_path / "j", Noted) as journal:
        assert journal.records == [Noted(3)]


async def test_the_book_knows_only_what_is_on_the_disk(tmp_path):
    with Gate(tmp_path / "j") as journal:
        book = Memory()
        log = DurableLog(journal, book)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(log.append, Noted(1))
            await trio.testing.wait_all_tasks_blocked(0.01)
            assert book.numbers == []
            journal.go.set()
        assert book.numbers == [1]
        journal.fail = True
        with pytest.raises(JournalError):
            await log.append(Noted(2))
        assert book.numbers == [1]


async def test_a_long_journal_is_compacted_while_others_append_and_nothing_is_lost(tmp_path):
    path = tmp_path / "j"
    with Journal[Noted](path, Noted) as journal:
        log = DurableLog(journal, Memory(), compact_above_bytes=400)

        async def append(start):
            for number in range(start, start + 40):
                await log.append(Noted(number))

        async with trio.open_nursery() as nursery:
            for start in (0, 1000, 2000):
                nursery.start_soon(append, start)
        assert journal.size_bytes < 120 * 20
    with Journal[Noted](path, Noted) as journal:
        expected = sum(start + number for start in (0, 1000, 2000) for number in range(40))
        assert sum(Memory(journal.records).numbers) == expected
        assert len(journal.records) < 120
