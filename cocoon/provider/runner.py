"""Runs worker processes for a provider: start, feed, watch, replace."""

import logging
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from subprocess import PIPE
from typing import Final

import msgspec
import trio

from cocoon.messages import Finish, Kind
from cocoon.nursery import open_private_nursery
from cocoon.provider.wire import (
    HEADER_BYTES,
    CancelJob,
    Command,
    Event,
    Grant,
    JobEnded,
    JobEvent,
    RunChat,
    RunSpeech,
    WorkerProtocolError,
    WorkerReady,
    decode_event,
    encode_frame,
    frame_length,
)

logger = logging.getLogger(__name__)

START_TIMEOUT_S: Final = 120.0
STOP_TIMEOUT_S: Final = 3.0
CANCEL_TIMEOUT_S: Final = 10.0
EVENTS_QUEUED_MAX: Final = 4096
RESTART_BACKOFF_S: Final = 2.0


class WorkerSpec(msgspec.Struct, frozen=True):
    """What to start.

    Attributes:
        path: the weights, a file or a folder.
        threads: how many processor threads the engine may use.
        tokens_per_s_max: the operator's cap; 0 means none.
    """

    kind: Kind
    path: Path
    device: str = "auto"
    threads: int = 1
    tokens_per_s_max: float = 0.0


class WorkerDied(Exception):
    """The process is gone, or spoke nonsense; a job on it has failed."""


class Worker:
    """One running worker process. Make one with `open_worker`."""

    def __init__(self, process: trio.Process, pipes: "_Pipes", ready: WorkerReady) -> None:
        self._process = process
        self._pipes = pipes
        self.ready = ready
        self.dead = trio.Event()
        self._idle = trio.Event()
        self._events: trio.MemorySendChannel[JobEvent] | None = None
        self._sending = trio.Lock()

    @property
    def busy(self) -> bool:
        """Return whether a job is on it."""
        return self._events is not None

    async def send(self, command: Command) -> None:
        """Write one command.

        Raises:
            WorkerDied: the process is gone.
        """
        try:
            async with self._sending:
                # A half-written command would corrupt the pipe, so it is never cancelled.
                with trio.CancelScope(shield=True, deadline=trio.current_time() + STOP_TIMEOUT_S):
                    await self._pipes.stdin.send_all(encode_frame(command))
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise WorkerDied("the worker process is gone") from error

    @asynccontextmanager
    async def run(
        self, job: RunChat | RunSpeech
    ) -> AsyncIterator[trio.MemoryReceiveChannel[JobEvent]]:
        """Run *job* and yield the channel of its events, which ends after `JobEnded`.

        Leaving the block early cancels the job and waits for the device to stop.
        A channel that ends without `JobEnded` means that the worker died.
        """
        send, receive = trio.open_memory_channel[JobEvent](EVENTS_QUEUED_MAX)
        self._events, self._idle = send, trio.Event()
        try:
            async with receive:
                await self.send(job)
                yield receive
        finally:
            deadline_s = trio.current_time() + CANCEL_TIMEOUT_S
            with trio.CancelScope(shield=True, deadline=deadline_s) as scope:
                await self._settle(job.job_id)
            if scope.cancelled_caught:
                logger.warning("a worker did not stop its job in time and was killed")
                self._process.kill()

    async def grant(self, job_id: str, tokens: int) -> None:
        """Let the job produce up to *tokens* in all."""
        await self.send(Grant(job_id=job_id, granted_tokens=tokens))

    async def cancel(self, job_id: str) -> None:
        """Stop the job at its next token; its channel still ends with `JobEnded`."""
        await self.send(CancelJob(job_id=job_id))

    async def _settle(self, job_id: str) -> None:
        """Wait until the device is free again."""
        if self._idle.is_set():
            return
        with suppress(WorkerDied):
            await self.cancel(job_id)
            await self._idle.wait()

    async def pump(self) -> None:
        """Read events until the process ends."""
        try:
            while (event := await self._pipes.next_event()) is not None:
                self._deliver(event)
        except WorkerProtocolError as error:
            logger.warning("a worker spoke nonsense and is replaced: %s", error)
            self._process.kill()
        finally:
            self.dead.set()
            self._job_over()

    def _deliver(self, event: Event) -> None:
        if self._events is None or isinstance(event, WorkerReady):
            return
        try:
            self._events.send_nowait(event)
        except trio.BrokenResourceError:
            pass  # the reader left; the job is being cancelled
        except trio.WouldBlock:
            self._process.kill()  # grants bound the queue, so this worker is out of order
        if isinstance(event, JobEnded):
            self._job_over()

    def _job_over(self) -> None:
        if self._events is not None:
            self._events.close()
            self._events = None
        self._idle.set()


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
        if process.stdin is None or process.stdout is None:
            raise WorkerDied("the worker was started without pipes")
        self.stdin, self._stdout = process.stdin, process.stdout

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
    ]


