"""Backups of the journals: what must survive the loss of a disk, in one file.

A backup is a MessagePack stream: a header, then one record after another, as small as
a snapshot can be. It is read back with MessagePack's streaming unpacker under limits,
and every record is validated like one of the journal itself. It holds channel keys: the
file is made with mode 0600, and is as secret as the journals.

A restored payer's journal is only as new as the backup. Vouchers that were signed later
are unknown to it, so a restored channel is for leaving (`cocoon channels exit` or
`close`), not for paying on: the payee may hold a better voucher, and will be paid by it.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

import msgpack
import msgspec

from cocoon.errors import PaymentError
from cocoon.payments.journal import Journal, read_records
from cocoon.payments.payee_book import PayeeBook, PayeeRecord
from cocoon.payments.payer_book import PayerBook, PayerRecord

FORMAT: Final = "cocoon-journal-backup/1"
RECORD_BYTES_MAX: Final = 1 << 20
RECORDS_MAX: Final = 1_000_000
SIDES: Final = {"payer": PayerRecord, "payee": PayeeRecord}

R = TypeVar("R")


class BackupError(PaymentError):
    """The file is no backup, is damaged, or there is nothing to back up or overwrite."""


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first object of a backup.

    Attributes:
        side: "payer" or "payee".
        records: how many follow; a file that ends early is refused.
    """

    format: str
    side: str
    records: int


def write_backup(journal: Path, side: str, target: Path) -> int:
    """Write what *journal* amounts to into a new file; return the number of records.

    Works while a node uses the journal. On return the file is on the disk.

    Raises:
        BackupError: there is no journal, or *target* exists.
        JournalCorrupt: the journal cannot be read.
    """
    if not journal.exists():
        raise BackupError(f"there is nothing to back up: no {journal}")
    book = _book(side, read_records(journal, SIDES[side]))
    records: list[Any] = list(book.snapshot())
    header = Header(FORMAT, side, len(records))
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError as error:
        raise BackupError(f"{target} exists; a backup never overwrites") from error
    with os.fdopen(descriptor, "wb") as file:
        for one in (header, *records):
            file.write(msgspec.msgpack.encode(one))
        file.flush()
        os.fsync(descriptor)
    return len(records)


def restore_backup(source: Path, side: str, journal: Path) -> int:
    """Fill a journal that does not exist yet from a backup; return the number of records.

    Raises:
        BackupError: the backup is damaged or of the other side, or *journal* exists.
    """
    if journal.exists():
        raise BackupError(f"{journal} exists; restoring over it could lose newer vouchers")
    records = list(read_backup(source, side))
    journal.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    opened: Journal[Any]
    with Journal(journal, SIDES[side]) as opened:
        opened.append_many(records)
    return len(records)


def read_backup(source: Path, side: str) -> Iterator[Any]:
    """Yield the validated records of a backup, one at a time.

    Raises:
        BackupError: the file is damaged, cut off, of another format or of the other side.
    """
    with source.open("rb") as file:
        unpacker = msgpack.Unpacker(
            file,
            raw=False,
            strict_map_key=True,
            max_buffer_size=RECORD_BYTES_MAX,
            max_str_len=RECORD_BYTES_MAX,
            max_bin_len=RECORD_BYTES_MAX,
            max_array_len=4096,
            max_map_len=4096,
            max_ext_len=0,
        )
        header = _next(unpacker, Header, "header")
        if header.format != FORMAT or header.side != side:
            raise BackupError(f"{source.name} is not a backup of a {side}'s journal")
        if not 0 <= header.records <= RECORDS_MAX:
            raise BackupError(f"{header.records} records cannot be")
        for number in range(header.records):
            yield _next(unpacker, SIDES[side], f"record {number}")
        if unpacker.read_bytes(1):
            raise BackupError(f"{source.name} goes on after its last record")


def _next(unpacker: msgpack.Unpacker, kind: Any, what: str) -> Any:  # noqa: ANN401  (a union)
    try:
        return msgspec.convert(unpacker.unpack(), kind)
    except msgpack.OutOfData as error:
        raise BackupError(f"the backup ends before its {what}") from error
    except (msgpack.UnpackException, msgspec.ValidationError, ValueError, RecursionError) as error:
        raise BackupError(f"the backup's {what} is damaged: {error}") from error


def _book(side: str, records: list[Any]) -> PayerBook | PayeeBook:
    return PayerBook(records) if side == "payer" else PayeeBook(records)
