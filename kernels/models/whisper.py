"""Speech to text with Whisper: windows of 30 s, timestamps, and what to do with bad guesses.

Source: Whisper (Radford et al., 2022), section 4.5, for the rules of long audio: a
window is cut after its last finished segment, timestamps may not run backwards, a
window that seems silent or repeats itself is dropped or tried again.
"""

import hashlib
import logging
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from kernels.decoding import UNREADABLE
from kernels.errors import DeviceUnavailable, InvalidInput, InvalidModelFile, ModelUnavailable
from kernels.models.audio import SAMPLE_RATE_HZ, Audio
from kernels.models.binary import let_go
from kernels.models.ct2 import Ct2File, open_ct2
from kernels.models.mel import HOP_SAMPLES, window_mel
from kernels.models.sampling import Sampling, choose
from kernels.models.tokenizer import token_bytes
from kernels.models.whisper_network import SpeechNetwork, WhisperNetwork, Window, read_shape
from kernels.native.threads import threads_default

logger = logging.getLogger(__name__)

Floats = NDArray[np.float32]

SIDE_FILE_BYTES_MAX: Final = 16 << 20
WINDOW_TOKENS_MAX: Final = 224
TIMESTAMP_S: Final = 0.02
FIRST_TIMESTAMP_MAX: Final = 50
"""A window's first segment starts within its first second."""

TEMPERATURES: Final = (0.0, 0.4, 0.8)
COMPRESSION_MAX: Final = 2.4
"""Text that zlib shrinks more than this repeats itself."""

MULTILINGUAL_VOCABULARY: Final = 51_865
"""English-only models have one token fewer, yet list the languages all the same."""

LOG_PROBABILITY_MIN: Final = -1.0
NO_SPEECH_MIN: Final = 0.6


@dataclass(frozen=True, slots=True)
class SpeechSegment:
    """A stretch of speech; times are seconds from the start of the audio."""

    start_s: float
    end_s: float
    text: str


TokenId = Annotated[int, msgspec.Meta(ge=0, lt=1_000_000)]


class _Settings(msgspec.Struct, frozen=True):
    """What we read of config.json."""

    suppress_ids: tuple[TokenId, ...]
    suppress_ids_begin: tuple[TokenId, ...]
    lang_ids: tuple[TokenId, ...] = ()


class _AddedToken(msgspec.Struct, frozen=True):
    id: TokenId
    content: str


class _TokenizerModel(msgspec.Struct, frozen=True):
    vocab: dict[str, TokenId]


class _TokenizerFile(msgspec.Struct, frozen=True):
    """What we read of tokenizer.json."""

    model: _TokenizerModel
    added_tokens: tuple[_AddedToken, ...]


_Side = TypeVar("_Side", _Settings, _TokenizerFile)


@dataclass(frozen=True, slots=True)
class _Guess:
    """What a window seems to say."""

    token_ids: list[int]
    mean_log_probability: float
    no_speech: float


class Words:
    """Whisper's vocabulary: the bytes of its tokens and the ids of its special ones."""

    def __init__(self, settings: _Settings, tokenizer: _TokenizerFile, vocabulary: int) -> None:
        ids = {**tokenizer.model.vocab, **{one.content: one.id for one in tokenizer.added_tokens}}
        used = (*ids.values(), *settings.suppress_ids, *settings.suppress_ids_begin)
        if max((*used, *settings.lang_ids)) >= vocabulary:
            raise InvalidModelFile("tokenizer.json or config.json names tokens the model lacks")
        by_id = {token_id: token for token, token_id in ids.items()}
        special = frozenset(one.id for one in tokenizer.added_tokens)
        texts = [by_id.get(index, "") for index in range(vocabulary)]
        self._bytes = token_bytes(texts, special)
        self.start = _special(ids, "<|startoftranscript|>")
        self.end = _special(ids, "<|endoftext|>")
        self.transcribe = _special(ids, "<|transcribe|>")
        self.no_timestamps = _special(ids, "<|notimestamps|>")
        self.no_speech = ids.get("<|nospeech|>", ids.get("<|nocaptions|>", self.end))
        self.first_timestamp = self.no_timestamps + 1
        self.languages = {by_id.get(index, ""): index for index in settings.lang_ids}
        self.suppressed = np.array(settings.suppress_ids, np.intp)
        self.suppressed_at_start = np.array(settings.suppress_ids_begin, np.intp)
        if not self.end < self.first_timestamp < vocabulary:
            raise InvalidModelFile("the vocabulary has no timestamps")

    def text(self, token_ids: list[int]) -> str:
        """Return the readable text of tokens."""
        return b"".join(self._bytes[token_id] for token_id in token_ids).decode("utf-8", "replace")


