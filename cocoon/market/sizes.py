"""How large a job can become, and whether a provider takes one so large."""

from dataclasses import dataclass
from typing import Final

from cocoon.messages import Limits, RequestForOffer

_BUCKET_BITS: Final = 3
"""Leading bits that a bucketed size keeps: four buckets for each doubling."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSize:
    """Upper bounds of one job, as a request for an offer states them."""

    input_bytes_max: int = 0
    prompt_tokens_max: int = 0
    output_tokens_max: int = 0
    audio_seconds_max: int = 0
    kernel_ms_max: int = 0
    kernel_memory_bytes_max: int = 0
    kernel_output_bytes_max: int = 0


def size_of(request: RequestForOffer) -> JobSize:
    """Return the bounds that *request* states."""
    return JobSize(
        input_bytes_max=request.input_bytes_max,
        prompt_tokens_max=request.prompt_tokens_max,
        output_tokens_max=request.output_tokens_max,
        audio_seconds_max=request.audio_seconds_max,
        kernel_ms_max=request.kernel_ms_max,
        kernel_memory_bytes_max=request.kernel_memory_bytes_max,
        kernel_output_bytes_max=request.kernel_output_bytes_max,
    )


def bucket(size: int) -> int:
    """Round *size* up to a coarse step, so that a request tells less about its input.

    >>> [bucket(n) for n in (0, 7, 9, 100, 1000)]
    [0, 7, 10, 112, 1024]
    """
    shift = max(0, size.bit_length() - _BUCKET_BITS)
    return -(-size >> shift) << shift


def too_small(limits: Limits, size: JobSize) -> str:
    """Say which limit the job exceeds, with both numbers; empty when it fits."""
    context = size.prompt_tokens_max + size.output_tokens_max
    for what, wanted, limit in (
        ("input bytes", size.input_bytes_max, limits.input_bytes_max),
        ("tokens of context", context, limits.context_tokens),
        ("output tokens", size.output_tokens_max, limits.output_tokens_max),
        ("seconds of audio", size.audio_seconds_max, limits.audio_seconds_max),
        ("ms of a kernel", size.kernel_ms_max, limits.kernel_ms_max),
        ("bytes of arrays", size.kernel_memory_bytes_max, limits.kernel_memory_bytes_max),
        ("bytes of results", size.kernel_output_bytes_max, limits.kernel_output_bytes_max),
    ):
        if wanted > limit:
            return f"{wanted} {what} wanted, at most {limit} taken"
    return ""
