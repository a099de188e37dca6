"""What an attempt of a job cost, how fast it was, and why nobody was left for one."""

import logging
from pathlib import Path

import msgspec

from cocoon.errors import JobFailed, NoProvider
from cocoon.kernel_profiles import PROFILES
from cocoon.market.explain import Explanation
from cocoon.market.match import Loss
from cocoon.payments.payer import PayerChannel
from cocoon.requester.events import Attempt
from cocoon.requester.inputs import model_classes
from cocoon.requester.plan import JobRequest, KernelRequest, SpeechRequest
from cocoon.requester.run import RunningJob
from contracts.units import TICKER, NanoTon, format_coins

logger = logging.getLogger(__name__)


def account(attempt: Attempt, channel: PayerChannel, running: RunningJob) -> None:
    """Write down what the attempt cost, whichever way it ended."""
    attempt.at_risk_max_nanoton = running.watch.at_risk_max_nanoton
    attempt.vouchers, attempt.prompt_tokens = len(running.vouchers), running.watch.prompt_tokens
    attempt.channel_total_nanoton = channel.signed_total
    before = running.accept.payment.signed_total_nanoton
    attempt.paid_nanoton = NanoTon(channel.signed_total - before)


def keep_explanation(directory: Path, explanation: Explanation, number: int) -> None:
    """Write down why each provider won or lost, for `cocoon explain`; without room, only say so."""
    path = directory / f"{explanation.job_id}-{number}.json"
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.write_bytes(msgspec.json.encode(explanation))
    except OSError as error:
        logger.warning("why this provider: not kept in %s: %s", path, error)


def speed_milli_per_s(attempt: Attempt, request: JobRequest) -> int:
    """Return thousandths of tokens (or seconds of audio) a second; 0: it was not measured."""
    if attempt.streaming_s <= 0 or isinstance(request, KernelRequest):
        return 0
    if isinstance(request, SpeechRequest):
        return int(request.duration_ms / attempt.streaming_s)
    return int(1000 * max(0, attempt.tokens - 1) / attempt.streaming_s)


def class_words(resource_class: str) -> str:
    """Return what a class is called, or how its hash begins when that is not known here."""
    kernels = {each.resource_class: each.name for each in PROFILES.values()}
    names = model_classes() | kernels
    return names.get(resource_class, resource_class[:24])


def nobody_left(
    losses: list[Loss], resource_class: str, paid_nanoton: NanoTon
) -> NoProvider | JobFailed:
    """Return the error of a job that nobody is left for, after it has cost *paid_nanoton*.

    One that was paid for in part has failed: who just tries again pays again.
    """
    words = no_provider_words(losses, resource_class)
    if not paid_nanoton:
        return NoProvider(words)
    paid = f"{format_coins(paid_nanoton)} {TICKER} was paid for what came"
    return JobFailed(f"{paid}; {words}")


def no_provider_words(losses: list[Loss], resource_class: str) -> str:
    """Return why there is no provider, one line for each."""
    if not losses:
        return (
            f"no provider of {class_words(resource_class)} was found; "
            "check network.bootstrap, or wait for one to join"
        )
    last = {loss.peer: loss for loss in losses}  # that it is not asked again says less
    reasons = "\n".join(f"  {x.peer[-8:]}  {x.reason.value}: {x.detail}" for x in last.values())
    return f"no provider is left for this job:\n{reasons}"
