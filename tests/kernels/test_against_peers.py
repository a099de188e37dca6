"""Conformance with llama.cpp and CTranslate2, where they are installed.

Minutes of work, so it runs only on demand; each part stands for itself (``-k``):
``pip install -e ".[peers]" && COCOON_PEERS=1 python -m pytest tests/kernels/test_against_peers.py``
"""

import os
import random
import re
import string
import sys
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from model_files import (
    family_bytes,
    family_metadata,
    family_tensors,
    gguf_bytes,
    tiny_llama_bytes,
)

from kernels.bench import peers
from kernels.bench.chat import Comparison, Extends, follow
from kernels.errors import DeviceUnavailable, ModelUnavailable
from kernels.models.audio import SAMPLE_RATE_HZ, Audio, decode_audio
from kernels.models.chat import ChatModel, ChatTurn, open_chat_model
from kernels.models.gguf import open_gguf
from kernels.models.installed import find_model
from kernels.models.llama import NumpyDecoder
from kernels.models.llama_native import NativeDecoder
from kernels.models.tokenizer import tokenizer_from_gguf
from kernels.models.weights import load_llama_weights
from kernels.models.whisper import SpeechModel, open_speech_model
from kernels.native import library

pytestmark = pytest.mark.skipif(
    os.environ.get("COCOON_PEERS") != "1", reason="set COCOON_PEERS=1 (minutes, needs [peers])"
)

TOKENS = 32
VOICE_NOTE = Path(__file__).parents[2] / "cocoon" / "data" / "voice-note.ogg"
QUESTIONS = (
    "What is 2+2?", "List three fruits.", "What is the capital of France?", "Who are you?",
    "Write a haiku about the sea.", "Explain why the sky is blue.", "Tell me a joke.",
    "What is photosynthesis?", "How do I boil an egg?", "Name a planet with rings.",
    "Translate 'good morning' to Spanish.", "What is a prime number?", "Why do cats purr?",
    "Give me advice for an interview.", "What year did World War II end?", "Define gravity.",
    "Write a short story about a dragon.", "What is Python used for?", "How far is the moon?",
    "Summarise the water cycle.",
)  # fmt: skip


@pytest.fixture(scope="module")
def chat() -> ChatModel:
    pytest.importorskip("llama_cpp")
    try:
        library.load()
        return open_chat_model(find_model("SmolLM2-135M-Instruct", "chat"), device="cpu", threads=1)
    except (ModelUnavailable, DeviceUnavailable) as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def quantised_file() -> Path:
    return next(find_model("SmolLM2-135M-Instruct", "chat").glob("*.gguf"))


def prompts(chat: ChatModel) -> list[list[int]]:
    return [chat.encode_chat([ChatTurn("user", question)]) for question in QUESTIONS]


class Truth:
    """The same weights as an F32 file, and llama.cpp's greedy answers on it."""

    def __init__(self, chat: ChatModel, quantised_file: Path, folder: Path) -> None:
        source = open_gguf(quantised_file)
        tensors = {
            name: ("F32", tensor.shape, tensor.to_floats().tobytes())
            for name, tensor in source.tensors.items()
        }
        path = folder / "f32.gguf"
        path.write_bytes(gguf_bytes(source.metadata | {"general.file_type": 0}, tensors))
        del tensors
        self.numpy = NumpyDecoder(load_llama_weights(open_gguf(path), "00", None))
        self.prompts = prompts(chat)
        self._theirs = peers.LlamaCpp(path, threads=1, exact=True)
        self._answers: dict[int, list[int]] = {}

    def answer(self, question: int) -> list[int]:
        """Return llama.cpp's tokens, which are computed once."""
        if question not in self._answers:
            self._theirs.reset()
            self._answers[question] = greedy(self._theirs, self.prompts[question])
        return self._answers[question]

    def close(self) -> None:
        self._theirs.close()


