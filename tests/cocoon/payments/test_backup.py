"""A backup brings a journal back whole, or says what is wrong with it."""

import errno
import os
import stat

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cocoon.errors import PaymentError
from cocoon.payments.backup import BackupError, read_backup, restore_backup, write_backup
from cocoon.payments.channel import Payee
from cocoon.payments.journal import Journal, read_records
from cocoon.payments.payee_book import Held, PayeeBook, PayeeRecord
from contracts.units import NanoTon


def held(number: int) -> Held:
    state = Payee(total_max=NanoTon(10**9), best_total=NanoTon(number), best_signature=bytes(64))
    return Held(address=f"0:{number:064x}", payer_key=bytes(32), payer_address="0:00", state=state)


@pytest.fixture
def journal(tmp_path):
    path = tmp_path / "payee.journal"
    with Journal(path, PayeeRecord) as opened:
        opened.append_many([held(number) for number in range(1, 6)])
        opened.append(held(3))
    return path


def test_a_backup_restores_to_the_same_book(journal, tmp_path) -> None:
    count = write_backup(journal, "payee", tmp_path / "b")
    again = tmp_path / "new" / "payee.journal"
    assert restore_backup(tmp_path / "b", "payee", again, now_unix_s=9) == count
    before = PayeeBook(read_records(journal, PayeeRecord))
    after = PayeeBook(read_records(again, PayeeRecord))
    for address, held in before.channels.items():
        restored = msgspec.structs.replace(held.state, restored=True)
        assert after.channels[address] == msgspec.structs.replace(held, state=restored)
    assert after.restored_at_unix_s == 9
    assert after.earnings() == before.earnings()


def test_a_backup_is_made_beside_a_running_node_and_is_private(journal, tmp_path) -> None:
    with Journal(journal, PayeeRecord):
        write_backup(journal, "payee", tmp_path / "b")
    assert stat.S_IMODE((tmp_path / "b").stat().st_mode) == 0o600


def test_nothing_is_ever_overwritten(journal, tmp_path) -> None:
    write_backup(journal, "payee", tmp_path / "b")
    with pytest.raises(BackupError, match="exists"):
        write_backup(journal, "payee", tmp_path / "b")
    with pytest.raises(BackupError, match="newer vouchers"):
        restore_backup(tmp_path / "b", "payee", journal, now_unix_s=9)


def test_a_large_journal_comes_back_too(tmp_path) -> None:
    path = tmp_path / "payee.journal"
    with Journal(path, PayeeRecord) as opened:
        for number in range(0, 6000, 100):
            opened.append_many([held(number + each) for each in range(100)])
    assert write_backup(path, "payee", tmp_path / "b") == 6001
    again = tmp_path / "new" / "payee.journal"
    restore_backup(tmp_path / "b", "payee", again, now_unix_s=9)
    book = PayeeBook(read_records(again, PayeeRecord))
    assert (len(book.channels), book.restored_at_unix_s) == (6000, 9)


def test_a_disk_that_fills_up_leaves_nothing_that_could_be_believed(
    journal, tmp_path, monkeypatch
) -> None:
    write_backup(journal, "payee", tmp_path / "b")
    again = tmp_path / "new" / "payee.journal"

    def full(*_):
        raise OSError(errno.ENOSPC, "no space left")

    with monkeypatch.context() as patched, pytest.raises(PaymentError):
        patched.setattr(Journal, "_write", full)
        restore_backup(tmp_path / "b", "payee", again, now_unix_s=9)
    assert list(again.parent.iterdir()) == [], "not even an empty journal: it would be used"
    with monkeypatch.context() as patched, pytest.raises(BackupError, match="no space left"):
        patched.setattr(os, "fsync", full)
        write_backup(journal, "payee", tmp_path / "half")
    assert not (tmp_path / "half").exists()
    restore_backup(tmp_path / "b", "payee", again, now_unix_s=9)


def test_the_other_sides_backup_is_refused(journal, tmp_path) -> None:
    write_backup(journal, "payee", tmp_path / "b")
    with pytest.raises(BackupError, match="not a backup of a payer"):
        list(read_backup(tmp_path / "b", "payer"))
    with pytest.raises(BackupError, match="nothing to back up"):
        write_backup(tmp_path / "none", "payer", tmp_path / "c")


def test_a_backup_cut_anywhere_is_refused(journal, tmp_path) -> None:
    write_backup(journal, "payee", tmp_path / "b")
    whole = (tmp_path / "b").read_bytes()
    for end in range(len(whole)):
        (tmp_path / "cut").write_bytes(whole[:end])
        with pytest.raises(BackupError):
            list(read_backup(tmp_path / "cut", "payee"))
    (tmp_path / "long").write_bytes(whole + b"\x00")
    with pytest.raises(BackupError, match="goes on"):
        list(read_backup(tmp_path / "long", "payee"))


@settings(max_examples=200)
@given(st.binary(max_size=300))
def test_garbage_is_a_backup_error_and_nothing_else(tmp_path_factory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("garbage") / "b"
    path.write_bytes(data)
    with pytest.raises(BackupError):
        list(read_backup(path, "payee"))