class SpeechModel:
    """A Whisper model ready to transcribe.

    `model_id` is the hex SHA-256 of model.bin; `device` is "cpu" or "cuda", and `engine` what
    computes there: "numpy", "native" or "cuda".
    """

    def __init__(self, model_id: str, network: SpeechNetwork, words: Words) -> None:
        self.model_id = model_id
        self.engine = network.engine
        self.device = "cuda" if network.engine == "cuda" else "cpu"
        self._network = network
        self._words = words
        self._window_samples = 2 * network.audio_positions * HOP_SAMPLES

    @property
    def languages(self) -> tuple[str, ...]:
        """Return the codes of the languages it tells apart; empty for an English-only model."""
        return tuple(name.strip("<|>") for name in self._words.languages)

    def prompt(self, language: str | None = None) -> list[int]:
        """Return the tokens that every window begins with."""
        language_id = self._language_id(language)
        tail = [] if language_id is None else [language_id, self._words.transcribe]
        return [self._words.start, *tail]

    def decode_features(
        self, mel: Floats, *, language: str | None = None, tokens_max: int = WINDOW_TOKENS_MAX
    ) -> list[int]:
        """Return the greedy tokens, timestamps included, of one window's spectrogram."""
        heard = self._network.encode(mel)
        language_id = self._language_id(language) or self._detect(heard)
        guess = self._decode(heard, language_id, Sampling(), lambda: False, tokens_max)
        return [] if guess is None else guess.token_ids

    def transcribe(
        self, audio: Audio, *, should_stop: Callable[[], bool], language: str | None = None
    ) -> Iterator[SpeechSegment]:
        """Yield the segments of *audio* in order, window by window.

        Args:
            audio: any length.
            should_stop: asked before each token; the window in work is then dropped.
            language: a code such as "de"; None detects it in the first window.

        Raises:
            InvalidInput: the model does not know *language*.
        """
        language_id = self._language_id(language)
        position = 0
        while position + HOP_SAMPLES <= len(audio.samples) and not should_stop():
            window = audio.samples[position : position + self._window_samples]
            with np.errstate(all="ignore"):  # broken weights overflow; `choose` reports the result
                heard = self._network.encode(self.spectrogram(audio, position))
                language_id = language_id or self._detect(heard)
                guess = self._best_guess(heard, language_id, should_stop)
            if guess is None:
                return
            last = position + len(window) >= len(audio.samples)
            kept, used_s = self._cut(guess, len(window) / SAMPLE_RATE_HZ, last=last)
            yield from self._segments(kept, position / SAMPLE_RATE_HZ, used_s)
            position += max(round(used_s * SAMPLE_RATE_HZ), SAMPLE_RATE_HZ)

    def _language_id(self, language: str | None) -> int | None:
        if language is None or not self._words.languages or not self._is_multilingual():
            return None
        if f"<|{language}|>" not in self._words.languages:
            raise InvalidInput(f"the model does not know the language {language[:16]!r}")
        return self._words.languages[f"<|{language}|>"]

    def _is_multilingual(self) -> bool:
        return int(self._network.vocabulary) >= MULTILINGUAL_VOCABULARY

    def spectrogram(self, audio: Audio, position: int = 0) -> Floats:
        """Return what the network hears of *audio* in the window from sample *position* on."""
        frames = self._window_samples // HOP_SAMPLES
        return window_mel(audio.samples, position, self._network.mel_bands, frames)

    def _detect(self, heard: Window) -> int | None:
        """Return the token of the language spoken; None for an English-only model."""
        if not self._is_multilingual():
            return None
        logits = heard.new_text().extend([self._words.start])
        return max(self._words.languages.values(), key=lambda index: float(logits[index]))

    def _best_guess(
        self, heard: Window, language_id: int | None, should_stop: Callable[[], bool]
    ) -> _Guess | None:
        """Decode, and again at higher temperatures while the result looks wrong.

        If all do, the likeliest that does not repeat itself is taken, else the likeliest: what
        is really said several times repeats itself at every temperature.
        """
        guesses: list[_Guess] = []
        for temperature in TEMPERATURES:
            guess = self._decode(heard, language_id, Sampling(temperature), should_stop)
            if guess is None:
                return None
            silent = guess.no_speech > NO_SPEECH_MIN
            likely = guess.mean_log_probability >= LOG_PROBABILITY_MIN
            if silent and not likely:
                return _Guess([], guess.mean_log_probability, guess.no_speech)
            if likely and not self._repeats(guess):
                return guess
            guesses.append(guess)
        varied = [guess for guess in guesses if not self._repeats(guess)]
        return max(varied or guesses, key=lambda guess: guess.mean_log_probability)

    def _repeats(self, guess: _Guess) -> bool:
        text = self._words.text(guess.token_ids).encode()
        return len(text) > COMPRESSION_MAX * len(zlib.compress(text))

    def _decode(
        self,
        heard: Window,
        language_id: int | None,
        sampling: Sampling,
        should_stop: Callable[[], bool],
        tokens_max: int = WINDOW_TOKENS_MAX,
    ) -> _Guess | None:
        words, text = self._words, heard.new_text()
        logits = text.extend([words.start])
        no_speech = float(np.exp(_log_softmax(logits)[words.no_speech]))
        if language_id is not None:
            logits = text.extend([language_id, words.transcribe])
        token_ids: list[int] = []
        total = 0.0
        while len(token_ids) < tokens_max:
            if should_stop():
                return None
            apply_rules(logits, token_ids, words)
            token_id = choose(logits, sampling, len(token_ids))
            total += float(_log_softmax(logits)[token_id])
            if token_id == words.end:
                break
            token_ids.append(token_id)
            logits = text.extend([token_id])
        return _Guess(token_ids, total / (len(token_ids) + 1), no_speech)

    def _cut(self, guess: _Guess, window_s: float, *, last: bool) -> tuple[list[int], float]:
        """Return the tokens to keep, and how much of the window they use up, in seconds.

        An unfinished segment at the end is left to the next window, which hears it whole.
        """
        first, ids = self._words.first_timestamp, guess.token_ids
        pairs = [index for index in range(1, len(ids)) if min(ids[index - 1 : index + 1]) >= first]
        closed = len(ids) > 1 and ids[-1] >= first > ids[-2]
        if last or closed or not pairs:
            return ids, window_s
        return ids[: pairs[-1]], min((ids[pairs[-1] - 1] - first) * TIMESTAMP_S, window_s)

    def _segments(
        self, token_ids: list[int], offset_s: float, used_s: float
    ) -> Iterator[SpeechSegment]:
        start_s, pending = 0.0, list[int]()
        for token_id in token_ids:
            if token_id < self._words.first_timestamp:
                pending.append(token_id)
                continue
            at_s = min((token_id - self._words.first_timestamp) * TIMESTAMP_S, used_s)
            yield from self._segment(pending, offset_s + start_s, offset_s + at_s)
            start_s, pending = at_s, []
        yield from self._segment(pending, offset_s + start_s, offset_s + used_s)

    def _segment(
        self, token_ids: list[int], start_s: float, end_s: float
    ) -> Iterator[SpeechSegment]:
        if text := self._words.text(token_ids).strip():
            yield SpeechSegment(start_s, end_s, text)


