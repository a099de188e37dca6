"""A chat model: weights, tokenizer, template and an engine, behind one small face."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from kernels.device import available_devices, open_device
from kernels.errors import DeviceUnavailable, InvalidInput, ModelUnavailable
from kernels.models import weight_cache
from kernels.models.chat_template import ChatTemplate, ChatTurn
from kernels.models.decoder import Decoder
from kernels.models.gguf import GgufFile, open_gguf
from kernels.models.llama import NumpyDecoder
from kernels.models.sampling import Sampling, choose
from kernels.models.tokenizer import Detokenizer, Plain, Tokenizer, tokenizer_from_gguf
from kernels.models.weights import LlamaWeights, load_llama_weights

__all__ = ["ChatModel", "ChatTurn", "Generation", "TokenPiece", "open_chat_model"]

END_OF_TURN: Final = ("<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|end_of_text|>")
"""Special tokens that end an answer in the families we know, beside the file's own."""

FinishReason = Literal["stop", "length", "cancelled"]


@dataclass(frozen=True, slots=True)
class TokenPiece:
    """One token of an answer.

    `text` is what became readable with it: empty while a character is incomplete.
    """

    token_id: int
    text: str


class Generation(Iterator[TokenPiece]):
    """An answer in progress; made by `ChatModel.generate`.

    After the last piece `finish_reason` says why it ended. "stop": the model ended its
    turn; "length": *tokens_max* or the context is used up; "cancelled": *should_stop*
    returned true. It is None while pieces may still come.
    """

    def __init__(
        self,
        *,
        decoder: Decoder,
        stop_ids: frozenset[int],
        detokenizer: Detokenizer,
        prompt: Sequence[int],
        sampling: Sampling,
        tokens_max: int,
        should_stop: Callable[[], bool],
    ) -> None:
        self.finish_reason: FinishReason | None = None
        self._stop_ids = stop_ids
        self._detokenizer = detokenizer
        self._sampling = sampling
        self._tokens_left = tokens_max
        self._should_stop = should_stop
        self._pending = list(prompt)
        self._sequence = decoder.new_sequence(len(prompt) + tokens_max)

    def __next__(self) -> TokenPiece:
        """Compute the next token.

        Raises:
            StopIteration: the answer has ended.
            LaunchError: the device failed.
        """
        token_id = None if self._is_over() else self._next_id()
        if token_id is None:
            raise StopIteration
        self._tokens_left -= 1
        self._pending = [token_id]
        return TokenPiece(token_id, self._detokenizer.push(token_id))

    def close(self) -> None:
        """Forget the conversation; nothing more will come. Ending by itself does it too."""
        self._end("cancelled")

    def _is_over(self) -> bool:
        if self._should_stop():
            self._end("cancelled")
        elif self._tokens_left == 0:
            self._end("length")
        return self.finish_reason is not None

    def _next_id(self) -> int | None:
        expected = self._sequence.length_tokens + len(self._pending)
        logits = self._sequence.extend(self._pending, should_stop=self._should_stop)
        if self._sequence.length_tokens < expected:
            self._end("cancelled")
            return None
        token_id = choose(logits, self._sampling, expected)
        if token_id in self._stop_ids:
            self._end("stop")
            return None
        return token_id

    def _end(self, reason: FinishReason) -> None:
        if self.finish_reason is None:
            self.finish_reason = reason
            self._sequence.close()


