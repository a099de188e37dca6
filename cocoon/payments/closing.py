"""Getting the payer's money back: together with the payee, or alone.

Each step looks at the chain first and sends only what is still missing, so each can be
repeated after a crash.
"""

from typing import Final

import msgspec

from cocoon.payments.channel import ENDED, Gone, LockExpired, LockFolded, Payer, Phase, Seen
from cocoon.payments.onchain import ending, read_ledger, sent_to, wait_for_ending
from cocoon.payments.payer_book import Channel
from cocoon.payments.payer_store import PayerStore
from contracts.chain import Chain, TransactionRecord
from contracts.channel import ChannelState
from contracts.channel_client import cooperative_close, finish, read_channel, start_close
from contracts.locks import lock_id
from contracts.units import NanoTon
from contracts.voucher import ChannelRef, sign_start_close, sign_voucher

LOCK_GRACE_S: Final = 30
"""After a lock's deadline, for the state that shows its last claim to arrive."""


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """How a channel's money was shared out; ``deposits = paid + refunded + fees``.

    Attributes:
        paid: what reached the payee's address.
        refunded: what reached the payer's address.
        gas: units, of all the channel's transactions.
        fees: what the chain kept, in nanotons, forwarding included.
        txs: the channel's transactions, oldest first.
    """

    paid: NanoTon
    refunded: NanoTon
    gas: int
    fees: NanoTon
    txs: tuple[TransactionRecord, ...]


def channel_ref(network_id: int, channel: Channel) -> ChannelRef:
    """Return what the signatures of *channel* are bound to."""
    return ChannelRef(network_id, channel.address, channel.state.opened_lt)


def settlement(channel: Channel, ledger: list[TransactionRecord]) -> Settlement:
    """Add up the ledger of a channel that is gone."""
    came = sum(record.value_nanoton for record in ledger if record.source)
    went = sum(message.value_nanoton for record in ledger for message in record.out_messages)
    return Settlement(
        paid=sent_to(ledger, channel.params.payee_address),
        refunded=sent_to(ledger, channel.params.payer_address),
        gas=sum(record.gas_used for record in ledger),
        fees=NanoTon(came - went),
        txs=tuple(ledger),
    )


class Closing:
    """Brings channels to their end."""

    def __init__(self, store: PayerStore, chain: Chain, *, timeout_s: float) -> None:
        self._store = store
        self._chain = chain
        self._timeout_s = timeout_s

    async def refresh(self, address: str) -> ChannelState | None:
        """Take in what the chain shows now; return None when the channel is gone.

        Raises:
            ChainUnavailable: the chain could not be asked.
            InvalidData: it does not show a channel of ours.
        """
        channel = self._store.get(address)
        seen = await read_channel(self._chain, address)
        if seen is not None and seen.opened_lt == channel.state.opened_lt:
            event = Seen(
                total_max=seen.voucher_total_max_nanoton,
                paid_total=seen.paid_nanoton,
                close_at_unix_s=seen.close_at_unix_s,
            )
            if channel.state.step(event)[0] != channel.state:
                await self._store.step(address, event)
            return seen
        await self.settlement(address)
        return None

    async def settlement(self, address: str) -> Settlement | None:
        """Return how the money was shared out, or None while the channel lives."""
        channel = self._store.get(address)
        ledger = await read_ledger(self._chain, address, heir=channel.params.payer_address)
        if ending(ledger, channel.params.payer_address) is None:
            return None
        return await self._note_end(channel, ledger)

    async def _note_end(self, channel: Channel, ledger: list[TransactionRecord]) -> Settlement:
        result = settlement(channel, ledger)
        if self._store.get(channel.address).state.phase not in ENDED:
            gone = Gone(paid=result.paid, refunded=result.refunded, fees=result.fees)
            await self._store.step(channel.address, gone)
        return result

    async def close(self, address: str) -> Settlement:
        """Carry out a cooperative close that the payee has agreed to.

        Raises:
            MessageRejected: the contract refuses it.
            ChainUnavailable: not seen in time; do it again.
        """
        channel = self._store.get(address)
        seen = await self.refresh(address)
        total = channel.state.signed_total
        if seen is not None:
            # With nothing left to pay only the payee has something to give up.
            ref = channel_ref(self._chain.network_id, channel)
            due = total != seen.paid_nanoton
            await cooperative_close(
                self._chain,
                address,
                total,
                sign_voucher(channel.seed, ref, total) if due else None,
                channel.state.release,
                timeout_s=self._timeout_s,
            )
        return await self._end(address)

    async def start(self, address: str) -> int:
        """Start the lone exit; return when the payer can finish it, in unix seconds.

        Returns 0 when the channel is gone already.

        Raises:
            MessageRejected: the contract refuses it.
            ChainUnavailable: not seen in time; the watcher does it again.
        """
        channel = self._store.get(address)
        if await self.refresh(address) is None:
            await self._end(address)
            return 0
        signature = sign_start_close(channel.seed, channel_ref(self._chain.network_id, channel))
        await start_close(self._chain, address, signature, timeout_s=self._timeout_s)
        await self.refresh(address)
        return self._store.get(address).state.close_at_unix_s

    async def finish(self, address: str) -> Settlement | None:
        """Finish the lone exit if its time has come; return None when it has not.

        Raises:
            MessageRejected: the contract refuses it.
            ChainUnavailable: not seen in time; the watcher does it again.
        """
        seen = await self.refresh(address)
        if seen is not None:
            if await self._chain.now_unix_s() <= seen.close_at_unix_s:
                return None
            await finish(self._chain, address, timeout_s=self._timeout_s)
        return await self._end(address)

    async def _end_locks(self, address: str, state: Payer, seen: ChannelState) -> None:
        """Let go of locks whose deadline is over; what the chain paid for them is spent."""
        now_unix_s = await self._chain.now_unix_s()
        for lock in state.locks:
            if lock.deadline_unix_s + LOCK_GRACE_S >= now_unix_s:
                continue
            key, worth = lock_id(lock), seen.settled_nanoton.get(lock_id(lock), 0)
            total = self._store.get(address).state.signed_total
            await self._store.step(
                address,
                LockFolded(lock_id=key, total=NanoTon(total + min(worth, lock.amount_nanoton)))
                if worth
                else LockExpired(lock_id=key, now_unix_s=now_unix_s),
            )

    async def _end(self, address: str) -> Settlement:
        channel = self._store.get(address)
        ledger = await wait_for_ending(
            self._chain, address, channel.params.payer_address, timeout_s=self._timeout_s
        )
        return await self._note_end(channel, ledger)

    async def advance(self, address: str) -> None:
        """Do what is due for a channel; called again and again by the watcher."""
        state = self._store.get(address).state
        match state.phase:
            case Phase.LEAVING:
                await self.start(address)
            case Phase.CLOSING:
                await self.finish(address)
            case Phase.RELEASING if state.release:
                await self.close(address)
            case Phase.OPEN | Phase.RELEASING:
                seen = await self.refresh(address)
                if seen is not None and state.locks:
                    await self._end_locks(address, state, seen)
            case _:
                pass
