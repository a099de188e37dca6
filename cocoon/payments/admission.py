"""Whether a channel is good enough to work for: every check, pure."""

import re
from typing import Final

import msgspec

from cocoon.messages import PaymentRef
from cocoon.payments.channel import ChannelSeen, Payee
from contracts.channel import ChannelState
from contracts.units import NanoTon, format_coins

_RAW_ADDRESS: Final = re.compile(r"0:[0-9a-f]{64}")


class PayeeTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What every channel to us must have.

    Attributes:
        challenge_s_min: the shortest time to object that we accept.
    """

    network_id: int
    payee_key: bytes
    payee_address: str
    challenge_s_min: int


def reference_fault(payment: PaymentRef, terms: PayeeTerms) -> str:
    """Return what is wrong with *payment* before the chain is asked, or ""."""
    if payment.chain_network_id != terms.network_id:
        return f"network {payment.chain_network_id}, ours is {terms.network_id}"
    if not _RAW_ADDRESS.fullmatch(payment.channel_address):
        return "the channel's address must be in raw form, in lower case"
    return ""


def channel_fault(payment: PaymentRef, channel: ChannelState, terms: PayeeTerms) -> str:
    """Return why the channel on chain is not the one that *payment* says and we need, or ""."""
    params = channel.params
    checks = (
        (channel.address == payment.channel_address, "another address"),
        (params.payee_key == terms.payee_key, "its payee key is not ours"),
        (params.payee_address == terms.payee_address, "it does not pay to our address"),
        (params.payer_address != terms.payee_address, "it pays its rest to our address"),
        (params.payer_key == payment.payer_key, "another payer key"),
        (channel.opened_lt != 0, "it is not open"),
        (channel.opened_lt == payment.opened_lt, "another opening"),
        (params.challenge_s >= terms.challenge_s_min, f"challenge of {params.challenge_s} s"),
        (channel.close_at_unix_s == 0, "it is closing"),
    )
    return next((reason for good, reason in checks if not good), "")


def funds_fault(payment: PaymentRef, state: Payee, spendable_min: NanoTon) -> str:
    """Return why the channel cannot pay for *spendable_min* of work, or ""."""
    if state.barred:
        return state.barred
    base = payment.signed_total_nanoton
    if base < state.best_total:
        return f"signed total {base} is less than the voucher of {state.best_total} that we hold"
    left = state.total_max - base
    if left < spendable_min:
        return f"{format_coins(left)} left to spend, {format_coins(spendable_min)} needed"
    return ""


def seen(channel: ChannelState, *, lt: int = 0, now_unix_s: int = 0) -> ChannelSeen:
    """Return the event that tells the core what the chain shows, at the chain's *now_unix_s*."""
    return ChannelSeen(
        opened_lt=channel.opened_lt,
        total_max=channel.voucher_total_max_nanoton,
        paid_total=channel.paid_nanoton,
        close_at_unix_s=channel.close_at_unix_s,
        lt=lt,
        now_unix_s=now_unix_s,
        settled={key.hex(): worth for key, worth in channel.settled_nanoton.items()},
    )
