"""One stream of the job protocol, on the provider's side: negotiate, run, receipt.

The steps of the life of a job that happen here: request for offer, offer,
counter-offer, accept, sealed input, chunks with vouchers, receipt.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import trio

from cocoon.clock import Clock
from cocoon.confidential.prekeys import PrekeyPool
from cocoon.confidential.sealing import (
    Direction,
    Opener,
    Sealer,
    SealKey,
    open_content_key,
    segments_of,
    unpadded,
    wipe,
)
from cocoon.confidential.transcript import transcript_hash
from cocoon.errors import PaymentError, PeerMisbehaved, Refused
from cocoon.market.desk import Agreement, Draft, OfferDesk
from cocoon.messages import (
    VERSION,
    Accept,
    Accepted,
    CounterOffer,
    Decline,
    Finish,
    FromRequester,
    Hold,
    InputSegment,
    JobEnd,
    JobInput,
    ModelOnOffer,
    Offer,
    Quote,
    Receipt,
    Refusal,
    RefusalCode,
    RequestForOffer,
    Resume,
    Signed,
    SignedOffer,
    SlotHeld,
    VoucherMessage,
    decode_from_requester,
    decode_input,
    encode,
    message_hash,
)
from cocoon.nursery import open_private_nursery
from cocoon.payments.journal import DISK_WORDS, JournalError
from cocoon.payments.payee import PayeeChannel, PayeeService
from cocoon.provider.debtors import Debtors
from cocoon.provider.execution import Execution, WorkerFailed
from cocoon.provider.lease import Lease
from cocoon.provider.open_jobs import OpenJobs
from cocoon.provider.orders import job_for_worker
from cocoon.provider.runner import Worker, WorkerDied, WorkerPool
from cocoon.provider.wire import Job
from cocoon.receipts import JobView, ReceiptFile, build_receipt, is_countersigned, sign_receipt
from cocoon.signing import sign
from contracts.errors import ChainUnavailable, ContractError
from contracts.units import NanoTon
from overlay.errors import PeerUnavailable, RemoteProtocolError
from overlay.identity import Identity
from overlay.transfer.line import Line
from overlay.transport import Stream

logger = logging.getLogger(__name__)

REQUEST_TIMEOUT_S: Final = 10.0
DECISION_TIMEOUT_S: Final = 60.0
INPUT_PATIENCE_S: Final = 15.0
INPUT_RATE_MIN_BYTES_PER_S: Final = 256 * 1024
"""An input must come in at this rate, after `INPUT_PATIENCE_S`: it holds a worker."""
COUNTERSIGN_TIMEOUT_S: Final = 5.0
BUSY_PATIENCE_S: Final = 0.5
"""Who asks again right after a job meets us while we write down its end."""
SEND_TIMEOUT_S: Final = 15.0


class JobTill:
    """One job's use of a payment channel: totals of the channel become totals of the job."""

    def __init__(self, channel: PayeeChannel) -> None:
        self._channel = channel

    async def receive(self, voucher: VoucherMessage) -> NanoTon:
        """Take a voucher durably; return what is paid of this job in all.

        Raises:
            PaymentError, PeerMisbehaved: as `PayeeChannel.receive`.
        """
        await self._channel.receive(voucher)
        return NanoTon(self._channel.best_total - self._channel.base_total)


@dataclass(frozen=True, slots=True)
class Shelf:
    """One model on sale: what it is, who runs it, and its present quote."""

    model: ModelOnOffer
    pool: WorkerPool
    quote: Callable[[], Quote | None]
    desk: OfferDesk
    job_started: Callable[[], None]
    job_ended: Callable[[], None]
    measured: Callable[[int], None]
    """Takes the speed of a job, in thousandths of output units a second."""


@dataclass(frozen=True, slots=True)
class Shop:
    """Everything that the sessions of one provider share."""

    network: str
    identity: Identity
    clock: Clock
    shelves: dict[str, Shelf]
    prekeys: PrekeyPool
    payee: PayeeService
    policy_objection: Callable[[str], str]
    debtors: Debtors
    open_jobs: OpenJobs
    unpaid_timeout_s: float
    statement: Callable[[bytes], Signed]
    """Returns our signed statement by its id, for receipts."""
    keep_receipt: Callable[[ReceiptFile], Awaitable[None]]
    tell: Callable[[str, dict[str, object]], None]
    """Reports what happens to the operator: (event, fields)."""


@dataclass(slots=True)
class Deal:
    """An accepted job, before it runs."""

    shelf: Shelf
    agreement: Agreement
    accept: Accept
    transcript: bytes
    content_key: bytearray
    request: RequestForOffer


