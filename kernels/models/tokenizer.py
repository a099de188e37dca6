"""Text to tokens and back, built from a GGUF file's metadata.

Two kinds of vocabulary: byte-level byte pairs (``gpt2``: SmolLM, Qwen, Llama 3) and
SentencePiece's (``llama``: Llama 2, Gemma; see `kernels.models.piece_encoder`).

Two things that are usually one are apart here. *Plain* text, such as a user's, is
encoded by a tokenizer that does not know the special tokens, so ``<|im_end|>`` in
it stays seven ordinary tokens. Only the text of the chat template is searched for
them. Source of the byte alphabet: GPT-2 (Radford et al., 2019).
"""

import codecs
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final, Protocol

from kernels.errors import InvalidInput, InvalidModelFile
from kernels.models.gguf import GgufFile
from kernels.models.piece_encoder import SPACE, PieceEncoder

if TYPE_CHECKING:
    from tokenizers import Tokenizer as Pairs

VOCABULARY_MAX: Final = 1_000_000
PRIMING_TOKENS: Final = 8
"""Enough to hold every byte of a character that a prefix leaves unfinished."""

_NORMAL, _UNKNOWN, _CONTROL, _USER_DEFINED, _BYTE = 1, 2, 3, 4, 6
_BYTE_TEXT: Final = re.compile("<0x([0-9A-F]{2})>")
_MARKUP: Final = re.compile(r"[<>\[\]|]")
"""What turn markers are written with; a plain text is not searched for tokens with it."""

_DIGITS_APART: Final = frozenset({"smollm", "starcoder", "refact", "command-r", "codeshell"})
_WHOLE_WORDS: Final = frozenset({"gpt-2", "default"})
_PATTERN: Final = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_PATTERNS: Final = {"qwen2": _PATTERN % "", "llama-bpe": _PATTERN % "{1,3}"}
"""How Qwen 2 and Llama 3 cut text: numbers digit by digit, or by up to three."""


@dataclass(frozen=True, slots=True)
class Template:
    """Text of the chat template; special tokens in it count."""

    text: str


@dataclass(frozen=True, slots=True)
class Plain:
    """Anybody's text; nothing in it is a special token."""

    text: str


class Encoder(Protocol):
    """Cuts ordinary text."""

    def encode(self, text: str) -> list[int]:
        """Return the tokens of *text*, in which nothing is special."""


class Tokenizer:
    """An encoder of ordinary text with special tokens kept apart.

    Args:
        tokens: the vocabulary.
        encoder: for what is not special.
        special: tokens that a template's text is searched for, by their text.
        silent: tokens that have no text when they are read.
        to_bytes: what the text of another token stands for.
        first_id: the token that every prompt begins with, if there is one.
    """

    def __init__(
        self,
        tokens: Sequence[str],
        encoder: Encoder,
        special: dict[str, int],
        *,
        silent: frozenset[int],
        to_bytes: Callable[[str], bytes],
        first_id: int | None = None,
    ) -> None:
        self._encoder = encoder
        self._special = special
        self._tokens = tokens
        self._silent = silent
        self._to_bytes = to_bytes
        self._first_id = first_id
        self._bytes: dict[int, bytes] = {}
        self._longest_token = max(map(len, tokens))  # in characters; a byte is one or less
        longest_first = sorted(special, key=len, reverse=True)
        self._finder = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    @property
    def vocabulary(self) -> int:
        """Return how many tokens there are."""
        return len(self._tokens)

    def special_id(self, text: str) -> int | None:
        """Return the id of a special token, or None."""
        return self._special.get(text)

    def encode_plain(self, text: str) -> list[int]:
        """Encode text in which nothing is special."""
        return self._encoder.encode(text) if text else []

    def encode(self, pieces: Iterable[Template | Plain], *, tokens_max: int) -> list[int]:
        """Encode template text with user text set into it.

        Neighbouring ordinary text is encoded together, as if it were one string. Where the
        vocabulary wants a first token and the template has not set it, it is set.

        Raises:
            InvalidInput: the text certainly has more than *tokens_max* tokens, or has them.
        """
        parts = list(pieces)
        longest = tokens_max * self._longest_token
        if sum(len(part.text) for part in parts) > longest:
            raise InvalidInput(f"the prompt has more than {tokens_max} tokens")
        ids: list[int] = []
        for run in self._runs(parts):
            ids += [run] if isinstance(run, int) else self.encode_plain(run)
        if self._first_id is not None and ids[:1] != [self._first_id]:
            ids.insert(0, self._first_id)
        if len(ids) > tokens_max:
            raise InvalidInput(f"the prompt has {len(ids)} tokens, more than {tokens_max}")
        return ids

    def decode_bytes(self, token_id: int) -> bytes:
        """Return the bytes of a token; control tokens have none."""
        if token_id not in self._bytes:  # made as they are needed: an answer uses few
            silent = token_id in self._silent
            self._bytes[token_id] = b"" if silent else self._to_bytes(self._tokens[token_id])
        return self._bytes[token_id]

    def decode(self, token_ids: Iterable[int]) -> str:
        """Return the text of tokens; broken UTF-8 is replaced."""
        return b"".join(map(self.decode_bytes, token_ids)).decode("utf-8", "replace")

    def _runs(self, parts: list[Template | Plain]) -> Iterator[str | int]:
        """Yield ordinary text and special tokens in turn."""
        ordinary: list[str] = []
        for part in parts:
            start = 0
            found = self._finder.finditer(part.text) if isinstance(part, Template) else ()
            for match in found:
                ordinary.append(part.text[start : match.start()])
                yield "".join(ordinary)
                ordinary.clear()
                yield self._special[match.group()]
                start = match.end()
            ordinary.append(part.text[start:])
        yield "".join(ordinary)


