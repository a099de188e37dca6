"""How the next token is chosen: greedily, or at random from a seed.

The random number of a token depends on the seed and on the token's position only,
so an answer that moves to another provider half way goes on with the same numbers.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kernels.errors import InvalidInput, LaunchError
from kernels.quantised import weights_of

SEED_MAX: Final = 2**64 - 1
TOP_K_MAX: Final = 2**63 - 1
UNIT_BITS: Final = 53
UNITS: Final = 2.0**UNIT_BITS
"""Shares of a whole are counted in these parts of it."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """Settings of the choice. A temperature of 0 always takes the likeliest token.

    Raises:
        InvalidInput: a setting is out of range.
    """

    temperature: float = 0.0
    top_k: int = 0
    """Keep only this many of the likeliest tokens; 0 keeps all."""

    top_p: float = 1.0
    """Keep the likeliest tokens that together reach this probability; 1 keeps all."""

    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.temperature <= 100:
            raise InvalidInput(f"temperature {self.temperature} is not in 0..100")
        if self.top_k < 0 or not 0 <= self.top_p <= 1:
            raise InvalidInput(f"top_k {self.top_k} or top_p {self.top_p} is out of range")
        if not 0 <= self.seed <= SEED_MAX:
            raise InvalidInput("the seed is not an unsigned 64-bit integer")


@dataclass(frozen=True, slots=True)
class Choice:
    """How one token is to be chosen: the settings, and the token's index in the whole text."""

    sampling: Sampling
    position: int

    @property
    def is_greedy(self) -> bool:
        """Return whether the likeliest token is taken, whatever the draw."""
        return self.sampling.temperature == 0 or self.sampling.top_k == 1

    @property
    def rule(self) -> tuple[int, int, int]:
        """Return what the device's ``sample`` takes: top_k, top_p and the draw in units of 2^-53.

        Greedy choice is a top_k of 1.
        """
        top_k = 1 if self.is_greedy else min(self.sampling.top_k, TOP_K_MAX)
        draw = uniform(self.sampling.seed, self.position)
        return top_k, int(self.sampling.top_p * UNITS), int(draw * UNITS)


def choose(logits: NDArray[np.float32], sampling: Sampling, position: int) -> int:
    """Return the id of the next token.

    Weights are integers, and so is all that follows: the same token is chosen, from the same
    logits, by ``sample`` of ``cuda/sampling.cu``.

    Args:
        logits: shape (vocabulary,).
        sampling: the settings.
        position: index in the whole text of the token to be chosen.

    Raises:
        LaunchError: the logits are not numbers, so the weights or the device are broken.
    """
    best = int(logits.argmax())
    if not np.isfinite(logits[best]):
        raise LaunchError("the model's logits are not finite")
    choice = Choice(sampling, position)
    if choice.is_greedy:
        return best
    top_k, top_p, draw = choice.rule
    ids = _likeliest_first(logits)
    if top_k:
        ids = ids[:top_k]
    with np.errstate(over="ignore"):  # a tiny temperature: what is less likely weighs nothing
        below = (logits[ids].astype(np.float64) - np.float64(logits[best])) / sampling.temperature
    sums = np.cumsum(weights_of(below))
    needed = -(-int(sums[-1]) * top_p >> UNIT_BITS)
    kept = int(np.searchsorted(sums, max(1, needed)))
    drawn = int(sums[kept]) * draw >> UNIT_BITS
    return int(ids[np.searchsorted(sums, drawn, side="right")])


def _likeliest_first(logits: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return token ids by falling logit; ties go by id, as in the greedy choice.

    Number and id are sorted together as one integer, faster than a stable argsort:
    flipped, the bits of a float rise as the float falls.
    """
    bits = (logits + np.float32(0)).view(np.uint32)  # -0 becomes 0
    falling = np.where(bits >> 31, bits, ~bits & np.uint32(0x7FFFFFFF))
    keys = (falling.astype(np.uint64) << np.uint64(32)) | np.arange(len(logits), dtype=np.uint64)
    keys.sort()
    return (keys & np.uint64(0xFFFFFFFF)).astype(np.intp)


def uniform(seed: int, position: int) -> float:
    """Return a number in [0, 1) that is fixed by *seed* and *position* on every machine."""
    text = seed.to_bytes(8, "big") + position.to_bytes(8, "big")
    digest = hashlib.blake2b(text, digest_size=8, person=b"cocoon sampling").digest()
    return (int.from_bytes(digest, "big") >> 11) * 2.0**-53
