"""The child process that vets and translates a customer's PTX. See `kernels.custom.translating`."""

from kernels.custom.child import STARTED, say, serve
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
    say(STARTED)
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


if __name__ == "__main__":
    serve(TranslateRequest, _answer)