class Detokenizer:
    """Turns tokens into text as they come, never splitting a character.

    Bytes that do not yet make a character are held back until the next token.
    """

    def __init__(self, tokenizer: Tokenizer, before: Sequence[int] = ()) -> None:
        """Start after the tokens *before*, which may have left a character unfinished."""
        self._tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        for token_id in before[-PRIMING_TOKENS:]:
            self.push(token_id)

    def push(self, token_id: int) -> str:
        """Return the text that became complete with this token; often all of it."""
        return self._decoder.decode(self._tokenizer.decode_bytes(token_id))


def tokenizer_from_gguf(gguf: GgufFile) -> Tokenizer:
    """Build the tokenizer that a GGUF file describes.

    Raises:
        InvalidModelFile: the description is broken or of a kind not supported.
    """
    if (model := gguf.text("tokenizer.ggml.model")) not in {"gpt2", "llama"}:
        raise InvalidModelFile(
            f"tokenizer model {model[:40]!r} is not supported (known: gpt2, llama)"
        )
    tokens, kinds = gguf.texts("tokenizer.ggml.tokens"), gguf.integers("tokenizer.ggml.token_type")
    if not 1 <= len(tokens) <= VOCABULARY_MAX or len(kinds) != len(tokens):
        raise InvalidModelFile(f"{len(tokens)} tokens, {len(kinds)} token types")
    ids = {token: index for index, token in enumerate(tokens)}
    if len(ids) != len(tokens):
        raise InvalidModelFile("two tokens of the vocabulary are equal")
    pieces = model == "llama"
    special = _of_kind(tokens, kinds, {_CONTROL, _USER_DEFINED})
    split = gguf.text("tokenizer.ggml.pre", "default")
    encoder = _piece_encoder(gguf, ids, kinds) if pieces else _pair_encoder(gguf, ids, split)
    return Tokenizer(
        tokens,
        encoder,
        _spaced(special) if pieces else special,
        silent=frozenset(_of_kind(tokens, kinds, {_CONTROL, _UNKNOWN}).values()),
        to_bytes=_piece_to_bytes if pieces else _to_bytes,
        first_id=_first_id(gguf, len(tokens), default=pieces or split == "llama-bpe"),
    )


def _of_kind(tokens: Sequence[str], kinds: Sequence[int], wanted: set[int]) -> dict[str, int]:
    found = enumerate(zip(tokens, kinds, strict=True))
    return {token: index for index, (token, kind) in found if kind in wanted and token}


def _spaced(tokens: dict[str, int]) -> dict[str, int]:
    return {token.replace(SPACE, " "): index for token, index in tokens.items()}


