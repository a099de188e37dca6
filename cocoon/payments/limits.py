"""How much one channel, and one peer, may hold of our money (no I/O)."""

from collections.abc import Iterable

import msgspec

from cocoon.payments.channel import ENDED, Payee
from cocoon.payments.payer_book import Channel
from contracts.units import SUPPLY_NANOTON_MAX, TICKER, NanoTon, format_coins

UNLIMITED = NanoTon(SUPPLY_NANOTON_MAX)


class PayerLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What the payer locks up at most.

    Attributes:
        channel_max: what vouchers of one channel can spend, deposits and top-ups together,
            less what was claimed.
        peer_max: the same, of all live channels to one payee address.
    """

    channel_max: NanoTon = UNLIMITED
    peer_max: NanoTon = UNLIMITED


class PayeeLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What the payee lets others owe.

    Attributes:
        peer_unclaimed_max: in vouchers that are not claimed yet, over all channels whose
            rest goes to one payer address. At this much no new job starts until a claim.
        unseen_max: granted on one channel while the chain cannot be asked whether the
            payer is leaving. Beyond it, running jobs wait.
    """

    peer_unclaimed_max: NanoTon = UNLIMITED
    unseen_max: NanoTon = UNLIMITED


NO_LIMITS = PayerLimits()
NO_PAYEE_LIMITS = PayeeLimits()


def locked(channel: Channel) -> NanoTon:
    """Return what a live channel still holds, or will once its transfer has arrived."""
    state = channel.state
    if state.phase in ENDED:
        return NanoTon(0)
    covered = max(state.total_max, channel.deposit if not state.opened_lt else NanoTon(0))
    return NanoTon(covered - state.paid_total + channel.top_up)


def room(
    limits: PayerLimits, channels: Iterable[Channel], payee_address: str, address: str = ""
) -> NanoTon:
    """Return how much more may go into the channel at *address*, or into a new one."""
    towards = [each for each in channels if each.params.payee_address == payee_address]
    in_channel = sum(locked(each) for each in towards if each.address == address)
    in_all = sum(locked(each) for each in towards)
    return NanoTon(max(0, min(limits.channel_max - in_channel, limits.peer_max - in_all)))


def room_fault(needed: NanoTon, left: NanoTon, limits: PayerLimits) -> str:
    """Return why *needed* may not be locked up, or ""."""
    if needed <= left:
        return ""
    return (
        f"{format_coins(needed)} {TICKER} more would be locked up, the limits leave "
        f"{format_coins(left)}: {format_coins(limits.channel_max)} a channel "
        f"(requester.channel_coins_max), {format_coins(limits.peer_max)} a provider "
        "(requester.peer_coins_max)"
    )


def owed_fault(limits: PayeeLimits, owed: Iterable[Payee]) -> str:
    """Return why a payer with channels in these states gets no new job, or ""."""
    unclaimed = sum(state.unclaimed for state in owed)
    if unclaimed <= limits.peer_unclaimed_max:
        return ""
    return (
        f"{format_coins(NanoTon(unclaimed))} {TICKER} of this payer's vouchers are not claimed yet"
    )
