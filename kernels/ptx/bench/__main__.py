"""Time eight kernels on the PTX route and as plain C, in one process, in processor time.

    python -m kernels.ptx.bench [--json] [--mode masked] [--kernel NAME]

Every result is checked against NumPy first. The peer is reference.c, compiled by gcc with
``-O3 -march=native``; without gcc there is none, and the ratio is left out.
"""

import argparse
import ctypes
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np

from kernels._cpu_ptx import compile_to_ptx
from kernels.compile import Source
from kernels.errors import KernelError
from kernels.ptx import Arena, Mode, Module, translate
from kernels.ptx.bench.cases import Array, Case, cases

FOLDER: Final = Path(__file__).parent
C_FLAGS: Final = ("-O3", "-march=native", "-shared", "-fPIC")
ROUNDS_S: Final = 0.3
ROUNDS_MIN: Final = 5
STRICT_SIZE: Final = 10_007


def best_s(work: Callable[[], object], seconds: float = ROUNDS_S) -> float:
    """Return the least processor time that *work* takes, over some rounds."""
    best, spent, rounds = float("inf"), 0.0, 0
    while spent < seconds or rounds < ROUNDS_MIN:
        start = time.process_time()
        work()
        took = time.process_time() - start
        best, spent, rounds = min(best, took), spent + took, rounds + 1
        if rounds > 2000:
            break
    return best


def load_module(mode: Mode) -> Module:
    """Return the eight kernels, translated."""
    source = Source("reference.cu", (FOLDER / "reference.cu").read_text(encoding="utf-8"))
    return translate(compile_to_ptx(source), mode=mode)


def compile_peer(folder: Path) -> ctypes.CDLL | None:
    """Return reference.c as a library, or None when there is no gcc."""
    gcc = shutil.which("gcc")
    if gcc is None:
        return None
    library = folder / "reference.so"
    command = [gcc, *C_FLAGS, "-o", str(library), str(FOLDER / "reference.c"), "-lm"]
    subprocess.run(command, check=True, capture_output=True)
    return ctypes.CDLL(str(library))


def run_ptx(case: Case, module: Module, arena: Arena) -> tuple[tuple[Array, ...], float]:
    """Return the results and the seconds of a launch."""
    blocks = [arena.allocate(each.nbytes) for each in case.arrays]
    try:

        def reset() -> None:
            for block, array in zip(blocks, case.arrays, strict=True):
                arena.view(block.address, array.nbytes)[:] = array.reshape(-1).view(np.uint8)

        entry, arguments = module.entry(case.name), (*blocks, *case.scalars)

        def launch() -> None:
            entry.launch(
                arena, case.grid, case.block, arguments, shared_size_bytes=case.shared_size_bytes
            )

        reset()
        launch()
        found = tuple(
            arena.view(block.address, array.nbytes).copy().view(array.dtype).reshape(array.shape)
            for block, array in zip(blocks, case.arrays, strict=True)
        )
        return found[-case.outputs :], best_s(launch)
    finally:
        for block in blocks:
            arena.free(block)


def run_peer(case: Case, library: ctypes.CDLL) -> tuple[tuple[Array, ...], float]:
    """Return the results and the seconds of a call of the C function."""
    arrays = [each.copy() for each in case.arrays]
    scalars = [
        ctypes.c_float(float(each)) if isinstance(each, np.float32) else ctypes.c_int(each)
        for each in case.c_scalars
    ]
    pointers = [ctypes.c_void_p(each.ctypes.data) for each in arrays]
    function = getattr(library, case.name)

    def call() -> None:
        function(*pointers, *scalars)

    call()
    found = tuple(each.copy() for each in arrays[-case.outputs :])
    return found, best_s(call)


def measure(mode: Mode, names: list[str]) -> list[dict[str, Any]]:
    """Return a row for each kernel.

    Raises:
        KernelError: a result is wrong.
    """
    size = STRICT_SIZE if mode is Mode.STRICT else 1_000_003
    arena = Arena(2**28, is_checked=mode is Mode.STRICT)
    module = load_module(mode)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        library = compile_peer(Path(folder))
        for case in cases(size):
            if names and case.name not in names:
                continue
            found, seconds = run_ptx(case, module, arena)
            error = case.error(found)
            _check(case, error, "the PTX route")
            row: dict[str, Any] = {"kernel": case.name, "mode": mode.value, "error": error}
            row["ptx_ms"] = round(seconds * 1e3, 4)
            if library is not None:
                found, peer = run_peer(case, library)
                _check(case, case.error(found), "plain C")
                row["c_ms"], row["times_c"] = round(peer * 1e3, 4), round(seconds / peer, 2)
            rows.append(row)
    return rows


def _check(case: Case, error: float, who: str) -> None:
    if not error <= case.tolerance:
        raise KernelError(f"{case.name}: {who} is off by {error:.1e}")


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m kernels.ptx.bench", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--mode", choices=[each.value for each in Mode], default="fast")
    parser.add_argument("--kernel", action="append", default=[], help="only this one")
    arguments = parser.parse_args()
    try:
        rows = measure(Mode(arguments.mode), arguments.kernel)
    except KernelError as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command
        return 1
    print(json.dumps(rows, indent=2) if arguments.json else _table(rows))  # noqa: T201
    return 0


def _table(rows: list[dict[str, Any]]) -> str:
    lines = [f"{'kernel':14}{'PTX ms':>10}{'C ms':>10}{'times C':>10}{'error':>10}"]
    for row in rows:
        peer, times = row.get("c_ms", "-"), row.get("times_c", "-")
        lines.append(
            f"{row['kernel']:14}{row['ptx_ms']:>10}{peer:>10}{times:>10}{row['error']:>10.1e}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
