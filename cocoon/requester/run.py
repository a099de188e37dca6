"""One accepted job on one provider: input out, output in, vouchers along the way, receipt.

When its connection is lost, a job with more than one segment of input, and any kernel's, goes
on over another (`overlay.transfer`): nothing that came is sent again, in either direction.

The requester pays as `cocoon.provider.lease` states. Reading and paying are two
tasks, so that a slow disk never holds up the text.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

import trio

from cocoon.confidential.sealing import Opener
from cocoon.errors import CocoonError, PeerMisbehaved, Refused
from cocoon.messages import (
    Accept,
    Accepted,
    Cancel,
    Countersigned,
    Finish,
    FromProvider,
    InputSegment,
    JobEnd,
    Message,
    OutputPiece,
    OutputSegment,
    Refusal,
    Resume,
    Resumed,
    SignedOffer,
    VoucherMessage,
    decode,
    decode_from_provider,
    encode,
)
from cocoon.nursery import open_private_nursery
from cocoon.requester.events import InputSent, JobProgress, Reconnected, Reconnecting
from cocoon.requester.meter import MeterWatch
from contracts.units import NanoTon
from overlay.errors import OverlayError, PeerUnavailable
from overlay.transfer.line import Line
from overlay.transport import Stream

logger = logging.getLogger(__name__)

ACCEPT_TIMEOUT_S: Final = 20.0
STALL_TIMEOUT_S: Final = 30.0
SEND_TIMEOUT_S: Final = 30.0
DARK_S: Final = 45.0
"""Longer than the overlay takes to see that a silent connection is dead (30 s)."""
OPEN_TIMEOUT_S: Final = 6.0
GREETING_S: Final = 15.0
VOUCHER_TIMEOUT_S: Final = 10.0
FAREWELL_S: Final = 4.0
RECONNECT_S: Final = 60.0
"""How long a lost connection is dialed again at most, over all losses in one job."""
RECONNECT_FIRST_S: Final = 10.0
"""So long in any case; else for as long as the job has lasted: others could begin it anew."""
TOLD_EVERY_S: Final = 5.0
"""So often a long upload says how far it is."""
OUTPUT_PIECE_BYTES_MAX: Final = 256 * 1024


class Purse(Protocol):
    """Pays for one job: adds to the channel's total, durably, before it returns."""

    async def pay(self, job_total: NanoTon) -> VoucherMessage:
        """Sign the voucher that brings what was paid for this job to *job_total*."""
        ...


Sink = Callable[[OutputPiece], Awaitable[None]]
Tell = Callable[[JobProgress], Awaitable[None]]
CheckReceipt = Callable[[JobEnd, MeterWatch, bytes, Finish], bytes]
"""(end, watch, response hash, finish) -> our countersignature; raises BadReceipt."""


async def _nobody(_event: JobProgress) -> None:
    await trio.lowlevel.checkpoint()


