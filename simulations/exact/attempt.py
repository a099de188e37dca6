"""What a job at the requester remembers of the providers that it talks to and works with."""

import hashlib

from cocoon.messages import Finish, JobEnd, Offer, Signed, Statement
from cocoon.receipts import JobView
from cocoon.requester.meter import MeterWatch
from contracts.units import NanoTon
from simulations.exact.events import Timer
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
        self.accepted = False
        self.end_message: JobEnd | None = None
        self.tokens = 0
        self.over = False
        self.last_total = NanoTon(0)
