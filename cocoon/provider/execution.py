"""Runs one accepted job: worker events in, sealed output out, vouchers in.

The billing rule is in `cocoon.provider.lease`. Three tasks share one `Execution`:
the reader of the requester's frames, the pump from worker to stream, and a clock
that ends the job when the requester stops paying or the deadline passes.
"""

import logging
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field
from typing import Final, Protocol

import trio

from cocoon.clock import Clock
from cocoon.confidential.sealing import Sealer
from cocoon.errors import PaymentError, PeerMisbehaved
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
from cocoon.nursery import open_private_nursery
from cocoon.provider.lease import Lease
from cocoon.provider.results import KernelOutput
from cocoon.provider.runner import WorkerDied
from cocoon.provider.wire import (
    Job,
    JobEnded,
    JobEvent,
    JobStarted,
    RunKernel,
    RunSpeech,
    SpeechOut,
    TokensOut,
)
from contracts.units import NanoTon
from overlay.errors import PeerUnavailable, RemoteProtocolError
from overlay.transport import Stream

logger = logging.getLogger(__name__)

SEND_TIMEOUT_S: Final = 30.0
PIECE_TEXT_MAX: Final = 16 * 1024
"""Characters; a sealed segment holds 256 KiB."""
NOTE_MAX: Final = 500
GRANTED_CHUNKS: Final = 2
"""The device computes at most this many chunks ahead of what is paid."""
PATIENCE_BACK_S: Final = 5.0
"""What each voucher adds to the patience with its payer: who pays each voucher just before
it would be too late shall not keep a slot all day for the price of one answer."""


