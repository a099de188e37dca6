"""Requests for a transcript, and their answers. Pure, but for the decoding of the audio.

Source: OpenAI's API reference, "Audio / transcriptions".
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from cocoon.errors import ConfigError
from cocoon.gateway.form import Form
from cocoon.gateway.problems import ApiProblem
from cocoon.gateway.wire import bought
from cocoon.requester.events import JobResult
from cocoon.requester.inputs import model_id, speech_of
from cocoon.requester.plan import SpeechRequest

AUDIO_BYTES_MAX: Final = (64 << 20) + (64 << 10)
"""The largest recording that a job takes, and the form around it."""

NEUTRAL: Final[Mapping[str, frozenset[str]]] = {
    "language": frozenset({"", "en"}),
    "prompt": frozenset({""}),
    "temperature": frozenset({"", "0", "0.0"}),
    "stream": frozenset({"", "false", "False"}),
}
FORMATS: Final = frozenset({"json", "text"})


def read_speech(form: Form) -> tuple[SpeechRequest, bool]:
    """Return what to buy, and whether plain text is wanted in place of JSON.

    Blocking: it decodes the audio for its length.

    Raises:
        ApiProblem: a field is wrong or not supported.
        ConfigError: the file is no audio.
    """
    name, style = form.fields.get("model", ""), form.fields.get("response_format", "json")
    try:
        model_id(name, "speech")
    except ConfigError as error:
        raise ApiProblem(404, "model_not_found", str(error), parameter="model") from error
    if style not in FORMATS:
        raise ApiProblem(
            400,
            "unsupported_parameter",
            f"response_format is one of {', '.join(sorted(FORMATS))}",
            parameter="response_format",
        )
    for field, value in form.fields.items():
        if field not in {"model", "response_format"} and value not in NEUTRAL.get(field, ()):
            raise ApiProblem(
                400,
                "unsupported_parameter",
                f"{field[:64]!r} is not supported here with this value; leave it out",
                parameter=field[:64],
            )
    return speech_of(form.file, "the recording", name), style == "text"


def speech_answer(result: JobResult) -> bytes:
    """Return the JSON of a transcript."""
    return msgspec.json.encode({"text": result.text, "cocoon": bought(result)})
