"""The child process that vets and translates a customer's PTX. See `kernels.custom.translating`."""

import sys

import msgspec

from kernels.custom.child import STARTED
from kernels.custom.confinement import can_confine, confine, limit_resources
from kernels.custom.errors import KernelRejected
from kernels.custom.translating import TranslateAnswer, TranslateRequest
from kernels.custom.vetting import vet
from kernels.ptx.errors import PtxError
from kernels.ptx.mode import Mode


def _answer(request: TranslateRequest) -> TranslateAnswer:
    missing, scheduler = can_confine(), b""
    if missing and request.must_confine:
        return TranslateAnswer(unconfined=missing)
    if request.device == "cpu":
        from kernels.ptx.compiler import prepare  # noqa: PLC0415  (LLVM; not for a card)

        scheduler = prepare(request.scheduler)
    limit_resources(memory_bytes=request.memory_bytes, cpu_s=request.cpu_s)
    if not missing:
        confine()
    _write(STARTED)
    try:
        return TranslateAnswer(code=_code(request, scheduler))
    except (KernelRejected, PtxError) as error:
        return TranslateAnswer(rejected=str(error))
    except RecursionError:
        return TranslateAnswer(rejected="the code is nested too deeply")


def _code(request: TranslateRequest, scheduler: bytes) -> bytes:
    if request.job is None:
        return scheduler
    vet(request.job, request.ptx)
    if request.device != "cpu":
        return b""
    from kernels.ptx.compiler import compile_ptx  # noqa: PLC0415  (LLVM; loaded before)

    entries = (request.job.entry,)
    return compile_ptx(request.ptx, Mode.MASKED, entries, scheduler).pack()


def _write(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def main() -> None:
    """Serve one request."""
    request = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=TranslateRequest)
    answer = _answer(request)
    if answer.unconfined:
        _write(STARTED)
    _write(msgspec.msgpack.encode(answer))


if __name__ == "__main__":
    main()
