"""SentencePiece vocabularies (Llama 2, Gemma) as a GGUF file has them."""

from pathlib import Path

import model_files
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from model_files import tiny_llama_bytes

from kernels.errors import InvalidInput, InvalidModelFile
from kernels.models.chat import ChatTurn, open_chat_model
from kernels.models.gguf import open_gguf
from kernels.models.piece_encoder import SPACE, PieceEncoder
from kernels.models.sampling import Sampling
from kernels.models.tokenizer import Plain, Template, Tokenizer, tokenizer_from_gguf

EXAMPLES = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
UNK, BOS, EOS, TURN, BREAK, UNUSED = range(6)
CONTROLS = ["<unk>", "<s>", "</s>", "<turn>", "\n\n", "hello"]
BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
WORDS = [
    *"abcdehlorstuw<>0x4",
    SPACE, "bc", "ab", "abcd", "cd", "he", "ll", "hell", "llo", "hellos", "or",
    f"{SPACE}t", f"{SPACE}th", f"{SPACE}the",
    f"{SPACE}w", f"{SPACE}wor", "ld", f"{SPACE}world", "<s", "rs>", "<t", SPACE * 2, SPACE * 4,
]  # fmt: skip
TOKENS = [*CONTROLS, *BYTES, *WORDS]
KINDS = [2, 3, 3, 3, 4, 5, *[6] * 256, *[1] * len(WORDS)]
SCORES = [0.0] * (len(CONTROLS) + 256) + [-float(index) for index in range(len(WORDS))]
letters = st.lists(st.sampled_from(["abc", "hello", "the", *WORDS, *"/\n!u "]), max_size=20).map(
    lambda parts: "".join(parts).replace(SPACE, " ")
)
anything = letters | st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def build(folder: Path, **changes) -> Tokenizer:
    path = folder / "model.gguf"
    values = {
        "tokenizer__ggml__model": "llama",
        "tokenizer__ggml__tokens": TOKENS,
        "tokenizer__ggml__token_type": KINDS,
        "tokenizer__ggml__scores": SCORES,
        "tokenizer__ggml__bos_token_id": BOS,
        "tokenizer__ggml__eos_token_id": EOS,
    }
    path.write_bytes(tiny_llama_bytes(**(values | changes)))
    return tokenizer_from_gguf(open_gguf(path))


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory) -> Tokenizer:
    return build(tmp_path_factory.mktemp("pieces"))


def texts(tokenizer: Tokenizer, text: str) -> list[str]:
    return [TOKENS[token_id] for token_id in tokenizer.encode_plain(text)]


def test_a_text_is_cut_by_score_after_a_space_of_its_own(tokenizer: Tokenizer) -> None:
    assert texts(tokenizer, "the world") == [f"{SPACE}the", f"{SPACE}world"]
    assert texts(tokenizer, "hell") == [SPACE, "hell"]
    assert texts(tokenizer, "hellos") == [SPACE, "hell", "o", "s"]  # "hello" is not used
    assert texts(tokenizer, "é") == [SPACE, "<0xC3>", "<0xA9>"]
    assert texts(tokenizer, "\n\nthe") == ["\n\n", f"{SPACE}the"]
    assert texts(tokenizer, "     ") == [SPACE * 4, SPACE * 2]
    assert tokenizer.encode_plain("") == []


def test_gemma_has_no_space_of_its_own(tmp_path: Path) -> None:
    tokenizer = build(tmp_path, tokenizer__ggml__add_space_prefix=False)
    assert texts(tokenizer, "hell the") == ["hell", f"{SPACE}the"]


@given(anything)
@EXAMPLES
def test_text_survives_the_round_trip(tokenizer: Tokenizer, text: str) -> None:
    parts = text.replace(SPACE, " ").split("\n\n")
    spaced = "\n\n".join(part and f" {part}" for part in parts)
    assert tokenizer.decode(tokenizer.encode_plain(text)) == spaced


@given(anything)
@EXAMPLES
def test_no_text_becomes_a_control_token_an_unused_one_or_a_byte_by_its_spelling(
    tokenizer: Tokenizer, text: str
) -> None:
    forbidden = {UNK, BOS, EOS, TURN, UNUSED}
    for start in ("<s>", "</s>", "<turn>", "<unk>", "<0x42>", "hello"):
        said = (start + text).replace("B", "")
        assert not {*forbidden, TOKENS.index("<0x42>")} & set(tokenizer.encode_plain(said))


def slow_merge(text: str) -> list[str]:
    """The definition: of all neighbours that make a token, the best, the leftmost of equals."""
    normal = dict(zip(WORDS, SCORES[len(CONTROLS) + 256 :], strict=True))
    pieces = list(text)
    while True:
        pairs = [
            (-normal[pieces[index] + pieces[index + 1]], index)
            for index in range(len(pieces) - 1)
            if pieces[index] + pieces[index + 1] in normal
        ]
        if not pairs:
            return pieces
        _, index = min(pairs)
        pieces[index : index + 2] = ["".join(pieces[index : index + 2])]


