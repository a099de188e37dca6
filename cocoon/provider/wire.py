"""What a provider's node and its worker processes say to each other over pipes.

Frames of MessagePack with a 4-byte big-endian length. Both ends are ours, on one
machine, and still everything is bounded and typed: the worker handles strangers'
input, so the node treats it as a stranger.
"""

from typing import Annotated, Final, TypeAlias

import msgspec

from cocoon.errors import UNDECODABLE
from cocoon.messages import Finish, Kind, Message, SamplingSettings, SpeechPiece, Turn

HEADER_BYTES: Final = 4
WORKER_FRAME_BYTES_MAX: Final = (64 << 20) + 65_536

JobId = Annotated[str, msgspec.Meta(max_length=64)]


class RunChat(Message, frozen=True, tag="run_chat", tag_field="type"):
    """Start a chat job. Generation pauses at `granted_tokens` until a `Grant`."""

    job_id: JobId
    turns: tuple[Turn, ...]
    prefix_token_ids: tuple[int, ...]
    output_tokens_max: int
    prompt_tokens_max: int
    sampling: SamplingSettings
    granted_tokens: int


class RunSpeech(Message, frozen=True, tag="run_speech", tag_field="type"):
    """Start a transcription. It pauses after `granted_ms` of audio until a `Grant`."""

    job_id: JobId
    audio: bytes
    audio_seconds_max: int
    skip_ms: int
    granted_ms: int


class RunKernel(Message, frozen=True, tag="run_kernel", tag_field="type"):
    """Run a customer's kernel. It rests when it has used `granted_ms`, until a `Grant`.

    `job` is what `kernels.custom.decode_job` reads; the other numbers are what was agreed.
    """

    job_id: JobId
    job: bytes
    ms_max: int
    memory_bytes_max: int
    output_bytes_max: int
    granted_ms: int


class Grant(Message, frozen=True, tag="grant", tag_field="type"):
    """The job may produce this many output tokens in total.

    Of a transcription these are milliseconds of audio, of a kernel metered milliseconds.
    """

    job_id: JobId
    granted_units: int


class CancelJob(Message, frozen=True, tag="cancel_job", tag_field="type"):
    """Stop the device at the next token."""

    job_id: JobId


Job: TypeAlias = RunChat | RunSpeech | RunKernel
Command: TypeAlias = Job | Grant | CancelJob


class WorkerReady(Message, frozen=True, tag="ready", tag_field="type"):
    """The model is loaded and measured."""

    kind: Kind
    model_id: bytes
    engine_id: bytes
    device: str
    context_tokens: int
    speed_milli_per_s: int


class WorkerFailed(Message, frozen=True, tag="worker_failed", tag_field="type"):
    """The model cannot be served; the process ends."""

    detail: str


class JobStarted(Message, frozen=True, tag="started", tag_field="type"):
    """The input was accepted; the prompt is about to be processed."""

    job_id: JobId
    prompt_tokens: int
    audio_ms: int
    kernel_hash: bytes = b""


class TokensOut(Message, frozen=True, tag="tokens", tag_field="type"):
    """New output of a chat: the tokens, and what each added to the text."""

    job_id: JobId
    token_ids: tuple[int, ...]
    texts: tuple[str, ...]


class SpeechOut(Message, frozen=True, tag="speech", tag_field="type"):
    """New output of a transcription."""

    job_id: JobId
    piece: SpeechPiece


class KernelTick(Message, frozen=True, tag="kernel_tick", tag_field="type"):
    """A kernel is still being worked on; it has used at least so much."""

    job_id: JobId
    step: str
    metered_ms: int


class KernelDone(Message, frozen=True, tag="kernel_done", tag_field="type"):
    """A kernel is over, well or not; `output_bytes` follow as `KernelOut`."""

    job_id: JobId
    metered_ms: int
    output_bytes: int


class KernelOut(Message, frozen=True, tag="kernel_out", tag_field="type"):
    """The next bytes of what a kernel wrote."""

    job_id: JobId
    data: bytes


class JobEnded(Message, frozen=True, tag="ended", tag_field="type"):
    """The worker is free again. `bad_input` says whose fault a failure is.

    `speed_milli_per_s` counts the time of computing only: thousandths of output tokens
    (or seconds of audio) a second, 0 when too little was done to tell.
    """

    job_id: JobId
    finish: Finish
    detail: str = ""
    bad_input: bool = False
    speed_milli_per_s: int = 0


KernelEvent: TypeAlias = KernelTick | KernelDone | KernelOut
JobEvent: TypeAlias = JobStarted | TokensOut | SpeechOut | KernelEvent | JobEnded
Event: TypeAlias = WorkerReady | WorkerFailed | JobEvent

_encoder = msgspec.msgpack.Encoder()
_commands: msgspec.msgpack.Decoder[Command] = msgspec.msgpack.Decoder(Command)
_events: msgspec.msgpack.Decoder[Event] = msgspec.msgpack.Decoder(Event)


class WorkerProtocolError(Exception):
    """The other end of the pipe sent nonsense; the worker has to be replaced."""


def encode_frame(message: Command | Event) -> bytes:
    """Serialise one message with its length in front."""
    body = _encoder.encode(message)
    return len(body).to_bytes(HEADER_BYTES, "big") + body


def frame_length(header: bytes) -> int:
    """Return the announced body length.

    Raises:
        WorkerProtocolError: it exceeds `WORKER_FRAME_BYTES_MAX`.
    """
    length = int.from_bytes(header, "big")
    if length > WORKER_FRAME_BYTES_MAX:
        raise WorkerProtocolError(f"a frame of {length} bytes was announced")
    return length


def decode_command(body: bytes) -> Command:
    """Parse one frame body sent by the node.

    Raises:
        WorkerProtocolError: it is not a command.
    """
    try:
        return _commands.decode(body)
    except UNDECODABLE as error:
        raise WorkerProtocolError(f"bad command: {error}") from error


def decode_event(body: bytes) -> Event:
    """Parse one frame body sent by a worker.

    Raises:
        WorkerProtocolError: it is not an event.
    """
    try:
        return _events.decode(body)
    except UNDECODABLE as error:
        raise WorkerProtocolError(f"bad event: {error}") from error
