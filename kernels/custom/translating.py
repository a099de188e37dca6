"""A customer's PTX to machine code, in a confined child.

The reader of PTX, the vetting and LLVM all take in what a stranger wrote, so none of them does so
in the worker: the child loads them, gives up files, sockets and processes, and only then sees the
text. It is stopped with the job, and ends with the worker.
"""

import functools
import hashlib
from pathlib import Path
from typing import Final, Literal

import msgspec

from kernels.compile import CodeCache, default_cache
from kernels.custom.child import Ask, ChildDied, ask_child
from kernels.custom.errors import KernelRejected, LimitExceeded, SandboxUnavailable
from kernels.custom.job import KernelJob, Role
from kernels.custom.oversight import Order
from kernels.decoding import UNREADABLE
from kernels.ptx.translation import TRANSLATION_BYTES_MAX

TRANSLATE_CPU_S: Final = 15
TRANSLATE_MEMORY_BYTES: Final = 4 << 30
"""Address space; LLVM itself takes about half a gigabyte of it."""
ANSWER_OVERHEAD_BYTES: Final = 64 << 10

Device = Literal["cpu", "cuda"]


class TranslateRequest(msgspec.Struct, frozen=True):
    """What the child is asked: *job* says how the code is called, and holds no arrays.

    Without a job it compiles the scheduler of `kernels.ptx.runtime`.
    """

    job: KernelJob | None
    ptx: str
    device: str
    must_confine: bool
    scheduler: bytes = b""
    memory_bytes: int = TRANSLATE_MEMORY_BYTES
    cpu_s: int = TRANSLATE_CPU_S


class TranslateAnswer(msgspec.Struct, frozen=True):
    """A packed `kernels.ptx.translation.Translation`, or what is wrong with the code or here.

    The scheduler as an object file, where that was asked for.
    """

    code: bytes = b""
    rejected: str = ""
    unconfined: str = ""


def translate_ptx(
    job: KernelJob,
    ptx: str,
    device: Device,
    *,
    must_confine: bool,
    cache: Path | None = None,
    keep: bool = True,
    ask: Ask = lambda: Order.GO,
) -> bytes:
    """Return what runs *ptx* on *device*: a packed translation, or for a card the text itself.

    Args:
        job: from `decode_job`; the code has to fit its entry, arguments and shared memory.
        ptx: the code, see `kernels.custom.compiling.compile_source`.
        device: what it is for.
        must_confine: refuse where the child cannot be confined.
        cache: folder of translated code; the user's cache by default.
        keep: whether the cache is used.
        ask: says whether to go on.

    Raises:
        KernelRejected: the code is not accepted, see `kernels.custom.vetting.vet`.
        LimitExceeded: the translator took too long, or too much memory.
        KernelStopped: *ask* said so.
        SandboxUnavailable: the child cannot be confined.
    """
    request = TranslateRequest(_without_content(job), ptx, device, must_confine)
    if not keep:
        return _code(_with_scheduler(request), ask)
    from kernels.ptx.translator import translator_hash  # noqa: PLC0415  (loads LLVM)

    kept = CodeCache(cache or default_cache() / "custom")
    packed = msgspec.msgpack.encode(request)
    key = hashlib.sha256(translator_hash().encode() + packed).hexdigest()
    if (found := kept.get(key)) is None:
        found = _code(request, ask)
        kept.put(key, found)
    return found


def _without_content(job: KernelJob) -> KernelJob:
    arguments = tuple(
        each if each.role is Role.SCALAR else msgspec.structs.replace(each, data=b"")
        for each in job.arguments
    )
    return msgspec.structs.replace(job, code="-", arguments=arguments)


def _with_scheduler(request: TranslateRequest) -> TranslateRequest:
    if request.device != "cpu":
        return request
    return msgspec.structs.replace(request, scheduler=_scheduler(request.must_confine))


@functools.cache
def _scheduler(must_confine: bool) -> bytes:
    """Return the scheduler, compiled once for all jobs of this process, which costs as much as one.

    By a child that has seen no stranger's code.
    """
    return _in_child(TranslateRequest(None, "", "cpu", must_confine), lambda: Order.GO)


def _code(request: TranslateRequest, ask: Ask) -> bytes:
    code = _in_child(request, ask)
    return code if request.device == "cpu" else request.ptx.encode() + b"\0"


def _in_child(request: TranslateRequest, ask: Ask) -> bytes:
    try:
        data = ask_child(
            "kernels.custom._translate_child",
            msgspec.msgpack.encode(request),
            work_s=2 * request.cpu_s,
            answer_bytes_max=TRANSLATION_BYTES_MAX + ANSWER_OVERHEAD_BYTES,
            what="the translator",
            ask=ask,
        )
    except ChildDied as error:  # LLVM ends its process when it lacks memory
        if error.used_up_cpu:
            raise LimitExceeded(
                f"the translator used {request.cpu_s} s of processor time"
            ) from error
        raise LimitExceeded(f"the translator {error}") from error
    try:
        answer = msgspec.msgpack.decode(data, type=TranslateAnswer)
    except UNREADABLE as error:
        raise KernelRejected(f"the translator spoke nonsense: {error}") from error
    if answer.unconfined:
        raise SandboxUnavailable(answer.unconfined)
    if answer.rejected:
        raise KernelRejected(answer.rejected)
    return answer.code
