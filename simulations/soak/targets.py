"""What is fed with damaged inputs, and how it may say no."""

from collections.abc import Callable
from dataclasses import dataclass

from simulations.soak.damage import Damage, packed


@dataclass(frozen=True, slots=True)
class Target:
    """One reader of a stranger's bytes.

    Attributes:
        name: for the report.
        feed: takes the input; returns, or raises one of *refusals*.
        valid: an input that is taken.
        damage: makes a wrong one of it.
        refusals: the typed errors that its docstring names.
    """

    name: str
    feed: Callable[[bytes], object]
    valid: bytes
    refusals: tuple[type[Exception], ...]
    damage: Damage = packed
