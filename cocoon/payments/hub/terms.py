"""A hub's fees and times: every check of a route, pure."""

from typing import Final

from cocoon.payments.hub.messages import HubTerms
from contracts.channel import ChannelState
from contracts.errors import InvalidData
from contracts.locks import KeyLock, Lock, LockedVoucher, check_locks, lock_id
from contracts.units import NanoTon

_MILLION: Final = 1_000_000


def route_fee(terms: HubTerms, capacity: NanoTon) -> NanoTon:
    """Return what a route costs, paid when it opens: base + capacity * ppm, rounded up.

    It is due for the capacity, not for what is spent: that is what the hub locks up.
    """
    return NanoTon(terms.fee_base_nanoton - (-capacity * terms.fee_ppm // _MILLION))


def settle_from_unix_s(terms: HubTerms, lock: Lock) -> int:
    """Return from when on the hub asks the provider to settle, in the provider's lock's time.

    Early enough that the provider need not claim on the chain.
    """
    return lock.deadline_unix_s - terms.margin_s * 3 // 4


def the_lock(voucher: LockedVoucher, wanted: bytes) -> KeyLock | None:
    """Return the key-lock of *voucher* with this id, or None; never raises."""
    try:
        check_locks(voucher.locks)
    except InvalidData:
        return None
    return next(
        (each for each in voucher.locks if isinstance(each, KeyLock) and lock_id(each) == wanted),
        None,
    )


def upstream_fault(
    terms: HubTerms,
    channel: ChannelState,
    lock: KeyLock,
    *,
    fee_paid: NanoTon,
    now_unix_s: int,
) -> str:
    """Return why the hub does not carry a requester's lock, or "".

    The payer may start to close at any moment; its challenge period must outlast the lock,
    or the money could be gone when the provider shows its witness.
    """
    left_s = lock.deadline_unix_s - now_unix_s
    longest_s = min(terms.route_s_max, channel.params.challenge_s)
    fee = route_fee(terms, lock.amount_nanoton)
    checks = (
        (lock.amount_nanoton <= terms.capacity_max_nanoton, "above our largest route"),
        (fee_paid >= fee, f"the fee is {fee} nanoton, not {fee_paid}"),
        (left_s > 2 * terms.margin_s, f"it ends in {left_s} s: too soon to be carried"),
        (left_s <= longest_s, f"it ends in {left_s} s, we carry for {longest_s} s at most"),
        (not channel.close_at_unix_s, "the channel is closing"),
    )
    return next((reason for good, reason in checks if not good), "")


def downstream_lock(terms: HubTerms, lock: KeyLock) -> KeyLock:
    """Return the lock to give to the provider: the same, but over *margin_s* earlier."""
    return KeyLock(
        key=lock.key,
        amount_nanoton=lock.amount_nanoton,
        deadline_unix_s=lock.deadline_unix_s - terms.margin_s,
    )


def terms_fault(terms: HubTerms, *, network_id: int, fee: NanoTon, fee_max: NanoTon) -> str:
    """Return why a requester does not use a hub, or ""."""
    checks = (
        (terms.chain_network_id == network_id, f"it is on network {terms.chain_network_id}"),
        (fee <= fee_max, f"its fee of {fee} nanoton is above our limit of {fee_max}"),
        (terms.route_s_max > 2 * terms.margin_s, "its routes end before they begin"),
    )
    return next((reason for good, reason in checks if not good), "")
