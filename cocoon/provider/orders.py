"""Turns the opened input of an accepted job into a command for a worker. Pure."""

import secrets
from typing import assert_never

from cocoon.errors import Refused
from cocoon.messages import (
    ChatInput,
    JobInput,
    KernelInput,
    Kind,
    Limits,
    RefusalCode,
    RequestForOffer,
    SpeechInput,
)
from cocoon.provider.execution import GRANTED_CHUNKS
from cocoon.provider.lease import chunk_units
from cocoon.provider.wire import Job, RunChat, RunKernel, RunSpeech


def job_for_worker(
    kind: Kind, limits: Limits, request: RequestForOffer, job_input: JobInput
) -> Job:
    """Return the command.

    Args:
        kind: what the class is for that was agreed on.
        limits: of the offer.
        request: what the requester asked for.
        job_input: what it sent.

    Raises:
        Refused: the input is of another kind, or wants more than was negotiated.
    """
    granted = GRANTED_CHUNKS * chunk_units(kind, limits)
    match job_input:
        case ChatInput():
            _expect(kind, Kind.CHAT)
            return _chat(limits, request, job_input, granted)
        case SpeechInput():
            _expect(kind, Kind.TRANSCRIBE)
            return RunSpeech(
                job_id=secrets.token_hex(8),
                audio=job_input.audio,
                audio_seconds_max=min(limits.audio_seconds_max, request.audio_seconds_max),
                skip_ms=job_input.skip_ms,
                granted_ms=granted,
            )
        case KernelInput():
            _expect(kind, Kind.KERNEL)
            return _kernel(limits, request, job_input, granted)
        case _:
            assert_never(job_input)


def _chat(limits: Limits, request: RequestForOffer, chat: ChatInput, granted: int) -> RunChat:
    if chat.output_tokens_max > request.output_tokens_max:
        raise Refused(RefusalCode.SIZE.value, "more output tokens than negotiated")
    prompt_tokens_max = limits.context_tokens - request.output_tokens_max
    return RunChat(
        job_id=secrets.token_hex(8),
        turns=chat.turns,
        prefix_token_ids=chat.prefix_token_ids,
        output_tokens_max=chat.output_tokens_max,
        prompt_tokens_max=min(request.prompt_tokens_max, prompt_tokens_max),
        sampling=chat.sampling,
        granted_tokens=granted,
    )


def _kernel(
    limits: Limits, request: RequestForOffer, kernel: KernelInput, granted: int
) -> RunKernel:
    """The worker, which reads strangers' jobs, holds it to these numbers."""
    return RunKernel(
        job_id=secrets.token_hex(8),
        job=kernel.job,
        ms_max=min(limits.kernel_ms_max, request.kernel_ms_max),
        memory_bytes_max=min(limits.kernel_memory_bytes_max, request.kernel_memory_bytes_max),
        output_bytes_max=min(limits.kernel_output_bytes_max, request.kernel_output_bytes_max),
        granted_ms=granted,
    )


def _expect(kind: Kind, wanted: Kind) -> None:
    if kind is not wanted:
        raise Refused(RefusalCode.INPUT.value, f"this class is not for {wanted.value} jobs")
