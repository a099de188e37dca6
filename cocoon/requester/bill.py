"""What a job has cost so far, for whoever must know before it has ended."""

from dataclasses import dataclass, field

from cocoon.requester.events import ChannelReady, JobProgress, KernelCame, OutputCame
from cocoon.requester.service import Requester
from contracts.units import NO_MONEY, NanoTon


@dataclass(slots=True)
class Bill:
    """Follows one job by its events.

    Attributes:
        totals_before: of each channel that the job used, when it began with it.
        paid_nanoton: signed away for the job, over all its channels; see `add_up`.
    """

    totals_before: dict[str, int] = field(default_factory=dict)
    tokens: int = 0
    kernel_ms: int = 0
    paid_nanoton: NanoTon = NO_MONEY

    def note(self, event: JobProgress, requester: Requester) -> None:
        """Take in a step of the job."""
        if isinstance(event, ChannelReady):
            total = requester.payer.signed_through(event.address)
            self.totals_before.setdefault(event.address, total)
        elif isinstance(event, OutputCame):
            self.tokens = event.tokens
        elif isinstance(event, KernelCame):
            self.kernel_ms = event.metered_ms

    def got(self) -> str:
        """Return in words what came for the money."""
        return f"{self.kernel_ms} ms of a kernel" if self.kernel_ms else f"{self.tokens} tokens"

    def add_up(self, requester: Requester) -> NanoTon:
        """Count what was signed, from the channels themselves."""
        self.paid_nanoton = NanoTon(
            sum(
                requester.payer.signed_through(address) - before
                for address, before in self.totals_before.items()
            )
        )
        return self.paid_nanoton
