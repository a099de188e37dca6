import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cocoon.payments.journal import (
    FRAME_BYTES_MAX,
    MAGIC,
    Journal,
    JournalCorrupt,
    JournalError,
    JournalLocked,
    read_records,
)


class Noted(msgspec.Struct, frozen=True, tag="noted", forbid_unknown_fields=True):
    number: int
    data: bytes = b""


class Gone(msgspec.Struct, frozen=True, tag="gone", forbid_unknown_fields=True):
    name: str


Record = Noted | Gone


def write(path: Path, *batches: list[Record]) -> list[int]:
    """Write batches; return the size of the file after each."""
    with Journal[Record](path, Record) as journal:
        sizes = []
        for batch in batches:
            journal.append_many(batch)
            sizes.append(journal.size_bytes)
        return sizes


def read(path: Path) -> tuple[list[Record], int]:
    with Journal[Record](path, Record) as journal:
        return journal.records, journal.torn_bytes


def test_what_was_appended_is_read_back_in_order(tmp_path):
    path = tmp_path / "j"
    write(path, [Noted(1)], [Noted(2), Gone("a")])
    write(path, [Noted(3)])
    assert read(path) == ([Noted(1), Noted(2), Gone("a"), Noted(3)], 0)


def test_only_the_owner_may_read_it(tmp_path):
    path = tmp_path / "j"
    path.touch(mode=0o644)
    write(path, [Noted(1)])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with Journal[Record](path, Record) as journal:
        journal.compact([Noted(2)])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_write_torn_at_any_byte_leaves_exactly_the_whole_batches_before_it(tmp_path):
    path = tmp_path / "j"
    batches = [[Noted(1, b"x" * 9)], [Noted(2), Gone("b")], [Noted(3, bytes(40))]]
    sizes = write(path, *batches)
    whole = path.read_bytes()
    assert sizes[-1] == len(whole)
    for cut in range(len(whole)):
        path.write_bytes(whole[:cut])
        kept = [
            record
            for batch, size in zip(batches, sizes, strict=True)
            if size <= cut
            for record in batch
        ]
        ends = [0, len(MAGIC), *sizes]
        assert read(path) == (kept, cut - max(end for end in ends if end <= cut))
        write(path, [Noted(9)])
        assert read(path) == ([*kept, Noted(9)], 0)


@given(tail=st.binary(max_size=80), cut=st.integers(min_value=0, max_value=60))
@settings(max_examples=60, deadline=None)
def test_garbage_in_the_place_of_the_last_write_is_cut_off(tmp_path_factory, tail, cut):
    path = tmp_path_factory.mktemp("j") / "j"
    sizes = write(path, [Noted(1)], [Noted(2, bytes(range(30)))])
    good = path.read_bytes()
    damaged = good[: min(sizes[0] + cut, len(good) - 1)] + tail
    path.write_bytes(damaged)
    records, torn = read(path)
    if damaged == good:
        return
    assert (records, torn) == ([Noted(1)], len(damaged) - sizes[0])


def test_zeros_where_the_disk_had_no_time_are_cut_off(tmp_path):
    path = tmp_path / "j"
    write(path, [Noted(1)])
    size = path.stat().st_size
    os.truncate(path, size + 4096)
    assert read(path) == ([Noted(1)], 4096)
    assert path.stat().st_size == size


def test_any_changed_byte_before_the_last_write_is_refused_with_a_remedy(tmp_path):
    path = tmp_path / "j"
    sizes = write(path, [Noted(1)], [Noted(2)], [Noted(3, bytes(20))])
    good = path.read_bytes()
    for position in range(len(MAGIC), sizes[1]):
        bad = bytearray(good)
        bad[position] ^= 0x55
        path.write_bytes(bad)
        with pytest.raises(JournalCorrupt, match="restore it from a backup"):
            read(path)
        assert path.read_bytes() == bad, "a refused journal is not touched"
    path.write_bytes(good)
    assert len(read(path)[0]) == 3


def test_another_file_is_not_taken_for_a_journal(tmp_path):
    path = tmp_path / "j"
    path.write_bytes(b"#!/bin/sh\n")
    with pytest.raises(JournalCorrupt, match="not a journal"):
        read(path)
    assert path.read_bytes() == b"#!/bin/sh\n"


