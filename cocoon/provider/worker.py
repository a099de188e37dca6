"""The worker process: loads one model, or none for kernels, and runs one job at a time.

``python -m cocoon.provider.worker`` is started by `cocoon.provider.runner`. It
blocks, so it lives in a process of its own: a crash, a leak or a hang in the
engine costs one worker, never the node. It reads commands on stdin and writes
events on stdout; when stdin ends (the node is gone, however it died) it exits.
"""

import argparse
import contextlib
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, BinaryIO, Final, Protocol, TypeAlias

from cocoon.messages import Finish, Kind, SpeechPiece
from cocoon.provider.engine import ChatEngine, SpeechEngine, open_engine
from cocoon.provider.grants import JobControl
from cocoon.provider.kernel_engine import KernelEngine, open_kernel_engine, run_kernel
from cocoon.provider.wire import (
    HEADER_BYTES,
    CancelJob,
    Command,
    Event,
    Grant,
    Job,
    JobEnded,
    JobStarted,
    RunChat,
    RunKernel,
    RunSpeech,
    SpeechOut,
    TokensOut,
    WorkerFailed,
    WorkerProtocolError,
    WorkerReady,
    decode_command,
    encode_frame,
    frame_length,
)
from kernels.errors import InvalidInput, KernelError

if TYPE_CHECKING:
    from kernels.models.chat import Generation, TokenPiece

GATHER_S: Final = 0.05
"""Twenty times a second is as often as a reader of text can tell."""
SPEED_TOKENS_MIN: Final = 8
"""Shorter answers say too little about speed."""
OUT_OF_MEMORY: Final = "the job needs more memory than this worker may use"


AnyEngine: TypeAlias = ChatEngine | SpeechEngine | KernelEngine


class Stopwatch:
    """Adds up the time of computing, the waits for grants and for the pipe left out."""

    def __init__(self) -> None:
        self.total_s = 0.0
        self._since_s = 0.0

    def __enter__(self) -> None:
        self._since_s = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.total_s += time.perf_counter() - self._since_s

    def speed_milli_per_s(self, units: float) -> int:
        """Return thousandths of *units* a second; 0 when nothing was timed."""
        return int(1000 * units / self.total_s) if units > 0 and self.total_s > 0 else 0


class Throttle:
    """The operator's cap on speed, so that the machine stays usable for its owner."""

    def __init__(self, tokens_per_s_max: float) -> None:
        self._interval_s = 1 / tokens_per_s_max if tokens_per_s_max > 0 else 0.0
        self._next_s = 0.0

    def cap(self, speed_milli_per_s: int) -> int:
        """Return the speed that is left of *speed_milli_per_s* under the cap."""
        if not self._interval_s:
            return speed_milli_per_s
        return min(speed_milli_per_s, int(1000 / self._interval_s))

    def wait(self) -> None:
        """Sleep until the next token is due."""
        if not self._interval_s:
            return
        now_s = time.monotonic()
        if now_s < self._next_s:
            time.sleep(self._next_s - now_s)
        self._next_s = max(now_s, self._next_s) + self._interval_s


class Out(Protocol):
    """Where events go."""

    def __call__(self, event: Event) -> None:
        """Write one event."""


class Gathered:
    """Tokens that leave together: each event costs three processes time that computing needs.

    The first token leaves at once, and so does whatever comes `GATHER_S` or longer after
    the last event: a reader sees the text grow all the same.
    """

    def __init__(self, job_id: str, out: Out, clock: Callable[[], float]) -> None:
        self._job_id = job_id
        self._out = out
        self._clock = clock
        self._pieces: list[TokenPiece] = []
        self._left_s = -GATHER_S

    def add(self, piece: "TokenPiece", *, hurry: bool) -> None:
        """Take one token; in a *hurry* nothing waits, for nothing may follow soon."""
        self._pieces.append(piece)
        if hurry or self._clock() - self._left_s >= GATHER_S:
            self.flush()

    def flush(self) -> None:
        """Let everything leave that waits."""
        if not self._pieces:
            return
        ids = tuple(piece.token_id for piece in self._pieces)
        texts = tuple(piece.text for piece in self._pieces)
        self._pieces.clear()
        self._left_s = self._clock()
        self._out(TokensOut(job_id=self._job_id, token_ids=ids, texts=texts))


