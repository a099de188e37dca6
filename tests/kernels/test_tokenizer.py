from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from model_files import MERGES, SPECIALS, tiny_llama_bytes, vocabulary

from kernels.errors import InvalidInput, InvalidModelFile
from kernels.models.gguf import open_gguf
from kernels.models.tokenizer import Detokenizer, Plain, Template, Tokenizer, tokenizer_from_gguf

EXAMPLES = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
anything = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
nasty = st.lists(st.one_of(st.sampled_from([*SPECIALS, "<|", "im_end", "|>"]), anything)).map(
    "".join
)


def build(folder: Path, **changes) -> Tokenizer:
    path = folder / "model.gguf"
    path.write_bytes(tiny_llama_bytes(**changes))
    return tokenizer_from_gguf(open_gguf(path))


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory) -> Tokenizer:
    return build(tmp_path_factory.mktemp("tokenizer"))


@given(nasty)
@EXAMPLES
def test_text_survives_the_round_trip(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode_plain(text)) == text


@given(nasty)
@EXAMPLES
def test_plain_text_never_becomes_a_special_token(tokenizer: Tokenizer, text: str) -> None:
    pieces = [Template("<|im_start|>user\n"), Plain(text), Template("<|im_end|>")]
    ids = tokenizer.encode(pieces, tokens_max=10_000)
    assert [token_id for token_id in ids if token_id < len(SPECIALS)] == [1, 2]
    assert ids[0] == 1
    assert ids[-1] == 2
    assert tokenizer.decode(ids) == "user\n" + text


@given(first=anything, second=anything)
@EXAMPLES
def test_neighbouring_text_is_encoded_as_one_string(tokenizer, first: str, second: str) -> None:
    apart = tokenizer.encode([Template(first), Plain(second)], tokens_max=10_000)
    together = tokenizer.encode([Plain(first + second)], tokens_max=10_000)
    assert apart == together


@given(anything)
@EXAMPLES
def test_streamed_text_equals_the_whole(tokenizer: Tokenizer, text: str) -> None:
    detokenizer = Detokenizer(tokenizer)
    pieces = [detokenizer.push(token_id) for token_id in tokenizer.encode_plain(text)]
    assert "".join(pieces) == text
    assert not any("�" in piece for piece in pieces if "�" not in text)


@given(text=anything, cut=st.integers(0, 200))
@EXAMPLES
def test_another_provider_continues_within_a_character(tokenizer, text: str, cut: int) -> None:
    ids = tokenizer.encode_plain(text)
    first = Detokenizer(tokenizer)
    begun = "".join(first.push(token_id) for token_id in ids[:cut])
    second = Detokenizer(tokenizer, ids[:cut])
    assert begun + "".join(second.push(token_id) for token_id in ids[cut:]) == text


def test_merges_are_applied_and_digits_stand_apart(tokenizer: Tokenizer) -> None:
    words = vocabulary()
    assert [words[token_id] for token_id in tokenizer.encode_plain("hello th12")] == [
        "hello",
        "Ġth",
        "1",
        "2",
    ]


def test_whole_word_models_merge_digits(tmp_path: Path) -> None:
    tokenizer = build(tmp_path, tokenizer__ggml__pre="gpt-2")
    assert tokenizer.encode_plain("12") == [vocabulary().index("12")]


def test_text_that_cannot_fit_is_refused_before_it_is_encoded(tokenizer: Tokenizer) -> None:
    for text in ("x" * 10_000_000, "hello " * 6):
        with pytest.raises(InvalidInput):
            tokenizer.encode([Plain(text)], tokens_max=10)


@pytest.mark.parametrize(
    "changes",
    [
        {"tokenizer__ggml__model": "llama"},
        {"tokenizer__ggml__pre": "unheard-of"},
        {"tokenizer__ggml__merges": ["h q"]},
        {"tokenizer__ggml__merges": ["hello"]},
        {"tokenizer__ggml__merges": [*MERGES, ""]},
        {"tokenizer__ggml__token_type": [1, 2, 3]},
        {"tokenizer__ggml__tokens": ["a"] * len(vocabulary())},
        {"tokenizer__ggml__tokens": 5},
    ],
)
def test_broken_vocabularies_are_refused(tmp_path: Path, changes) -> None:
    with pytest.raises(InvalidModelFile):
        build(tmp_path, **changes)


@pytest.mark.parametrize(
    ("split", "text", "pieces"),
    [
        ("smollm", "hello 1234", ["hello", " ", "1", "2", "3", "4"]),
        ("gpt-2", "hello 1234", ["hello", " 1234"]),
        ("qwen2", "hello 1234 it's", ["hello", " ", "1", "2", "3", "4", " it", "'s"]),
        ("llama-bpe", "hello 12345!\n", ["hello", " ", "123", "45", "!\n"]),
    ],
)
def test_each_family_cuts_text_its_own_way(tmp_path: Path, split, text, pieces) -> None:
    tokenizer = build(tmp_path, tokenizer__ggml__pre=split)
    assert tokenizer.decode(tokenizer.encode_plain(text)) == text
    cut = tokenizer._encoder.pairs.pre_tokenizer.pre_tokenize_str(text)
    assert [text[start:end] for _, (start, end) in cut] == pieces
