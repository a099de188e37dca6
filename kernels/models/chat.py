"""A chat model: weights, tokenizer, template and an engine, behind one small face."""

import gc
import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from kernels.errors import DeviceUnavailable, InvalidInput, InvalidModelFile, ModelUnavailable
from kernels.models import weight_cache
from kernels.models.binary import let_go, map_file
from kernels.models.chat_template import ChatTemplate, ChatTurn
from kernels.models.decoder import (
    ChoosingSequence,
    CopyableSequence,
    Decoder,
    DecoderSequence,
)
from kernels.models.gguf import GgufFile, index_gguf
from kernels.models.gguf_blocks import Q4_1
from kernels.models.llama import NumpyDecoder
from kernels.models.prefix_cache import PUBLIC, PrefixCache, common_length
from kernels.models.sampling import Choice, Sampling, choose
from kernels.models.tokenizer import Detokenizer, Plain, Tokenizer, tokenizer_from_gguf
from kernels.models.weights import load_llama_weights, read_config, stream_llama_weights
from kernels.native.threads import threads_default

logger = logging.getLogger(__name__)

Floats = NDArray[np.float32]

__all__ = ["ChatModel", "ChatTurn", "Generation", "TokenPiece", "open_chat_model"]

END_OF_TURN: Final = (
    "<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|end_of_text|>", "<end_of_turn>", "</s>",
)  # fmt: skip
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

    Iterating computes alone. `kernels.models.batch` drives several together instead, by
    `is_over`, `pending`, `choice`, and `accept` or `accept_token`.
    """

    def __init__(
        self,
        *,
        sequence: DecoderSequence,
        stop_ids: frozenset[int],
        detokenizer: Detokenizer,
        prompt: Sequence[int],
        sampling: Sampling,
        tokens_max: int,
        should_stop: Callable[[], bool],
        keep: Callable[[Sequence[int], DecoderSequence], None] | None = None,
    ) -> None:
        self.finish_reason: FinishReason | None = None
        self.sequence = sequence
        self._stop_ids = stop_ids
        self._detokenizer = detokenizer
        self._sampling = sampling
        self._tokens_left = tokens_max
        self._should_stop = should_stop
        self._keep = keep
        self._token_ids = list(prompt)

    @property
    def pending(self) -> Sequence[int]:
        """Return the tokens that the sequence has not taken in yet; never none."""
        return self._token_ids[self.sequence.length_tokens :]

    @property
    def choice(self) -> Choice:
        """Return how the token after the pending ones is to be chosen."""
        return Choice(self._sampling, len(self._token_ids))

    def __next__(self) -> TokenPiece:
        """Compute the next token.

        Raises:
            StopIteration: the answer has ended.
            LaunchError: the device failed.
        """
        if self.is_over():
            raise StopIteration
        token_id = self._compute()
        if token_id is None:
            self._end("cancelled")
            raise StopIteration
        if (piece := self.accept_token(token_id)) is None:
            raise StopIteration
        return piece

    def _compute(self) -> int | None:
        """Take in what is pending and choose the next token, on the device if it can."""
        sequence, stop = self.sequence, self._should_stop
        if isinstance(sequence, ChoosingSequence):
            return sequence.extend_and_choose(self.pending, self.choice, should_stop=stop)
        logits = sequence.extend(self.pending, should_stop=stop)
        if sequence.length_tokens < len(self._token_ids):
            return None
        return choose(logits, self._sampling, len(self._token_ids))

    def is_over(self) -> bool:
        """Return whether nothing more will come; asks *should_stop*."""
        if self.finish_reason is None:
            if self._should_stop():
                self._end("cancelled")
            elif self._tokens_left == 0:
                self._end("length")
        return self.finish_reason is not None

    def accept(self, logits: Floats) -> TokenPiece | None:
        """Choose the next token from the logits after all pending ones; None at the end.

        Raises:
            LaunchError: the logits are not numbers.
        """
        return self.accept_token(choose(logits, self._sampling, len(self._token_ids)))

    def accept_token(self, token_id: int) -> TokenPiece | None:
        """Go on with the token that was chosen as `choice` says; None at the end."""
        if token_id in self._stop_ids:
            self._end("stop")
            return None
        self._tokens_left -= 1
        self._token_ids.append(token_id)
        return TokenPiece(token_id, self._detokenizer.push(token_id))

    def close(self) -> None:
        """Forget the conversation; nothing more will come. Ending by itself does it too."""
        self._end("cancelled")

    def _end(self, reason: FinishReason) -> None:
        if self.finish_reason is None:
            self.finish_reason = reason
            if self._keep is None:
                self.sequence.close()
            else:
                self._keep(self._token_ids[: self.sequence.length_tokens], self.sequence)


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
        self._prefixes = PrefixCache(decoder.config.kv_bytes_per_token)
        self._public_prefix: Sequence[int] | None = None

    @property
    def decoder(self) -> Decoder:
        """Return what computes."""
        return self._decoder

    @property
    def engine(self) -> str:
        """Return what computes on the device: "numpy", "native" or "cuda"."""
        return self._decoder.engine

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
        cache_scope: bytes = b"",
    ) -> Generation:
        """Answer *prompt* token by token; nothing of it is computed before the first is asked for.

        Args:
            prompt: from `encode_chat`.
            sampling: how tokens are chosen.
            tokens_max: at most so many.
            should_stop: asked before every token, and between the chunks of a long prompt.
            cache_scope: whose prompts may share work, see `kernels.models.prefix_cache`.
                None are remembered without a scope.

        Raises:
            InvalidInput: the prompt is empty or leaves no room in the context.
        """
        room = self.context_tokens - len(prompt)
        if not prompt or room < 1 or tokens_max < 0:
            raise InvalidInput(f"{len(prompt)} prompt tokens, {tokens_max} more asked for")
        tokens_max = min(tokens_max, room)

        def keep(token_ids: Sequence[int], sequence: DecoderSequence) -> None:
            self._prefixes.give(cache_scope, token_ids, sequence)

        return Generation(
            sequence=self._begin(prompt, len(prompt) + tokens_max, cache_scope),
            stop_ids=self._stop_ids,
            detokenizer=Detokenizer(self.tokenizer, prompt),
            prompt=prompt,
            sampling=sampling,
            tokens_max=tokens_max,
            should_stop=should_stop,
            keep=keep if cache_scope else None,
        )

    def _begin(self, prompt: Sequence[int], capacity: int, scope: bytes) -> DecoderSequence:
        """Return a sequence that has taken in what the cache knows of *prompt* already."""
        sequence = self._decoder.new_sequence(capacity)
        if isinstance(sequence, CopyableSequence):
            if self._public_prefix is None:
                self._public_prefix = self._compute_public_prefix()
            self._prefixes.start(sequence, prompt, scope)
        return sequence

    def _compute_public_prefix(self) -> Sequence[int]:
        """Take in how every chat of this template begins, which is no secret, for all scopes."""
        try:
            prompts = [self.encode_chat([ChatTurn("user", text)]) for text in ("a", "1 ")]
        except (InvalidInput, InvalidModelFile):  # a template that wants more than one turn
            return ()
        prefix = prompts[0][: common_length(*prompts)]
        if prefix:
            sequence = self._decoder.new_sequence(len(prefix))
            sequence.extend(prefix)
            self._prefixes.give(PUBLIC, prefix, sequence)
        return prefix


def open_chat_model(
    path: Path, *, device: str = "auto", cache: Path | None = None, threads: int = 0
) -> ChatModel:
    """Load a chat model.

    Args:
        path: a GGUF file, or a folder with exactly one.
        device: "cpu", "cuda", or "auto" for the card if there is one that can run the model.
        cache: folder for the dequantised numbers that NumPy workers share; None is the usual one.
        threads: how many threads the native engine uses; 0 means `threads_default`.

    Raises:
        ModelUnavailable: the file is missing, or not a model that this engine runs.
        DeviceUnavailable: *device* cannot be used here.
    """
    if device not in {"auto", "cpu", "cuda"}:
        raise DeviceUnavailable(f"no device is called {device[:40]!r}; there are auto, cpu, cuda")
    file = _find_file(path)
    content = map_file(file)
    with (
        _without_collection(),
        ThreadPoolExecutor(2) as pool,
    ):  # hashing and repacking let go of the interpreter
        hashed = pool.submit(lambda: hashlib.sha256(content.data).hexdigest())
        gguf = index_gguf(content, file.name)
        device = _best_device(gguf) if device == "auto" else device
        native = pool.submit(_open_native, gguf, device, threads or threads_default())
        tokenizer = tokenizer_from_gguf(gguf)
        template = _template(gguf)
        model_id = hashed.result()
        decoder = native.result()
    if decoder is None:
        decoder = _open_decoder(gguf, model_id, device, cache or weight_cache.default_directory())
    model = ChatModel(
        model_id=model_id,
        name=gguf.text("general.name", file.stem),
        decoder=decoder,
        tokenizer=tokenizer,
        template=template,
        stop_ids=_stop_ids(gguf, tokenizer),
    )
    let_go(gguf.content)
    return model


@contextmanager
def _without_collection() -> Iterator[None]:
    """Leave garbage uncollected for a while.

    A vocabulary is hundreds of thousands of new objects, none of them garbage; looking through
    them again and again while they are made takes a tenth of the start.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _best_device(gguf: GgufFile) -> str:
    from kernels.device import available_devices  # noqa: PLC0415  (many modules, for cards only)

    if "cuda" not in available_devices():
        return "cpu"
    from kernels.models.llama_cuda import unsupported_shape  # noqa: PLC0415 (as above)

    if reason := unsupported_shape(read_config(gguf), "q8"):
        logger.info("the card is left out: %s", reason)
        return "cpu"
    return "cuda"


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


