"""What a kernel has used and written and its buyer has not got yet. Pure.

While it runs, pieces carry the meter alone. When it is over, its result and the rest of
the bill go out together, in proportion: after half of the bill half of the bytes. So what
one side can lose to the other stays one chunk, for as long as there is something to send.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from cocoon.messages import Meter, OutputPiece
from cocoon.provider.wire import KernelDone, KernelEvent, KernelOut, KernelTick

TICKS_QUIET_MAX: Final = 20
"""After so many ticks (5 s) a sign of life goes out: the buyer must not think that we are dead."""
PIECE_DATA_BYTES: Final = 192 * 1024
"""Bytes of a result in one piece; a sealed segment holds 256 KiB."""


@dataclass(slots=True)
class KernelOutput:
    """The result of one kernel on its way; `take` what comes, `cut` what goes."""

    piece_bytes_max: int = PIECE_DATA_BYTES
    _metered_ms: int = 0
    _step: str = ""
    _step_told: str = ""
    _quiet_ticks: int = 0
    _total_bytes: int | None = None
    """Of the result; None while the kernel runs."""
    _sent_bytes: int = 0
    _waiting_bytes: int = 0
    _parts: deque[memoryview] = field(default_factory=deque)

    def take(self, event: KernelEvent) -> None:
        """Take in what the worker says."""
        match event:
            case KernelTick(step=step, metered_ms=metered_ms):
                self._step = step
                self._quiet_ticks += 1
                self._metered_ms = max(self._metered_ms, metered_ms)
            case KernelDone(metered_ms=metered_ms, output_bytes=output_bytes):
                self._metered_ms = max(self._metered_ms, metered_ms)
                self._total_bytes = output_bytes
            case KernelOut(data=data):
                self._parts.append(memoryview(data))
                self._waiting_bytes += len(data)

    def is_waiting(self, sent: Meter) -> bool:
        """Return whether there is anything to say now; *sent* is the meter told last."""
        if self._total_bytes is None:
            news = self._metered_ms > sent.gpu_ms or self._step != self._step_told
            return news or self._quiet_ticks >= TICKS_QUIET_MAX
        rest = self._sent_bytes == self._total_bytes and self._metered_ms > sent.gpu_ms
        return bool(self._waiting_bytes) or rest

    def cut(self, sent: Meter, room_ms: int) -> OutputPiece:
        """Return the next piece; its meter is at most *room_ms* above the one told last."""
        self._quiet_ticks = 0
        reach = min(self._metered_ms, sent.gpu_ms + room_ms)
        if self._total_bytes is None:
            note = "" if self._step == self._step_told else self._step
            self._step_told = self._step
            return OutputPiece(meter=Meter(gpu_ms=reach), note=note)
        allowed = self._total_bytes * reach // max(1, self._metered_ms)
        data = self._pop(min(self.piece_bytes_max, allowed - self._sent_bytes))
        self._sent_bytes += len(data)
        if self._sent_bytes < allowed:  # the meter goes no further than the bytes do
            reach = max(sent.gpu_ms, -(-self._metered_ms * self._sent_bytes // self._total_bytes))
        return OutputPiece(meter=Meter(gpu_ms=reach), data=data)

    def _pop(self, count: int) -> bytes:
        """Take up to *count* of the waiting bytes."""
        taken = bytearray()
        while len(taken) < count and self._parts:
            part = self._parts.popleft()
            left = count - len(taken)
            taken += part[:left]
            if left < len(part):
                self._parts.appendleft(part[left:])
        self._waiting_bytes -= len(taken)
        return bytes(taken)
