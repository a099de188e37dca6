"""The payee's service: admits channels, keeps vouchers, and gets the money in time.

A voucher is on the disk before work is granted for it, and a watcher claims it while
the payer is leaving, also after a restart.
"""

import logging
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
import trio

from cocoon.clock import Clock
from cocoon.errors import ConfigError, PaymentError, PeerMisbehaved
from cocoon.messages import CloseRelease, CloseRequest, PaymentRef, VoucherMessage
from cocoon.payments.admission import (
    PayeeTerms,
    channel_fault,
    funds_fault,
    reference_fault,
)
from cocoon.payments.background import running
from cocoon.payments.channel import ROUTED, CloseRequested, Payee, Refuse
from cocoon.payments.claiming import Claiming
from cocoon.payments.durable import DurableLog
from cocoon.payments.journal import Journal
from cocoon.payments.limits import NO_PAYEE_LIMITS, PayeeLimits, owed_fault
from cocoon.payments.ownership import public_key, verify_close, verify_ownership
from cocoon.payments.payee_book import Earnings, Held, PayeeBook, PayeeRecord
from cocoon.payments.payee_channel import PayeeChannel
from cocoon.payments.payee_routes import PayeeRoutes
from cocoon.payments.payee_side import held_as_seen, refusal
from cocoon.payments.payee_store import PayeeStore
from cocoon.payments.sightings import Sightings
from cocoon.payments.status import HeldStatus, describe_held
from contracts.chain import Chain
from contracts.channel import ChannelState
from contracts.units import NO_MONEY, NanoTon, parse_coins
from contracts.voucher import (
    ChannelRef,
    sign_release,
)

__all__ = ["Earnings", "PayeeChannel", "PayeeService", "open_payee"]

CLAIM_MARGIN_S: Final = 300
WATCH_INTERVAL_S: Final = 10.0
CHAIN_TIMEOUT_S: Final = 60.0
CLAIM_WORTH: Final = parse_coins("1")
CACHE_S: Final = 60.0
"""What the chain said of a channel is believed for so long when a job wants to start."""

_log = logging.getLogger(__name__)