def apply_rules(logits: Floats, before: list[int], words: Words) -> None:
    """Forbid, in place, the tokens that may not come after *before* in a window.

    Timestamps come in pairs, except at the end; they never run backwards; and where a
    timestamp is likelier than any one word, it is a timestamp.
    """
    first = words.first_timestamp
    logits[words.suppressed] = -np.inf
    logits[words.end + 1 : first] = -np.inf  # special tokens, which are never said
    if not before:
        logits[words.suppressed_at_start] = -np.inf
        logits[:first] = -np.inf
        logits[first + FIRST_TIMESTAMP_MAX + 1 :] = -np.inf
        return
    after_timestamp = before[-1] >= first
    in_pair = after_timestamp and (len(before) < 2 or before[-2] >= first)
    if in_pair:
        logits[first:] = -np.inf
    elif after_timestamp:
        logits[: words.end] = -np.inf
    if stamps := [token_id for token_id in before if token_id >= first]:
        again = after_timestamp and not in_pair
        logits[first : stamps[-1] + (0 if again else 1)] = -np.inf
    with np.errstate(divide="ignore"):
        log_probabilities = _log_softmax(logits)
        stamped = np.log(np.exp(log_probabilities[first:]).sum())
    if stamped > log_probabilities[:first].max():
        logits[:first] = -np.inf


