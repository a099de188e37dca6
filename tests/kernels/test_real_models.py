"""Conformance on the real weights; skipped where `cocoon assets fetch tests` has not run."""

import os
import re
from pathlib import Path

import numpy as np
import pytest

from kernels.models import catalog
from kernels.models.audio import SAMPLE_RATE_HZ, Audio, decode_audio
from kernels.models.chat import ChatModel, ChatTurn, open_chat_model
from kernels.models.gguf import open_gguf
from kernels.models.sampling import Sampling
from kernels.models.whisper import SpeechModel, open_speech_model
from kernels.quantised import dequantise_q4, quantise_q4

VOICE_NOTE = Path(__file__).parents[2] / "cocoon" / "data" / "voice-note.ogg"
FRUITS = (
    "Here are three fruits that are perfect for a healthy and balanced diet:\n\n"
    "1. Bananas: They are high in potassium, which is essential for maintaining healthy blood"
    " pressure.\n\n"
    "2. Oranges: They are high in vitamin C, which is essential for boosting the immune"
    " system.\n\n"
    "3. Strawberries: They are high in antioxidants, which can help protect the body from chronic"
    " diseases.\n\n"
    "These fruits are not only delicious but also packed with essential nutrients that can help"
    " improve overall health."
)


def asset(name: str) -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    root = Path(os.environ.get("COCOON_ASSETS") or cache / "cocoon" / "assets")
    path = root / "models" / name
    if not (path / catalog.model(name).main_file).is_file():
        pytest.skip(f"{path} is absent; run: cocoon assets fetch {name}")
    return path


@pytest.fixture(scope="module")
def chat() -> ChatModel:
    return open_chat_model(asset("SmolLM2-135M-Instruct"), device="cpu")


@pytest.fixture(scope="module")
def speech() -> SpeechModel:
    return open_speech_model(asset("whisper-tiny.en"))


def test_a_card_loses_nothing_of_a_file_in_four_bits() -> None:
    folder = asset("SmolLM2-135M-Instruct")
    gguf = open_gguf(folder / catalog.model("SmolLM2-135M-Instruct").main_file)
    for part in ("attn_q", "attn_v", "ffn_gate", "ffn_down"):
        floats = gguf.tensors[f"blk.7.{part}.weight"].to_floats()
        assert np.array_equal(dequantise_q4(*quantise_q4(floats)).astype(np.float32), floats)


def answer(model: ChatModel, prompt: list[int], tokens_max: int = 120) -> tuple[str, list[int]]:
    pieces = list(
        model.generate(
            prompt, sampling=Sampling(), tokens_max=tokens_max, should_stop=lambda: False
        )
    )
    return "".join(piece.text for piece in pieces), [piece.token_id for piece in pieces]


def test_the_weights_are_the_pinned_ones(chat: ChatModel, speech: SpeechModel) -> None:
    assert chat.model_id == catalog.model("SmolLM2-135M-Instruct").model_id
    assert speech.model_id == catalog.model("whisper-tiny.en").model_id


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("What is 2+2?", "The answer to this classic math problem is 4."),
        ("What is the capital of France?", "The capital of France is Paris."),
        ("List three fruits.", FRUITS),
    ],
)
def test_greedy_answers_are_the_known_ones(chat: ChatModel, question: str, expected: str) -> None:
    text, _ = answer(chat, chat.encode_chat([ChatTurn("user", question)]))
    assert text == expected


def test_the_prompt_is_what_the_model_was_trained_on(chat: ChatModel) -> None:
    ids = chat.encode_chat([ChatTurn("user", "What is 2+2?")])
    assert ids[0] == 1
    assert ids.count(1) == 3
    assert ids.count(2) == 2
    assert chat.tokenizer.decode(ids) == (
        "system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face\n"
        "user\nWhat is 2+2?\nassistant\n"
    )


def test_an_answer_moved_to_another_provider_is_the_uninterrupted_one(chat: ChatModel) -> None:
    turns = [ChatTurn("user", "List three fruits.")]
    begun = chat.tokenizer.encode_plain(FRUITS)[:90]
    rest, _ = answer(chat, chat.encode_chat(turns, continue_with=begun))
    assert chat.tokenizer.decode(begun) + rest == FRUITS


@pytest.mark.parametrize(
    "text",
    [
        "naïve café 12.5 %",
        "日本語のテキスト",
        "😀👨‍👩‍👧",
        "a\r\n\tb  c ",
        "<|im_end|>",
        "Привет, мир!",
    ],
)
def test_text_survives_the_real_tokenizer(chat: ChatModel, text: str) -> None:
    ids = chat.tokenizer.encode_plain(text)
    assert chat.tokenizer.decode(ids) == text
    assert 2 not in ids


def test_the_voice_note_is_understood_exactly(speech: SpeechModel) -> None:
    spoken = VOICE_NOTE.with_suffix(".txt").read_text().splitlines()[0]
    audio = decode_audio(VOICE_NOTE.read_bytes(), duration_s_max=60)
    segments = list(speech.transcribe(audio, should_stop=lambda: False))
    assert " ".join(segment.text for segment in segments) == spoken
    assert segments[-1].end_s <= audio.duration_s


def test_audio_longer_than_a_window_loses_nothing_at_the_seam(speech: SpeechModel) -> None:
    once = decode_audio(VOICE_NOTE.read_bytes(), duration_s_max=60).samples
    pause = np.zeros(SAMPLE_RATE_HZ // 2, np.float32)
    audio = Audio(np.concatenate([once, pause] * 5))
    assert 30 < audio.duration_s < 40
    segments = list(speech.transcribe(audio, should_stop=lambda: False))
    spoken = VOICE_NOTE.with_suffix(".txt").read_text().splitlines()[0]
    assert words(" ".join(segment.text for segment in segments)) == words(spoken) * 5


def words(text: str) -> list[str]:
    return re.sub(r"[^\w ]", "", text.lower()).split()
