"""What the payee's journal says: the vouchers it holds and what it has earned (no I/O)."""

from collections.abc import Iterable, Iterator
from typing import TypeAlias

import msgspec

from cocoon.payments.channel import Payee, PayeeEvent
from contracts.units import NO_MONEY, NanoTon


class _Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base that fixes the options."""


class Held(_Record, frozen=True, tag="held"):
    """A channel that something was promised on; also the snapshot that compaction writes."""

    address: str
    payer_key: bytes
    payer_address: str
    state: Payee = Payee()


class Happened(_Record, frozen=True, tag="event"):
    """One event of a channel's core."""

    address: str
    event: PayeeEvent


class Archived(_Record, frozen=True, tag="archived"):
    """The sum of channels that are gone and forgotten."""

    received: NanoTon
    channels: int


class Restored(_Record, frozen=True, tag="restored"):
    """The journal was filled from a backup: what happened to older channels is uncertain."""

    at_unix_s: int


PayeeRecord: TypeAlias = Held | Happened | Archived | Restored


class Earnings(msgspec.Struct, frozen=True, kw_only=True):
    """What the journal proves.

    Attributes:
        settled: net amount that reached our address on chain.
        unclaimed: what vouchers grant beyond what the chain has paid.
        channels: with something unclaimed.
    """

    settled: NanoTon
    unclaimed: NanoTon
    channels: int


class PayeeBook:
    """The replay of the payee's journal.

    Attributes:
        channels: by address.
        restored_at_unix_s: when it was last filled from a backup; 0 for never.
    """

    def __init__(self, records: Iterable[PayeeRecord] = ()) -> None:
        self.channels: dict[str, Held] = {}
        self._archived = Archived(received=NO_MONEY, channels=0)
        self.restored_at_unix_s = 0
        for record in records:
            self.apply(record)

    def apply(self, record: PayeeRecord) -> None:
        """Take in one record; what names an unknown channel is ignored."""
        match record:
            case Held():
                self.channels[record.address] = record
            case Archived():
                self._archived = record
            case Restored(at_unix_s=at_unix_s):
                self.restored_at_unix_s = at_unix_s
            case Happened(address=address, event=event) if address in self.channels:
                held = self.channels[address]
                state = held.state.step(event)[0]
                self.channels[address] = msgspec.structs.replace(held, state=state)
            case _:
                pass

    def earnings(self) -> Earnings:
        """Add up."""
        states = [held.state for held in self.channels.values()]
        settled = sum(state.received for state in states) + self._archived.received
        unclaimed = [state.unclaimed for state in states if state.unclaimed]
        return Earnings(
            settled=NanoTon(settled), unclaimed=NanoTon(sum(unclaimed)), channels=len(unclaimed)
        )

    def snapshot(self) -> Iterator[PayeeRecord]:
        """Yield the fewest records that replay to the same live channels and earnings."""
        gone = [held.state for held in self.channels.values() if held.state.gone]
        yield Archived(
            received=NanoTon(self._archived.received + sum(state.received for state in gone)),
            channels=self._archived.channels + len(gone),
        )
        if self.restored_at_unix_s:
            yield Restored(at_unix_s=self.restored_at_unix_s)
        yield from (held for held in self.channels.values() if not held.state.gone)
