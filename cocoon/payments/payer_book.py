"""What the payer's journal says: its channels and its interrupted jobs (no I/O)."""

from collections.abc import Iterable, Iterator
from typing import Final, TypeAlias

import msgspec

from cocoon.messages import PaymentRef
from cocoon.payments.channel import JobEnded, Payer, PayerEvent, Phase
from contracts.channel import ChannelParams
from contracts.locks import KeyLock
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


class Route(_Record, frozen=True, tag="route"):
    """A virtual channel of ours through a hub; see `cocoon.payments.hub`.

    Attributes:
        key_seed: of the ephemeral key that pays through it. Secret.
        hub, provider: peer ids.
        upstream: the address of our channel to the hub.
        lock: in that channel's vouchers.
        payment: the hub's channel to the provider, as jobs name it; None until it is ready.
        deadline_unix_s: of the provider's lock; 0 until it is ready.
        paid: signed for the provider so far.
        previous: before the newest payment of the running job.
        job_id: the running job, or "".
        job_before: `paid` when the running job started.
    """

    key_seed: bytes
    hub: str
    provider: str
    upstream: str
    lock: KeyLock
    payment: PaymentRef | None = None
    deadline_unix_s: int = 0
    paid: NanoTon = NO_MONEY
    previous: NanoTon = NO_MONEY
    job_id: str = ""
    job_before: NanoTon = NO_MONEY


class RouteBecameReady(_Record, frozen=True, tag="route_ready"):
    """The provider holds its lock."""

    key: bytes
    payment: PaymentRef
    deadline_unix_s: int


class RoutePaid(_Record, frozen=True, tag="route_paid"):
    """A payment of the route's key is about to leave, over this cumulative amount."""

    key: bytes
    amount: NanoTon


class RouteJob(_Record, frozen=True, tag="route_job"):
    """A job starts to pay through the route; with "" it is over."""

    key: bytes
    job_id: str


class RouteEnded(_Record, frozen=True, tag="route_ended"):
    """The route's lock is folded into a voucher, or over."""

    key: bytes


class Forward(_Record, frozen=True, tag="forward"):
    """A route that we, as a hub, carry.

    Attributes:
        key: the id of both its locks.
        requester, provider: peer ids.
        upstream, downstream: addresses of the two channels.
        upstream_lock, lock: of the requester's voucher to us, and of ours to the provider.
        opened_lt: the downstream channel's transactions before this cannot pay the lock.
        settled: the provider took our voucher in its place: it will not claim, if honest.
    """

    key: bytes
    requester: str
    provider: str
    upstream: str
    upstream_lock: KeyLock
    downstream: str
    lock: KeyLock
    settled: bool = False


class ForwardSettled(_Record, frozen=True, tag="forward_settled"):
    """The provider has taken a voucher in place of the lock."""

    key: bytes


class ForwardEnded(_Record, frozen=True, tag="forward_ended"):
    """Nothing of the route is open on either side."""

    key: bytes


RouteRecord: TypeAlias = RouteBecameReady | RoutePaid | RouteJob
PayerRecord: TypeAlias = (
    Channel
    | FundingSigned
    | FundingSettled
    | Happened
    | InterruptedJob
    | Acknowledged
    | Route
    | RouteRecord
    | RouteEnded
    | Forward
    | ForwardSettled
    | ForwardEnded
)


class PayerBook:
    """The replay of the payer's journal.

    Attributes:
        channels: by address, newest last.
        interrupted: by job id.
        routes, forwards: open ones, by their key.
    """

    def __init__(self, records: Iterable[PayerRecord] = ()) -> None:
        self.channels: dict[str, Channel] = {}
        self.interrupted: dict[str, InterruptedJob] = {}
        self.routes: dict[bytes, Route] = {}
        self.forwards: dict[bytes, Forward] = {}
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
                self._apply_to_route(record)

    def _apply_to_route(self, record: PayerRecord) -> None:
        change = msgspec.structs.replace
        match record:
            case Route():
                self.routes[record.lock.key] = record
            case Forward():
                self.forwards[record.key] = record
            case RouteBecameReady() | RoutePaid() | RouteJob() if record.key in self.routes:
                self.routes[record.key] = _routed(self.routes[record.key], record)
            case RouteEnded(key=key):
                self.routes.pop(key, None)
            case ForwardSettled(key=key) if key in self.forwards:
                self.forwards[key] = change(self.forwards[key], settled=True)
            case ForwardEnded(key=key):
                self.forwards.pop(key, None)
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
        for key, route in self.routes.items():
            if not route.job_id:
                continue
            yield InterruptedJob(
                job_id=route.job_id,
                provider=route.provider,
                channel=route.upstream,
                paid_nanoton=NanoTon(route.paid - route.job_before),
                at_risk_nanoton=NanoTon(route.paid - route.previous),
            )
            yield RouteJob(key=key, job_id="")

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
        yield from self.routes.values()
        yield from self.forwards.values()


def _routed(route: Route, record: RouteRecord) -> Route:
    change = msgspec.structs.replace
    match record:
        case RouteBecameReady(payment=payment, deadline_unix_s=deadline_unix_s):
            return change(route, payment=payment, deadline_unix_s=deadline_unix_s)
        case RoutePaid(amount=amount):
            return change(route, paid=amount, previous=route.paid)
        case RouteJob(job_id=job_id):
            return change(route, job_id=job_id, job_before=route.paid, previous=route.paid)


def _applied(channel: Channel, record: FundingSigned | FundingSettled | Happened) -> Channel:
    change = msgspec.structs.replace
    match record:
        case FundingSigned(transfer=transfer, top_up=top_up):
            return change(channel, transfer=transfer, top_up=top_up)
        case FundingSettled():
            return change(channel, transfer=None, top_up=NO_MONEY)
        case Happened(event=event):
            return change(channel, state=channel.state.step(event)[0])
