"""A customer's PTX to machine code, in a confined child.

The reader of PTX, the vetting and LLVM all take in what a stranger wrote, so none of them does so
in the worker: the child loads them, gives up files, sockets and processes, and only then sees the
text. It is stopped with the job, and ends with the worker.
"""

import hashlib
from pathlib import Path
from typing import Final, Literal

import msgspec

from kernels.compile import CodeCache, default_cache
from kernels.custom.child import Ask, ChildDied, ask_child
from kernels.custom.errors import KernelRejected, LimitExceeded, SandboxUnavailable
from kernels.custom.job import KernelJob, Role
from kernels.custom.oversight import Order
from kernels.errors import UNREADABLE
from kernels.ptx.translation import TRANSLATION_BYTES_MAX
from kernels.ptx.translator import translator_hash

TRANSLATE_CPU_S: Final = 15
TRANSLATE_MEMORY_BYTES: Final = 4 << 30
"""Address space; LLVM itself takes about half a gigabyte of it."""
ANSWER_OVERHEAD_BYTES: Final = 64 << 10

Device = Literal["cpu", "cuda"]


class TranslateRequest(msgspec.Struct, frozen=True):
    """What the child is asked: *job* says how the code is called, and holds no arrays."""

    job: KernelJob
    ptx: str
    device: str
    memory_bytes: int
    cpu_s: int
    must_confine: bool


class TranslateAnswer(msgspec.Struct, frozen=True):
    """A packed `kernels.ptx.translation.Translation`, or what is wrong with the code or here."""

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
    request = TranslateRequest(
        job=_without_content(job),
        ptx=ptx,
        device=device,
        memory_bytes=TRANSLATE_MEMORY_BYTES,
        cpu_s=TRANSLATE_CPU_S,
        must_confine=must_confine,
    )
    if not keep:
        return _in_child(request, ask)
    kept = CodeCache(cache or default_cache() / "custom")
    packed = msgspec.msgpack.encode(request)
    key = hashlib.sha256(translator_hash().encode() + packed).hexdigest()
    if (found := kept.get(key)) is None:
        found = _in_child(request, ask)
        kept.put(key, found)
    return found


def _without_content(job: KernelJob) -> KernelJob:
    arguments = tuple(
        each if each.role is Role.SCALAR else msgspec.structs.replace(each, data=b"")
        for each in job.arguments
    )
    return msgspec.structs.replace(job, code="-", arguments=arguments)


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
        if "signal 24" in str(error):  # SIGXCPU
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
    return answer.code if request.device == "cpu" else request.ptx.encode() + b"\0"
