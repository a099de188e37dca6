"""One stream of the job protocol at the provider, as `cocoon.provider.session` drives it."""

import hashlib
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Final

from cocoon.confidential.transcript import transcript_hash
from cocoon.market.desk import Agreement, Draft
from cocoon.messages import (
    Accept,
    Accepted,
    Cancel,
    ChatInput,
    CounterOffer,
    Countersigned,
    Decline,
    Finish,
    Hold,
    InputSegment,
    JobEnd,
    Kind,
    Meter,
    Offer,
    OutputPiece,
    OutputSegment,
    Refusal,
    RefusalCode,
    RequestForOffer,
    Signed,
    SignedOffer,
    SlotHeld,
    VoucherMessage,
    decode_from_requester,
    decode_input,
    encode,
    message_hash,
)
from cocoon.payments.admission import channel_fault, funds_fault, reference_fault
from cocoon.payments.channel import GrantWork, Refuse, VoucherReceived
from cocoon.payments.ownership import verify_ownership
from cocoon.provider.lease import Lease
from cocoon.receipts import JobView, build_receipt, is_countersigned, sign_receipt
from cocoon.signing import sign
from contracts.channel import ChannelState
from contracts.units import NanoTon
from contracts.voucher import ChannelRef, verify_voucher
from overlay.errors import RemoteProtocolError
from simulations.exact.chain import NETWORK_ID
from simulations.exact.events import SECOND_US, Timer
from simulations.exact.node import NETWORK
from simulations.exact.seller import ENGINE_ID, MODEL_ID, SEAL_KEY
from simulations.exact.till import Effects, held_of
from simulations.exact.wire import End

if TYPE_CHECKING:
    from cocoon.payments.payee_book import Held
    from simulations.exact.seller import Seller

CHUNKS_AHEAD: Final = 2
PIECE_TOKENS: Final = 4
"""Tokens that the simulated device makes at once."""
UNPAID_US: Final = 20 * SECOND_US
DECISION_US: Final = 60 * SECOND_US
TOKENS_PER_BYTE: Final = 4
TEMPLATE_TOKENS: Final = 8


class Deal:
    """An accepted job and its running account."""

    def __init__(self, agreement: Agreement, accept: Accept, request: RequestForOffer) -> None:
        self.agreement, self.accept, self.request = agreement, accept, request
        self.transcript = b""
        self.held: Held | None = None
        self.lease = Lease(Kind.CHAT, agreement.offer.schedule, agreement.offer.limits)
        self.base = NanoTon(accept.payment.signed_total_nanoton)
        self.meter = Meter()
        self.wanted = 0
        self.made = 0
        self.making = False
        self.finish: Finish | None = None
        self.last_sent = False
        self.request_hash = b""
        self.response = hashlib.sha256()
        self.receipt: Signed | None = None
        self.started_at_unix_s = 0
        self.ended = False


