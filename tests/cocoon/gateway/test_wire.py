"""Whatever a client sends becomes a request of ours or a typed refusal."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cocoon.gateway.problems import ApiProblem
from cocoon.gateway.wire import HARMLESS, NEUTRAL, ChatAnswers, decode_chat
from cocoon.requester.plan import ChatRequest

MODEL = "SmolLM2-135M-Instruct"
GOOD = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]}

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
names = st.sampled_from(
    [*GOOD, "stream", "seed", "temperature", "top_p", "max_tokens", "max_completion_tokens",
     "stream_options", "x", *NEUTRAL, *HARMLESS]
)  # fmt: skip


def decoded(**fields):
    return decode_chat(json.dumps(GOOD | fields).encode())


@given(st.dictionaries(names, values, max_size=6))
def test_any_parameters_end_in_a_request_or_a_typed_refusal(fields):
    try:
        request = decoded(**fields).request(1)
    except ApiProblem as problem:
        assert problem.status in {400, 404}
        assert json.loads(problem.body())["error"]["code"] == problem.code
    else:
        assert isinstance(request, ChatRequest)


@given(st.binary(max_size=200))
def test_any_bytes_end_in_a_typed_refusal(body):
    with pytest.raises(ApiProblem) as raised:
        decode_chat(body)
    assert raised.value.status == 400


def test_deep_nesting_is_refused():
    with pytest.raises(ApiProblem):
        decode_chat(b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}")


def test_what_would_change_the_answer_is_refused_and_what_asks_for_nothing_is_taken():
    for name, neutral in NEUTRAL.items():
        for value in (None, *neutral):
            assert decoded(**{name: value}).request(1).turns[0].content == "Hello"
        with pytest.raises(ApiProblem) as raised:
            decoded(**{name: ["something else"]})
        assert raised.value.parameter == name
    for name in HARMLESS:
        decoded(**{name: "anything"})
    with pytest.raises(ApiProblem) as raised:
        decoded(made_up=1)
    assert raised.value.code == "unsupported_parameter"


def test_sampling_is_translated_to_whole_numbers():
    plain = decoded().request(7).sampling
    assert (plain.temperature_milli, plain.top_p_ppm, plain.seed) == (1000, 1_000_000, 7)
    chosen = decoded(temperature=0.7, top_p=0.95, seed=-1).request(7).sampling
    assert (chosen.temperature_milli, chosen.top_p_ppm) == (700, 950_000)
    assert chosen.seed == 2**63 - 1


def test_parts_and_developers_become_plain_turns():
    messages = [
        {"role": "developer", "content": "Be short."},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
    ]
    turns = decoded(messages=messages).request(1).turns
    assert [(turn.role, turn.content) for turn in turns] == [
        ("system", "Be short."),
        ("user", "ab"),
    ]
    picture = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]
    with pytest.raises(ApiProblem):
        decoded(messages=picture)


def test_the_first_chunk_of_a_stream_names_the_role():
    answers = ChatAnswers(MODEL, 5)
    first, second = (json.loads(answers.piece(text)) for text in ("a", "b"))
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": "a"}
    assert second["choices"][0]["delta"] == {"content": "b"}
    assert first["id"] == second["id"]


def test_parts_that_make_a_message_too_long_for_any_provider_are_refused():
    parts = [{"type": "text", "text": "x" * (1 << 19)}] * 3
    body = {"model": "SmolLM2-135M-Instruct", "messages": [{"role": "user", "content": parts}]}
    with pytest.raises(ApiProblem, match="at most 1048576 characters"):
        decode_chat(msgspec.json.encode(body)).request(1)
