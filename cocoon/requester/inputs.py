"""From what people have (a model's name, an audio file) to what a request needs."""

from pathlib import Path
from typing import Final

from cocoon.errors import ConfigError
from cocoon.messages import Kind, resource_class
from cocoon.requester.plan import SpeechRequest
from kernels.models import catalog

CHAT_MODEL: Final = "SmolLM2-135M-Instruct"
SPEECH_MODEL: Final = "whisper-tiny.en"
AUDIO_SECONDS_MAX: Final = 4 * 3600


def model_id(name: str, kind: str) -> str:
    """Return the content hash of a model by its name in the catalogue.

    Raises:
        ConfigError: nothing of this kind has that name.
    """
    for known in catalog.models():
        if known.name == name and known.kind == kind:
            return known.model_id
    names = ", ".join(m.name for m in catalog.models() if m.kind == kind)
    raise ConfigError(f"no {kind} model is called {name!r}; known: {names}")


def model_classes() -> dict[str, str]:
    """Return the names of all models in the catalogue, by the resource class of their jobs."""
    kinds = {"chat": Kind.CHAT, "speech": Kind.TRANSCRIBE}
    return {resource_class(kinds[m.kind], m.model_id): m.name for m in catalog.models()}


def speech_request(path: Path, model: str = SPEECH_MODEL) -> SpeechRequest:
    """Read an audio file into a request.

    Raises:
        ConfigError: it cannot be read, or is not audio.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from error
    return speech_of(data, str(path), model)


def speech_of(data: bytes, name: str, model: str = SPEECH_MODEL) -> SpeechRequest:
    """Make a request of a recording: OGG/Opus, WAV, FLAC or MP3.

    Args:
        data: the file's contents.
        name: what to call it in errors.
        model: its name in the catalogue.

    Raises:
        ConfigError: it is not audio, or there is no such model.
    """
    from kernels.errors import InvalidInput  # noqa: PLC0415  (audio needs NumPy)
    from kernels.models.audio import decode_audio  # noqa: PLC0415

    known = model_id(model, "speech")
    try:
        duration_s = decode_audio(data, duration_s_max=AUDIO_SECONDS_MAX).duration_s
    except InvalidInput as error:
        raise ConfigError(f"{name}: {error}") from error
    duration_ms = -(-round(duration_s * 1_000_000) // 1000)
    return SpeechRequest(model_id=known, audio=data, duration_ms=duration_ms)
