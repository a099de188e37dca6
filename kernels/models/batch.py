"""Continuous batching: several answers computed in the same passes over the weights.

An answer may join or leave between any two passes. Each pass takes the next token of
every answer in progress, and fills what is left of it with the prompts of new ones, so
that a long prompt does not hold up the others. On the native engine the result is, bit
for bit, what each answer alone would have been.
"""

from collections import deque
from collections.abc import Iterator
from typing import Final

from kernels.errors import InvalidInput
from kernels.models.chat import Generation, TokenPiece
from kernels.models.decoder import BatchDecoder, ChoosingDecoder, Decoder, Step

PASS_TOKENS: Final = 128
"""Tokens in one pass; what `NativeDecoder` takes."""

ANSWERS_MAX: Final = 32
"""Answers computed at a time; more wait for their turn."""


class ChatBatch:
    """Answers in progress on one decoder. For one thread; `run` drives it to the end.

    Args:
        decoder: an engine with `extend_together`: the native one.
        answers_max: so many are computed together.

    Raises:
        InvalidInput: the decoder computes one sequence at a time.
    """

    def __init__(self, decoder: Decoder, *, answers_max: int = ANSWERS_MAX) -> None:
        if not isinstance(decoder, BatchDecoder) or not 1 <= answers_max <= PASS_TOKENS:
            raise InvalidInput("this engine computes one answer at a time")
        self._decoder = decoder
        self._answers_max = answers_max
        self._waiting: deque[Generation] = deque()
        self._active: list[Generation] = []

    @property
    def is_idle(self) -> bool:
        """Return whether no answer is in progress or waiting."""
        return not self._active and not self._waiting

    def add(self, answer: Generation) -> None:
        """Let *answer* join; drive it by nothing else from now on."""
        self._waiting.append(answer)

    def step(self) -> list[tuple[Generation, TokenPiece]]:
        """Compute one pass; return the tokens that came, at most one for each answer.

        Ended answers leave; their `finish_reason` says why.

        Raises:
            LaunchError: the device failed; no answer can go on.
        """
        self._active = [answer for answer in self._active if not answer.is_over()]
        while self._waiting and len(self._active) < self._answers_max:
            answer = self._waiting.popleft()
            if not answer.is_over():
                self._active.append(answer)
        if not self._active:
            return []
        chosen = list(self._fill())
        came = zip(chosen, self._compute(chosen), strict=True)
        return [(answer, piece) for (answer, _), piece in came if piece is not None]

    def _compute(self, chosen: list[tuple[Generation, Step]]) -> list[TokenPiece | None]:
        """Return the next piece of each; None where its prompt goes on, or where it has ended."""
        steps = [step for _, step in chosen]
        answers = [answer for answer, _ in chosen]
        if isinstance(self._decoder, ChoosingDecoder):
            ids = self._decoder.choose_together(steps, [answer.choice for answer in answers])
            return [
                None if token_id is None else answer.accept_token(token_id)
                for answer, token_id in zip(answers, ids, strict=True)
            ]
        rows = self._decoder.extend_together(steps)
        return [
            None if row is None else answer.accept(row)
            for answer, row in zip(answers, rows, strict=True)
        ]

    def run(self) -> Iterator[tuple[Generation, TokenPiece]]:
        """Yield tokens of all answers as they come, until none is left."""
        while not self.is_idle:
            yield from self.step()

    def close(self) -> None:
        """Cancel all that is in progress or waiting."""
        for answer in (*self._active, *self._waiting):
            answer.close()
        self._active.clear()
        self._waiting.clear()

    def _fill(self) -> Iterator[tuple[Generation, Step]]:
        """Share one pass: a token for each, and what is left for prompts, in order of arrival."""
        spare = PASS_TOKENS - len(self._active)
        for answer in self._active:
            pending = answer.pending
            count = min(len(pending), 1 + spare)
            spare -= count - 1
            yield answer, Step(answer.sequence, pending[:count], count == len(pending))
