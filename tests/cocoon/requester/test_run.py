"""One job of a requester: leaving it ends it, whatever its provider says to that."""

import pytest
import trio

from cocoon.confidential.sealing import Direction, Opener, Sealer
from cocoon.messages import (
    Cancel,
    Kind,
    Limits,
    PriceSchedule,
    Refusal,
    RefusalCode,
    decode_from_requester,
    encode,
)
from cocoon.requester.meter import MeterWatch
from cocoon.requester.run import RunningJob
from overlay.errors import PeerUnavailable
from overlay.transfer.line import Line

KEY, TRANSCRIPT = bytearray(b"k" * 32), b"t" * 32
REFUSAL = encode(Refusal(code=RefusalCode.PROTOCOL, detail="out of turn"))


class AnswersCancel:
    """A provider that says nothing until it is told to stop, and then no good word."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer
        self._cancelled = trio.Event()
        self.is_waiting = trio.Event()

    async def send(self, frame: bytes) -> None:
        if isinstance(decode_from_requester(frame), Cancel):
            self._cancelled.set()
        await trio.lowlevel.checkpoint()

    async def receive(self) -> bytes:
        self.is_waiting.set()
        await self._cancelled.wait()
        if not self._answer:
            raise PeerUnavailable("gone")
        return self._answer


@pytest.mark.parametrize("answer", [REFUSAL, b"nonsense", b""], ids=["refuses", "lies", "leaves"])
async def test_leaving_a_job_is_a_cancellation_whatever_is_said_to_it(answer) -> None:
    """And no group of errors, which nobody who buys looks for."""
    stream = AnswersCancel(answer)
    running = RunningJob(
        line=Line(stream),  # type: ignore[arg-type]  # as much of a stream as is used
        accept=None,  # type: ignore[arg-type]  # the job was accepted before
        input_segments=[],
        open_output=lambda prefix: Opener(KEY, TRANSCRIPT, Direction.OUTPUT, prefix),
        watch=MeterWatch(
            kind=Kind.CHAT,
            schedule=PriceSchedule(),
            limits=Limits(chunk_tokens=4),
            prompt_tokens_max=10,
            output_tokens_max=10,
            audio_ms_max=0,
        ),
        purse=None,  # type: ignore[arg-type]  # nothing comes that would be paid
        check_receipt=lambda *_: b"",
    )

    async def take(_piece) -> None:
        raise AssertionError("nothing was sent")

    prefix = Sealer(KEY, TRANSCRIPT, Direction.OUTPUT).prefix
    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(running.stream_output, prefix, take)
            await stream.is_waiting.wait()
            scope.cancel()
    assert scope.cancelled_caught
