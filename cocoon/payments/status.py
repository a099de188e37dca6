"""The state of a payer's channel, in words for people."""

from datetime import UTC, datetime
from typing import Final

import msgspec

from cocoon.payments.channel import Payer, Phase
from cocoon.payments.payer_book import Channel
from contracts.units import TICKER, NanoTon, format_coins

_PLAIN_WORDS: Final = {
    Phase.RELEASING: "closing together, money back as soon as the provider agrees",
    Phase.LEAVING: "closing alone, on its way to the chain",
    Phase.CLOSED: "closed",
    Phase.LAPSED: "never opened, the money stayed in the wallet",
}


class ChannelStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the list of channels.

    Attributes:
        words: such as "open, 0.41 of 0.5 GRAM left".
        money_back_unix_s: when a lone exit can be finished; 0 when none is on its way.
    """

    address: str
    payee_address: str
    phase: Phase
    words: str
    deposit: NanoTon
    signed_total: NanoTon
    spendable_left: NanoTon
    money_back_unix_s: int


def describe(channel: Channel, now_unix_s: float) -> ChannelStatus:
    """Say where *channel* stands."""
    state = channel.state
    return ChannelStatus(
        address=channel.address,
        payee_address=channel.params.payee_address,
        phase=state.phase,
        words=_words(channel, state, now_unix_s),
        deposit=channel.deposit,
        signed_total=state.signed_total,
        spendable_left=state.spendable_left,
        money_back_unix_s=state.close_at_unix_s if state.phase is Phase.CLOSING else 0,
    )


def _words(channel: Channel, state: Payer, now_unix_s: float) -> str:
    if state.phase is Phase.OPEN:
        left = f"{format_coins(state.spendable_left)} of {format_coins(state.total_max)}"
        return f"open, {left} {TICKER} left"
    if state.phase is Phase.CLOSING:
        return f"closing, money back at {_moment(state.close_at_unix_s, now_unix_s)}"
    if state.gone is not None:
        paid, back = format_coins(state.gone.paid), format_coins(state.gone.refunded)
        return f"closed: {paid} {TICKER} paid, {back} {TICKER} came back"
    if state.phase is Phase.OPENING:
        return f"opening with {format_coins(channel.deposit)} {TICKER}"
    return _PLAIN_WORDS[state.phase]


def _moment(unix_s: int, now_unix_s: float) -> str:
    """Write a moment as local time, with the date unless it is today."""
    at = datetime.fromtimestamp(unix_s, UTC).astimezone()
    today = datetime.fromtimestamp(now_unix_s, UTC).astimezone().date()
    return f"{at:%H:%M}" if at.date() == today else f"{at:%Y-%m-%d %H:%M}"
