"""What can go wrong with a customer's kernel, by blame.

CustomKernelError (a KernelError)
  BadManifest          the job is described wrongly: mend the manifest (the message says where)
  KernelRejected       the code does not compile, or does something that is not run here
  KernelFault          the kernel itself failed: out of bounds, deadlock, trap
  LimitExceeded        it ran into one of its limits and was stopped
  KernelStopped        whoever had it run stopped it
  SandboxUnavailable   this machine cannot confine it, so it is not run
"""

from typing import TYPE_CHECKING

from kernels.errors import KernelError

if TYPE_CHECKING:
    from kernels.custom.job import Usage


class CustomKernelError(KernelError):
    """Base of everything below.

    Attributes:
        usage: what the kernel had used until then; None when nothing of it has run.
    """

    def __init__(self, message: str = "", usage: "Usage | None" = None) -> None:
        super().__init__(message)
        self.usage = usage


class BadManifest(CustomKernelError):
    """The description of the job is wrong; the message names the field and the reason."""


class KernelRejected(CustomKernelError):
    """The code was not accepted; nothing of it has run."""


class KernelFault(CustomKernelError):
    """The kernel was stopped by its own mistake."""


class LimitExceeded(CustomKernelError):
    """The kernel was stopped at a limit of the job: time, fuel or memory."""


class KernelStopped(CustomKernelError):
    """Whoever had it run said stop."""


class SandboxUnavailable(CustomKernelError):
    """What confines strangers' code is missing on this machine; the message says what."""
