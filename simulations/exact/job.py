"""One job at the requester: negotiation, channel, output, vouchers, receipt, fail-over.

Drives `cocoon.market.negotiate.Negotiation`, `cocoon.requester.meter.MeterWatch` and
`cocoon.requester.plan` as `cocoon.requester.service` does.
"""

import hashlib
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from cocoon.confidential.transcript import transcript_hash
from cocoon.errors import BadReceipt, PeerMisbehaved
from cocoon.market.match import Loss, Shortlist, Track, shortlist
from cocoon.market.negotiate import (
    Choose,
    Effect,
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
from cocoon.market.negotiate import Event as Heard
from cocoon.messages import (
    JOB_PROTOCOL,
    Accept,
    Accepted,
    CounterOffer,
    Countersigned,
    Decline,
    Finish,
    Hold,
    InputSegment,
    JobEnd,
    Kind,
    LossReason,
    Offer,
    OutputPiece,
    OutputSegment,
    Refusal,
    RefusalCode,
    RequestForOffer,
    Signed,
    SignedOffer,
    SlotHeld,
    Statement,
    VoucherMessage,
    decode,
    decode_from_provider,
    encode,
    message_hash,
)
from cocoon.payments.channel import JobEnded, JobStarted, Refuse, SignRequested, SignVoucher
from cocoon.payments.ownership import sign_ownership
from cocoon.receipts import check_receipt, countersign
from cocoon.requester.meter import MeterWatch
from cocoon.requester.plan import (
    ChatRequest,
    Progress,
    output_tokens_left,
    prompt_tokens_max,
    remaining_input,
    request_for_offer,
    size_of,
)
from cocoon.requester.rounds import Rounds
from cocoon.signing import open_signed
from contracts.units import NanoTon
from overlay.errors import RemoteProtocolError
from simulations.exact.attempt import Attempt, Talk, view_of
from simulations.exact.chain import NETWORK_ID
from simulations.exact.events import SECOND_US, Timer
from simulations.exact.node import NETWORK
from simulations.exact.purse import Effects

if TYPE_CHECKING:
    from simulations.exact.buyer import Buyer

ATTEMPTS_MAX: Final = 3
ANSWER_US: Final = 15 * SECOND_US
ACCEPT_US: Final = 20 * SECOND_US
STALL_US: Final = 30 * SECOND_US
QUOTES_AGAIN_US: Final = 2 * SECOND_US
QUOTES_TRIES: Final = 8
DEADLINE_S: Final = 600
OFFER_BYTES_MAX: Final = 8192
PIECE_BYTES_MAX: Final = 256 * 1024


def _needed(offer: Offer) -> NanoTon:
    return NanoTon(offer.spendable_min_nanoton)


class Job:
    """One job until it is done or given up. Its outcome is always one of a few words."""

    def __init__(self, buyer: "Buyer", name: str, request: ChatRequest) -> None:
        self.buyer = buyer
        self.name = name
        self.request = request
        self.progress = Progress()
        self.started_us = buyer.world.events.now_us
        self.first_output_us: int | None = None
        self.paid = 0
        self.attempts = 0
        self.attempt: Attempt | None = None
        self._excluded: set[str] = set()
        self._talks: dict[str, Talk] = {}
        self._core: Negotiation | None = None
        self._chosen_few = Shortlist((), ())
        self._rounds = Rounds(ATTEMPTS_MAX)
        self._wake: Timer | None = None
        self._watchdog: Timer | None = None
        self._asked_for_quotes = 0
        self._over = False

    # --- beginning and end ---

    def start(self) -> None:
        """Find quotes, then negotiate."""
        if self._over:
            return
        listings = [each for each in self.buyer.listings() if not each.faulty]
        if any(each.quote.peer_id not in self._excluded for each in listings):
            self._negotiate()
        elif self._asked_for_quotes < QUOTES_TRIES:
            self._asked_for_quotes += 1
            self.buyer.ask_for_quotes()
            self.buyer.after(QUOTES_AGAIN_US, self.start)
        else:
            self._end("no_provider")

    def _end(self, outcome: str) -> None:
        if self._over:
            return
        self._over = True
        self._cancel_timers()
        now_us = self.buyer.world.events.now_us
        first_us = self.first_output_us
        self.buyer.note(
            "job",
            job=self.name,
            outcome=outcome,
            attempts=self.attempts,
            tokens=len(self.progress.token_ids),
            paid=self.paid,
            first_output_us=-1 if first_us is None else first_us - self.started_us,
            total_us=now_us - self.started_us,
        )
        self.buyer.job_over(self)

    def vanish(self) -> None:
        """The node loses power."""
        self._over = True
        self._cancel_timers()

    def _cancel_timers(self) -> None:
        for timer in (self._wake, self._watchdog, *(talk.timer for talk in self._talks.values())):
            if timer is not None:
                timer.cancel()

    # --- negotiation ---

    def _negotiate(self) -> None:
        buyer = self.buyer
        prefs = self._rounds.begin(buyer.preferences(frozenset(self._excluded)))
        size = size_of(self.request, self.progress)
        chosen = shortlist(buyer.listings(), prefs, buyer.tracks, size, buyer.chance.rng)
        self._chosen_few = chosen
        self._note_losses(chosen.passed_over)
        request = request_for_offer(
            self.request,
            size,
            nonce=hashlib.sha256(f"{self.name}/{self._rounds.begun}".encode()).digest()[:16],
            chain_network_id=NETWORK_ID,
            tier_min=prefs.tier_min,
            ceiling=prefs.ceiling,
            deadline_unix_s=buyer.now_unix_s() + DEADLINE_S,
        )
        data = encode(request)
        self._talks = {}
        self._core = Negotiation(
            request=request,
            request_hash=message_hash(data),
            quotes=[listing.quote for listing in chosen.asked],
            prefs=prefs,
            tracks=buyer.tracks,
            rng=buyer.chance.rng,
            now_s=buyer.now_s,
            counter_below_ppm=buyer.world.scenario.prices.counter_below_ppm,
        )
        self._perform(self._core.start(), request)

    def _note_losses(self, losses: tuple[Loss, ...]) -> None:
        for loss in losses:
            self.buyer.world.checkers.lost(loss.reason)
            self.buyer.note("loss", peer=loss.peer[-8:], reason=loss.reason.value)

    def _tell(self, event: Heard) -> None:
        """Give the negotiation an event, and carry out what it wants."""
        core = self._core
        if core is None or self._over:
            return
        was_done = core.done
        effects = core.handle(event, now_s=self.buyer.now_s, now_unix_s=self.buyer.now_unix_s())
        self._perform(effects, None)
        if core.done and not was_done:
            self._note_losses(core.losses)

    def _perform(self, effects: list[Effect], request: RequestForOffer | None) -> None:
        for effect in effects:
            match effect:
                case SendRequest(peer) if request is not None:
                    self._ask(peer, request)
                case SendCounter(peer, counter):
                    self._counter(peer, counter)
                case SendDecline(peer, reason, detail):
                    self._decline(peer, reason, detail)
                case Choose(peer):
                    self._chosen(peer)
                case GiveUp():
                    self._nobody()
                case _:
                    pass
        self._set_alarm()

    def _nobody(self) -> None:
        """Ask more widely after refusals as busy, else give up."""
        if self._core is not None and self._rounds.came_to_nothing(self._chosen_few, self._core):
            self.buyer.after(1, self._ask_again)
        else:
            self._end("no_provider")

    def _ask_again(self) -> None:
        self._decline_all()
        self.start()

    def _decline_all(self) -> None:
        for peer in list(self._talks):
            self._decline(peer, LossReason.NOT_DRAWN, "the negotiation ended")

    def _set_alarm(self) -> None:
        core = self._core
        if self._wake is not None:
            self._wake.cancel()
        if core is None or core.wake_at_s is None or self._over:
            return
        delay_us = max(1, int(core.wake_at_s * SECOND_US) + 1 - self.buyer.world.events.now_us)
        self._wake = self.buyer.timer(delay_us, self._tell, TimePassed())

    def _ask(self, peer: str, request: RequestForOffer) -> None:
        to = self.buyer.world.by_peer[peer]
        end = self.buyer.world.wire.open(self.buyer, to, JOB_PROTOCOL)
        talk = self._talks[peer] = Talk(end)
        end.start(partial(self._on_frame, peer, talk), partial(self._on_broken, peer, talk))
        end.send(encode(request))
        self._wait_for(peer, talk)

    def _wait_for(self, peer: str, talk: Talk) -> None:
        if talk.timer is not None:
            talk.timer.cancel()
        late = PeerFailed(peer, LossReason.TOO_SLOW_TO_ANSWER, "no answer in time")
        talk.timer = self.buyer.timer(ANSWER_US, self._tell, late)

    def _counter(self, peer: str, counter: CounterOffer) -> None:
        talk = self._talks[peer]
        talk.end.send(encode(counter))
        self._wait_for(peer, talk)

    def _decline(self, peer: str, reason: LossReason, detail: str) -> None:
        talk = self._talks.pop(peer, None)
        self.buyer.world.checkers.lost(reason)
        if talk is not None:
            if talk.timer is not None:
                talk.timer.cancel()
            talk.end.send(encode(Decline(reason=reason, detail=detail[:512])))
            talk.end.close()

    def _on_broken(self, peer: str, talk: Talk) -> None:
        attempt = self.attempt
        if attempt is not None and attempt.talk is talk:
            self._failed(attempt, "the provider went away")
        else:
            self._tell(PeerFailed(peer, LossReason.UNREACHABLE, "it went away"))

    def _on_frame(self, peer: str, talk: Talk, data: bytes) -> None:
        try:
            message = decode_from_provider(data)
        except RemoteProtocolError as error:
            self._misbehaved(peer, talk, str(error))
            return
        attempt = self.attempt
        if attempt is not None and attempt.talk is talk:
            self._on_job_frame(attempt, message)
            return
        if talk.timer is not None:
            talk.timer.cancel()
        match message:
            case Refusal():
                self.buyer.world.checkers.refused(message)
                self._tell(RefusalReceived(peer, message))
            case SignedOffer(offer=signed):
                self._offered(peer, talk, signed)
            case _:
                self._misbehaved(peer, talk, f"answered with {type(message).__name__}")

    def _misbehaved(self, peer: str, talk: Talk, detail: str) -> None:
        attempt = self.attempt
        if attempt is not None and attempt.talk is talk:
            self._failed(attempt, detail)
        else:
            self._tell(PeerFailed(peer, LossReason.PROTOCOL_VIOLATION, detail))

    def _offered(self, peer: str, talk: Talk, signed: Signed) -> None:
        try:
            offer = open_signed(
                signed, Offer, network=NETWORK, signer=peer, size_bytes_max=OFFER_BYTES_MAX
            )
        except (PeerMisbehaved, RemoteProtocolError) as error:
            self._misbehaved(peer, talk, str(error))
            return

        def found(statement: tuple[Statement, Signed] | None) -> None:
            if statement is None:
                self._tell(PeerFailed(peer, LossReason.UNREACHABLE, "no statement found"))
                return
            talk.signed, talk.offer, talk.statement = signed, offer, statement[0]
            offer_hash = message_hash(signed.body)
            self._tell(OfferReceived(peer, offer, offer_hash, statement[0]))

        self.buyer.find_statement(peer, offer.statement_id, found)

    # --- an attempt ---

    def _chosen(self, peer: str) -> None:
        talk = self._talks.pop(peer)
        if talk.timer is not None:
            talk.timer.cancel()
        self.attempts += 1
        attempt = self.attempt = Attempt(self.attempts, peer, talk)
        offer = attempt.offer
        if self.buyer.purse.usable(offer.payee_address, offer.payee_key, _needed(offer)):
            self._obtain(attempt)
        else:
            attempt.asked_hold = True
            talk.end.send(encode(Hold(offer_hash=attempt.offer_hash)))
            self._watch_out(attempt, ANSWER_US)

    def _obtain(self, attempt: Attempt) -> None:
        """Find or open a channel, while the slot is held if the seller does that."""
        attempt.asked_hold = False
        if self._watchdog is not None:
            self._watchdog.cancel()
        offer, ready = attempt.offer, partial(self._channel_ready, attempt)
        needed = _needed(offer)
        self.buyer.purse.obtain(offer.payee_address, offer.payee_key, needed, ready)

    def _channel_ready(self, attempt: Attempt, address: str, problem: str) -> None:
        if attempt.over or self._over:
            return
        if not address:
            self._fail(attempt, problem)
            self._end("no_money" if "wallet" in problem else "no_chain")
            return
        attempt.channel = address
        attempt.part_id = f"{self.name}-{attempt.number}"
        event = JobStarted(job_id=attempt.part_id, provider=attempt.peer)
        self.buyer.purse.step(address, event, then=partial(self._job_started, attempt))

    def _job_started(self, attempt: Attempt, effects: Effects) -> None:
        if any(isinstance(effect, Refuse) for effect in effects):
            attempt.channel = ""
            self._failed(attempt, "the channel was taken")
        elif attempt.over or self._over:
            self._let_go(attempt)
        else:
            self._accept(attempt)

    def _accept(self, attempt: Attempt) -> None:
        buyer, purse = self.buyer, self.buyer.purse
        signed, offer = attempt.talk.signed, attempt.talk.offer
        assert signed is not None and offer is not None  # noqa: S101, PT018  (it was chosen)
        payment = purse.ref(attempt.channel)
        attempt.base = attempt.last_total = NanoTon(payment.signed_total_nanoton)
        nonce = hashlib.sha256(attempt.part_id.encode()).digest()[:16]
        transcript = transcript_hash(
            offer.statement_id, signed.body, signed.signature, nonce, payment
        )
        segment = encode(remaining_input(self.request, self.progress))
        accept = Accept(
            offer_hash=message_hash(signed.body),
            job_nonce=nonce,
            payment=payment,
            sealed_key=b"",
            payer_signature=sign_ownership(
                purse.book.channels[attempt.channel].seed,
                network_id=NETWORK_ID,
                channel_address=attempt.channel,
                transcript_hash=transcript,
            ),
            input_segments=1,
            input_prefix=bytes(7),
            input_hash=hashlib.sha256(segment).digest(),
        )
        attempt.watch = MeterWatch(
            kind=Kind.CHAT,
            schedule=offer.schedule,
            limits=offer.limits,
            prompt_tokens_max=prompt_tokens_max(self.request, self.progress),
            output_tokens_max=output_tokens_left(self.request, self.progress),
            audio_ms_max=0,
        )
        attempt.accepted_unix_s = buyer.now_unix_s()
        attempt.view = view_of(attempt, buyer.peer_id, transcript, segment, payment)
        attempt.talk.end.send(encode(accept))
        attempt.talk.end.send(encode(InputSegment(data=segment)))
        self._watch_out(attempt, ACCEPT_US)
        buyer.note("accept", job=self.name, provider=attempt.peer[-8:])

    def _watch_out(self, attempt: Attempt, patience_us: int) -> None:
        if self._watchdog is not None:
            self._watchdog.cancel()
        self._watchdog = self.buyer.timer(patience_us, self._failed, attempt, "it stalled")

    def _on_job_frame(self, attempt: Attempt, message: object) -> None:
        if attempt.over:
            return
        match message:
            case SlotHeld() if attempt.asked_hold:
                self._obtain(attempt)
            case Refusal(code=RefusalCode.POLICY) if attempt.asked_hold:
                self.buyer.world.checkers.refused(message)
                self._obtain(attempt)
            case Refusal():
                self.buyer.world.checkers.refused(message)
                if message.code is RefusalCode.BUSY:
                    self._rounds.lost_slot(attempt.peer)
                self._failed(attempt, f"{message.code.value}: {message.detail}", refused=True)
            case Accepted() if not attempt.accepted:
                attempt.accepted = True
                self._watch_out(attempt, STALL_US)
            case OutputSegment() if attempt.accepted:
                self._watch_out(attempt, STALL_US)
                self._output(attempt, message)
            case JobEnd() if attempt.finish is not None and attempt.end_message is None:
                self._receipt(attempt, message)
            case SignedOffer():
                pass  # to a counter-offer that we stopped waiting for
            case _:
                self._failed(attempt, f"sent {type(message).__name__} in the middle of a job")

    def _output(self, attempt: Attempt, segment: OutputSegment) -> None:
        watch = attempt.watch
        assert watch is not None  # noqa: S101  (it was accepted)
        try:
            piece = decode(OutputPiece, segment.data, size_bytes_max=PIECE_BYTES_MAX)
            watch.receive(piece)
        except (RemoteProtocolError, PeerMisbehaved) as error:
            self._failed(attempt, str(error))
            return
        attempt.response.update(segment.data)
        attempt.tokens += len(piece.token_ids)
        if piece.token_ids and self.first_output_us is None:
            self.first_output_us = self.buyer.world.events.now_us
        self.progress = self.progress.with_piece(piece)
        attempt.finish = piece.finish
        self.buyer.heard_output(self)
        if piece.finish is None and not attempt.over:
            self._pay(attempt, watch.take_due(ended=False))

    def _pay(self, attempt: Attempt, due: NanoTon | None) -> None:
        if due is not None and attempt.watch is not None:
            checkers = self.buyer.world.checkers
            checkers.payment_signed(attempt.watch, due, attempt.tokens)
            self.buyer.pay(self, due)

    def sign(self, due: NanoTon) -> None:
        """Sign and send the voucher that brings what was paid for this attempt to *due*."""
        attempt = self.attempt
        if attempt is None:
            return
        total = NanoTon(attempt.base + due)
        event = SignRequested(job_id=attempt.part_id, total=total)
        self.buyer.purse.step(attempt.channel, event, then=partial(self._signed, attempt))

    def _signed(self, attempt: Attempt, effects: Effects) -> None:
        for effect in effects:
            if isinstance(effect, SignVoucher):
                self._send_voucher(attempt, effect.total)
            elif isinstance(effect, Refuse):
                self._failed(attempt, effect.reason)

    def _send_voucher(self, attempt: Attempt, total: NanoTon) -> None:
        signature = self.buyer.purse.voucher(attempt.channel, total)
        self.paid += total - attempt.last_total
        attempt.last_total = total
        voucher = VoucherMessage(total_nanoton=total, signature=signature)
        attempt.talk.end.send(encode(voucher))

    def _receipt(self, attempt: Attempt, message: JobEnd) -> None:
        watch, view, finish = attempt.watch, attempt.view, attempt.finish
        assert watch is not None and view is not None  # noqa: S101, PT018  (it was accepted)
        attempt.end_message = message
        digest = attempt.response.digest()
        view = msgspec.structs.replace(view, response_hash=digest, meter=watch.seen)
        now_unix_s = self.buyer.now_unix_s()
        try:
            check_receipt(
                message.receipt,
                view,
                network=NETWORK,
                now_unix_s=now_unix_s,
                begun_unix_s=attempt.accepted_unix_s,
                finish=finish,
            )
        except BadReceipt as error:
            self._failed(attempt, str(error))
            return
        self._pay(attempt, watch.take_due(ended=True))
        # The voucher is on its way through the disk; what follows it comes after it.
        self.buyer.purse.step(
            attempt.channel,
            JobEnded(job_id=attempt.part_id),
            then=lambda _: self._goodbye(attempt, message),
        )

    def _goodbye(self, attempt: Attempt, message: JobEnd) -> None:
        if attempt.over or self._over:
            return
        signature = countersign(self.buyer.identity, NETWORK, message.receipt).signature
        attempt.talk.end.send(encode(Countersigned(signature=signature)))
        attempt.talk.end.close()
        attempt.over = True
        if attempt.finish not in (Finish.STOP, Finish.LENGTH):
            self._next_attempt(attempt)
            return
        track = self.buyer.tracks.get(attempt.peer, Track())
        self.buyer.tracks[attempt.peer] = Track(track.jobs + 1, track.failures)
        self._end("done")

    # --- failing ---

    def _fail(self, attempt: Attempt, reason: str) -> None:
        """End an attempt, and let go of its channel."""
        attempt.over = True
        if self._watchdog is not None:
            self._watchdog.cancel()
        attempt.talk.end.close()
        self.buyer.note("failed", job=self.name, provider=attempt.peer[-8:], why=reason[:80])
        self._let_go(attempt)

    def _let_go(self, attempt: Attempt) -> None:
        if attempt.channel and attempt.part_id:
            self.buyer.purse.step(attempt.channel, JobEnded(job_id=attempt.part_id))

    def _failed(self, attempt: Attempt, reason: str, *, refused: bool = False) -> None:
        """End an attempt, and try another provider."""
        if attempt.over or self._over:
            return
        self._fail(attempt, reason)
        if not refused:
            track = self.buyer.tracks.get(attempt.peer, Track())
            self.buyer.tracks[attempt.peer] = Track(track.jobs, track.failures + 1)
        self._next_attempt(attempt)

    def _next_attempt(self, attempt: Attempt) -> None:
        self._excluded.add(attempt.peer)
        self.attempt = None
        self._decline_all()
        if self._watchdog is not None:
            self._watchdog.cancel()
        if self._rounds.exhausted:
            self._end("failed")
        elif not output_tokens_left(self.request, self.progress):
            self._end("done")
        else:
            self.start()

    def leave(self) -> None:
        """Go away in the middle, as a requester does that does not care."""
        attempt = self.attempt
        if attempt is not None and not attempt.over:
            self._fail(attempt, "we left")
            self._end("left")
