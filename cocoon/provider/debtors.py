"""Who left without paying, or took a slot for nothing: remembered, so that it is no habit. Pure.

Peer ids are free, so a peer alone says little: what is remembered is held against the
channel's payer key, too, for a channel costs its opening.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from cocoon.messages import PriceSchedule
from cocoon.provider.lease import Lease
from contracts.units import NO_MONEY, TICKER, NanoTon, format_coins

FORGIVEN_AFTER_S: Final = 600.0
OWNERS_MAX: Final = 4096
WASTED_MAX: Final = 2
"""So often somebody may take a slot for nothing: networks fail, and people change their minds."""


@dataclass(frozen=True, slots=True)
class _Record:
    owed: NanoTon = NO_MONEY
    wasted: int = 0
    until_unix_s: float = 0.0


class Debtors:
    """Peers and payer keys that owe us for a job, or waste slots: at most `OWNERS_MAX`.

    The oldest are forgotten first. What is owed is at most the prompt and one chunk for
    each job; the memory is not meant to collect it, only to make a habit of it slow.
    """

    def __init__(self, *, forgiven_after_s: float = FORGIVEN_AFTER_S) -> None:
        self._forgiven_after_s = forgiven_after_s
        self._records: OrderedDict[str, _Record] = OrderedDict()

    def __len__(self) -> int:
        return len(self._records)

    def add(self, owner: str, amount: NanoTon, now_unix_s: float) -> None:
        """A job of *owner*, a peer or a payer key, ended with *amount* unpaid."""
        if amount > 0:
            self._remember(owner, amount, 0, now_unix_s)

    def wasted(self, owner: str, now_unix_s: float) -> None:
        """*owner* took a slot, and brought no input, or left before anything was due."""
        self._remember(owner, NO_MONEY, 1, now_unix_s)

    def paid(self, owner: str, now_unix_s: float) -> None:
        """A job of *owner* was paid: the slots that it wasted before are made good."""
        record = self._record(owner, now_unix_s)
        if record.wasted and not record.owed:
            del self._records[owner]

    def job_over(self, owner: str, lease: Lease, now_unix_s: float) -> None:
        """A job of *owner* has run: remember how it was paid, or that nothing came of it."""
        if not lease.settled:
            self.add(owner, lease.at_risk_nanoton, now_unix_s)
        elif lease.cost_nanoton:
            self.paid(owner, now_unix_s)
        elif lease.schedule != PriceSchedule():
            self.wasted(owner, now_unix_s)

    def owed_by(self, owner: str, now_unix_s: float) -> NanoTon:
        """Return what *owner* owes; nothing once it is forgiven."""
        return self._record(owner, now_unix_s).owed

    def has_wasted(self, owner: str, now_unix_s: float) -> bool:
        """Return whether *owner* took a slot for nothing lately: no slot waits for it."""
        return self._record(owner, now_unix_s).wasted > 0

    def objection(self, owner: str, now_unix_s: float) -> str:
        """Return why *owner* is not served now, in words, or ""."""
        record = self._record(owner, now_unix_s)
        if record.owed:
            why = f"{format_coins(record.owed)} {TICKER} of an earlier job was not paid"
        elif record.wasted > WASTED_MAX:
            why = f"{record.wasted} slots were taken, and nothing came of them"
        else:
            return ""
        return f"{why}; ask again in {max(1, round(record.until_unix_s - now_unix_s))} s"

    def _remember(self, owner: str, amount: NanoTon, wasted: int, now_unix_s: float) -> None:
        before = self._record(owner, now_unix_s)
        self._records.pop(owner, None)
        self._records[owner] = _Record(
            NanoTon(before.owed + amount),
            before.wasted + wasted,
            now_unix_s + self._forgiven_after_s,
        )
        while len(self._records) > OWNERS_MAX:
            self._records.popitem(last=False)

    def _record(self, owner: str, now_unix_s: float) -> _Record:
        record = self._records.get(owner, _Record())
        if record.until_unix_s <= now_unix_s:
            self._records.pop(owner, None)
            return _Record()
        return record
