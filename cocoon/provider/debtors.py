"""Who left without paying: remembered for a while, so that it is not repeated at once. Pure."""

from collections import OrderedDict
from typing import Final

from contracts.units import NO_MONEY, TICKER, NanoTon, format_coins

FORGIVEN_AFTER_S: Final = 600.0
PEERS_MAX: Final = 4096


class Debtors:
    """Peers that owe us for a job: at most `PEERS_MAX`, the oldest are forgotten first.

    What is owed is at most the prompt and one chunk for each job; the memory is not
    meant to collect it, only to make a habit of it slow.
    """

    def __init__(self, *, forgiven_after_s: float = FORGIVEN_AFTER_S) -> None:
        self._forgiven_after_s = forgiven_after_s
        self._debts: OrderedDict[str, tuple[NanoTon, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._debts)

    def add(self, peer: str, amount: NanoTon, now_unix_s: float) -> None:
        """A job of *peer* ended with *amount* unpaid."""
        if amount <= 0:
            return
        owed = NanoTon(self.owed_by(peer, now_unix_s) + amount)
        self._debts.pop(peer, None)
        self._debts[peer] = owed, now_unix_s + self._forgiven_after_s
        while len(self._debts) > PEERS_MAX:
            self._debts.popitem(last=False)

    def owed_by(self, peer: str, now_unix_s: float) -> NanoTon:
        """Return what *peer* owes; nothing once it is forgiven."""
        amount, until_unix_s = self._debts.get(peer, (NO_MONEY, 0.0))
        if until_unix_s <= now_unix_s:
            self._debts.pop(peer, None)
            return NO_MONEY
        return amount

    def objection(self, peer: str, now_unix_s: float) -> str:
        """Return why *peer* is not served now, in words, or ""."""
        owed = self.owed_by(peer, now_unix_s)
        if not owed:
            return ""
        left_s = max(1, round(self._debts[peer][1] - now_unix_s))
        return (
            f"{format_coins(owed)} {TICKER} of an earlier job was not paid; ask again in {left_s} s"
        )
