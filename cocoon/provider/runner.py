"""Runs worker processes for a provider: start, feed, watch, replace."""

import logging
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from subprocess import PIPE
from typing import Final

import msgspec
import trio

from cocoon.errors import CocoonError
from cocoon.messages import Kind
from cocoon.nursery import open_private_nursery
from cocoon.provider.wire import (
    HEADER_BYTES,
    CancelJob,
    Command,
    Event,
    Grant,
    Job,
    JobEnded,
    JobEvent,
    KernelTick,
    RunChat,
    RunKernel,
    SpeechOut,
    TokensOut,
    WorkerFailed,
    WorkerProtocolError,
    WorkerReady,
    decode_event,
    encode_frame,
    frame_length,
)
from overlay.errors import LocalProtocolError

logger = logging.getLogger(__name__)

START_TIMEOUT_S: Final = 120.0
STOP_TIMEOUT_S: Final = 3.0
SEND_TIMEOUT_S: Final = 10.0
CANCEL_TIMEOUT_S: Final = 10.0
STALL_TIMEOUT_S: Final = 120.0
"""Longest silence of a worker that has work and may go on; a long prompt is silent, too."""
EVENTS_QUEUED_MAX: Final = 256
BACKOFF_S_MIN: Final = 0.5
BACKOFF_S_MAX: Final = 60.0
STEADY_S: Final = 60.0
"""A worker that lived so long is replaced at once; others with growing delays."""
LOG_LINE_MAX: Final = 500
LOG_BYTES_MAX: Final = 4096
"""Of a worker's own words, this much a second goes to the log."""


class WorkerSpec(msgspec.Struct, frozen=True):
    """What to start.

    Attributes:
        path: the weights, a file or a folder; nothing for kernels.
        threads: how many processor threads the engine may use.
        tokens_per_s_max: the operator's cap; 0 means none.
        memory_bytes_max: what a worker may allocate beside the mapped weights; 0 means
            three quarters of this machine's memory.
        stall_timeout_s: a worker that is silent for so long in mid-job is replaced.
    """

    kind: Kind
    path: Path = Path()
    device: str = "auto"
    threads: int = 1
    tokens_per_s_max: float = 0.0
    memory_bytes_max: int = 0
    stall_timeout_s: float = STALL_TIMEOUT_S

    @property
    def what(self) -> str:
        """Return what it serves, for messages."""
        return "customers' kernels" if self.kind is Kind.KERNEL else str(self.path)


class WorkerDied(CocoonError):
    """The process is gone, or spoke nonsense; a job on it has failed."""


