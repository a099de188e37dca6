"""The payee's service: admits channels, keeps vouchers, and gets the money in time.

A voucher is on the disk before work is granted for it, and a watcher claims it while
the payer is leaving, also after a restart.
"""

import logging
import os
from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, Self

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
    seen,
)
from cocoon.payments.background import running
from cocoon.payments.channel import (
    CloseRequested,
    GrantWork,
    Payee,
    Refuse,
    VoucherReceived,
)
from cocoon.payments.claiming import Claiming
from cocoon.payments.durable import DurableLog
from cocoon.payments.journal import Journal
from cocoon.payments.ownership import public_key, verify_close, verify_ownership
from cocoon.payments.payee_book import Earnings, Held, PayeeBook, PayeeRecord
from cocoon.payments.payee_store import PayeeStore
from contracts.chain import Chain
from contracts.channel import ChannelState
from contracts.channel_client import read_channel
from contracts.errors import InvalidData
from contracts.units import NO_MONEY, NanoTon, parse_coins
from contracts.voucher import ChannelRef, sign_release, verify_voucher

__all__ = ["Earnings", "PayeeChannel", "PayeeService", "open_payee"]

CLAIM_MARGIN_S: Final = 300
WATCH_INTERVAL_S: Final = 10.0
CHAIN_TIMEOUT_S: Final = 60.0
CLAIM_WORTH: Final = parse_coins("1")
CACHE_S: Final = 60.0
"""What the chain said of a channel is believed for so long when a job wants to start."""

ADMITTED_MAX: Final = 1024
"""Channels remembered that nothing was paid on; the one longest unused is forgotten."""

TOP_UP_LOOK_S: Final = 5.0
"""A voucher above the deposit makes us look for a top-up at most this often."""

_log = logging.getLogger(__name__)


class _Sighting(msgspec.Struct, frozen=True):
    channel: ChannelState
    at_s: float