def test_a_record_of_an_unknown_kind_is_refused(tmp_path):
    path = tmp_path / "j"
    write(path, [Gone("x")])
    with pytest.raises(JournalCorrupt, match="another version"):
        Journal[Noted](path, Noted)
    assert read(path) == ([Gone("x")], 0)


def test_the_second_writer_is_told_who_the_first_is(tmp_path):
    path = tmp_path / "j"
    code = (
        "import sys; from pathlib import Path; from cocoon.payments.journal import Journal\n"
        "from cocoon.payments.payer_book import PayerRecord\n"
        "Journal(Path(sys.argv[1]), PayerRecord); print('open', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        with pytest.raises(JournalLocked, match=f"process {other.pid}"):
            Journal[Record](path, Record)
        other.kill()
        other.communicate()
    with Journal[Record](path, Record) as journal:
        assert journal.records == []


def test_the_lock_is_let_go_when_opening_fails(tmp_path):
    path = tmp_path / "j"
    path.write_bytes(b"something else")
    with pytest.raises(JournalCorrupt):
        read(path)
    path.unlink()
    write(path, [Noted(1)])


def test_a_full_disk_costs_the_write_and_not_the_node(tmp_path, monkeypatch):
    """Nothing is promised on what did not fit; when there is room again, work goes on."""
    path, whole = tmp_path / "j", os.pwrite
    with Journal[Record](path, Record) as journal:
        journal.append(Noted(1))

        def half(fd, data, position):
            if len(data) < 20:
                raise OSError(errno.ENOSPC, "no space left")
            return whole(fd, data[: len(data) // 2], position)

        monkeypatch.setattr(os, "pwrite", half)
        for _ in range(2):
            with pytest.raises(JournalError, match="cannot write"):
                journal.append(Noted(2, bytes(300)))
        monkeypatch.undo()
        assert path.stat().st_size == journal.size_bytes, "the half that fitted is gone"
        journal.append(Noted(3))
    assert read(path) == ([Noted(1), Noted(3)], 0)


def test_after_a_failed_sync_nothing_more_is_promised(tmp_path, monkeypatch):
    path = tmp_path / "j"
    with Journal[Record](path, Record) as journal:
        journal.append(Noted(1))

        def fail(fd):
            raise OSError(errno.EIO, "bad disk")

        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(JournalError, match="cannot write"):
            journal.append(Noted(2))
        monkeypatch.undo()
        with pytest.raises(JournalError, match="restart"):
            journal.append(Noted(3))


def test_a_record_too_large_to_read_back_is_not_written(tmp_path):
    path = tmp_path / "j"
    with Journal[Record](path, Record) as journal:
        with pytest.raises(JournalError, match="at most"):
            journal.append(Noted(1, bytes(FRAME_BYTES_MAX)))
        journal.append(Noted(2))
    assert read(path) == ([Noted(2)], 0)


def test_compaction_keeps_what_it_is_told_and_goes_on(tmp_path):
    path = tmp_path / "j"
    with Journal[Record](path, Record) as journal:
        for number in range(50):
            journal.append(Noted(number))
        before = journal.size_bytes
        journal.compact([Noted(49)])
        assert journal.size_bytes < before
        journal.append(Gone("after"))
        with pytest.raises(JournalLocked):
            Journal[Record](path, Record)
    assert read(path) == ([Noted(49), Gone("after")], 0)


def test_a_crash_during_compaction_leaves_the_old_journal(tmp_path, monkeypatch):
    path = tmp_path / "j"
    with Journal[Record](path, Record) as journal:
        journal.append(Noted(1))

        def crash(*_):
            raise OSError("power cut")

        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", crash)
            with pytest.raises(JournalError, match="power cut"):
                journal.compact([Noted(7)])
        journal.append(Noted(2))
    assert read(path) == ([Noted(1), Noted(2)], 0)


def test_a_journal_can_be_read_while_it_is_written_and_is_not_touched(tmp_path):
    path = tmp_path / "j"
    with Journal[Record](path, Record) as journal:
        journal.append_many([Noted(1), Gone("a")])
        good = path.read_bytes()
        path.write_bytes(good + b"\x30\x00")  # an append under way
        assert read_records(path, Record) == [Noted(1), Gone("a")]
        assert path.read_bytes() == good + b"\x30\x00"
        journal.append(Noted(2))
        assert read_records(path, Record) == [Noted(1), Gone("a"), Noted(2)]
