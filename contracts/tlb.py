"""The few TL-B types that a chain node reads: messages, transactions, accounts.

pytoniq-core parses them; here is what of it Cocoon needs, as plain values, and which of
what it accepts is refused all the same. Its reader is ours (`contracts._pytoniq`), so
the dictionaries inside are bounded. It does not keep the cells of outbound messages,
which a chain has to deliver bit by bit as they are: those are read here.

Source: TON `crypto/block/block.tlb`.
"""

from typing import Final

import msgspec
from pytoniq_core.boc.address import ExternalAddress  # noqa: TID251 - an adapter
from pytoniq_core.boc.cell import Cell as LibraryCell  # noqa: TID251 - an adapter
from pytoniq_core.tlb.account import ShardAccount  # noqa: TID251 - an adapter
from pytoniq_core.tlb.transaction import (  # noqa: TID251 - an adapter
    MessageAny,
    Transaction,
    TransactionOrdinary,
    TrComputePhase,
)

from contracts._pytoniq import refusing
from contracts.cells import EMPTY, Builder, Cell, Slice, internal_address
from contracts.errors import InvalidData

_STATUS: Final = {
    "account_active": "active",
    "account_frozen": "frozen",
    "account_uninit": "uninit",
}


class Message(msgspec.Struct, frozen=True):
    """A message, read as far as routing and accounting need.

    Attributes:
        source: "" for an external inbound message.
        destination: "" for an external outbound one (a log).
        fees_nanoton: prepaid for delivery; burned when it is delivered.
        created_lt: 0 for an external inbound message.
        body: the message's body.
        cell: the whole message.
    """

    source: str
    destination: str
    value_nanoton: int
    fees_nanoton: int
    created_lt: int
    bounced: bool
    body: Cell
    cell: Cell

    @property
    def external(self) -> bool:
        """Tell whether it came from outside of the chain."""
        return not self.source


class TransactionInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A transaction, read as far as records and accounting need.

    Attributes:
        exit_code: of the compute phase; None when it was skipped.
        action_code: of the action phase; None when there was none.
        fees_nanoton: gas, storage, import and the burned part of forward fees.
    """

    lt: int
    now_unix_s: int
    out_messages: tuple[Message, ...]
    fees_nanoton: int
    gas_used: int
    exit_code: int | None
    action_code: int | None
    aborted: bool


class AccountInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A ``ShardAccount``, opened.

    Attributes:
        status: "active", "uninit", "frozen" or "nonexist".
    """

    status: str = "nonexist"
    balance_nanoton: int = 0
    code: Cell | None = None
    data: Cell | None = None
    last_transaction_lt: int = 0
    last_transaction_hash: bytes = bytes(32)


_NO_MESSAGE = Builder().uint(0b10, 2).uint(0, 2).address("0:" + "00" * 32).coins(0).uint(0, 2).end()
"""An external message that says nothing."""

NO_ACCOUNT = Builder().ref(Builder().uint(0, 1).end()).uint(0, 256).uint(0, 64).end()
"""The ``ShardAccount`` of an address that nothing was ever sent to."""


def internal_message(
    source: str,
    destination: str,
    value_nanoton: int,
    *,
    body: Cell = EMPTY,
    init: Cell | None = None,
    bounce: bool,
    created_lt: int,
    created_unix_s: int,
) -> Cell:
    """Build an internal message with nothing prepaid for its delivery."""
    header = (
        Builder()
        .uint(0b010 | bounce, 3)  # int_msg_info, instant hypercube routing disabled
        .uint(0, 1)
        .address(source)
        .address(destination)
        .coins(value_nanoton)
        .uint(0, 1)
        .coins(0)
        .coins(0)
        .uint(created_lt, 64)
        .uint(created_unix_s, 32)
    )
    header = header.uint(0, 1) if init is None else header.uint(0b11, 2).ref(init)
    return header.uint(1, 1).ref(body).end()


def parse_message(cell: Cell) -> Message:
    """Read a message of any kind.

    Raises:
        InvalidData: it does not parse.
    """
    with refusing("not a message"):
        message = MessageAny.deserialize(cell.inner.begin_parse())
    info, body = message.info, Cell.of(message.body)
    if message.is_internal:
        source, destination = internal_address(info.src), internal_address(info.dest)
        value, fees = info.value_coins, info.ihr_fee + info.fwd_fee
        return Message(source, destination, value, fees, info.created_lt, info.bounced, body, cell)
    if message.is_external:
        _check_external(info.src)
        return Message(
            "", internal_address(info.dest), 0, 0, 0, bounced=False, body=body, cell=cell
        )
    _check_external(info.dest)
    source, lt = internal_address(info.src), info.created_lt
    return Message(source, "", 0, 0, lt, bounced=False, body=body, cell=cell)


