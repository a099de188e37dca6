"""Handing in messages, and finding out what became of them."""

from typing import Final

import trio

from contracts.chain import Chain, TransactionRecord
from contracts.errors import ChainUnavailable, MessageRejected

POLL_S: Final = 0.3
SEND_AGAIN_S: Final = 5.0


async def hand_in(chain: Chain, message: bytes) -> MessageRejected | None:
    """Hand in an external message; return the refusal, if it was refused.

    None means nothing yet: it may have been taken, executed or lost.
    """
    try:
        await chain.send(message)
    except MessageRejected as error:
        return error
    except ChainUnavailable:
        return None
    return None


async def find_transaction(
    chain: Chain, address: str, message_hash: bytes, *, since_lt: int, heir: str = ""
) -> tuple[TransactionRecord | None, int]:
    """Look through an account's history for the transaction of one inbound message.

    Args:
        chain: where.
        address: of the account that gets the message.
        message_hash: 32 bytes.
        since_lt: where to begin.
        heir: see `Chain.transactions`.

    Returns:
        The transaction or None, and the logical time up to which the history was seen.

    Raises:
        ChainUnavailable: the history could not be read.
    """
    known_lt = since_lt
    while True:
        records = await chain.transactions(address, since_lt=known_lt, heir=heir)
        for record in records:
            if record.message_hash == message_hash:
                return record, record.lt
        if not records:
            return None, known_lt
        known_lt = records[-1].lt


async def wait_for_transaction(
    chain: Chain, address: str, message_hash: bytes, *, since_lt: int, timeout_s: float
) -> TransactionRecord:
    """Wait for the transaction of one inbound message of *address*.

    Args:
        chain: where.
        address: of the account that gets the message.
        message_hash: 32 bytes.
        since_lt: the account's last transaction before the message was handed in.
        timeout_s: how long to wait.

    Raises:
        ChainUnavailable: it has not been seen in time. It may still come.
    """
    with trio.move_on_after(timeout_s):
        known_lt = since_lt
        while True:
            try:
                found, known_lt = await find_transaction(
                    chain, address, message_hash, since_lt=known_lt
                )
            except ChainUnavailable:
                found = None
            if found is not None:
                return found
            await trio.sleep(POLL_S)
    raise ChainUnavailable(f"no transaction of {address} within {timeout_s} s")


async def find_delivery(
    chain: Chain, sent: TransactionRecord, destination: str
) -> TransactionRecord | None:
    """Look for the transaction that received what *sent* sent to *destination*.

    It is known by its hash: others, of the same sender too, may arrive in between, and in any
    number. It is received after it was sent in logical time too.

    Raises:
        ChainUnavailable: the history could not be read.
    """
    for message in sent.out_messages:
        if message.destination == destination:
            hash_ = message.message_hash
            return (await find_transaction(chain, destination, hash_, since_lt=sent.lt))[0]
    return None


async def wait_for_delivery(
    chain: Chain, sent: TransactionRecord, destination: str
) -> TransactionRecord:
    """Wait until a message has arrived; without a deadline of its own."""
    while True:
        try:
            record = await find_delivery(chain, sent, destination)
        except ChainUnavailable:
            record = None
        if record is not None:
            return record
        await trio.sleep(POLL_S)