def _environment(threads: int) -> dict[str, str]:
    """Bound the threads of every BLAS: a provider shares its processor with others."""
    names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
    kept = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")}
    return kept | dict.fromkeys(names, str(threads)) | {"TOKENIZERS_PARALLELISM": "false"}


async def _wait_ready(pipes: _Pipes) -> WorkerReady:
    with trio.move_on_after(START_TIMEOUT_S):
        event = await pipes.next_event()
        if isinstance(event, WorkerReady):
            return event
    raise WorkerDied("the worker did not become ready; its own message is in the log above")


@asynccontextmanager
async def open_worker(spec: WorkerSpec) -> AsyncIterator[Worker]:
    """Start one worker process and wait until its model is loaded and measured.

    Leaving the block ends the process within `STOP_TIMEOUT_S`, even when cancelled.

    Raises:
        WorkerDied: the model could not be loaded.
    """
    process = await trio.lowlevel.open_process(
        _command_line(spec), stdin=PIPE, stdout=PIPE, env=_environment(spec.threads)
    )
    try:
        pipes = _Pipes(process)
        worker = Worker(process, pipes, await _wait_ready(pipes))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(worker.pump)
            try:
                yield worker
            finally:
                nursery.cancel_scope.cancel()
    finally:
        with trio.CancelScope(shield=True, deadline=trio.current_time() + STOP_TIMEOUT_S):
            process.kill()
            await process.wait()


class WorkerPool:
    """The workers of one model: one job each. Make one with `open_pool`."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._idle: list[Worker] = []
        self.alive = 0
        self.ready: WorkerReady | None = None
        self.changed = trio.Event()

    @property
    def free_slots(self) -> int:
        """Return how many jobs could start now."""
        return len(self._idle)

    def take(self) -> Worker | None:
        """Reserve an idle worker, or return None when all are busy."""
        self._touch()
        return self._idle.pop() if self._idle else None

    def give_back(self, worker: Worker) -> None:
        """Return a reserved worker; a dead one is left to its supervisor."""
        if not worker.dead.is_set() and not worker.busy:
            self._idle.append(worker)
        self._touch()

    def _touch(self) -> None:
        self.changed.set()
        self.changed = trio.Event()

    async def supervise(self, spec: WorkerSpec, started: trio.Event) -> None:
        """Keep one worker running; replace it when it dies."""
        while True:
            try:
                async with open_worker(spec) as worker:
                    self.ready = worker.ready
                    self._idle.append(worker)
                    self.alive += 1
                    self._touch()
                    started.set()
                    try:
                        await worker.dead.wait()
                    finally:
                        self.alive -= 1
                        if worker in self._idle:
                            self._idle.remove(worker)
                        self._touch()
                logger.warning("a worker died; starting another")
            except WorkerDied:
                if not started.is_set():
                    raise
            await trio.sleep(RESTART_BACKOFF_S)


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


def failed(event: JobEvent | None) -> bool:
    """Return whether a job's last event is a failure (None: the worker died)."""
    return event is None or (isinstance(event, JobEnded) and event.finish is Finish.FAILED)
