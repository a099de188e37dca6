"""What a transaction cost, item by item.

Source: TON `crypto/block/block.tlb`, type ``TransactionDescr``.
"""

import msgspec

from contracts.cells import Cell
from contracts.tlb import compute_phase, open_transaction


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
    whole, description = open_transaction(transaction)
    total = whole.total_fees.grams
    storage = description.storage_ph.storage_fees_collected if description.storage_ph else 0
    compute, phase = compute_phase(description), description.action
    gas = compute.gas_fees if compute else 0
    actions = (phase.total_fwd_fees or 0) if phase else 0  # for all messages that were sent
    burned = (phase.total_action_fees or 0) if phase else 0  # the part of it that stays here
    imported = max(0, total - storage - gas - burned)
    return Fees(imported=imported, storage=storage, gas=gas, actions=actions, total=total)
