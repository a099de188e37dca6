from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_files import family_bytes

from kernels.errors import DeviceUnavailable
from kernels.models.chat import ChatModel, ChatTurn, open_chat_model
from kernels.models.prefix_cache import (
    PUBLIC,
    REUSED_TOKENS_MIN,
    PrefixCache,
    common_length,
)
from kernels.models.sampling import Sampling
from kernels.native import library


class FakeSequence:
    """Counts what it took in, as a decoder's sequence would."""

    def __init__(self) -> None:
        self.length_tokens = 0
        self.closed = False

    def extend(self, token_ids, *, should_stop=None):
        self.length_tokens += len(token_ids)

    def begin_as(self, other, length_tokens: int) -> None:
        assert not other.closed
        self.length_tokens = length_tokens

    def close(self) -> None:
        self.closed = True


PROMPT = list(range(100, 140))


def reused(cache: PrefixCache, prompt: list[int], scope: bytes) -> int:
    sequence = FakeSequence()
    count = cache.start(sequence, prompt, scope)
    assert sequence.length_tokens == count
    return count


def test_a_scope_never_sees_what_another_has_asked() -> None:
    cache = PrefixCache(1000)
    cache.give(b"alice", PROMPT, FakeSequence())
    assert reused(cache, [*PROMPT, 1], b"alice") == len(PROMPT)
    assert reused(cache, [*PROMPT, 1], b"bob") == 0
    assert reused(cache, [*PROMPT, 1], PUBLIC) == 0


def test_the_public_beginning_serves_every_scope() -> None:
    cache = PrefixCache(1000)
    cache.give(PUBLIC, PROMPT[:20], FakeSequence())
    for scope in (PUBLIC, b"alice", b"bob"):
        assert reused(cache, PROMPT, scope) == 20


def test_one_token_is_always_left_and_short_beginnings_are_not_copied() -> None:
    cache = PrefixCache(1000)
    cache.give(b"a", PROMPT, FakeSequence())
    assert reused(cache, PROMPT, b"a") == len(PROMPT) - 1
    assert reused(cache, PROMPT[:REUSED_TOKENS_MIN], b"a") == 0


def test_the_budget_throws_out_the_least_recently_used() -> None:
    cache = PrefixCache(10, bytes_max=10 * 100)
    sequences = [FakeSequence() for _ in range(4)]
    for index, sequence in enumerate(sequences[:3]):
        cache.give(b"s%d" % index, [index] * 30, sequence)
    assert reused(cache, [0] * 40, b"s0") == 30
    cache.give(b"s3", [3] * 30, sequences[3])
    assert [sequence.closed for sequence in sequences] == [False, True, False, False]
    assert cache.size_tokens <= 100
    too_long = FakeSequence()
    cache.give(b"s4", [9] * 101, too_long)
    assert too_long.closed


def test_a_longer_text_replaces_its_own_beginning_and_a_scope_can_be_forgotten() -> None:
    cache = PrefixCache(1000)
    first, second = FakeSequence(), FakeSequence()
    cache.give(b"a", PROMPT[:20], first)
    cache.give(b"a", PROMPT, second)
    assert first.closed
    cache.forget(b"a")
    assert second.closed
    assert cache.size_tokens == 0


@given(st.lists(st.integers(0, 2)), st.lists(st.integers(0, 2)))
def test_the_common_length_is_the_longest_equal_beginning(one, other) -> None:
    length = common_length(one, other)
    assert one[:length] == other[:length]
    assert one[length : length + 1] != other[length : length + 1] or length == min(
        len(one), len(other)
    )


@pytest.fixture
def model(tmp_path: Path) -> ChatModel:
    try:
        library.load()
    except DeviceUnavailable as error:
        pytest.skip(f"no native kernel: {error}")
    path = tmp_path / "model.gguf"
    path.write_bytes(family_bytes("llama", "Q4_1"))
    return open_chat_model(path, device="cpu", cache=tmp_path, threads=1)


def test_an_answer_does_not_depend_on_what_is_in_the_cache(model: ChatModel) -> None:
    def answer(turns: list[ChatTurn], scope: bytes) -> tuple[int, list[int]]:
        generation = model.generate(
            model.encode_chat(turns), sampling=Sampling(1.2, seed=5), tokens_max=20,
            should_stop=lambda: False, cache_scope=scope,
        )  # fmt: skip
        reused_tokens = generation.sequence.length_tokens
        return reused_tokens, [piece.token_id for piece in generation]

    turns = [ChatTurn("user", "hello there, the 12 hello")]
    alone = answer(turns, b"")
    longer = [*turns, ChatTurn("assistant", "the"), ChatTurn("user", "hello")]
    longer_alone = answer(longer, b"")
    assert answer(turns, b"alice")[1] == alone[1]
    again = answer(longer, b"alice")
    assert again[0] > alone[0]  # alice's own first turn was reused
    assert again[1] == longer_alone[1]
    assert answer(longer, b"bob") == longer_alone  # ... but not for bob