class PayeeService(PayeeRoutes):
    """The payee's channels; made by `open_payee`."""

    # --- working ----------------------------------------------------------------------

    async def admit(
        self,
        payment: PaymentRef,
        transcript_hash: bytes,
        payer_signature: bytes,
        *,
        spendable_min: NanoTon,
    ) -> PayeeChannel:
        """Check that a channel can pay for a job, and take it for that job.

        A channel that was looked at lately costs no question to the chain.

        Raises:
            PeerMisbehaved: the channel's owner did not sign this transcript.
            PaymentError: the channel is not good enough, or another job uses it.
            ChainUnavailable: the chain could not be asked.
        """
        fault = reference_fault(payment, self._terms)
        if fault:
            raise PaymentError(fault)
        if payment.routed:
            return await self.admit_route(payment, transcript_hash, payer_signature, spendable_min)
        address = payment.channel_address
        if not verify_ownership(
            payment.payer_key,
            payer_signature,
            network_id=payment.chain_network_id,
            channel_address=address,
            transcript_hash=transcript_hash,
        ):
            raise PeerMisbehaved(f"who named {address} does not own it")
        if address in self._active:
            raise PaymentError(f"another job still uses {address}")
        with self._taking(address):
            channel = await self._check(payment, spendable_min)
            self._active[address] = channel
            return channel

    async def keep(self, payment: PaymentRef, voucher: VoucherMessage) -> NanoTon:
        """Keep a voucher that came without a job; return what it adds to what we hold.

        Raises:
            PeerMisbehaved: the signature is not the payer's, or the total does not grow.
            PaymentError: the channel is not good, or a job uses it.
            ChainUnavailable: the chain could not be asked.
        """
        address = payment.channel_address
        if fault := reference_fault(payment, self._terms):
            raise PaymentError(fault)
        async with self._without_job(address):
            best = self._best(address)
            try:
                await self._keep(payment, voucher)
            except PaymentError:
                if self._best(address) == best:
                    raise  # else it was kept, and grants no work: nobody asked for any
            return NanoTon(self._best(address) - best)

    async def _keep(self, payment: PaymentRef, voucher: VoucherMessage) -> None:
        known = self._store.book.channels.get(payment.channel_address)
        if known is None:
            base = msgspec.structs.replace(payment, signed_total_nanoton=0)
            channel = await self._check(base, NanoTon(voucher.total_nanoton))
            await channel.receive(voucher)
            return
        opened_lt = known.state.opened_lt
        if payment.opened_lt != opened_lt:
            raise PaymentError(f"channel {known.address}: another opening")
        ref = ChannelRef(self._terms.network_id, known.address, opened_lt)
        await self.receive(known, ref, voucher)

    def _best(self, address: str) -> NanoTon:
        held = self._store.book.channels.get(address)
        return NO_MONEY if held is None else held.state.best_total

    async def _check(self, payment: PaymentRef, spendable_min: NanoTon) -> PayeeChannel:
        channel = await self._sight(payment.channel_address)
        fault = channel_fault(payment, channel, self._terms)
        if not fault:
            fault = funds_fault(payment, self.state_of(held_as_seen(channel)), spendable_min)
        if fault and self._is_old(channel):
            # A top-up may have arrived since: never refuse on old knowledge.
            channel = await self._sight(payment.channel_address, afresh=True)
            fault = channel_fault(payment, channel, self._terms) or funds_fault(
                payment, self.state_of(held_as_seen(channel)), spendable_min
            )
        fault = fault or self._age_fault(channel) or await self._routes_fault(channel)
        fault = fault or await self._owed_fault(channel)
        if fault:
            raise PaymentError(f"channel {channel.address}: {fault}")
        ref = channel.ref(self._terms.network_id)
        return PayeeChannel(self, held_as_seen(channel), ref, NanoTon(payment.signed_total_nanoton))

    async def _routes_fault(self, channel: ChannelState) -> str:
        """Return that routes go through the channel, or "": what they need is not for jobs."""
        state = self.state_of(held_as_seen(channel))
        return ROUTED if state.locks_good(await self._now_for(state)) else ""

    async def _owed_fault(self, channel: ChannelState) -> str:
        """Return why this payer owes too much, or ""; claim first, if that mends it."""
        if not owed_fault(self._limits, self._owed_by(channel)):
            return ""
        for held in list(self._store.book.channels.values()):
            if held.payer_address == channel.params.payer_address and held.state.unclaimed:
                await self._claiming.look(held.address, worth=NO_MONEY)
        return owed_fault(self._limits, self._owed_by(channel))

    def _owed_by(self, channel: ChannelState) -> list[Payee]:
        payer = channel.params.payer_address
        return [
            each.state for each in self._store.book.channels.values() if each.payer_address == payer
        ]

    # --- settling ---------------------------------------------------------------------

    async def release(self, request: CloseRequest) -> CloseRelease:
        """Agree to close at a total that is not below our best voucher; final once made.

        Who asks must sign the wish with the payer key: a voucher would not do, because a
        claim makes it public. Asked again, the answer is the same.

        Raises:
            PeerMisbehaved: the payer did not sign the wish, or the total is too low.
            PaymentError: a job still runs, or the channel is not one of ours.
            ChainUnavailable: the chain could not be asked.
        """
        address, total = request.channel_address, NanoTon(request.total_nanoton)
        held = self._store.book.channels.get(address) or await self._first_seen(request)
        ref = ChannelRef(self._terms.network_id, address, held.state.opened_lt)
        asked = ChannelRef(request.chain_network_id, address, request.opened_lt)
        signature = request.payer_signature
        if asked != ref or not verify_close(held.payer_key, signature, ref, total):
            raise PeerMisbehaved(f"who asks to close {address} does not own it")
        # Only now: a stranger shall not keep the payer's jobs away from the channel.
        async with self._without_job(address):
            return await self._release(held, ref, total)

    async def _release(self, held: Held, ref: ChannelRef, total: NanoTon) -> CloseRelease:
        now_unix_s = await self._now_for(self.state_of(held))
        event = CloseRequested(total=total, now_unix_s=now_unix_s)
        for effect in await self._store.step(held, event):
            if isinstance(effect, Refuse):
                raise refusal(effect)
        return CloseRelease(
            total_nanoton=total, release_signature=sign_release(self._seed, ref, total)
        )

    async def _first_seen(self, request: CloseRequest) -> Held:
        """Return a channel that nothing was ever paid on."""
        payment = PaymentRef(
            chain_network_id=request.chain_network_id,
            channel_address=request.channel_address,
            opened_lt=request.opened_lt,
            payer_key=bytes(32),
            signed_total_nanoton=request.total_nanoton,
        )
        fault = reference_fault(payment, self._terms)
        if fault:
            raise PaymentError(fault)
        channel = await self._sight(request.channel_address)
        payment = msgspec.structs.replace(payment, payer_key=channel.params.payer_key)
        fault = channel_fault(payment, channel, self._terms)
        if fault:
            raise PaymentError(f"channel {channel.address}: {fault}")
        return held_as_seen(channel)

    async def settle_all(self, address: str = "") -> Earnings:
        """Claim everything that vouchers grant, however little; return the earnings after it.

        Args:
            address: of the only channel to claim from; "" for all.

        Raises:
            ChainUnavailable: the chain could not be asked; what is left stays watched.
        """
        for held in list(self._store.book.channels.values()):
            if held.state.unclaimed and address in ("", held.address):
                await self._claiming.look(held.address, worth=NO_MONEY)
        return self.earnings()

    def list_channels(self) -> list[HeldStatus]:
        """Return every channel that pays us, with its state in words."""
        now_unix_s = self._claiming.clock()
        return [describe_held(each, now_unix_s) for each in self._store.book.channels.values()]

    def earnings(self) -> Earnings:
        """Return what was settled on chain and what is not claimed yet, from the journal only."""
        return self._store.book.earnings()


