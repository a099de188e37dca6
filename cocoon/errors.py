"""Cocoon's own errors, and the one table from every error to an exit code and a remedy.

CocoonError
  ConfigError          a setting is wrong: mend the file or the flag that the message names
  Refused              a peer said no, with a typed reason
  NoProvider           nobody could or would do the job (the reasons are listed)
  PaymentError         money cannot move as asked: fund, top up, or wait, as the message says
  JobFailed            the job began and could not be finished anywhere
  BadReceipt           a receipt does not verify
  MissingAsset         model weights or the chain emulator are not installed
  PeerMisbehaved       a peer broke the market protocol: drop it and lower its score
"""

import errno
from typing import Final

import msgspec

from contracts.errors import ChainUnavailable, ContractError, MessageRejected
from overlay.errors import (
    IdentityError,
    LocalProtocolError,
    OverlayError,
    PeerUnavailable,
    RemoteProtocolError,
)

UNDECODABLE: Final = (msgspec.MsgspecError, ValueError, RecursionError)
"""What decoding raises for bytes that are not what was asked for (bad UTF-8 is a ValueError)."""


class CocoonError(Exception):
    """Base of everything below."""


class ConfigError(CocoonError):
    """A setting is missing or wrong; the message names it."""


class Refused(CocoonError):
    """A peer refused, and said why.

    Attributes:
        code: a `cocoon.messages.RefusalCode` value.
        detail: the peer's words, already bounded in length.
    """

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code = code
        self.detail = detail


class NoProvider(CocoonError):
    """No provider is left that could do the job."""


class PaymentError(CocoonError):
    """Money cannot move as asked; nothing was signed or sent."""


class JobFailed(CocoonError):
    """The job started and could not be finished on any provider."""


class BadReceipt(CocoonError):
    """A receipt does not verify; the message says which binding broke."""


class MissingAsset(CocoonError):
    """Weights or the emulator are not on this machine; the message says how to get them."""


class PeerMisbehaved(CocoonError):
    """A peer broke the rules of the market."""


EXIT_CODES: Final[tuple[tuple[type[BaseException], int], ...]] = (
    (ConfigError, 2),
    (IdentityError, 2),
    (MissingAsset, 3),
    (NoProvider, 4),
    (Refused, 4),
    (PaymentError, 5),
    (MessageRejected, 5),
    (ChainUnavailable, 6),
    (ContractError, 5),
    (JobFailed, 7),
    (BadReceipt, 8),
    (PeerMisbehaved, 9),
    (PeerUnavailable, 6),
    (RemoteProtocolError, 9),
    (LocalProtocolError, 70),
    (OverlayError, 6),
    (KeyboardInterrupt, 130),
)
"""First match wins; anything else is our bug and exits with 70 and a traceback."""

EXIT_MEANINGS: Final = {
    0: "done",
    2: "a setting or an argument is wrong, or this machine's disk or permissions",
    3: "model weights or the chain emulator are missing",
    4: "no provider could or would do the job",
    5: "money could not move as asked",
    6: "a peer or the chain could not be reached",
    7: "the job started and could not be finished",
    8: "a receipt does not verify",
    9: "a peer broke the protocol",
    70: "a bug in Cocoon",
    130: "interrupted",
}


MACHINE_ERRNOS: Final = frozenset({
    errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EMFILE, errno.ENFILE,
})  # fmt: skip
"""Errors of the operating system that are no bug: a full disk, a folder that is not ours."""


def exit_code(error: BaseException) -> int:
    """Return the process exit code for *error*."""
    if isinstance(error, OSError) and error.errno in MACHINE_ERRNOS:
        return exit_code(ConfigError())
    return next((code for kind, code in EXIT_CODES if isinstance(error, kind)), 70)
