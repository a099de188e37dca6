"""The payer's service: channels to providers, vouchers, and the way out.

Everything that protects money is in the journal, on the disk, before it leaves.
"""

import logging
import os
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

import trio

from cocoon.clock import Clock
from cocoon.errors import PaymentError, PeerMisbehaved
from cocoon.messages import CloseRelease, CloseRequest
from cocoon.payments.background import running
from cocoon.payments.channel import (
    ENDED,
    LOCKS_OPEN_MAX,
    CloseStarted,
    Phase,
    ReleaseAsked,
    ReleaseReceived,
)
from cocoon.payments.closing import Closing, Settlement, channel_ref
from cocoon.payments.durable import DurableLog
from cocoon.payments.funding import Funding
from cocoon.payments.journal import Journal
from cocoon.payments.keys import random_secret
from cocoon.payments.limits import NO_LIMITS, PayerLimits, room, room_fault
from cocoon.payments.ownership import sign_close
from cocoon.payments.payer_book import (
    Acknowledged,
    Channel,
    InterruptedJob,
    PayerBook,
    PayerRecord,
)
from cocoon.payments.payer_channel import PayerChannel
from cocoon.payments.payer_store import PayerStore
from cocoon.payments.recovery import find_channels
from cocoon.payments.status import ChannelStatus, describe
from cocoon.payments.turns import Turns
from contracts.chain import Chain
from contracts.channel import OPEN_FEE_NANOTON
from contracts.errors import ChainUnavailable, ContractError
from contracts.units import NO_MONEY, NanoTon
from contracts.voucher import verify_release
from contracts.wallet import Wallet

__all__ = ["PayerChannel", "PayerService", "Settlement", "open_payer"]

CHALLENGE_S: Final = 3600
WATCH_INTERVAL_S: Final = 10.0
CHAIN_TIMEOUT_S: Final = 60.0
RELEASE_TIMEOUT_S: Final = 20.0
REFRESH_S: Final = 30.0
"""An open channel that was looked at so recently is used without asking the chain."""

AskRelease = Callable[[CloseRequest], Awaitable[CloseRelease]]

_log = logging.getLogger(__name__)


