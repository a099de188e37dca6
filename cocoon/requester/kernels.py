"""What only jobs with kernels need on the requester's side: how they end, and their results."""

from typing import Final

from cocoon.errors import JobFailed, Refused
from cocoon.market.match import Track
from cocoon.messages import Finish, RefusalCode
from cocoon.requester.events import JobResult
from cocoon.requester.plan import JobRequest, KernelRequest
from kernels.custom import KernelJob
from kernels.custom.job import Output, written

COMPLETE: Final = frozenset({Finish.STOP, Finish.LENGTH})
OWN_FAULT: Final = frozenset({Finish.FAULT, Finish.LIMIT})
"""A kernel that ends so would do so anywhere: it is not tried again."""


def is_complete(request: JobRequest, finish: Finish | None) -> bool:
    """Return whether a job that ended so has done what it could."""
    return finish in COMPLETE or (isinstance(request, KernelRequest) and finish in OWN_FAULT)


def is_own_fault(request: JobRequest, error: Exception) -> bool:
    """Return whether a provider refused our kernel itself: any other would, too."""
    refused = isinstance(error, Refused) and error.code == RefusalCode.INPUT.value
    return refused and isinstance(request, KernelRequest)


def without_speeds(tracks: dict[str, Track]) -> dict[str, Track]:
    """Return *tracks* for a kernel's job: what was measured with tokens says nothing about it."""
    return {peer: Track(track.jobs, track.failures) for peer, track in tracks.items()}


def outputs_of(job: KernelJob, result: JobResult) -> tuple[Output, ...]:
    """Return the arrays that *job* wrote, in the order of its signature.

    Raises:
        JobFailed: the kernel failed; the message says how.
    """
    if result.finish in OWN_FAULT:
        raise JobFailed(f"the kernel failed ({result.finish.value}): {result.note}")
    outputs, at = [], 0
    for each in written(job):
        data = result.data[at : at + each.size_bytes]
        outputs.append(Output(name=each.name, dtype=each.dtype, shape=each.shape, data=data))
        at += each.size_bytes
    return tuple(outputs)