def greedy(engine: Extends, prompt: list[int]) -> list[int]:
    found, pending = list[int](), prompt
    for _ in range(TOKENS):
        pending = [int(engine.extend(pending).argmax())]
        found += pending
    return found


@pytest.fixture(scope="module")
def truth(
    chat: ChatModel, quantised_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Truth]:
    found = Truth(chat, quantised_file, tmp_path_factory.mktemp("f32"))
    yield found
    found.close()


each_question = pytest.mark.parametrize(
    "question", range(len(QUESTIONS)), ids=[text.replace(" ", "-") for text in QUESTIONS]
)


@each_question
def test_greedy_output_on_f32_weights_is_llama_cpps_token_for_token(
    truth: Truth, question: int
) -> None:
    ours = truth.numpy.new_sequence(256)
    assert greedy(ours, truth.prompts[question]) == truth.answer(question)


@each_question
def test_the_native_kernel_on_the_quantised_file_gives_the_tokens_of_f32_weights(
    chat: ChatModel, truth: Truth, question: int
) -> None:
    ours = chat.decoder.new_sequence(256)
    assert greedy(ours, truth.prompts[question]) == truth.answer(question)


@pytest.mark.parametrize("file_type", [0, 15], ids=["the-file-itself", "as-Q4_K_M"])
def test_a_quantised_file_gives_nearly_llama_cpps_distributions(
    chat: ChatModel, quantised_file: Path, file_type: int, tmp_path: Path
) -> None:
    """As it is, and requantised: Q4_K and Q6_K, and Q5_0 and Q8_0 for rows not of 256."""
    decoder, file = chat.decoder, quantised_file
    if file_type:
        file = tmp_path / "requantised.gguf"
        peers.requantise(quantised_file, file, file_type)
        decoder = NativeDecoder(open_gguf(file), library.load())
    theirs = peers.LlamaCpp(file, threads=1)
    total = Comparison()
    for prompt in prompts(chat):
        theirs.reset()
        found = follow(decoder.new_sequence(256), {"llama.cpp": theirs}, prompt, TOKENS)
        total.tokens += found["llama.cpp"].tokens
        total.agreed += found["llama.cpp"].agreed
        total.kl_sum += found["llama.cpp"].kl_sum
        total.gap_max = max(total.gap_max, found["llama.cpp"].gap_max)
    theirs.close()
    check = total.check("llama.cpp")
    sys.stdout.write(f"{check.found}\n")
    assert check.passed, check.found


def strings() -> list[str]:
    """500 texts: by hand, mixed scripts, and random code points."""
    by_hand = [
        "", " ", "  ", "\n", "\r\n", "\t\t", "a", " a", "a ", "hello world", "Hello, World!",
        "1", "12", "123456789", "3.14159", "1,000,000", "don't", "I'LL we've he'd", "naïve café",
        "日本語のテキスト", "Привет, мир!", "مرحبا بالعالم", "שלום", "ไทย", "한국어", "Ελληνικά",
        "😀", "👨‍👩‍👧", "🏳️‍🌈", "e\u0301", "\u00a0", "\u200b", "\u3000x", "<|im_end|>",
        "<|im_start|>user", "<|endoftext|>", "def f(x):\n    return x + 1\n", "a\n\n\nb",
        "http://example.com/?q=1&r=2", "x" * 300, "ab " * 100, "{}[]()<>", "\\n \\t", "½ ² ³ ①",
        "A\u030a", "ﬁ", "\u0000", "\x7f", "Ⅷ", "foo_bar-baz", "CamelCaseText", "100%",
        "$5.00", "C++ C#", "'''\"\"\"", "...", "\u2014\u2013-", "„quoted“", "\ufeffbom",
    ]  # fmt: skip
    rng = random.Random(7)  # noqa: S311
    scripts = [string.printable, "àéîõü ñçß", "абвгд ежз", "日本語 漢字", "عربي ", "0123456789 .,"]
    mixed = [
        "".join(rng.choice(rng.choice(scripts)) for _ in range(rng.randint(1, 80)))
        for _ in range(500 - len(by_hand) - 100)
    ]
    points = [
        "".join(chr(point) for point in (rng.randrange(1, 0x1FFFF) for _ in range(20))
                if not 0xD800 <= point < 0xE000)
        for _ in range(100)
    ]  # fmt: skip
    return by_hand + mixed + points


