"""The demonstration's books: what the chain says before and after, added up to the nanoton."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cocoon.demo.report import Balance, SettledChannel
from cocoon.demo.stage import Stage
from cocoon.payments.journal import read_records
from cocoon.payments.payee_book import PayeeBook, PayeeRecord
from cocoon.requester.events import Attempt
from contracts.chain import Chain, TransactionRecord
from contracts.channel import ChannelAction, read_action
from contracts.toncenter import open_toncenter
from contracts.units import NO_MONEY, NanoTon

TRANSACTIONS_MAX: Final = 1000


@dataclass(slots=True)
class Books:
    """Balances at the start, and gas and fees by step as channels are settled.

    Attributes:
        gas: the most that one transaction of a step used.
        fees_nanoton: what the chain kept for all transactions of a step.
    """

    chain: Chain
    wallets: dict[str, str]
    before: dict[str, int]
    fees_before: int
    gas: dict[str, int] = field(default_factory=dict)
    fees_nanoton: dict[str, int] = field(default_factory=dict)

    async def transactions(self, address: str) -> list[tuple[ChannelAction, TransactionRecord]]:
        """Return what was done to a channel, in order; refused messages left no transaction."""
        records = await self.chain.transactions(
            address, limit=TRANSACTIONS_MAX, heir=self.wallets["requester"]
        )
        return [(read_action(record.body), record) for record in records if not record.aborted]

    async def paid_on_chain(self, address: str) -> int:
        """Return what the channel has credited to its payee so far: the last total cashed."""
        done = await self.transactions(address)
        return max((action.total for action, _ in done if action.total is not None), default=0)

    async def settled(
        self, attempt: Attempt, how: str, provider_wallet: str, voucher_total: int
    ) -> SettledChannel:
        """Read from the chain how a channel's money was shared out.

        Args:
            attempt: the part of a job that the channel paid for.
            how: the channel was left.
            provider_wallet: address of the payee.
            voucher_total: of the last voucher that reached the provider.
        """
        done = await self.transactions(attempt.channel)
        for action, record in done:
            self.gas[action.step] = max(self.gas.get(action.step, 0), record.gas_used)
            kept = self.fees_nanoton.get(action.step, 0)
            self.fees_nanoton[action.step] = kept + record.fees_nanoton
        records = [record for _, record in done]
        received = sum(record.value_nanoton for record in records)
        to_provider = sent_to(records, provider_wallet)
        refunded = sent_to(records, self.wallets["requester"])
        return SettledChannel(
            provider=attempt.provider,
            address=attempt.channel,
            how=how,
            voucher_total=voucher_total,
            never_arrived=attempt.channel_total_nanoton - voucher_total,
            paid_on_chain=await self.paid_on_chain(attempt.channel),
            to_provider=to_provider,
            refunded=refunded,
            fees=received - to_provider - refunded,
        )

    async def close(self, stage: Stage) -> tuple[list[Balance], bool]:
        """Return the balances before and after, and whether value was conserved.

        It was when the chain's own count is right, and what all wallets lost together
        is, to the nanoton, what the chain kept as fees meanwhile (every channel is gone).
        """
        supply = await stage.control.supply()
        after = await _balances(self.chain, self.wallets)
        lost = sum(self.before.values()) - sum(after.values())
        kept = int(supply.fees_nanoton) - self.fees_before
        balances = [
            Balance(name, address, self.before[name], after[name])
            for name, address in self.wallets.items()
        ]
        return balances, supply.conserved and lost == kept


def sent_to(records: list[TransactionRecord], address: str) -> int:
    """Return what these transactions sent to one account, in nanotons."""
    return sum(
        message.value_nanoton
        for record in records
        for message in record.out_messages
        if message.destination == address
    )


async def _balances(chain: Chain, wallets: dict[str, str]) -> dict[str, int]:
    return {
        name: (await chain.account(address)).balance_nanoton for name, address in wallets.items()
    }


@asynccontextmanager
async def open_books(stage: Stage) -> AsyncIterator[Books]:
    """Read every wallet's balance before anything is bought."""
    wallets = {"requester": stage.requester_wallet}
    wallets |= {player.role.name: player.wallet for player in stage.players}
    async with open_toncenter(stage.chain_url) as chain:
        supply = await stage.control.supply()
        before = await _balances(chain, wallets)
        yield Books(chain, wallets, before, int(supply.fees_nanoton))


def vouchers_held(home: Path, channel: str) -> NanoTon:
    """Return the total of the newest voucher that a provider has on disk."""
    records = read_records(home / "payee.journal", PayeeRecord)
    held = PayeeBook(records).channels.get(channel)
    return held.state.best_total if held is not None else NO_MONEY
