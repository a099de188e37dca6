"""Everything that is done to a channel on chain: open, top up, claim, close, leave alone.

Each step waits until its effect can be read from the chain, and may be repeated after
a crash or a time-out: a step that was done already returns at once, a replayed message
is refused by the contract for free, and a second Open bounces.

Steps other than Open and top-up are external messages: they need no wallet, because
the channel pays for them.
"""

from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager

import msgspec
import trio

from contracts import channel
from contracts.cells import decode_boc
from contracts.chain import Account, Chain, TransactionRecord
from contracts.channel import ChannelParams, ChannelState
from contracts.delivery import (
    POLL_S,
    SEND_AGAIN_S,
    find_transaction,
    hand_in,
    wait_for_delivery,
)
from contracts.errors import (
    ChainUnavailable,
    InvalidData,
    MessageRejected,
)
from contracts.locks import LockedVoucher, Witness, is_settled, lock_id
from contracts.units import NO_MONEY, NanoTon
from contracts.wallet import SignedTransfer, Transfer, Wallet, send_transfers, submit_transfer

_OUT_OF_GAS = -14
"""The exit code of an external message that is not accepted within the gas it may use on credit."""

Journal = Callable[[SignedTransfer], Awaitable[None]]


class ChannelStep(msgspec.Struct, frozen=True):
    """A step that is done.

    Attributes:
        state: of the channel afterwards; None when it no longer exists.
        records: the transactions, in order, with gas and fees; empty when the step
            turned out to be done already.
    """

    state: ChannelState | None
    records: tuple[TransactionRecord, ...]


class OpenedChannel(ChannelStep, frozen=True):
    """A channel that is open for certain."""

    state: ChannelState


async def read_channel(chain: Chain, address: str) -> ChannelState | None:
    """Return the state of a channel, or None when there is none (any more).

    Raises:
        ChainUnavailable: the chain could not be asked.
        InvalidData: something else than a channel of ours lives there.
    """
    return _state(await chain.account(address))


async def open_channel(
    chain: Chain,
    wallet: Wallet,
    params: ChannelParams,
    deposit: NanoTon,
    *,
    timeout_s: float,
    journal: Journal | None = None,
) -> OpenedChannel:
    """Deploy and fund a channel, and wait until the chain says that it is open.

    Repeating it never locks up a second deposit: if the first Open was only late, the
    second bounces and costs its fees.

    Args:
        chain: where.
        wallet: who pays.
        params: the terms; `params.salt` makes the channel a new one.
        deposit: what to attach, see `channel.deposit_needed`.
        timeout_s: for the whole step.
        journal: see `send_transfers`.

    Raises:
        ChainUnavailable: not seen in time; call again.
        MessageRejected: refused: too late for `params.open_by_unix_s`, or the wallet's no.
        LocalContractError: the wallet does not have the money.
        InvalidData: the chain contradicts itself.
    """
    address = channel.channel_address(params)
    opening = Transfer(
        destination=address,
        value_nanoton=deposit,
        body=channel.open_body(),
        state_init=channel.state_init(params),
    )
    with _deadline(f"channel {address} is not open", timeout_s):
        state = await read_channel(chain, address)
        if state is not None and state.opened_lt:
            return OpenedChannel(state, ())
        sent = await send_transfers(chain, wallet, [opening], timeout_s=timeout_s, journal=journal)
        received = await _delivered(chain, sent, address)
        state = await _read_since(chain, address, received.lt)
        if state is not None and state.opened_lt:
            return OpenedChannel(state, (sent, received))
    raise MessageRejected(f"channel {address} was not opened", exit_code=received.exit_code)


