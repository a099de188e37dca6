"""A customer's CUDA C++ to PTX, in a confined child.

NVRTC reads any file of the host that an ``#include`` names, so the child has no files: it loads
the compiler, closes everything, and only then sees the customer's source. What may be included
comes through NVRTC's own header table (`HEADERS`).
"""

import hashlib
from pathlib import Path
from typing import Final

import msgspec

from kernels.compile import CodeCache, default_cache, find_nvrtc
from kernels.custom.child import Ask, ChildDied, ask_child
from kernels.custom.errors import KernelRejected, LimitExceeded, SandboxUnavailable
from kernels.custom.job import KernelJob, Language
from kernels.custom.oversight import Order
from kernels.decoding import UNREADABLE

COMPILE_CPU_S: Final = 10
COMPILE_MEMORY_BYTES: Final = 3 << 30
PTX_BYTES_MAX: Final = 8 << 20
LOG_CHARACTERS_MAX: Final = 4096
ARCHITECTURE: Final = 75
"""Virtual architecture of the PTX: the oldest card that is served; newer ones translate it."""

_INTEGERS: Final = """
typedef signed char int8_t; typedef unsigned char uint8_t;
typedef short int16_t; typedef unsigned short uint16_t;
typedef int int32_t; typedef unsigned int uint32_t;
typedef long long int64_t; typedef unsigned long long uint64_t;
"""
HEADERS: Final = (("stdint.h", _INTEGERS), ("cstdint", _INTEGERS))


class CompileRequest(msgspec.Struct, frozen=True):
    """What the child is asked."""

    library: str
    code: str
    headers: tuple[tuple[str, str], ...]
    architecture: int
    memory_bytes: int
    cpu_s: int
    must_confine: bool


class CompileAnswer(msgspec.Struct, frozen=True):
    """PTX, or what is wrong with the source, or with the sandbox."""

    ptx: str = ""
    log: str = ""
    unconfined: str = ""


def compile_source(
    job: KernelJob,
    *,
    must_confine: bool,
    cache: Path | None = None,
    keep: bool = True,
    ask: Ask = lambda: Order.GO,
) -> str:
    """Return the PTX of *job*, from the cache if it is there; without *keep* there is no cache.

    Raises:
        KernelRejected: it does not compile; the message holds the compiler's words.
        LimitExceeded: the compiler took too long.
        KernelStopped: *ask* said so.
        SandboxUnavailable: there is no compiler, or it cannot be confined.
    """
    if job.language is Language.PTX:
        return job.code
    if not keep:
        return _in_child(job.code, must_confine=must_confine, ask=ask)
    kept = CodeCache(cache or default_cache() / "custom")
    key = hashlib.sha256(f"{HEADERS}{ARCHITECTURE}\0{_library()}\0{job.code}".encode()).hexdigest()
    if (found := kept.get(key)) is not None:
        return found.decode()
    ptx = _in_child(job.code, must_confine=must_confine, ask=ask)
    kept.put(key, ptx.encode())
    return ptx


def _library() -> Path:
    found = find_nvrtc()
    if found is None:
        raise SandboxUnavailable("no CUDA compiler: pip install nvidia-cuda-nvrtc (Linux)")
    return found


def _in_child(code: str, *, must_confine: bool, ask: Ask) -> str:
    request = CompileRequest(
        library=str(_library()),
        code=code,
        headers=HEADERS,
        architecture=ARCHITECTURE,
        memory_bytes=COMPILE_MEMORY_BYTES,
        cpu_s=COMPILE_CPU_S,
        must_confine=must_confine,
    )
    try:
        data = ask_child(
            "kernels.custom._compile_child",
            msgspec.msgpack.encode(request),
            work_s=2 * COMPILE_CPU_S,
            answer_bytes_max=PTX_BYTES_MAX,
            what="the compiler",
            ask=ask,
        )
    except ChildDied as error:
        if error.used_up_cpu:
            raise LimitExceeded(f"the compiler used {COMPILE_CPU_S} s of processor time") from error
        raise KernelRejected(f"the compiler {error}") from error
    try:
        answer = msgspec.msgpack.decode(data, type=CompileAnswer)
    except UNREADABLE as error:
        raise KernelRejected(f"the compiler's process spoke nonsense: {error}") from error
    if answer.unconfined:
        raise SandboxUnavailable(answer.unconfined)
    if answer.log:
        raise KernelRejected(f"it does not compile:\n{answer.log}")
    return answer.ptx