def _open_native(gguf: GgufFile, device: str, threads: int) -> Decoder | None:
    """Return the native engine, or None where another has to do."""
    if device != "cpu":
        return None
    from kernels.models.llama_native import NativeDecoder, unsupported  # noqa: PLC0415 (as below)
    from kernels.native import library  # noqa: PLC0415  (may run a compiler)

    if unsupported(gguf, read_config(gguf)):
        return None
    try:
        return NativeDecoder(gguf, library.load(), threads=threads)
    except DeviceUnavailable as error:
        logger.info("the CPU engine is NumPy: %s", error)
        return None


def _open_decoder(gguf: GgufFile, model_id: str, device: str, cache: Path) -> Decoder:
    if device == "cuda":
        from kernels.device import open_device  # noqa: PLC0415 (as above)
        from kernels.models.llama_cuda import DeviceDecoder  # noqa: PLC0415 (only with a card)

        precision: Literal["q4", "q8"] = "q4" if _has_four_bits(gguf) else "q8"
        weights = stream_llama_weights(gguf)
        return DeviceDecoder(open_device("cuda"), weights, precision=precision)
    return NumpyDecoder(load_llama_weights(gguf, model_id, cache))


def _has_four_bits(gguf: GgufFile) -> bool:
    """Whether the layers lose nothing in the layout q4, of which a token reads half as much.

    Only Q4_1's blocks go from their least value to their largest, as those of q4 do.
    """
    layers = (each for name, each in gguf.tensors.items() if name.startswith("blk."))
    return {each.encoding.name for each in layers if len(each.shape) == 2} == {Q4_1.name}
