"""What a kernel is, seen from the host: its arguments, their shapes, how it is launched.

A `KernelSpec` is the one description that all devices share. It checks a launch before the
device sees it (names, types, sizes of buffers), because a wrong size on a GPU is silent.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Final, TypeAlias

from kernels.errors import LaunchError

Dim3: TypeAlias = tuple[int, int, int]
Scalars: TypeAlias = Mapping[str, int | float]
Shape: TypeAlias = tuple[int, ...]

GRID_MAX: Final[Dim3] = (2**31 - 1, 65_535, 65_535)
"""Blocks in each direction that every supported card takes (CUDA C++ programming guide)."""

INT_MAX: Final = 2**31 - 1


class Dtype(Enum):
    """Type of the elements of an array, or of a scalar."""

    F32 = "float32"
    F64 = "float64"
    I64 = "int64"
    I32 = "int32"
    I8 = "int8"

    @property
    def size_bytes(self) -> int:
        """Size of one element in bytes."""
        return {Dtype.I8: 1, Dtype.F64: 8, Dtype.I64: 8}.get(self, 4)


class Role(Enum):
    """What a kernel does with an argument."""

    IN = "read"
    OUT = "written"
    INOUT = "read and written"
    SCALAR = "passed by value"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a kernel.

    Attributes:
        name: as in the CUDA source.
        dtype: of an element or of the scalar.
        role: scalar, or how the array is used.
        shape: the array's shape, computed from the scalars of the launch.
    """

    name: str
    dtype: Dtype
    role: Role
    shape: Callable[[Scalars], Shape] | None = None

    def size_bytes(self, scalars: Scalars) -> int:
        """Return how many bytes the array has for these *scalars*."""
        return math.prod(self.shape_of(scalars)) * self.dtype.size_bytes

    def shape_of(self, scalars: Scalars) -> Shape:
        """Return the array's shape for these *scalars*; a scalar has none.

        Raises:
            LaunchError: the parameter is a scalar.
        """
        if self.shape is None:
            raise LaunchError(f"{self.name} is a scalar")
        return self.shape(scalars)


@dataclass(frozen=True, eq=False)
class KernelSpec:
    """A kernel's contract. Two are equal only if they are the same object.

    Attributes:
        name: of the entry point, unique over all families.
        family: the file it is in, `cuda/<family>.cu`.
        reference: the function of `kernels.reference` that says what it computes.
        parameters: in the order of the CUDA signature.
        block: threads of a block.
        grid: blocks, computed from the scalars.
        requires: what else must hold of the scalars, in words, or "" when it holds.
        tolerance: largest error accepted, relative to the largest value of the reference.
    """

    name: str
    family: str
    reference: str
    parameters: tuple[Parameter, ...]
    block: Dim3
    grid: Callable[[Scalars], Dim3]
    requires: Callable[[Scalars], str]
    tolerance: float

    @cached_property
    def arrays(self) -> tuple[Parameter, ...]:
        """The parameters that are arrays."""
        return tuple(each for each in self.parameters if each.role is not Role.SCALAR)

    @cached_property
    def scalar_names(self) -> tuple[str, ...]:
        """The names of the parameters that are scalars, in order."""
        return tuple(each.name for each in self.parameters if each.role is Role.SCALAR)

    def scalars(self, values: Sequence[object]) -> dict[str, int | float]:
        """Return the scalars by name, from *values* in the order of `scalar_names`.

        Raises:
            LaunchError: a value has the wrong type or range, or the kernel cannot do this size.
        """
        parameters = [each for each in self.parameters if each.role is Role.SCALAR]
        found = {
            each.name: _scalar(self.name, each, value)
            for each, value in zip(parameters, values, strict=True)
        }
        if trouble := self.requires(found):
            raise LaunchError(f"{self.name}: {trouble}")
        return found

    def launch_grid(self, scalars: Scalars) -> Dim3:
        """Return the grid for *scalars*.

        Raises:
            LaunchError: it is empty or larger than a card takes.
        """
        grid = self.grid(scalars)
        if any(not 1 <= blocks <= most for blocks, most in zip(grid, GRID_MAX, strict=True)):
            raise LaunchError(f"{self.name}: no card takes a grid of {grid}")
        return grid


def _scalar(kernel: str, parameter: Parameter, value: object) -> int | float:
    if parameter.dtype is Dtype.F32:
        if isinstance(value, float) and math.isfinite(value):
            return value
    elif isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= INT_MAX:
        return value
    raise LaunchError(f"{kernel}: {parameter.name} cannot be {value!r}")
