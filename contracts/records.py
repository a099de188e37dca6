"""Transactions as the chain has them (cells) and as the rest of Cocoon reads them (records)."""

from typing import Final

import msgspec

from contracts import tlb
from contracts.cells import Cell, encode_boc, join_address
from contracts.chain import OutMessage, TransactionRecord
from contracts.errors import InvalidData
from contracts.units import NO_MONEY, NanoTon

_NONEXIST: Final = 0b11


class Linked(msgspec.Struct, frozen=True):
    """A transaction, and the one of the same account before it.

    Attributes:
        before_lt, before_hash: 0 and zeros for the account's first.
        sent_lt: when its inbound message was sent; 0 for an external one.
        ended: the account is not there any more after it.
    """

    record: TransactionRecord
    before_lt: int
    before_hash: bytes
    sent_lt: int = 0
    ended: bool = False


def read_transaction(workchain: int, cell: Cell) -> Linked:
    """Read a ``Transaction`` cell; everything in the result is under its hash.

    Raises:
        InvalidData: it is not an ordinary transaction.
    """
    info = tlb.parse_transaction(cell)
    reader = cell.parse()
    reader.uint(4)
    account = join_address(workchain, reader.raw(32))
    reader.uint(64)
    before_hash, before_lt = reader.raw(32), reader.uint(64)
    reader.uint(32 + 15 + 2)
    ended = reader.uint(2) == _NONEXIST
    message = in_message(cell)
    record = TransactionRecord(
        account=account,
        lt=info.lt,
        hash=cell.hash,
        now_unix_s=info.now_unix_s,
        fees_nanoton=NanoTon(info.fees_nanoton),
        gas_used=info.gas_used,
        exit_code=info.exit_code,
        aborted=info.aborted,
        source=message.source if message else "",
        value_nanoton=NanoTon(message.value_nanoton) if message else NO_MONEY,
        message_hash=message.cell.hash if message else bytes(32),
        out_messages=sent_messages(info),
        body=encode_boc(message.body) if message else b"",
    )
    sent_lt = message.created_lt if message else 0
    return Linked(record, before_lt, before_hash, sent_lt, ended)


def sent_messages(info: tlb.TransactionInfo) -> tuple[OutMessage, ...]:
    """Return what a transaction sent, as it is recorded."""
    return tuple(
        OutMessage(each.destination, NanoTon(each.value_nanoton), each.cell.hash)
        for each in info.out_messages
    )


def in_message(transaction: Cell) -> tlb.Message | None:
    """Read the inbound message out of a ``Transaction`` cell.

    Raises:
        InvalidData: there is none where it belongs.
    """
    if not transaction.refs:
        raise InvalidData("not a transaction")
    cell = transaction.refs[0].parse().maybe_ref()
    return None if cell is None else tlb.parse_message(cell)
