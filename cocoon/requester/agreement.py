"""From an agreed offer to a job that can run: transcript, sealed input, purse, receipt check."""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec
import trio

from cocoon.clock import Clock
from cocoon.confidential.sealing import (
    Direction,
    Opener,
    Sealer,
    seal_content_key,
    seal_input,
    wipe,
)
from cocoon.confidential.transcript import transcript_hash
from cocoon.errors import PeerMisbehaved
from cocoon.kinds import outlives_connection
from cocoon.messages import (
    VERSION,
    Accept,
    Finish,
    JobEnd,
    Kind,
    Limits,
    ModelOnOffer,
    PaymentRef,
    VoucherMessage,
    encode,
    message_hash,
)
from cocoon.payments.payer import PayerChannel
from cocoon.receipts import JobView, ReceiptFile, check_receipt, countersign, save_receipt
from cocoon.requester.meter import MeterWatch
from cocoon.requester.plan import (
    AUDIO_HEADER_SLACK_MS,
    JobRequest,
    KernelRequest,
    Progress,
    SpeechRequest,
    class_of,
    output_tokens_left,
    prompt_tokens_max,
    remaining_input,
)
from cocoon.requester.run import RunningJob, Tell
from cocoon.requester.talks import Agreed
from contracts.units import NanoTon
from kernels.custom import kernel_hash
from kernels.custom.job import output_bytes
from overlay.identity import Identity
from overlay.transport import Stream


class ChannelPurse:
    """Pays for one job from one channel: totals of the job become totals of the channel."""

    def __init__(self, channel: PayerChannel, payment: PaymentRef, part_id: str) -> None:
        self._channel = channel
        self._before = payment.signed_total_nanoton
        self._part_id = part_id

    async def pay(self, job_total: NanoTon) -> VoucherMessage:
        """Sign the voucher that brings what was paid for this job to *job_total*; durable."""
        return await self._channel.pay(NanoTon(self._before + job_total), self._part_id)


@dataclass(frozen=True, slots=True)
class ReceiptDesk:
    """Checks the provider's receipt against what we saw ourselves, and countersigns it."""

    view: JobView
    network: str
    identity: Identity
    clock: Clock
    begun_unix_s: int

    def check(self, end: JobEnd, watch: MeterWatch, response_hash: bytes, finish: Finish) -> bytes:
        """Return our countersignature.

        Raises:
            BadReceipt: a binding does not hold.
        """
        view = msgspec.structs.replace(self.view, response_hash=response_hash, meter=watch.seen)
        check_receipt(
            end.receipt,
            view,
            network=self.network,
            now_unix_s=int(self.clock()),
            begun_unix_s=self.begun_unix_s,
            finish=finish,
        )
        return countersign(self.identity, self.network, end.receipt).signature


@dataclass(frozen=True, slots=True)
class Prepared:
    """A job ready to run, and what is needed to keep its receipt."""

    running: RunningJob
    agreed: Agreed
    network: str
    content_key: bytearray

    def forget_key(self) -> None:
        """Overwrite the job's content key: nothing is sealed or opened from here on."""
        wipe(self.content_key)

    async def save(self, directory: Path) -> Path:
        """Write the receipt with everything that makes it checkable offline."""
        running = self.running
        if running.end is None:
            raise PeerMisbehaved("no receipt came")
        last = running.vouchers[-1].signature if running.vouchers else b""
        file = ReceiptFile(
            version=VERSION,
            network=self.network,
            statement=self.agreed.signed_statement,
            offer=self.agreed.signed_offer,
            job_nonce=running.accept.job_nonce,
            receipt=running.end.receipt,
            countersignature=running.countersignature,
            voucher_signature=last,
        )
        return await trio.to_thread.run_sync(save_receipt, directory, file)


def _model_of(agreed: Agreed, request: JobRequest) -> ModelOnOffer:
    """Return the statement's entry for what was asked.

    Raises:
        PeerMisbehaved: the statement does not have it.
    """
    wanted = class_of(request)
    for model in agreed.statement.models:
        if f"{model.kind.value}/{model.model_id.hex()}" == wanted:
            return model
    raise PeerMisbehaved("its statement does not list the model that it offers")


