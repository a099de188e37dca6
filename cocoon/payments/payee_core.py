"""The payee's side of a payment channel, without any I/O; see `cocoon.payments.channel`."""

from typing import TypeAlias

import msgspec

from cocoon.payments.payer_core import LOCKS_OPEN_MAX, RESTORED, ROUTED, Frozen, Refuse
from contracts.locks import Lock, Witness, lock_id, locked_nanoton
from contracts.units import NO_MONEY, NanoTon


class ChannelSeen(Frozen, frozen=True, tag="channel_seen"):
    """What the chain shows of the channel (`lt`: of its newest transaction).

    Attributes:
        now_unix_s: the chain's time, when that was asked (for locks); else 0.
        settled: what locks have been worth on chain, by their id in hexadecimal.
    """

    opened_lt: int
    total_max: NanoTon
    paid_total: NanoTon
    close_at_unix_s: int
    lt: int
    now_unix_s: int = 0
    settled: dict[str, NanoTon] = msgspec.field(default_factory=dict)


class VoucherReceived(Frozen, frozen=True, tag="voucher"):
    """The payer signed a new cumulative total (the signature is checked already).

    Attributes:
        locks: those that the voucher carries; the ones that were open before and are not
            among them are in *total* with what they are worth, or over.
        let_go: ids of locks that we are ready to do without: nothing that we passed on
            hangs on them. None in journals of versions that did not ask.
        now_unix_s: the chain's time, to tell which locks are over; 0 when none is open.
    """

    total: NanoTon
    signature: bytes
    locks: tuple[Lock, ...] = ()
    let_go: tuple[bytes, ...] | None = None
    now_unix_s: int = 0


class WitnessSeen(Frozen, frozen=True, tag="witness"):
    """A lock's witness came; it is checked already. *worth* is what it opens of the lock."""

    lock_id: bytes
    witness: Witness
    worth: NanoTon


class CloseRequested(Frozen, frozen=True, tag="close_requested"):
    """The payer wants to close together at this total.

    `now_unix_s` is the chain's time, to tell which locks are over; 0 when none is open, None
    in journals of versions that did not ask.
    """

    total: NanoTon
    now_unix_s: int | None = None


class Settled(Frozen, frozen=True, tag="settled"):
    """Transactions up to `lt` sent `received` more to us; `gone` with the last of them."""

    received: NanoTon
    lt: int
    gone: bool = False


PayeeEvent: TypeAlias = ChannelSeen | VoucherReceived | WitnessSeen | CloseRequested | Settled


class GrantWork(Frozen, frozen=True):
    """The payer has paid up to *total*: let the job go on."""

    total: NanoTon


class SignRelease(Frozen, frozen=True):
    """Sign and hand over the release."""

    total: NanoTon


class Claim(Frozen, frozen=True):
    """Send the best voucher to the chain.

    Attributes:
        worth: of it all, locks that can be opened included.
        locks, witnesses: with locks it is a locked claim; None for a witness we lack.
    """

    total: NanoTon
    signature: bytes
    worth: NanoTon
    locks: tuple[Lock, ...] = ()
    witnesses: tuple[Witness | None, ...] = ()


PayeeEffect: TypeAlias = Refuse | GrantWork | SignRelease | Claim


class Opening(Frozen, frozen=True):
    """A witness, and what it opens of its lock."""

    witness: Witness
    worth: NanoTon


