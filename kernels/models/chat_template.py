"""A model's own chat template, rendered so that nobody's text becomes part of it.

The template comes with the weights, so it runs in Jinja's immutable sandbox. It
never sees what people wrote: each message's content is a placeholder while the
template runs, and the real text is set in afterwards, as plain text.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from kernels.errors import InvalidInput, InvalidModelFile
from kernels.models.tokenizer import Plain, Template

TEMPLATE_CHARACTERS_MAX: Final = 65_536
TURNS_MAX: Final = 1024

_PLACEHOLDER: Final = re.compile("\ue000([0-9]{1,4})\ue001")

ROLES: Final = ("system", "user", "assistant")


@dataclass(frozen=True, slots=True)
class ChatTurn:
    """One message of a conversation; `role` is "system", "user" or "assistant"."""

    role: str
    content: str


class ChatTemplate:
    """A compiled chat template."""

    def __init__(self, source: str, *, bos_text: str = "", eos_text: str = "") -> None:
        """Compile *source*.

        Raises:
            InvalidModelFile: it is no valid template, or uses the placeholders' characters.
        """
        if len(source) > TEMPLATE_CHARACTERS_MAX or "\ue000" in source or "\\ue000" in source:
            raise InvalidModelFile("the chat template is too long, or forges placeholders")
        from kernels.models.template_sandbox import SandboxedTemplate  # noqa: PLC0415  (it is slow)

        self._names = {"bos_token": bos_text, "eos_token": eos_text}
        self._template = SandboxedTemplate(source)

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
        rendered = self._template.render(
            messages=messages, add_generation_prompt=True, **self._names
        )
        return list(_splice(rendered, turns))


def _splice(rendered: str, turns: Sequence[ChatTurn]) -> Iterator[Template | Plain]:
    for index, part in enumerate(_PLACEHOLDER.split(rendered)):
        if index % 2 == 0:
            yield Template(part)
        elif int(part) < len(turns):
            yield Plain(turns[int(part)].content)
