import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_files import byte_characters, ct2_bytes, whisper_variables

from kernels.errors import InvalidModelFile, KernelError, LaunchError, ModelUnavailable
from kernels.models.audio import Audio
from kernels.models.mel import log_mel, mel_filters, window_mel
from kernels.models.whisper import (
    SpeechModel,
    SpeechSegment,
    _Guess,
    apply_rules,
    open_speech_model,
)
from kernels.models.whisper_network import gelu

SPECIAL = ["<|endoftext|>", "<|startoftranscript|>", "<|transcribe|>", "<|nocaptions|>"]
FIRST = 256 + len(SPECIAL) + 1
SIZE = FIRST + 1501


def write_model(folder: Path, **changes: object) -> Path:
    names = [*SPECIAL, "<|notimestamps|>"]
    added = [{"id": 256 + index, "content": name} for index, name in enumerate(names)]
    vocab = {character: byte for byte, character in enumerate(byte_characters())}
    config = {"suppress_ids": [7], "suppress_ids_begin": [32, 256], "lang_ids": []}
    files = {
        "config.json": json.dumps(config).encode(),
        "tokenizer.json": json.dumps({"model": {"vocab": vocab}, "added_tokens": added}).encode(),
        "model.bin": ct2_bytes(whisper_variables(vocabulary_size=SIZE)),
    }
    for name, data in (files | changes).items():
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture
def model(tmp_path: Path) -> SpeechModel:
    return open_speech_model(write_model(tmp_path))


def noise(seconds: float) -> Audio:
    rng = np.random.default_rng(1)
    return Audio(rng.normal(0, 0.1, round(seconds * 16_000)).astype(np.float32))


def never() -> bool:
    return False


def test_segments_run_forward_and_stay_within_the_audio(model: SpeechModel) -> None:
    audio = noise(3.5)
    segments = list(model.transcribe(audio, should_stop=never))
    assert segments
    for segment in segments:
        assert 0 <= segment.start_s <= segment.end_s <= audio.duration_s + 1e-9
    starts = [segment.start_s for segment in segments]
    assert starts == sorted(starts)


def test_the_same_audio_gives_the_same_segments(model: SpeechModel) -> None:
    first = list(model.transcribe(noise(2), should_stop=never))
    assert list(model.transcribe(noise(2), should_stop=never)) == first


def test_a_cancel_drops_the_window_in_work(model: SpeechModel) -> None:
    asked = iter(range(1000))
    assert list(model.transcribe(noise(3), should_stop=lambda: next(asked) > 20)) == []
    assert list(model.transcribe(noise(3), should_stop=lambda: True)) == []


def test_no_audio_gives_no_segments(model: SpeechModel) -> None:
    assert list(model.transcribe(Audio(np.zeros(0, np.float32)), should_stop=never)) == []


def cut(model: SpeechModel, tokens: list[int], *, last: bool) -> tuple[list[int], float]:
    return model._cut(type("Guess", (), {"token_ids": tokens})(), 30.0, last=last)


def test_an_unfinished_segment_is_left_to_the_next_window(model: SpeechModel) -> None:
    tokens = [FIRST, 65, FIRST + 500, FIRST + 500, 66, 67]
    assert cut(model, tokens, last=False) == (tokens[:3], 10.0)
    assert cut(model, tokens, last=True) == (tokens, 30.0)
    assert cut(model, tokens[:3], last=False) == (tokens[:3], 30.0)
    closed = [*tokens[:5], FIRST + 900]
    assert cut(model, closed, last=False) == (closed, 30.0)


SAID, SAID_AGAIN, BABBLE = [65, 66, 67], [65] * 200, list(range(33, 127))


@pytest.mark.parametrize(
    ("guesses", "taken"),
    [
        ([(SAID, -0.2)], 0),
        ([(SAID, -1.5), (SAID, -0.5)], 1),
        ([(SAID_AGAIN, -0.1), (SAID_AGAIN, -0.4), (SAID_AGAIN, -0.9)], 0),  # it is really said
        ([(SAID_AGAIN, -0.1), (BABBLE, -1.9), (BABBLE, -1.4)], 2),  # a loop
        ([(SAID, -1.3), (SAID, -1.1), (SAID, -2.0)], 1),
    ],
)
def test_of_guesses_that_all_look_wrong_the_best_is_taken(
    model: SpeechModel, monkeypatch: pytest.MonkeyPatch, guesses: list, taken: int
) -> None:
    made = [_Guess(tokens, likely, 0.1) for tokens, likely in guesses]
    rest = iter(made)
    monkeypatch.setattr(model, "_decode", lambda *_: next(rest))
    found = model._best_guess(None, None, never)  # type: ignore[arg-type]
    assert found is made[taken]
    assert next(rest, None) is None


def test_tokens_become_segments_with_times(model: SpeechModel) -> None:
    tokens = [FIRST, 65, FIRST + 100, FIRST + 150, 66, 67]
    assert list(model._segments(tokens, 60.0, 28.0)) == [
        SpeechSegment(60.0, 62.0, "A"),
        SpeechSegment(63.0, 88.0, "BC"),
    ]


