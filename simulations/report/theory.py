"""What theory says about Kademlia's hops, computed without a simulator.

In the style of Stutzbach and Rejaie (INFOCOM 2006) and Roos et al. (arXiv 1307.7000): a Markov
chain on how many nodes are left in the target's subtree. The best of k contacts, drawn
uniformly from a bucket, shares j more bits with probability (1 - 2^-(j+1))^k - (1 - 2^-j)^k.
"""

import functools
import math

_PER_OCTAVE = 16
_DEPTH = 60


def greedy_hops(nodes: int, k: int) -> float:
    """Return the expected hops of a greedy lookup with *k* contacts in each bucket."""

    @functools.cache
    def left(place: int) -> float:
        size = 2 ** (place / _PER_OCTAVE)
        if size <= k:
            return 1.0  # the bucket is complete: the next hop is the answer
        hops = 1.0
        for bits in range(_DEPTH):
            chance = (1 - 2.0 ** -(bits + 1)) ** k - (1 - 2.0**-bits) ** k
            rest = size / 2 ** (bits + 1)
            if rest >= 1:
                hops += chance * left(round(_PER_OCTAVE * math.log2(rest)))
            elif rest >= 0.5:
                hops += chance * left(0) * (1 - math.exp(-rest))
        return hops

    return sum(
        2.0 ** -(shared + 1) * left(round(_PER_OCTAVE * math.log2(nodes / 2 ** (shared + 1))))
        for shared in range(_DEPTH)
        if nodes / 2 ** (shared + 1) >= 1
    )