class Worker:
    """One running worker process. Make one with `open_worker`."""

    def __init__(
        self,
        process: trio.Process,
        pipes: "_Pipes",
        ready: WorkerReady,
        stall_timeout_s: float = STALL_TIMEOUT_S,
    ) -> None:
        self._process = process
        self._pipes = pipes
        self._stall_timeout_s = stall_timeout_s
        self.ready = ready
        self.dead = trio.Event()
        self._idle = trio.Event()
        self._idle.set()
        self._events: trio.MemorySendChannel[JobEvent] | None = None
        self._job_id = ""
        self._progress = Progress(0)
        self._sending = trio.Lock()

    @property
    def pid(self) -> int:
        """Return the id of the process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Return whether it can take jobs."""
        return not self.dead.is_set()

    @property
    def busy(self) -> bool:
        """Return whether a job is on it."""
        return not self._idle.is_set()

    async def send(self, command: Command) -> None:
        """Write one command.

        Raises:
            WorkerDied: the process is gone, or does not read.
        """
        if self.dead.is_set():
            raise WorkerDied("the worker process is gone")
        deadline_s = trio.current_time() + SEND_TIMEOUT_S
        try:
            # A half-written command would corrupt the pipe, so it is never cancelled.
            with trio.CancelScope(shield=True, deadline=deadline_s) as scope:
                async with self._sending:
                    await self._pipes.stdin.send_all(encode_frame(command))
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise WorkerDied("the worker process is gone") from error
        if scope.cancelled_caught:
            self._process.kill()
            raise WorkerDied("the worker does not read its commands")

    @asynccontextmanager
    async def run(self, job: Job) -> AsyncIterator[trio.MemoryReceiveChannel[JobEvent]]:
        """Run *job* and yield the channel of its events, which ends after `JobEnded`.

        Leaving the block early cancels the job; `settle` waits until the device has
        stopped. A channel that ends without `JobEnded` means that the worker died.

        Raises:
            WorkerDied: it is gone.
            LocalProtocolError: another job is still on it.
        """
        if not self._idle.is_set():
            raise LocalProtocolError("a worker runs one job at a time")
        send, receive = trio.open_memory_channel[JobEvent](EVENTS_QUEUED_MAX)
        self._events, self._idle, self._job_id = send, trio.Event(), job.job_id
        self._progress = _progress_of(job, trio.current_time())
        if self.dead.is_set():
            self._job_over()
        try:
            with receive:
                await self.send(job)
                yield receive
        finally:
            if not self._idle.is_set():
                with suppress(WorkerDied):
                    await self.cancel(job.job_id)

    async def grant(self, job_id: str, units: int) -> None:
        """Let the job go on up to *units* in all: tokens, or ms of audio or of a kernel."""
        self._progress.granted(units, trio.current_time())
        await self.send(Grant(job_id=job_id, granted_units=units))

    async def cancel(self, job_id: str) -> None:
        """Stop the job at its next token; its channel still ends with `JobEnded`."""
        await self.send(CancelJob(job_id=job_id))

    async def settle(self) -> None:
        """Wait until the device is free again; a worker that does not stop is killed."""
        with trio.CancelScope(shield=True, deadline=trio.current_time() + CANCEL_TIMEOUT_S):
            await self._idle.wait()
            return
        logger.warning("worker %d did not stop its job in time and is killed", self.pid)
        self._process.kill()

    async def pump(self) -> None:
        """Read events until the process ends."""
        try:
            while (event := await self._pipes.next_event()) is not None:
                await self._deliver(event)
        except (WorkerProtocolError, trio.BrokenResourceError) as error:
            logger.warning("worker %d spoke nonsense and is replaced: %s", self.pid, error)
            self._process.kill()
        finally:
            self.dead.set()
            self._job_over()

    async def watch(self) -> None:
        """Kill the process when it hangs in mid-job."""
        while True:
            await trio.sleep(self._stall_timeout_s / 8)
            silent_s = self._progress.silent_s(trio.current_time())
            if not self._idle.is_set() and silent_s > self._stall_timeout_s:
                logger.warning("worker %d is silent for %.0f s: killed", self.pid, silent_s)
                self._process.kill()
                return

    async def _deliver(self, event: Event) -> None:
        if isinstance(event, WorkerReady | WorkerFailed):
            raise WorkerProtocolError("it started twice")
        if self._events is None or event.job_id != self._job_id:
            return
        self._progress.seen(event)
        with suppress(trio.BrokenResourceError):  # the reader left; the job is being cancelled
            # A reader that lags holds up the pipe, and so the device: nothing piles up.
            await self._events.send(event)
        self._progress.delivered(trio.current_time())
        if isinstance(event, JobEnded):
            self._job_over()

    def _job_over(self) -> None:
        if self._events is not None:
            self._events.close()
            self._events = None
        self._idle.set()


class Progress:
    """How far a worker is in its job: tells a pause, which is in order, from a hang."""

    def __init__(self, granted_units: int, now_s: float = 0.0, *, skipped_ms: int = 0) -> None:
        self._granted_units = granted_units
        self._skipped_ms = skipped_ms
        self._made_units = 0
        self._sign_s = now_s
        self._delivering = False

    def granted(self, units: int, now_s: float) -> None:
        """The worker may go on to *units*."""
        if self._made_units >= self._granted_units:
            self._sign_s = now_s  # it was paused until now
        self._granted_units = max(self._granted_units, units)

    def seen(self, event: JobEvent) -> None:
        """An event came; the job is not at fault while it waits for its reader."""
        self._delivering = True
        if isinstance(event, TokensOut):
            self._made_units += len(event.token_ids)
        elif isinstance(event, SpeechOut):
            self._made_units = max(self._made_units, event.piece.end_ms - self._skipped_ms)
        elif isinstance(event, KernelTick):
            self._made_units = max(self._made_units, event.metered_ms)

    def delivered(self, now_s: float) -> None:
        """The reader has taken it."""
        self._delivering = False
        self._sign_s = now_s

    def silent_s(self, now_s: float) -> float:
        """Return for how long it has said nothing although it could."""
        paused = self._made_units >= self._granted_units
        return 0.0 if paused or self._delivering else now_s - self._sign_s


