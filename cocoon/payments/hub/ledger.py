"""Reading from the chain what a silent provider showed it: the witness of its claim."""

from cocoon.payments.onchain import read_ledger
from contracts.cells import Slice, decode_boc
from contracts.chain import Chain
from contracts.channel import OP_CLAIM_LOCKED
from contracts.errors import InvalidData
from contracts.locks import DIGEST_BYTES, LOCKS_MAX, KeyPayment
from contracts.units import NO_MONEY, NanoTon
from contracts.voucher import SIGNATURE_BYTES


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
    try:
        reader = decode_boc(body).parse()
        if reader.uint(32) != OP_CLAIM_LOCKED:
            return {}
        reader.raw(SIGNATURE_BYTES)
        reader.coins()
        locks, witnesses = reader.ref().parse(), reader.ref().parse()
        return _pairs(locks, witnesses)
    except InvalidData:
        return {}


def _pairs(locks: Slice, witnesses: Slice) -> dict[bytes, KeyPayment]:
    found = {}
    for _ in range(LOCKS_MAX):
        is_key, key = locks.flag(), locks.raw(DIGEST_BYTES)
        locks.coins()
        locks.uint(32)
        if witnesses.flag():
            if is_key:
                signature = witnesses.raw(SIGNATURE_BYTES)
                found[key] = KeyPayment(NanoTon(witnesses.coins()), signature)
            else:
                witnesses.raw(DIGEST_BYTES)
        next_locks, next_witnesses = locks.maybe_ref(), witnesses.maybe_ref()
        if next_locks is None or next_witnesses is None:
            break
        locks, witnesses = next_locks.parse(), next_witnesses.parse()
    return found
