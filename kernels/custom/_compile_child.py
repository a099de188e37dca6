"""The child process that compiles a customer's source. See `kernels.custom.compiling`."""

from pathlib import Path

from kernels.compile import CompileError, Nvrtc, Source, Target
from kernels.custom.child import STARTED, say, serve
from kernels.custom.compiling import LOG_CHARACTERS_MAX, CompileAnswer, CompileRequest
from kernels.custom.confinement import can_confine, confine, limit_resources
from kernels.errors import DeviceUnavailable

WARM_UP = Source("warm_up.cu", 'extern "C" __global__ void f(float* p) { *p = sqrtf(*p); }')


def _answer(request: CompileRequest) -> CompileAnswer:
    missing = can_confine()
    if missing and request.must_confine:
        return CompileAnswer(unconfined=missing)
    target = Target(virtual=True, capability=request.architecture)
    try:
        compiler = Nvrtc(Path(request.library))
        compiler.compile(WARM_UP, target)  # loads the compiler's second library
    except (DeviceUnavailable, CompileError) as error:
        return CompileAnswer(unconfined=f"the CUDA compiler does not work: {error}")
    limit_resources(memory_bytes=request.memory_bytes, cpu_s=request.cpu_s)
    if not missing:
        confine()
    say(STARTED)
    try:
        ptx = compiler.compile(Source("kernel.cu", request.code, request.headers), target)
    except CompileError as error:
        return CompileAnswer(log=str(error)[:LOG_CHARACTERS_MAX])
    return CompileAnswer(ptx=ptx.rstrip(b"\0").decode())


if __name__ == "__main__":
    serve(CompileRequest, _answer)
