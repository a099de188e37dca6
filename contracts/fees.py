"""What a transaction cost, item by item.

Source: TON `crypto/block/block.tlb`, type ``TransactionDescr``.
"""

import msgspec

from contracts.cells import Cell, Slice
from contracts.errors import InvalidData


class Fees(msgspec.Struct, frozen=True, kw_only=True):
    """The fees of one transaction, in nanotons. `total` is what the account paid.

    Attributes:
        imported: for bringing an external message in.
        storage: rent since the last transaction.
        gas: of the compute phase.
        actions: for the messages that it sent, including their delivery.
        total: of all that; without the delivery of messages, which leaves with them.
    """

    imported: int
    storage: int
    gas: int
    actions: int
    total: int


def parse_fees(transaction: Cell) -> Fees:
    """Read the fees of an ordinary ``Transaction``.

    Raises:
        InvalidData: it is not one.
    """
    reader = transaction.parse()
    if reader.uint(4) != 0b0111:
        raise InvalidData("not a transaction")
    reader.raw(32 + 8 + 32 + 8)
    reader.uint(32 + 15 + 2 + 2)
    reader.ref()
    total = reader.coins()
    reader.maybe_ref()
    reader.ref()
    storage, gas, actions, burned = _phases(reader.ref().parse())
    imported = max(0, total - storage - gas - burned)
    return Fees(imported=imported, storage=storage, gas=gas, actions=actions, total=total)


def _phases(reader: Slice) -> tuple[int, int, int, int]:
    if reader.uint(4) != 0:
        raise InvalidData("not an ordinary transaction")
    reader.uint(1)
    storage = _storage(reader) if reader.flag() else 0
    if reader.flag():
        _skip_credit(reader)
    gas = _gas(reader)
    phase = reader.maybe_ref()
    actions, burned = _actions(phase.parse()) if phase else (0, 0)
    return storage, gas, actions, burned


def _storage(reader: Slice) -> int:
    collected = reader.coins()
    if reader.flag():
        reader.coins()
    if reader.flag():  # acst_unchanged$0, acst_frozen$10, acst_deleted$11
        reader.uint(1)
    return collected


def _skip_credit(reader: Slice) -> None:
    if reader.flag():
        reader.coins()
    reader.coins()
    reader.maybe_ref()


def _gas(reader: Slice) -> int:
    if not reader.flag():
        if reader.uint(2) == 0b11:  # cskip_suspended$110
            reader.uint(1)
        return 0
    reader.uint(3)
    fees = reader.coins()
    reader.ref()
    return fees


def _actions(reader: Slice) -> tuple[int, int]:
    """Return the fees for all messages sent, and the part that stays with this transaction."""
    reader.uint(3)
    if reader.flag():  # acst_unchanged$0, acst_frozen$10, acst_deleted$11
        reader.uint(1)
    forwarding = reader.coins() if reader.flag() else 0
    burned = reader.coins() if reader.flag() else 0
    return forwarding, burned
