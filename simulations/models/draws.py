"""Randomness without state: every draw is a hash of a key and a counter.

So a run gives the same numbers in any order, on any number of threads or machines.

Source: the finaliser of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom
Number Generators, OOPSLA 2014), used as a counter-based generator in the way of
Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3 (SC 2011).
"""

import math

import numpy as np

from simulations.models.compiled import U64, compiled_inline

_GOLDEN = U64(0x9E3779B97F4A7C15)
_FIRST = U64(0xBF58476D1CE4E5B9)
_SECOND = U64(0x94D049BB133111EB)
_27, _30, _31, _11 = U64(27), U64(30), U64(31), U64(11)
_TO_UNIT = 1.0 / 9007199254740992.0


@compiled_inline
def mixed(word: np.uint64) -> np.uint64:
    """Return a hash of 64 bits; a bijection."""
    word = (word ^ (word >> _30)) * _FIRST
    word = (word ^ (word >> _27)) * _SECOND
    return word ^ (word >> _31)


@compiled_inline
def draw(key: np.uint64, counter: int) -> np.uint64:
    """Return the 64 random bits number *counter* of the stream *key*."""
    word = key + U64(counter) * _GOLDEN
    word = (word ^ (word >> _30)) * _FIRST
    word = (word ^ (word >> _27)) * _SECOND
    return word ^ (word >> _31)


@compiled_inline
def unit(bits: np.uint64) -> float:
    """Return a float in [0, 1) from 64 random bits."""
    return float(np.float64(bits >> _11) * _TO_UNIT)


@compiled_inline
def below(bits: np.uint64, limit: int) -> int:
    """Return an integer in [0, limit) from 64 random bits, for limits up to 2^31.

    The high 32 bits times the limit: no division; the bias is below limit / 2^32.
    """
    return int(np.int64(((bits >> U64(32)) * U64(limit)) >> U64(32)))


@compiled_inline
def exponential(bits: np.uint64) -> float:
    """Return an exponential variate of mean 1."""
    return -math.log(1.0 - np.float64(bits >> _11) * _TO_UNIT)


def key_of(seed: int, stream: int) -> np.uint64:
    """Return the key of one stream of one seed.

    >>> key_of(1, 2) == key_of(1, 2), key_of(1, 2) == key_of(2, 1)
    (True, False)
    """
    words = np.random.SeedSequence([seed, stream]).generate_state(1, np.uint64)
    return np.uint64(words[0])
