import hashlib
from pathlib import Path

import pytest
from model_files import tiny_llama_bytes

from kernels.errors import DeviceUnavailable, InvalidInput, InvalidModelFile, ModelUnavailable
from kernels.models.chat import ChatModel, ChatTurn, open_chat_model
from kernels.models.sampling import Sampling

TURNS = [ChatTurn("system", "Be brief."), ChatTurn("user", "hello there")]
GREEDY = Sampling()


def never() -> bool:
    return False


@pytest.fixture
def model(tmp_path: Path) -> ChatModel:
    path = tmp_path / "model.gguf"
    path.write_bytes(tiny_llama_bytes())
    return open_chat_model(path, device="cpu", cache=tmp_path)


def answer(model: ChatModel, prompt: list[int], sampling: Sampling, tokens: int) -> list[int]:
    pieces = model.generate(prompt, sampling=sampling, tokens_max=tokens, should_stop=never)
    return [piece.token_id for piece in pieces]


def test_a_model_is_named_by_its_content(tmp_path: Path, model: ChatModel) -> None:
    content = (tmp_path / "model.gguf").read_bytes()
    assert model.model_id == hashlib.sha256(content).hexdigest()
    assert (model.name, model.context_tokens, model.device) == ("tiny", 256, "cpu")


def test_a_folder_with_one_model_will_do(tmp_path: Path, model: ChatModel) -> None:
    assert open_chat_model(tmp_path, device="cpu", cache=tmp_path).model_id == model.model_id
    (tmp_path / "second.gguf").write_bytes(b"")
    with pytest.raises(ModelUnavailable):
        open_chat_model(tmp_path, device="cpu")


@pytest.mark.parametrize("sampling", [GREEDY, Sampling(0.9, 50, 0.95, 1234)])
def test_an_answer_moved_to_another_provider_goes_on_the_same(
    model: ChatModel, sampling: Sampling
) -> None:
    whole = answer(model, model.encode_chat(TURNS), sampling, 40)
    assert len(whole) == 40
    for cut in (1, 7, 39):
        prompt = model.encode_chat(TURNS, continue_with=whole[:cut])
        assert whole[:cut] + answer(model, prompt, sampling, 60)[: 40 - cut] == whole


def test_the_streamed_text_is_the_text_of_the_tokens(model: ChatModel) -> None:
    pieces = list(
        model.generate(
            model.encode_chat(TURNS),
            sampling=Sampling(2.0, seed=3),
            tokens_max=60,
            should_stop=never,
        )
    )
    streamed = "".join(piece.text for piece in pieces)
    whole = model.tokenizer.decode(piece.token_id for piece in pieces)
    assert whole.startswith(streamed)
    assert len(whole) - len(streamed) <= 3


def test_the_same_seed_gives_the_same_answer_and_another_does_not(model: ChatModel) -> None:
    prompt = model.encode_chat(TURNS)
    first = answer(model, prompt, Sampling(1.0, seed=1), 20)
    assert answer(model, prompt, Sampling(1.0, seed=1), 20) == first
    assert answer(model, prompt, Sampling(1.0, seed=2), 20) != first


def test_length_ends_an_answer(model: ChatModel) -> None:
    generation = model.generate(
        model.encode_chat(TURNS), sampling=GREEDY, tokens_max=3, should_stop=never
    )
    assert len(list(generation)) == 3
    assert generation.finish_reason == "length"


def test_the_context_ends_an_answer(model: ChatModel) -> None:
    prompt = [5] * (model.context_tokens - 4)
    generation = model.generate(prompt, sampling=GREEDY, tokens_max=1000, should_stop=never)
    assert len(list(generation)) == 4
    assert generation.finish_reason == "length"


def test_the_end_of_turn_ends_an_answer_and_is_not_shown(tmp_path: Path, model: ChatModel) -> None:
    prompt = model.encode_chat(TURNS)
    first, second = answer(model, prompt, GREEDY, 2)
    path = tmp_path / "stopping.gguf"
    path.write_bytes(tiny_llama_bytes(tokenizer__ggml__eos_token_id=second))
    stopping = open_chat_model(path, device="cpu", cache=tmp_path)
    generation = stopping.generate(prompt, sampling=GREEDY, tokens_max=50, should_stop=never)
    assert [piece.token_id for piece in generation] == [first]
    assert generation.finish_reason == "stop"


def test_a_cancel_is_obeyed_before_the_next_token(model: ChatModel) -> None:
    seen: list[int] = []
    generation = model.generate(
        model.encode_chat(TURNS),
        sampling=GREEDY,
        tokens_max=50,
        should_stop=lambda: len(seen) == 2,
    )
    for piece in generation:
        seen.append(piece.token_id)  # noqa: PERF401  (should_stop watches it grow)
    assert len(seen) == 2
    assert generation.finish_reason == "cancelled"
    assert list(generation) == []


def test_a_cancel_during_a_long_prompt_is_obeyed(model: ChatModel) -> None:
    asked = iter([False, True, True, True])
    generation = model.generate(
        [5] * 250, sampling=GREEDY, tokens_max=5, should_stop=lambda: next(asked)
    )
    assert list(generation) == []
    assert generation.finish_reason == "cancelled"


def test_text_may_be_continued_too(model: ChatModel) -> None:
    prompt = model.encode_chat(TURNS)
    continued = model.encode_chat(TURNS, continue_with="hello <|im_end|>")
    assert continued[:3] == prompt[:3]
    assert model.tokenizer.decode(continued).endswith("assistant\nhello <|im_end|>")
    assert continued.count(2) == prompt.count(2)


def test_prompts_that_do_not_fit_are_refused(model: ChatModel) -> None:
    with pytest.raises(InvalidInput):
        model.encode_chat([ChatTurn("user", "x" * 300)])
    with pytest.raises(InvalidInput):
        model.encode_chat(TURNS, continue_with=[5] * 250)
    for begun in ([-1], [10**9]):
        with pytest.raises(InvalidInput):
            model.encode_chat(TURNS, continue_with=begun)
    for prompt in ([], [5] * model.context_tokens):
        with pytest.raises(InvalidInput):
            model.generate(prompt, sampling=GREEDY, tokens_max=1, should_stop=never)


def test_unknown_devices_are_refused(tmp_path: Path, model: ChatModel) -> None:
    with pytest.raises(DeviceUnavailable):
        open_chat_model(tmp_path / "model.gguf", device="abacus", cache=tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"tokenizer__chat_template": "{{ broken"},
        {"tokenizer__chat_template": 7},
        {"tokenizer__ggml__eos_token_id": 10**6},
        {"tokenizer__ggml__bos_token_id": 10**6},
        {"general__name": 5},
    ],
)
def test_models_without_a_usable_chat_are_refused(tmp_path: Path, changes) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(tiny_llama_bytes(**changes))
    with pytest.raises(InvalidModelFile):
        open_chat_model(path, device="cpu", cache=tmp_path)
