"""Changes to the payee's book: one at a time for each channel."""

from cocoon.payments.admission import seen
from cocoon.payments.channel import Payee, PayeeEffect, PayeeEvent
from cocoon.payments.durable import DurableLog
from cocoon.payments.payee_book import Happened, Held, PayeeBook, PayeeRecord
from cocoon.payments.turns import Turns
from contracts.channel import ChannelState


class PayeeStore:
    """Every change of a channel goes through here.

    Attributes:
        book: the present state; read it freely, change it by `hold` and `step` only.
    """

    def __init__(self, book: PayeeBook, log: DurableLog[PayeeRecord]) -> None:
        self.book = book
        self._log = log
        self._turns: Turns[str] = Turns()

    async def hold(self, held: Held) -> None:
        """Keep a channel that is not in the book yet."""
        async with self._turns.turn(held.address):
            if held.address not in self.book.channels:
                await self._log.append(held)

    async def step(self, held: Held, event: PayeeEvent) -> tuple[PayeeEffect, ...]:
        """Let *event* happen and return its effects, to be carried out now.

        A channel that is not in the book yet comes into it with its first change.
        Nothing is written when nothing changes. Cancelled, it happened or it did not.
        """
        async with self._turns.turn(held.address):
            known = self.book.channels.get(held.address)
            before = held.state if known is None else known.state
            after, effects = before.step(event)
            if after != before:
                first = () if known else (held,)
                await self._log.append(*first, Happened(address=held.address, event=event))
            return effects

    async def see(self, address: str, channel: ChannelState, *, now_unix_s: int = 0) -> Payee:
        """Take in what the chain shows of a channel in the book; return its state after."""
        held = self.book.channels[address]
        await self.step(held, seen(channel, now_unix_s=now_unix_s))
        return self.book.channels[address].state
