"""The payee's side of locked vouchers and of routes through a hub."""

from collections.abc import Callable
from typing import TypeAlias

from cocoon.errors import PaymentError, PeerMisbehaved
from cocoon.messages import PaymentRef
from cocoon.payments.admission import channel_fault, reference_fault
from cocoon.payments.channel import Payee, Refuse, VoucherReceived, WitnessSeen
from cocoon.payments.ownership import verify_ownership
from cocoon.payments.payee_book import Held
from cocoon.payments.payee_channel import PayeeChannel, RouteTill
from cocoon.payments.payee_side import PayeeSide, held_as_seen, refusal
from contracts.channel import ChannelState
from contracts.locks import (
    KeyLock,
    KeyPayment,
    Lock,
    LockedVoucher,
    lock_id,
    locked_nanoton,
    unlocked,
)
from contracts.units import NanoTon
from contracts.voucher import ChannelRef, verify_locked_voucher, verify_voucher

MayGo: TypeAlias = Callable[[str, bytes, int], bool]
"""(channel, lock's id, chain's unix time) -> whether a voucher may leave that lock out."""


def any_may_go(address: str, key: bytes, now_unix_s: int) -> bool:
    """Nothing was passed on for any lock: what it is worth so far is all that we can lose."""
    del address, key, now_unix_s
    return True


