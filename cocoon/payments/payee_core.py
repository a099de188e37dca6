"""The payee's side of a payment channel, without any I/O; see `cocoon.payments.channel`."""

from typing import TypeAlias

import msgspec

from cocoon.payments.payer_core import RESTORED, Frozen, Refuse
from contracts.units import NO_MONEY, NanoTon


class ChannelSeen(Frozen, frozen=True, tag="channel_seen"):
    """What the chain shows of the channel (`lt`: of its newest transaction)."""

    opened_lt: int
    total_max: NanoTon
    paid_total: NanoTon
    close_at_unix_s: int
    lt: int


class VoucherReceived(Frozen, frozen=True, tag="voucher"):
    """The payer signed a new cumulative total (the signature is checked already)."""

    total: NanoTon
    signature: bytes


class CloseRequested(Frozen, frozen=True, tag="close_requested"):
    """The payer wants to close together at this total."""

    total: NanoTon


class Settled(Frozen, frozen=True, tag="settled"):
    """Transactions up to `lt` sent `received` more to us; `gone` with the last of them."""

    received: NanoTon
    lt: int
    gone: bool = False


PayeeEvent: TypeAlias = ChannelSeen | VoucherReceived | CloseRequested | Settled


class GrantWork(Frozen, frozen=True):
    """The payer has paid up to *total*: let the job go on."""

    total: NanoTon


class SignRelease(Frozen, frozen=True):
    """Sign and hand over the release."""

    total: NanoTon


class Claim(Frozen, frozen=True):
    """Send the best voucher to the chain."""

    total: NanoTon
    signature: bytes


PayeeEffect: TypeAlias = Refuse | GrantWork | SignRelease | Claim


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

    @property
    def unclaimed(self) -> NanoTon:
        """What vouchers grant and the chain has not paid yet."""
        return NanoTon(0 if self.gone else max(0, self.best_total - self.paid_total))

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
            case VoucherReceived(total=total, signature=signature):
                return self._receive(total, signature)
            case CloseRequested(total=total):
                return self._release(total)
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
        return (Claim(total=self.best_total, signature=self.best_signature),)

    def _see(self, event: ChannelSeen) -> tuple["Payee", tuple[PayeeEffect, ...]]:
        if self.opened_lt not in (0, event.opened_lt):
            return self, (Refuse(reason="the channel was opened again"),)
        seen = msgspec.structs.replace(
            self,
            opened_lt=event.opened_lt,
            total_max=event.total_max,
            paid_total=event.paid_total,  # less than before, when a fork took a claim back
            close_at_unix_s=event.close_at_unix_s or self.close_at_unix_s,
        )
        return seen, (seen.claim(worth=NO_MONEY) if seen.close_at_unix_s else ())

    def _receive(self, total: NanoTon, signature: bytes) -> tuple["Payee", tuple[PayeeEffect, ...]]:
        if self.gone or self.released_total >= 0:
            return self, (Refuse(reason=self.barred),)
        if total <= self.best_total:
            reason = f"total {total} does not grow {self.best_total}"
            return self, (Refuse(reason=reason, peer_at_fault=True),)
        if total > self.total_max:
            return self, (Refuse(reason=f"total {total} exceeds the deposit's {self.total_max}"),)
        paid = msgspec.structs.replace(self, best_total=total, best_signature=signature)
        if self.barred:
            # It pays for work already done, so it is kept and claimed; there is no more work.
            claims = paid.claim(worth=NO_MONEY) if self.close_at_unix_s else ()
            return paid, (Refuse(reason=self.barred), *claims)
        return paid, (GrantWork(total=total),)

    def _release(self, total: NanoTon) -> tuple["Payee", tuple[PayeeEffect, ...]]:
        if self.released_total == total:
            return self, (SignRelease(total=total),)  # asked again: the same answer
        if self.barred and self.barred != RESTORED:
            return self, (Refuse(reason=self.barred),)
        if total < self.best_total:
            reason = f"{total} is less than the voucher of {self.best_total} that we hold"
            return self, (Refuse(reason=reason, peer_at_fault=True),)
        return msgspec.structs.replace(self, released_total=total), (SignRelease(total=total),)