def read_message(cell: Cell) -> Message:
    """Read an inbound message, past what whoever sent it may have put in to make that hard.

    Of a ``StateInit`` and of extra currencies nothing is read: they may be of any size.

    Raises:
        InvalidData: it is none.
    """
    reader = cell.parse()
    external = reader.flag()
    if external and reader.flag():
        raise InvalidData("not an inbound message")
    source, value, fees, lt, bounced = "", 0, 0, 0, False
    if external:
        _skip_external_address(reader)
        destination = reader.address()
        reader.coins()
    else:
        reader.uint(2)
        bounced, source, destination = reader.flag(), reader.address(), reader.address()
        value = reader.coins()
        reader.maybe_ref()
        fees = reader.coins() + reader.coins()
        lt = reader.uint(64)
        reader.uint(32)
    if reader.flag():
        _skip_init(reader)
    body = reader.ref() if reader.flag() else reader.rest()
    return Message(source, destination, value, fees, lt, bounced, body, cell)


def _skip_external_address(reader: Slice) -> None:
    kind = reader.uint(2)
    if kind > 1:
        raise InvalidData("an internal address where an external one belongs")
    if kind:
        reader.uint(reader.uint(9))


def _skip_init(reader: Slice) -> None:
    """Read ``Either StateInit ^StateInit`` past."""
    if reader.flag():
        reader.ref()
        return
    if reader.flag():
        reader.uint(5)
    if reader.flag():
        reader.uint(2)
    for _ in range(3):  # code, data, libraries
        reader.maybe_ref()


def without_inbound(transaction: Cell) -> Cell:
    """Return a ``Transaction`` with another inbound message, that can be read.

    Raises:
        InvalidData: it is none.
    """
    if len(transaction.refs) != 3:
        raise InvalidData("not an ordinary transaction, with its fees in coins")
    messages = transaction.refs[0]
    if not messages.parse().flag():
        return transaction
    fields = Cell(messages.bits, messages.size_bits, (_NO_MESSAGE, *messages.refs[1:]))
    return Cell(transaction.bits, transaction.size_bits, (fields, *transaction.refs[1:]))


def _check_external(address: object) -> None:
    if not isinstance(address, ExternalAddress | None):
        raise InvalidData("an internal address where an external one belongs")


def parse_transaction(cell: Cell) -> TransactionInfo:
    """Read an ordinary transaction.

    Raises:
        InvalidData: it does not parse, or is of another kind.
    """
    transaction, description = open_transaction(cell)
    compute, action = compute_phase(description), description.action
    return TransactionInfo(
        lt=transaction.lt,
        now_unix_s=transaction.now,
        out_messages=_out_messages(cell, transaction.outmsg_cnt),
        fees_nanoton=transaction.total_fees.grams,
        gas_used=compute.gas_used if compute else 0,
        exit_code=compute.exit_code if compute else None,
        action_code=action.result_code if action else None,
        aborted=description.aborted,
    )


def open_transaction(cell: Cell) -> tuple[Transaction, TransactionOrdinary]:
    """Return the library's form of an ordinary transaction, and of its description.

    Raises:
        InvalidData: it does not parse, or is of another kind.
    """
    # The other kinds hold transactions themselves; nothing here needs them, or pays for them.
    refs = cell.refs
    if len(refs) != 3 or refs[2].parse().uint(4) != 0:
        raise InvalidData("not an ordinary transaction, with its fees in coins")
    with refusing("not a transaction"):
        transaction = Transaction.deserialize(cell.inner.begin_parse())
    if not isinstance(transaction, Transaction):
        raise InvalidData("not a transaction: exotic")
    return transaction, transaction.description


def compute_phase(description: TransactionOrdinary) -> TrComputePhase | None:
    """Return the compute phase of a transaction, None when it was skipped."""
    phase = description.compute_ph
    return phase if phase and phase.type_ == "vm" else None


def _out_messages(transaction: Cell, count: int) -> tuple[Message, ...]:
    with refusing("not a transaction"):
        reader = transaction.inner.refs[0].begin_parse()
        reader.load_maybe_ref()
        found = reader.load_dict(15) or {}
        cells = [Cell.of(found[number].load_ref()) for number in sorted(found)]
    if len(cells) != count:
        raise InvalidData("a transaction that miscounts its messages")
    return tuple(parse_message(cell) for cell in cells)


def parse_shard_account(cell: Cell) -> AccountInfo:
    """Read a ``ShardAccount``.

    Raises:
        InvalidData: it does not parse.
    """
    with refusing("not an account"):
        shard = ShardAccount.deserialize(cell.inner.begin_parse())
    last_lt, last_hash = shard.last_trans_lt, shard.last_trans_hash
    if shard.account is None:
        return AccountInfo(last_transaction_lt=last_lt, last_transaction_hash=last_hash)
    internal_address(shard.account.addr)
    storage = shard.account.storage
    init = getattr(storage.state, "state_init", None)
    return AccountInfo(
        status=_STATUS[storage.state.type_],
        balance_nanoton=storage.balance.grams,
        code=_maybe(init and init.code),
        data=_maybe(init and init.data),
        last_transaction_lt=last_lt,
        last_transaction_hash=last_hash,
    )


def _maybe(inner: LibraryCell | None) -> Cell | None:
    return None if inner is None else Cell.of(inner)