def run_chat(
    engine: ChatEngine, job: RunChat, control: JobControl, out: Out, pace: Throttle
) -> None:
    """Run one chat job and report its tokens as they come, a few at a time when they are fast."""
    prompt = engine.encode(job.turns, job.prefix_token_ids)
    if len(prompt) > job.prompt_tokens_max:
        raise InvalidInput(f"{len(prompt)} prompt tokens, at most {job.prompt_tokens_max}")
    out(JobStarted(job_id=job.job_id, prompt_tokens=len(prompt), audio_ms=0))
    answer = engine.generate(prompt, job.sampling, job.output_tokens_max, control.cancelled)
    produced, watch, gathered = 0, Stopwatch(), Gathered(job.job_id, out, time.monotonic)
    try:
        while (piece := _next_token(answer, watch, first=not produced)) is not None:
            produced += 1
            gathered.add(piece, hurry=not control.may_produce(produced + 1))
            control.wait_for_grant(produced + 1)
            pace.wait()
    finally:
        gathered.flush()
    finish = Finish(answer.finish_reason or "cancelled")
    speed = watch.speed_milli_per_s(produced - 1) if produced >= SPEED_TOKENS_MIN else 0
    out(JobEnded(job_id=job.job_id, finish=finish, speed_milli_per_s=pace.cap(speed)))


def _next_token(answer: "Generation", watch: Stopwatch, *, first: bool) -> "TokenPiece | None":
    """Compute one token; the first is not timed, for it takes the prompt with it."""
    if first:
        return next(answer, None)
    with watch:
        return next(answer, None)


def run_speech(engine: SpeechEngine, job: RunSpeech, control: JobControl, out: Out) -> None:
    """Run one transcription and report it stretch by stretch."""
    audio, duration_ms = engine.load(job.audio, job.audio_seconds_max)
    out(JobStarted(job_id=job.job_id, prompt_tokens=0, audio_ms=duration_ms))
    stretches = engine.transcribe(audio, job.skip_ms, control.cancelled)
    watch, reached_ms = Stopwatch(), min(job.skip_ms, duration_ms)
    while True:
        with watch:
            stretch = next(stretches, None)
        if stretch is None:
            break
        start_s, end_s, text = stretch
        start_ms, end_ms = round(start_s * 1000), min(round(end_s * 1000), duration_ms)
        piece = SpeechPiece(start_ms=start_ms, end_ms=max(end_ms, start_ms), text=text)
        out(SpeechOut(job_id=job.job_id, piece=piece))
        reached_ms = max(reached_ms, piece.end_ms)
        control.wait_for_grant(reached_ms - job.skip_ms + 1)
    cancelled = control.cancelled()
    done_ms = (reached_ms if cancelled else duration_ms) - job.skip_ms
    finish = Finish.CANCELLED if cancelled else Finish.STOP
    speed = watch.speed_milli_per_s(done_ms / 1000)
    out(JobEnded(job_id=job.job_id, finish=finish, speed_milli_per_s=speed))


def read_commands(stream: BinaryIO) -> Iterator[Command]:
    """Yield commands until the pipe ends."""
    while len(header := stream.read(HEADER_BYTES)) == HEADER_BYTES:
        length = frame_length(header)
        body = stream.read(length)
        if len(body) != length:
            return
        yield decode_command(body)