class PayeeRoutes(PayeeSide):
    """What `cocoon.payments.payee.PayeeService` does with locks."""

    async def take_locked(
        self,
        payment: PaymentRef,
        voucher: LockedVoucher,
        check: Callable[[ChannelState, NanoTon, int], str],
        may_go: MayGo = any_may_go,
    ) -> None:
        """Take a voucher with locks, or one in whose total locks were folded; durable.

        Taking the same one again is fine, and asks no chain.

        Args:
            payment: the channel.
            voucher: what the payer signed.
            check: is given the channel, what our best voucher granted before, and the
                chain's time; returns why we do not take it, or "".
            may_go: tells which locks that are still good *voucher* may leave out. Those that
                a running job is paid through never may.

        Raises:
            PeerMisbehaved: the signature is not the payer's, or we would be worse off.
            PaymentError: the channel is not good, does not cover it, or *check* says no.
            ChainUnavailable: the chain could not be asked.
        """
        if fault := reference_fault(payment, self._terms):
            raise PaymentError(fault)
        address = payment.channel_address
        known = self._store.book.channels.get(address)
        if known is not None and _is_held(known.state, voucher):
            return
        channel = await self._sight(address)
        ref = channel.ref(self._terms.network_id)
        if fault := channel_fault(payment, channel, self._terms) or self._age_fault(channel):
            raise PaymentError(f"channel {address}: {fault}")
        if not _is_signed(channel.params.payer_key, ref, voucher):
            raise PeerMisbehaved(f"bad signature on a voucher for {address}")
        # What *check* compares may not change before the voucher is taken, nor may a job count
        # what is paid for a route as its own.
        async with self._without_job(address):
            await self._take_locked(known or held_as_seen(channel), channel, voucher, check, may_go)

    async def _take_locked(
        self,
        held: Held,
        channel: ChannelState,
        voucher: LockedVoucher,
        check: Callable[[ChannelState, NanoTon, int], str],
        may_go: MayGo,
    ) -> None:
        total, now_unix_s = voucher.total_nanoton, await self._claiming.chain_now_unix_s()
        if total + locked_nanoton(voucher.locks) > self.state_of(held).total_max:
            await self._look_for_top_up(held)
        before = self.state_of(held)
        if fault := before.barred or check(channel, before.best_total, now_unix_s):
            raise PaymentError(f"channel {held.address}: {fault}")
        keys = [lock_id(lock) for lock in before.locks]
        event = VoucherReceived(
            total=total,
            signature=voucher.signature,
            locks=voucher.locks,
            let_go=tuple(
                key
                for key in keys
                if key.hex() not in self._active and may_go(held.address, key, now_unix_s)
            ),
            now_unix_s=now_unix_s,
        )
        for effect in await self._store.step(held, event):
            if isinstance(effect, Refuse):
                raise refusal(effect)

    async def open_lock(self, address: str, lock: Lock, payment: KeyPayment) -> NanoTon:
        """Keep a payment of a lock's key; it is on the disk when this returns its worth.

        Taking the same one, or an older one, again changes nothing.

        Raises:
            PeerMisbehaved: the key did not sign it.
            PaymentError: the lock is not open, or the channel grants no work: kept all the same.
        """
        worth = unlocked(lock, payment, self._terms.network_id)
        if not worth:
            raise PeerMisbehaved("not a payment of this route's key")
        held = self._store.book.channels.get(address)
        if held is None:
            raise PaymentError(f"no voucher of {address} is held")
        if worth <= held.state.worth_of(lock):
            return held.state.worth_of(lock)
        event = WitnessSeen(lock_id=lock_id(lock), witness=payment, worth=worth)
        for effect in await self._store.step(held, event):
            if isinstance(effect, Refuse):
                raise refusal(effect)
        return worth

    def held_state(self, address: str) -> Payee | None:
        """Return what we hold of a channel, or None."""
        held = self._store.book.channels.get(address)
        return None if held is None else held.state

    async def admit_route(
        self, payment: PaymentRef, transcript_hash: bytes, signature: bytes, spendable_min: NanoTon
    ) -> PayeeChannel:
        """Take a route for a job.

        Raises:
            PeerMisbehaved: the route's key did not sign this transcript.
            PaymentError: there is no such route, another job uses it, or too little is left.
        """
        held = self._store.book.channels.get(payment.channel_address)
        lock = None if held is None else _key_lock(held.state, payment.payer_key)
        if held is None or lock is None:
            raise PaymentError("there is no such route to us")
        if not verify_ownership(
            payment.payer_key,
            signature,
            network_id=payment.chain_network_id,
            channel_address=payment.channel_address,
            transcript_hash=transcript_hash,
        ):
            raise PeerMisbehaved("who named this route does not own it")
        name = lock.key.hex()
        if name in self._active or name in self._settling:
            raise PaymentError("the route is in use, or being settled")
        worth, base = held.state.worth_of(lock), payment.signed_total_nanoton
        if held.state.barred or base < worth:
            raise PaymentError(held.state.barred or f"{worth} came through the route, not {base}")
        if lock.amount_nanoton - base < spendable_min:
            raise PaymentError(f"{lock.amount_nanoton - base} nanoton left on the route")
        with self._taking(name):
            now_unix_s = await self._claiming.chain_now_unix_s()
            if lock.deadline_unix_s - now_unix_s <= self._claiming.claim_margin_s:
                raise PaymentError("the route ends too soon")
            till = RouteTill(self, held, lock, NanoTon(base))
            self._active[name] = till
            return till

    def settle_route(self, key: bytes) -> KeyPayment | None:
        """Return the best payment of a route; nothing more is taken through it.

        Raises:
            PaymentError: a job still uses it.
        """
        if key.hex() in self._active:
            raise PaymentError("a job still uses the route")
        for held in self._store.book.channels.values():
            lock = _key_lock(held.state, key)
            if lock is not None:
                self._settling.add(key.hex())
                witness = held.state.witness_of(lock)
                return witness if isinstance(witness, KeyPayment) else None
        return None


def _key_lock(state: Payee, key: bytes) -> KeyLock | None:
    locks = (each for each in state.locks if isinstance(each, KeyLock))
    return next((each for each in locks if each.key == key), None)


def _is_held(state: Payee, voucher: LockedVoucher) -> bool:
    held = (state.best_total, state.locks, state.best_signature)
    return held == (voucher.total_nanoton, voucher.locks, voucher.signature)


def _is_signed(payer_key: bytes, ref: ChannelRef, voucher: LockedVoucher) -> bool:
    total, locks, signature = voucher.total_nanoton, voucher.locks, voucher.signature
    if locks:
        return verify_locked_voucher(payer_key, ref, total, locks, signature)
    return verify_voucher(payer_key, ref, total, signature)
