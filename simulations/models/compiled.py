"""The one adapter to numba: kernels are typed Python functions, compiled at their first call.

Compiled code is cached on disk, beside the module or in the user's cache, so that the
cost of compiling (about a second a kernel) is paid once. Kernels release the interpreter lock.
"""

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import numba
import numpy as np
from numpy.typing import NDArray

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

U64 = np.uint64
Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]
UInt64s = NDArray[np.uint64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Bytes = NDArray[np.int8]


def compiled(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Compile a kernel on its first call; integer arithmetic and IEEE floats stay exact."""
    kernel: Callable[Arguments, Result] = numba.njit(cache=True, nogil=True)(function)
    return kernel


def compiled_bare(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Compile a kernel that allocates nothing; numba then counts no references to its arrays.

    Where small kernels hand tuples of arrays to each other, counting took five sixths of the time
    (an atomic increment and decrement for each array and call). An allocation in such a kernel is
    refused when it is compiled.
    """
    njit: Any = numba.njit  # its types leave this option out; numba checks its name
    kernel: Callable[Arguments, Result] = njit(cache=True, nogil=True, _nrt=False)(function)
    return kernel


def compiled_inline(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Compile a small function into each kernel that calls it."""
    kernel: Callable[Arguments, Result] = numba.njit(cache=True, nogil=True, inline="always")(
        function
    )
    return kernel
