import json
from pathlib import Path

import pytest
from model_files import family_bytes, tiny_llama_bytes

from kernels import chat, transcribe
from kernels.bench import __main__ as bench
from kernels.errors import ModelUnavailable
from kernels.models import installed
from kernels.native.__main__ import main as build

VOICE_NOTE = Path(__file__).parents[2] / "cocoon" / "data" / "voice-note.ogg"


@pytest.fixture
def model(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("COCOON_NATIVE", "0")
    path = tmp_path / "model.gguf"
    path.write_bytes(tiny_llama_bytes())
    return path


def test_chat_streams_an_answer_and_says_how_fast(model: Path, capsys) -> None:
    assert chat.main(["hello", "--model", str(model), "--tokens", "5"]) == 0
    out, err = capsys.readouterr()
    assert out.endswith("\n")
    assert "5 tokens" in err
    assert "ended by length" in err


def test_chat_in_json_has_a_line_for_each_piece_and_one_for_the_end(model: Path, capsys) -> None:
    assert chat.main(["hello", "--model", str(model), "--tokens", "4", "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(lines) == 5
    assert all(set(line) == {"token_id", "text"} for line in lines[:-1])
    assert lines[-1]["output_tokens"] == 4
    assert lines[-1]["finish_reason"] == "length"
    assert len(lines[-1]["model_id"]) == 64


def test_chat_reads_its_question_from_standard_input(model: Path, monkeypatch, capsys) -> None:
    import io

    def ask(prompt: str) -> str:
        assert chat.main([prompt, "--model", str(model), "--tokens", "6"]) == 0
        return capsys.readouterr().out

    monkeypatch.setattr("sys.stdin", io.StringIO("the 12 hello"))
    assert ask("-") == ask("the 12 hello")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["hi", "--model", "no-such-model"], 3),
        (["hi", "--model", "{model}", "--tokens", "0"], 4),
        (["hi", "--model", "{model}", "--temperature", "-1"], 4),
        (["x" * 5000, "--model", "{model}"], 4),
        (["hi", "--model", "{model}", "--device", "abacus"], 3),
    ],
)
def test_what_chat_cannot_do_is_one_line_and_a_code(model: Path, capsys, arguments, code) -> None:
    filled = [one.replace("{model}", str(model)) for one in arguments]
    assert chat.main(filled) == code
    assert capsys.readouterr().err.count("\n") == 1
    assert chat.main([*filled, "--json"]) == code
    assert json.loads(capsys.readouterr().out)["code"] == code


def test_transcribe_says_what_is_wrong_with_a_file(tmp_path: Path, capsys) -> None:
    note = tmp_path / "note.txt"
    note.write_text("no audio")
    for file, words in ((note, "not an OGG"), (tmp_path / "none.ogg", "cannot be read")):
        assert transcribe.main([str(file)]) == 4
        assert words in capsys.readouterr().err


def test_missing_weights_name_the_command_that_fetches_them(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setenv("COCOON_ASSETS", str(tmp_path))
    assert transcribe.main([str(VOICE_NOTE)]) == 3
    assert "cocoon assets fetch whisper-tiny.en" in capsys.readouterr().err


def test_transcribe_writes_times_or_text_or_json(capsys) -> None:
    try:
        installed.find_model("whisper-tiny.en", "speech")
    except ModelUnavailable as error:
        pytest.skip(str(error))
    spoken = VOICE_NOTE.with_suffix(".txt").read_text().splitlines()[0]
    assert transcribe.main([str(VOICE_NOTE), "--no-times"]) == 0
    assert " ".join(capsys.readouterr().out.split()) == spoken
    assert transcribe.main([str(VOICE_NOTE), "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert " ".join(line["text"] for line in lines[:-1]) == spoken
    assert 6 < lines[-1]["duration_s"] < 7


def test_an_interrupt_is_one_word_and_130(model: Path, monkeypatch, capsys) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(chat, "open_chat_model", interrupt)
    assert chat.main(["hi", "--model", str(model)]) == 130
    assert capsys.readouterr().err.strip() == "interrupted"


def test_the_bench_knows_its_parts(capsys) -> None:
    assert bench.main(["nothing"]) == 4
    assert "whisper-base" in capsys.readouterr().err


def test_building_says_which_engine_is_used(monkeypatch, capsys) -> None:
    assert build() == 0
    assert capsys.readouterr().out.startswith("CPU engine: ")


def test_a_path_wins_over_a_known_name(tmp_path: Path) -> None:
    path = tmp_path / "whisper-tiny.en"
    path.write_bytes(family_bytes("llama"))
    assert installed.find_model(str(path), "speech") == path
    with pytest.raises(ModelUnavailable):
        installed.find_model("whisper-tiny.en-not", "speech")


def test_the_comparison_fails_a_wrong_engine() -> None:
    import numpy as np

    from kernels.bench.chat import Comparison, follow

    class Engine:
        def __init__(self, error: float) -> None:
            self.rng, self.error = np.random.default_rng(0), error

        def extend(self, token_ids):
            logits = self.rng.normal(0, 3, 50).astype(np.float32)
            return logits + np.float32(self.error) * (np.arange(50) % 2)

    found = follow(Engine(0), {"same": Engine(0), "wrong": Engine(2)}, [1], 40)
    assert found["same"].check("same").passed
    assert not found["wrong"].check("wrong").passed
    assert isinstance(found["same"], Comparison)