def test_500_of_500_strings_become_llama_cpps_tokens(chat: ChatModel, quantised_file: Path) -> None:
    theirs = peers.LlamaCpp(quantised_file, context_tokens=64)
    texts = strings()
    assert len(texts) == 500
    different = [t for t in texts if chat.tokenizer.encode_plain(t) != theirs.tokenize(t)]
    theirs.close()
    assert not different


def sentencepiece_model(space_first: bool) -> Any:
    """A vocabulary that the library itself makes, of what is written about this project."""
    trainer = pytest.importorskip("sentencepiece")
    root, model = Path(__file__).parents[2], BytesIO()
    lines = (line for page in sorted(root.glob("**/*.md")) if ".venv" not in page.parts
             for line in page.read_text().splitlines() if line.strip())  # fmt: skip
    trainer.SentencePieceTrainer.train(
        sentence_iterator=lines, model_writer=model, vocab_size=2000, model_type="bpe",
        byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False,
        add_dummy_prefix=space_first, user_defined_symbols=["\n\n", "\u2581\u2581\u2581"],
        minloglevel=2, num_threads=1,
    )  # fmt: skip
    return trainer.SentencePieceProcessor(model_proto=model.getvalue())


def piece_kind(model: Any, index: int) -> int:
    """GGUF's number for the kind of a token."""
    if model.is_unknown(index):
        return 2
    if model.is_control(index):
        return 3
    if model.is_byte(index):
        return 6
    return 4 if model.id_to_piece(index) in {"\n\n", "\u2581\u2581\u2581"} else 1


def piece_text(model: Any, index: int) -> str:
    """As llama.cpp's converter writes it: spaces of user-defined tokens are spaces."""
    piece = model.id_to_piece(index)
    return piece.replace("\u2581", " ") if piece_kind(model, index) == 4 else piece


@pytest.mark.parametrize("space_first", [True, False])
def test_500_strings_become_the_tokens_of_sentencepiece_and_of_llama_cpp(
    space_first: bool, tmp_path: Path
) -> None:
    pytest.importorskip("llama_cpp")
    model = sentencepiece_model(space_first)
    size = model.get_piece_size()
    path = tmp_path / "pieces.gguf"
    path.write_bytes(
        tiny_llama_bytes(
            tokenizer__ggml__model="llama",
            tokenizer__ggml__tokens=[piece_text(model, index) for index in range(size)],
            tokenizer__ggml__scores=[float(model.get_score(index)) for index in range(size)],
            tokenizer__ggml__token_type=[piece_kind(model, index) for index in range(size)],
            tokenizer__ggml__add_space_prefix=space_first,
        )
    )
    tokenizer = tokenizer_from_gguf(open_gguf(path))
    texts = strings()
    ours = [tokenizer.encode_plain(text) for text in texts]
    theirs = peers.llama_tokens(path, texts)
    assert [text for text, a, b in zip(texts, ours, theirs, strict=True) if a != b] == []
    if not space_first:  # with it they differ on purpose: it counts "\n\n" and goes on
        spm = [model.encode(text) for text in texts]
        assert [text for text, a, b in zip(texts, ours, spm, strict=True) if a != b] == []


MODELS = ("whisper-tiny.en", "whisper-base")
SPOKEN = VOICE_NOTE.with_suffix(".txt").read_text().splitlines()[0]
BECKETT = "Ever tried. Ever failed. No matter. Try again. Fail again. Fail better."
NOTES = {"whole": 1, "quiet": 1, "noisy": 1, "five times": 5}
"""Variants of the voice note, and how often it is heard."""

