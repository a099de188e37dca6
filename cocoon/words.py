"""How jobs and quotes are told: in words for people, as plain values for scripts."""

from collections.abc import Callable, Sequence
from typing import Final

from cocoon.confidential.tiers import shown_tier
from cocoon.directory import Directory
from cocoon.kernel_profiles import profile_of
from cocoon.market.quotes import kind_of_class
from cocoon.messages import Kind, Quote
from cocoon.payments.payer_book import InterruptedJob
from cocoon.requester.events import (
    AllBusy,
    AttemptFailed,
    ChannelReady,
    Discovered,
    InputSent,
    JobProgress,
    JobResult,
    Negotiated,
    Reconnected,
    Reconnecting,
)
from contracts.units import TICKER, format_coins
from overlay.ids import short

UNITS: Final = {Kind.CHAT: " tok/s", Kind.TRANSCRIBE: "x", Kind.KERNEL: " ms/s"}
"""Of speeds."""
MEGABYTE: Final = 1_000_000


def counted(number: int, what: str) -> str:
    """Write a number of things.

    >>> counted(1, "quote"), counted(2, "quote")
    ('1 quote', '2 quotes')
    """
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def progress_words(event: JobProgress, name_of: Callable[[str], str] = short) -> str:
    """Return one line about a step of a job, or "" when there is nothing to say.

    Args:
        event: what happened.
        name_of: what to call a peer.
    """
    match event:
        case Discovered(found=found, quotes=quotes):
            return f"{counted(found, 'provider')} found, {counted(len(quotes), 'quote')}"
        case Negotiated(provider=provider, worst_case_nanoton=worst):
            return f"agreed with {name_of(provider)}: at most {format_coins(worst)} {TICKER}"
        case ChannelReady(address=address, spendable_nanoton=left):
            return f"channel {address[:10]}: {format_coins(left)} {TICKER} to spend"
        case AllBusy(waits=1, wait_s=wait_s, patience_s=patience_s):
            return f"everybody who suits is busy: trying again for {wait_s + patience_s:.0f} s"
        case AttemptFailed(provider=provider, reason=reason, tokens=tokens):
            after = f" after {tokens} tokens" if tokens else ""
            return f"{name_of(provider)} failed{after} ({reason}); going on elsewhere"
        case _:
            return _wire_words(event, name_of)


def _wire_words(event: JobProgress, name_of: Callable[[str], str]) -> str:
    match event:
        case InputSent(sent_bytes=sent, total_bytes=total):
            return f"sent {sent / MEGABYTE:.1f} of {total / MEGABYTE:.1f} MB of input"
        case Reconnecting(provider=provider):
            return f"the connection to {name_of(provider)} was lost; dialing it again"
        case Reconnected(provider=provider):
            return f"{name_of(provider)} still has the job: going on where it was"
        case _:
            return ""


def result_words(result: JobResult) -> list[str]:
    """Return the account of a finished job."""
    return [
        f"job {result.job_id} by {short(result.provider)}: {result.finish.value}, "
        f"{result.tokens} tokens, first after {result.time_to_first_token_s:.2f} s, "
        f"{result.tokens_per_s:.1f} tokens/s",
        *receipt_words(result),
    ]


def kernel_words(result: JobResult) -> str:
    """Return what a kernel used, and of what: a CPU's milliseconds are not a GPU's."""
    profile = profile_of(bytes.fromhex(result.resource_class.partition("/")[2]))
    unit = f" ({profile.name}: 1 ms is {profile.unit})" if profile is not None else ""
    return (
        f"job {result.job_id} by {short(result.provider)}: {result.finish.value}, "
        f"{result.metered_ms} ms metered{unit}, {result.total_s:.2f} s in all"
    )


def receipt_words(result: JobResult) -> list[str]:
    """Return what a job cost, and where its receipts are."""
    vouchers = sum(attempt.vouchers for attempt in result.attempts)
    risk = max(attempt.at_risk_max_nanoton for attempt in result.attempts)
    lines = [
        f"paid {format_coins(result.paid_nanoton)} {TICKER} with {vouchers} vouchers; "
        f"at most {format_coins(risk)} was ever at risk",
    ]
    lines += [f"receipt {a.receipt}" for a in result.attempts if a.receipt]
    return lines


def interrupted_words(job: InterruptedJob) -> str:
    """Return one line about a job that a crash cut off: what was paid, what is in doubt."""
    return (
        f"an earlier run was cut off in job {job.job_id} with {short(job.provider)}: "
        f"{format_coins(job.paid_nanoton)} {TICKER} paid, "
        f"of which {format_coins(job.at_risk_nanoton)} may have bought nothing (one chunk)"
    )


def result_json(result: JobResult, interrupted: Sequence[InterruptedJob] = ()) -> dict[str, object]:
    """Return a finished job as plain values with stable keys.

    Args:
        result: the job.
        interrupted: jobs that a crash of an earlier run had cut off.
    """
    return {
        "job_id": result.job_id,
        "text": result.text,
        "tokens": result.tokens,
        "finish": result.finish.value,
        "provider": result.provider,
        "time_to_first_token_s": result.time_to_first_token_s,
        "tokens_per_s": result.tokens_per_s,
        "total_s": result.total_s,
        "paid_nanoton": result.paid_nanoton,
        "vouchers": sum(attempt.vouchers for attempt in result.attempts),
        "at_risk_max_nanoton": max(a.at_risk_max_nanoton for a in result.attempts),
        "receipts": [a.receipt for a in result.attempts if a.receipt],
        "failovers": result.failovers,
        "explanations": result.explanations,
        "interrupted_jobs": list(interrupted),
    }


def quote_rows(directory: Directory, classes: list[str], now_unix_s: int) -> list[tuple[str, ...]]:
    """Return the rows of the table of quotes, cheapest first within a class."""
    rows: list[tuple[str, ...]] = []
    for resource_class in classes:
        listings = directory.book.candidates(resource_class, now_unix_s)
        listings.sort(key=lambda x: (x.quote.schedule.output_token, x.quote.schedule.audio_second))
        rows += [_quote_row(x.quote, "; ".join(x.reasons)) for x in listings]
    return rows


def _price_words(quote: Quote) -> str:
    prices = quote.schedule
    match kind_of_class(quote.resource_class):
        case Kind.CHAT:
            return f"{format_coins(prices.output_token)} tok"
        case Kind.TRANSCRIBE:
            return f"{format_coins(prices.audio_second)} s"
        case Kind.KERNEL:
            return f"{format_coins(prices.gpu_ms)} ms"


def _quote_row(quote: Quote, fault: str) -> tuple[str, ...]:
    speed = f"{quote.speed_milli_per_s / 1000:.0f}"
    return (
        short(quote.peer_id),
        quote.model_name,
        _price_words(quote),
        speed + UNITS[kind_of_class(quote.resource_class)],
        f"{quote.free_slots}/{quote.inputs.slots}",
        shown_tier(quote.tier),
        fault,
    )
