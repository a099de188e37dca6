"""Jinja's sandbox, made tighter. Apart from `chat_template`, for Jinja takes long to load."""

from typing import Any, Final

from jinja2 import TemplateError
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from kernels.errors import InvalidInput, InvalidModelFile

RENDERED_CHARACTERS_MAX: Final = 1 << 20
INTEGER_MAX: Final = 1_000_000


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


class SandboxedTemplate:
    """A compiled template.

    Raises:
        InvalidModelFile: it is no valid template.
    """

    def __init__(self, source: str) -> None:
        environment = _Sandbox(trim_blocks=True, lstrip_blocks=True)
        environment.globals = {"raise_exception": _refuse}
        try:
            self._template = environment.from_string(source)
        except (TemplateError, SyntaxError, RecursionError, ValueError) as error:
            raise InvalidModelFile(f"the chat template is broken: {error}") from error

    def render(self, **names: object) -> str:
        """Return the text.

        Raises:
            InvalidInput: the template refuses the conversation.
            InvalidModelFile: the template fails, or renders without end.
        """
        parts: list[str] = []
        size = 0
        try:
            for part in self._template.generate(**names):
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