async def top_up(
    chain: Chain,
    wallet: Wallet,
    address: str,
    amount: NanoTon,
    *,
    timeout_s: float,
    journal: Journal | None = None,
) -> ChannelStep:
    """Add *amount* to a channel's balance.

    Calling this again pays again. To be safe across a crash keep what *journal* gets,
    and call `finish_top_up` with it.

    Raises:
        InvalidData: there is no channel of ours at *address*.
        ChainUnavailable: not seen in time.
        MessageRejected, LocalContractError: see `send_transfers`.
    """
    payment = Transfer(destination=address, value_nanoton=amount)
    with _deadline(f"channel {address} is not topped up", timeout_s):
        if await read_channel(chain, address) is None:
            raise InvalidData(f"no channel at {address}")
        sent = await send_transfers(chain, wallet, [payment], timeout_s=timeout_s, journal=journal)
        return await _arrived(chain, sent, address)


async def finish_top_up(
    chain: Chain, signed: SignedTransfer, address: str, *, timeout_s: float
) -> ChannelStep:
    """Bring a top-up to its end that was signed before; never pays twice.

    Raises:
        TransferSuperseded: it was not executed and never will be: nothing was paid.
        ChainUnavailable: not seen in time.
    """
    with _deadline(f"channel {address} is not topped up", timeout_s):
        sent = await submit_transfer(chain, signed, timeout_s=timeout_s)
        return await _arrived(chain, sent, address)


async def claim(
    chain: Chain, address: str, total: NanoTon, signature: bytes, *, timeout_s: float
) -> ChannelStep:
    """Cash a voucher. An under-funded channel pays what it has: look at the state.

    Raises:
        MessageRejected: the contract refuses the voucher; its exit code says why.
        InvalidData: there is no channel at *address* (any more).
        ChainUnavailable: not seen in time; call again.
    """

    def done(state: ChannelState | None) -> bool:
        return state is not None and state.paid_nanoton >= total

    return await _step(chain, address, channel.claim_body(total, signature), done, timeout_s)


async def claim_locked(
    chain: Chain,
    address: str,
    voucher: LockedVoucher,
    witnesses: Sequence[Witness | None],
    *,
    timeout_s: float,
    wallet: Wallet | None = None,
) -> ChannelStep:
    """Cash a locked voucher by external message, or when that may not use so much gas, by *wallet*.

    Without a wallet for up to `channel.EXTERNAL_LOCKS_MAX` witnesses, and only as long as the
    channel does not remember too many locks: the payer can see to it that it does, with a few
    whose digests begin as the one that matters. An under-funded channel pays what it has, and
    remembers the locks: look at the state.

    Raises:
        MessageRejected: the contract refuses it; its exit code says why.
        InvalidData: there is no channel at *address* (any more).
        ChainUnavailable: not seen in time; call again.
    """

    def done(state: ChannelState | None) -> bool:
        if state is None:
            return False
        pairs = tuple(zip(voucher.locks, witnesses, strict=True))
        worth = sum(
            min(lock.amount_nanoton, state.settled_nanoton.get(lock_id(lock), NO_MONEY))
            for lock in voucher.locks
        )
        noted = all(is_settled(lock, shown, state.settled_nanoton) for lock, shown in pairs)
        return noted and state.paid_nanoton >= voucher.total_nanoton + worth

    body = channel.locked_claim_body(voucher, witnesses)
    try:
        return await _step(chain, address, body, done, timeout_s)
    except MessageRejected as error:
        if wallet is None or error.exit_code != _OUT_OF_GAS:
            raise
    fee = channel.locked_claim_fee(len(voucher.locks))
    with _deadline(f"no effect on channel {address}", timeout_s):
        message = Transfer(destination=address, value_nanoton=fee, body=body)
        sent = await send_transfers(chain, wallet, [message], timeout_s=timeout_s)
        return await _arrived(chain, sent, address)


async def cooperative_close(
    chain: Chain,
    address: str,
    total: NanoTon,
    voucher: bytes | None,
    release: bytes,
    *,
    timeout_s: float,
) -> ChannelStep:
    """End a channel by agreement: the payee gets the rest of *total*, the payer all else.

    Raises:
        MessageRejected: the contract refuses; its exit code says why.
        ChainUnavailable: not seen in time; call again.
    """
    body = channel.close_body(total, voucher, release)
    return await _step(chain, address, body, _is_gone, timeout_s)


