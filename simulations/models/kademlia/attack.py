"""Sybils around one key: does a lookup still find an honest holder of the record?

The attacker places identities that share more bits with the key than any honest node, so
that they are its k closest (an eclipse of the record), and each answers with the other
attackers only. Honest tables know attackers as they know anybody.

Source of the attack: Sridhar et al., Content censorship in the InterPlanetary File System
(NDSS 2024), and Prünster, Marsalek, Zefferer, Total eclipse of the heart (USENIX Sec. 2022).
"""

from dataclasses import dataclass

import numpy as np

from simulations.models.compiled import UInt64s
from simulations.models.kademlia.lookup import ALIVE, ATTACKER, Parameters, look_up
from simulations.models.kademlia.tables import build, random_ids
from simulations.models.underlay import synthetic


@dataclass(frozen=True, slots=True)
class Eclipse:
    """What became of lookups for the attacked key.

    Attributes:
        honest_found: share of lookups whose k closest include one of the k closest honest
            nodes (who hold the record).
        attackers_found: mean share of attackers among the k closest found.
    """

    honest_found: float
    attackers_found: float


def eclipse(
    nodes: int,
    sybils: int,
    extra_bits: int,
    lookups: int,
    seed: int,
    *,
    k: int = 20,
) -> Eclipse:
    """Place *sybils* that share *extra_bits* more bits with one key than log2(nodes), look it up.

    More bits cost the attacker twice the key generations each.
    """
    rng = np.random.default_rng([seed, 0xEC])
    honest = random_ids(nodes, seed)
    key = rng.integers(0, 2**64, 1, dtype=np.uint64)
    bits = min(60, (nodes - 1).bit_length() + extra_bits)
    low = rng.integers(0, 2 ** (64 - bits), sybils, dtype=np.uint64)
    near = (key >> np.uint64(64 - bits) << np.uint64(64 - bits)) | low
    ids = np.unique(np.concatenate([honest, near]))
    kinds = np.where(np.isin(ids, near), ATTACKER, ALIVE).astype(np.int8)
    tables, underlay = build(ids, k, seed), synthetic(ids.size, seed)
    sources = rng.choice(np.flatnonzero(kinds == ALIVE), lookups)
    found = look_up(tables, underlay, sources, np.repeat(key, lookups), Parameters(), kinds)
    holders = _closest_honest(honest, key[0], k)
    answers = found.closest
    is_holder = np.isin(ids[np.maximum(answers, 0)], holders) & (answers >= 0)
    is_attacker = (kinds[np.maximum(answers, 0)] == ATTACKER) & (answers >= 0)
    shares = is_attacker.sum(axis=1) / np.maximum(1, (answers >= 0).sum(axis=1))
    return Eclipse(float(is_holder.any(axis=1).mean()), float(shares.mean()))


def _closest_honest(honest: UInt64s, key: np.uint64, k: int) -> UInt64s:
    """Return the identifiers of the k honest nodes closest to *key*."""
    return honest[np.argsort(honest ^ key)[:k]]
