"""Putting money into channels, so that no crash makes it happen twice.

A transfer is signed and journaled before it leaves the wallet. The wallet executes it
at most once, however often it is handed in, so after a crash the *same* transfer is
handed in again, until the chain shows its effect or proves that it will never have one.
"""

import secrets
from collections.abc import Callable
from typing import Final

import trio

from cocoon.errors import PaymentError
from cocoon.payments.channel import ENDED, Lapsed, Opened, Phase, Seen
from cocoon.payments.keys import channel_seed
from cocoon.payments.ownership import public_key
from cocoon.payments.payer_book import Channel, FundingSettled, FundingSigned
from cocoon.payments.payer_store import PayerStore
from contracts.chain import Chain, TransactionRecord
from contracts.channel import (
    ChannelParams,
    channel_address,
    deposit_needed,
    open_body,
    state_init,
)
from contracts.channel_client import read_channel
from contracts.delivery import wait_for_delivery
from contracts.errors import ChainUnavailable, LocalContractError
from contracts.units import NO_MONEY, TICKER, NanoTon, format_coins
from contracts.wallet import (
    SignedTransfer,
    Transfer,
    TransferSuperseded,
    Wallet,
    sign_transfers,
    submit_transfer,
)

OPEN_WITHIN_S: Final = 600
"""A channel that is not open by then can only give its money back."""


class Funding:
    """Opens and tops up channels from one wallet, one transfer at a time."""

    def __init__(
        self,
        store: PayerStore,
        chain: Chain,
        wallet: Wallet,
        *,
        secret: bytes,
        timeout_s: float,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._store = store
        self._chain = chain
        self._wallet = wallet
        self._secret = secret
        self._timeout_s = timeout_s
        self._random_bytes = random_bytes
        self._lock = trio.Lock()

    async def plan(
        self, payee_address: str, payee_key: bytes, *, spendable: NanoTon, challenge_s: int
    ) -> Channel:
        """Return a new channel with a key of its own; nothing is written or sent.

        Raises:
            ChainUnavailable: the chain could not be asked for its time.
        """
        salt = int.from_bytes(self._random_bytes(8), "big")
        seed = channel_seed(self._secret, payee_address, salt)
        params = ChannelParams(
            payer_key=public_key(seed),
            payer_address=self._wallet.address,
            payee_key=payee_key,
            payee_address=payee_address,
            challenge_s=challenge_s,
            open_by_unix_s=await self._chain.now_unix_s() + OPEN_WITHIN_S,
            salt=salt,
        )
        return Channel(address=channel_address(params), params=params, seed=seed, deposit=spendable)

    async def open(self, channel: Channel) -> None:
        """Open a planned channel. Nobody else may touch it meanwhile.

        Raises:
            PaymentError: the wallet has not enough, or the deposit came back.
            ChainUnavailable: not seen in time; it is resumed later, not paid again.
        """
        await self._store.record(channel)
        await self._transfer(channel.address, _opening(channel), top_up=NO_MONEY)

    async def top_up(self, address: str, amount: NanoTon) -> None:
        """Add *amount* to what vouchers can spend.

        Raises:
            PaymentError: the wallet has not enough, or the channel closed meanwhile.
            ChainUnavailable: not seen in time; it is resumed later, not paid again.
        """
        transfer = Transfer(destination=address, value_nanoton=amount)
        await self._transfer(address, transfer, top_up=amount)

    async def resume(self, address: str) -> None:
        """Find out, or bring about, the fate of a transfer that a crash left open."""
        channel = self._store.get(address)
        if channel.transfer is None:
            await self._settle(address, Lapsed())
            return
        async with self._lock:
            if not await self._submit(address, channel.transfer):
                await self._settle(address, Lapsed())

    async def _transfer(self, address: str, transfer: Transfer, *, top_up: NanoTon) -> None:
        async with self._lock:
            while True:
                signed = await self._sign(address, transfer)
                await self._store.record(
                    FundingSigned(address=address, transfer=signed, top_up=top_up)
                )
                if await self._submit(address, signed):
                    return

    async def _sign(self, address: str, transfer: Transfer) -> SignedTransfer:
        try:
            return await sign_transfers(self._chain, self._wallet, [transfer])
        except LocalContractError as error:
            await self._settle(address, Lapsed())
            needed = format_coins(transfer.value_nanoton)
            raise PaymentError(
                f"the wallet cannot pay {needed} {TICKER} into a channel: {error}; send it some "
                "(on a devnet: cocoon wallet faucet 5), or set a smaller requester.deposit_coins"
            ) from error

    async def _submit(self, address: str, signed: SignedTransfer) -> bool:
        """Return False when *signed* was not executed and never will be."""
        try:
            sent = await submit_transfer(self._chain, signed, timeout_s=self._timeout_s)
        except TransferSuperseded:
            return False
        if all(message.destination != address for message in sent.out_messages):
            await self._settle(address, Lapsed())
            raise PaymentError(f"the wallet could not pay into {address}: not enough money in it")
        arrived = await self._arrival(address, sent)
        if arrived.exit_code not in (0, None) or arrived.aborted:
            await self._settle(address, Lapsed())
            raise PaymentError(
                f"channel {address} did not take the deposit (exit code {arrived.exit_code}); "
                "it went back to the wallet"
            )
        await self._take_in(self._store.get(address))
        return True

    async def _arrival(self, address: str, sent: TransactionRecord) -> TransactionRecord:
        """Return the channel's transaction for the message that the wallet *sent*."""
        try:
            with trio.fail_after(self._timeout_s):
                return await wait_for_delivery(self._chain, sent, address)
        except trio.TooSlowError as error:
            raise ChainUnavailable(f"the deposit left the wallet, {address} has none") from error

    async def _take_in(self, channel: Channel) -> None:
        seen = await read_channel(self._chain, channel.address)
        if seen is None or seen.opened_lt == 0:
            # Destroyed since: the watcher finds out how the money was shared out.
            await self._settle(channel.address)
            return
        total_max = seen.voucher_total_max_nanoton
        event: Opened | Seen = (
            Opened(opened_lt=seen.opened_lt, total_max=total_max)
            if channel.state.phase is Phase.OPENING
            else Seen(
                total_max=total_max,
                paid_total=seen.paid_nanoton,
                close_at_unix_s=seen.close_at_unix_s,
            )
        )
        await self._settle(channel.address, event)

    async def _settle(self, address: str, *events: Opened | Seen | Lapsed) -> None:
        """Close the matter of a transfer; `Lapsed` concerns only channels not open yet."""
        if self._store.get(address).state.phase in ENDED:
            events = ()
        await self._store.step(address, *events, also=(FundingSettled(address=address),))


def _opening(channel: Channel) -> Transfer:
    return Transfer(
        destination=channel.address,
        value_nanoton=deposit_needed(channel.deposit),
        body=open_body(),
        state_init=state_init(channel.params),
        bounce=True,
    )
