"""Turns what a person asks for into a request for offers, and into what is still to do. Pure."""

from dataclasses import dataclass, replace
from typing import Final, assert_never

from cocoon.confidential.sealing import padded_size
from cocoon.kernel_profiles import PROFILES, KernelDevice, KernelProfile
from cocoon.market.sizes import JobSize, bucket
from cocoon.messages import (
    ChatInput,
    JobInput,
    KernelInput,
    Kind,
    Limits,
    OutputPiece,
    PriceSchedule,
    RequestForOffer,
    SamplingSettings,
    SpeechInput,
    Tier,
    Turn,
    encode,
    resource_class,
)
from cocoon.requester.meter import TEMPLATE_TOKENS_MAX
from kernels.custom import KernelJob, encode_job
from kernels.custom.job import arrays_bytes, output_bytes

PROMPT_TOKENS_ALLOWED: Final = 64
"""Room for a default system prompt that a template may add, in tokens."""


AUDIO_HEADER_SLACK_MS: Final = 250
"""Decoders may find a little more audio than a header announces, and may bill it."""

GREEDY: Final = SamplingSettings()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """A chat to be continued. `model_id` is the hex sha256 of the weights."""

    model_id: str
    turns: tuple[Turn, ...]
    output_tokens_max: int = 256
    sampling: SamplingSettings = GREEDY


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechRequest:
    """A recording to be written down. `duration_ms` is what its header says."""

    model_id: str
    audio: bytes
    duration_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelRequest:
    """A kernel of our own to be run on somebody's device, at most for ``job.limits.time_ms``.

    These milliseconds are metered ones, see `cocoon.kernel_profiles`.
    """

    job: KernelJob
    device: KernelDevice

    @property
    def profile(self) -> KernelProfile:
        """What we want to have it run under."""
        return PROFILES[self.device]

    @property
    def model_id(self) -> str:
        """The hex id of the profile."""
        return self.profile.profile_id.hex()

    @property
    def input(self) -> KernelInput:
        """What is sealed and sent."""
        return KernelInput(job=encode_job(self.job))


JobRequest = ChatRequest | SpeechRequest | KernelRequest


SPEED_ENOUGH_MILLI_PER_S: Final = {
    Kind.CHAT: 30_000,
    Kind.TRANSCRIBE: 5_000,
    Kind.KERNEL: 1_000_000,
}
"""Faster than this is not better: faster than people read, five times as fast as they speak,
a millisecond of metered time each millisecond."""


def kind_of_job(request: JobRequest) -> Kind:
    """Return what the request asks for."""
    match request:
        case ChatRequest():
            return Kind.CHAT
        case SpeechRequest():
            return Kind.TRANSCRIBE
        case KernelRequest():
            return Kind.KERNEL
        case _:
            assert_never(request)