class ChatModel:
    """A chat model ready to answer; one answer at a time uses the device best."""

    def __init__(
        self,
        *,
        model_id: str,
        name: str,
        decoder: Decoder,
        tokenizer: Tokenizer,
        template: ChatTemplate,
        stop_ids: frozenset[int],
    ) -> None:
        self.model_id = model_id
        self.name = name
        self.tokenizer = tokenizer
        self.context_tokens = decoder.capacity_tokens_max
        self._decoder = decoder
        self._template = template
        self._stop_ids = stop_ids

    @property
    def device(self) -> str:
        """Return the kind of device that computes: "cpu" or "cuda"."""
        return self._decoder.device

    def encode_chat(
        self, turns: Sequence[ChatTurn], *, continue_with: str | Sequence[int] = ()
    ) -> list[int]:
        """Return the tokens of the prompt, ready for the assistant's answer.

        Args:
            turns: the conversation; nothing in it can become a special token.
            continue_with: an answer already begun elsewhere, as text or as token ids.
                Only ids continue exactly: text may be cut into other tokens.

        Raises:
            InvalidInput: a bad role or order, ids outside the vocabulary, or too long.
        """
        room = self.context_tokens - 1
        parts = self._template.render(turns)
        if isinstance(continue_with, str):
            return self.tokenizer.encode([*parts, Plain(continue_with)], tokens_max=room)
        ids = self.tokenizer.encode(parts, tokens_max=room) + list(continue_with)
        if any(not 0 <= token_id < self.tokenizer.vocabulary for token_id in continue_with):
            raise InvalidInput("the begun answer has token ids outside the vocabulary")
        if len(ids) > room:
            raise InvalidInput(f"{len(ids)} tokens, more than {room}")
        return ids

    def generate(
        self,
        prompt: Sequence[int],
        *,
        sampling: Sampling,
        tokens_max: int,
        should_stop: Callable[[], bool],
    ) -> Generation:
        """Answer *prompt* token by token; nothing is computed before the first is asked for.

        *should_stop* is asked before every token, and between the chunks of a long prompt.

        Raises:
            InvalidInput: the prompt is empty or leaves no room in the context.
        """
        room = self.context_tokens - len(prompt)
        if not prompt or room < 1 or tokens_max < 0:
            raise InvalidInput(f"{len(prompt)} prompt tokens, {tokens_max} more asked for")
        return Generation(
            decoder=self._decoder,
            stop_ids=self._stop_ids,
            detokenizer=Detokenizer(self.tokenizer, prompt),
            prompt=prompt,
            sampling=sampling,
            tokens_max=min(tokens_max, room),
            should_stop=should_stop,
        )


def open_chat_model(path: Path, *, device: str = "auto", cache: Path | None = None) -> ChatModel:
    """Load a chat model.

    Args:
        path: a GGUF file, or a folder with exactly one.
        device: "cpu", "cuda", or "auto" for the card if there is a usable one.
        cache: folder for the dequantised numbers that workers share; None is the usual one.

    Raises:
        ModelUnavailable: the file is missing, or not a model that this engine runs.
        DeviceUnavailable: *device* cannot be used here.
    """
    file = _find_file(path)
    gguf = open_gguf(file)
    model_id = hashlib.sha256(gguf.content.data).hexdigest()
    tokenizer = tokenizer_from_gguf(gguf)
    folder = cache or weight_cache.default_directory()
    weights = load_llama_weights(gguf, model_id, folder)
    return ChatModel(
        model_id=model_id,
        name=gguf.text("general.name", file.stem),
        decoder=_open_decoder(weights, device),
        tokenizer=tokenizer,
        template=_template(gguf),
        stop_ids=_stop_ids(gguf, tokenizer),
    )


def _find_file(path: Path) -> Path:
    if not path.is_dir():
        return path
    found = sorted(path.glob("*.gguf"))
    if len(found) != 1:
        raise ModelUnavailable(f"{path} has {len(found)} GGUF files; one is expected")
    return found[0]


def _template(gguf: GgufFile) -> ChatTemplate:
    tokens = gguf.texts("tokenizer.ggml.tokens")
    last = len(tokens) - 1
    ends = {
        key: tokens[gguf.integer(f"tokenizer.ggml.{key}_token_id", minimum=0, maximum=last)]
        for key in ("bos", "eos")
        if f"tokenizer.ggml.{key}_token_id" in gguf.metadata
    }
    return ChatTemplate(
        gguf.text("tokenizer.chat_template"),
        bos_text=ends.get("bos", ""),
        eos_text=ends.get("eos", ""),
    )


def _stop_ids(gguf: GgufFile, tokenizer: Tokenizer) -> frozenset[int]:
    last = tokenizer.vocabulary - 1
    eos = gguf.integer("tokenizer.ggml.eos_token_id", minimum=0, maximum=last)
    found = (tokenizer.special_id(text) for text in END_OF_TURN)
    return frozenset({eos, *(token_id for token_id in found if token_id is not None)})


def _open_decoder(weights: LlamaWeights, device: str) -> Decoder:
    if device not in {"auto", "cpu", "cuda"}:
        raise DeviceUnavailable(f"no device is called {device[:40]!r}; there are auto, cpu, cuda")
    if device == "cuda" or (device == "auto" and "cuda" in available_devices()):
        from kernels.models.llama_cuda import DeviceDecoder  # noqa: PLC0415 (only with a card)

        return DeviceDecoder(open_device("cuda"), weights)
    return NumpyDecoder(weights)