def _progress_of(job: Job, now_s: float) -> Progress:
    if isinstance(job, RunChat):
        return Progress(job.granted_tokens, now_s)
    if isinstance(job, RunKernel):
        return Progress(job.granted_ms, now_s)
    return Progress(job.granted_ms, now_s, skipped_ms=job.skip_ms)


async def _read_exactly(stream: trio.abc.ReceiveStream, size: int) -> bytes | None:
    data = bytearray()
    while len(data) < size:
        part = await stream.receive_some(size - len(data))
        if not part:
            return None
        data += part
    return bytes(data)


class _Pipes:
    """The two ends that we hold of a worker's pipes."""

    def __init__(self, process: trio.Process) -> None:
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise WorkerDied("the worker was started without pipes")
        self.stdin, self._stdout, self._stderr = process.stdin, process.stdout, process.stderr
        self._pid = process.pid

    async def log_stderr(self) -> None:
        """Log what the process says, bounded in length and in speed; the rest is dropped."""
        quiet_until_s = 0.0
        while said := await self._stderr.receive_some(LOG_BYTES_MAX):
            now_s = trio.current_time()
            if now_s < quiet_until_s:
                continue
            quiet_until_s = max(quiet_until_s, now_s - 1) + len(said) / LOG_BYTES_MAX
            for line in said.decode("utf-8", "replace").splitlines():
                if line.strip():
                    logger.warning("worker %d: %s", self._pid, line[:LOG_LINE_MAX])

    async def next_event(self) -> Event | None:
        """Return the next event, or None when the process has closed its end.

        Raises:
            WorkerProtocolError: it is not an event.
        """
        header = await _read_exactly(self._stdout, HEADER_BYTES)
        body = await _read_exactly(self._stdout, frame_length(header)) if header else None
        return decode_event(body) if body is not None else None


def _command_line(spec: WorkerSpec) -> list[str]:
    return [
        sys.executable,
        "-m",
        "cocoon.provider.worker",
        f"--kind={spec.kind.value}",
        f"--path={spec.path}",
        f"--device={spec.device}",
        f"--tokens-per-s-max={spec.tokens_per_s_max}",
        f"--memory-bytes-max={spec.memory_bytes_max or default_memory_bytes()}",
    ]


def default_memory_bytes() -> int:
    """Return three quarters of this machine's memory."""
    return 3 * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4


def _environment(threads: int) -> dict[str, str]:
    """Bound the threads of every BLAS: a provider shares its processor with others."""
    names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
    kept = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")}
    return kept | dict.fromkeys(names, str(threads)) | {"TOKENIZERS_PARALLELISM": "false"}


async def _wait_ready(spec: WorkerSpec, pipes: _Pipes) -> WorkerReady:
    event: Event | None = None
    try:
        with trio.move_on_after(START_TIMEOUT_S) as scope:
            event = await pipes.next_event()
    except WorkerProtocolError as error:
        raise WorkerDied(f"{spec.what}: its worker spoke nonsense: {error}") from error
    if isinstance(event, WorkerReady):
        return event
    if isinstance(event, WorkerFailed):
        raise WorkerDied(f"{spec.what} cannot be served: {event.detail}")
    if scope.cancelled_caught:
        raise WorkerDied(f"{spec.what}: not loaded within {START_TIMEOUT_S:.0f} s")
    raise WorkerDied(f"{spec.what}: its worker ended before it was ready; the log says more")


