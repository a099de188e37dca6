"""Every exception that the contracts package raises on purpose.

ContractError
  ChainUnavailable     the chain could not be asked, or not in time: try again, or elsewhere
  MessageRejected      the contract refused an external message (exit code inside)
  InvalidData          what came from the chain or a peer does not parse, or lies
  LocalContractError   we asked for something impossible: a bug, or a setting to mend
"""


class ContractError(Exception):
    """Base of everything below."""


class ChainUnavailable(ContractError):
    """The chain could not be asked, or did not answer in time."""


class MessageRejected(ContractError):
    """The receiving contract did not accept the message; nothing was charged.

    Attributes:
        exit_code: the TVM exit code, when the chain told it.
    """

    def __init__(self, message: str, *, exit_code: int | None = None) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class InvalidData(ContractError):
    """Bytes from the chain or from a peer do not parse, or contradict a proof."""


class LocalContractError(ContractError):
    """Our own request makes no sense."""