TWO_CITIES = (
    "It was the best of times, it was the worst of times, it was the age of wisdom, it was the "
    "age of foolishness, it was the epoch of belief, it was the epoch of incredulity, it was the "
    "season of light, it was the season of darkness, it was the spring of hope, it was the winter "
    "of despair, we had everything before us, we had nothing before us, we were all going direct "
    "to heaven, we were all going direct the other way. In short, the period was so far like the "
    "present period, that some of its noisiest authorities insisted on its being received, for "
    "good or for evil, in the superlative degree of comparison only."
)


def voice_note(variant: str) -> Audio:
    """The voice note as it is, or made harder to understand."""
    whole = decode_audio(VOICE_NOTE.read_bytes(), duration_s_max=60).samples
    noise = np.random.default_rng(4).normal(0, 0.01, len(whole)).astype(np.float32)
    pause = np.zeros(SAMPLE_RATE_HZ // 2, np.float32)
    return Audio(
        {
            "whole": whole,
            "first half": whole[: len(whole) // 2],
            "without its beginning": whole[len(whole) // 3 :],
            "quiet": whole * np.float32(0.2),
            "noisy": whole + noise,
            "twice": np.concatenate([whole, whole]),
            "five times": np.concatenate([whole, pause] * 5),
        }[variant]
    )


@cache
def speech(name: str) -> tuple[SpeechModel, Path]:
    try:
        folder = find_model(name, "speech")
    except ModelUnavailable as error:
        pytest.skip(str(error))
    return open_speech_model(folder, threads=1), folder


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    "variant", ["whole", "first half", "without its beginning", "quiet", "noisy", "twice"]
)
def test_transcripts_are_ctranslate2s_token_for_token(name: str, variant: str) -> None:
    """On the same features."""
    pytest.importorskip("ctranslate2")
    model, folder = speech(name)
    mel = model.spectrogram(voice_note(variant))
    theirs = peers.CTranslate2(folder, "float32").decode(mel, model.prompt("en"), 100)
    assert model.decode_features(mel, language="en", tokens_max=100) == theirs


def recordings() -> dict[str, tuple[Path, str]]:
    """Real speech and its words, where there is some.

    The wheel moonshine-voice has two recordings; ``COCOON_CLIPS`` may name a folder of more, each
    with its text beside it, in NAME.txt.
    """
    found: dict[str, tuple[Path, str]] = {}
    if (spec := find_spec("moonshine_voice")) and spec.origin:
        assets = Path(spec.origin).parent / "assets"
        found["beckett"] = assets / "beckett.wav", BECKETT
        found["two_cities"] = assets / "two_cities.wav", TWO_CITIES
    for text in sorted(Path(os.environ.get("COCOON_CLIPS", "/nowhere")).glob("*.txt")):
        for path in sorted(text.parent.glob(f"{text.stem}.*")):
            if path != text:
                found[path.name] = path, text.read_text()
    return found


def heard_and_spoken(clip: str) -> tuple[Audio, str]:
    if clip in NOTES:
        return voice_note(clip), " ".join([SPOKEN] * NOTES[clip])
    path, spoken = recordings()[clip]
    return decode_audio(path.read_bytes(), duration_s_max=120), spoken


def word_errors(spoken: str, heard: str) -> int:
    """Return the words to change, add or leave out (Levenshtein)."""
    wanted, found = (re.sub(r"[^\w' ]", " ", text.lower()).split() for text in (spoken, heard))
    row = list(range(len(found) + 1))
    for index, word in enumerate(wanted, 1):
        above, row = row, [index]
        for column, other in enumerate(found):
            changed = above[column] + (word != other)
            row.append(min(changed, above[column + 1] + 1, row[-1] + 1))
    return row[-1]


def test_word_errors_are_counted() -> None:
    assert word_errors("Ever tried. Ever failed.", "ever tried, ever FAILED") == 0
    assert word_errors("a b c d", "a x c d e") == 2
    assert word_errors("a b c", "") == 3


@cache
def faster_whisper(folder: Path) -> peers.FasterWhisper:
    return peers.FasterWhisper(folder)


@pytest.mark.parametrize("clip", [*NOTES, *recordings()])
@pytest.mark.parametrize("name", MODELS)
def test_no_clip_has_more_word_errors_than_ctranslate2_makes_end_to_end(
    name: str, clip: str
) -> None:
    """Beside faster-whisper: the same weights in fp32, greedy, windows of its own cutting."""
    pytest.importorskip("faster_whisper")
    model, folder = speech(name)
    audio, spoken = heard_and_spoken(clip)
    segments = model.transcribe(audio, should_stop=lambda: False, language="en")
    ours = " ".join(segment.text for segment in segments)
    theirs = faster_whisper(folder).transcribe(audio.samples)
    errors = word_errors(spoken, ours), word_errors(spoken, theirs)
    words = len(spoken.split())
    sys.stdout.write(f"{name}, {clip}: of {words} words wrong {errors}, equal: {ours == theirs}\n")
    assert errors[0] <= errors[1], (ours, theirs)


@pytest.mark.parametrize(
    ("file_type", "encoding"),
    [(1, "F16"), (2, "Q4_0"), (3, "Q4_1"), (7, "Q8_0"), (8, "Q5_0"), (9, "Q5_1"), (14, "Q4_K"),
     (16, "Q5_K"), (18, "Q6_K"), (32, "BF16")],
)  # fmt: skip
def test_each_encoding_is_read_as_llama_cpp_reads_it(
    file_type: int, encoding: str, tmp_path: Path
) -> None:
    """It writes random weights so, and then in F32 what it reads of that."""
    pytest.importorskip("llama_cpp")
    rng, shape = np.random.default_rng(3), {"embedding_length": 256, "feed_forward_length": 256}
    shape |= {"attention.head_count": 4, "attention.head_count_kv": 4}
    metadata = family_metadata("llama") | {f"llama.{key}": size for key, size in shape.items()}
    tensors = {}
    for name, values in family_tensors("llama").items():
        wide = (values.shape[0] if name == "token_embd.weight" else 256, 256)[: values.ndim]
        numbers = rng.normal(0, 0.3, wide).astype(np.float32)
        tensors[name] = ("F32", wide, numbers.tobytes())
    paths = [tmp_path / f"{name}.gguf" for name in ("written", "coded", "read")]
    paths[0].write_bytes(gguf_bytes(metadata, tensors))
    peers.requantise(paths[0], paths[1], file_type)
    peers.requantise(paths[1], paths[2], 0)
    coded, read = open_gguf(paths[1]).tensors, open_gguf(paths[2]).tensors
    assert encoding in {tensor.encoding.name for tensor in coded.values()}
    for name, tensor in coded.items():
        if len(tensor.shape) == 2:
            np.testing.assert_allclose(
                tensor.to_floats(), read[name].to_floats(), rtol=1e-5, atol=1e-6
            )


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3", "gemma"])
def test_each_family_has_llama_cpps_logits(family: str, tmp_path: Path) -> None:
    """On random weights in F32. llama.cpp looks GELU up in a table of fp16, so Gemma less so."""
    pytest.importorskip("llama_cpp")
    path = tmp_path / "model.gguf"
    path.write_bytes(family_bytes(family, "F32"))
    theirs = peers.LlamaCpp(path, threads=1, exact=True)
    gguf = open_gguf(path)
    ours = NumpyDecoder(load_llama_weights(gguf, "00", None)).new_sequence(64)
    words = len(gguf.texts("tokenizer.ggml.tokens"))
    ids = np.random.default_rng(1).integers(0, words, 30).tolist()
    for part in (ids[:20], *([one] for one in ids[20:])):
        wanted = theirs.extend(part)
        error = np.abs(ours.extend(part) - wanted).max()
        assert error < (2e-3 if family == "gemma" else 2e-5) * np.abs(wanted).max()
    theirs.close()
