"""PTX for tests: a kernel around a few lines, and its launch on NumPy arrays."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernels.ptx import Arena, LaunchReport, Mode, Module
from kernels.ptx._llvm import compile_text, scheduler_code
from kernels.ptx.compiler import compile_ptx, lower

HEAD = ".version 8.8\n.target sm_75\n.address_size 64\n"


def kernel(body: str, parameters: Sequence[str] = (), *, name: str = "k", before: str = "") -> str:
    """Return a module with one kernel; *parameters* are types, named p0, p1, ..."""
    listed = ", ".join(f".param .{kind} p{number}" for number, kind in enumerate(parameters))
    return f"{HEAD}{before}\n.visible .entry {name}({listed})\n{{\n{body}\nret;\n}}\n"


def in_process(text: str, mode: Mode = Mode.MASKED, level: int | None = None) -> Module:
    """Translate without the child process, which tests of single instructions do not need.

    With LLVM at *level* 1 that is much quicker.
    """
    if level is None:
        return Module(compile_ptx(text, mode))
    lowered, translation = lower(text, mode)
    return Module(translation.with_code(compile_text(lowered, level=level), scheduler_code()))


class Bench:
    """An arena and arrays in it."""

    def __init__(self, mode: Mode = Mode.MASKED, size_bytes: int = 2**26) -> None:
        self.mode = mode
        self.arena = Arena(size_bytes, is_checked=mode is Mode.STRICT)

    def run(
        self,
        module: Module,
        arguments: Sequence[Any],
        *,
        grid: tuple[int, int, int] = (1, 1, 1),
        block: tuple[int, int, int] = (32, 1, 1),
        name: str = "k",
        shared_size_bytes: int = 0,
        fuel: int = 10**9,
    ) -> tuple[list[NDArray[Any]], LaunchReport]:
        """Launch; arrays are copied in, and all of them out again."""
        blocks = [
            self.arena.allocate(each.nbytes) if isinstance(each, np.ndarray) else each
            for each in arguments
        ]
        try:
            for block_, array in zip(blocks, arguments, strict=True):
                if isinstance(array, np.ndarray):
                    view = self.arena.view(block_.address, array.nbytes)
                    view[:] = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
            report = module.entry(name).launch(
                self.arena, grid, block, blocks, shared_size_bytes=shared_size_bytes, fuel=fuel
            )
            found = [
                self.arena.view(block_.address, array.nbytes)
                .copy()
                .view(array.dtype)
                .reshape(array.shape)
                for block_, array in zip(blocks, arguments, strict=True)
                if isinstance(array, np.ndarray)
            ]
        finally:
            for block_, array in zip(blocks, arguments, strict=True):
                if isinstance(array, np.ndarray):
                    self.arena.free(block_)
        return found, report