class JobWorker(Protocol):
    """What runs the job: `cocoon.provider.runner.Worker`."""

    def run(self, job: Job) -> AbstractAsyncContextManager[trio.MemoryReceiveChannel[JobEvent]]:
        """Run a job for the length of the block; raises WorkerDied."""
        ...

    async def grant(self, job_id: str, units: int) -> None:
        """Let the job produce up to *units* in all; raises WorkerDied."""
        ...

    async def cancel(self, job_id: str) -> None:
        """Stop the job; raises WorkerDied."""
        ...


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
    worker: JobWorker
    job: Job
    lease: Lease
    sealer: Sealer
    till: Till
    clock: Clock
    deadline_unix_s: int
    unpaid_timeout_s: float
    finish: Finish = Finish.FAILED
    left: bool = False
    """The requester is gone; nothing more can be sent or will be paid."""
    fault: PeerMisbehaved | RemoteProtocolError | PaymentError | None = None
    """What the requester did wrong; nothing more of it is believed."""
    countersignature: bytes = b""
    voucher_signature: bytes = b""
    speed_milli_per_s: int = 0
    kernel_hash: bytes = b""
    _note: str = ""
    """Why a kernel failed."""
    _kernel: KernelOutput = field(default_factory=KernelOutput)
    _meter: Meter = field(default_factory=Meter)
    _tokens: list[tuple[int, str]] = field(default_factory=list)
    _speech: list[SpeechPiece] = field(default_factory=list)
    _audio_ms: int = 0
    _silence_until_ms: int = 0
    _granted: int = 0
    _changed: trio.Event = field(default_factory=trio.Event)
    _waiting: trio.CancelScope = field(default_factory=trio.CancelScope)
    _waited_s: float = 0.0
    """For vouchers, in all."""
    _stop: Finish | None = None

    # --- frames from the requester ---

    async def read_frames(self) -> None:
        """Handle vouchers, a cancel and the countersignature until the requester leaves.

        A wrong voucher or a frame out of turn ends the job: see `fault`. It is not
        raised here, for that would cut off the frame that is being sent.
        """
        try:
            while True:
                await self._handle(decode_from_requester(await self.stream.receive()))
        except PeerUnavailable as error:
            await self._requester_left(error)
        except (PeerMisbehaved, RemoteProtocolError, PaymentError) as error:
            self.fault = error
            await self._stop_with(Finish.FAILED)
            self._wake()

    async def _requester_left(self, error: PeerUnavailable) -> None:
        logger.info("the requester left: %s", error)
        self.left = True
        await self._stop_with(Finish.CANCELLED)
        self._wake()

    async def _handle(self, message: object) -> None:
        match message:
            case VoucherMessage():
                self.lease.record_paid(await self.till.receive(message))
                self.voucher_signature = message.signature
                await self._grant_more()
            case Cancel():
                await self._stop_with(Finish.CANCELLED)
            case Countersigned(signature=signature):
                self.countersignature = signature
            case _:
                raise PeerMisbehaved(f"sent {type(message).__name__} in the middle of a job")
        self._wake()

    async def _grant_more(self) -> None:
        """Let the device go on, whenever more is paid (or costs nothing)."""
        units = self.lease.computable(GRANTED_CHUNKS)
        if units > self._granted:
            self._granted = units
            with suppress(WorkerDied):  # the end of its events tells
                await self.worker.grant(self.job.job_id, units)

    async def _stop_with(self, finish: Finish) -> None:
        """Stop the device now; what has been sent until here is the job."""
        if self._stop is None:
            self._stop = finish
            self._waiting.cancel()
            self._wake()
            with suppress(WorkerDied):
                await self.worker.cancel(self.job.job_id)

    def _wake(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    async def wait_settled(self) -> None:
        """Wait until everything sent is paid, or nothing more will come."""
        while not self.lease.settled and not self._is_over():
            await self._changed.wait()

    async def wait_countersigned(self) -> None:
        """Wait until the requester has signed the receipt, or nothing more will come."""
        while not self.countersignature and not self._is_over():
            await self._changed.wait()

    def _is_over(self) -> bool:
        return self.left or self.fault is not None

    def check_fault(self) -> None:
        """Raise what the requester did wrong.

        Raises:
            PeerMisbehaved, RemoteProtocolError: a wrong voucher, or a frame out of turn.
            PaymentError: the channel cannot pay.
        """
        if self.fault is not None:
            raise self.fault

    # --- worker to stream ---

    async def run(self) -> None:
        """Run the job to its end and send the last output piece.

        A requester that leaves ends it, too: see `left`.

        Raises:
            WorkerFailed: no result can come; nothing more was sent.
            PeerMisbehaved, RemoteProtocolError, PaymentError: see `check_fault`.
        """
        try:
            await self._produce()
            self.check_fault()
            await self._send_last()
        except PeerUnavailable as error:
            await self._requester_left(error)
            self.finish = self._stop or Finish.CANCELLED
        except WorkerDied as error:
            raise WorkerFailed(str(error), bad_input=False) from error

    async def _produce(self) -> None:
        left_s = max(0.0, self.deadline_unix_s - self.clock())
        async with open_private_nursery() as nursery, self.worker.run(self.job) as events:
            nursery.start_soon(self._stop_after, left_s)
            await self._pump(events)
            nursery.cancel_scope.cancel()

    async def _stop_after(self, left_s: float) -> None:
        # Not a cancellation: a frame that is cut off in the middle ends the stream.
        await trio.sleep(left_s)
        await self._stop_with(Finish.DEADLINE)

    async def _pump(self, events: trio.MemoryReceiveChannel[JobEvent]) -> None:
        ended: JobEnded | None = None
        while ended is None and (event := await self._next_event(events)) is not None:
            ended = self._take(event)
            while ended is None and (more := _next_nowait(events)) is not None:
                ended = self._take(more)
            if ended is None or ended.finish is not Finish.FAILED:
                await self._flush()
        if self._stop is not None:
            return
        if ended is None:
            raise WorkerFailed("the worker process died", bad_input=False)
        if ended.finish is Finish.FAILED:
            raise WorkerFailed(ended.detail, bad_input=ended.bad_input)
        self.finish, self.speed_milli_per_s = ended.finish, ended.speed_milli_per_s
        self._note = ended.detail

    async def _next_event(self, events: trio.MemoryReceiveChannel[JobEvent]) -> JobEvent | None:
        """Return the next event; None when the worker died or the job was stopped."""
        if self._stop is not None:
            return None
        with trio.CancelScope() as self._waiting, suppress(trio.EndOfChannel):
            return await events.receive()
        return None

    def _take(self, event: JobEvent) -> JobEnded | None:
        match event:
            case JobStarted(prompt_tokens=prompt_tokens, audio_ms=audio_ms):
                self._meter = Meter(prompt_tokens=prompt_tokens)
                self._audio_ms = audio_ms
                self.kernel_hash = event.kernel_hash
            case TokensOut(token_ids=token_ids, texts=texts):
                self._tokens += zip(token_ids, texts, strict=True)
            case JobEnded(finish=finish):
                if finish is Finish.STOP:
                    self._silence_until_ms = self._audio_ms
                return event
            case SpeechOut(piece=piece):
                self._speech.append(piece)
            case _:
                self._kernel.take(event)
        return None

    async def _flush(self) -> None:
        """Send what may be sent; wait for vouchers in between."""
        while self._stop is None and self._is_waiting():
            await self._wait_for_room()
            if self._stop is None:
                await self._send_piece(self._cut())
                await self._grant_more()

    def _is_waiting(self) -> bool:
        if isinstance(self.job, RunKernel):
            return self._kernel.is_waiting(self._meter)
        return bool(self._tokens or self._speech) or self._billed_until() > self._meter.audio_ms

    def _billed_until(self) -> int:
        """Return up to where the audio may be billed next; what was skipped is free."""
        if not isinstance(self.job, RunSpeech):
            return 0
        end_ms = self._speech[0].end_ms if self._speech else self._silence_until_ms
        return end_ms - self.job.skip_ms

    async def _wait_for_room(self) -> None:
        earned_s = PATIENCE_BACK_S * self.lease.vouchers_earned
        patience_s = self.unpaid_timeout_s + min(0.0, earned_s - self._waited_s)
        begun_s = trio.current_time()
        with trio.move_on_after(max(0.0, patience_s)):
            while not self.lease.room() and self._stop is None:
                await self._changed.wait()
            self._waited_s += trio.current_time() - begun_s
            return
        await self._stop_with(Finish.UNPAID)

    def _cut(self) -> OutputPiece:
        """Take as much waiting output as one chunk allows, and meter it."""
        room = self.lease.room()
        if isinstance(self.job, RunSpeech):
            return self._cut_speech(room)
        if isinstance(self.job, RunKernel):
            piece = self._kernel.cut(self._meter, room)
            self._meter = piece.meter
            return piece
        count = _fitting(self._tokens[:room])
        taken, self._tokens = self._tokens[:count], self._tokens[count:]
        self._meter = Meter(
            prompt_tokens=self._meter.prompt_tokens,
            output_tokens=self._meter.output_tokens + len(taken),
        )
        ids = tuple(token_id for token_id, _ in taken)
        return OutputPiece(meter=self._meter, token_ids=ids, text="".join(t for _, t in taken))

    def _cut_speech(self, room_ms: int) -> OutputPiece:
        """Advance through the audio; the text comes once its end is reached."""
        end_ms, at_ms = self._billed_until(), self._meter.audio_ms
        self._meter = Meter(audio_ms=max(at_ms, min(end_ms, at_ms + room_ms)))
        if self._meter.audio_ms < end_ms or not self._speech:
            return OutputPiece(meter=self._meter)
        return OutputPiece(meter=self._meter, speech=(self._speech.pop(0),))

    async def _send_piece(self, piece: OutputPiece) -> None:
        last = piece.finish is not None
        data = self.sealer.seal(encode(piece), last=last)
        with trio.move_on_after(SEND_TIMEOUT_S) as scope:
            await self.stream.send(encode(OutputSegment(data=data, last=last)))
        if scope.cancelled_caught:
            raise PeerUnavailable("the requester does not read")
        self.lease.record_sent(piece.meter)

    async def _send_last(self) -> None:
        """Close the output stream: the finish, and the final meter."""
        if self._stop is not None:
            self.finish = self._stop
            self._meter = self.lease.sent
        if not self.left:
            note = self._note[:NOTE_MAX]
            await self._send_piece(OutputPiece(meter=self._meter, finish=self.finish, note=note))


def _fitting(tokens: list[tuple[int, str]]) -> int:
    """Return how many tokens, at least one, a piece holds without growing too long."""
    total = 0
    for count, (_, text) in enumerate(tokens):
        total += len(text)
        if count and total > PIECE_TEXT_MAX:
            return count
    return len(tokens)


def _next_nowait(events: trio.MemoryReceiveChannel[JobEvent]) -> JobEvent | None:
    try:
        return events.receive_nowait()
    except (trio.WouldBlock, trio.EndOfChannel):
        return None
