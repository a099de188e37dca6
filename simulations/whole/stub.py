"""A stub worker: tokens at a steady rate instead of a model. It keeps the worker's contract.

Grants hold, a cancel stops it, and one job runs at a time, as with
`cocoon.provider.runner.Worker`; only the process and the model are left out.
"""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, cast

import trio

from cocoon.config import NodeConfig
from cocoon.messages import Finish, Kind
from cocoon.provider.runner import Worker, WorkerPool
from cocoon.provider.wire import JobEnded, JobEvent, JobStarted, RunChat, TokensOut, WorkerReady

if TYPE_CHECKING:
    from cocoon.provider.wire import RunSpeech

MODEL_NAME: Final = "stub"
MODEL_ID: Final = hashlib.sha256(b"stub model").digest()
ENGINE_ID: Final = hashlib.sha256(b"stub engine").digest()
CONTEXT_TOKENS: Final = 1 << 16
PIECE_TOKENS: Final = 4
EVENTS_MAX: Final = 64
BYTES_PER_TOKEN: Final = 4
TEMPLATE_TOKENS: Final = 8


class StubWorker:
    """Stands in for `cocoon.provider.runner.Worker`; every answer is "tok tok tok"."""

    def __init__(self, tokens_per_s: float) -> None:
        self._tokens_per_s = tokens_per_s
        self._granted = 0
        self._cancelled = False
        self._changed = trio.Event()
        self.busy = False
        self.alive = True

    @asynccontextmanager
    async def run(
        self, job: "RunChat | RunSpeech"
    ) -> AsyncIterator[trio.MemoryReceiveChannel[JobEvent]]:
        """Run a job for the length of the block."""
        assert isinstance(job, RunChat)  # noqa: S101  (the stub sells chats only)
        send, receive = trio.open_memory_channel[JobEvent](EVENTS_MAX)
        self._granted, self._cancelled, self.busy = job.granted_tokens, False, True
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._play, job, send)
                with receive:
                    yield receive
                nursery.cancel_scope.cancel()
        finally:
            self.busy = False

    async def _play(self, job: RunChat, send: trio.MemorySendChannel[JobEvent]) -> None:
        prompt = sum(len(turn.content.encode()) for turn in job.turns) // BYTES_PER_TOKEN
        prompt += TEMPLATE_TOKENS + len(job.prefix_token_ids)
        with send:
            await send.send(JobStarted(job_id=job.job_id, prompt_tokens=prompt, audio_ms=0))
            made = 0
            while made < job.output_tokens_max and not self._cancelled:
                count = min(PIECE_TOKENS, job.output_tokens_max - made)
                await self._wait_for_grant(made + count)
                await trio.sleep(count / self._tokens_per_s)
                ids = tuple(range(made, made + count))
                await send.send(
                    TokensOut(job_id=job.job_id, token_ids=ids, texts=(" tok",) * count)
                )
                made += count
            finish = Finish.CANCELLED if self._cancelled else Finish.LENGTH
            speed = int(self._tokens_per_s * 1000)
            await send.send(JobEnded(job_id=job.job_id, finish=finish, speed_milli_per_s=speed))

    async def _wait_for_grant(self, units: int) -> None:
        while units > self._granted and not self._cancelled:
            await self._changed.wait()

    async def grant(self, job_id: str, units: int) -> None:
        """Let the job produce up to *units* in all."""
        self._granted = max(self._granted, units)
        self._wake()
        await trio.lowlevel.checkpoint()

    async def cancel(self, job_id: str) -> None:
        """Stop the job."""
        self._cancelled = True
        self._wake()
        await trio.lowlevel.checkpoint()

    async def settle(self) -> None:
        """Wait until the device is free: it is, once the block of `run` has ended."""
        await trio.lowlevel.checkpoint()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


@asynccontextmanager
async def open_stub_pool(
    config: NodeConfig, name: str, *, tokens_per_s: float
) -> AsyncIterator[WorkerPool]:
    """Run stub workers instead of processes; see `cocoon.provider.service.OpenPool`."""
    await trio.lowlevel.checkpoint()
    pool = WorkerPool(config.provider.slots)
    pool.ready = WorkerReady(
        kind=Kind.CHAT,
        model_id=MODEL_ID,
        engine_id=ENGINE_ID,
        device="stub",
        context_tokens=CONTEXT_TOKENS,
        speed_milli_per_s=int(tokens_per_s * 1000),
    )
    for _ in range(config.provider.slots):
        pool.enlist(cast("Worker", StubWorker(tokens_per_s)))
    yield pool
