"""Backups of the journals: what must survive the loss of a disk, in one file.

A backup is a MessagePack stream: a header, then one record after another, as small as
a snapshot can be. It is read back with MessagePack's streaming unpacker under limits,
and every record is validated like one of the journal itself. It holds channel keys: the
file is made with mode 0600, and is as secret as the journals.

A restored journal is only as new as the backup. What was signed later is unknown to it:

- payer: the payee may hold a better voucher, and will be paid by it. So a restored channel
  is for leaving (`cocoon channels exit` or `close`), not for paying on; the core refuses.
- payee: a newer voucher is lost, unless the payer sends it again. A release may have been
  signed too, with which the payer can close below any later voucher. So no work is done
  for restored channels, nor for any channel that opened before the restore.

`exposure` says in nanotons what that can cost.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import msgpack
import msgspec

from cocoon.errors import PaymentError
from cocoon.payments.channel import ENDED, Payee, Payer
from cocoon.payments.journal import Journal, read_records
from cocoon.payments.payee_book import Held, PayeeBook, PayeeRecord, Restored
from cocoon.payments.payer_book import Channel, PayerBook, PayerRecord
from contracts.units import NanoTon
from overlay.private_file import sync_entry

FORMAT: Final = "cocoon-journal-backup/1"
RECORD_BYTES_MAX: Final = 1 << 20
RECORDS_MAX: Final = 1_000_000
RECORDS_A_FRAME: Final = 64
"""A frame of the journal has a largest size, and a record is a few hundred bytes."""
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
        BackupError: there is no journal, *target* exists, or there is no room for it.
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
    try:
        with os.fdopen(descriptor, "wb") as file:
            for one in (header, *records):
                file.write(msgspec.msgpack.encode(one))
            file.flush()
            os.fsync(descriptor)
        sync_entry(target)
    except OSError as error:
        target.unlink()  # half a backup would stand in the way of the next
        raise BackupError(f"{target} is not written: {error.strerror or error}") from error
    return len(records)


def restore_backup(source: Path, side: str, journal: Path, *, now_unix_s: int) -> int:
    """Fill a journal that does not exist yet from a backup; return the number of records.

    Every live channel in it is marked: it is for leaving, not for working on.

    Args:
        source: what `write_backup` wrote.
        side: "payer" or "payee".
        journal: where the side's journal belongs.
        now_unix_s: channels that opened earlier than now are never worked for.

    Raises:
        BackupError: the backup is damaged or of the other side, or *journal* exists.
    """
    if journal.exists():
        raise BackupError(f"{journal} exists; restoring over it could lose newer vouchers")
    records = list(read_backup(source, side))
    marked = [_marked(record) for record in records]
    if side == "payee":
        marked.append(Restored(at_unix_s=now_unix_s))
    journal.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _fill(journal, side, marked)
    return len(records)


def _fill(journal: Path, side: str, records: list[Any]) -> None:
    """Make a journal of *records*, whole or not at all.

    An empty one would be believed: it does not say that it was restored.
    """
    draft = journal.with_name(f"{journal.name}.restoring")
    lock = draft.with_name(f"{draft.name}.lock")
    draft.unlink(missing_ok=True)
    try:
        opened: Journal[Any]
        with Journal(draft, SIDES[side]) as opened:
            for start in range(0, len(records), RECORDS_A_FRAME):
                opened.append_many(records[start : start + RECORDS_A_FRAME])
        try:
            os.link(draft, journal)
        except FileExistsError as error:
            raise BackupError(f"{journal} exists; it was made just now") from error
        sync_entry(journal)
    finally:
        draft.unlink(missing_ok=True)
        lock.unlink(missing_ok=True)


def _marked(record: Any) -> Any:  # noqa: ANN401  (a union is no type)
    change = msgspec.structs.replace
    match record:
        case Channel(state=state) if state.phase not in ENDED:
            return change(record, state=change(state, restored=True))
        case Held(state=state) if not state.gone:
            return change(record, state=change(state, restored=True))
        case _:
            return record


class Exposure(msgspec.Struct, frozen=True):
    """What a restored journal may not know of.

    Attributes:
        channels: live ones.
        lost_max: payer: what of its deposits may be the payees' by newer vouchers; payee:
            what newer vouchers may have granted. Never more than the deposits covered.
    """

    channels: int
    lost_max: NanoTon


def live_channels(side: str, journal: Path) -> list[str]:
    """Return the addresses of the channels that the journal believes to be live."""
    return [address for address, _ in _live(_book(side, read_records(journal, SIDES[side])))]


def exposure(side: str, journal: Path, totals: Mapping[str, NanoTon]) -> Exposure:
    """Say what vouchers newer than a restored journal can add up to.

    Args:
        side: "payer" or "payee".
        journal: as `restore_backup` filled it.
        totals: by address, the largest total that the chain covers today; where it is
            missing, what the backup knew counts. 0 for a channel that is gone.
    """
    live = list(_live(_book(side, read_records(journal, SIDES[side]))))
    return Exposure(len(live), NanoTon(sum(_unknown(each, totals.get(a)) for a, each in live)))


def _live(book: PayerBook | PayeeBook) -> Iterable[tuple[str, Payer | Payee]]:
    for address, each in book.channels.items():
        state = each.state
        if not (state.gone if isinstance(state, Payee) else state.phase in ENDED):
            yield address, state


def _unknown(state: Payer | Payee, total_max: NanoTon | None) -> NanoTon:
    known = state.best_total if isinstance(state, Payee) else state.signed_total
    reach = state.total_max if total_max is None else total_max
    return NanoTon(max(0, reach - max(known, state.paid_total)))


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
