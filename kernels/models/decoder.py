"""The port between a chat model and the engine that computes it."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

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


class Decoder(Protocol):
    """Computes next-token logits on some device."""

    @property
    def config(self) -> LlamaConfig:
        """Return the shape of the model."""

    @property
    def device(self) -> str:
        """Return the name of the device: "cpu", "cuda"."""

    @property
    def capacity_tokens_max(self) -> int:
        """Return the longest sequence possible: the context, or what the memory budget holds."""

    def new_sequence(self, capacity_tokens: int) -> DecoderSequence:
        """Return an empty sequence with room for *capacity_tokens*.

        Raises:
            InvalidInput: more than the model's context or the engine's memory budget.
        """
