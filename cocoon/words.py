"""How jobs and quotes are told: in words for people, as plain values for scripts."""

from collections.abc import Callable, Sequence

from cocoon.directory import Directory
from cocoon.messages import Kind, Quote
from cocoon.payments.payer_book import InterruptedJob
from cocoon.requester.events import (
    AttemptFailed,
    ChannelReady,
    Discovered,
    JobProgress,
    JobResult,
    Negotiated,
)
from contracts.units import TICKER, format_coins
from overlay.ids import short


def progress_words(event: JobProgress, name_of: Callable[[str], str] = short) -> str:
    """Return one line about a step of a job, or "" when there is nothing to say.

    Args:
        event: what happened.
        name_of: what to call a peer.
    """
    match event:
        case Discovered(found=found, quotes=quotes):
            return f"{found} providers found, {len(quotes)} quotes"
        case Negotiated(provider=provider, worst_case_nanoton=worst):
            return f"agreed with {name_of(provider)}: at most {format_coins(worst)} {TICKER}"
        case ChannelReady(address=address, spendable_nanoton=left):
            return f"channel {address[:10]}: {format_coins(left)} {TICKER} to spend"
        case AttemptFailed(provider=provider, reason=reason, tokens=tokens):
            return (
                f"{name_of(provider)} failed after {tokens} tokens ({reason}); going on elsewhere"
            )
        case _:
            return ""


def result_words(result: JobResult) -> list[str]:
    """Return the account of a finished job."""
    vouchers = sum(attempt.vouchers for attempt in result.attempts)
    risk = max(attempt.at_risk_max_nanoton for attempt in result.attempts)
    lines = [
        f"job {result.job_id} by {short(result.provider)}: {result.finish.value}, "
        f"{result.tokens} tokens, first after {result.time_to_first_token_s:.2f} s, "
        f"{result.tokens_per_s:.1f} tokens/s",
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


def _quote_row(quote: Quote, fault: str) -> tuple[str, ...]:
    speed = f"{quote.speed_milli_per_s / 1000:.0f}"
    unit = "x" if quote.resource_class.startswith(Kind.TRANSCRIBE.value) else " tok/s"
    return (
        short(quote.peer_id),
        quote.model_name,
        format_coins(quote.schedule.output_token),
        format_coins(quote.schedule.audio_second),
        speed + unit,
        f"{quote.free_slots}/{quote.inputs.slots}",
        quote.tier.name,
        fault,
    )