def _log_softmax(logits: Floats) -> Floats:
    shifted = logits - logits.max()
    return np.asarray(shifted - np.log(np.exp(shifted).sum()))


def open_speech_model(path: Path, *, device: str = "cpu", threads: int = 0) -> SpeechModel:
    """Load a Whisper model in CTranslate2's form.

    Args:
        path: a folder with model.bin, config.json and tokenizer.json, or its model.bin.
        device: "cpu", "cuda", or "auto" for the card if there is one that can run the model.
        threads: how many threads the native engine uses; 0 means `threads_default`.

    Raises:
        ModelUnavailable: files are missing, or not a Whisper model that this engine runs.
        DeviceUnavailable: *device* cannot be used here.
    """
    if device not in {"auto", "cpu", "cuda"}:
        raise DeviceUnavailable(f"no device is called {device[:40]!r}; there are auto, cpu, cuda")
    folder = path if path.is_dir() else path.parent
    file = open_ct2(folder / "model.bin")
    network = None if device == "cpu" else _open_on_card(file, must=device == "cuda")
    network = network or _open_network(file, threads or threads_default())
    settings = _read_json(folder / "config.json", _Settings)
    tokenizer = _read_json(folder / "tokenizer.json", _TokenizerFile)
    model_id = hashlib.sha256(file.content.data).hexdigest()
    let_go(file.content)
    return SpeechModel(model_id, network, Words(settings, tokenizer, network.vocabulary))


def _open_on_card(file: Ct2File, *, must: bool) -> SpeechNetwork | None:
    """Return the network on the card; None if it is not a *must* and cannot be."""
    from kernels.device import available_devices, open_device  # noqa: PLC0415  (for cards only)
    from kernels.models.whisper_cuda import DeviceNetwork, unsupported  # noqa: PLC0415 (as above)

    if not must and ("cuda" not in available_devices() or unsupported(read_shape(file))):
        return None
    return DeviceNetwork(open_device("cuda"), file)


def _open_network(file: Ct2File, threads: int) -> SpeechNetwork:
    """Return the native network, or NumPy's where it has to do."""
    from kernels.models.whisper_native import NativeNetwork, unsupported  # noqa: PLC0415 (as below)
    from kernels.native import library  # noqa: PLC0415  (may run a compiler)

    if unsupported(file):
        return WhisperNetwork(file)
    try:
        return NativeNetwork(file, library.load(), threads=threads)
    except DeviceUnavailable as error:
        logger.info("the CPU engine is NumPy: %s", error)
        return WhisperNetwork(file)


def _special(ids: dict[str, int], name: str) -> int:
    if name not in ids:
        raise InvalidModelFile(f"tokenizer.json has no {name}")
    return ids[name]


def _read_json(path: Path, kind: type[_Side]) -> _Side:
    try:
        if path.stat().st_size > SIDE_FILE_BYTES_MAX:
            raise InvalidModelFile(f"{path.name} is too large")
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except OSError as error:
        raise ModelUnavailable(f"{path.name} cannot be read: {error.strerror}") from error
    except UNREADABLE as error:
        raise InvalidModelFile(f"{path.name}: {error}") from error
