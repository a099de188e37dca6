"""Parts that the tests of both roles share: a wire, and one job with both its ends."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import trio

from cocoon.confidential.sealing import Direction, Opener, Sealer
from cocoon.messages import (
    Finish,
    JobEnd,
    Kind,
    Limits,
    OutputPiece,
    PriceSchedule,
    Signed,
    SpeechPiece,
    VoucherMessage,
    encode,
)
from cocoon.provider.execution import Execution
from cocoon.provider.lease import Lease
from cocoon.provider.runner import WorkerDied
from cocoon.provider.wire import (
    JobEnded,
    JobEvent,
    JobStarted,
    KernelDone,
    KernelOut,
    KernelTick,
    RunChat,
    RunKernel,
    RunSpeech,
    SpeechOut,
    TokensOut,
)
from cocoon.requester.meter import MeterWatch
from cocoon.requester.run import RunningJob
from contracts.units import NanoTon
from overlay.identity import Identity
from overlay.memory import EPOCH_UNIX_S, MemoryNetwork, open_network
from overlay.transfer.line import Line
from overlay.transport import Host, Stream

REQUESTER, PROVIDER, OTHER = (Identity(bytes([n]) * 32) for n in (11, 12, 13))
KEY, TRANSCRIPT = bytearray(b"k" * 32), b"t" * 32
PROTOCOL = "/test/1"
PRICES = PriceSchedule(prompt_token=1000, output_token=1000, audio_second=1_000_000, gpu_ms=1000)
LIMITS = Limits(chunk_tokens=4, chunk_audio_s=30, chunk_gpu_ms=100)
RECEIPT = JobEnd(receipt=Signed(body=b"receipt", signature=b"r" * 64))


def virtual_clock() -> float:
    return EPOCH_UNIX_S + trio.current_time()


@asynccontextmanager
async def open_hosts(
    *identities: Identity, latency_s: float = 0.0
) -> AsyncGenerator[tuple[MemoryNetwork, list[Host]]]:
    """Hosts of one network, all connected to the first."""
    async with open_network(latency_s=latency_s) as network, trio.open_nursery() as nursery:
        hosts: list[Host] = []

        async def run(identity: Identity, *, task_status=trio.TASK_STATUS_IGNORED) -> None:
            async with network.open_host(identity) as host:
                task_status.started(host)
                await trio.sleep_forever()

        hosts += [await nursery.start(run, identity) for identity in identities]
        for host in hosts[1:]:
            await host.connect(hosts[0].addresses)
        yield network, hosts
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def open_wire(latency_s: float = 0.0) -> AsyncGenerator[tuple[Stream, Stream]]:
    """The requester's end and the provider's end of one stream."""
    async with open_hosts(PROVIDER, REQUESTER, latency_s=latency_s) as (_, (provider, requester)):
        send, receive = trio.open_memory_channel[Stream](1)

        async def serve(stream: Stream) -> None:
            await send.send(stream)
            await trio.sleep_forever()

        provider.serve(PROTOCOL, serve, streams_max=1)
        ours = await requester.open_stream(provider.peer_id, PROTOCOL)
        theirs = await receive.receive()
        await ours.send(b"first")  # what has to come soon; in a job it is the request
        await theirs.receive()
        yield ours, theirs


class ScriptedWorker:
    """The worker port with a time of its own: events, or seconds to wait; grants hold."""

    def __init__(self, *script: JobEvent | float, heeds_cancel: bool = True) -> None:
        self._script = script
        self._heeds_cancel = heeds_cancel
        self._granted = 0
        self._cancelled = False
        self._changed = trio.Event()
        self.made = 0
        self.ahead_max = 0

    @asynccontextmanager
    async def run(
        self, job: RunChat | RunSpeech | RunKernel
    ) -> AsyncGenerator[trio.MemoryReceiveChannel[JobEvent]]:
        send, receive = trio.open_memory_channel[JobEvent](256)
        self._granted = job.granted_tokens if isinstance(job, RunChat) else job.granted_ms
        self._skip_ms = job.skip_ms if isinstance(job, RunSpeech) else 0
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._play, send)
            with receive:
                yield receive
            nursery.cancel_scope.cancel()

    async def _play(self, send: trio.MemorySendChannel[JobEvent]) -> None:
        with send:
            for step in self._script:
                if isinstance(step, int | float):
                    await trio.sleep(step)
                    continue
                await self._wait_for_grant(step)
                if self._cancelled:
                    await send.send(JobEnded(job_id="j", finish=Finish.CANCELLED))
                    return
                await send.send(step)

    async def _wait_for_grant(self, event: JobEvent) -> None:
        while self.made > self._granted and not self._cancelled:
            await self._changed.wait()
        if self._cancelled:
            return
        if isinstance(event, TokensOut):
            self.made += len(event.token_ids)
        elif isinstance(event, SpeechOut):
            self.made = event.piece.end_ms - self._skip_ms
        elif isinstance(event, KernelTick):
            self.made = event.metered_ms

    async def grant(self, job_id: str, units: int) -> None:
        self._granted = max(self._granted, units)
        self._wake()

    async def cancel(self, job_id: str) -> None:
        self._cancelled = self._heeds_cancel
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


class DeadWorker(ScriptedWorker):
    @asynccontextmanager
    async def run(self, job):
        raise WorkerDied("the worker process is gone")
        yield

    async def cancel(self, job_id: str) -> None:
        raise WorkerDied("the worker process is gone")


class SlowPurse:
    def __init__(self, delay_s: float = 0.0, pays_at_most: int = 10**18) -> None:
        self.delay_s = delay_s
        self.pays_at_most = pays_at_most
        self.paid = NanoTon(0)

    async def pay(self, job_total: NanoTon) -> VoucherMessage:
        await trio.sleep(self.delay_s)
        if job_total > self.pays_at_most:
            await trio.sleep_forever()
        self.paid = job_total
        return VoucherMessage(total_nanoton=job_total, signature=b"v" * 64)


class OpenTill:
    async def receive(self, voucher: VoucherMessage) -> NanoTon:
        await trio.lowlevel.checkpoint()
        return NanoTon(voucher.total_nanoton)


def started(prompt_tokens: int = 10, audio_ms: int = 0) -> JobStarted:
    return JobStarted(job_id="j", prompt_tokens=prompt_tokens, audio_ms=audio_ms)


def token(token_id: int, text: str | None = None) -> TokensOut:
    return TokensOut(
        job_id="j", token_ids=(token_id,), texts=(f" {token_id}" if text is None else text,)
    )


def speech(start_ms: int, end_ms: int, text: str = "words") -> SpeechOut:
    return SpeechOut(job_id="j", piece=SpeechPiece(start_ms=start_ms, end_ms=end_ms, text=text))


def tick(metered_ms: int, step: str = "running") -> KernelTick:
    return KernelTick(job_id="j", step=step, metered_ms=metered_ms)


def kernel_result(metered_ms: int, data: bytes, part: int = 50) -> list[JobEvent]:
    done = KernelDone(job_id="j", metered_ms=metered_ms, output_bytes=len(data))
    parts = [data[at : at + part] for at in range(0, len(data), part)]
    return [done, *(KernelOut(job_id="j", data=each) for each in parts)]


def ended(finish: Finish = Finish.STOP, **rest) -> JobEnded:
    return JobEnded(job_id="j", finish=finish, **rest)


def chat_job(**changes) -> RunChat:
    from cocoon.messages import SamplingSettings, Turn

    fields = {
        "job_id": "j",
        "turns": (Turn(role="user", content="hello"),),
        "prefix_token_ids": (),
        "output_tokens_max": 32,
        "prompt_tokens_max": 200,
        "sampling": SamplingSettings(),
        "granted_tokens": 8,
    }
    return RunChat(**(fields | changes))


def speech_job(**changes) -> RunSpeech:
    fields = {
        "job_id": "j",
        "audio": b"",
        "audio_seconds_max": 600,
        "skip_ms": 0,
        "granted_ms": 60_000,
    }
    return RunSpeech(**(fields | changes))


def kernel_job(**changes) -> RunKernel:
    fields = {
        "job_id": "j",
        "job": b"",
        "ms_max": 10**6,
        "memory_bytes_max": 1 << 20,
        "output_bytes_max": 1 << 20,
        "granted_ms": 200,
    }
    return RunKernel(**(fields | changes))


@dataclass
class Job:
    """Both ends of one job that has just been accepted; `play` runs it to its end."""

    worker: ScriptedWorker
    job: RunChat | RunSpeech | RunKernel = field(default_factory=chat_job)
    schedule: PriceSchedule = PRICES
    limits: Limits = LIMITS
    purse: SlowPurse = field(default_factory=SlowPurse)
    audio_ms_max: int = 10**6
    output_bytes: int = 0
    latency_s: float = 0.0
    deadline_s: float = 600
    unpaid_timeout_s: float = 20
    stall_timeout_s: float = 30
    cancelled_after_s: float = float("inf")
    pieces: list[OutputPiece] = field(default_factory=list)
    execution: Execution | None = None
    running: RunningJob | None = None

    @property
    def kind(self) -> Kind:
        kinds = {RunChat: Kind.CHAT, RunSpeech: Kind.TRANSCRIBE, RunKernel: Kind.KERNEL}
        return kinds[type(self.job)]

    @property
    def data(self) -> bytes:
        return b"".join(piece.data for piece in self.pieces)

    @property
    def text(self) -> str:
        return "".join(piece.text for piece in self.pieces)

    def make(self, requester: Stream, provider: Stream) -> bytes:
        sealer = Sealer(KEY, TRANSCRIPT, Direction.OUTPUT)
        self.execution = Execution(
            stream=provider,
            worker=self.worker,
            job=self.job,
            lease=Lease(self.kind, self.schedule, self.limits),
            sealer=sealer,
            till=OpenTill(),
            clock=trio.current_time,
            deadline_unix_s=int(trio.current_time() + self.deadline_s),
            unpaid_timeout_s=self.unpaid_timeout_s,
        )
        self.running = RunningJob(
            line=Line(requester),
            accept=None,  # type: ignore[arg-type]  # the job was accepted before
            input_segments=[],
            open_output=lambda prefix: Opener(KEY, TRANSCRIPT, Direction.OUTPUT, prefix),
            watch=MeterWatch(
                kind=self.kind,
                schedule=self.schedule,
                limits=self.limits,
                prompt_tokens_max=10**4,
                output_tokens_max=10**4,
                audio_ms_max=self.audio_ms_max,
                kernel_ms_max=self.job.ms_max if isinstance(self.job, RunKernel) else 0,
                output_bytes=self.output_bytes,
                skip_ms=self.job.skip_ms if isinstance(self.job, RunSpeech) else 0,
            ),
            purse=self.purse,
            check_receipt=lambda *_: b"c" * 64,
            stall_timeout_s=self.stall_timeout_s,
        )
        return sealer.prefix

    async def provide(self) -> None:
        """The provider's side, to the countersignature."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.execution.read_frames)
            await self.execution.run()
            if not self.execution.left and self.execution.finish is not Finish.UNPAID:
                await self.execution.stream.send(encode(RECEIPT))
                with trio.move_on_after(self.unpaid_timeout_s):
                    await self.execution.wait_settled()
                    await self.execution.wait_countersigned()
            nursery.cancel_scope.cancel()

    async def take(self, piece: OutputPiece) -> None:
        self.pieces.append(piece)

    async def play(self) -> None:
        async with open_wire(self.latency_s) as (ours, theirs):
            prefix = self.make(ours, theirs)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.provide)
                with trio.move_on_after(self.cancelled_after_s):
                    await self.running.stream_output(prefix, self.take)
