"""Changes to the payer's book: one at a time for each channel, and never against the core."""

from cocoon.errors import PaymentError
from cocoon.payments.channel import PayerEffect, PayerEvent, Refuse
from cocoon.payments.durable import DurableLog
from cocoon.payments.payer_book import Channel, Happened, PayerBook, PayerRecord
from cocoon.payments.turns import Turns


class PayerStore:
    """Every change of a channel goes through here.

    Attributes:
        book: the present state; read it freely, change it by `record` and `step` only.
    """

    def __init__(self, book: PayerBook, log: DurableLog[PayerRecord]) -> None:
        self.book = book
        self._log = log
        self._turns: Turns[str] = Turns()

    def get(self, address: str) -> Channel:
        """Return the channel at *address*.

        Raises:
            PaymentError: this journal has none.
        """
        channel = self.book.channels.get(address)
        if channel is None:
            raise PaymentError(f"no channel {address} in the journal")
        return channel

    async def record(self, *records: PayerRecord) -> None:
        """Write *records*; the book follows."""
        await self._log.append(*records)

    async def step(
        self, address: str, *events: PayerEvent, also: tuple[PayerRecord, ...] = ()
    ) -> tuple[PayerEffect, ...]:
        """Let *events* happen, as one, and return the last one's effects, to be carried out now.

        Cancelled, either all of it happened or nothing. *also* is written with them.

        Raises:
            PaymentError: the core refuses one; nothing happened.
        """
        async with self._turns.turn(address):
            state = self.get(address).state
            effects: tuple[PayerEffect, ...] = ()
            for event in events:
                state, effects = state.step(event)
                for effect in effects:
                    if isinstance(effect, Refuse):
                        raise PaymentError(effect.reason)
            happened = (Happened(address=address, event=event) for event in events)
            await self.record(*happened, *also)
            return effects
