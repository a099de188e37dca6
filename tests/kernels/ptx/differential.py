"""Random programs through the translator and through the interpreter; the results must agree."""

import random
from typing import Any
from unittest import mock

import numpy as np
from ptx_source import HEAD, in_process
from random_programs import (
    ADD,
    FUNCTION,
    GRID,
    PARAMETER,
    ROW,
    XOR,
    Maker,
    Operation,
    Stop,
    Writer,
    wanted,
)

from kernels.ptx import Arena, FaultReason, LaunchFault, Mode, Module, renaming

SHAPES = ((40, 1), (11, 6))


def load(programs: list[list[Any]], threads: int, mode: Mode, level: int) -> Module:
    """Translate, with LLVM at *level*: what is looked at is ours, and most of the time LLVM's."""
    kernels = [Writer(threads).kernel(code, f"k{n}") for n, code in enumerate(programs)]
    return in_process(HEAD + FUNCTION + "".join(kernels), mode, level)


def launch(
    module: Module, name: str, arena: Arena, shape: tuple[int, int], blocks: int
) -> tuple[Any, Any]:
    """Return the registers and the cells that a kernel leaves."""
    threads = shape[0] * shape[1] * blocks
    rows, cells = arena.allocate(8 * ROW * threads), arena.allocate(4 * threads)
    try:
        module.entry(name).launch(
            arena, (blocks, 1, 1), (*shape, 1), [rows, PARAMETER, cells], fuel=10**8
        )
        return (
            arena.view(rows.address, rows.size_bytes).view(np.uint64).reshape(-1, ROW).copy(),
            arena.view(cells.address, cells.size_bytes).view(np.uint32).copy(),
        )
    finally:
        arena.free(rows)
        arena.free(cells)


def check_program(
    module: Module, name: str, code: list[Any], arena: Arena, shape: tuple[int, int]
) -> None:
    """Raise AssertionError when the kernel *name* does not do what *code* says."""
    rows, cells, is_defined = wanted(code, shape, GRID)
    if module.mode is Mode.STRICT and not is_defined:
        try:
            launch(module, name, arena, shape, GRID)
        except LaunchFault as fault:
            assert fault.reason is FaultReason.EXITED_LANE, fault
            return
        raise AssertionError("a shuffle from a lane that left was let pass")
    found_rows, found_cells = launch(module, name, arena, shape, GRID)
    assert np.array_equal(found_rows, rows), Writer(shape[0] * shape[1]).kernel(code, name)
    assert np.array_equal(found_cells, cells), Writer(shape[0] * shape[1]).kernel(code, name)


def check_seed(
    seed: int, mode: Mode, shape: tuple[int, int], *, programs: int, level: int = 1
) -> None:
    """Make *programs* from *seed* and check each."""
    maker = Maker(random.Random(seed))  # noqa: S311 - a test
    made = [maker.program() for _ in range(programs)]
    module = load(made, shape[0] * shape[1], mode, level)
    arena = Arena(2**26, is_checked=mode is Mode.STRICT)
    for number, code in enumerate(made):
        check_program(module, f"k{number}", code, arena, shape)


WIDE = (256, 4)
"""The largest block."""


OVERWRITTEN = [
    Stop("bar.sync"),
    Operation(ADD, ("r0",), ("r1", "r2")),
    Operation(XOR, ("r3",), ("r0", "r1")),
    Stop("shfl.idx", ("r0", "p0"), "r1", 0),
    Operation(ADD, ("r4",), ("r0", "r3")),
]
"""What is computed again after the shuffle goes through the register of its result."""


def check_all(seeds: int) -> None:
    """Check programs of many seeds, a few at a time, in the modes in turn.

    One in three times the analysis that gives definitions registers of their own is left out, as it
    is for very large functions.
    """
    for seed in range(seeds):
        limit = renaming.WORK_MAX if seed % 3 else 0
        with mock.patch.object(renaming, "WORK_MAX", limit):
            mode = (Mode.MASKED, Mode.STRICT, Mode.FAST)[seed % 3]
            check_seed(seed, mode, SHAPES[seed % 2], programs=8)
        if seed == 0:
            check_seed(seed, Mode.MASKED, WIDE, programs=3)
    with mock.patch.object(renaming, "WORK_MAX", 0):
        module = load([OVERWRITTEN], 40, Mode.MASKED, 1)
    check_program(module, "k0", OVERWRITTEN, Arena(2**26), SHAPES[0])
