"""What a requester tells while it works: progress for people, facts for reports."""

from dataclasses import dataclass, field
from typing import TypeAlias

import msgspec

from cocoon.market.explain import Explanation
from cocoon.messages import Finish, PriceSchedule, Quote
from contracts.units import NO_MONEY, NanoTon


@dataclass(frozen=True, slots=True)
class Discovered:
    """Quotes are known; `found` is how many providers the DHT named."""

    found: int
    quotes: tuple[Quote, ...]


@dataclass(frozen=True, slots=True)
class Negotiated:
    """A provider was chosen; the explanation has a reason for every other."""

    provider: str
    schedule: PriceSchedule
    worst_case_nanoton: NanoTon
    explanation: Explanation


@dataclass(frozen=True, slots=True)
class ChannelReady:
    """The channel can pay for the job."""

    provider: str
    address: str
    spendable_nanoton: NanoTon


@dataclass(frozen=True, slots=True)
class InputSent:
    """How much of a long input is on its way, sealed."""

    sent_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True)
class Reconnecting:
    """The connection to the provider was lost in mid-job, and is dialed again."""

    provider: str


@dataclass(frozen=True, slots=True)
class Reconnected:
    """The provider still has the job, which goes on where it was."""

    provider: str


@dataclass(frozen=True, slots=True)
class OutputCame:
    """New text (of a chat), or a transcribed stretch; `tokens` counts all so far."""

    text: str
    tokens: int


@dataclass(frozen=True, slots=True)
class KernelCame:
    """How far a kernel is: its step, what it has used, and how much of its result is here."""

    step: str
    metered_ms: int
    received_bytes: int


@dataclass(frozen=True, slots=True)
class AllBusy:
    """Everybody who suits is busy; they are asked again after `wait_s`, for the `waits`th time.

    Attributes:
        patience_s: how much longer than that the job may wait.
    """

    waits: int
    wait_s: float
    patience_s: float


@dataclass(frozen=True, slots=True)
class AttemptFailed:
    """A provider did not finish; what it delivered is kept and paid for."""

    provider: str
    reason: str
    tokens: int


JobProgress: TypeAlias = (
    Discovered
    | AllBusy
    | Negotiated
    | ChannelReady
    | InputSent
    | Reconnecting
    | Reconnected
    | OutputCame
    | KernelCame
    | AttemptFailed
)


class FailOver(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    """One change of provider in the middle of a job."""

    from_: str
    to: str
    at_token: int
    reason: str


@dataclass(slots=True)
class Attempt:
    """What one provider did for a job."""

    provider: str
    channel: str = ""
    vouchers: int = 0
    paid_nanoton: NanoTon = NO_MONEY
    channel_total_nanoton: NanoTon = NO_MONEY
    at_risk_max_nanoton: NanoTon = NO_MONEY
    tokens: int = 0
    prompt_tokens: int = 0
    first_output_s: float | None = None
    streaming_s: float = 0.0
    receipt: str = ""
    failure: str = ""


@dataclass(slots=True)
class JobResult:
    """A finished job.

    Attributes:
        time_to_first_token_s: from the request until the first output, negotiation
            and (when one had to be opened) the channel included.
        tokens_per_s: while streaming, over all providers that worked on it.
        data: what a kernel wrote, see `cocoon.requester.kernels.outputs_of`.
        note: why a kernel failed.
        metered_ms: what a kernel used, in the milliseconds of its class.
    """

    job_id: str
    resource_class: str
    text: str
    tokens: int
    finish: Finish
    time_to_first_token_s: float
    tokens_per_s: float
    total_s: float
    attempts: list[Attempt]
    failovers: list[FailOver]
    explanations: list[Explanation] = field(default_factory=list)
    data: bytes = b""
    note: str = ""
    metered_ms: int = 0

    @property
    def paid_nanoton(self) -> NanoTon:
        """Return what was signed away for this job, over all providers."""
        return NanoTon(sum(attempt.paid_nanoton for attempt in self.attempts))

    @property
    def provider(self) -> str:
        """Return who finished it."""
        return self.attempts[-1].provider