class PayerService:
    """The payer's channels; made by `open_payer`."""

    def __init__(
        self,
        store: PayerStore,
        chain: Chain,
        wallet: Wallet,
        *,
        clock: Clock,
        challenge_s: int,
        limits: PayerLimits,
        secret: bytes,
        timeout_s: float,
    ) -> None:
        self._store = store
        self._chain = chain
        self._wallet = wallet
        self._clock = clock
        self._challenge_s = challenge_s
        self._limits = limits
        self._secret = secret
        self._funding = Funding(store, chain, wallet, secret=secret, timeout_s=timeout_s)
        self._closing = Closing(store, chain, timeout_s=timeout_s)
        self._payees: Turns[str] = Turns()
        self._operations: Turns[str] = Turns()
        self._held: set[str] = set()
        self._looked_at_s: dict[str, float] = {}

    @property
    def store(self) -> PayerStore:
        """The journal and its book, for the parts of payments that pay through channels."""
        return self._store

    @property
    def chain(self) -> Chain:
        """Where the money is."""
        return self._chain

    @property
    def network_id(self) -> int:
        """The global id of the chain."""
        return self._chain.network_id

    # --- paying -----------------------------------------------------------------------

    async def ensure_channel(
        self,
        payee_address: str,
        payee_key: bytes,
        *,
        spendable_min: NanoTon,
        deposit: NanoTon,
        for_routes: bool = False,
    ) -> PayerChannel:
        """Return an open channel that no job uses and that can still pay *spendable_min*.

        Reuses one, tops one up, or opens one. `deposit` is what vouchers of a new
        channel can spend (and what a top-up adds, at least); the wallet attaches
        `contracts.channel.deposit_needed` of it, and the difference comes back.

        Raises:
            PaymentError: the wallet has not enough.
            ChainUnavailable: not seen in time. Call again: nothing is paid twice.
        """
        async with self._payees.turn(payee_address):
            for channel in self._usable(payee_address, payee_key, for_routes=for_routes):
                address = channel.address
                async with self._operations.turn(address):
                    if await self._make_ready(address, spendable_min, deposit):
                        return self.channel(address)
            amount = self._within_limits(payee_address, spendable_min, deposit)
            return await self._open(payee_address, payee_key, amount)

    async def open_channel(
        self, payee_address: str, payee_key: bytes, deposit: NanoTon
    ) -> PayerChannel:
        """Open one more channel, in which vouchers can spend *deposit*.

        Raises:
            PaymentError: above a limit, or the wallet has not enough.
            ChainUnavailable: not seen in time; the watcher goes on with it.
        """
        async with self._payees.turn(payee_address):
            amount = self._within_limits(payee_address, deposit, deposit)
            return await self._open(payee_address, payee_key, amount)

    async def _open(self, payee_address: str, payee_key: bytes, spendable: NanoTon) -> PayerChannel:
        planned = await self._funding.plan(
            payee_address, payee_key, spendable=spendable, challenge_s=self._challenge_s
        )
        async with self._operations.turn(planned.address):
            await self._funding.open(planned)
        self._looked_at_s[planned.address] = trio.current_time()
        return self.channel(planned.address)

    async def top_up(self, channel: PayerChannel, amount: NanoTon) -> None:
        """Add *amount* to what vouchers of an open channel can spend.

        Raises:
            PaymentError: it is not open, above a limit, or the wallet has not enough.
            ChainUnavailable: not seen in time; the watcher goes on with it.
        """
        address = channel.address
        payee = self._payees.turn(channel.payee_address)
        async with payee, self._operations.turn(address):
            if self._store.get(address).transfer:
                await self._funding.resume(address)
            await self._closing.refresh(address)
            if self.phase(address) is not Phase.OPEN:
                raise PaymentError(f"{address} is {self.phase(address).value}, not open")
            self._within_limits(channel.payee_address, amount, amount, address)
            await self._funding.top_up(address, amount)

    def _within_limits(
        self, payee_address: str, needed: NanoTon, wanted: NanoTon, address: str = ""
    ) -> NanoTon:
        """Return how much to put in: what is *wanted*, cut to the limits, but all that is *needed*.

        Raises:
            PaymentError: the limits do not leave room for what is needed.
        """
        left = self._room(payee_address, address)
        if fault := room_fault(needed, left, self._limits):
            raise PaymentError(fault)
        return max(needed, min(wanted, left))

    def _room(self, payee_address: str, address: str) -> NanoTon:
        channels = self._store.book.channels.values()
        return room(self._limits, channels, payee_address, address)

    @asynccontextmanager
    async def hold_channel(
        self,
        payee_address: str,
        payee_key: bytes,
        *,
        spendable_min: NanoTon,
        deposit: NanoTon,
    ) -> AsyncGenerator[PayerChannel]:
        """Like `ensure_channel`, and nobody else gets the channel within the block."""
        channel = await self.ensure_channel(
            payee_address, payee_key, spendable_min=spendable_min, deposit=deposit
        )
        while channel.address in self._held:
            channel = await self.ensure_channel(
                payee_address, payee_key, spendable_min=spendable_min, deposit=deposit
            )
        self._held.add(channel.address)
        try:
            yield channel
        finally:
            self._held.discard(channel.address)

    def channel(self, address: str) -> PayerChannel:
        """Return the channel at *address*.

        Raises:
            PaymentError: the journal has none.
        """
        self._store.get(address)
        return PayerChannel(self._store, self._chain.network_id, address)

    def ready_channel(
        self, payee_address: str, payee_key: bytes, *, spendable_min: NanoTon, for_routes: bool
    ) -> PayerChannel | None:
        """Return a channel that can pay this much now, without opening or filling one."""
        for channel in self._usable(payee_address, payee_key, for_routes=for_routes):
            if channel.state.spendable_left >= spendable_min:
                return self.channel(channel.address)
        return None

    async def settled_on_chain(self, address: str, lock_id: bytes) -> NanoTon:
        """Return what a lock has paid on the chain so far; 0 also when the channel is gone.

        Raises:
            ChainUnavailable: the chain could not be asked.
        """
        seen = await self._closing.refresh(address)
        return NO_MONEY if seen is None else seen.settled_nanoton.get(lock_id, NO_MONEY)

    async def end_locks(self, address: str) -> None:
        """Let go of a channel's locks whose deadline is over, as the chain shows them.

        Raises:
            ChainUnavailable: the chain could not be asked.
        """
        async with self._operations.turn(address):
            if self.phase(address) is Phase.OPEN:
                await self._closing.advance(address)

    def _usable(self, payee_address: str, payee_key: bytes, *, for_routes: bool) -> list[Channel]:
        """Return the candidates; a channel is for one direct job, or for a few routes."""
        locks_max = LOCKS_OPEN_MAX - 1 if for_routes else 0
        usable = [
            channel
            for channel in self._store.book.channels.values()
            if channel.params.payee_address == payee_address
            and channel.params.payee_key == payee_key
            and channel.state.phase in (Phase.OPEN, Phase.OPENING)
            and not channel.state.job_id
            and not channel.state.restored
            and len(channel.state.locks) <= locks_max
            and channel.address not in self._held
        ]
        return sorted(usable, key=lambda channel: -channel.state.spendable_left)

    async def _make_ready(self, address: str, spendable_min: NanoTon, deposit: NanoTon) -> bool:
        """Return False when the channel turns out not to be usable any more."""
        if self._store.get(address).transfer or self.phase(address) is Phase.OPENING:
            await self._funding.resume(address)
        looked_at_s = self._looked_at_s.get(address, -REFRESH_S)
        if self.phase(address) is Phase.OPEN and trio.current_time() - looked_at_s >= REFRESH_S:
            await self._closing.refresh(address)
            self._looked_at_s[address] = trio.current_time()
        if self.phase(address) is not Phase.OPEN:
            return False
        missing = spendable_min - self._store.get(address).state.spendable_left
        if missing > 0:
            needed = NanoTon(missing + OPEN_FEE_NANOTON)
            left = self._room(self._store.get(address).params.payee_address, address)
            if needed > left:
                return False  # full, and not claimed from yet: a new channel may do
            await self._funding.top_up(address, NanoTon(max(needed, min(deposit, left))))
        state = self._store.get(address).state
        return state.spendable_left >= spendable_min and not state.job_id

    def phase(self, address: str) -> Phase:
        """Return where the channel stands."""
        return self._store.get(address).state.phase

    # --- the way out ------------------------------------------------------------------

    async def close(
        self,
        channel: PayerChannel,
        ask_release: AskRelease,
        *,
        release_timeout_s: float = RELEASE_TIMEOUT_S,
    ) -> Settlement:
        """Close together with the payee; can be repeated after any failure.

        Once this began, nothing more is signed on the channel. If the payee does not
        answer, `exit_alone` is the way out.

        Raises:
            PaymentError: a job still runs, or the payee did not answer in time.
            PeerMisbehaved: the payee's answer is not a release of this channel.
            ChainUnavailable: not seen in time; the watcher goes on with it.
        """
        address = channel.address
        async with self._operations.turn(address):
            done = await self._closing.settlement(address)
            if done is not None:
                return done
            await self._store.step(address, ReleaseAsked())
            if not self._store.get(address).state.release:
                await self._get_release(address, ask_release, release_timeout_s)
            return await self._closing.close(address)

    async def close_request(self, channel: PayerChannel) -> CloseRequest:
        """Return the wish to close together, to be carried to the payee by hand.

        From here on nothing more is signed on the channel; `close` takes the answer.

        Raises:
            PaymentError: a job still runs, or the channel is not open.
        """
        async with self._operations.turn(channel.address):
            await self._store.step(channel.address, ReleaseAsked())
            return self._close_request(channel.address)

    def _close_request(self, address: str) -> CloseRequest:
        channel = self._store.get(address)
        ref, total = channel_ref(self._chain.network_id, channel), channel.state.signed_total
        return CloseRequest(
            chain_network_id=ref.network_id,
            channel_address=address,
            opened_lt=ref.opened_lt,
            total_nanoton=total,
            payer_signature=sign_close(channel.seed, ref, total),
        )

    async def _get_release(self, address: str, ask: AskRelease, timeout_s: float) -> None:
        channel = self._store.get(address)
        ref, total = channel_ref(self._chain.network_id, channel), channel.state.signed_total
        request = self._close_request(address)
        try:
            with trio.fail_after(timeout_s):
                answer = await ask(request)
        except trio.TooSlowError as error:
            raise PaymentError(
                f"the payee did not release {address} within {timeout_s} s; "
                "ask again, or leave alone"
            ) from error
        key, signature = channel.params.payee_key, answer.release_signature
        if answer.total_nanoton != total or not verify_release(key, ref, total, signature):
            raise PeerMisbehaved(f"not a release of {address} at {total} nanoton")
        await self._store.step(address, ReleaseReceived(total=total, signature=signature))

    async def exit_alone(self, channel: PayerChannel) -> int:
        """Start to leave without the payee; the watcher finishes, also after a restart.

        Returns:
            When the challenge period ends, in unix seconds of the chain; 0 when the
            channel is gone already.

        Raises:
            PaymentError: the channel was never open.
            ChainUnavailable: not seen in time; the watcher goes on with it.
        """
        address = channel.address
        async with self._operations.turn(address):
            if self.phase(address) is Phase.CLOSED:
                return 0
            if self.phase(address) not in (Phase.LEAVING, Phase.CLOSING):
                await self._store.step(address, CloseStarted())
            return await self._closing.start(address)

    async def settlement(self, channel: PayerChannel) -> Settlement | None:
        """Return how the money was shared out, or None while the channel lives."""
        return await self._closing.settlement(channel.address)

    async def recover(self) -> list[PayerChannel]:
        """Find channels that the journal has lost, on the chain; return them.

        They are for leaving only. Finds what was opened with this wallet and this
        `channel secret <cocoon.payments.keys>`.

        Raises:
            ChainUnavailable: the chain could not be asked.
        """
        found = await find_channels(self._chain, self._wallet.address, self._secret)
        lost = [each for each in found if each.address not in self._store.book.channels]
        await self._store.record(*lost)
        return [self.channel(each.address) for each in lost]

    # --- what people ask --------------------------------------------------------------

    def list_channels(self) -> list[ChannelStatus]:
        """Return every channel with its state in words, newest last."""
        now_unix_s = self._clock()
        return [describe(each, now_unix_s) for each in self._store.book.channels.values()]

    def interrupted_jobs(self) -> list[InterruptedJob]:
        """Return the jobs that a crash cut off, until each is acknowledged."""
        return list(self._store.book.interrupted.values())

    async def acknowledge(self, job_id: str) -> None:
        """Forget an interrupted job."""
        await self._store.record(Acknowledged(job_id=job_id))

    # --- the watcher ------------------------------------------------------------------

    async def watch(self, interval_s: float) -> None:
        """Go on with what crashes and time-outs left open, for ever."""
        while True:
            for channel in list(self._store.book.channels.values()):
                if channel.state.phase not in ENDED:
                    await self._advance(channel.address)
            await trio.sleep(interval_s)

    async def _advance(self, address: str) -> None:
        looked_at_s = self._looked_at_s.get(address, -REFRESH_S)
        recently = trio.current_time() - looked_at_s < REFRESH_S
        if self._operations.taken(address) or address in self._held:
            return
        if recently and self.phase(address) is Phase.OPEN:
            return
        async with self._operations.turn(address):
            try:
                if self._store.get(address).transfer or self.phase(address) is Phase.OPENING:
                    await self._funding.resume(address)
                await self._closing.advance(address)
                self._looked_at_s[address] = trio.current_time()
            except ChainUnavailable as error:
                _log.info("channel %s has to wait: %s", address, error)
            except (ContractError, PaymentError) as error:
                _log.warning("channel %s: %s", address, error)