class Worker:
    """Ties the reader thread to the computing thread."""

    def __init__(self, out: Out, pace: Throttle) -> None:
        self._out = out
        self._pace = pace
        self._jobs: SimpleQueue[tuple[Job, JobControl]] = SimpleQueue()
        self._current: JobControl | None = None

    def read_forever(self, stream: BinaryIO) -> None:
        """Handle commands; when the pipe ends, end the process at once."""
        try:
            for command in read_commands(stream):
                self._handle(command)
        except (WorkerProtocolError, OSError) as error:
            print(f"worker: {error}", file=sys.stderr)  # noqa: T201  (the node logs our stderr)
        finally:
            os._exit(0)

    def _handle(self, command: Command) -> None:
        if isinstance(command, Job):
            granted = command.granted_tokens if isinstance(command, RunChat) else command.granted_ms
            control = JobControl(command.job_id, granted)
            self._current = control
            self._jobs.put((command, control))
            return
        current = self._current
        if current is None or current.job_id != command.job_id:
            return
        if isinstance(command, Grant):
            current.grant(command.granted_units)
        elif isinstance(command, CancelJob):
            current.cancel()

    def work_forever(self, engine: AnyEngine) -> None:
        """Run jobs in the order in which they came."""
        while True:
            job, control = self._jobs.get()
            self._run(engine, job, control)

    def _run(self, engine: AnyEngine, job: Job, control: JobControl) -> None:
        try:
            if isinstance(job, RunChat) and isinstance(engine, ChatEngine):
                run_chat(engine, job, control, self._out, self._pace)
            elif isinstance(job, RunSpeech) and isinstance(engine, SpeechEngine):
                run_speech(engine, job, control, self._out)
            elif isinstance(job, RunKernel) and isinstance(engine, KernelEngine):
                run_kernel(engine, job, control, self._out)
            else:
                self._fail(job.job_id, "this worker serves another kind of job", bad_input=True)
        except InvalidInput as error:
            self._fail(job.job_id, str(error), bad_input=True)
        except KernelError as error:
            self._fail(job.job_id, str(error), bad_input=False)
        except MemoryError:
            self._fail(job.job_id, OUT_OF_MEMORY, bad_input=False)
        except BrokenPipeError:
            raise  # the node is gone
        except Exception as error:  # noqa: BLE001  (the runner of strangers' jobs must live on)
            self._fail(job.job_id, f"{type(error).__name__} in the engine", bad_input=False)

    def _fail(self, job_id: str, detail: str, *, bad_input: bool) -> None:
        failed = JobEnded(
            job_id=job_id, finish=Finish.FAILED, detail=detail[:500], bad_input=bad_input
        )
        self._out(failed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="cocoon.provider.worker", description=__doc__)
    parser.add_argument("--kind", required=True, choices=[kind.value for kind in Kind])
    parser.add_argument(
        "--path", type=Path, default=Path(), help="weights: a file or a folder; none for kernels"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--memory-bytes-max", type=int, default=0, help="0: no limit")
    parser.add_argument("--tokens-per-s-max", type=float, default=0.0, help="0: no cap")
    return parser


def _claim_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Keep stdin and stdout for the protocol; whatever else prints goes to stderr.

    Also at the level of descriptors: native libraries print, too.
    """
    commands, events = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return commands, events


def _limit_memory(limit_bytes: int) -> None:
    """Bound what this process may allocate; weights mapped from files do not count."""
    if limit_bytes > 0:
        resource.setrlimit(resource.RLIMIT_DATA, (limit_bytes, limit_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core dump would hold strangers' text


def _open(kind: Kind, arguments: argparse.Namespace) -> AnyEngine:
    if kind is Kind.KERNEL:
        return open_kernel_engine(arguments.device)
    return open_engine(kind, arguments.path, arguments.device)


def _load(arguments: argparse.Namespace) -> tuple[AnyEngine, WorkerReady]:
    kind = Kind(arguments.kind)
    engine = _open(kind, arguments)
    speed = min(engine.measure_speed(), arguments.tokens_per_s_max or float("inf"))
    ready = WorkerReady(
        kind=kind,
        model_id=engine.model_id,
        engine_id=engine.engine_id,
        device=engine.device,
        context_tokens=engine.context_tokens,
        speed_milli_per_s=int(speed * 1000),
    )
    return engine, ready


def main() -> None:
    """Load the model, say so, and work until stdin ends."""
    arguments = _parser().parse_args()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the node, which then stops us
    commands, events = _claim_pipes()
    _limit_memory(arguments.memory_bytes_max)
    writing = threading.Lock()

    def out(event: Event) -> None:
        with writing:
            events.write(encode_frame(event))
            events.flush()

    worker = Worker(out, Throttle(arguments.tokens_per_s_max))
    # From the start, so that a worker whose node dies while it loads goes, too.
    threading.Thread(target=worker.read_forever, args=(commands,), daemon=True).start()
    with contextlib.suppress(BrokenPipeError):
        try:
            engine, ready = _load(arguments)
        except (KernelError, MemoryError, OSError) as error:
            out(WorkerFailed(detail=(str(error) or type(error).__name__)[:500]))
            return
        out(ready)
        worker.work_forever(engine)


if __name__ == "__main__":
    main()
