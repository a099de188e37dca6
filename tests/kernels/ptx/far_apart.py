"""Run a kernel in a process where free address space lies in two places, 8 GB apart.

    python tests/kernels/ptx/far_apart.py MODEL RELOCATION PAGES

Everything that is free is reserved, but for a place of PAGES and one far below it. LLVM's
loader then puts a section of the code into the first and the next ones into the second, as
happens by chance in a process with many large mappings. Prints whether the kernel was right.
"""

import ctypes
import resource
import sys

import numpy as np
from ptx_source import kernel

from kernels.ptx import Arena, Mode, Module, _llvm
from kernels.ptx.compiler import compile_ptx

PAGE = resource.getpagesize()
APART = 8 * 2**30
FAR_BYTES = 2**28
RESERVE = 0x4022  # MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
NO_ACCESS = 0

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.mmap.restype = ctypes.c_void_p
LIBC.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
LIBC.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
FAILED = ctypes.c_void_p(-1).value

TEXT = kernel(
    """
    .reg .b64 a, i; .reg .b32 t, n; .reg .f32 x, y;
    ld.param.u64 a, [p0]; mov.u32 t, %tid.x; mul.wide.u32 i, t, 4; add.u64 a, a, i;
    ld.global.f32 x, [a]; mul.f32 y, x, 0f3FC00000; add.f32 y, y, 0f40490FDB; sin.approx.f32 x, y;
    ex2.approx.f32 y, x; st.global.f32 [a], y;
    """,
    ["u64"],
)


def fill(leave: int, apart: int, far: int) -> None:
    """Reserve all free address space but *leave* bytes, and *far* bytes *apart* below them."""
    hole = LIBC.mmap(None, far + apart, NO_ACCESS, RESERVE, -1, 0)
    size = 2**46
    while size >= PAGE:
        if LIBC.mmap(None, size, NO_ACCESS, RESERVE, -1, 0) == FAILED:
            size //= 2
    LIBC.munmap(hole, far)
    LIBC.munmap(hole + far + apart - leave, leave)


def main(model: str, relocation: str, pages: int) -> None:
    _llvm.MODEL, _llvm.RELOCATION = model, relocation
    translation = compile_ptx(TEXT, Mode.FAST)
    arena = Arena(2**26)
    data = arena.allocate(4 * 32)
    view = arena.view(data.address, 4 * 32).view(np.float32)
    view[:] = np.arange(32)
    fill(pages * PAGE, APART, FAR_BYTES)
    module = Module(translation)
    module.entry("k").launch(arena, (1, 1, 1), (32, 1, 1), [data])
    wanted = np.exp2(np.sin(np.arange(32) * 1.5 + np.pi))
    print("right" if float(np.abs(view - wanted).max()) < 1e-5 else "wrong")  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
