"""How translated code treats memory and time."""

from enum import Enum


class Mode(Enum):
    """What a translation guards against.

    Attributes:
        FAST: nothing; for kernels that we trust. A wild pointer can end the process.
        MASKED: every access lands in the arena and every loop burns fuel: for strangers' kernels.
        STRICT: every access is checked, shared memory for races too; for tests, some 10-50 times
            slower.
    """

    FAST = "fast"
    MASKED = "masked"
    STRICT = "strict"

    @property
    def burns_fuel(self) -> bool:
        """Whether loops count against the launch's fuel."""
        return self is not Mode.FAST
