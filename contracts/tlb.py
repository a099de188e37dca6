"""The few TL-B types that a chain node reads: messages, transactions, accounts.

Source: TON `crypto/block/block.tlb`.
"""

import msgspec

from contracts.cells import EMPTY, Builder, Cell, Slice
from contracts.errors import InvalidData


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
    reader = cell.parse()
    if not reader.flag():
        return _internal(reader, cell)
    outbound = reader.flag()
    source = reader.address() if outbound else _skip_external_address(reader)
    destination = _skip_external_address(reader) if outbound else reader.address()
    if outbound:
        lt = reader.uint(64)
        reader.uint(32)
    else:
        lt = 0
        reader.coins()
    return Message(source, destination, 0, 0, lt, bounced=False, body=_body(reader), cell=cell)


def _internal(reader: Slice, cell: Cell) -> Message:
    reader.uint(2)
    bounced = reader.flag()
    source, destination, value = reader.address(), reader.address(), reader.coins()
    reader.maybe_ref()
    fees = reader.coins() + reader.coins()
    lt = reader.uint(64)
    reader.uint(32)
    return Message(source, destination, value, fees, lt, bounced, _body(reader), cell)


def _skip_external_address(reader: Slice) -> str:
    kind = reader.uint(2)
    if kind == 0b01:
        reader.uint(reader.uint(9))
    elif kind:
        raise InvalidData("an internal address where an external one belongs")
    return ""


def _body(reader: Slice) -> Cell:
    if reader.flag():
        if reader.flag():
            reader.ref()
        else:
            _skip_state_init(reader)
    return reader.ref() if reader.flag() else reader.rest()


def _skip_state_init(reader: Slice) -> None:
    if reader.flag():
        reader.uint(5)
    if reader.flag():
        reader.uint(2)
    for _ in ("code", "data", "library"):
        reader.maybe_ref()


def parse_transaction(cell: Cell) -> TransactionInfo:
    """Read an ordinary transaction.

    Raises:
        InvalidData: it does not parse, or is of another kind.
    """
    reader = cell.parse()
    if reader.uint(4) != 0b0111:
        raise InvalidData("not a transaction")
    reader.raw(32)
    lt = reader.uint(64)
    reader.raw(32)
    reader.uint(64)
    now_unix_s, out_count = reader.uint(32), reader.uint(15)
    reader.uint(4)
    messages = reader.ref().parse()
    messages.maybe_ref()
    fees = reader.coins()
    reader.maybe_ref()
    reader.ref()
    gas_used, exit_code, action_code, aborted = _description(reader.ref().parse())
    out = messages.maybe_ref()
    return TransactionInfo(
        lt=lt,
        now_unix_s=now_unix_s,
        out_messages=tuple(parse_message(item) for item in _values(out, 15)) if out_count else (),
        fees_nanoton=fees,
        gas_used=gas_used,
        exit_code=exit_code,
        action_code=action_code,
        aborted=aborted,
    )


def _description(reader: Slice) -> tuple[int, int | None, int | None, bool]:
    if reader.uint(4) != 0:
        raise InvalidData("not an ordinary transaction")
    reader.uint(1)
    if reader.flag():
        _skip_storage_phase(reader)
    if reader.flag():
        _skip_credit_phase(reader)
    gas_used, exit_code = _compute_phase(reader)
    action = reader.maybe_ref()
    return gas_used, exit_code, _action_code(action), reader.flag()


def _skip_storage_phase(reader: Slice) -> None:
    reader.coins()
    if reader.flag():
        reader.coins()
    if reader.flag():  # acst_unchanged$0, acst_frozen$10, acst_deleted$11
        reader.uint(1)


def _skip_credit_phase(reader: Slice) -> None:
    if reader.flag():
        reader.coins()
    reader.coins()
    reader.maybe_ref()


def _compute_phase(reader: Slice) -> tuple[int, int | None]:
    if not reader.flag():
        if reader.uint(2) == 0b11:  # cskip_suspended$110
            reader.uint(1)
        return 0, None
    reader.uint(3)
    reader.coins()
    details = reader.ref().parse()
    gas_used = details.uint(8 * details.uint(3))
    details.uint(8 * details.uint(3))
    if details.flag():
        details.uint(8 * details.uint(2))
    details.sint(8)
    return gas_used, details.sint(32)


def _action_code(phase: Cell | None) -> int | None:
    if phase is None:
        return None
    reader = phase.parse()
    reader.uint(3)
    if reader.flag():  # status_change
        reader.uint(1)
    for _ in ("total_fwd_fees", "total_action_fees"):
        if reader.flag():
            reader.coins()
    return reader.sint(32)


def _values(edge: Cell | None, key_bits: int) -> list[Cell]:
    """Return the references that a ``Hashmap key_bits ^Cell`` holds, by ascending key."""
    if edge is None:
        return []
    reader = edge.parse()
    _, label_bits = read_label(reader, key_bits)
    left_bits = key_bits - label_bits
    if left_bits == 0:
        return [reader.ref()]
    below = (reader.ref(), reader.ref())
    return [value for side in below for value in _values(side, left_bits - 1)]


def read_label(reader: Slice, bits_max: int) -> tuple[int, int]:
    """Read the label of a dictionary's edge: its value and its length in bits.

    Raises:
        InvalidData: it is longer than *bits_max*.
    """
    length_bits = bits_max.bit_length()
    if not reader.flag():  # hml_short: unary length
        size = 0
        while reader.flag():
            size += 1
        label = reader.uint(size)
    elif not reader.flag():  # hml_long
        size = reader.uint(length_bits)
        label = reader.uint(size)
    else:  # hml_same
        repeated = reader.flag()
        size = reader.uint(length_bits)
        label = (1 << size) - 1 if repeated else 0
    if size > bits_max:
        raise InvalidData("a dictionary's label is too long")
    return label, size


def parse_shard_account(cell: Cell) -> AccountInfo:
    """Read a ``ShardAccount``.

    Raises:
        InvalidData: it does not parse.
    """
    shard = cell.parse()
    account = shard.ref().parse()
    last_hash, last_lt = shard.raw(32), shard.uint(64)
    if not account.flag():
        return AccountInfo(last_transaction_lt=last_lt, last_transaction_hash=last_hash)
    account.address()
    _skip_storage_info(account)
    account.uint(64)
    balance = account.coins()
    account.maybe_ref()
    status, code, data = _account_state(account)
    return AccountInfo(
        status=status,
        balance_nanoton=balance,
        code=code,
        data=data,
        last_transaction_lt=last_lt,
        last_transaction_hash=last_hash,
    )


def _skip_storage_info(reader: Slice) -> None:
    for _ in ("cells", "bits"):
        reader.uint(8 * reader.uint(3))
    extra = reader.uint(3)
    if extra == 1:  # storage_extra_info: dict_hash
        reader.uint(256)
    elif extra:
        raise InvalidData("unknown storage information")
    reader.uint(32)
    if reader.flag():
        reader.coins()


def _account_state(reader: Slice) -> tuple[str, Cell | None, Cell | None]:
    if not reader.flag():
        return ("frozen" if reader.flag() else "uninit"), None, None
    if reader.flag():
        reader.uint(5)
    if reader.flag():
        reader.uint(2)
    return "active", reader.maybe_ref(), reader.maybe_ref()
