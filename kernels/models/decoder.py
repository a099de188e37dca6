"""The port between a chat model and the engine that computes it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from kernels.models.sampling import Choice
from kernels.models.weights import LlamaConfig


class DecoderSequence(Protocol):
    """One text in progress: the tokens so far, as keys and values."""

    @property
    def length_tokens(self) -> int:
        """Return how many tokens have been taken in."""

    def extend(
        self, token_ids: Sequence[int], *, should_stop: Callable[[], bool] | None = None
    ) -> NDArray[np.float32]:
        """Take in tokens and return the logits, shape (vocabulary,), for the next one.

        A long prompt is taken in by chunks; *should_stop* is asked between them and a
        stop leaves the sequence shorter, with the logits of where it stopped.

        Raises:
            InvalidInput: no tokens, an id outside the vocabulary, or no room left.
        """

    def close(self) -> None:
        """Free what the sequence holds on its device."""


@runtime_checkable
class CopyableSequence(DecoderSequence, Protocol):
    """A sequence that may begin as a copy of another, and computes the same bits then."""

    def begin_as(self, other: Self, length_tokens: int) -> None:
        """Start, empty as it is, with the first tokens of *other*."""


@runtime_checkable
class ChoosingSequence(DecoderSequence, Protocol):
    """A sequence on a device that chooses tokens itself: a token comes back, and no logits."""

    def extend_and_choose(
        self,
        token_ids: Sequence[int],
        choice: Choice,
        *,
        should_stop: Callable[[], bool] | None = None,
    ) -> int | None:
        """Take in tokens as `extend` does; return what `choose` would from the logits.

        None after a stop.

        Raises:
            InvalidInput: as `extend` does.
            LaunchError: the logits are not numbers.
        """


@dataclass(frozen=True, slots=True)
class Step:
    """What one sequence takes in during a pass over several."""

    sequence: DecoderSequence
    token_ids: Sequence[int]
    wants_logits: bool = True


@runtime_checkable
class BatchDecoder(Protocol):
    """A decoder that takes in tokens of several sequences in one pass."""

    def extend_together(self, steps: Sequence[Step]) -> list[NDArray[np.float32] | None]:
        """Return the logits for each step, or None where they are not wanted.

        What comes out is, bit for bit, what each sequence alone would have got.

        Raises:
            InvalidInput: too many tokens in one pass, or as `DecoderSequence.extend` does.
        """


@runtime_checkable
class ChoosingDecoder(Protocol):
    """A `BatchDecoder` whose device chooses tokens itself."""

    def choose_together(self, steps: Sequence[Step], choices: Sequence[Choice]) -> list[int | None]:
        """Take in as `extend_together` does; return the token chosen for each step that wants one.

        Raises:
            InvalidInput: as `extend_together` does.
            LaunchError: logits are not numbers.
        """


class Decoder(Protocol):
    """Computes next-token logits on some device."""

    @property
    def config(self) -> LlamaConfig:
        """Return the shape of the model."""

    @property
    def device(self) -> str:
        """Return the name of the device: "cpu", "cuda"."""

    @property
    def engine(self) -> str:
        """Return what computes there: "numpy", "native", "cuda". Each has its own rounding."""

    @property
    def capacity_tokens_max(self) -> int:
        """Return the longest sequence possible: the context, or what the memory budget holds."""

    def new_sequence(self, capacity_tokens: int) -> DecoderSequence:
        """Return an empty sequence with room for *capacity_tokens*.

        Raises:
            InvalidInput: more than the model's context or the engine's memory budget.
        """
