from pathlib import Path

import pytest
from model_files import FAMILY_SHAPE, family_bytes
from test_llama_cuda import TalkativeDevice

from kernels.errors import DeviceUnavailable, InvalidInput
from kernels.models.batch import PASS_TOKENS, ChatBatch
from kernels.models.chat import ChatModel, ChatTurn, Generation, open_chat_model
from kernels.models.sampling import Sampling
from kernels.native import library

TEXTS = ["hello there", "12 the hello", "x" * 180, "the", "the the the", "a b c", "?", "1 2 3"]


@pytest.fixture
def model(tmp_path: Path) -> ChatModel:
    try:
        library.load()
    except DeviceUnavailable as error:
        pytest.skip(f"no native kernel: {error}")
    path = tmp_path / "model.gguf"
    path.write_bytes(family_bytes("llama", "Q4_1"))
    return open_chat_model(path, device="cpu", cache=tmp_path, threads=1)


def ask(model: ChatModel, index: int, tokens_max: int = 24, stop=lambda: False) -> Generation:
    sampling = Sampling(1.5, seed=index) if index % 2 else Sampling()
    return model.generate(
        model.encode_chat([ChatTurn("user", TEXTS[index % len(TEXTS)])]),
        sampling=sampling,
        tokens_max=tokens_max,
        should_stop=stop,
    )


def tokens_of(batch: ChatBatch, answers: list[Generation]) -> list[list[int]]:
    found: dict[int, list[int]] = {id(answer): [] for answer in answers}
    for answer, piece in batch.run():
        found[id(answer)].append(piece.token_id)
    return [found[id(answer)] for answer in answers]


@pytest.mark.parametrize("count", [1, 8, 32])
def test_answers_in_a_batch_are_the_ones_computed_alone(model: ChatModel, count: int) -> None:
    alone = [[piece.token_id for piece in ask(model, index)] for index in range(count)]
    batch = ChatBatch(model.decoder)
    answers = [ask(model, index) for index in range(count)]
    for answer in answers:
        batch.add(answer)
    assert tokens_of(batch, answers) == alone
    assert all(answer.finish_reason in {"length", "stop"} for answer in answers)
    assert batch.is_idle


def test_an_answer_may_join_and_leave_between_passes(model: ChatModel) -> None:
    expected = [piece.token_id for piece in ask(model, 2, 30)]
    stopped: list[bool] = []
    first, second = ask(model, 0, 200, stop=lambda: bool(stopped)), ask(model, 2, 30)
    batch = ChatBatch(model.decoder)
    batch.add(first)
    got: dict[int, list[int]] = {id(first): [], id(second): []}
    for passes in range(60):
        if passes == 3:
            batch.add(second)
        if passes == 9:
            stopped.append(True)
        for answer, piece in batch.step():
            got[id(answer)].append(piece.token_id)
    assert first.finish_reason == "cancelled"
    assert len(got[id(first)]) == 9
    assert got[id(second)] == expected


def test_a_long_prompt_does_not_hold_up_the_others(model: ChatModel) -> None:
    batch = ChatBatch(model.decoder)
    short, long = ask(model, 0), ask(model, 2)
    batch.add(short)
    batch.step()
    assert len(long.pending) > PASS_TOKENS
    batch.add(long)
    for _ in range(2):
        assert next(answer for answer, _ in batch.step()) is short
    assert len(long.pending) == 1


def test_more_than_fit_wait_for_their_turn(model: ChatModel) -> None:
    batch = ChatBatch(model.decoder, answers_max=2)
    answers = [ask(model, index, 4) for index in range(5)]
    for answer in answers:
        batch.add(answer)
    assert len({id(answer) for answer, _ in batch.step()}) <= 2
    for _ in batch.run():
        pass
    assert all(answer.finish_reason is not None for answer in answers)


def test_closing_cancels_what_is_left(model: ChatModel) -> None:
    batch = ChatBatch(model.decoder, answers_max=1)
    answers = [ask(model, 0), ask(model, 1)]
    for answer in answers:
        batch.add(answer)
    batch.step()
    batch.close()
    assert [answer.finish_reason for answer in answers] == ["cancelled"] * 2
    assert batch.is_idle


def test_an_engine_without_batches_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(family_bytes("llama", "F32"))
    with pytest.raises(InvalidInput):
        ChatBatch(open_chat_model(path, device="cpu", cache=tmp_path).decoder)


@pytest.mark.parametrize(("kind", "precision"), [("Q8_0", "q8"), ("Q4_1", "q4"), ("Q4_0", "q8")])
def test_a_device_chooses_the_tokens_of_a_chat_alone_and_in_a_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, precision: str
) -> None:
    """The whole way from the file; no logits come back."""
    monkeypatch.setitem(FAMILY_SHAPE, "attention.head_count", 2)
    monkeypatch.setitem(FAMILY_SHAPE, "attention.head_count_kv", 1)
    device = TalkativeDevice()
    monkeypatch.setattr("kernels.device.open_device", lambda _: device)
    path = tmp_path / "model.gguf"
    path.write_bytes(family_bytes("llama", kind))
    model = open_chat_model(path, device="cuda", cache=tmp_path)
    assert model.decoder.precision == precision
    alone = [[piece.token_id for piece in ask(model, index, 6)] for index in range(4)]
    assert device.returned_bytes == 4 * sum(map(len, alone))
    batch = ChatBatch(model.decoder)
    answers = [ask(model, index, 6) for index in range(4)]
    for answer in answers:
        batch.add(answer)
    assert tokens_of(batch, answers) == alone
    assert device.returned_bytes == 8 * sum(map(len, alone))