class Payee(Frozen, frozen=True):
    """What the payee must never forget.

    Invariants: `best_total` only grows, never above what the deposit covered when it
    came; after a release, and while the payer is leaving, no work is granted.

    Attributes:
        total_max: the largest total that the deposit covers.
        paid_total: claimed on chain, as part of `best_total`.
        released_total: of our release; -1 when we never signed one.
        received: net amount that reached our address.
        seen_lt: transactions up to here are counted in `received`.
        restored: from a backup: a release may be forgotten, so no work is granted.
        locks: of the best voucher.
        opened: the witnesses that came, by the lock's id in hexadecimal.
    """

    opened_lt: int = 0
    total_max: NanoTon = NO_MONEY
    paid_total: NanoTon = NO_MONEY
    best_total: NanoTon = NO_MONEY
    best_signature: bytes = b""
    released_total: int = -1
    close_at_unix_s: int = 0
    received: NanoTon = NO_MONEY
    seen_lt: int = 0
    gone: bool = False
    restored: bool = False
    locks: tuple[Lock, ...] = ()
    opened: dict[str, Opening] = msgspec.field(default_factory=dict)

    @property
    def worth(self) -> NanoTon:
        """What the best voucher is worth, with the locks that we can open."""
        return NanoTon(self.best_total + sum(self.worth_of(lock) for lock in self.locks))

    def worth_of(self, lock: Lock) -> NanoTon:
        """Return what we can open of *lock*."""
        opening = self.opened.get(lock_id(lock).hex())
        return NO_MONEY if opening is None else opening.worth

    def witness_of(self, lock: Lock) -> Witness | None:
        """Return the best witness that came for *lock*."""
        opening = self.opened.get(lock_id(lock).hex())
        return None if opening is None else opening.witness

    @property
    def unclaimed(self) -> NanoTon:
        """What vouchers grant and the chain has not paid yet."""
        return NanoTon(0 if self.gone else max(0, self.worth - self.paid_total))

    @property
    def claim_by_unix_s(self) -> int:
        """The first deadline of a lock that we can open; 0 without one."""
        return min((each.deadline_unix_s for each in self.locks if self.worth_of(each)), default=0)

    @property
    def barred(self) -> str:
        """Why no work may be done for this channel any more, or ""."""
        if self.gone:
            return "the channel is gone"
        if self.released_total >= 0:
            return "the channel is released"
        if self.close_at_unix_s:
            return "the channel is closing"
        return RESTORED if self.restored else ""

    def step(self, event: PayeeEvent) -> tuple["Payee", tuple[PayeeEffect, ...]]:
        """Apply *event*."""
        match event:
            case ChannelSeen():
                return self._see(event)
            case VoucherReceived():
                return self._receive(event)
            case WitnessSeen():
                return self._open_lock(event)
            case CloseRequested():
                return self._release(event)
            case Settled(received=received, lt=lt, gone=gone):
                settled = msgspec.structs.replace(
                    self,
                    received=NanoTon(self.received + received),
                    seen_lt=max(lt, self.seen_lt),
                    gone=self.gone or gone,
                )
                return settled, ()

    def claim(self, *, worth: NanoTon) -> tuple[Claim, ...]:
        """Return the claim to send now: at once when closing, else from *worth* on."""
        if not self.unclaimed or not self.best_signature:
            return ()
        if not self.close_at_unix_s and self.unclaimed < worth:
            return ()
        return (
            Claim(
                total=self.best_total,
                signature=self.best_signature,
                worth=self.worth,
                locks=self.locks,
                witnesses=tuple(self.witness_of(lock) for lock in self.locks),
            ),
        )

    def _see(self, event: ChannelSeen) -> tuple["Payee", tuple[PayeeEffect, ...]]:
        if self.opened_lt not in (0, event.opened_lt):
            return self, (Refuse(reason="the channel was opened again"),)
        seen = msgspec.structs.replace(
            self,
            opened_lt=event.opened_lt,
            total_max=event.total_max,
            paid_total=event.paid_total,  # less than before, when a fork took a claim back
            close_at_unix_s=event.close_at_unix_s or self.close_at_unix_s,
            opened=self._still_open(event),
        )
        return seen, (seen.claim(worth=NO_MONEY) if seen.close_at_unix_s else ())

    def _still_open(self, event: ChannelSeen) -> dict[str, Opening]:
        """Return the openings without what was not claimed by its deadline: it is lost."""
        if not event.now_unix_s:
            return self.opened
        over = {
            lock_id(each).hex() for each in self.locks if each.deadline_unix_s < event.now_unix_s
        }
        return {
            key: msgspec.structs.replace(
                opening, worth=min(opening.worth, event.settled.get(key, NO_MONEY))
            )
            if key in over
            else opening
            for key, opening in self.opened.items()
        }

    def _receive(self, event: VoucherReceived) -> tuple["Payee", tuple[PayeeEffect, ...]]:
        if self.gone or self.released_total >= 0:
            return self, (Refuse(reason=self.barred),)
        if fault := self._shrinks(event):
            return self, (Refuse(reason=fault, peer_at_fault=True),)
        if event.let_go is not None and self._drops(event, event.let_go):
            return self, (Refuse(reason="a lock that is still good is missing in the voucher"),)
        if event.total + locked_nanoton(event.locks) > self.total_max:
            reason = f"total {event.total} exceeds the deposit's {self.total_max}"
            return self, (Refuse(reason=reason),)
        kept = {lock_id(lock).hex() for lock in event.locks}
        paid = msgspec.structs.replace(
            self,
            best_total=event.total,
            best_signature=event.signature,
            locks=event.locks,
            opened={key: value for key, value in self.opened.items() if key in kept},
        )
        if self.barred:
            # It pays for work already done, so it is kept and claimed; there is no more work.
            claims = paid.claim(worth=NO_MONEY) if self.close_at_unix_s else ()
            return paid, (Refuse(reason=self.barred), *claims)
        return paid, (GrantWork(total=event.total),)

    def locks_good(self, now_unix_s: int) -> tuple[Lock, ...]:
        """Return the locks that can still become worth more to us."""
        return tuple(
            lock
            for lock in self.locks
            if lock.deadline_unix_s >= now_unix_s and self.worth_of(lock) < lock.amount_nanoton
        )

    def _drops(self, event: VoucherReceived, let_go: tuple[bytes, ...]) -> bool:
        """Tell whether a voucher lacks a lock that we may still need."""
        good = self.locks_good(event.now_unix_s)
        return any(lock not in event.locks and lock_id(lock) not in let_go for lock in good)

    def _shrinks(self, event: VoucherReceived) -> str:
        """Return how a voucher is worth less than the one that we hold, or ""."""
        if event.total <= self.best_total and not (self.locks or event.locks):
            return f"total {event.total} does not grow {self.best_total}"
        gone = [lock for lock in self.locks if lock not in event.locks]
        due = self.best_total + sum(self.worth_of(lock) for lock in gone)
        if event.total < due:
            return f"total {event.total} is less than the {due} that we can claim"
        known = {lock_id(lock): lock for lock in self.locks}
        if any(known.get(lock_id(lock), lock) != lock for lock in event.locks):
            # What was shown for the old one would be taken to open as much of the new one.
            return "a lock that is open was changed"
        if len(event.locks) > LOCKS_OPEN_MAX:
            return f"{len(event.locks)} locks, at most {LOCKS_OPEN_MAX}"
        return ""

    def _open_lock(self, event: WitnessSeen) -> tuple["Payee", tuple[PayeeEffect, ...]]:
        lock = next((each for each in self.locks if lock_id(each) == event.lock_id), None)
        if lock is None or self.gone:
            return self, (Refuse(reason="no such lock is open"),)
        worth = min(event.worth, lock.amount_nanoton)
        if worth <= self.worth_of(lock):
            reason = f"{worth} does not grow what was paid through the lock"
            return self, (Refuse(reason=reason, peer_at_fault=True),)
        opening = Opening(witness=event.witness, worth=worth)
        opened = self.opened | {event.lock_id.hex(): opening}
        after = msgspec.structs.replace(self, opened=opened)
        if self.barred:
            return after, (Refuse(reason=self.barred), *after.claim(worth=NO_MONEY))
        return after, (GrantWork(total=worth),)

    def _release(self, event: CloseRequested) -> tuple["Payee", tuple[PayeeEffect, ...]]:
        total = event.total
        if self.released_total == total:
            return self, (SignRelease(total=total),)  # asked again: the same answer
        if self.barred and self.barred != RESTORED:
            return self, (Refuse(reason=self.barred),)
        if total < self.worth:
            reason = f"{total} is less than the voucher of {self.worth} that we hold"
            return self, (Refuse(reason=reason, peer_at_fault=True),)
        if event.now_unix_s is not None and self.locks_good(event.now_unix_s):
            # What we passed on for them can still be claimed from us.
            return self, (Refuse(reason=ROUTED),)
        return msgspec.structs.replace(self, released_total=total), (SignRelease(total=total),)