def _watch(agreed: Agreed, request: JobRequest, progress: Progress, limits: Limits) -> MeterWatch:
    if isinstance(request, SpeechRequest):
        return MeterWatch(
            kind=Kind.TRANSCRIBE,
            schedule=agreed.offer.schedule,
            limits=limits,
            prompt_tokens_max=0,
            output_tokens_max=0,
            audio_ms_max=_audio_ms_left(request, progress),
            skip_ms=progress.skip_ms,
        )
    if isinstance(request, KernelRequest):
        return MeterWatch(
            kind=Kind.KERNEL,
            schedule=agreed.offer.schedule,
            limits=limits,
            prompt_tokens_max=0,
            output_tokens_max=0,
            audio_ms_max=0,
            kernel_ms_max=request.job.limits.time_ms,
            output_bytes=output_bytes(request.job),
        )
    return MeterWatch(
        kind=Kind.CHAT,
        schedule=agreed.offer.schedule,
        limits=limits,
        prompt_tokens_max=prompt_tokens_max(request, progress),
        output_tokens_max=output_tokens_left(request, progress),
        audio_ms_max=0,
    )


def _audio_ms_left(request: SpeechRequest, progress: Progress) -> int:
    return max(0, request.duration_ms - progress.skip_ms) + AUDIO_HEADER_SLACK_MS


def _transcript(agreed: Agreed, nonce: bytes, payment: PaymentRef) -> bytes:
    signed = agreed.signed_offer
    return transcript_hash(agreed.offer.statement_id, signed.body, signed.signature, nonce, payment)


async def prepare(
    agreed: Agreed,
    channel: PayerChannel,
    *,
    request: JobRequest,
    progress: Progress,
    identity: Identity,
    network: str,
    clock: Clock,
    part_id: str,
    stall_timeout_s: float,
    dial: Callable[[], Awaitable[Stream]],
    tell: Tell,
) -> Prepared:
    """Seal the input for the provider and bind everything in the transcript hash.

    The caller ends with `Prepared.forget_key`. *dial* opens another stream to the provider,
    and *tell* hears of the upload.

    Raises:
        PeerMisbehaved: the offer's sealing key is not one, or the statement does not
            list the model.
    """
    model = _model_of(agreed, request)
    watch = _watch(agreed, request, progress, agreed.offer.limits)
    offer, payment, nonce = agreed.offer, channel.ref, secrets.token_bytes(16)
    transcript = _transcript(agreed, nonce, payment)
    content_key, sealed_key = seal_content_key(offer.seal_key, transcript)
    sealer = Sealer(content_key, transcript, Direction.INPUT)
    plain = encode(remaining_input(request, progress))
    segments = await trio.to_thread.run_sync(seal_input, plain, sealer)  # 0.25 s for 64 MiB
    accept = Accept(
        offer_hash=message_hash(agreed.signed_offer.body),
        job_nonce=nonce,
        payment=payment,
        sealed_key=sealed_key,
        payer_signature=channel.sign_transcript(transcript),
        input_segments=len(segments),
        input_prefix=sealer.prefix,
        input_hash=sealer.digest(),
    )
    view = JobView(
        transcript_hash=transcript,
        provider=agreed.peer,
        requester=identity.peer_id,
        kind=model.kind,
        model_id=model.model_id,
        engine_id=model.engine_id,
        request_hash=accept.input_hash,
        response_hash=bytes(32),
        tier=offer.tier,
        evidence_id=offer.evidence_id,
        schedule=offer.schedule,
        meter=watch.seen,
        payment=payment,
        kernel_hash=kernel_hash(request.job) if isinstance(request, KernelRequest) else b"",
    )
    running = RunningJob(
        line=agreed.line,
        accept=accept,
        input_segments=segments,
        open_output=partial(Opener, content_key, transcript, Direction.OUTPUT),
        watch=watch,
        purse=ChannelPurse(channel, payment, part_id),
        check_receipt=ReceiptDesk(view, network, identity, clock, int(clock())).check,
        stall_timeout_s=stall_timeout_s,
        dial=dial if outlives_connection(model.kind, len(segments)) else None,
        tell=tell,
    )
    return Prepared(running, agreed, network, content_key)
