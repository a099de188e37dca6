"""What every part of the payee's service stands on: what it knows, and how it looks at channels."""

import logging
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import msgspec
import trio

from cocoon.errors import PaymentError, PeerMisbehaved
from cocoon.messages import VoucherMessage
from cocoon.payments.admission import PayeeTerms, seen
from cocoon.payments.channel import GrantWork, Payee, Refuse, VoucherReceived
from cocoon.payments.claiming import Claiming
from cocoon.payments.limits import PayeeLimits
from cocoon.payments.payee_book import Held
from cocoon.payments.payee_channel import PayeeChannel
from cocoon.payments.payee_store import PayeeStore
from cocoon.payments.sightings import Sighting, Sightings
from contracts.channel import ChannelState
from contracts.errors import ChainUnavailable, InvalidData
from contracts.units import NO_MONEY, NanoTon
from contracts.voucher import ChannelRef, verify_voucher

LOOK_TIMEOUT_S: Final = 5.0
"""In mid-job the chain has so long to say whether the payer is leaving."""

JOB_END_S: Final = 3.0
"""Who settles right after a job waits at most so long until we have written down its end."""

TOP_UP_LOOK_S: Final = 5.0
"""A voucher above the deposit makes us look for a top-up at most this often."""

_log = logging.getLogger(__name__)


class PayeeSide:
    """The parts of `cocoon.payments.payee.PayeeService`, and its eyes."""

    def __init__(
        self,
        store: PayeeStore,
        sightings: Sightings,
        claiming: Claiming,
        *,
        seed: bytes,
        terms: PayeeTerms,
        limits: PayeeLimits,
        cache_s: float,
        unseen_s_max: float,
    ) -> None:
        self._store = store
        self._sightings = sightings
        self._claiming = claiming
        self._seed = seed
        self._terms = terms
        self._limits = limits
        self._cache_s = cache_s
        self._unseen_s_max = unseen_s_max
        self._active: dict[str, PayeeChannel | None] = {}
        self._let_go = trio.Event()
        self._settling: set[str] = set()

    def _is_old(self, channel: ChannelState) -> bool:
        return self._sightings.age_s(channel.address) > 0

    def _age_fault(self, channel: ChannelState) -> str:
        """Return why a channel from before a restored backup cannot be worked for, or ""."""
        restored_at_unix_s = self._store.book.restored_at_unix_s
        sighting = self._sightings.last(channel.address)
        known = 0 if sighting is None else sighting.opened_at_unix_s
        if not restored_at_unix_s or known > restored_at_unix_s:
            return ""
        return (
            "it may be older than the backup that our journal was restored from, and we may "
            "have released it; open a new one"
        )

    async def _sight(self, address: str, *, afresh: bool = False) -> ChannelState:
        """Return what the chain shows of a channel, or showed at most `cache_s` ago."""
        sighting = self._sightings.last(address)
        if sighting is None or afresh or self._sightings.age_s(address) > self._cache_s:
            sighting = await self._look(address)
            if address in self._store.book.channels:
                await self._store.see(address, sighting.channel)
        return sighting.channel

    async def _look(self, address: str) -> Sighting:
        known = self._store.book.channels.get(address)
        granted = NO_MONEY if known is None else known.state.worth
        try:
            sighting = await self._sightings.look(address, granted_total=granted)
        except InvalidData as error:
            raise PaymentError(f"channel {address}: {error}") from error
        if sighting is None:
            raise PaymentError(f"there is no channel at {address}")
        return sighting

    @property
    def claim_margin_s(self) -> int:
        """A claim must be on chain so long before a deadline."""
        return self._claiming.claim_margin_s

    def state_of(self, held: Held) -> Payee:
        """Return the present state: the journal's, or what was seen when nothing was paid yet."""
        known = self._store.book.channels.get(held.address)
        return held.state if known is None else known.state

    async def _now_for(self, state: Payee) -> int:
        """Return the chain's time when locks are open, to tell which are over; else 0."""
        return await self._claiming.chain_now_unix_s() if state.locks else 0

    async def _look_for_top_up(self, held: Held) -> None:
        """See whether the deposit has grown; when the chain cannot be asked, it has not."""
        if self._sightings.age_s(held.address) >= TOP_UP_LOOK_S:
            try:
                channel = await self._sight(held.address, afresh=True)
            except ChainUnavailable as error:
                _log.warning("no top-up of %s can be seen: %s", held.address, error)
                return
            if held.address not in self._store.book.channels:
                await self._store.hold(
                    msgspec.structs.replace(held, state=held_as_seen(channel).state)
                )

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
        event = VoucherReceived(
            total=total,
            signature=signature,
            let_go=(),
            now_unix_s=await self._now_for(self.state_of(held)),
        )
        effects = await self._store.step(held, event)
        for effect in effects:
            if isinstance(effect, Refuse):
                raise refusal(effect)
        if not any(isinstance(effect, GrantWork) for effect in effects):
            raise PaymentError("the voucher grants no work")
        await self.stay_in_sight(held)

    async def stay_in_sight(self, held: Held) -> None:
        """Find out whether the payer is leaving, when that was long ago.

        Raises:
            PaymentError: it is; or the chain cannot be asked, and too much was granted since.
        """
        if self._sightings.age_s(held.address) > self._unseen_s_max:
            await self._look_in_mid_job(held)

    async def _look_in_mid_job(self, held: Held) -> None:
        """Find out whether the payer is leaving; go on within `PayeeLimits.unseen_max` if we can't.

        Until `unseen_s_max` after the last look, a payer who left just then can still be
        claimed from, so nothing is at risk. What is granted later is.
        """
        with trio.move_on_after(LOOK_TIMEOUT_S):
            try:
                await self._sight(held.address, afresh=True)
            except ChainUnavailable as error:
                _log.warning("working unseen for %s: %s", held.address, error)
        if reason := self.state_of(held).barred:
            raise PaymentError(reason)
        sighting = self._sightings.last(held.address)
        granted = NO_MONEY if sighting is None else sighting.granted_total
        unseen = self._sightings.age_s(held.address) > self._unseen_s_max
        if unseen and self.state_of(held).worth - granted > self._limits.unseen_max:
            raise PaymentError(
                f"the chain has not told for {self._unseen_s_max:.0f} s whether {held.address} "
                "is closing; the work waits for it"
            )

    def let_go(self, channel: PayeeChannel) -> None:
        """End a job's use of a channel; see `PayeeChannel.done`."""
        if self._active.get(channel.name) is channel:
            self._free(channel.name)

    def _free(self, name: str) -> None:
        del self._active[name]
        self._let_go.set()
        self._let_go = trio.Event()

    @contextmanager
    def _taking(self, name: str) -> Iterator[None]:
        """Reserve a channel or route for the block; it stays taken only by what is put there."""
        self._active[name] = None
        try:
            yield
        finally:
            if self._active[name] is None:
                self._free(name)

    @asynccontextmanager
    async def _without_job(self, address: str) -> AsyncGenerator[None]:
        """Let no job use the channel in the block.

        Its last job may have ended for the payer, and not quite yet for us: that is waited for.

        Raises:
            PaymentError: a job still runs.
        """
        with trio.move_on_after(JOB_END_S):
            while address in self._active:
                await self._let_go.wait()
        if address in self._active:
            raise PaymentError(f"a job still uses {address}")
        with self._taking(address):
            yield


def held_as_seen(channel: ChannelState) -> Held:
    """Return a channel that nothing was paid on yet, as the chain shows it."""
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
