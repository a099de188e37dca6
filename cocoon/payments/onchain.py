"""What payments read from a chain beyond a channel's state: its ledger, and its end."""

from collections.abc import Sequence
from typing import Final

import trio

from contracts.chain import Chain, TransactionRecord
from contracts.errors import ChainUnavailable
from contracts.units import NanoTon

POLL_S: Final = 0.3
PAGE: Final = 100
LEDGER_RECORDS_MAX: Final = 20_000


async def read_ledger(
    chain: Chain, address: str, *, since_lt: int = 0, heir: str = ""
) -> list[TransactionRecord]:
    """Return the transactions of *address* with ``lt > since_lt``, oldest first.

    Args:
        chain: where.
        address: whose.
        since_lt: logical time.
        heir: of a channel, its payer; see `Chain.transactions`.

    Raises:
        ChainUnavailable: the chain could not be asked.
    """
    ledger: list[TransactionRecord] = []
    while len(ledger) < LEDGER_RECORDS_MAX:
        last_lt = ledger[-1].lt if ledger else since_lt
        page = await chain.transactions(address, since_lt=last_lt, limit=PAGE, heir=heir)
        ledger += page
        if len(page) < PAGE:
            break
    return ledger


def sent_to(ledger: Sequence[TransactionRecord], address: str) -> NanoTon:
    """Return the sum that these transactions sent to *address*, after delivery fees."""
    return NanoTon(
        sum(
            message.value_nanoton
            for record in ledger
            for message in record.out_messages
            if message.destination == address
        )
    )


def ending(ledger: Sequence[TransactionRecord], payer_address: str) -> TransactionRecord | None:
    """Return the transaction that destroyed the channel, or None while it lives.

    A channel sends money to its payer by its last message only, so this is proof; that
    a server shows no account may just mean that it lags behind.
    """
    for record in ledger:
        destinations = [message.destination for message in record.out_messages]
        if record.exit_code == 0 and payer_address in destinations:
            return record
    return None


async def wait_for_ending(
    chain: Chain, address: str, payer_address: str, *, timeout_s: float
) -> list[TransactionRecord]:
    """Return the ledger of a channel, once it shows the channel's end.

    Raises:
        ChainUnavailable: not within *timeout_s*, or the chain could not be asked.
    """
    with trio.move_on_after(timeout_s):
        while True:
            ledger = await read_ledger(chain, address, heir=payer_address)
            if ending(ledger, payer_address) is not None:
                return ledger
            await trio.sleep(POLL_S)
    raise ChainUnavailable(f"the end of {address} is not seen within {timeout_s} s")
