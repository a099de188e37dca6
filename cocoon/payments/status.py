"""The state of channels, in words for people: what is at risk, and when money is back."""

from datetime import UTC, datetime
from typing import Final

import msgspec

from cocoon.payments.channel import ENDED, RESTORED, Payer, Phase
from cocoon.payments.payee_book import Held
from cocoon.payments.payer_book import Channel, Route
from contracts.units import NO_MONEY, TICKER, NanoTon, format_coins

_PLAIN_WORDS: Final = {
    Phase.RELEASING: "closing together, money back as soon as the provider agrees",
    Phase.LEAVING: "closing alone, on its way to the chain",
    Phase.CLOSED: "closed",
    Phase.LAPSED: "never opened, the money stayed in the wallet",
}


class ChannelStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the list of channels that we pay through.

    Attributes:
        words: such as "open, 0.41 of 0.5 GRAM left".
        at_risk: signed for the running job's last chunk: perhaps not delivered yet.
        held: in the channel, and not the payee's by any voucher: ours to get back.
        back_words: when that comes back, if it is on its way or if we left now.
        money_back_unix_s: when a lone exit can be finished; 0 when none is on its way.
        restored: from a backup: only for leaving.
    """

    address: str
    payee_address: str
    phase: Phase
    words: str
    deposit: NanoTon
    signed_total: NanoTon
    spendable_left: NanoTon
    at_risk: NanoTon
    held: NanoTon
    back_words: str
    money_back_unix_s: int
    restored: bool


class HeldStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the list of channels that pay us.

    Attributes:
        unclaimed: what vouchers grant and the chain has not paid: at risk until claimed.
        claim_by_unix_s: the payer is leaving: claims are good until then; 0 otherwise.
    """

    address: str
    payer_address: str
    words: str
    best_total: NanoTon
    unclaimed: NanoTon
    received: NanoTon
    claim_by_unix_s: int


def describe(channel: Channel, now_unix_s: float) -> ChannelStatus:
    """Say where *channel* stands."""
    state = channel.state
    held = NO_MONEY if state.phase in ENDED else NanoTon(state.total_max - state.signed_total)
    return ChannelStatus(
        address=channel.address,
        payee_address=channel.params.payee_address,
        phase=state.phase,
        words=_words(channel, state, now_unix_s),
        deposit=channel.deposit,
        signed_total=state.signed_total,
        spendable_left=state.spendable_left,
        at_risk=state.at_risk,
        held=max(NO_MONEY, held),
        back_words=_back_words(channel, now_unix_s),
        money_back_unix_s=state.close_at_unix_s if state.phase is Phase.CLOSING else 0,
        restored=state.restored,
    )


class RouteStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the list of routes that we pay through.

    Attributes:
        capacity: locked in the channel to the hub until the route ends.
        ends_unix_s: at the provider's side; 0 while the hub has not answered.
    """

    hub: str
    provider: str
    channel: str
    capacity: NanoTon
    paid: NanoTon
    at_risk: NanoTon
    ends_unix_s: int


def describe_route(route: Route) -> RouteStatus:
    """Say where a route through a hub stands."""
    return RouteStatus(
        hub=route.hub,
        provider=route.provider,
        channel=route.upstream,
        capacity=route.lock.amount_nanoton,
        paid=route.paid,
        at_risk=NanoTon(route.paid - route.previous if route.job_id else 0),
        ends_unix_s=route.deadline_unix_s,
    )


def describe_held(held: Held, now_unix_s: float) -> HeldStatus:
    """Say where a channel that pays us stands."""
    state = held.state
    words = state.barred or "open"
    if state.close_at_unix_s and not state.gone:
        words = f"the payer is leaving, claim before {moment(state.close_at_unix_s, now_unix_s)}"
    return HeldStatus(
        address=held.address,
        payer_address=held.payer_address,
        words=words,
        best_total=state.best_total,
        unclaimed=state.unclaimed,
        received=state.received,
        claim_by_unix_s=0 if state.gone else state.close_at_unix_s,
    )


def moment(unix_s: float, now_unix_s: float) -> str:
    """Write a moment as local time; with date and time zone unless it is today."""
    at = datetime.fromtimestamp(unix_s, UTC).astimezone()
    today = datetime.fromtimestamp(now_unix_s, UTC).astimezone().date()
    return f"{at:%H:%M}" if at.date() == today else f"{at:%Y-%m-%d %H:%M %Z}"


def _back_words(channel: Channel, now_unix_s: float) -> str:
    state = channel.state
    if state.phase is Phase.CLOSING:
        if state.close_at_unix_s < now_unix_s:
            return "funds back now: cocoon channels exit"
        return f"funds back at {moment(state.close_at_unix_s, now_unix_s)}"
    if state.phase in (Phase.OPEN, Phase.RELEASING, Phase.LEAVING):
        at_unix_s = now_unix_s + channel.params.challenge_s
        return f"if we leave now: funds back at {moment(at_unix_s, now_unix_s)}"
    return ""


def _words(channel: Channel, state: Payer, now_unix_s: float) -> str:
    if state.phase is Phase.OPEN:
        left = f"{format_coins(state.spendable_left)} of {format_coins(state.total_max)}"
        return RESTORED if state.restored else f"open, {left} {TICKER} left"
    if state.phase is Phase.CLOSING:
        return f"closing, money back at {moment(state.close_at_unix_s, now_unix_s)}"
    if state.gone is not None:
        paid, back = format_coins(state.gone.paid), format_coins(state.gone.refunded)
        return f"closed: {paid} {TICKER} paid, {back} {TICKER} came back"
    if state.phase is Phase.OPENING:
        return f"opening with {format_coins(channel.deposit)} {TICKER}"
    return _PLAIN_WORDS[state.phase]
