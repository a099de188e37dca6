"""How much the API may spend, over all jobs, until it is started again. Pure."""

from dataclasses import dataclass, field

from cocoon.errors import PaymentError
from contracts.units import NO_MONEY, TICKER, NanoTon, format_coins


@dataclass(slots=True)
class Allowance:
    """A limit that jobs running at the same time cannot pass together.

    A job reserves the most that it can cost before anything is signed for it, and gives
    back what it did not need: at every moment spent + reserved <= limit.
    """

    limit: NanoTon
    spent: NanoTon = NO_MONEY
    _reserved: dict[int, NanoTon] = field(default_factory=dict)

    @property
    def left(self) -> NanoTon:
        """Return what a new job can reserve."""
        return NanoTon(self.limit - self.spent - sum(self._reserved.values()))

    def reserve(self, job: int, amount: NanoTon) -> None:
        """Set aside *amount* for a job, in place of what was set aside for it before.

        Raises:
            PaymentError: it is more than what is left; nothing is changed.
        """
        left = NanoTon(self.left + self._reserved.get(job, NO_MONEY))
        if amount > left:
            raise PaymentError(
                f"this job may cost {format_coins(amount)} {TICKER} and {format_coins(left)} is "
                f"left of the {format_coins(self.limit)} that this server may spend; start it "
                "again with a larger --spend-max, or ask for fewer tokens"
            )
        self._reserved[job] = amount

    def settle(self, job: int, paid: NanoTon) -> None:
        """End a job that has cost *paid*."""
        self._reserved.pop(job, None)
        self.spent = NanoTon(self.spent + paid)
