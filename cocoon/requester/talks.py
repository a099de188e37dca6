"""Drives one negotiation: a stream to each provider on the shortlist, the core decides."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import trio

from cocoon.clock import Clock
from cocoon.directory import Directory
from cocoon.errors import CocoonError, PeerMisbehaved, Refused
from cocoon.market.negotiate import (
    Choose,
    Effect,
    Event,
    GiveUp,
    Negotiation,
    OfferReceived,
    PeerFailed,
    RefusalReceived,
    SendCounter,
    SendDecline,
    SendRequest,
    TimePassed,
)
from cocoon.messages import (
    JOB_PROTOCOL,
    CounterOffer,
    Decline,
    Hash,
    Hold,
    LossReason,
    Offer,
    Refusal,
    RefusalCode,
    Signed,
    SignedOffer,
    SlotHeld,
    Statement,
    decode_from_provider,
    encode,
    message_hash,
)
from cocoon.nursery import open_private_nursery
from cocoon.signing import open_signed
from overlay.errors import OverlayError, PeerUnavailable, RemoteProtocolError
from overlay.ids import PeerId
from overlay.transfer.line import Line
from overlay.transport import Host, Stream

logger = logging.getLogger(__name__)

OPEN_TIMEOUT_S: Final = 6.0
ANSWER_TIMEOUT_S: Final = 15.0
DECLINE_TIMEOUT_S: Final = 3.0
HANG_UP_S: Final = 2.0
OFFER_BYTES_MAX: Final = 8192
EVENTS_MAX: Final = 256


@dataclass(frozen=True, slots=True)
class Agreed:
    """The winner: its offer as received, and what is still open to it."""

    peer: str
    offer: Offer
    signed_offer: Signed
    statement: Statement
    signed_statement: Signed
    line: Line


async def hang_up(stream: Stream) -> None:
    """Close a stream, even when cancelled."""
    with trio.CancelScope(shield=True, deadline=trio.current_time() + HANG_UP_S):
        await stream.aclose()


async def hold_slot(agreed: Agreed) -> bool:
    """Ask the winner to keep its slot while we open a channel; tell whether it does.

    Raises:
        Refused: its last slot is gone, or the offer is.
        PeerMisbehaved, RemoteProtocolError: that was no answer.
        PeerUnavailable: no answer came.
    """
    offer_hash = message_hash(agreed.signed_offer.body)
    with trio.move_on_after(ANSWER_TIMEOUT_S):
        await agreed.line.send(encode(Hold(offer_hash=offer_hash)))
        answer = decode_from_provider(await agreed.line.receive())
        while isinstance(answer, SignedOffer):  # to a counter-offer that we stopped waiting for
            answer = decode_from_provider(await agreed.line.receive())
        if isinstance(answer, Refusal) and answer.code is not RefusalCode.POLICY:
            raise Refused(answer.code.value, answer.detail)
        if not isinstance(answer, Refusal | SlotHeld):
            raise PeerMisbehaved(f"answered a hold with {type(answer).__name__}")
        return isinstance(answer, SlotHeld)
    raise PeerUnavailable("no answer to a hold in time")


@dataclass(slots=True)
class Talks:
    """One negotiation on the wire. `run` it once."""

    host: Host
    directory: Directory
    network: str
    core: Negotiation
    request_bytes: bytes
    clock: Clock
    objection: Callable[[Offer], str]
    """Says why we cannot take an offer, apart from its price; empty when we can."""
    background: trio.Nursery
    """Where polite refusals to losers go on after the winner is known."""
    _streams: dict[str, Stream] = field(default_factory=dict)
    _offers: dict[Hash, tuple[Signed, Statement, Signed]] = field(default_factory=dict)
    """By offer, not by peer: the answer to a counter-offer may come just after the choice."""

    async def run(self) -> Agreed | None:
        """Negotiate; return the winner, or None (see `core.losses`).

        Cancelling hangs up on everybody.
        """
        try:
            return await self._run()
        except BaseException:
            await self._hang_up()
            raise

    async def _hang_up(self) -> None:
        """Reset every stream, whatever state a cancellation left it in."""
        with trio.CancelScope(shield=True, deadline=trio.current_time() + HANG_UP_S):
            while self._streams:
                _, stream = self._streams.popitem()
                await stream.reset()

    async def _run(self) -> Agreed | None:
        send, receive = trio.open_memory_channel[Event](EVENTS_MAX)
        choice: Choose | None = None
        async with open_private_nursery() as nursery:
            self._perform(self.core.start(), nursery, send)
            while not self.core.done:
                event = await self._next_event(receive)
                effects = self.core.handle(
                    event, now_s=trio.current_time(), now_unix_s=int(self.clock())
                )
                choice = self._perform(effects, nursery, send) or choice
            nursery.cancel_scope.cancel()
        return self._agreed(choice)

    async def _next_event(self, receive: trio.MemoryReceiveChannel[Event]) -> Event:
        wake_at_s = self.core.wake_at_s
        with trio.move_on_at(trio.current_time() + 1 if wake_at_s is None else wake_at_s):
            return await receive.receive()
        return TimePassed()

    def _perform(
        self, effects: list[Effect], nursery: trio.Nursery, send: trio.MemorySendChannel[Event]
    ) -> Choose | None:
        choice = None
        for effect in effects:
            match effect:
                case SendRequest(peer):
                    nursery.start_soon(self._ask, peer, send)
                case SendCounter(peer, counter):
                    nursery.start_soon(self._counter, peer, counter, send)
                case SendDecline(peer, reason, detail):
                    self._decline(peer, reason, detail)
                case Choose():
                    choice = effect
                case GiveUp():
                    pass
        return choice

    def _agreed(self, choice: Choose | None) -> Agreed | None:
        for peer in [*self._streams]:
            if choice is None or peer != choice.peer:
                self._decline(peer, LossReason.NOT_DRAWN, "the negotiation ended")
        if choice is None:
            return None
        signed_offer, statement, signed_statement = self._offers[choice.offer_hash]
        return Agreed(
            choice.peer,
            choice.offer,
            signed_offer,
            statement,
            signed_statement,
            Line(self._streams[choice.peer]),
        )

    # --- one peer ---

    async def _ask(self, peer: str, send: trio.MemorySendChannel[Event]) -> None:
        event: Event
        try:
            with trio.fail_after(OPEN_TIMEOUT_S):
                stream = await self.host.open_stream(PeerId(peer), JOB_PROTOCOL)
            self._streams[peer] = stream
            with trio.fail_after(ANSWER_TIMEOUT_S):
                await stream.send(self.request_bytes)
                event = await self._answer(peer, stream)
        except (OverlayError, CocoonError, trio.TooSlowError) as error:
            event = self._failure(peer, error)
        await send.send(event)

    async def _counter(
        self, peer: str, counter: CounterOffer, send: trio.MemorySendChannel[Event]
    ) -> None:
        event: Event
        try:
            with trio.fail_after(ANSWER_TIMEOUT_S):
                await self._streams[peer].send(encode(counter))
                event = await self._answer(peer, self._streams[peer])
        except (OverlayError, CocoonError, trio.TooSlowError) as error:
            event = self._failure(peer, error)
        await send.send(event)

    async def _answer(self, peer: str, stream: Stream) -> Event:
        answer = decode_from_provider(await stream.receive())
        if isinstance(answer, Refusal):
            return RefusalReceived(peer, answer)
        if not isinstance(answer, SignedOffer):
            raise PeerMisbehaved(f"answered a request with {type(answer).__name__}")
        offer = open_signed(
            answer.offer,
            Offer,
            network=self.network,
            signer=peer,
            size_bytes_max=OFFER_BYTES_MAX,
        )
        if objection := self.objection(offer):
            self._decline(peer, LossReason.OVER_CEILING, objection)
            return PeerFailed(peer, LossReason.OVER_CEILING, objection)
        statement, signed = await self.directory.statement(PeerId(peer), offer.statement_id)
        offer_hash = message_hash(answer.offer.body)
        self._offers[offer_hash] = (answer.offer, statement, signed)
        return OfferReceived(peer, offer, offer_hash, statement)

    def _failure(self, peer: str, error: Exception) -> PeerFailed:
        reason, detail = _why(error)
        self._decline(peer, reason, detail)
        return PeerFailed(peer, reason, detail)

    def _decline(self, peer: str, reason: LossReason, detail: str) -> None:
        stream = self._streams.pop(peer, None)
        if stream is not None:
            self.background.start_soon(partial(_say_no, stream, reason, detail))


async def _say_no(stream: Stream, reason: LossReason, detail: str) -> None:
    """Tell a provider why it lost, and hang up."""
    with trio.move_on_after(DECLINE_TIMEOUT_S):
        try:
            await stream.send(encode(Decline(reason=reason, detail=detail[:512])))
        except OverlayError as error:
            logger.debug("a decline was not heard: %s", error)
    with trio.CancelScope(shield=True, deadline=trio.current_time() + DECLINE_TIMEOUT_S):
        await stream.aclose()


def _why(error: Exception) -> tuple[LossReason, str]:
    if isinstance(error, trio.TooSlowError):
        return LossReason.TOO_SLOW_TO_ANSWER, "no answer in time"
    if isinstance(error, PeerMisbehaved | RemoteProtocolError):
        return LossReason.PROTOCOL_VIOLATION, str(error)
    return LossReason.UNREACHABLE, str(error)
