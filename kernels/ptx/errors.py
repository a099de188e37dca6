"""What can go wrong between PTX text and its results.

PtxError (a KernelError)
  InvalidPtx           the text breaks the language, or one of the limits of this reader
  UnsupportedPtx       the language has it, and this translator does not
  TranslationFailed    the translating process died, or ran out of its time or memory
LaunchFault (a LaunchError)
  the kernel itself is at fault: `LaunchFault.reason` says how, and where when that is known
"""

from enum import Enum
from typing import Final

from kernels.errors import KernelError, LaunchError


class PtxError(KernelError):
    """The PTX cannot be made to run here. `line` is that of the text, 0 when unknown."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(f"PTX line {line}: {message}" if line else f"PTX: {message}")
        self.line: Final = line
        self.bare_message: Final = message


class InvalidPtx(PtxError):
    """The text is not PTX, or is larger than the reader takes."""


class UnsupportedPtx(PtxError):
    """An instruction or a form of one that has no translation."""


class TranslationFailed(PtxError):
    """The child process that translates gave no answer within its limits."""


class FaultReason(Enum):
    """Why a launch was stopped. The values are those of `Fault` in runtime/scheduler.c."""

    DEADLOCK = 1
    OUT_OF_FUEL = 2
    TRAP = 3
    OUT_OF_BOUNDS = 4
    MISALIGNED = 5
    UNINITIALISED_SHARED = 6
    DATA_RACE = 7
    DIVERGENT_BARRIER = 8
    EXITED_LANE = 9
    READ_ONLY = 10
    BLOCK_RACE = 11


FAULT_WORDS: Final = {
    FaultReason.DEADLOCK: "threads wait at a barrier or warp operation that others never reach",
    FaultReason.OUT_OF_FUEL: "the kernel used up its fuel",
    FaultReason.TRAP: "the kernel executed a trap or a failed assertion",
    FaultReason.OUT_OF_BOUNDS: "an access out of bounds",
    FaultReason.MISALIGNED: "a misaligned access",
    FaultReason.UNINITIALISED_SHARED: "a read of shared memory that nothing was written to",
    FaultReason.DATA_RACE: "a data race of two threads",
    FaultReason.DIVERGENT_BARRIER: "threads of a block wait at different barriers",
    FaultReason.EXITED_LANE: "a warp operation reads a lane that does not take part in it",
    FaultReason.READ_ONLY: "a write to constant memory",
    FaultReason.BLOCK_RACE: "a data race of two blocks in global memory",
}


class LaunchFault(LaunchError):
    """A kernel was stopped.

    Attributes:
        reason: why.
        line: line of the PTX at fault, or 0 when unknown.
        fuel_used: instructions until then.
    """

    def __init__(self, reason: FaultReason, kernel: str, detail: str = "", line: int = 0) -> None:
        where = f" (PTX line {line})" if line else ""
        super().__init__(f"{kernel}: {FAULT_WORDS[reason]}{detail}{where}")
        self.reason: Final = reason
        self.line: Final = line
        self.fuel_used = 0
