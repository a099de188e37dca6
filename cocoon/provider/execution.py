"""Runs one accepted job: worker events in, sealed output out, vouchers in.

The billing rule is in `cocoon.provider.lease`. Three tasks share one `Execution`:
the reader of the requester's frames, the pump from worker to stream, and a clock
that ends the job when the requester stops paying or the deadline passes.
"""

import logging
from dataclasses import dataclass, field
from typing import Final, Protocol

import trio

from cocoon.clock import Clock
from cocoon.confidential.sealing import Sealer
from cocoon.errors import PeerMisbehaved
from cocoon.messages import (
    Cancel,
    Countersigned,
    Finish,
    Meter,
    OutputPiece,
    OutputSegment,
    SpeechPiece,
    VoucherMessage,
    decode_from_requester,
    encode,
)
from cocoon.provider.lease import Lease, chunk_units
from cocoon.provider.runner import Worker
from cocoon.provider.wire import JobEnded, JobEvent, JobStarted, RunChat, RunSpeech, TokensOut
from contracts.units import NanoTon
from overlay.errors import OverlayError
from overlay.transport import Stream

logger = logging.getLogger(__name__)

SEND_TIMEOUT_S: Final = 30.0
GRANTED_CHUNKS: Final = 2
"""The device computes at most this many chunks ahead of what is paid."""


class Till(Protocol):
    """Takes vouchers for one job: checks each and makes it durable."""

    async def receive(self, voucher: VoucherMessage) -> NanoTon:
        """Return what is paid of this job in all; raises PaymentError or PeerMisbehaved."""
        ...


class WorkerFailed(Exception):
    """The worker could not do the job; `bad_input` says whose fault it is."""

    def __init__(self, detail: str, *, bad_input: bool) -> None:
        super().__init__(detail)
        self.bad_input = bad_input


