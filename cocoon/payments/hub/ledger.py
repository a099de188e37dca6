"""Reading from the chain what a silent provider showed it: the witness of its claim."""

from cocoon.payments.onchain import read_ledger
from contracts.chain import Chain
from contracts.channel import read_witnesses
from contracts.locks import KeyPayment
from contracts.units import NO_MONEY


async def find_payment(
    chain: Chain, address: str, key: bytes, *, since_lt: int
) -> KeyPayment | None:
    """Return the best payment of *key* that was claimed from the channel at *address*.

    Raises:
        ChainUnavailable: the chain could not be asked.
    """
    found = None
    for record in await read_ledger(chain, address, since_lt=since_lt):
        if record.exit_code != 0:
            continue
        payment = claimed_payments(record.body).get(key)
        best = NO_MONEY if found is None else found.amount_nanoton
        if payment is not None and payment.amount_nanoton > best:
            found = payment
    return found


def claimed_payments(body: bytes) -> dict[bytes, KeyPayment]:
    """Return the key-payments that a locked claim's body shows, by key; {} for anything else.

    Signatures are not checked here.
    """
    shown = read_witnesses(body)
    return {key: each for key, each in shown.items() if isinstance(each, KeyPayment)}