@given(st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=12), st.integers(0, 2**32))
@settings(max_examples=100, deadline=None)
def test_the_rules_allow_only_ordered_pairs_of_timestamps(seeds: list[int], last: int) -> None:
    """Whatever the network says, greedy tokens under the rules are well formed."""

    class Words:
        end, first_timestamp = 256, FIRST
        suppressed, suppressed_at_start = np.array([7]), np.array([32, 256])

    before: list[int] = []
    for seed in [*seeds, last]:
        logits = np.random.default_rng(seed).normal(0, 5, SIZE).astype(np.float32)
        apply_rules(logits, before, Words)  # type: ignore[arg-type]
        token = int(logits.argmax())
        if token == Words.end:
            break
        before.append(token)
    stamps = [token for token in before if token >= FIRST]
    assert before[0] in range(FIRST, FIRST + 51)
    assert stamps == sorted(stamps)
    assert not {7, *range(257, FIRST)} & set(before)
    runs = "".join("s" if token >= FIRST else "w" for token in before)
    assert "sss" not in runs
    assert "wsw" not in runs


def test_gelu_is_the_exact_one() -> None:
    inputs = np.linspace(-8, 8, 401, dtype=np.float32)
    exact = [0.5 * x * (1 + math.erf(x / math.sqrt(2))) for x in inputs.tolist()]
    np.testing.assert_allclose(gelu(inputs), exact, atol=2e-6)


def test_a_tone_lights_up_its_own_mel_band() -> None:
    time_s = np.arange(16_000) / 16_000
    loud = log_mel(np.sin(2 * np.pi * 1000 * time_s).astype(np.float32), 80)
    assert loud.shape == (80, 100)
    centre = mel_filters(80)[loud[:, 50].argmax()].argmax() * 40
    assert centre == pytest.approx(1000, abs=40)


def test_a_window_inside_long_audio_hears_its_neighbours() -> None:
    samples = noise(3).samples
    samples[8000] = 9.0  # the loudest is in every part, so all have the same scale
    whole = log_mel(samples, 80)
    assert np.abs(window_mel(samples, 0, 80, 150) - whole[:, :150]).max() < 1e-6
    inner = window_mel(samples, 40 * 160, 80, 100)
    assert np.abs(inner - whole[:, 40:140]).max() < 1e-6


@given(st.integers(0, 900), st.integers(0, 900), st.integers(1, 8))
def test_where_the_audio_ends_the_spectrogram_goes_on_with_zeros(length, start, frames) -> None:
    samples = noise(1).samples[:length]
    start = min(start, length)
    mel = window_mel(samples, start, 80, frames)
    heard = min(frames, (length - start) // 160)
    assert mel.shape == (80, frames)
    assert mel[:, :heard].any(axis=0).all()
    assert not mel[:, heard:].any()


def test_less_than_a_frame_of_audio_is_nothing(model: SpeechModel) -> None:
    assert list(model.transcribe(noise(159 / 16_000), should_stop=never)) == []


def test_each_mel_filter_has_unit_area() -> None:
    areas = mel_filters(80).sum(axis=1) * 40
    np.testing.assert_allclose(areas[20:], 1.0, atol=0.1)


@pytest.mark.parametrize(
    "changes",
    [
        {"config.json": b"{}"},
        {"config.json": b"["},
        {"config.json": b'{"suppress_ids": [99999], "suppress_ids_begin": []}'},
        {"config.json": b"[" * 100_000},
        {"tokenizer.json": b'{"model": {"vocab": {}}, "added_tokens": []}'},
        {"tokenizer.json": b"\xff"},
        {"tokenizer.json": b'{"model": {"vocab": {"\xff": 1}}, "added_tokens": []}'},
        {"model.bin": ct2_bytes({})},
        {"model.bin": ct2_bytes(whisper_variables(vocabulary_size=255))},
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path: Path, changes: dict[str, bytes]) -> None:
    with pytest.raises(InvalidModelFile):
        open_speech_model(write_model(tmp_path, **changes))


def test_missing_files_are_typed_errors(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable):
        open_speech_model(tmp_path / "nowhere")
    write_model(tmp_path)
    (tmp_path / "config.json").unlink()
    with pytest.raises(ModelUnavailable):
        open_speech_model(tmp_path)


@given(st.data())
@settings(max_examples=25, deadline=None)
def test_damaged_weights_give_kernel_errors_or_work(tmp_path_factory, data: st.DataObject) -> None:
    good = ct2_bytes(whisper_variables(vocabulary_size=SIZE))
    damaged = bytearray(good)
    for _ in range(data.draw(st.integers(1, 6))):
        damaged[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    folder = tmp_path_factory.mktemp("damaged")
    try:
        model = open_speech_model(write_model(folder, **{"model.bin": bytes(damaged)}))
        next(model.transcribe(noise(0.5), should_stop=never), None)
    except KernelError:
        return


def test_weights_that_are_no_numbers_are_reported(tmp_path: Path) -> None:
    variables = whisper_variables(vocabulary_size=SIZE)
    variables["encoder/conv1/bias"] = np.full(16, np.nan, np.float16)
    model = open_speech_model(write_model(tmp_path, **{"model.bin": ct2_bytes(variables)}))
    with pytest.raises(LaunchError):
        list(model.transcribe(noise(1), should_stop=never))