@asynccontextmanager
async def open_payer(
    *,
    chain: Chain,
    wallet: Wallet,
    journal_path: Path,
    clock: Clock,
    challenge_s: int = CHALLENGE_S,
    limits: PayerLimits = NO_LIMITS,
    secret: bytes | None = None,
    watch_interval_s: float = WATCH_INTERVAL_S,
    timeout_s: float = CHAIN_TIMEOUT_S,
) -> AsyncGenerator[PayerService]:
    """Run the payer's side for the length of the ``async with`` block.

    Args:
        chain: where the money is.
        wallet: funds channels and gets back what is left.
        journal_path: the file that holds the channels' keys and totals; made with mode
            0600. Losing it loses the way to the deposits.
        clock: unix time, for the words in `PayerService.list_channels` only.
        challenge_s: of new channels: how long a payee can claim after a lone exit began.
        limits: how much may be locked up.
        secret: what channel keys are derived from (`cocoon.payments.keys`). None takes a
            new one: then only the journal can bring the channels back.
        watch_interval_s: how often open matters are looked at.
        timeout_s: longest wait for one effect on chain.

    Raises:
        JournalLocked: another process uses this journal.
        JournalCorrupt: the journal is damaged; the message says what to do.
    """
    journal = await trio.to_thread.run_sync(_open_journal, journal_path)
    with journal:
        book = PayerBook(journal.records)
        store = PayerStore(book, DurableLog(journal, book))
        await store.record(*list(book.interruptions()))
        service = PayerService(
            store,
            chain,
            wallet,
            clock=clock,
            challenge_s=challenge_s,
            limits=limits,
            secret=secret or random_secret(),
            timeout_s=timeout_s,
        )
        async with running(partial(service.watch, watch_interval_s)):
            yield service


def _open_journal(path: Path) -> Journal[PayerRecord]:
    os.makedirs(path.parent, mode=0o700, exist_ok=True)  # noqa: PTH103  (mkdir ignores mode of parents)
    journal: Journal[PayerRecord] = Journal(path, PayerRecord)
    if journal.torn_bytes:
        _log.warning("%s: cut off %d bytes of an interrupted write", path, journal.torn_bytes)
    return journal