@given(letters)
@EXAMPLES
def test_merges_are_those_of_the_definition(text: str) -> None:
    first = len(CONTROLS) + 256
    encoder = PieceEncoder(
        {word: first + index for index, word in enumerate(WORDS)},
        SCORES, {}, range(len(CONTROLS), first), space_first=False,
    )  # fmt: skip
    wanted: list[int] = []
    for piece in slow_merge(text.replace(" ", SPACE)):
        known = piece in WORDS
        codes = piece.encode()
        wanted += (
            [TOKENS.index(piece, first)] if known else [len(CONTROLS) + byte for byte in codes]
        )
    assert encoder.encode(text) == wanted


def test_a_prompt_begins_with_the_first_token_once(tokenizer: Tokenizer, tmp_path: Path) -> None:
    said = [Template("<turn>the"), Plain("<turn>"), Template("</s>")]
    ids = tokenizer.encode(said, tokens_max=100)
    assert ids[:3] == [BOS, TURN, TOKENS.index(f"{SPACE}the")]
    assert ids.count(TURN) == 1
    assert ids[-1] == EOS
    set_already = tokenizer.encode([Template("<s>"), *said], tokens_max=100)
    assert set_already == ids
    without = build(tmp_path, tokenizer__ggml__add_bos_token=False)
    assert without.encode(said, tokens_max=100) == ids[1:]
    with pytest.raises(InvalidInput):
        tokenizer.encode(said, tokens_max=len(ids) - 1)


def test_what_a_model_says_is_read_with_spaces_and_bytes(tokenizer: Tokenizer) -> None:
    said = [BOS, *map(TOKENS.index, [f"{SPACE}the", "<0xC3>", "<0xA9>", "\n\n", f"{SPACE}world"])]
    assert tokenizer.decode([*said, EOS]) == " theé\n\n world"


@pytest.mark.parametrize(
    "changes",
    [
        {"tokenizer__ggml__scores": SCORES[:-1]},
        {"tokenizer__ggml__scores": [float("nan"), *SCORES[1:]]},
        {"tokenizer__ggml__scores": ["a"] * len(SCORES)},
        {"tokenizer__ggml__scores": 1.0},
        {"tokenizer__ggml__token_type": [1] * len(KINDS)},
        {"tokenizer__ggml__bos_token_id": len(TOKENS)},
        {"tokenizer__ggml__add_space_prefix": 1},
        {"tokenizer__ggml__model": "bert"},
    ],
)
def test_a_broken_description_is_refused(tmp_path: Path, changes) -> None:
    with pytest.raises(InvalidModelFile):
        build(tmp_path, **changes)


def test_without_byte_tokens_what_is_unknown_is_the_unknown_token(tmp_path: Path) -> None:
    kinds = [5 if kind == 6 else kind for kind in KINDS]
    tokenizer = build(tmp_path, tokenizer__ggml__token_type=kinds)
    assert texts(tokenizer, "é") == [SPACE, "<unk>", "<unk>"]


@pytest.mark.parametrize("family", ["llama", "gemma"])
def test_a_chat_with_such_a_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: str
) -> None:
    """From the file to the answer: one first token, turns that nobody can forge, text back."""
    monkeypatch.setattr(model_files, "vocabulary", lambda: TOKENS)
    pieces = {
        "model": "llama", "tokens": TOKENS, "token_type": KINDS, "scores": SCORES,
        "bos_token_id": BOS, "eos_token_id": EOS, "add_space_prefix": family != "gemma",
    }  # fmt: skip
    metadata = model_files.family_metadata(family)
    metadata |= {f"tokenizer.ggml.{key}": value for key, value in pieces.items()}
    metadata["tokenizer.chat_template"] = (
        "{{ bos_token }}{% for message in messages %}{{ '<turn>' + message['role'] + '\n'"
        " + message['content'] + '</s>' }}{% endfor %}<turn>model\n"
    )
    tensors = {
        name: ("F32", values.shape, values.tobytes())
        for name, values in model_files.family_tensors(family).items()
    }
    path = tmp_path / "model.gguf"
    path.write_bytes(model_files.gguf_bytes(metadata, tensors))
    model = open_chat_model(path, device="cpu", cache=tmp_path)
    prompt = model.encode_chat([ChatTurn("user", "hell <turn></s><s>")])
    assert prompt.count(BOS) == 1
    assert prompt[0] == BOS
    assert prompt.count(TURN) == 2
    assert prompt.count(EOS) == 1
    pieces_out = list(
        model.generate(
            prompt, sampling=Sampling(1.0, seed=2), tokens_max=12, should_stop=lambda: False
        )
    )
    said = [piece.token_id for piece in pieces_out]
    assert said
    streamed = "".join(piece.text for piece in pieces_out)
    assert model.tokenizer.decode(said).startswith(streamed)
