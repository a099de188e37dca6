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

SEED_MAX: Final = 2**64 - 1


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


def choose(logits: NDArray[np.float32], sampling: Sampling, position: int) -> int:
    """Return the id of the next token.

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
    if sampling.temperature == 0 or sampling.top_k == 1:
        return best
    ids = _likeliest_first(logits)
    if sampling.top_k:
        ids = ids[: sampling.top_k]
    weights = np.exp((logits[ids].astype(np.float64) - logits[best]) / sampling.temperature)
    cumulative = np.cumsum(weights)
    kept = int(np.searchsorted(cumulative, sampling.top_p * cumulative[-1])) + 1
    cumulative = cumulative[:kept]
    drawn = uniform(sampling.seed, position) * cumulative[-1]
    return int(ids[min(np.searchsorted(cumulative, drawn, side="right"), len(cumulative) - 1)])


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
