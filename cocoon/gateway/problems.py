"""From our errors to what a client of an HTTP API expects: a status, a type, a code."""

from dataclasses import dataclass
from typing import Final

import msgspec

from cocoon.errors import (
    BadReceipt,
    ConfigError,
    JobFailed,
    NoProvider,
    PaymentError,
    PeerMisbehaved,
    Refused,
)
from contracts.errors import ChainUnavailable, ContractError
from contracts.units import NanoTon
from overlay.errors import OverlayError

DETAIL_MAX: Final = 2000
"""Characters of a message; some of them quote peers."""


class ApiProblem(Exception):
    """A request that is not served.

    Attributes:
        status: of the HTTP answer.
        code: stable, for programs.
        parameter: of the request that is at fault, or "".
        retry: whether the same request may do better; clients that retry by themselves
            listen to it, so that nobody pays twice for what cannot succeed.
    """

    def __init__(
        self, status: int, code: str, detail: str, *, parameter: str = "", retry: bool = False
    ) -> None:
        super().__init__(detail[:DETAIL_MAX])
        self.status = status
        self.code = code
        self.parameter = parameter
        self.retry = retry

    @property
    def kind(self) -> str:
        """Return OpenAI's word for whose fault it is."""
        return "invalid_request_error" if self.status < 500 else "api_error"

    def body(self) -> bytes:
        """Return the JSON of the answer."""
        error = {
            "message": str(self),
            "type": self.kind,
            "param": self.parameter or None,
            "code": self.code,
        }
        return msgspec.json.encode({"error": error})

    def headers(self) -> dict[str, str]:
        """Return the headers that steer a client's own retries."""
        return {"x-should-retry": "true" if self.retry else "false"}


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    code: str
    retry: bool = False


_ANSWERS: Final[tuple[tuple[type[Exception], _Answer], ...]] = (
    (ConfigError, _Answer(400, "invalid_request")),
    (NoProvider, _Answer(503, "no_provider", retry=True)),
    (Refused, _Answer(503, "refused", retry=True)),
    (PaymentError, _Answer(402, "payment")),
    (ChainUnavailable, _Answer(503, "chain_unavailable", retry=True)),
    (ContractError, _Answer(402, "payment")),
    (JobFailed, _Answer(502, "job_failed")),
    (BadReceipt, _Answer(502, "bad_receipt")),
    (PeerMisbehaved, _Answer(502, "peer_misbehaved")),
    (OverlayError, _Answer(503, "swarm_unavailable", retry=True)),
)
SERVED: Final = tuple(kind for kind, _ in _ANSWERS)
"""What a job can end with that is told to the client; anything else is our bug."""


def problem_of(error: Exception, paid_nanoton: NanoTon) -> ApiProblem:
    """Return what to answer when a job ended with *error*, one of `SERVED`.

    Whatever it was, a job that has cost something is not for a client to repeat by itself:
    it would pay for the same again.
    """
    answer = next(answer for kind, answer in _ANSWERS if isinstance(error, kind))
    retry = answer.retry and not paid_nanoton
    return ApiProblem(answer.status, answer.code, str(error), retry=retry)
