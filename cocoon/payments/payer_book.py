"""What the payer's journal says: its channels and its interrupted jobs (no I/O)."""

from collections.abc import Iterable, Iterator
from typing import Final, TypeAlias

import msgspec

from cocoon.payments.channel import JobEnded, Payer, PayerEvent, Phase
from contracts.channel import ChannelParams
from contracts.units import NO_MONEY, NanoTon
from contracts.wallet import SignedTransfer

CLOSED_KEPT: Final = 200
"""Closed channels that the list still shows after the journal was compacted."""


class _Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base that fixes the options."""


class Channel(_Record, frozen=True, tag="channel"):
    """All about one channel; also the snapshot that compaction writes.

    Attributes:
        address: of the contract, raw form.
        seed: the payer key of this channel only. Secret: the journal is for its owner's eyes.
        transfer: the wallet's message that funds it, until its fate is known.
        top_up: what that message adds to an open channel; 0 for the opening.
    """

    address: str
    params: ChannelParams
    seed: bytes
    deposit: NanoTon
    state: Payer = Payer()
    transfer: SignedTransfer | None = None
    top_up: NanoTon = NO_MONEY


class FundingSigned(_Record, frozen=True, tag="funding"):
    """A transfer to the channel is about to leave the wallet; `top_up` is 0 for the opening."""

    address: str
    transfer: SignedTransfer
    top_up: NanoTon = NO_MONEY


class FundingSettled(_Record, frozen=True, tag="funded"):
    """The fate of the transfer is known (its effect is in an event)."""

    address: str


class Happened(_Record, frozen=True, tag="event"):
    """One event of a channel's core."""

    address: str
    event: PayerEvent


class InterruptedJob(_Record, frozen=True, tag="interrupted"):
    """A job that was running when the process ended.

    Attributes:
        paid_nanoton: signed for it in all.
        at_risk_nanoton: the part of it that was signed last: perhaps not delivered.
    """

    job_id: str
    provider: str
    channel: str
    paid_nanoton: NanoTon
    at_risk_nanoton: NanoTon


class Acknowledged(_Record, frozen=True, tag="acknowledged"):
    """The owner knows of the interrupted job."""

    job_id: str


PayerRecord: TypeAlias = (
    Channel | FundingSigned | FundingSettled | Happened | InterruptedJob | Acknowledged
)


class PayerBook:
    """The replay of the payer's journal.

    Attributes:
        channels: by address, newest last.
        interrupted: by job id.
    """

    def __init__(self, records: Iterable[PayerRecord] = ()) -> None:
        self.channels: dict[str, Channel] = {}
        self.interrupted: dict[str, InterruptedJob] = {}
        for record in records:
            self.apply(record)

    def apply(self, record: PayerRecord) -> None:
        """Take in one record; what names an unknown channel is ignored."""
        match record:
            case Channel():
                self.channels[record.address] = record
            case InterruptedJob():
                self.interrupted[record.job_id] = record
            case Acknowledged(job_id=job_id):
                self.interrupted.pop(job_id, None)
            case FundingSigned() | FundingSettled() | Happened() if record.address in self.channels:
                self.channels[record.address] = _applied(self.channels[record.address], record)
            case _:
                pass

    def interruptions(self) -> Iterator[PayerRecord]:
        """Yield what to write at start: running jobs are over, and their owner must be told."""
        for channel in self.channels.values():
            state = channel.state
            if not state.job_id:
                continue
            yield InterruptedJob(
                job_id=state.job_id,
                provider=state.provider,
                channel=channel.address,
                paid_nanoton=NanoTon(state.signed_total - state.job_total_before),
                at_risk_nanoton=state.at_risk,
            )
            yield Happened(address=channel.address, event=JobEnded(job_id=state.job_id))

    def snapshot(self) -> Iterator[PayerRecord]:
        """Yield the fewest records that replay to the same book.

        Lapsed channels are dropped, and of the closed ones all but the newest.
        """
        phases = {each.address: each.state.phase for each in self.channels.values()}
        closed = [address for address, phase in phases.items() if phase is Phase.CLOSED]
        dropped = {*closed[:-CLOSED_KEPT]}
        for address, channel in self.channels.items():
            if phases[address] is not Phase.LAPSED and address not in dropped:
                yield channel
        yield from self.interrupted.values()


def _applied(channel: Channel, record: FundingSigned | FundingSettled | Happened) -> Channel:
    change = msgspec.structs.replace
    match record:
        case FundingSigned(transfer=transfer, top_up=top_up):
            return change(channel, transfer=transfer, top_up=top_up)
        case FundingSettled():
            return change(channel, transfer=None, top_up=NO_MONEY)
        case Happened(event=event):
            return change(channel, state=channel.state.step(event)[0])
