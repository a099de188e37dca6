"""The payer's side of a payment channel, without any I/O; see `cocoon.payments.channel`."""

import enum
from typing import Final, TypeAlias

import msgspec

from contracts.channel import EXTERNAL_LOCKS_MAX
from contracts.locks import Lock, locked_nanoton
from contracts.locks import lock_id as lock_id_of
from contracts.units import NO_MONEY, TICKER, NanoTon, format_coins


class Frozen(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base that fixes the options."""


# --- events of the payer --------------------------------------------------------------


class Opened(Frozen, frozen=True, tag="opened"):
    """The chain shows the channel open. `total_max` is the largest total it can pay."""

    opened_lt: int
    total_max: NanoTon


class Lapsed(Frozen, frozen=True, tag="lapsed"):
    """The deposit was not taken and never will be: it is still, or again, in the wallet."""


class Seen(Frozen, frozen=True, tag="seen"):
    """What the chain shows of an open channel. `close_at_unix_s` is 0 unless it is closing."""

    total_max: NanoTon
    paid_total: NanoTon
    close_at_unix_s: int = 0


class JobStarted(Frozen, frozen=True, tag="job_started"):
    """A job takes the channel; until it ends, no other can."""

    job_id: str
    provider: str


class SignRequested(Frozen, frozen=True, tag="sign"):
    """The job has earned a voucher over this cumulative total."""

    job_id: str
    total: NanoTon


class JobEnded(Frozen, frozen=True, tag="job_ended"):
    """The job is over and nothing of it is in doubt any more."""

    job_id: str


class LockRequested(Frozen, frozen=True, tag="lock"):
    """A voucher over *total* shall also carry this lock, beside those that are open."""

    lock: Lock
    total: NanoTon


class LockFolded(Frozen, frozen=True, tag="fold"):
    """A lock was opened by its witness: it goes, and what it paid is in *total*."""

    lock_id: bytes
    total: NanoTon


class LockExpired(Frozen, frozen=True, tag="lock_expired"):
    """The chain is past a lock's deadline, and shows that it paid nothing."""

    lock_id: bytes
    now_unix_s: int


class ReleaseAsked(Frozen, frozen=True, tag="release_asked"):
    """The payee will be asked to close together: from here on nothing more is signed."""


class ReleaseReceived(Frozen, frozen=True, tag="released"):
    """The payee agreed; its signature is over `total`."""

    total: NanoTon
    signature: bytes


class CloseStarted(Frozen, frozen=True, tag="close_started"):
    """The payer decided to leave alone."""


class Gone(Frozen, frozen=True, tag="gone"):
    """The account is destroyed: its money went to the payee, the payer and the chain."""

    paid: NanoTon
    refunded: NanoTon
    fees: NanoTon


PayerEvent: TypeAlias = (
    Opened
    | Lapsed
    | Seen
    | JobStarted
    | SignRequested
    | JobEnded
    | LockRequested
    | LockFolded
    | LockExpired
    | ReleaseAsked
    | ReleaseReceived
    | CloseStarted
    | Gone
)

# --- effects --------------------------------------------------------------------------


class Refuse(Frozen, frozen=True):
    """Say no, with a reason for people. `peer_at_fault`: no honest peer does this."""

    reason: str
    peer_at_fault: bool = False


class SignVoucher(Frozen, frozen=True):
    """Sign and hand over a voucher."""

    total: NanoTon


class SignLocked(Frozen, frozen=True):
    """Sign and hand over a voucher with locks."""

    total: NanoTon
    locks: tuple[Lock, ...]


class AskRelease(Frozen, frozen=True):
    """Ask the payee for its release at this total."""

    total: NanoTon


class SendClose(Frozen, frozen=True):
    """Send the cooperative close to the chain."""

    total: NanoTon
    release: bytes


class SendStartClose(Frozen, frozen=True):
    """Send the start of the lone exit to the chain."""


class SendFinish(Frozen, frozen=True):
    """Send the end of the lone exit, once the chain's time is past this."""

    after_unix_s: int


PayerEffect: TypeAlias = (
    Refuse | SignVoucher | SignLocked | AskRelease | SendClose | SendStartClose | SendFinish
)


class Phase(enum.Enum):
    """Where the payer's side of a channel stands."""

    OPENING = "opening"
    OPEN = "open"
    RELEASING = "releasing"
    LEAVING = "leaving"
    CLOSING = "closing"
    CLOSED = "closed"
    LAPSED = "lapsed"


LOCKS_OPEN_MAX: Final = EXTERNAL_LOCKS_MAX
"""So that one claim can open all of them with no wallet's help."""

ROUTED: Final = "routes still use the channel; `cocoon channels` says until when"

RESTORED: Final = "the channel comes from a backup, which may lack vouchers: only for leaving"

ENDED: Final = frozenset({Phase.CLOSED, Phase.LAPSED})


class Payer(Frozen, frozen=True):
    """What the payer must never forget.

    Invariants: `signed_total` only grows, was never above what the deposit covered
    when it was signed, and does not move outside of `Phase.OPEN`.

    Attributes:
        total_max: the largest total that the deposit covers.
        paid_total: claimed on chain so far, as part of `signed_total`.
        signed_total: of the newest voucher.
        previous_total: of the one before it, within the running job.
        job_total_before: `signed_total` when the running job started.
        job_id: the running job, or "".
        gone: how the money was shared out at the end.
        restored: from a backup, which may not know the newest voucher: only for leaving.
        locks: open ones, part of the newest voucher; what they will be worth is not
            known yet, so all of it is held back. None while a job pays directly.
    """

    phase: Phase = Phase.OPENING
    opened_lt: int = 0
    total_max: NanoTon = NO_MONEY
    paid_total: NanoTon = NO_MONEY
    signed_total: NanoTon = NO_MONEY
    previous_total: NanoTon = NO_MONEY
    job_total_before: NanoTon = NO_MONEY
    job_id: str = ""
    provider: str = ""
    release: bytes = b""
    close_at_unix_s: int = 0
    gone: Gone | None = None
    restored: bool = False
    locks: tuple[Lock, ...] = ()

    @property
    def spendable_left(self) -> NanoTon:
        """What vouchers can still grant."""
        paying = self.phase is Phase.OPEN and not self.restored
        left = self.total_max - self.signed_total - locked_nanoton(self.locks) if paying else 0
        return NanoTon(max(0, left))

    @property
    def at_risk(self) -> NanoTon:
        """What the running job's newest voucher added: paid, perhaps not delivered yet."""
        return NanoTon(self.signed_total - self.previous_total if self.job_id else 0)

    def step(self, event: PayerEvent) -> tuple["Payer", tuple[PayerEffect, ...]]:
        """Apply *event*."""
        if self.phase in ENDED:
            return self, (Refuse(reason=f"the channel is {self.phase.value}"),)
        match event:
            case Opened() | Lapsed() | Seen() | Gone():
                return self._on_chain(event), ()
            case JobStarted() | SignRequested() | JobEnded():
                return self._on_job(event)
            case LockRequested() | LockFolded() | LockExpired():
                return self._on_lock(event)
            case ReleaseAsked() | ReleaseReceived() | CloseStarted():
                return self._on_close(event)

    def pending(self) -> tuple[PayerEffect, ...]:
        """Return what is still to be carried out, for instance after a restart."""
        match self.phase:
            case Phase.RELEASING if self.release:
                return (SendClose(total=self.signed_total, release=self.release),)
            case Phase.RELEASING:
                return (AskRelease(total=self.signed_total),)
            case Phase.LEAVING:
                return (SendStartClose(),)
            case Phase.CLOSING:
                return (SendFinish(after_unix_s=self.close_at_unix_s),)
            case _:
                return ()

    def _on_chain(self, event: Opened | Lapsed | Seen | Gone) -> "Payer":
        change = msgspec.structs.replace
        match event:
            case Opened(opened_lt=opened_lt, total_max=total_max):
                if self.phase is not Phase.OPENING:
                    return self
                return change(self, phase=Phase.OPEN, opened_lt=opened_lt, total_max=total_max)
            case Lapsed():
                return change(self, phase=Phase.LAPSED) if self.phase is Phase.OPENING else self
            case Seen(total_max=total_max, paid_total=paid, close_at_unix_s=close_at):
                seen = change(self, total_max=total_max, paid_total=paid)
                if self.restored:  # the payee cashed a voucher that the backup does not know
                    seen = change(seen, signed_total=max(paid, self.signed_total))
                if not close_at:
                    return seen
                return change(seen, phase=Phase.CLOSING, close_at_unix_s=close_at)
            case Gone():
                return change(self, phase=Phase.CLOSED, gone=event, job_id="")

    def _on_job(
        self, event: JobStarted | SignRequested | JobEnded
    ) -> tuple["Payer", tuple[PayerEffect, ...]]:
        match event:
            case JobEnded(job_id=job_id):
                if job_id != self.job_id:
                    return self, (Refuse(reason=f"job {job_id} is not running"),)
                return msgspec.structs.replace(self, job_id="", provider=""), ()
            case _ if self.phase is not Phase.OPEN:
                return self, (Refuse(reason=f"the channel is {self.phase.value}"),)
            case _ if self.restored:
                return self, (Refuse(reason=RESTORED),)
            case JobStarted(job_id=job_id, provider=provider):
                return self._start(job_id, provider)
            case SignRequested(job_id=job_id, total=total):
                return self._sign(job_id, total)

    def _start(self, job_id: str, provider: str) -> tuple["Payer", tuple[PayerEffect, ...]]:
        if self.job_id or not job_id:
            return self, (Refuse(reason=f"job {self.job_id or '?'} still uses the channel"),)
        if self.locks:
            return self, (Refuse(reason=ROUTED),)
        started = msgspec.structs.replace(
            self,
            job_id=job_id,
            provider=provider,
            job_total_before=self.signed_total,
            previous_total=self.signed_total,
        )
        return started, ()

    def _sign(self, job_id: str, total: NanoTon) -> tuple["Payer", tuple[PayerEffect, ...]]:
        if job_id != self.job_id or not job_id:
            return self, (Refuse(reason=f"job {job_id} does not hold the channel"),)
        if total <= self.signed_total:
            return self, (Refuse(reason=f"total {total} does not grow {self.signed_total}"),)
        if total > self.total_max:
            reason = (
                f"{format_coins(total)} {TICKER} in all exceeds the deposit's "
                f"{format_coins(self.total_max)}; add to it with: cocoon channels top-up"
            )
            return self, (Refuse(reason=reason),)
        signed = msgspec.structs.replace(self, signed_total=total, previous_total=self.signed_total)
        return signed, (SignVoucher(total=total),)

    def _on_lock(
        self, event: LockRequested | LockFolded | LockExpired
    ) -> tuple["Payer", tuple[PayerEffect, ...]]:
        match event:
            case LockRequested(lock=lock, total=total):
                fault = self._lock_fault(lock, total)
                locks = (*self.locks, lock)
            case LockFolded(lock_id=lock_id, total=total):
                fault = self._fold_fault(lock_id, total)
                locks = tuple(each for each in self.locks if lock_id_of(each) != lock_id)
            case LockExpired(lock_id=lock_id, now_unix_s=now_unix_s):
                total = self.signed_total
                dropped = [each for each in self.locks if lock_id_of(each) == lock_id]
                over = [each for each in dropped if each.deadline_unix_s < now_unix_s]
                fault = "" if over else "no such lock is over"
                locks = tuple(each for each in self.locks if each not in over)
        if fault:
            return self, (Refuse(reason=fault),)
        after = msgspec.structs.replace(self, signed_total=total, locks=locks)
        return after, (SignLocked(total=total, locks=locks) if locks else SignVoucher(total=total),)

    def _lock_fault(self, lock: Lock, total: NanoTon) -> str:
        if self.phase is not Phase.OPEN or self.restored or self.job_id:
            return f"the channel is {self.phase.value}, and takes no lock now"
        if len(self.locks) >= LOCKS_OPEN_MAX:
            return f"{LOCKS_OPEN_MAX} locks are open already"
        if lock_id_of(lock) in map(lock_id_of, self.locks):
            return "a lock with this digest or key is open already"
        if total < self.signed_total:
            return f"total {total} shrinks {self.signed_total}"
        if total + locked_nanoton((*self.locks, lock)) > self.total_max:
            return f"total {total} and its locks exceed the deposit's {self.total_max}"
        return ""

    def _fold_fault(self, lock_id: bytes, total: NanoTon) -> str:
        lock = next((each for each in self.locks if lock_id_of(each) == lock_id), None)
        if lock is None:
            return "no such lock is open"
        if not self.signed_total <= total <= self.signed_total + lock.amount_nanoton:
            return f"total {total} is not what a lock over {lock.amount_nanoton} makes of it"
        return ""

    def _on_close(
        self, event: ReleaseAsked | ReleaseReceived | CloseStarted
    ) -> tuple["Payer", tuple[PayerEffect, ...]]:
        no = (Refuse(reason=f"the channel is {self.phase.value}"),)
        match event:
            case ReleaseAsked():
                if self.job_id:
                    return self, (Refuse(reason=f"job {self.job_id} still uses the channel"),)
                if self.phase not in (Phase.OPEN, Phase.RELEASING):
                    return self, no
                if self.locks:
                    return self, (Refuse(reason=ROUTED),)
                after = msgspec.structs.replace(self, phase=Phase.RELEASING)
            case ReleaseReceived(total=total, signature=signature):
                if self.phase is not Phase.RELEASING or total != self.signed_total:
                    return self, (Refuse(reason=f"no release of {total} was asked for"),)
                after = msgspec.structs.replace(self, release=signature)
            case CloseStarted():
                if self.phase not in (Phase.OPEN, Phase.RELEASING):
                    return self, no
                after = msgspec.structs.replace(self, phase=Phase.LEAVING)
        return after, after.pending()
