"""How much a provider may send before it has to be paid: one chunk, never more. Pure.

The billing rule, for both sides:

* the prompt and the first piece of output are due together, with the first voucher;
* after that a voucher is due whenever one chunk of output is unpaid;
* the provider stops sending (and its device stops computing a chunk later) while
  one more piece would make more than one chunk unpaid;
* audio is billed as the transcript moves through it, silence included, and so in steps
  of one chunk at most: a piece may carry nothing but the meter;
* a job that ends in any way, a cancel included, is paid up to the last piece sent.

A customer's kernel is billed while it runs, by what it has used, chunk by chunk; its result
comes with the rest of the bill, byte for byte in proportion (`cocoon.provider.results`).

So a provider never has more than the prompt and one chunk at risk, and a requester
never pays for anything that it has not received; but what it pays while a kernel runs is
lost if the provider dies before the result is there, for kernels cannot be gone on with
elsewhere.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import assert_never

from cocoon.market.price import cost
from cocoon.messages import Kind, Limits, Meter, PriceSchedule
from contracts.units import NO_MONEY, NanoTon


def units_of(kind: Kind, meter: Meter) -> int:
    """Return the output of *meter* in the unit that chunks are counted in."""
    match kind:
        case Kind.CHAT:
            return meter.output_tokens
        case Kind.TRANSCRIBE:
            return meter.audio_ms
        case Kind.KERNEL:
            return meter.gpu_ms
        case _:
            assert_never(kind)


def chunk_units(kind: Kind, limits: Limits) -> int:
    """Return the size of one chunk in those units."""
    match kind:
        case Kind.CHAT:
            return limits.chunk_tokens
        case Kind.TRANSCRIBE:
            return limits.chunk_audio_s * 1000
        case Kind.KERNEL:
            return limits.chunk_gpu_ms
        case _:
            assert_never(kind)


@dataclass(slots=True)
class Lease:
    """One job's running account, on the provider's side.

    Attributes:
        paid_nanoton: what vouchers have covered of this job.
        sent: the meter of the last piece that was sent.
    """

    kind: Kind
    schedule: PriceSchedule
    limits: Limits
    sent: Meter = field(default_factory=Meter)
    paid_nanoton: NanoTon = NO_MONEY
    at_risk_max_nanoton: NanoTon = NO_MONEY
    _unpaid: deque[tuple[int, int]] = field(default_factory=deque)
    """(cost, units) after each piece that was sent and is not yet covered."""
    _paid_units: int = 0

    @property
    def cost_nanoton(self) -> NanoTon:
        """Return what everything sent so far costs."""
        return cost(self.schedule, self.sent)

    @property
    def at_risk_nanoton(self) -> NanoTon:
        """Return what has been sent and not paid."""
        return NanoTon(max(0, self.cost_nanoton - self.paid_nanoton))

    def room(self) -> int:
        """Return how many more units may be sent now; 0 means wait for a voucher."""
        chunk = chunk_units(self.kind, self.limits)
        return max(0, chunk - (units_of(self.kind, self.sent) - self._paid_units))

    @property
    def vouchers_earned(self) -> int:
        """Return how many vouchers the rule asks for what is paid: a first, and one a chunk."""
        chunks = self._paid_units // chunk_units(self.kind, self.limits)
        return chunks + bool(self._paid_units)

    def computable(self, chunks_ahead: int) -> int:
        """Return how many units in all the device may make, so far ahead of what is paid."""
        return self._paid_units + chunks_ahead * chunk_units(self.kind, self.limits)

    def record_sent(self, meter: Meter) -> None:
        """A piece went out; *meter* is the total including it."""
        self.sent = meter
        self._unpaid.append((self.cost_nanoton, units_of(self.kind, meter)))
        self._cover()
        self.at_risk_max_nanoton = max(self.at_risk_max_nanoton, self.at_risk_nanoton)

    def record_paid(self, paid_nanoton: int) -> None:
        """Vouchers now cover *paid_nanoton* of this job."""
        self.paid_nanoton = NanoTon(max(self.paid_nanoton, paid_nanoton))
        self._cover()

    def _cover(self) -> None:
        while self._unpaid and self._unpaid[0][0] <= self.paid_nanoton:
            self._paid_units = self._unpaid.popleft()[1]

    @property
    def settled(self) -> bool:
        """Return whether everything that was sent is paid."""
        return self.paid_nanoton >= self.cost_nanoton
