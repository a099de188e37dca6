"""Why a job went where it went: one record per job, for people and for machines."""

from collections.abc import Iterable, Mapping

import msgspec

from cocoon.market.book import Listing
from cocoon.market.match import STRANGER, Loss, Track
from cocoon.market.price import worst_case_cost
from cocoon.market.sizes import JobSize
from cocoon.messages import Tier
from contracts.units import TICKER, format_coins

WON = "won"
HEADER = ("", "provider", f"price ({TICKER})", "speed (/s)", "reliability", "asked", "outcome")


class ProviderLine(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one provider.

    Attributes:
        price_nanoton: the most that the job costs at its quote or offer.
        speed_milli_per_s: ours if we measured it, else its own claim.
        reliability_ppm: the share of jobs that succeed, by our own receipts.
        outcome: "won", or a `cocoon.messages.LossReason` value.
        detail: the reason in words, with numbers.
    """

    peer: str
    price_nanoton: int
    speed_milli_per_s: int
    reliability_ppm: int
    tier: str
    asked: bool
    outcome: str
    detail: str = ""


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that decided where one job went; the keys are stable."""

    job_id: str
    at_unix_s: int
    resource_class: str
    providers: tuple[ProviderLine, ...]
    version: int = 1


def explain(
    *,
    job_id: str,
    now_unix_s: int,
    resource_class: str,
    candidates: Iterable[Listing],
    asked: Iterable[str],
    losses: Iterable[Loss],
    winner: str | None,
    size: JobSize,
    tracks: Mapping[str, Track],
    agreed_nanoton: int | None = None,
) -> Explanation:
    """Put the record of one job together.

    Args:
        job_id: as in the receipt.
        now_unix_s: when it was decided.
        resource_class: what was wanted.
        candidates: all quotes that were looked at.
        asked: the peers that were sent a request.
        losses: of the shortlist, the negotiation and, when it came to that, the job:
            for one peer the last reason counts.
        winner: who got the job; None when nobody did.
        size: upper bounds of the job, for the price column.
        tracks: our receipts, by peer.
        agreed_nanoton: the most that the job costs at the winner's offer.
    """
    reasons, was_asked = {loss.peer: loss for loss in losses}, frozenset(asked)
    lines = []
    for listing in candidates:
        line = _line(
            listing,
            reasons=reasons,
            asked=was_asked,
            winner=winner,
            size=size,
            tracks=tracks,
        )
        if line.outcome == WON and agreed_nanoton is not None:
            line = msgspec.structs.replace(line, price_nanoton=agreed_nanoton)
        lines.append(line)
    lines.sort(key=lambda line: (line.outcome != WON, not line.asked, line.price_nanoton))
    return Explanation(
        job_id=job_id,
        at_unix_s=now_unix_s,
        resource_class=resource_class,
        providers=tuple(lines),
    )


def _line(
    listing: Listing,
    *,
    reasons: Mapping[str, Loss],
    asked: frozenset[str],
    winner: str | None,
    size: JobSize,
    tracks: Mapping[str, Track],
) -> ProviderLine:
    quote = listing.quote
    track = tracks.get(quote.peer_id, STRANGER)
    outcome, detail = _outcome(quote.peer_id, reasons, winner)
    return ProviderLine(
        peer=quote.peer_id,
        price_nanoton=worst_case_cost(quote.schedule, size),
        speed_milli_per_s=track.speed_milli_per_s or quote.speed_milli_per_s,
        reliability_ppm=track.success_ppm,
        tier=Tier(quote.tier).name,
        asked=quote.peer_id in asked,
        outcome=outcome,
        detail=detail,
    )


def _outcome(peer: str, reasons: Mapping[str, Loss], winner: str | None) -> tuple[str, str]:
    if peer == winner:
        return WON, ""
    loss = reasons.get(peer)
    return (loss.reason.value, loss.detail) if loss else ("unknown", "no reason was recorded")


def render(explanation: Explanation) -> list[tuple[str, ...]]:
    """Return the rows of the table that `cocoon explain` prints, the header first."""
    return [HEADER, *(_row(line) for line in explanation.providers)]


def _row(line: ProviderLine) -> tuple[str, ...]:
    outcome = line.outcome.replace("_", " ")
    return (
        "*" if line.outcome == WON else "",
        line.peer[-8:],
        format_coins(line.price_nanoton),
        f"{line.speed_milli_per_s // 1000}.{line.speed_milli_per_s % 1000 // 100}",
        f"{line.reliability_ppm // 10_000} %",
        "yes" if line.asked else "no",
        f"{outcome}: {line.detail}" if line.detail else outcome,
    )
