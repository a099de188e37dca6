"""The parts that specs are made of: arrays with shapes from scalars, and what scalars must hold."""

from collections.abc import Callable
from typing import Final

from kernels.spec import Dtype, Parameter, Role, Scalars, Shape

Q8_BLOCK: Final = 32
"""Values that share one scale in the q8 and q4 layouts (see cuda/common.cuh)."""

WARP: Final = 32


def integer(scalars: Scalars, name: str) -> int:
    """Return a scalar that is an integer."""
    return int(scalars[name])


def shape(*factors: str | int) -> Callable[[Scalars], Shape]:
    """Return a shape of these *factors*, numbers or names of scalars."""
    return lambda scalars: tuple(
        integer(scalars, each) if isinstance(each, str) else each for each in factors
    )


def blocks_of(rows: str, columns: str) -> Callable[[Scalars], Shape]:
    """Return the shape of the scales of a quantised array."""
    return lambda s: (integer(s, rows), integer(s, columns) // Q8_BLOCK)


def read(name: str, shape: Callable[[Scalars], Shape], dtype: Dtype = Dtype.F32) -> Parameter:
    """Return an array that the kernel reads."""
    return Parameter(name, dtype, Role.IN, shape)


def written(name: str, shape: Callable[[Scalars], Shape], dtype: Dtype = Dtype.F32) -> Parameter:
    """Return an array that the kernel writes."""
    return Parameter(name, dtype, Role.OUT, shape)


def changed(name: str, shape: Callable[[Scalars], Shape]) -> Parameter:
    """Return an array that the kernel reads and writes."""
    return Parameter(name, Dtype.F32, Role.INOUT, shape)


def sizes(*names: str) -> tuple[Parameter, ...]:
    """Return scalars that are integers."""
    return tuple(Parameter(name, Dtype.I32, Role.SCALAR) for name in names)


def ceil_div(value: int, step: int) -> int:
    """Return how many steps cover *value*."""
    return -(-value // step)


def multiple(name: str, of: int) -> Callable[[Scalars], str]:
    """Require that scalar *name* is a multiple of *of*."""
    return lambda s: "" if integer(s, name) % of == 0 else f"{name} is not a multiple of {of}"


def anything(_scalars: Scalars) -> str:
    """Require nothing."""
    return ""
