"""The eight kernels: inputs, launch, what NumPy says, and how the C peer is called."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
F32 = np.float32


@dataclass(frozen=True)
class Case:
    """One kernel at one size.

    Attributes:
        name: of the kernel, in reference.cu and in reference.c.
        arrays: its arrays, in the order of the CUDA parameters; the last *outputs* are results.
        scalars: the CUDA parameters after them.
        c_scalars: the parameters of the C function after the arrays.
        grid, block: the launch.
        shared_size_bytes: of dynamic shared memory.
        wanted: the results, by NumPy in double precision.
        tolerance: largest error, relative to the largest value.
    """

    name: str
    arrays: tuple[Array, ...]
    outputs: int
    scalars: tuple[Any, ...]
    c_scalars: tuple[Any, ...]
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    wanted: tuple[Array, ...]
    tolerance: float
    shared_size_bytes: int = 0

    def error(self, found: tuple[Array, ...]) -> float:
        """Return the largest error of *found*, relative."""
        worst = 0.0
        for result, wanted in zip(found, self.wanted, strict=True):
            wide = wanted.astype(np.float64)
            difference = np.abs(result.astype(np.float64) - wide).max()
            worst = max(worst, float(difference / max(np.abs(wide).max(), 1e-30)))
        return worst


def cases(size: int = 1_000_003) -> tuple[Case, ...]:
    """Return the eight cases; *size* is the number of values of the long ones."""
    random = np.random.default_rng(0)
    makers: tuple[Callable[[np.random.Generator, int], Case], ...] = (
        _vadd, _matmul, _block_reduce, _softmax, _histogram, _haxpy, _scan, _gemv_q8,
    )  # fmt: skip
    return tuple(make(random, size) for make in makers)


def _vadd(random: np.random.Generator, n: int) -> Case:
    a, b = random.standard_normal(n, F32), random.standard_normal(n, F32)
    grid = (-(-n // 256), 1, 1)
    arrays = (a, b, np.zeros(n, F32))
    return Case("vadd", arrays, 1, (n,), (n,), grid, (256, 1, 1), (a + b,), 0.0)


def _matmul(random: np.random.Generator, size: int) -> Case:
    rows, columns, inner = (250, 260, 270) if size > 10**5 else (50, 40, 70)
    a = random.standard_normal((rows, inner), F32)
    b = random.standard_normal((inner, columns), F32)
    sizes = (rows, columns, inner)
    grid = (-(-columns // 16), -(-rows // 16), 1)
    wanted = a.astype(np.float64) @ b
    arrays = (a, b, np.zeros((rows, columns), F32))
    return Case("matmul", arrays, 1, sizes, sizes, grid, (16, 16, 1), (wanted,), 1e-5)


def _block_reduce(random: np.random.Generator, n: int) -> Case:
    parts, values = 64, random.standard_normal(n, F32)
    which = np.arange(n) // 256 % parts
    wanted = np.bincount(which, weights=values.astype(np.float64), minlength=parts)
    arrays = (values, np.zeros(parts, F32))
    grid = (parts, 1, 1)
    return Case("block_reduce", arrays, 1, (n,), (n, parts), grid, (256, 1, 1), (wanted,), 1e-5)


def _softmax(random: np.random.Generator, size: int) -> Case:
    rows, columns = (256, 1000) if size > 10**5 else (8, 100)
    x = random.standard_normal((rows, columns), F32) * 3
    powers = np.exp(x.astype(np.float64) - x.max(1, keepdims=True))
    wanted = powers / powers.sum(1, keepdims=True)
    arrays = (x, np.zeros_like(x))
    return Case(
        "softmax", arrays, 1, (columns,), (rows, columns), (rows, 1, 1), (128, 1, 1), (wanted,),
        1e-5, shared_size_bytes=512,
    )  # fmt: skip


def _histogram(random: np.random.Generator, n: int) -> Case:
    data = random.integers(0, 256, n, dtype=np.uint8)
    wanted = np.bincount(data, minlength=256)
    arrays = (data, np.zeros(256, np.uint32))
    return Case("histogram", arrays, 1, (n,), (n,), (32, 1, 1), (256, 1, 1), (wanted,), 0.0)


def _haxpy(random: np.random.Generator, size: int) -> Case:
    n = size // 10 * 2
    x = random.standard_normal(n, F32).astype(np.float16)
    y = random.standard_normal(n, F32).astype(np.float16)
    z = (1.5 * x.astype(np.float64) + y.astype(np.float64)).astype(np.float16)
    norm = np.array([np.square(z.astype(np.float64)).sum()])
    arrays = (x, y, np.zeros(n, np.float16), np.zeros(1, F32))
    grid = (-(-n // 256), 1, 1)
    scalars, c_scalars = (F32(1.5), n // 2), (F32(1.5), n)
    return Case("haxpy", arrays, 2, scalars, c_scalars, grid, (128, 1, 1), (z, norm), 1e-3)


def _scan(random: np.random.Generator, size: int) -> Case:
    rows, n = (64 if size > 10**5 else 4), 200
    x = random.integers(-9, 9, (rows, n), dtype=np.int32)
    wanted = np.cumsum(x, 1, dtype=np.int32)
    arrays = (x, np.zeros_like(x))
    return Case("scan", arrays, 1, (n,), (rows, n), (rows, 1, 1), (256, 1, 1), (wanted,), 0.0)


def _gemv_q8(random: np.random.Generator, size: int) -> Case:
    rows, columns = (1024, 2048) if size > 10**5 else (13, 256)
    w = random.integers(-127, 128, (rows, columns), dtype=np.int8)
    w_scales = (random.random((rows, columns // 32)) / 100).astype(np.float16)
    x = random.integers(-127, 128, columns, dtype=np.int8)
    x_scales = (random.random(columns // 32) / 100).astype(F32)
    dots = (w.reshape(rows, -1, 32).astype(np.int64) * x.reshape(1, -1, 32)).sum(2)
    wanted = (dots * w_scales.astype(np.float64) * x_scales.astype(np.float64)).sum(1)
    arrays = (w, w_scales, x, x_scales, np.zeros(rows, F32))
    sizes = (rows, columns)
    grid = (-(-rows // 4), 1, 1)
    return Case("gemv_q8", arrays, 1, sizes, sizes, grid, (128, 1, 1), (wanted,), 1e-5)
