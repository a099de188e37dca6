"""When a requester owes a voucher, and whether a provider's meter is honest. Pure.

The mirror of `cocoon.provider.lease`, which states the billing rule.
"""

from dataclasses import dataclass, field
from operator import ge
from typing import Final

from msgspec.structs import astuple

from cocoon.errors import PeerMisbehaved
from cocoon.market.price import chunk_cost, cost
from cocoon.messages import Finish, Kind, Limits, Meter, OutputPiece, PriceSchedule
from contracts.units import NO_MONEY, NanoTon

TEMPLATE_TOKENS_MAX: Final = 64
"""What a chat template may add to each turn, in tokens: a bound, not an estimate."""
TOKEN_CHARACTERS_MAX: Final = 512
"""No vocabulary has longer tokens. Text is not billed, so only a bound keeps it finite."""
SPEECH_CHARACTERS_PER_S_MAX: Final = 1000
"""Twice what a model of speech can write in its worst loop."""
SPEECH_WINDOW_S: Final = 30
"""Models of speech write for up to so much audio at once."""
PIECE_CHARACTERS: Final = 16
"""What a stretch of speech counts beside its text."""


@dataclass(slots=True)
class MeterWatch:
    """Checks each piece of output and says when payment is due.

    Attributes:
        prompt_tokens_max: the most that this input can be in tokens (every token
            of text is at least one byte, plus the template).
        output_tokens_max: what was asked for.
        audio_ms_max: the length of the audio that was sent, as its header says.
        kernel_ms_max: how long a kernel of ours may run, in metered milliseconds.
        output_bytes: what our kernel writes, whole, when nothing fails.
        skip_ms: of the audio, what another provider has written down.
    """

    kind: Kind
    schedule: PriceSchedule
    limits: Limits
    prompt_tokens_max: int
    output_tokens_max: int
    audio_ms_max: int
    kernel_ms_max: int = 0
    output_bytes: int = 0
    skip_ms: int = 0
    seen: Meter = field(default_factory=Meter)
    paid_nanoton: NanoTon = NO_MONEY
    at_risk_max_nanoton: NanoTon = NO_MONEY
    _tokens_received: int = 0
    _bytes_received: int = 0
    _characters_received: int = 0
    _units_paid: int = 0

    @property
    def prompt_tokens(self) -> int:
        """Return the tokens of the prompt, cached ones included, as billed."""
        return self.seen.prompt_tokens + self.seen.cached_tokens

    def receive(self, piece: OutputPiece) -> None:
        """Take one piece.

        Raises:
            PeerMisbehaved: the meter runs backwards, counts output that did not
                come, exceeds what this job can possibly need, or makes more than
                one chunk due at once; or the text is more than so much output can
                have. Nothing of the piece is due then.
        """
        received = self._tokens_received + len(piece.token_ids)
        bytes_received = self._bytes_received + len(piece.data)
        problem = self._problem(piece.meter, received) or self._excess(piece.meter)
        if problem:
            raise PeerMisbehaved(f"dishonest meter: {problem}")
        characters = self._characters_received + _characters(piece)
        if problem := self._strange_text(piece, characters, received):
            raise PeerMisbehaved(problem)
        if bytes_received > self.output_bytes:
            raise PeerMisbehaved(f"more than the {self.output_bytes} bytes that the kernel writes")
        if piece.finish is Finish.STOP and bytes_received < self.output_bytes:
            raise PeerMisbehaved(f"{bytes_received} bytes of {self.output_bytes} came")
        self._tokens_received, self._bytes_received = received, bytes_received
        self._characters_received = characters
        self.seen = piece.meter
        unpaid = NanoTon(cost(self.schedule, self.seen) - self.paid_nanoton)
        self.at_risk_max_nanoton = max(self.at_risk_max_nanoton, unpaid)

    def _excess(self, meter: Meter) -> str:
        """Say whether *meter* asks for more than the prompt and one chunk at once."""
        unpaid = cost(self.schedule, meter) - self.paid_nanoton
        allowed = chunk_cost(self.schedule, self.limits, self.kind)
        if self.paid_nanoton == NO_MONEY:
            prompt = Meter(prompt_tokens=meter.prompt_tokens, cached_tokens=meter.cached_tokens)
            allowed = NanoTon(allowed + cost(self.schedule, prompt))
        if unpaid <= allowed:
            return ""
        return f"{unpaid} nanoton due at once, one chunk costs {allowed}"

    def _strange_text(self, piece: OutputPiece, characters: int, tokens_received: int) -> str:
        """Say whether the text cannot be that of what is billed, or lies beyond it."""
        audio_ms = piece.meter.audio_ms
        allowed = 0
        if self.kind is Kind.CHAT:
            allowed = TOKEN_CHARACTERS_MAX * tokens_received
        elif self.kind is Kind.TRANSCRIBE:
            allowed = SPEECH_CHARACTERS_PER_S_MAX * (audio_ms // 1000 + SPEECH_WINDOW_S)
        if characters > allowed:
            return f"{characters} characters of text came, at most {allowed} can be"
        if any(each.end_ms - self.skip_ms > audio_ms for each in piece.speech):
            return f"it wrote down what comes after the {audio_ms} ms that it bills"
        return ""

    def _problem(self, meter: Meter, tokens_received: int) -> str:
        seen, prompt_tokens = self.seen, meter.prompt_tokens + meter.cached_tokens
        billed = meter.output_tokens
        if not _grew(seen, meter):
            problem = "it ran backwards"
        elif self.kind is Kind.CHAT and billed != tokens_received:
            problem = f"{billed} tokens billed, {tokens_received} received"
        elif seen != Meter() and prompt_tokens != self.prompt_tokens:
            problem = f"the prompt grew from {self.prompt_tokens} tokens"
        elif billed > self.output_tokens_max:
            problem = f"more than the {self.output_tokens_max} tokens asked for"
        elif prompt_tokens > self.prompt_tokens_max:
            problem = f"the prompt cannot be {prompt_tokens} tokens long"
        elif meter.audio_ms > self.audio_ms_max:
            problem = f"the audio is only {self.audio_ms_max} ms long"
        elif meter.gpu_ms > self.kernel_ms_max:
            allowed = f"more than the {self.kernel_ms_max} ms that we allowed"
            problem = allowed if self.kind is Kind.KERNEL else "GPU time is not sold here"
        else:
            problem = ""
        return problem

    def take_due(self, *, ended: bool) -> NanoTon | None:
        """Return the new cumulative amount to pay for this job, or None for not yet.

        What is returned counts as paid from here on: the caller must sign it.
        """
        total = cost(self.schedule, self.seen)
        if total <= self.paid_nanoton:
            return None
        first = self.paid_nanoton == NO_MONEY
        kernel = self.kind is Kind.KERNEL
        units = self.seen.gpu_ms if kernel else self.seen.output_tokens
        chunk = self.limits.chunk_gpu_ms if kernel else self.limits.chunk_tokens
        chunk_is_full = units - self._units_paid >= chunk
        if not (ended or first or chunk_is_full or self.kind is Kind.TRANSCRIBE):
            return None
        self.paid_nanoton, self._units_paid = total, units
        return total


def _characters(piece: OutputPiece) -> int:
    speech = sum(PIECE_CHARACTERS + len(each.text) for each in piece.speech)
    return len(piece.text) + speech


def _grew(before: Meter, after: Meter) -> bool:
    return all(map(ge, astuple(after), astuple(before)))
