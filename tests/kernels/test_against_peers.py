"""Conformance with llama.cpp and CTranslate2, where they are installed.

Minutes of work, so it runs only on demand:
``pip install -e ".[peers]" && COCOON_PEERS=1 python -m pytest tests/kernels/test_against_peers.py``
"""

import os
import random
import string
from pathlib import Path

import numpy as np
import pytest
from model_files import gguf_bytes

from kernels.bench import peers
from kernels.bench.chat import Comparison, follow
from kernels.errors import DeviceUnavailable, ModelUnavailable
from kernels.models.audio import SAMPLE_RATE_HZ, decode_audio
from kernels.models.chat import ChatModel, ChatTurn, open_chat_model
from kernels.models.gguf import open_gguf
from kernels.models.installed import find_model
from kernels.models.llama import NumpyDecoder
from kernels.models.mel import log_mel
from kernels.models.weights import load_llama_weights
from kernels.models.whisper import open_speech_model
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


def test_greedy_output_on_f32_weights_is_llama_cpps_token_for_token(
    chat: ChatModel, quantised_file: Path, tmp_path: Path
) -> None:
    """Ours in NumPy on the same F32 file, and the native kernel on the quantised one."""
    source = open_gguf(quantised_file)
    tensors = {
        name: ("F32", tensor.shape, tensor.to_floats().tobytes())
        for name, tensor in source.tensors.items()
    }
    path = tmp_path / "f32.gguf"
    path.write_bytes(gguf_bytes(source.metadata | {"general.file_type": 0}, tensors))
    del tensors
    theirs = peers.LlamaCpp(path, threads=1, exact=True)
    reference = NumpyDecoder(load_llama_weights(open_gguf(path), "00", None))
    for prompt in prompts(chat):
        theirs.reset()
        mine, native = reference.new_sequence(256), chat.decoder.new_sequence(256)
        pending = prompt
        for _ in range(TOKENS):
            expected = int(theirs.extend(pending).argmax())
            assert int(mine.extend(pending).argmax()) == expected
            assert int(native.extend(pending).argmax()) == expected
            pending = [expected]
    theirs.close()


def test_the_quantised_file_gives_nearly_llama_cpps_distributions(
    chat: ChatModel, quantised_file: Path
) -> None:
    theirs = peers.LlamaCpp(quantised_file, threads=1)
    total = Comparison()
    for prompt in prompts(chat):
        theirs.reset()
        native = chat.decoder.new_sequence(256)
        found = follow(native, {"llama.cpp": theirs}, prompt, TOKENS)["llama.cpp"]
        total.tokens += found.tokens
        total.agreed += found.agreed
        total.kl_sum += found.kl_sum
        total.gap_max = max(total.gap_max, found.gap_max)
    theirs.close()
    check = total.check("llama.cpp")
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


@pytest.mark.parametrize("name", ["whisper-tiny.en", "whisper-base"])
@pytest.mark.parametrize("clip", range(6))
def test_transcripts_are_ctranslate2s_token_for_token(name: str, clip: int) -> None:
    """On the same features: the voice note, cut, slowed, quietened and noised."""
    pytest.importorskip("ctranslate2")
    try:
        folder = find_model(name, "speech")
    except ModelUnavailable as error:
        pytest.skip(str(error))
    model = open_speech_model(folder, threads=1)
    whole = decode_audio(VOICE_NOTE.read_bytes(), duration_s_max=60).samples
    noise = np.random.default_rng(clip).normal(0, 0.01, len(whole)).astype(np.float32)
    samples = (
        whole, whole[: len(whole) // 2], whole[len(whole) // 3 :], whole * np.float32(0.2),
        whole + noise, np.concatenate([whole, whole]),
    )[clip]  # fmt: skip
    mel = log_mel(np.pad(samples, (0, 30 * SAMPLE_RATE_HZ - len(samples))), 80)
    theirs = peers.CTranslate2(folder, "float32").decode(mel, model.prompt("en"), 100)
    assert model.decode_features(mel, language="en", tokens_max=100) == theirs