class PayeeChannel:
    """A channel that pays for one running job; use it as a context manager, or call `done`.

    Attributes:
        address: of the contract, raw form.
        payer_key: who signs its vouchers.
        base_total: the total before this job: what the first voucher adds to.
    """

    def __init__(
        self, service: "PayeeService", held: Held, ref: ChannelRef, base_total: NanoTon
    ) -> None:
        self._service = service
        self._held = held
        self._ref = ref
        self.address = held.address
        self.payer_key = held.payer_key
        self.base_total = base_total

    @property
    def best_total(self) -> NanoTon:
        """The newest voucher's total, and at least `base_total`."""
        return max(self.base_total, self._service.state_of(self._held).best_total)

    @property
    def spendable_left(self) -> NanoTon:
        """What vouchers can still grant."""
        return NanoTon(self._service.state_of(self._held).total_max - self.best_total)

    async def receive(self, voucher: VoucherMessage) -> None:
        """Take a voucher; it is on the disk when this returns. The same one again is fine.

        Raises:
            PeerMisbehaved: the signature is not the payer's for this channel, or the
                total does not grow.
            PaymentError: above the deposit, or the channel is closing or released. A
                closing channel's voucher is kept all the same: it pays for work done.
        """
        await self._service.receive(self._held, self._ref, voucher)

    def done(self) -> None:
        """The job is over: another one may use the channel. Idempotent."""
        self._service.let_go(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.done()


class PayeeService:
    """The payee's channels; made by `open_payee`."""

    def __init__(
        self,
        store: PayeeStore,
        chain: Chain,
        claiming: Claiming,
        *,
        seed: bytes,
        terms: PayeeTerms,
        cache_s: float,
    ) -> None:
        self._store = store
        self._chain = chain
        self._claiming = claiming
        self._seed = seed
        self._terms = terms
        self._cache_s = cache_s
        self._sightings: OrderedDict[str, _Sighting] = OrderedDict()
        self._active: dict[str, PayeeChannel | None] = {}

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
        self._active[address] = None
        try:
            channel = await self._check(payment, spendable_min)
        except BaseException:
            self._active.pop(address, None)
            raise
        self._active[address] = channel
        return channel

    async def _check(self, payment: PaymentRef, spendable_min: NanoTon) -> PayeeChannel:
        channel = await self._sight(payment.channel_address)
        fault = channel_fault(payment, channel, self._terms)
        if not fault:
            fault = funds_fault(payment, self.state_of(_held(channel)), spendable_min)
        if fault and self._is_old(channel):
            # A top-up may have arrived since: never refuse on old knowledge.
            channel = await self._sight(payment.channel_address, afresh=True)
            fault = channel_fault(payment, channel, self._terms) or funds_fault(
                payment, self.state_of(_held(channel)), spendable_min
            )
        if fault:
            raise PaymentError(f"channel {channel.address}: {fault}")
        ref = channel.ref(self._terms.network_id)
        return PayeeChannel(self, _held(channel), ref, NanoTon(payment.signed_total_nanoton))

    def _is_old(self, channel: ChannelState) -> bool:
        return self._sightings[channel.address].at_s < trio.current_time()

    async def _sight(self, address: str, *, afresh: bool = False) -> ChannelState:
        """Return what the chain shows of a channel, or showed at most `cache_s` ago."""
        sighting = self._sightings.get(address)
        now_s = trio.current_time()
        if sighting is None or afresh or now_s - sighting.at_s > self._cache_s:
            channel = await self._read(address)
            sighting = self._sightings[address] = _Sighting(channel, trio.current_time())
            if address in self._store.book.channels:
                await self._store.see(address, channel)
        self._sightings.move_to_end(address)
        while len(self._sightings) > ADMITTED_MAX:
            self._sightings.popitem(last=False)
        return sighting.channel

    async def _read(self, address: str) -> ChannelState:
        try:
            channel = await read_channel(self._chain, address)
        except InvalidData as error:
            raise PaymentError(f"channel {address}: {error}") from error
        if channel is None:
            raise PaymentError(f"there is no channel at {address}")
        return channel

    def state_of(self, held: Held) -> Payee:
        """Return the present state: the journal's, or what was seen when nothing was paid yet."""
        known = self._store.book.channels.get(held.address)
        return held.state if known is None else known.state

    async def receive(self, held: Held, ref: ChannelRef, voucher: VoucherMessage) -> None:
        """Take a voucher; see `PayeeChannel.receive`."""
        total, signature = NanoTon(voucher.total_nanoton), voucher.signature
        if not verify_voucher(held.payer_key, ref, total, signature):
            raise PeerMisbehaved(f"bad signature on a voucher for {held.address}")
        state = self.state_of(held)
        if total == state.best_total:
            return
        if total > state.total_max:
            await self._look_for_top_up(held)
        event = VoucherReceived(total=total, signature=signature)
        effects = await self._store.step(held, event)
        for effect in effects:
            if isinstance(effect, Refuse):
                raise refusal(effect)
        if not any(isinstance(effect, GrantWork) for effect in effects):
            raise PaymentError("the voucher grants no work")

    async def _look_for_top_up(self, held: Held) -> None:
        sighting = self._sightings.get(held.address)
        if sighting is None or trio.current_time() - sighting.at_s >= TOP_UP_LOOK_S:
            channel = await self._sight(held.address, afresh=True)
            if held.address not in self._store.book.channels:
                await self._store.hold(msgspec.structs.replace(held, state=_held(channel).state))

    def let_go(self, channel: PayeeChannel) -> None:
        """End a job's use of a channel; see `PayeeChannel.done`."""
        if self._active.get(channel.address) is channel:
            del self._active[channel.address]

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
        address = request.channel_address
        if address in self._active:
            raise PaymentError(f"a job still uses {address}")
        self._active[address] = None  # so that no job starts meanwhile
        try:
            return await self._release(request)
        finally:
            del self._active[address]

    async def _release(self, request: CloseRequest) -> CloseRelease:
        address, total = request.channel_address, NanoTon(request.total_nanoton)
        held = self._store.book.channels.get(address) or await self._newly_held(request)
        ref = ChannelRef(self._terms.network_id, address, held.state.opened_lt)
        asked = ChannelRef(request.chain_network_id, address, request.opened_lt)
        signature = request.payer_signature
        if asked != ref or not verify_close(held.payer_key, signature, ref, total):
            raise PeerMisbehaved(f"who asks to close {address} does not own it")
        for effect in await self._store.step(held, CloseRequested(total=total)):
            if isinstance(effect, Refuse):
                raise refusal(effect)
        return CloseRelease(
            total_nanoton=total, release_signature=sign_release(self._seed, ref, total)
        )

    async def _newly_held(self, request: CloseRequest) -> Held:
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
        return _held(channel)

    async def settle_all(self) -> Earnings:
        """Claim everything that vouchers grant, however little; return the earnings after it.

        Raises:
            ChainUnavailable: the chain could not be asked; what is left stays watched.
        """
        for held in list(self._store.book.channels.values()):
            if held.state.unclaimed:
                await self._claiming.look(held.address, worth=NO_MONEY)
        return self.earnings()

    def earnings(self) -> Earnings:
        """Return what was settled on chain and what is not claimed yet, from the journal only."""
        return self._store.book.earnings()


def _held(channel: ChannelState) -> Held:
    state, _ = Payee().step(seen(channel))
    return Held(
        address=channel.address,
        payer_key=channel.params.payer_key,
        payer_address=channel.params.payer_address,
        state=state,
    )


def refusal(effect: Refuse) -> PaymentError | PeerMisbehaved:
    """Return the error that a core's refusal is told with."""
    return PeerMisbehaved(effect.reason) if effect.peer_at_fault else PaymentError(effect.reason)


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
        cache_s: how long a look at a channel lets jobs start without another one.
        timeout_s: longest wait for one effect on chain.

    Raises:
        ConfigError: the times leave no room to claim.
        JournalLocked: another process uses this journal.
        JournalCorrupt: the journal is damaged; the message says what to do.
    """
    if claim_margin_s + 2 * watch_interval_s > challenge_s_min:
        raise ConfigError(
            f"a channel that closes in {challenge_s_min} s (`challenge_s_min`) cannot be claimed "
            f"{claim_margin_s} s earlier (`claim_margin_s`), looking every {watch_interval_s} s"
        )
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
            clock=clock,
            payee_address=payee_address,
            claim_margin_s=claim_margin_s,
            claim_worth=claim_worth,
            timeout_s=timeout_s,
        )
        service = PayeeService(
            store, chain, claiming, seed=payee_seed, terms=terms, cache_s=cache_s
        )
        async with running(partial(claiming.watch, watch_interval_s)):
            yield service


def _open_journal(path: Path) -> Journal[PayeeRecord]:
    os.makedirs(path.parent, mode=0o700, exist_ok=True)  # noqa: PTH103  (mode of the parents too)
    journal: Journal[PayeeRecord] = Journal(path, PayeeRecord)
    if journal.torn_bytes:
        _log.warning("%s: cut off %d bytes of an interrupted write", path, journal.torn_bytes)
    return journal
