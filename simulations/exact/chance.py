"""Draws that are the same on every machine and in every Python version.

`random.Random` seeded with text is specified (SHA-512 into the Mersenne Twister), and so is
`random()`. The logarithm and the exponential of the C library are not: they may differ in
the last bit. So both are computed here from + - * / alone, which IEEE 754 fixes. Every
purpose has a stream of its own, so that one more draw here changes nothing there.
"""

import hashlib
import math
import random
from collections.abc import Sequence
from typing import Final, TypeVar

LN2: Final = 0.6931471805599453
_SQRT_HALF: Final = 0.7071067811865476
_LOG_TERMS: Final = 11
_EXP_TERMS: Final = 18

T = TypeVar("T")


def log(x: float) -> float:
    """Return the natural logarithm of *x* > 0 (atanh series; error below 1e-15)."""
    mantissa, exponent = math.frexp(x)
    if mantissa < _SQRT_HALF:
        mantissa, exponent = mantissa * 2.0, exponent - 1
    ratio = (mantissa - 1.0) / (mantissa + 1.0)
    square, total = ratio * ratio, 0.0
    for term in range(_LOG_TERMS, -1, -1):
        total = total * square + 1.0 / (2 * term + 1)
    return exponent * LN2 + 2.0 * ratio * total


def exp(x: float) -> float:
    """Return e to the power of *x* (Taylor after reduction; relative error below 1e-13)."""
    power = round(x / LN2)
    rest, total = x - power * LN2, 1.0
    for term in range(_EXP_TERMS, 0, -1):
        total = 1.0 + total * rest / term
    return math.ldexp(total, power)


class Chance:
    """One stream of draws.

    Attributes:
        rng: the generator, for cores that take one.
    """

    __slots__ = ("rng",)

    def __init__(self, *key: object) -> None:
        """Start the stream that is called *key*."""
        self.rng = random.Random("/".join(map(str, key)))  # noqa: S311  (a simulation)

    def share(self) -> float:
        """Draw from [0, 1)."""
        return self.rng.random()

    def below(self, limit: int) -> int:
        """Draw a whole number from 0 to *limit* - 1."""
        return int(self.rng.random() * limit)

    def choice(self, among: Sequence[T]) -> T:
        """Draw one of *among*."""
        return among[self.below(len(among))]

    def exponential(self, mean: float) -> float:
        """Draw from the exponential distribution."""
        return -mean * log(1.0 - self.share())

    def weibull(self, scale: float, shape: float) -> float:
        """Draw from the Weibull distribution."""
        return scale * exp(log(-log(1.0 - self.share()) + 1e-300) / shape)

    def lognormal(self, median: float, sigma: float) -> float:
        """Draw from the log-normal distribution."""
        return median * exp(sigma * self.normal())

    def normal(self) -> float:
        """Draw from the standard normal distribution (Marsaglia's polar method)."""
        while True:
            x, y = 2.0 * self.share() - 1.0, 2.0 * self.share() - 1.0
            square = x * x + y * y
            if 0.0 < square < 1.0:
                return x * math.sqrt(-2.0 * log(square) / square)

    def duration_us(self, kind: str, scale_s: float, shape: float) -> int:
        """Draw a time from a distribution that scenarios know, in microseconds, at least 1."""
        if kind == "weibull":
            drawn_s = self.weibull(scale_s, shape)
        elif kind == "lognormal":
            drawn_s = self.lognormal(scale_s, shape)
        else:
            drawn_s = self.exponential(scale_s)
        return max(1, int(min(drawn_s, 1e9) * 1e6))


def hashed_shares(key: bytes, text: str) -> tuple[float, float, float, float]:
    """Return four shares of [0, 1) that depend on *key* and *text* only.

    For decisions about one thing (a message, say) that must not depend on how many other
    things were decided before it.
    """
    digest = hashlib.blake2b(text.encode(), key=key, digest_size=16).digest()
    a, b, c, d = (int.from_bytes(digest[at : at + 4], "big") for at in (0, 4, 8, 12))
    return a / 2**32, b / 2**32, c / 2**32, d / 2**32