@asynccontextmanager
async def open_payee(
    *,
    chain: Chain,
    payee_seed: bytes,
    payee_address: str,
    journal_path: Path,
    clock: Clock,
    claim_margin_s: int = CLAIM_MARGIN_S,
    watch_interval_s: float = WATCH_INTERVAL_S,
    challenge_s_min: int = 2 * CLAIM_MARGIN_S,
    claim_worth: NanoTon = CLAIM_WORTH,
    limits: PayeeLimits = NO_PAYEE_LIMITS,
    cache_s: float = CACHE_S,
    timeout_s: float = CHAIN_TIMEOUT_S,
) -> AsyncGenerator[PayeeService]:
    """Run the payee's side for the length of the ``async with`` block.

    Args:
        chain: where the money is.
        payee_seed: Ed25519 seed of the key that signs releases, 32 bytes.
        payee_address: where claims are paid to; raw form.
        journal_path: the file that holds the vouchers; made with mode 0600. Losing it
            loses what is not claimed yet.
        clock: unix time; only for the log.
        claim_margin_s: a claim must be on chain so long before a channel closes.
        watch_interval_s: how often channels with something unclaimed are looked at.
        challenge_s_min: shortest time to object that a channel must leave us.
        claim_worth: claim when a channel owes this much, in nanotons.
        limits: what others may owe us.
        cache_s: how long a look at a channel lets jobs start without another one.
        timeout_s: longest wait for one effect on chain.

    Raises:
        ConfigError: the times leave no room to claim.
        JournalLocked: another process uses this journal.
        JournalCorrupt: the journal is damaged; the message says what to do.
    """
    _check_times(claim_margin_s, watch_interval_s, challenge_s_min)
    terms = PayeeTerms(
        network_id=chain.network_id,
        payee_key=public_key(payee_seed),
        payee_address=payee_address,
        challenge_s_min=challenge_s_min,
    )
    journal = await trio.to_thread.run_sync(_open_journal, journal_path)
    with journal:
        book = PayeeBook(journal.records)
        store = PayeeStore(book, DurableLog(journal, book))
        claiming = Claiming(
            store,
            chain,
            sightings := Sightings(chain),
            clock=clock,
            payee_address=payee_address,
            claim_margin_s=claim_margin_s,
            claim_worth=claim_worth,
            timeout_s=timeout_s,
        )
        service = PayeeService(
            store,
            sightings,
            claiming,
            seed=payee_seed,
            terms=terms,
            limits=limits,
            cache_s=cache_s,
            unseen_s_max=challenge_s_min - claim_margin_s,
        )
        async with running(partial(claiming.watch, watch_interval_s)):
            yield service


def _check_times(claim_margin_s: float, watch_interval_s: float, challenge_s_min: float) -> None:
    if claim_margin_s + 2 * watch_interval_s > challenge_s_min:
        raise ConfigError(
            f"a channel that closes in {challenge_s_min} s (`challenge_s_min`) cannot be claimed "
            f"{claim_margin_s} s earlier (`claim_margin_s`), looking every {watch_interval_s} s"
        )


def _open_journal(path: Path) -> Journal[PayeeRecord]:
    os.makedirs(path.parent, mode=0o700, exist_ok=True)  # noqa: PTH103  (mode of the parents too)
    journal: Journal[PayeeRecord] = Journal(path, PayeeRecord)
    if journal.torn_bytes:
        _log.warning("%s: cut off %d bytes of an interrupted write", path, journal.torn_bytes)
    return journal