@dataclass(slots=True)
class RunningJob:
    """What a job needs while it runs; made by `cocoon.requester.service`.

    Attributes:
        line: to the provider.
        dial: opens another stream to it; None for a job that ends with its connection.
        tell: hears of the upload.
        finish: how the provider said that the job ended, with its last piece of output.
    """

    line: Line
    accept: Accept
    input_segments: list[bytes]
    open_output: Callable[[bytes], Opener]
    watch: MeterWatch
    purse: Purse
    check_receipt: CheckReceipt
    stall_timeout_s: float = STALL_TIMEOUT_S
    dial: Callable[[], Awaitable[Stream]] | None = None
    tell: Tell = _nobody
    finish: Finish | None = None
    vouchers: list[VoucherMessage] = field(default_factory=list)
    end: JobEnd | None = None
    countersignature: bytes = b""
    _sent_bytes: int = 0
    _dialing: bool = False
    _payment_due: trio.Event = field(default_factory=trio.Event)
    _due: NanoTon | None = None
    _ended: bool = False
    _leaving: bool = False
    """We were cancelled, and have said so; what the provider says now is the end of the job."""

    async def _send(self, message: Message) -> None:
        with self.line.patient(SEND_TIMEOUT_S if self.dial is None else DARK_S):
            await self.line.send(encode(message))
            return
        raise PeerUnavailable("the provider does not read")

    async def _send_whole(self, message: Message) -> None:
        """Send even when cancelled: half a frame would end the stream, and the job with it."""
        await self.line.until_up()
        with trio.CancelScope(shield=True, deadline=trio.current_time() + VOUCHER_TIMEOUT_S):
            await self._send(message)
            return
        raise PeerUnavailable("the provider does not read")

    async def _receive(self, timeout_s: float, waiting_for: str) -> FromProvider:
        with self.line.patient(timeout_s):
            return decode_from_provider(await self.line.receive())
        raise PeerUnavailable(f"no {waiting_for} within {timeout_s:.0f} s")

    # --- the three steps ---

    async def start(self) -> bytes:
        """Accept the offer and hand over the input; return the output's nonce prefix.

        Raises:
            Refused: the provider will not start, with its typed reason.
            OverlayError: it went away, or spoke out of turn.
        """
        await self._send(self.accept)
        if self.dial is None:
            await self._send_input()
            answer = await self._receive(ACCEPT_TIMEOUT_S, "acceptance")
        else:
            answer = await self._start_resumably()
        if isinstance(answer, SignedOffer):  # to a counter-offer that we stopped waiting for
            self.line.disown()
            answer = await self._receive(ACCEPT_TIMEOUT_S, "acceptance")
        if isinstance(answer, Refusal):
            raise Refused(answer.code.value, answer.detail)
        if not isinstance(answer, Accepted):
            raise PeerMisbehaved(f"answered an acceptance with {type(answer).__name__}")
        return answer.output_prefix

    async def _start_resumably(self) -> FromProvider:
        """Hand over the input, over several connections if need be."""
        self.line.begin(RECONNECT_S, first_s=RECONNECT_FIRST_S, dial=self._dial, greet=self._greet)
        try:
            await self._send_input()
            return await self._receive(DARK_S, "acceptance")
        except PeerUnavailable as error:
            how_far = f"{self._sent_bytes} of {self._input_bytes} bytes of input were sent"
            raise PeerUnavailable(f"{how_far}, and then: {error}") from error

    async def _send_input(self) -> None:
        told_s = trio.current_time()
        for segment in self.input_segments:
            await self._send(InputSegment(data=segment))
            self._sent_bytes += len(segment)
            if trio.current_time() - told_s >= TOLD_EVERY_S:
                told_s = trio.current_time()
                await self.tell(InputSent(self._sent_bytes, self._input_bytes))

    @property
    def _input_bytes(self) -> int:
        return sum(map(len, self.input_segments))

    async def _dial(self) -> Stream:
        if self.dial is None:
            raise PeerUnavailable("this job ends with its connection")
        if not self._dialing:
            self._dialing = True
            await self.tell(Reconnecting(self.line.peer_id))
        with trio.fail_after(OPEN_TIMEOUT_S):
            return await self.dial()

    async def _greet(self, stream: Stream, received: int) -> int:
        """Say which job we come back to; return how many of our frames its provider has.

        Raises:
            Refused: it does not know the job any more.
        """
        with trio.fail_after(GREETING_S):
            resume = Resume(input_hash=self.accept.input_hash, received=received)
            await stream.send(encode(resume))
            answer = decode_from_provider(await stream.receive())
        if isinstance(answer, Refusal):
            raise Refused(answer.code.value, f"it cannot be gone on with: {answer.detail}")
        if not isinstance(answer, Resumed):
            raise PeerMisbehaved(f"answered our return with {type(answer).__name__}")
        self._dialing = False
        await self.tell(Reconnected(self.line.peer_id))
        return answer.received

    async def stream_output(self, prefix: bytes, sink: Sink) -> None:
        """Pass output to *sink* until the job ends, paying chunk by chunk.

        Cancelling tells the provider to stop, pays for what was received, and
        collects the receipt, within `FAREWELL_S`.

        Raises:
            OverlayError, PeerMisbehaved, BadReceipt, PaymentError: see `watch` and `purse`.
        """
        opener = self.open_output(prefix)
        try:
            await self._exchange(opener, sink)
        except trio.Cancelled:
            await self._say_goodbye(opener)
            raise
        with trio.CancelScope(shield=True, deadline=trio.current_time() + FAREWELL_S):
            await self._finish(opener)
        await trio.lowlevel.checkpoint()
        if not self.countersignature:
            raise PeerUnavailable("the job could not be paid and closed in time")

    async def _exchange(self, opener: Opener, sink: Sink) -> None:
        """Read output and pay for it until the provider's last word."""
        async with open_private_nursery() as nursery:
            nursery.start_soon(self._pay_when_due)
            # Shielded: a cancelled read would cost us the receipt. `_stop_politely`
            # turns a cancellation into a message and a deadline instead.
            with trio.CancelScope(shield=True) as reading:
                nursery.start_soon(self._stop_politely, reading)
                try:
                    await self._read_output(opener, sink)
                except (OverlayError, CocoonError) as error:
                    if not self._leaving:
                        raise
                    logger.info("the provider ended a cancelled job: %s", error)
                finally:
                    self._ended = True
            nursery.cancel_scope.cancel()

    async def _say_goodbye(self, opener: Opener) -> None:
        """Finish a job that we have cancelled; that it fails changes nothing any more."""
        with trio.CancelScope(shield=True, deadline=trio.current_time() + FAREWELL_S):
            try:
                await self._finish(opener)
            except (OverlayError, CocoonError) as error:
                logger.info("a cancelled job has no receipt: %s", error)

    async def _stop_politely(self, reading: trio.CancelScope) -> None:
        """When we are cancelled in mid-job, stop the device and leave the reader a moment."""
        try:
            await trio.sleep_forever()
        finally:
            if not self._ended:
                self._leaving = True
                reading.deadline = trio.current_time() + FAREWELL_S
                with trio.CancelScope(shield=True, deadline=reading.deadline):
                    await self._try_send(Cancel())

    async def _read_output(self, opener: Opener, sink: Sink) -> None:
        while True:
            message = await self._receive(self.stall_timeout_s, "output")
            if isinstance(message, JobEnd):
                self.end = message
                return
            if isinstance(message, Refusal):
                raise Refused(message.code.value, message.detail)
            if not isinstance(message, OutputSegment):
                raise PeerMisbehaved(f"sent {type(message).__name__} in the middle of a job")
            await sink(self._open_piece(message, opener))

    def _open_piece(self, segment: OutputSegment, opener: Opener) -> OutputPiece:
        plain = opener.open(segment.data, last=segment.last)
        piece = decode(OutputPiece, plain, size_bytes_max=OUTPUT_PIECE_BYTES_MAX)
        if segment.last != (piece.finish is not None):
            raise PeerMisbehaved(
                "the last piece of output must say how the job ended, and no other"
            )
        self.watch.receive(piece)
        self.finish = piece.finish
        if piece.finish is None:
            self._ask_payment(self.watch.take_due(ended=False))
        return piece

    # --- paying ---

    def _ask_payment(self, due: NanoTon | None) -> None:
        if due is not None:
            self._due = due
            self._payment_due.set()

    async def _pay_when_due(self) -> None:
        while True:
            await self._payment_due.wait()
            self._payment_due = trio.Event()
            await self._pay_now()

    async def _pay_now(self) -> None:
        """Sign and send the newest amount due.

        Safe to cancel anywhere: an amount stays due until its voucher has been sent,
        and the purse gives the same voucher again for the same amount.
        """
        while (due := self._due) is not None:
            voucher = await self.purse.pay(due)
            if voucher not in self.vouchers:
                self.vouchers.append(voucher)
            await self._send_whole(voucher)
            if self._due == due:
                self._due = None

    # --- the end ---

    async def _finish(self, opener: Opener) -> None:
        """Check the receipt, pay the last chunk, countersign."""
        if self.end is None or self.finish is None:
            await self._pay_what_came()
            raise PeerUnavailable("the job ended without a receipt")
        opener.finish()
        signature = self.check_receipt(self.end, self.watch, opener.digest(), self.finish)
        self._due = self.watch.take_due(ended=True) or self._due
        await self._pay_now()
        self.countersignature = signature
        await self._try_send(Countersigned(signature=signature))

    async def _pay_what_came(self) -> None:
        """Only a cancelled job comes here: we left, and so we pay what we got."""
        self._due = self.watch.take_due(ended=True) or self._due
        try:
            await self._pay_now()
        except (OverlayError, Refused) as error:
            logger.info("the provider left before its last voucher: %s", error)

    async def _try_send(self, message: Message) -> None:
        """Send what the peer would like to have and we do not depend on."""
        try:
            await self._send_whole(message)
        except (OverlayError, Refused) as error:
            logger.info("the provider left early: %s", error)
