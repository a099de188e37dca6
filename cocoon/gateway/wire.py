"""OpenAI's shapes of requests and answers, decoded into ours, and back. Pure.

Source: OpenAI's API reference, "Chat completions" and "Audio / transcriptions". What we do
not do is refused by its name and never ignored in silence, unless it cannot change the
answer.
"""

import secrets
from collections.abc import Mapping
from typing import Annotated, Any, Final

import msgspec

from cocoon.errors import UNDECODABLE, ConfigError
from cocoon.gateway.problems import ApiProblem
from cocoon.messages import Finish, SamplingSettings, Turn
from cocoon.requester.events import JobResult
from cocoon.requester.inputs import model_id
from cocoon.requester.plan import ChatRequest

CHAT_BODY_BYTES_MAX: Final = 4 << 20
TURNS_MAX: Final = 512
TURN_CHARACTERS_MAX: Final = 1 << 20
OUTPUT_TOKENS_MAX: Final = 65_536
OUTPUT_TOKENS_DEFAULT: Final = 512
SEED_MASK: Final = 2**63 - 1

HARMLESS: Final = frozenset({
    "user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key",
    "prompt_cache_retention",
})  # fmt: skip
"""Parameters that do not change the answer: taken, and not passed on to any provider."""

NEUTRAL: Final[Mapping[str, tuple[object, ...]]] = {
    "n": (1,),
    "frequency_penalty": (0,),
    "presence_penalty": (0,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "logit_bias": ({},),
    "stop": ([], ""),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "functions": ([],),
    "function_call": ("none", "auto"),
    "parallel_tool_calls": (True, False),
    "response_format": ({"type": "text"},),
    "modalities": (["text"],),
    "reasoning_effort": ("none",),
    "verbosity": ("medium",),
}
"""Parameters that we do not have, with the values that ask for nothing; null is one, too."""

FINISH_WORDS: Final = {Finish.STOP: "stop", Finish.LENGTH: "length"}


class TextPart(msgspec.Struct, frozen=True, tag="text", tag_field="type"):
    """A part of a message; pictures and sound are not for our models."""

    text: Annotated[str, msgspec.Meta(max_length=TURN_CHARACTERS_MAX)]


Content = (
    Annotated[str, msgspec.Meta(max_length=TURN_CHARACTERS_MAX)]
    | Annotated[list[TextPart], msgspec.Meta(min_length=1, max_length=256)]
)


class ApiMessage(msgspec.Struct, frozen=True):
    """One message of a chat."""

    role: Annotated[str, msgspec.Meta(pattern="^(system|developer|user|assistant)$")]
    content: Content
    name: str | None = None

    def turn(self) -> Turn:
        """Return it as one of ours."""
        parts = self.content
        text = parts if isinstance(parts, str) else "".join(part.text for part in parts)
        return Turn(role="system" if self.role == "developer" else self.role, content=text)


class StreamOptions(msgspec.Struct, frozen=True):
    """What a stream carries beside the text."""

    include_usage: bool = False
    include_obfuscation: bool = False


Tokens = Annotated[int, msgspec.Meta(ge=1, le=OUTPUT_TOKENS_MAX)]


class ChatCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of ``POST /v1/chat/completions``."""

    model: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    messages: Annotated[list[ApiMessage], msgspec.Meta(min_length=1, max_length=TURNS_MAX)]
    max_tokens: Tokens | None = None
    max_completion_tokens: Tokens | None = None
    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    seed: int | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None

    def request(self, random_seed: int) -> ChatRequest:
        """Return what to buy.

        Args:
            random_seed: when the client gave none; 63 bits.

        Raises:
            ApiProblem: no such model, or a message is too long.
        """
        turns = tuple(message.turn() for message in self.messages)
        if max(len(turn.content) for turn in turns) > TURN_CHARACTERS_MAX:
            raise ApiProblem(
                400,
                "too_large",
                f"a message has at most {TURN_CHARACTERS_MAX} characters",
                parameter="messages",
            )
        temperature = 1.0 if self.temperature is None else self.temperature
        top_p = 1.0 if self.top_p is None else self.top_p
        return ChatRequest(
            model_id=_model_id(self.model, "chat"),
            turns=turns,
            output_tokens_max=self.max_completion_tokens
            or self.max_tokens
            or OUTPUT_TOKENS_DEFAULT,
            sampling=SamplingSettings(
                temperature_milli=round(temperature * 1000),
                top_p_ppm=round(top_p * 1_000_000),
                seed=(random_seed if self.seed is None else self.seed) & SEED_MASK,
            ),
        )


def decode_chat(body: bytes) -> ChatCall:
    """Decode the body of a chat request.

    Raises:
        ApiProblem: it is not one, or asks for what we do not have.
    """
    try:
        fields = msgspec.json.decode(body, type=dict[str, Any])
    except UNDECODABLE as error:
        raise ApiProblem(400, "invalid_json", f"the body is not a JSON object: {error}") from error
    try:
        return msgspec.convert(_ours(fields), ChatCall)
    except UNDECODABLE as error:
        raise ApiProblem(400, "invalid_parameter", str(error)) from error


def _ours(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the parameters that we have; refuse others that would change the answer."""
    kept = {}
    for name, value in fields.items():
        if name in ChatCall.__struct_fields__:
            kept[name] = value
        elif name not in HARMLESS and value is not None and value not in NEUTRAL.get(name, ()):
            raise ApiProblem(
                400,
                "unsupported_parameter",
                f"{name[:64]!r} is not supported here; leave it out",
                parameter=name[:64],
            )
    return kept


def _model_id(name: str, kind: str) -> str:
    try:
        return model_id(name, kind)
    except ConfigError as error:
        raise ApiProblem(404, "model_not_found", str(error), parameter="model") from error


# --- answers ---


class Usage(msgspec.Struct, frozen=True):
    """What the receipt's meter counts."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Bought(msgspec.Struct, frozen=True):
    """Our own field ``cocoon`` of an answer: who did it, and what it cost."""

    job_id: str
    provider: str
    paid_nanoton: int
    at_risk_max_nanoton: int
    receipts: list[str]
    failovers: int


def usage_of(result: JobResult) -> Usage:
    """Return the tokens of a chat."""
    prompt = result.attempts[-1].prompt_tokens
    return Usage(prompt, result.tokens, prompt + result.tokens)


def bought(result: JobResult) -> Bought:
    """Return what a client may want to write down about a job."""
    return Bought(
        job_id=result.job_id,
        provider=result.provider,
        paid_nanoton=result.paid_nanoton,
        at_risk_max_nanoton=max(a.at_risk_max_nanoton for a in result.attempts),
        receipts=[a.receipt for a in result.attempts if a.receipt],
        failovers=len(result.failovers),
    )


class ChatAnswers:
    """Makes the JSON of one chat's answer, whole or in chunks; all parts share one id."""

    def __init__(self, model: str, now_unix_s: int) -> None:
        self._common: dict[str, object] = {
            "id": f"chatcmpl-{secrets.token_hex(12)}",
            "created": now_unix_s,
            "model": model,
        }
        self._begun = False

    def whole(self, result: JobResult) -> bytes:
        """Return the answer that is not streamed."""
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": result.text, "refusal": None},
            "logprobs": None,
            "finish_reason": FINISH_WORDS.get(result.finish, "stop"),
        }
        return self._encode(
            "chat.completion",
            choices=[choice],
            usage=usage_of(result),
            cocoon=bought(result),
        )

    def piece(self, text: str) -> bytes:
        """Return a chunk with more text."""
        delta = {"content": text} if self._begun else {"role": "assistant", "content": text}
        self._begun = True
        return self._chunk(choices=[{"index": 0, "delta": delta, "finish_reason": None}])

    def last(self, result: JobResult, *, with_usage: bool) -> list[bytes]:
        """Return the chunks that end a stream."""
        finish = FINISH_WORDS.get(result.finish, "stop")
        choice = {"index": 0, "delta": {}, "finish_reason": finish}
        chunks = [self._chunk(choices=[choice], cocoon=bought(result))]
        if with_usage:
            chunks.append(self._chunk(choices=[], usage=usage_of(result)))
        return chunks

    def _chunk(self, **fields: object) -> bytes:
        return self._encode("chat.completion.chunk", **fields)

    def _encode(self, kind: str, **fields: object) -> bytes:
        return msgspec.json.encode({"object": kind, **self._common, **fields})


def model_list(names: list[str]) -> bytes:
    """Return the answer to ``GET /v1/models``."""
    models = [{"id": n, "object": "model", "created": 0, "owned_by": "cocoon"} for n in names]
    return msgspec.json.encode({"object": "list", "data": models})