def class_of(request: JobRequest) -> str:
    """Return the resource class that the request needs."""
    return resource_class(kind_of_job(request), request.model_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkLimits:
    """The largest chunk that we let a provider ask payment for at once."""

    tokens_max: int
    audio_s_max: int
    kernel_ms_max: int = 0

    def objection(self, kind: Kind, limits: Limits) -> str:
        """Say why a provider's chunks are too large for us, or ""."""
        if kind is Kind.TRANSCRIBE and limits.chunk_audio_s > self.audio_s_max:
            return f"chunks of {limits.chunk_audio_s} s of audio, at most {self.audio_s_max}"
        if kind is Kind.CHAT and limits.chunk_tokens > self.tokens_max:
            return f"chunks of {limits.chunk_tokens} tokens, at most {self.tokens_max}"
        if kind is Kind.KERNEL and limits.chunk_gpu_ms > self.kernel_ms_max:
            return f"chunks of {limits.chunk_gpu_ms} ms of a kernel, at most {self.kernel_ms_max}"
        return ""


@dataclass(frozen=True, slots=True)
class Progress:
    """What has been received so far, from whichever providers.

    Attributes:
        token_ids, text: of a chat's answer.
        speech: (start_ms, end_ms, text) of a transcript.
        data: what a kernel wrote, in pieces; of no use to another provider.
        note: the step that a kernel is at, or why it failed.
        metered_ms: what a kernel has used.
    """

    token_ids: tuple[int, ...] = ()
    text: str = ""
    speech: tuple[tuple[int, int, str], ...] = ()
    data: tuple[bytes, ...] = ()
    note: str = ""
    metered_ms: int = 0

    def with_piece(self, piece: OutputPiece) -> "Progress":
        """Return the progress after one more piece of output."""
        speech = tuple((s.start_ms, s.end_ms, s.text) for s in piece.speech)
        return replace(
            self,
            token_ids=self.token_ids + piece.token_ids,
            text=self.text + piece.text,
            speech=self.speech + speech,
            data=(*self.data, piece.data) if piece.data else self.data,
            note=piece.note or self.note,
            metered_ms=piece.meter.gpu_ms,
        )

    @property
    def transcript(self) -> str:
        """Return the text of a transcription."""
        return " ".join(text.strip() for _, _, text in self.speech if text.strip())

    @property
    def skip_ms(self) -> int:
        """Return where a transcription has to go on."""
        return self.speech[-1][1] if self.speech else 0


def remaining_input(request: JobRequest, progress: Progress) -> JobInput:
    """Return the input that finishes the job: the transcript so far is part of it."""
    if isinstance(request, SpeechRequest):
        return SpeechInput(audio=request.audio, skip_ms=progress.skip_ms)
    if isinstance(request, KernelRequest):
        return request.input
    return ChatInput(
        turns=request.turns,
        output_tokens_max=output_tokens_left(request, progress),
        sampling=request.sampling,
        prefix_token_ids=progress.token_ids,
    )


def output_tokens_left(request: ChatRequest, progress: Progress) -> int:
    """Return how many tokens may still be written."""
    return max(0, request.output_tokens_max - len(progress.token_ids))


def prompt_tokens_max(request: ChatRequest, progress: Progress) -> int:
    """Return a bound on the prompt, without a tokenizer: a token is at least one byte."""
    text_bytes = sum(len(turn.content.encode()) for turn in request.turns)
    template = TEMPLATE_TOKENS_MAX * len(request.turns) + PROMPT_TOKENS_ALLOWED
    return text_bytes + template + len(progress.token_ids)


def size_of(request: JobRequest, progress: Progress) -> JobSize:
    """Return upper bounds of what is left, rounded up so that they tell less."""
    input_bytes = bucket(padded_size(len(encode(remaining_input(request, progress)))))
    if isinstance(request, SpeechRequest):
        seconds = -(-(request.duration_ms + AUDIO_HEADER_SLACK_MS) // 1000)
        return JobSize(input_bytes_max=input_bytes, audio_seconds_max=max(1, bucket(seconds)))
    if isinstance(request, KernelRequest):
        return JobSize(
            input_bytes_max=input_bytes,
            kernel_ms_max=request.job.limits.time_ms,
            kernel_memory_bytes_max=bucket(arrays_bytes(request.job)),
            kernel_output_bytes_max=bucket(output_bytes(request.job)),
        )
    return JobSize(
        input_bytes_max=input_bytes,
        prompt_tokens_max=bucket(prompt_tokens_max(request, progress)),
        output_tokens_max=output_tokens_left(request, progress),
    )


def request_for_offer(
    request: JobRequest,
    size: JobSize,
    *,
    nonce: bytes,
    chain_network_id: int,
    tier_min: Tier,
    ceiling: PriceSchedule,
    deadline_unix_s: int,
) -> RequestForOffer:
    """Return the message that is sent to the providers on the shortlist."""
    return RequestForOffer(
        nonce=nonce,
        resource_class=class_of(request),
        chain_network_id=chain_network_id,
        input_bytes_max=size.input_bytes_max,
        prompt_tokens_max=size.prompt_tokens_max,
        output_tokens_max=size.output_tokens_max,
        audio_seconds_max=size.audio_seconds_max,
        kernel_ms_max=size.kernel_ms_max,
        kernel_memory_bytes_max=size.kernel_memory_bytes_max,
        kernel_output_bytes_max=size.kernel_output_bytes_max,
        tier_min=tier_min,
        ceiling=ceiling,
        deadline_unix_s=deadline_unix_s,
    )