async def start_close(
    chain: Chain, address: str, signature: bytes, *, timeout_s: float
) -> ChannelStep:
    """Begin the payer's lone exit: after the challenge period `finish` returns the money.

    Raises:
        MessageRejected: the contract refuses; its exit code says why.
        InvalidData: there is no channel at *address* (any more).
        ChainUnavailable: not seen in time; call again.
    """

    def done(state: ChannelState | None) -> bool:
        return state is not None and state.close_at_unix_s != 0

    return await _step(chain, address, channel.start_close_body(signature), done, timeout_s)


async def finish(chain: Chain, address: str, *, timeout_s: float) -> ChannelStep:
    """End a channel whose challenge period is over; anyone may.

    Raises:
        MessageRejected: too early, or nobody started to close.
        ChainUnavailable: not seen in time; call again.
    """
    return await _step(chain, address, channel.finish_body(), _is_gone, timeout_s)


def _is_gone(state: ChannelState | None) -> bool:
    return state is None


def _state(account: Account) -> ChannelState | None:
    if account.status in ("nonexist", "uninit"):
        return None
    return channel.parse_channel(account)


async def _read_since(chain: Chain, address: str, lt: int) -> ChannelState | None:
    """Read a channel from a state that is not older than the transaction at *lt*."""
    while True:
        account = await chain.account(address)
        # An account that is gone has no last transaction, on some servers.
        if account.last_transaction_lt >= lt or account.status == "nonexist":
            return _state(account)
        await trio.sleep(POLL_S)


async def _delivered(chain: Chain, sent: TransactionRecord, address: str) -> TransactionRecord:
    if all(message.destination != address for message in sent.out_messages):
        raise MessageRejected(f"{sent.account} has not the money for {address}: nothing was paid")
    return await wait_for_delivery(chain, sent, address)


async def _arrived(chain: Chain, sent: TransactionRecord, address: str) -> ChannelStep:
    received = await _delivered(chain, sent, address)
    state = await _read_since(chain, address, received.lt)
    if received.aborted:
        raise MessageRejected(f"channel {address} did not take it", exit_code=received.exit_code)
    return ChannelStep(state, (sent, received))


async def _step(
    chain: Chain,
    address: str,
    body: bytes,
    done: Callable[[ChannelState | None], bool],
    timeout_s: float,
) -> ChannelStep:
    """Hand in an external message until its transaction, or its effect, is on chain."""
    message = channel.external_message(address, body)
    with _deadline(f"no effect on channel {address}", timeout_s):
        account = await chain.account(address)
        state = _state(account)
        if done(state):
            return ChannelStep(state, ())
        if state is None:
            raise InvalidData(f"no channel at {address}")
        while True:
            refused = await hand_in(chain, message)
            send_again_at_s = trio.current_time() + SEND_AGAIN_S
            while trio.current_time() < send_again_at_s:
                step = await _effect(chain, message, account, done, state.params.payer_address)
                if step is not None:
                    return step
                if refused is not None:
                    raise refused
                await trio.sleep(POLL_S)


async def _effect(
    chain: Chain,
    message: bytes,
    before: Account,
    done: Callable[[ChannelState | None], bool],
    payer: str,
) -> ChannelStep | None:
    hash_, since_lt = decode_boc(message).hash, before.last_transaction_lt
    try:
        state = await read_channel(chain, before.address)
        record, _ = await find_transaction(
            chain, before.address, hash_, since_lt=since_lt, heir=payer
        )
        if record is None:
            return ChannelStep(state, ()) if done(state) else None
        state = await _read_since(chain, before.address, record.lt)
    except ChainUnavailable:
        return None
    if record.aborted:
        raise MessageRejected(f"failed on {before.address}", exit_code=record.exit_code)
    return ChannelStep(state, (record,))


@contextmanager
def _deadline(what: str, timeout_s: float) -> Generator[None]:
    try:
        with trio.fail_after(timeout_s):
            yield
    except trio.TooSlowError as error:
        raise ChainUnavailable(f"{what} after {timeout_s} s") from error