class Session:
    """Serves one requester's stream from its request to the receipt."""

    def __init__(self, seller: "Seller", end: End) -> None:
        self._seller = seller
        self._end = end
        self._peer = end.peer.peer_id
        self._request: RequestForOffer | None = None
        self._offers: dict[bytes, tuple[Offer, Signed]] = {}
        self._inputs: list[bytes] = []
        self._deal: Deal | None = None
        self._admitted = False
        self._unpaid: Timer | None = None
        self._patience = seller.timer(DECISION_US, self._lose_patience)
        self._frames: deque[bytes | None] = deque()
        """What has come, None for the end, while a voucher is on its way to the disk."""
        self._writing = False
        end.start(self._come, partial(self._come, None))

    # --- frames ---

    def _send(
        self, message: Refusal | SignedOffer | SlotHeld | Accepted | JobEnd | OutputSegment
    ) -> None:
        self._end.send(encode(message))

    def _refuse(self, code: RefusalCode, detail: str) -> None:
        refusal = Refusal(code=code, detail=detail[:512])
        self._seller.world.checkers.refused(refusal)
        self._seller.note("refused", code=code.value, to=self._end.peer.name)
        self._send(refusal)
        self._hang_up()

    def _hang_up(self) -> None:
        self._stop()
        self._end.close()

    def vanish(self) -> None:
        """The node loses power: nothing is tidied up."""
        self._deal = None
        self._patience.cancel()

    def _come(self, data: bytes | None) -> None:
        """Take frames one after the other: a voucher is on the disk before the next is read."""
        self._frames.append(data)
        self._read_on()

    def _read_on(self) -> None:
        while self._frames and not self._writing:
            data = self._frames.popleft()
            if data is None:
                self._stop()
            else:
                self._on_frame(data)

    def _written(self, deal: Deal, effects: Effects) -> None:
        self._writing = False
        self._judged(deal, effects)
        self._read_on()

    def _lose_patience(self) -> None:
        if self._deal is None:
            self._hang_up()

    def _stop(self) -> None:
        """End whatever runs; the requester is gone or unwanted."""
        self._patience.cancel()
        if self._unpaid is not None:
            self._unpaid.cancel()
        for offer_hash in self._offers:
            self._seller.desk.declined(self._peer, offer_hash)
        deal = self._deal
        if deal is not None and not deal.ended:
            deal.ended = True
            deal.finish = deal.finish or Finish.CANCELLED
            self._note_end(deal)
            if deal.held is not None:
                self._seller.till.active.discard(deal.held.address)
            unpaid = deal.lease.at_risk_nanoton
            self._seller.ended(deal.agreement, unpaid, self._peer)
        self._seller.sessions.pop(self, None)

    def _note_end(self, deal: Deal) -> None:
        self._seller.note(
            "sold",
            finish=(deal.finish or Finish.FAILED).value,
            tokens=deal.lease.sent.output_tokens,
            cost=deal.lease.cost_nanoton,
            paid=deal.lease.paid_nanoton,
        )

    def _on_frame(self, data: bytes) -> None:
        try:
            message = decode_from_requester(data)
        except RemoteProtocolError as error:
            self._refuse(RefusalCode.PROTOCOL, str(error))
            return
        match message:
            case RequestForOffer() if self._request is None:
                self._consider(message, message_hash(data))
            case CounterOffer() if self._deal is None:
                self._counter(message)
            case Hold(offer_hash=offer_hash) if self._deal is None:
                self._hold(offer_hash)
            case Decline(reason=reason):
                self._seller.world.checkers.lost(reason)
                self._hang_up()
            case Accept() if self._deal is None:
                self._accept(message)
            case InputSegment(data=segment) if self._deal is not None:
                self._inputs.append(segment)
                self._start_if_ready()
            case VoucherMessage() if self._admitted:
                self._voucher(message)
            case Cancel() if self._admitted:
                self._finish(Finish.CANCELLED)
            case Countersigned(signature=signature) if self._deal is not None:
                self._countersigned(signature)
            case _:
                self._refuse(RefusalCode.PROTOCOL, f"{type(message).__name__} out of turn")

    # --- negotiation ---

    def _consider(self, request: RequestForOffer, request_hash: bytes) -> None:
        self._request, seller = request, self._seller
        objection = seller.debtors.objection(self._peer, seller.clock())
        if objection:
            self._refuse(RefusalCode.PAYMENT, objection)
            return
        draft = seller.desk.consider(
            peer=self._peer,
            request=request,
            request_hash=request_hash,
            quote=seller.live_quote(),
            policy_objection="",
            now_unix_s=seller.now_unix_s(),
        )
        if isinstance(draft, Refusal):
            self._refuse(draft.code, draft.detail)
        else:
            self._offer(draft)

    def _offer(self, draft: Draft) -> None:
        seller = self._seller
        offer = seller.shape_offer(draft.offer(SEAL_KEY))
        signed = sign(seller.identity, NETWORK, offer)
        offer_hash = message_hash(signed.body)
        seller.desk.issued(draft, offer, offer_hash)
        self._offers[offer_hash] = offer, signed
        self._send(SignedOffer(offer=signed))

    def _counter(self, counter: CounterOffer) -> None:
        answer = self._seller.desk.counter(self._peer, counter, self._seller.now_unix_s())
        if isinstance(answer, Refusal):
            self._seller.world.checkers.refused(answer)
            self._send(answer)
        else:
            self._offer(answer)

    def _hold(self, offer_hash: bytes) -> None:
        """Keep a slot; nodes here have no addresses, so holds go by peer alone."""
        seller = self._seller
        answer = seller.desk.hold(self._peer, "", offer_hash, seller.now_unix_s())
        if isinstance(answer, Refusal) and answer.code is not RefusalCode.POLICY:
            self._refuse(answer.code, answer.detail)
            return
        if isinstance(answer, Refusal):
            seller.world.checkers.refused(answer)
        self._send(answer)

    # --- acceptance ---

    def _accept(self, accept: Accept) -> None:
        seller, request = self._seller, self._request
        if accept.offer_hash not in self._offers or request is None:
            self._refuse(RefusalCode.EXPIRED, "no such offer was made on this stream")
            return
        agreement = seller.desk.accept(self._peer, accept, seller.now_unix_s())
        if isinstance(agreement, Refusal):
            self._refuse(agreement.code, agreement.detail)
            return
        self._patience.cancel()
        deal = self._deal = Deal(agreement, accept, request)
        seller.started(agreement)
        _, signed = self._offers[accept.offer_hash]
        deal.transcript = transcript_hash(
            agreement.offer.statement_id,
            signed.body,
            signed.signature,
            accept.job_nonce,
            accept.payment,
        )
        self._admit(deal)

    def _admit(self, deal: Deal) -> None:
        """Check the channel; see `cocoon.payments.payee.PayeeService.admit`."""
        payment, till = deal.accept.payment, self._seller.till
        fault = reference_fault(payment, till.terms)
        address = payment.channel_address
        if not fault and not verify_ownership(
            payment.payer_key,
            deal.accept.payer_signature,
            network_id=payment.chain_network_id,
            channel_address=address,
            transcript_hash=deal.transcript,
        ):
            fault = "who names the channel does not own it"
        if not fault and address in till.active:
            fault = "another job still uses it"
        if fault:
            self._refuse(RefusalCode.PAYMENT, fault)
            return
        self._seller.world.chain.read(self._seller, address, partial(self._sighted, deal))

    def _sighted(self, deal: Deal, account: ChannelState | None, problem: str) -> None:
        if self._deal is not deal or deal.ended:
            return
        till, payment = self._seller.till, deal.accept.payment
        if problem or account is None:
            code = RefusalCode.INTERNAL if problem else RefusalCode.PAYMENT
            self._refuse(code, problem or "there is no such channel")
            return
        held = held_of(account)
        fault = channel_fault(payment, account, till.terms) or funds_fault(
            payment, till.state_of(held), NanoTon(deal.agreement.offer.spendable_min_nanoton)
        )
        if not fault and account.address in till.active:
            fault = "another job still uses it"
        if fault:
            self._refuse(RefusalCode.PAYMENT, fault)
            return
        till.active.add(account.address)
        deal.held, self._admitted = held, True
        self._start_if_ready()

    def _start_if_ready(self) -> None:
        deal = self._deal
        if deal is None or not self._admitted or len(self._inputs) < deal.accept.input_segments:
            return
        digest = hashlib.sha256()
        for segment in self._inputs:
            digest.update(segment)
        deal.request_hash = digest.digest()
        try:
            job_input = decode_input(b"".join(self._inputs))
        except RemoteProtocolError as error:
            self._refuse(RefusalCode.INPUT, str(error))
            return
        if not isinstance(job_input, ChatInput):
            self._refuse(RefusalCode.INPUT, "this class is for chat jobs")
        elif job_input.output_tokens_max > deal.request.output_tokens_max:
            self._refuse(RefusalCode.SIZE, "more output tokens than negotiated")
        else:
            self._start(deal, job_input)

    # --- output ---

    def _start(self, deal: Deal, job_input: ChatInput) -> None:
        text_bytes = sum(len(turn.content) for turn in job_input.turns)
        prompt_tokens = text_bytes // TOKENS_PER_BYTE + TEMPLATE_TOKENS
        deal.meter = Meter(prompt_tokens=prompt_tokens + len(job_input.prefix_token_ids))
        deal.wanted = job_input.output_tokens_max
        deal.started_at_unix_s = self._seller.now_unix_s()
        self._send(Accepted(output_prefix=bytes(7)))
        self._make_more(deal)

    def _make_more(self, deal: Deal) -> None:
        """Let the device make one more piece, as far ahead of the money as it may."""
        left = min(deal.wanted, deal.lease.computable(CHUNKS_AHEAD)) - deal.made
        if deal.finish is not None or deal.ended or deal.making or left <= 0:
            return
        deal.making = True
        count = min(left, PIECE_TOKENS)
        takes_us = int(count / self._seller.tokens_per_s() * SECOND_US) + 1
        self._seller.after(takes_us, self._made, deal, count)

    def _made(self, deal: Deal, count: int) -> None:
        deal.making = False
        if deal.finish is None and not deal.ended:
            deal.made += count
            self._flush(deal)
            self._make_more(deal)

    def _flush(self, deal: Deal) -> None:
        """Send what may be sent; see `cocoon.provider.execution.Execution`."""
        while deal.finish is None and (waiting := deal.made - deal.meter.output_tokens):
            room = deal.lease.room()
            if not room:
                if self._unpaid is None:
                    self._unpaid = self._seller.timer(UNPAID_US, self._not_paid, deal)
                return
            count = min(waiting, room)
            first = deal.meter.output_tokens
            deal.meter = Meter(prompt_tokens=deal.meter.prompt_tokens, output_tokens=first + count)
            ids = tuple(range(first, first + count))
            self._piece(deal, OutputPiece(meter=self._seller.bill(deal.meter), token_ids=ids))
        if deal.finish is None and deal.meter.output_tokens >= deal.wanted:
            self._finish(Finish.LENGTH)

    def _piece(self, deal: Deal, piece: OutputPiece) -> None:
        data = encode(piece)
        deal.response.update(data)
        self._send(OutputSegment(data=data, last=piece.finish is not None))
        deal.lease.record_sent(piece.meter)
        if self._seller.honest:
            self._seller.world.checkers.piece_sent(deal.lease)

    def _not_paid(self, deal: Deal) -> None:
        self._unpaid = None
        if not deal.ended and (not deal.lease.room() or deal.last_sent):
            deal.finish = Finish.UNPAID
            self._refuse(RefusalCode.PAYMENT, "stopped: it was not paid in time")

    def _finish(self, finish: Finish) -> None:
        """Send the last piece and the receipt, then wait for the last voucher."""
        deal = self._deal
        if deal is None or deal.last_sent or deal.ended:
            return
        deal.finish, deal.last_sent = finish, True
        self._piece(deal, OutputPiece(meter=deal.lease.sent, finish=finish))
        receipt = build_receipt(
            self._view(deal),
            finish=finish,
            started_at_unix_s=deal.started_at_unix_s,
            finished_at_unix_s=self._seller.now_unix_s(),
        )
        deal.receipt = sign_receipt(self._seller.identity, NETWORK, receipt)
        self._send(JobEnd(receipt=deal.receipt))
        if self._unpaid is None:
            self._unpaid = self._seller.timer(UNPAID_US, self._not_paid, deal)

    def _view(self, deal: Deal) -> JobView:
        offer = deal.agreement.offer
        return JobView(
            transcript_hash=deal.transcript,
            provider=self._seller.peer_id,
            requester=self._peer,
            kind=Kind.CHAT,
            model_id=MODEL_ID,
            engine_id=ENGINE_ID,
            request_hash=deal.request_hash,
            response_hash=deal.response.digest(),
            tier=offer.tier,
            evidence_id=offer.evidence_id,
            schedule=offer.schedule,
            meter=deal.lease.sent,
            payment=deal.accept.payment,
        )

    def _countersigned(self, signature: bytes) -> None:
        deal = self._deal
        if deal is None or deal.receipt is None:
            self._refuse(RefusalCode.PROTOCOL, "countersigned what was not signed")
            return
        valid = is_countersigned(deal.receipt, signature, network=NETWORK, requester=self._peer)
        self._seller.note("countersigned", valid=valid)
        if deal.lease.settled:
            self._hang_up()

    # --- money ---

    def _voucher(self, voucher: VoucherMessage) -> None:
        deal, till = self._deal, self._seller.till
        if deal is None or deal.held is None or deal.ended:
            return
        total, signature = NanoTon(voucher.total_nanoton), voucher.signature
        state = till.state_of(deal.held)
        ref = ChannelRef(NETWORK_ID, deal.held.address, state.opened_lt)
        if not verify_voucher(deal.held.payer_key, ref, total, signature):
            self._refuse(RefusalCode.PAYMENT, "bad signature on a voucher")
        elif total != state.best_total:
            event = VoucherReceived(total=total, signature=signature)
            self._writing = True
            till.step(deal.held, event, partial(self._written, deal))

    def _judged(self, deal: Deal, effects: Effects) -> None:
        if deal.ended or deal.held is None:
            return
        for effect in effects:
            match effect:
                case Refuse(reason=reason):
                    self._refuse(RefusalCode.PAYMENT, reason)
                    return
                case GrantWork(total=total):
                    self._granted(deal, total)
                case _:
                    pass

    def _granted(self, deal: Deal, total: NanoTon) -> None:
        before = deal.lease.paid_nanoton
        deal.lease.record_paid(max(0, total - deal.base))
        if deal.held is not None:
            credited = deal.lease.paid_nanoton - before
            self._seller.world.checkers.job_credited(deal.held.address, credited)
        if deal.lease.room() and self._unpaid is not None and not deal.last_sent:
            self._unpaid.cancel()
            self._unpaid = None
        if deal.last_sent and deal.lease.settled:
            self._settled(deal)
        else:
            self._flush(deal)
            self._make_more(deal)

    def _settled(self, deal: Deal) -> None:
        """Everything is paid: the job is over; the countersignature may still come."""
        if self._unpaid is not None:
            self._unpaid.cancel()
        deal.ended = True
        self._note_end(deal)
        if deal.held is not None:
            self._seller.till.active.discard(deal.held.address)
        self._seller.ended(deal.agreement, deal.lease.at_risk_nanoton, self._peer)
