"""What a buyer lets one provider ask for: how much before it is paid, how much in all. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from cocoon.market.book import Listing
from cocoon.market.match import Loss
from cocoon.market.price import worst_case_cost
from cocoon.market.sizes import JobSize
from cocoon.messages import Kind, Limits, LossReason, PriceSchedule
from cocoon.requester.plan import ChunkLimits
from contracts.units import NO_MONEY, TICKER, NanoTon, format_coins


@dataclass(frozen=True, slots=True, kw_only=True)
class Stakes:
    """The limits of one round of one job.

    Attributes:
        kind, size: the job, with upper bounds of what is left of it.
        chunks: the largest chunk that may be asked payment for at once.
        left: what the rest of the job may cost; None: whatever the ceiling prices allow.
        fee_max: the most that paying through a hub may add.
    """

    kind: Kind
    size: JobSize
    chunks: ChunkLimits
    left: NanoTon | None = None
    fee_max: NanoTon = NO_MONEY

    def worst_case(self, schedule: PriceSchedule) -> NanoTon:
        """Return the most that the rest of the job can cost at these prices."""
        return NanoTon(worst_case_cost(schedule, self.size) + self.fee_max)

    def objection(self, schedule: PriceSchedule, limits: Limits) -> str:
        """Say why these terms put too much of our money at stake, or ""."""
        worst = self.worst_case(schedule)
        if self.left is not None and worst > self.left:
            return f"may cost {format_coins(worst)} {TICKER}, of {format_coins(self.left)} to spend"
        return self.chunks.objection(self.kind, limits)

    def sort(self, candidates: Sequence[Listing]) -> tuple[list[Listing], list[Loss]]:
        """Return whose quotes are acceptable, and why the others are not."""
        acceptable, losses = [], []
        for listing in candidates:
            quote = listing.quote
            if objection := self.objection(quote.schedule, quote.limits):
                losses.append(Loss(quote.peer_id, LossReason.OVER_CEILING, objection))
            else:
                acceptable.append(listing)
        return acceptable, losses