@dataclass(frozen=True, slots=True)
class _Offered:
    """An offer that we made on this stream."""

    offer: Offer
    signed: Signed


class Session:
    """Serves one requester's stream from its request to the receipt."""

    def __init__(self, shop: Shop, stream: Stream) -> None:
        self._shop = shop
        self._first_stream = stream
        self._stream = Line(stream)
        self._offered: dict[bytes, _Offered] = {}

    # --- frames ---

    async def _send(self, message: Refusal | SignedOffer | SlotHeld | Accepted | JobEnd) -> None:
        with self._stream.patient(SEND_TIMEOUT_S):
            await self._stream.send(encode(message))
            return
        raise PeerUnavailable("the requester does not read")

    async def _receive(self, timeout_s: float) -> FromRequester:
        with trio.move_on_after(timeout_s):
            return decode_from_requester(await self._stream.receive())
        raise PeerUnavailable(f"no message within {timeout_s:.0f} s")

    async def refuse(self, code: RefusalCode, detail: str) -> None:
        """Send a typed refusal and tell the operator.

        The operator's log gets the first line only: a compiler quotes the customer's source.
        """
        self._shop.tell("refused", {"code": code.value, "detail": detail.partition("\n")[0]})
        await self._send(Refusal(code=code, detail=detail[:512]))

    # --- the whole ---

    async def serve(self) -> None:
        """Serve the stream; every error that a peer can cause ends in a typed refusal.

        Raises:
            PeerUnavailable: the requester is gone.
        """
        try:
            await self._negotiate()
        except Refused as refused:
            await self.refuse(RefusalCode(refused.code), refused.detail)
        except JournalError as error:
            logger.warning("a job was refused: %s", error)
            await self.refuse(RefusalCode.INTERNAL, DISK_WORDS)
        except PaymentError as error:
            await self.refuse(RefusalCode.PAYMENT, str(error))
        except (ChainUnavailable, ContractError) as error:
            await self.refuse(RefusalCode.INTERNAL, f"our view of the chain is down: {error}")
        except WorkerDied as error:
            logger.warning("a job was lost with its worker: %s", error)
            await self.refuse(RefusalCode.INTERNAL, "the worker process died")
        except (PeerMisbehaved, RemoteProtocolError) as error:
            logger.warning("%s misbehaved: %s", self._stream.peer_id, error)
            await self.refuse(RefusalCode.PROTOCOL, str(error))
        finally:
            self._shop.open_jobs.end(self._stream)

    async def _negotiate(self) -> None:
        request_bytes = await self._first_frame()
        request = decode_from_requester(request_bytes)
        if isinstance(request, Resume):
            await self._shop.open_jobs.go_on(self._first_stream, request)
            return
        if not isinstance(request, RequestForOffer):
            raise PeerMisbehaved("a job stream begins with a request for an offer")
        shelf = self._shop.shelves.get(request.resource_class)
        if shelf is None:
            raise Refused(RefusalCode.MODEL.value, "not served here")
        try:
            draft = await self._draft(shelf, request, message_hash(request_bytes))
            await self._offer(shelf, draft)
            await self._decide(shelf, request)
        finally:
            for offer_hash in [*self._offered]:
                self._withdraw(shelf, offer_hash)

    async def _decide(self, shelf: Shelf, request: RequestForOffer) -> None:
        """Handle what the requester makes of our offer."""
        while True:
            message = await self._receive(DECISION_TIMEOUT_S)
            match message:
                case CounterOffer():
                    await self._counter(shelf, message)
                case Hold(offer_hash=offer_hash):
                    await self._hold(shelf, offer_hash)
                case Decline(reason=reason, detail=detail):
                    self._shop.tell("lost", {"reason": reason.value, "detail": detail})
                    return
                case Accept():
                    await self._accepted(shelf, message, request)
                    return
                case _:
                    raise PeerMisbehaved(f"sent {type(message).__name__} in a negotiation")

    def _withdraw(self, shelf: Shelf, offer_hash: bytes) -> None:
        """Forget an offer and its one-time key; harmless when it was accepted."""
        offered = self._offered[offer_hash]
        shelf.desk.declined(self._stream.peer_id, offer_hash)
        self._shop.prekeys.discard(offered.offer.seal_key)

    async def _first_frame(self) -> bytes:
        with trio.move_on_after(REQUEST_TIMEOUT_S):
            return await self._stream.receive()
        raise PeerUnavailable("no request came")

    # --- negotiation ---

    def _now_unix_s(self) -> int:
        return int(self._shop.clock())

    async def _draft(
        self, shelf: Shelf, request: RequestForOffer, request_hash: bytes
    ) -> Draft | Refusal:
        """Consider a request; when we are busy, wait a moment for the job that is just ending."""
        draft = self._consider(shelf, request, request_hash)
        with trio.move_on_after(BUSY_PATIENCE_S):
            while isinstance(draft, Refusal) and draft.code is RefusalCode.BUSY:
                await shelf.pool.changed.wait()
                draft = self._consider(shelf, request, request_hash)
        return draft

    def _consider(
        self, shelf: Shelf, request: RequestForOffer, request_hash: bytes
    ) -> Draft | Refusal:
        if objection := self._shop.debtors.objection(self._stream.peer_id, self._shop.clock()):
            return Refusal(code=RefusalCode.PAYMENT, detail=objection)
        if shelf.desk.free_slots > 0 and shelf.pool.free_slots < 1:
            return Refusal(code=RefusalCode.BUSY, detail="no worker is free")
        return shelf.desk.consider(
            peer=self._stream.peer_id,
            request=request,
            request_hash=request_hash,
            quote=shelf.quote(),
            policy_objection=self._shop.policy_objection(self._stream.peer_id),
            now_unix_s=self._now_unix_s(),
        )

    def _has_wasted(self, owner: str) -> bool:
        return self._shop.debtors.has_wasted(owner, self._shop.clock())

    async def _offer(self, shelf: Shelf, draft: Draft | Refusal) -> None:
        if isinstance(draft, Refusal):
            raise Refused(draft.code.value, draft.detail)
        now_unix_s = self._now_unix_s()
        offer = draft.offer(self._shop.prekeys.issue(now_unix_s, draft.expires_at_unix_s))
        signed = sign(self._shop.identity, self._shop.network, offer)
        offer_hash = message_hash(signed.body)
        shelf.desk.issued(draft, offer, offer_hash)
        self._offered[offer_hash] = _Offered(offer, signed)
        await self._send(SignedOffer(offer=signed))

    async def _counter(self, shelf: Shelf, counter: CounterOffer) -> None:
        self._on_this_stream(counter.offer_hash)
        answer = shelf.desk.counter(self._stream.peer_id, counter, self._now_unix_s())
        if isinstance(answer, Refusal) and answer.code is not RefusalCode.PRICE_TOO_LOW:
            raise Refused(answer.code.value, answer.detail)  # else a stream could be kept for ever
        if isinstance(answer, Refusal):
            await self._send(answer)  # the first offer still stands
            return
        await self._offer(shelf, answer)
        self._withdraw(shelf, counter.offer_hash)

    async def _hold(self, shelf: Shelf, offer_hash: bytes) -> None:
        """Keep a slot while the requester opens its channel, or say that we do not."""
        self._on_this_stream(offer_hash)
        stream, now_unix_s = self._stream, self._now_unix_s()
        answer = shelf.desk.hold(stream.peer_id, stream.prefix, offer_hash, now_unix_s)
        if isinstance(answer, Refusal) and answer.code is not RefusalCode.POLICY:
            raise Refused(answer.code.value, answer.detail)
        await self._send(answer)  # without a hold the offer still stands

    def _on_this_stream(self, offer_hash: bytes) -> _Offered:
        """Return the offer called *offer_hash*; one made on another stream is not for this one."""
        offered = self._offered.get(offer_hash)
        if offered is None:
            raise Refused(RefusalCode.EXPIRED.value, "no such offer was made on this stream")
        return offered

    # --- acceptance ---

    async def _accepted(self, shelf: Shelf, accept: Accept, request: RequestForOffer) -> None:
        offered = self._on_this_stream(accept.offer_hash)
        agreement = shelf.desk.accept(self._stream.peer_id, accept, self._now_unix_s())
        if isinstance(agreement, Refusal):
            raise Refused(agreement.code.value, agreement.detail)
        try:
            trusted = not any(map(self._has_wasted, self._owners(accept)))
            self._shop.open_jobs.begin(self._stream, accept, shelf.model.kind, trusted=trusted)
            transcript = transcript_hash(
                agreement.offer.statement_id,
                offered.signed.body,
                offered.signed.signature,
                accept.job_nonce,
                accept.payment,
            )
            key = self._shop.prekeys.take(agreement.offer.seal_key, self._now_unix_s())
            content_key = _open_and_erase(key, transcript, accept.sealed_key)
            deal = Deal(shelf, agreement, accept, transcript, content_key, request)
            try:
                file = await self._admit_and_run(deal)
            finally:
                wipe(content_key)
        finally:
            shelf.desk.release(agreement.offer_hash)
        await self._shop.keep_receipt(file)

    async def _admit_and_run(self, deal: Deal) -> ReceiptFile:
        offer, payment = deal.agreement.offer, deal.accept.payment
        for owner in self._owners(deal.accept):
            if objection := self._shop.debtors.objection(owner, self._shop.clock()):
                raise Refused(RefusalCode.PAYMENT.value, objection)
        await self._shop.open_jobs.make_way(self._stream.peer_id, payment.channel_address)
        channel = await self._shop.payee.admit(
            payment,
            deal.transcript,
            deal.accept.payer_signature,
            spendable_min=NanoTon(offer.spendable_min_nanoton),
        )
        with channel:
            refusal = deal.shelf.desk.begin(deal.agreement.offer_hash)
            if refusal is not None:
                raise Refused(refusal.code.value, refusal.detail)
            async with _borrowed(deal.shelf) as worker:
                job_input, request_hash = await self._input_of(deal)
                kind = deal.shelf.model.kind
                job = job_for_worker(kind, offer.limits, deal.request, job_input)
                return await self._run(deal, job, worker, JobTill(channel), request_hash)

    def _owners(self, accept: Accept) -> tuple[str, str]:
        """Return what the requester's record is kept under."""
        return self._stream.peer_id, accept.payment.payer_key.hex()

    async def _input_of(self, deal: Deal) -> tuple[JobInput, bytes]:
        """Receive the input; remember who took a slot and did not bring one."""
        try:
            return await self._read_input(deal)
        except (PeerUnavailable, PeerMisbehaved, RemoteProtocolError, Refused):
            for owner in self._owners(deal.accept):
                self._shop.debtors.wasted(owner, self._shop.clock())
            raise

    async def _read_input(self, deal: Deal) -> tuple[JobInput, bytes]:
        """Receive and open the input; its size was agreed, and is enforced here."""
        accept, limit_bytes = deal.accept, deal.request.input_bytes_max
        if accept.input_segments > segments_of(limit_bytes):
            raise Refused(RefusalCode.SIZE.value, f"more than {limit_bytes} bytes of input")
        opener = Opener(deal.content_key, deal.transcript, Direction.INPUT, accept.input_prefix)
        data = bytearray()
        with self._stream.patient(INPUT_PATIENCE_S) as scope:
            for index in range(accept.input_segments):
                segment = decode_from_requester(await self._stream.receive())
                if not isinstance(segment, InputSegment):
                    raise PeerMisbehaved("the input was cut off")
                data += opener.open(segment.data, last=index == accept.input_segments - 1)
                if len(data) > limit_bytes:
                    raise Refused(RefusalCode.SIZE.value, f"more than {limit_bytes} bytes of input")
                scope.deadline += len(segment.data) / INPUT_RATE_MIN_BYTES_PER_S
        if scope.cancelled_caught:
            raise PeerUnavailable("the input did not come in time")
        opener.finish()
        if opener.digest() != accept.input_hash:
            raise PeerMisbehaved("not the input that was announced")
        return decode_input(unpadded(bytes(data))), accept.input_hash

    # --- the job ---

    async def _run(
        self,
        deal: Deal,
        job: Job,
        worker: Worker,
        till: JobTill,
        request_hash: bytes,
    ) -> ReceiptFile:
        started_at = self._now_unix_s()
        offer, model = deal.agreement.offer, deal.shelf.model
        sealer = Sealer(deal.content_key, deal.transcript, Direction.OUTPUT)
        await self._send(Accepted(output_prefix=sealer.prefix))
        execution = Execution(
            stream=self._stream,
            worker=worker,
            job=job,
            lease=Lease(model.kind, offer.schedule, offer.limits),
            sealer=sealer,
            till=till,
            clock=self._shop.clock,
            deadline_unix_s=deal.request.deadline_unix_s,
            unpaid_timeout_s=self._shop.unpaid_timeout_s,
        )
        self._shop.tell("job_started", {"job": job.job_id, "model": model.name})
        try:
            signed = await self._work(deal, execution, request_hash, started_at)
        except JournalError:
            raise  # our disk, not their purse
        except (PeerMisbehaved, RemoteProtocolError, PaymentError):
            self._remember(deal, execution.lease)
            raise
        except WorkerFailed as error:
            code = RefusalCode.INPUT if error.bad_input else RefusalCode.INTERNAL
            raise Refused(code.value, str(error)) from error
        finally:
            self._tell_end(job.job_id, execution)
        self._remember(deal, execution.lease)
        deal.shelf.measured(execution.speed_milli_per_s)
        return self._receipt_file(deal, execution, signed)

    async def _work(
        self, deal: Deal, execution: Execution, request_hash: bytes, started_at_unix_s: int
    ) -> Signed:
        """Run the job; return our signed receipt.

        Raises:
            WorkerFailed: there is no result.
            PeerMisbehaved, RemoteProtocolError, PaymentError: the requester broke the rules.
        """
        async with open_private_nursery() as nursery:
            nursery.start_soon(execution.read_frames)
            await execution.run()
            receipt = self._receipt(deal, execution, request_hash, started_at_unix_s)
            signed = sign_receipt(self._shop.identity, self._shop.network, receipt)
            await self._finish(execution, signed)
            nursery.cancel_scope.cancel()
        execution.check_fault()
        return signed

    async def _finish(self, execution: Execution, receipt: Signed) -> None:
        """Send the receipt, then wait for the last voucher and the countersignature."""
        if execution.left:
            return
        try:
            if execution.finish is Finish.UNPAID:
                await self.refuse(RefusalCode.PAYMENT, "stopped: it was not paid in time")
                return
            await self._send(JobEnd(receipt=receipt))
        except PeerUnavailable as error:
            logger.info("the requester left before its receipt: %s", error)
            return
        with trio.move_on_after(self._shop.unpaid_timeout_s):
            await execution.wait_settled()
            with trio.move_on_after(COUNTERSIGN_TIMEOUT_S):
                await execution.wait_countersigned()

    def _remember(self, deal: Deal, lease: Lease) -> None:
        for owner in self._owners(deal.accept):
            self._shop.debtors.job_over(owner, lease, self._shop.clock())

    def _receipt(
        self, deal: Deal, execution: Execution, request_hash: bytes, started_at_unix_s: int
    ) -> Receipt:
        offer, model = deal.agreement.offer, deal.shelf.model
        view = JobView(
            transcript_hash=deal.transcript,
            provider=self._shop.identity.peer_id,
            requester=self._stream.peer_id,
            kind=model.kind,
            model_id=model.model_id,
            engine_id=model.engine_id,
            request_hash=request_hash,
            response_hash=execution.sealer.digest(),
            tier=offer.tier,
            evidence_id=offer.evidence_id,
            schedule=offer.schedule,
            meter=execution.lease.sent,
            payment=deal.accept.payment,
            kernel_hash=execution.kernel_hash,
        )
        return build_receipt(
            view,
            finish=execution.finish,
            started_at_unix_s=started_at_unix_s,
            finished_at_unix_s=self._now_unix_s(),
        )

    def _receipt_file(self, deal: Deal, execution: Execution, signed: Signed) -> ReceiptFile:
        """Return our copy of the receipt; without a countersignature it says so itself."""
        requester = self._stream.peer_id
        valid = is_countersigned(
            signed, execution.countersignature, network=self._shop.network, requester=requester
        )
        if execution.countersignature and not valid:
            logger.warning("%s sent a bad countersignature", requester)
        return ReceiptFile(
            version=VERSION,
            network=self._shop.network,
            statement=self._shop.statement(deal.agreement.offer.statement_id),
            offer=self._offered[deal.agreement.offer_hash].signed,
            job_nonce=deal.accept.job_nonce,
            receipt=signed,
            countersignature=execution.countersignature if valid else b"",
            voucher_signature=execution.voucher_signature,
        )

    def _tell_end(self, job_id: str, execution: Execution) -> None:
        """Tell the operator how the job ended, whichever way, and what was lost with it."""
        lease = execution.lease
        self._shop.tell(
            "job_ended",
            {
                "job": job_id,
                "finish": execution.finish.value,
                "cost_nanoton": lease.cost_nanoton,
                "paid_nanoton": lease.paid_nanoton,
                "lost_nanoton": lease.at_risk_nanoton,
                "output_tokens": lease.sent.output_tokens,
                "audio_ms": lease.sent.audio_ms,
                "gpu_ms": lease.sent.gpu_ms,
            },
        )


def _open_and_erase(key: SealKey, transcript: bytes, sealed_key: bytes) -> bytearray:
    """Open the content key; the one-time key is gone afterwards, whatever happened."""
    try:
        return open_content_key(key, transcript, sealed_key)
    finally:
        key.erase()


@asynccontextmanager
async def _borrowed(shelf: Shelf) -> AsyncIterator[Worker]:
    """Take an idle worker for the length of the block.

    Raises:
        Refused: none is free.
    """
    worker = shelf.pool.take()
    if worker is None:
        raise Refused(RefusalCode.BUSY.value, "no worker is free")
    shelf.job_started()
    try:
        yield worker
    finally:
        try:
            await shelf.pool.give_back(worker)
        finally:
            shelf.job_ended()
