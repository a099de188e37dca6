"""Reading from the chain what a silent provider showed it: the witness of its claim."""

from cocoon.payments.onchain import PAGE
from contracts.chain import Chain
from contracts.channel import read_witnesses
from contracts.locks import KeyPayment
from contracts.units import NO_MONEY


async def find_payment(
    chain: Chain, address: str, key: bytes, *, since_lt: int
) -> KeyPayment | None:
    """Return the best payment of *key* that was claimed from the channel at *address*.

    However much there is beside it: who claims may send dust, so that we do not find it.

    Raises:
        ChainUnavailable: the chain could not be asked.
    """
    found: KeyPayment | None = None
    while True:
        page = await chain.transactions(address, since_lt=since_lt, limit=PAGE)
        for record in page:
            payment = claimed_payments(record.body).get(key) if record.exit_code == 0 else None
            best = NO_MONEY if found is None else found.amount_nanoton
            if payment is not None and payment.amount_nanoton > best:
                found = payment
        if len(page) < PAGE:
            return found
        since_lt = page[-1].lt


def claimed_payments(body: bytes) -> dict[bytes, KeyPayment]:
    """Return the key-payments that a locked claim's body shows, by key; {} for anything else.

    Signatures are not checked here.
    """
    shown = read_witnesses(body)
    return {key: each for key, each in shown.items() if isinstance(each, KeyPayment)}
