"""Fits the models of `kernels` to what a worker needs. Blocks; runs in the worker only.

A worker serves one kind of job, and loads what that needs: a chat no sound, kernels no model.
"""

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final

import kernels
from cocoon.messages import Kind, SamplingSettings, Turn

if TYPE_CHECKING:
    from kernels.models.audio import Audio
    from kernels.models.chat import ChatModel, Generation
    from kernels.models.whisper import SpeechModel

WARM_UP_TOKENS: Final = 12
WARM_UP_PROMPT: Final = "Count from one to ten."
SPEECH_SPEED_GUESS: Final = 10.0
"""Seconds of audio a second, quoted until a worker has measured a real job."""


@cache
def engine_id(device: str, engine: str) -> bytes:
    """Return a hash over the sources that compute: what a receipt names as its engine.

    It changes whenever any file of the `kernels` package changes, the device does, or
    what computes on it: "native" and "numpy" round differently.
    """
    digest = hashlib.sha256(f"cocoon/engine\0{device}\0{engine}\0".encode())
    root = Path(str(kernels.__file__)).parent
    for path in sorted(root.rglob("*")):
        if path.suffix in {".py", ".cu", ".cuh", ".c", ".h"}:
            digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.digest()


class ChatEngine:
    """A chat model, as jobs see it."""

    def __init__(self, model: "ChatModel") -> None:
        self._model = model
        self.model_id = bytes.fromhex(model.model_id)
        self.device = model.device
        self.engine_id = engine_id(model.device, model.engine)
        self.context_tokens = model.context_tokens

    def encode(self, turns: Sequence[Turn], prefix_token_ids: Sequence[int]) -> list[int]:
        """Render the chat and return the tokens of the prompt, prefix included."""
        from kernels.models.chat_template import ChatTurn  # noqa: PLC0415  (see above)

        chat = [ChatTurn(role=turn.role, content=turn.content) for turn in turns]
        return self._model.encode_chat(chat, continue_with=prefix_token_ids)

    def generate(
        self,
        prompt: list[int],
        sampling: SamplingSettings,
        tokens_max: int,
        should_stop: Callable[[], bool],
    ) -> "Generation":
        """Return the answer in progress: an iterator of tokens, which knows why it ended."""
        from kernels.models.sampling import Sampling  # noqa: PLC0415  (see above)

        settings = Sampling(
            temperature=sampling.temperature_milli / 1000,
            top_k=sampling.top_k,
            top_p=sampling.top_p_ppm / 1_000_000,
            seed=sampling.seed,
        )
        return self._model.generate(
            prompt, sampling=settings, tokens_max=tokens_max, should_stop=should_stop
        )

    def measure_speed(self) -> float:
        """Return output tokens a second, measured on a short warm-up answer.

        The faster quarter of the tokens counts: what others do on this machine while
        it starts says little about how fast a job will be.
        """
        prompt = self.encode([Turn(role="user", content=WARM_UP_PROMPT)], ())
        times = [time.perf_counter()]
        for _ in self.generate(prompt, SamplingSettings(), WARM_UP_TOKENS, lambda: False):
            times.append(time.perf_counter())  # noqa: PERF401  (a clock reading per token)
        intervals = sorted(b - a for a, b in pairwise(times[1:]))
        return 1 / max(intervals[len(intervals) // 4], 1e-6)


class SpeechEngine:
    """A speech model, as jobs see it."""

    def __init__(self, model: "SpeechModel") -> None:
        self._model = model
        self.model_id = bytes.fromhex(model.model_id)
        self.device = model.device
        self.engine_id = engine_id(model.device, model.engine)
        self.context_tokens = 0

    def load(self, data: bytes, audio_seconds_max: int) -> tuple["Audio", int]:
        """Decode an audio file; return it with its duration in milliseconds, rounded up."""
        from kernels.models.audio import decode_audio  # noqa: PLC0415  (see above)

        audio = decode_audio(data, duration_s_max=audio_seconds_max)
        return audio, -(-round(audio.duration_s * 1_000_000) // 1000)

    def transcribe(
        self, audio: "Audio", skip_ms: int, should_stop: Callable[[], bool]
    ) -> Iterator[tuple[float, float, str]]:
        """Yield (start_s, end_s, text) for each stretch after *skip_ms*.

        What comes before is not computed again; times count from the beginning.
        """
        from kernels.models.audio import SAMPLE_RATE_HZ, Audio  # noqa: PLC0415  (see above)

        start = min(skip_ms * SAMPLE_RATE_HZ // 1000, len(audio.samples))
        offset_s, rest = start / SAMPLE_RATE_HZ, Audio(audio.samples[start:])
        for segment in self._model.transcribe(rest, should_stop=should_stop):
            yield segment.start_s + offset_s, segment.end_s + offset_s, segment.text

    def measure_speed(self) -> float:
        """Return a cautious figure; real jobs correct it in the provider's quotes."""
        return SPEECH_SPEED_GUESS


def open_engine(kind: Kind, path: Path, device: str) -> ChatEngine | SpeechEngine:
    """Load the model at *path*.

    Raises:
        KernelError: the file is missing or damaged, or the device cannot be used.
    """
    if kind is Kind.CHAT:
        from kernels.models.chat import open_chat_model  # noqa: PLC0415  (see above)

        return ChatEngine(open_chat_model(path, device=device))
    from kernels.models.whisper import open_speech_model  # noqa: PLC0415  (see above)

    return SpeechEngine(open_speech_model(path, device=device))
