"""What payments ask of a chain: the state of a channel, its ledger, and messages that took effect.

Everything here can be done again after a crash without spending twice.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

import trio

from contracts.chain import Chain, TransactionRecord
from contracts.channel import ChannelState, parse_channel
from contracts.errors import ChainUnavailable, MessageRejected
from contracts.units import NanoTon

POLL_S: Final = 0.25
POLLS_PER_SEND: Final = 20
"""A message that shows no effect is handed in again after so many polls."""

LEDGER_RECORDS_MAX: Final = 20_000

T = TypeVar("T")


async def read_channel(chain: Chain, address: str) -> ChannelState | None:
    """Return the channel at *address*, or None when there is no contract.

    Raises:
        InvalidData: there is one, but not a channel of ours.
        ChainUnavailable: the chain could not be asked.
    """
    account = await chain.account(address)
    return parse_channel(account) if account.status == "active" else None


async def read_ledger(chain: Chain, address: str, *, since_lt: int = 0) -> list[TransactionRecord]:
    """Return all transactions of *address* with ``lt > since_lt``, oldest first."""
    ledger: list[TransactionRecord] = []
    while len(ledger) < LEDGER_RECORDS_MAX:
        last_lt = ledger[-1].lt if ledger else since_lt
        page = await chain.transactions(address, since_lt=last_lt)
        if not page:
            break
        ledger += page
    return ledger


def sent_to(ledger: Sequence[TransactionRecord], address: str) -> NanoTon:
    """Return the sum that these transactions sent to *address*."""
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

    A channel sends money to its payer only by its last message, so this is proof
    even when a server that lags behind shows no account.
    """
    for record in ledger:
        if record.exit_code == 0 and any(
            message.destination == payer_address for message in record.out_messages
        ):
            return record
    return None


async def send_until(
    chain: Chain,
    message: bytes,
    done: Callable[[], Awaitable[T | None]],
    *,
    timeout_s: float,
) -> T:
    """Hand in *message* until *done* returns something, and return that.

    Raises:
        MessageRejected: the contract refuses it, and *done* is still not true.
        ChainUnavailable: no effect seen in time, or the chain could not be asked.
    """
    try:
        with trio.fail_after(timeout_s):
            while True:
                result = await done()
                if result is not None:
                    return result
                await _send_once(chain, message, done)
    except trio.TooSlowError as error:
        raise ChainUnavailable(f"no effect on chain within {timeout_s} s") from error


async def _send_once(chain: Chain, message: bytes, done: Callable[[], Awaitable[T | None]]) -> None:
    try:
        await chain.send(message)
    except MessageRejected:
        if await done() is None:
            raise
    except ChainUnavailable:
        pass  # it may have arrived all the same: look for its effect, then send again
    await wait_until(done, polls_max=POLLS_PER_SEND)


async def wait_until(done: Callable[[], Awaitable[T | None]], *, polls_max: int) -> T | None:
    """Return what *done* returns at last, or None after *polls_max* tries."""
    for _ in range(polls_max):
        result = await done()
        if result is not None:
            return result
        await trio.sleep(POLL_S)
    return None
