"""What a job has cost so far, for whoever must know before it has ended."""

from dataclasses import dataclass

from cocoon.requester.events import JobProgress, KernelCame, OutputCame
from contracts.units import NO_MONEY, NanoTon


@dataclass(slots=True)
class Bill:
    """Follows one job; `Requester.run` adds to it, however the job ends.

    A channel's total would not do: as soon as an attempt is over, another job may pay
    through its channel.

    Attributes:
        paid_nanoton: signed away for the job by attempts that are over, hubs' fees included.
        tokens, kernel_ms: what came for it.
    """

    paid_nanoton: NanoTon = NO_MONEY
    tokens: int = 0
    kernel_ms: int = 0

    def add(self, paid_nanoton: NanoTon) -> None:
        """So much more was signed away."""
        self.paid_nanoton = NanoTon(self.paid_nanoton + paid_nanoton)

    def left_of(self, spend_max: NanoTon | None) -> NanoTon | None:
        """Return what may still be spent of *spend_max*; None when there is no limit."""
        return None if spend_max is None else NanoTon(max(0, spend_max - self.paid_nanoton))

    def note(self, event: JobProgress) -> None:
        """Take in a step of the job."""
        if isinstance(event, OutputCame):
            self.tokens = event.tokens
        elif isinstance(event, KernelCame):
            self.kernel_ms = event.metered_ms

    def got(self) -> str:
        """Return in words what came for the money."""
        return f"{self.kernel_ms} ms of a kernel" if self.kernel_ms else f"{self.tokens} tokens"
