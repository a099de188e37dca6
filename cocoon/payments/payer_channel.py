"""One channel as those who pay through it see it."""

from cocoon.messages import PaymentRef, VoucherMessage
from cocoon.payments.channel import (
    JobEnded,
    JobStarted,
    LockFolded,
    LockRequested,
    PayerEvent,
    SignRequested,
)
from cocoon.payments.closing import channel_ref
from cocoon.payments.ownership import sign_ownership
from cocoon.payments.payer_book import Channel, PayerRecord
from cocoon.payments.payer_store import PayerStore
from contracts.locks import Lock, LockedVoucher
from contracts.units import NanoTon
from contracts.voucher import sign_locked_voucher, sign_voucher


class PayerChannel:
    """One channel to one payee, for one job at a time.

    Attributes:
        address: of the contract, raw form.
    """

    def __init__(self, store: PayerStore, network_id: int, address: str) -> None:
        self._store = store
        self._network_id = network_id
        self.address = address

    def __repr__(self) -> str:
        return f"<PayerChannel {self.address} {self._channel.state.phase.value}>"

    @property
    def _channel(self) -> Channel:
        return self._store.get(self.address)

    @property
    def payee_address(self) -> str:
        """Where claims are paid to, raw form."""
        return self._channel.params.payee_address

    @property
    def payee_key(self) -> bytes:
        """The key that signs releases, 32 bytes."""
        return self._channel.params.payee_key

    @property
    def challenge_s(self) -> int:
        """How long the payee can still claim after we start to leave."""
        return self._channel.params.challenge_s

    @property
    def ref(self) -> PaymentRef:
        """What to put into `Accept`: the channel and its total before the next voucher."""
        channel = self._channel
        return PaymentRef(
            chain_network_id=self._network_id,
            channel_address=channel.address,
            opened_lt=channel.state.opened_lt,
            payer_key=channel.params.payer_key,
            signed_total_nanoton=channel.state.signed_total,
        )

    @property
    def signed_total(self) -> NanoTon:
        """The total of the newest voucher."""
        return self._channel.state.signed_total

    @property
    def spendable_left(self) -> NanoTon:
        """What vouchers can still grant; 0 unless the channel is open."""
        return self._channel.state.spendable_left

    @property
    def at_risk(self) -> NanoTon:
        """What the running job's newest voucher added: paid, perhaps not delivered yet."""
        return self._channel.state.at_risk

    def sign_transcript(self, transcript_hash: bytes) -> bytes:
        """Prove to the payee that we own the channel, for the job with this transcript."""
        return sign_ownership(
            self._channel.seed,
            network_id=self._network_id,
            channel_address=self.address,
            transcript_hash=transcript_hash,
        )

    async def start_job(self, job_id: str, provider: str) -> None:
        """Take the channel for a job; durable, so that a crash can tell what was at stake.

        Raises:
            PaymentError: another job holds it, or it is not open.
        """
        await self._store.step(self.address, JobStarted(job_id=job_id, provider=provider))

    async def pay(self, total_nanoton: NanoTon, job_id: str) -> VoucherMessage:
        """Sign a new cumulative total; it is on the disk before this returns.

        The same total again gives the same voucher. A job that was not started is
        started here.

        Raises:
            PaymentError: above the deposit, below an older total, or not the job that
                holds the channel; nothing was signed.
        """
        state = self._channel.state
        if not job_id or total_nanoton != state.signed_total or job_id != state.job_id:
            events: tuple[PayerEvent, ...] = (SignRequested(job_id=job_id, total=total_nanoton),)
            if not state.job_id:
                events = (JobStarted(job_id=job_id, provider=""), *events)
            await self._store.step(self.address, *events)
        return VoucherMessage(total_nanoton=total_nanoton, signature=self._voucher(total_nanoton))

    def newest_voucher(self) -> VoucherMessage | None:
        """Return the newest voucher again, for a payee that may not have got it; None before one.

        It is the same voucher to the last bit: nothing is signed a second time over
        another amount.
        """
        total = self.signed_total
        if not total or self.locks:
            return None
        return VoucherMessage(total_nanoton=total, signature=self._voucher(total))

    async def end_job(self, job_id: str) -> None:
        """Let go of the channel; nothing of the job is in doubt any more. Idempotent."""
        if self._channel.state.job_id == job_id:
            await self._store.step(self.address, JobEnded(job_id=job_id))

    @property
    def locks(self) -> tuple[Lock, ...]:
        """The open locks of the newest voucher."""
        return self._channel.state.locks

    async def lock(
        self, lock: Lock, total: NanoTon, *, also: tuple[PayerRecord, ...] = ()
    ) -> LockedVoucher:
        """Sign *total* and one more lock; on the disk, with *also*, before this returns.

        Raises:
            PaymentError: the deposit does not cover it, or a job uses the channel.
        """
        await self._store.step(self.address, LockRequested(lock=lock, total=total), also=also)
        return self.newest_locked()

    async def fold(
        self, lock_id: bytes, total: NanoTon, *, also: tuple[PayerRecord, ...] = ()
    ) -> LockedVoucher:
        """Sign a voucher in which an opened lock is part of *total*; durable like `lock`.

        Raises:
            PaymentError: no such lock is open, or it cannot have come to that.
        """
        await self._store.step(self.address, LockFolded(lock_id=lock_id, total=total), also=also)
        return self.newest_locked()

    def newest_locked(self) -> LockedVoucher:
        """Return the newest voucher with its locks, if any, again."""
        state = self._channel.state
        ref = channel_ref(self._network_id, self._channel)
        signature = (
            sign_locked_voucher(self._channel.seed, ref, state.signed_total, state.locks)
            if state.locks
            else sign_voucher(self._channel.seed, ref, state.signed_total)
        )
        return LockedVoucher(
            total_nanoton=state.signed_total, locks=state.locks, signature=signature
        )

    def _voucher(self, total: NanoTon) -> bytes:
        return sign_voucher(self._channel.seed, channel_ref(self._network_id, self._channel), total)