@asynccontextmanager
async def open_worker(spec: WorkerSpec) -> AsyncIterator[Worker]:
    """Start one worker process and wait until its model is loaded and measured.

    Leaving the block ends the process within `STOP_TIMEOUT_S`, even when cancelled.

    Raises:
        WorkerDied: the model could not be loaded; the message names its file.
    """
    process = await trio.lowlevel.open_process(
        _command_line(spec), stdin=PIPE, stdout=PIPE, stderr=PIPE, env=_environment(spec.threads)
    )
    try:
        pipes = _Pipes(process)
        async with open_private_nursery() as nursery:
            nursery.start_soon(pipes.log_stderr)
            ready = await _wait_ready(spec, pipes)
            worker = Worker(process, pipes, ready, spec.stall_timeout_s)
            nursery.start_soon(worker.pump)
            nursery.start_soon(worker.watch)
            try:
                yield worker
            finally:
                nursery.cancel_scope.cancel()
    finally:
        with trio.CancelScope(shield=True, deadline=trio.current_time() + STOP_TIMEOUT_S):
            process.kill()
            await process.wait()
            await _close(process)


async def _close(process: trio.Process) -> None:
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            await pipe.aclose()


class WorkerPool:
    """The workers of one model: one job each. Make one with `open_pool`."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._idle: list[Worker] = []
        self._members: list[Worker] = []
        self.ready: WorkerReady | None = None
        self.changed = trio.Event()

    @property
    def alive(self) -> int:
        """Return how many workers are running."""
        return len(self._members)

    @property
    def free_slots(self) -> int:
        """Return how many jobs could start now."""
        return len(self._idle)

    def enlist(self, worker: Worker) -> None:
        """Take in a worker that is ready and idle."""
        self._members.append(worker)
        self._idle.append(worker)
        self._touch()

    def take(self) -> Worker | None:
        """Reserve an idle worker, or return None when all are busy."""
        self._touch()
        return self._idle.pop() if self._idle else None

    async def give_back(self, worker: Worker) -> None:
        """Return a reserved worker once its device is free; a dead one has a supervisor.

        Not cancelled, and done within `CANCEL_TIMEOUT_S`.
        """
        await worker.settle()
        usable = worker.alive and not worker.busy  # one that is still busy is about to die
        if usable and worker in self._members and worker not in self._idle:
            self._idle.append(worker)
        self._touch()

    def _touch(self) -> None:
        self.changed.set()
        self.changed = trio.Event()

    async def supervise(self, spec: WorkerSpec, started: trio.Event) -> None:
        """Keep one worker running; replace it when it dies, ever more slowly if need be."""
        backoff_s = BACKOFF_S_MIN
        while True:
            began_s = trio.current_time()
            try:
                async with open_worker(spec) as worker:
                    with self._enlisted(worker):
                        started.set()
                        await worker.dead.wait()
                logger.warning("a worker died; starting another")
            except WorkerDied as error:
                if not started.is_set():
                    raise
                logger.warning("a worker did not start again: %s", error)
            except OSError as error:
                if not started.is_set():
                    raise WorkerDied(f"{spec.what}: no process: {error}") from error
                logger.warning("no process for a worker: %s", error)
            if trio.current_time() - began_s > STEADY_S:
                backoff_s = BACKOFF_S_MIN
            await trio.sleep(backoff_s)
            backoff_s = min(2 * backoff_s, BACKOFF_S_MAX)

    @contextmanager
    def _enlisted(self, worker: Worker) -> Iterator[None]:
        self.ready = worker.ready
        self.enlist(worker)
        try:
            yield
        finally:
            self._members.remove(worker)
            if worker in self._idle:
                self._idle.remove(worker)
            self._touch()


@asynccontextmanager
async def open_pool(spec: WorkerSpec, size: int) -> AsyncIterator[WorkerPool]:
    """Run *size* workers of one model and replace those that die.

    Raises:
        WorkerDied: the first start of a worker fails.
    """
    pool = WorkerPool(size)
    async with open_private_nursery() as nursery:
        started = [trio.Event() for _ in range(size)]
        for event in started:
            nursery.start_soon(pool.supervise, spec, event)
        for event in started:
            await event.wait()
        try:
            yield pool
        finally:
            nursery.cancel_scope.cancel()