@dataclass(slots=True)
class Execution:
    """One running job. `run` it once; then `finish` says how it ended."""

    stream: Stream
    worker: Worker
    job: RunChat | RunSpeech
    lease: Lease
    sealer: Sealer
    till: Till
    clock: Clock
    deadline_unix_s: int
    unpaid_timeout_s: float
    finish: Finish = Finish.FAILED
    countersigned: trio.Event = field(default_factory=trio.Event)
    countersignature: bytes = b""
    voucher_signature: bytes = b""
    _meter: Meter = field(default_factory=Meter)
    _tokens: list[tuple[int, str]] = field(default_factory=list)
    _speech: list[SpeechPiece] = field(default_factory=list)
    _audio_ms: int = 0
    _paid: trio.Event = field(default_factory=trio.Event)
    _stop: Finish | None = None
    _left: bool = False

    # --- frames from the requester ---

    async def read_frames(self) -> None:
        """Handle vouchers, a cancel and the countersignature until the requester leaves.

        Raises:
            PeerMisbehaved, PaymentError: a wrong voucher, or a frame out of turn.
        """
        try:
            while True:
                await self._handle(decode_from_requester(await self.stream.receive()))
        except OverlayError as error:
            logger.info("the requester left: %s", error)
            await self._stop_with(Finish.CANCELLED)
            self._left = True
            self.countersigned.set()  # none will come; nobody shall wait for it
        finally:
            self._wake()

    async def _handle(self, message: object) -> None:
        match message:
            case VoucherMessage():
                self.lease.record_paid(await self.till.receive(message))
                self.voucher_signature = message.signature
                await self._grant_more()
                self._wake()
            case Cancel():
                await self._stop_with(Finish.CANCELLED)
            case Countersigned(signature=signature):
                self.countersignature = signature
                self.countersigned.set()
            case _:
                raise PeerMisbehaved(f"sent {type(message).__name__} in the middle of a job")

    async def _grant_more(self) -> None:
        chunk = chunk_units(self.lease.kind, self.lease.limits)
        if isinstance(self.job, RunChat):
            allowed = self.lease.sent.output_tokens + GRANTED_CHUNKS * chunk
            await self.worker.grant(self.job.job_id, allowed)

    async def _stop_with(self, finish: Finish) -> None:
        """Stop the device now; what has been sent until here is the job."""
        if self._stop is None:
            self._stop = finish
            await self.worker.cancel(self.job.job_id)
            self._wake()

    def _wake(self) -> None:
        self._paid.set()
        self._paid = trio.Event()

    async def settled_and_countersigned(self) -> None:
        """Wait until everything sent is paid and the requester has signed the receipt."""
        while not self.lease.settled and not self._left:
            await self._paid.wait()
        await self.countersigned.wait()

    # --- worker to stream ---

    async def run(self) -> None:
        """Run the job to its end and send the last output piece.

        Raises:
            WorkerFailed: no result can come; nothing more was sent.
            OverlayError: the requester is gone.
        """
        left_s = max(0.0, self.deadline_unix_s - self.clock())
        async with self.worker.run(self.job) as events:
            with trio.move_on_after(left_s) as scope:
                await self._pump(events)
            if scope.cancelled_caught:
                self._stop = Finish.DEADLINE
            await self._send_last()

    async def _pump(self, events: trio.MemoryReceiveChannel[JobEvent]) -> None:
        ended: JobEnded | None = None
        async for event in events:
            ended = self._take(event) or ended
            while ended is None and (more := _next_nowait(events)) is not None:
                ended = self._take(more) or ended
            await self._flush()
            if ended is not None or self._stop is not None:
                break
        if ended is None and self._stop is None:
            raise WorkerFailed("the worker process died", bad_input=False)
        if ended is not None and ended.finish is Finish.FAILED:
            raise WorkerFailed(ended.detail, bad_input=ended.bad_input)
        self.finish = ended.finish if ended is not None else Finish.CANCELLED
        if self.finish is not Finish.CANCELLED and self._audio_ms:
            self._meter = Meter(audio_ms=self._audio_ms)

    def _take(self, event: JobEvent) -> JobEnded | None:
        match event:
            case JobStarted(prompt_tokens=prompt_tokens, audio_ms=audio_ms):
                self._meter = Meter(prompt_tokens=prompt_tokens)
                self._audio_ms = audio_ms
            case TokensOut(token_ids=token_ids, text=text):
                texts = [text] + [""] * (len(token_ids) - 1)
                self._tokens += zip(token_ids, texts, strict=True)
            case JobEnded():
                return event
            case _:
                self._speech.append(event.piece)
        return None

    async def _flush(self) -> None:
        """Send what may be sent; wait for vouchers in between."""
        while (self._tokens or self._speech) and self._stop is None:
            await self._wait_for_room()
            if self._stop is None:
                await self._send_piece(self._cut())

    async def _wait_for_room(self) -> None:
        units = self._speech[0].end_ms - self._meter.audio_ms if self._speech else 1
        with trio.move_on_after(self.unpaid_timeout_s) as scope:
            while not self.lease.may_send(units) and self._stop is None:
                await self._paid.wait()
        if scope.cancelled_caught:
            await self._stop_with(Finish.UNPAID)

    def _cut(self) -> OutputPiece:
        """Take as much waiting output as one chunk allows, and meter it."""
        if self._speech:
            speech = self._speech.pop(0)
            self._meter = Meter(audio_ms=max(self._meter.audio_ms, speech.end_ms))
            return OutputPiece(meter=self._meter, speech=(speech,))
        room = max(1, self.lease.room())
        taken, self._tokens = self._tokens[:room], self._tokens[room:]
        self._meter = Meter(
            prompt_tokens=self._meter.prompt_tokens,
            output_tokens=self._meter.output_tokens + len(taken),
        )
        ids = tuple(token_id for token_id, _ in taken)
        return OutputPiece(meter=self._meter, token_ids=ids, text="".join(t for _, t in taken))

    async def _send_piece(self, piece: OutputPiece) -> None:
        last = piece.finish is not None
        data = self.sealer.seal(encode(piece), last=last)
        with trio.fail_after(SEND_TIMEOUT_S):
            await self.stream.send(encode(OutputSegment(data=data, last=last)))
        self.lease.record_sent(piece.meter)

    async def _send_last(self) -> None:
        """Close the output stream: the finish, and the final meter."""
        if self._stop is not None:
            self.finish = self._stop
            self._meter = self.lease.sent
        if self._left:
            return
        await self._send_piece(OutputPiece(meter=self._meter, finish=self.finish))


def _next_nowait(events: trio.MemoryReceiveChannel[JobEvent]) -> JobEvent | None:
    try:
        return events.receive_nowait()
    except (trio.WouldBlock, trio.EndOfChannel):
        return None
