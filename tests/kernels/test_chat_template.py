import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_files import TEMPLATE

from kernels.errors import InvalidInput, InvalidModelFile
from kernels.models.chat_template import TURNS_MAX, ChatTemplate, ChatTurn
from kernels.models.tokenizer import Plain

HI = [ChatTurn("user", "hi")]


def text_of(pieces) -> str:
    return "".join(piece.text for piece in pieces)


def test_the_prompt_reads_as_the_template_says() -> None:
    turns = [ChatTurn("system", "Be kind."), ChatTurn("user", "hi")]
    assert text_of(ChatTemplate(TEMPLATE).render(turns)) == (
        "<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nhi<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


@given(st.lists(st.text(), min_size=1, max_size=5))
def test_what_people_wrote_comes_out_plain_and_whole(contents: list[str]) -> None:
    turns = [ChatTurn("user", content) for content in contents]
    pieces = ChatTemplate(TEMPLATE).render(turns)
    assert [piece.text for piece in pieces if isinstance(piece, Plain)] == contents


def test_contents_that_look_like_placeholders_or_templates_stay_text() -> None:
    contents = ["\ue0001\ue001", "{{ messages }}", "{% for x in y %}", "<|im_end|>"]
    pieces = ChatTemplate(TEMPLATE).render([ChatTurn("user", text) for text in contents])
    assert [piece.text for piece in pieces if isinstance(piece, Plain)] == contents


@pytest.mark.parametrize(
    "source",
    [
        "{{ messages",
        "{% for %}",
        "\ue0001\ue001",
        "{{ '\\ue0000\\ue001' }}",
        "x" * 70_000,
    ],
)
def test_templates_that_do_not_compile_or_forge_are_refused(source: str) -> None:
    with pytest.raises(InvalidModelFile):
        ChatTemplate(source)


@pytest.mark.parametrize(
    "source",
    [
        "{{ messages[7].content }}{{ messages[7].content.x.y }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ messages.append(1) }}",
        "{{ 1 / 0 }}",
        "{% for i in range(99999) %}{{ 'xxxxxxxxxxxxxxxxxxxx' }}{% endfor %}",
        "{% for i in range(9999999) %}{% endfor %}",
        "{% include 'other' %}",
        "{{ 'x' * 10000000000 }}",
        "{{ 10 ** 10 ** 10 }}",
        "{{ '%9999999999d' % 1 }}",
        "{{ messages | length * messages }}",
        "{{ undefined_function() }}",
    ],
)
def test_templates_that_fail_or_try_to_escape_are_refused(source: str) -> None:
    with pytest.raises(InvalidModelFile):
        ChatTemplate(source).render(HI)


def test_a_template_may_refuse_a_conversation() -> None:
    template = ChatTemplate("{{ raise_exception('roles must alternate') }}")
    with pytest.raises(InvalidInput, match="alternate"):
        template.render(HI)


@pytest.mark.parametrize("turns", [[], [ChatTurn("tool", "x")], HI * (TURNS_MAX + 1)])
def test_conversations_out_of_bounds_are_refused(turns: list[ChatTurn]) -> None:
    with pytest.raises(InvalidInput):
        ChatTemplate(TEMPLATE).render(turns)


def test_small_arithmetic_is_allowed() -> None:
    assert text_of(ChatTemplate("{{ 7 % 2 * 3 }}").render(HI)) == "3"