def _first_id(gguf: GgufFile, vocabulary: int, *, default: bool) -> int | None:
    if not gguf.flag("tokenizer.ggml.add_bos_token", default=default):
        return None
    if "tokenizer.ggml.bos_token_id" not in gguf.metadata:
        return None
    return gguf.integer("tokenizer.ggml.bos_token_id", minimum=0, maximum=vocabulary - 1)


def _piece_encoder(gguf: GgufFile, ids: dict[str, int], kinds: Sequence[int]) -> PieceEncoder:
    tokens, scores = list(ids), gguf.numbers("tokenizer.ggml.scores")
    if len(scores) != len(tokens):
        raise InvalidModelFile(f"{len(tokens)} tokens, {len(scores)} scores")
    spelt = _of_kind(tokens, kinds, {_BYTE})
    byte_ids = [spelt.get(f"<0x{byte:02X}>") for byte in range(256)]
    unknown = next(iter(_of_kind(tokens, kinds, {_UNKNOWN}).values()), None)
    found = [unknown if token_id is None else token_id for token_id in byte_ids]
    known = [token_id for token_id in found if token_id is not None]
    if len(known) != len(found):
        raise InvalidModelFile("the vocabulary has neither all bytes nor an unknown token")
    whole = _spaced(_of_kind(tokens, kinds, {_USER_DEFINED}))
    return PieceEncoder(
        _of_kind(tokens, kinds, {_NORMAL}),
        scores,
        {token: index for token, index in whole.items() if not _MARKUP.search(token)},
        known,
        space_first=gguf.flag("tokenizer.ggml.add_space_prefix", default=True),
    )


def _piece_to_bytes(token: str) -> bytes:
    if byte := _BYTE_TEXT.fullmatch(token):
        return bytes.fromhex(byte[1])
    return token.replace(SPACE, " ").encode("utf-8", "replace")


def _pair_encoder(gguf: GgufFile, ids: dict[str, int], split: str) -> Encoder:
    if split not in _DIGITS_APART | _WHOLE_WORDS | _PATTERNS.keys():
        raise InvalidModelFile(f"pre-tokenizer {split[:40]!r} is not supported")
    # Here, for the library is heavy and Whisper's decoding needs only the byte table.
    from tokenizers import Regex, models, pre_tokenizers  # noqa: PLC0415
    from tokenizers import Tokenizer as Library  # noqa: PLC0415

    words = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=split not in _PATTERNS)
    whole_first = split == "llama-bpe"  # a word that is a token stays whole
    halves = (text.partition(" ") for text in gguf.texts("tokenizer.ggml.merges"))
    merges = [(left, right) for left, _, right in halves]
    try:
        pairs = Library(models.BPE(vocab=ids, merges=merges, ignore_merges=whole_first))
    except Exception as error:  # the library has no class of its own for this
        raise InvalidModelFile(f"merges that do not fit the vocabulary: {error}") from error
    before: list[pre_tokenizers.PreTokenizer] = []
    if split in _DIGITS_APART:
        before.append(pre_tokenizers.Digits(individual_digits=True))
    elif split in _PATTERNS:
        before.append(pre_tokenizers.Split(Regex(_PATTERNS[split]), "isolated"))
    pairs.pre_tokenizer = pre_tokenizers.Sequence([*before, words])
    return _PairEncoder(pairs)


class _PairEncoder:
    """Byte-level byte pairs, by the library tokenizers."""

    def __init__(self, pairs: "Pairs") -> None:
        self.pairs = pairs

    def encode(self, text: str) -> list[int]:
        return list(self.pairs.encode(text, add_special_tokens=False).ids)


def token_bytes(tokens: Sequence[str], special: frozenset[int]) -> list[bytes]:
    """Return the bytes each token stands for; none for special ones."""
    return [b"" if index in special else _to_bytes(token) for index, token in enumerate(tokens)]


def _to_bytes(token: str) -> bytes:
    alphabet = byte_alphabet()
    try:
        return bytes([alphabet[character] for character in token])
    except KeyError:
        return token.encode("utf-8", "replace")  # not written in the byte alphabet: literal text


@cache
def byte_alphabet() -> dict[str, int]:
    """Return GPT-2's printable stand-in for each byte: character to byte."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    alphabet = {chr(byte): byte for byte in printable}
    return alphabet | {chr(256 + index): byte for index, byte in enumerate(others)}
