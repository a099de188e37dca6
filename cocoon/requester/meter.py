"""When a requester owes a voucher, and whether a provider's meter is honest. Pure.

The mirror of `cocoon.provider.lease`, which states the billing rule.
"""

from dataclasses import dataclass, field
from typing import Final

from cocoon.errors import PeerMisbehaved
from cocoon.market.price import cost
from cocoon.messages import Kind, Limits, Meter, OutputPiece, PriceSchedule
from contracts.units import NO_MONEY, NanoTon

TEMPLATE_TOKENS_MAX: Final = 64
"""What a chat template may add to each turn, in tokens: a bound, not an estimate."""


@dataclass(slots=True)
class MeterWatch:
    """Checks each piece of output and says when payment is due.

    Attributes:
        prompt_tokens_max: the most that this input can be in tokens (every token
            of text is at least one byte, plus the template).
        output_tokens_max: what was asked for.
        audio_ms_max: the length of the audio that was sent, as its header says.
    """

    kind: Kind
    schedule: PriceSchedule
    limits: Limits
    prompt_tokens_max: int
    output_tokens_max: int
    audio_ms_max: int
    seen: Meter = field(default_factory=Meter)
    paid_nanoton: NanoTon = NO_MONEY
    at_risk_max_nanoton: NanoTon = NO_MONEY
    _tokens_received: int = 0
    _units_paid: int = 0
    _pieces: int = 0

    def receive(self, piece: OutputPiece) -> None:
        """Take one piece.

        Raises:
            PeerMisbehaved: the meter runs backwards, counts output that did not
                come, or exceeds what this job can possibly need.
        """
        self._tokens_received += len(piece.token_ids)
        problem = self._problem(piece.meter)
        if problem:
            raise PeerMisbehaved(f"dishonest meter: {problem}")
        self.seen = piece.meter
        self._pieces += 1
        unpaid = NanoTon(cost(self.schedule, self.seen) - self.paid_nanoton)
        self.at_risk_max_nanoton = max(self.at_risk_max_nanoton, unpaid)

    def _problem(self, meter: Meter) -> str:
        if any(getattr(meter, name) < getattr(self.seen, name) for name in meter.__struct_fields__):
            return "it ran backwards"
        if self.kind is Kind.CHAT and meter.output_tokens != self._tokens_received:
            return f"{meter.output_tokens} tokens billed, {self._tokens_received} received"
        if meter.output_tokens > self.output_tokens_max:
            return f"more than the {self.output_tokens_max} tokens asked for"
        if meter.prompt_tokens + meter.cached_tokens > self.prompt_tokens_max:
            return f"the prompt cannot be {meter.prompt_tokens} tokens long"
        if meter.audio_ms > self.audio_ms_max:
            return f"the audio is only {self.audio_ms_max} ms long"
        return "" if meter.gpu_ms == 0 else "GPU time is not sold here"

    def take_due(self, *, ended: bool) -> NanoTon | None:
        """Return the new cumulative amount to pay for this job, or None for not yet.

        What is returned counts as paid from here on: the caller must sign it.
        """
        total = cost(self.schedule, self.seen)
        if total <= self.paid_nanoton:
            return None
        first = self.paid_nanoton == NO_MONEY
        units = self.seen.output_tokens
        chunk_is_full = units - self._units_paid >= self.limits.chunk_tokens
        if not (ended or first or chunk_is_full or self.kind is Kind.TRANSCRIBE):
            return None
        self.paid_nanoton, self._units_paid = total, units
        return total
