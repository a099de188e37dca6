"""A model's own chat template, rendered so that nobody's text becomes part of it.

The template comes with the weights, so it runs in Jinja's immutable sandbox. It
never sees what people wrote: each message's content is a placeholder while the
template runs, and the real text is set in afterwards, as plain text.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from jinja2 import TemplateError
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from kernels.errors import InvalidInput, InvalidModelFile
from kernels.models.tokenizer import Plain, Template

TEMPLATE_CHARACTERS_MAX: Final = 65_536
RENDERED_CHARACTERS_MAX: Final = 1 << 20
TURNS_MAX: Final = 1024
INTEGER_MAX: Final = 1_000_000

_PLACEHOLDER: Final = re.compile("\ue000([0-9]{1,4})\ue001")

ROLES: Final = ("system", "user", "assistant")


@dataclass(frozen=True, slots=True)
class ChatTurn:
    """One message of a conversation; `role` is "system", "user" or "assistant"."""

    role: str
    content: str


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, in which also no single operator can eat all memory or time.

    A template can still waste both slowly; it is as trusted as the weights it comes
    with, and runs in the worker's process.
    """

    intercepted_binops = frozenset({"*", "**", "%"})

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:  # noqa: ANN401  (Jinja's)
        """Compute with small integers only; nobody's template needs more."""
        small = all(isinstance(one, int) and abs(one) <= INTEGER_MAX for one in (left, right))
        if operator == "**" or not small:
            raise SecurityError(f"{operator} on something else than small integers")
        return super().call_binop(context, operator, left, right)


class ChatTemplate:
    """A compiled chat template."""

    def __init__(self, source: str, *, bos_text: str = "", eos_text: str = "") -> None:
        """Compile *source*.

        Raises:
            InvalidModelFile: it is no valid template, or uses the placeholders' characters.
        """
        if len(source) > TEMPLATE_CHARACTERS_MAX or "\ue000" in source or "\\ue000" in source:
            raise InvalidModelFile("the chat template is too long, or forges placeholders")
        environment = _Sandbox(trim_blocks=True, lstrip_blocks=True)
        environment.globals = {"raise_exception": _refuse}
        self._names = {"bos_token": bos_text, "eos_token": eos_text}
        try:
            self._template = environment.from_string(source)
        except (TemplateError, SyntaxError, RecursionError, ValueError) as error:
            raise InvalidModelFile(f"the chat template is broken: {error}") from error

    def render(self, turns: Sequence[ChatTurn]) -> list[Template | Plain]:
        """Return the prompt, up to where the assistant's answer begins.

        Raises:
            InvalidInput: no turns, too many, an unknown role, or an order the template refuses.
            InvalidModelFile: the template fails.
        """
        if not 1 <= len(turns) <= TURNS_MAX or any(turn.role not in ROLES for turn in turns):
            raise InvalidInput(f"{len(turns)} turns, or a role that is not one of {ROLES}")
        messages = [
            {"role": turn.role, "content": f"\ue000{index}\ue001"}
            for index, turn in enumerate(turns)
        ]
        return list(_splice(self._run(messages), turns))

    def _run(self, messages: list[dict[str, str]]) -> str:
        parts: list[str] = []
        size = 0
        try:
            for part in self._template.generate(
                messages=messages, add_generation_prompt=True, **self._names
            ):
                parts.append(part)
                size += len(part)
                if size > RENDERED_CHARACTERS_MAX:
                    raise InvalidModelFile("the chat template renders without end")
        except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise InvalidModelFile(f"the chat template failed: {error}") from error
        return "".join(parts)


def _refuse(message: object) -> None:
    """Let a template refuse a conversation, as templates do: `raise_exception("...")`."""
    raise InvalidInput(f"the model's chat template refuses: {str(message)[:200]}")


def _splice(rendered: str, turns: Sequence[ChatTurn]) -> Iterator[Template | Plain]:
    for index, part in enumerate(_PLACEHOLDER.split(rendered)):
        if index % 2 == 0:
            yield Template(part)
        elif int(part) < len(turns):
            yield Plain(turns[int(part)].content)
