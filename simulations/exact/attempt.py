"""What a job at the requester remembers of the providers that it talks to and works with."""

import hashlib

from cocoon.messages import (
    Finish,
    JobEnd,
    Kind,
    Offer,
    PaymentRef,
    Signed,
    Statement,
    Tier,
    message_hash,
)
from cocoon.receipts import JobView
from cocoon.requester.meter import MeterWatch
from contracts.units import NanoTon
from simulations.exact.events import Timer
from simulations.exact.seller import ENGINE_ID, MODEL_ID
from simulations.exact.wire import End


class Talk:
    """The stream to one provider that was asked."""

    def __init__(self, end: End) -> None:
        self.end = end
        self.timer: Timer | None = None
        self.signed: Signed | None = None
        self.offer: Offer | None = None
        self.statement: Statement | None = None


class Attempt:
    """The job at one provider, from its acceptance on."""

    def __init__(self, number: int, peer: str, talk: Talk) -> None:
        self.number, self.peer, self.talk = number, peer, talk
        self.channel = ""
        self.part_id = ""
        self.base = NanoTon(0)
        self.watch: MeterWatch | None = None
        self.view: JobView | None = None
        self.response = hashlib.sha256()
        self.finish: Finish | None = None
        self.asked_hold = False
        self.accepted = False
        self.accepted_unix_s = 0
        self.end_message: JobEnd | None = None
        self.tokens = 0
        self.over = False
        self.last_total = NanoTon(0)

    @property
    def offer(self) -> Offer:
        """The offer that was chosen."""
        offer = self.talk.offer
        assert offer is not None  # noqa: S101  (only an offer is chosen)
        return offer

    @property
    def offer_hash(self) -> bytes:
        """What accepts and holds name."""
        signed = self.talk.signed
        assert signed is not None  # noqa: S101  (only an offer is chosen)
        return message_hash(signed.body)


def view_of(
    attempt: Attempt, requester: str, transcript: bytes, segment: bytes, payment: PaymentRef
) -> JobView:
    """Return what the requester knows of a job that it just accepted, to check the receipt by."""
    assert attempt.watch is not None  # noqa: S101  (made just before)
    offer = attempt.offer
    return JobView(
        transcript_hash=transcript,
        provider=attempt.peer,
        requester=requester,
        kind=Kind.CHAT,
        model_id=MODEL_ID,
        engine_id=ENGINE_ID,
        request_hash=hashlib.sha256(segment).digest(),
        response_hash=bytes(32),
        tier=Tier.OPEN,
        evidence_id=offer.evidence_id,
        schedule=offer.schedule,
        meter=attempt.watch.seen,
        payment=payment,
    )
