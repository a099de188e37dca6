"""EIP-1559's base fee as a map: the yardstick for how a price rule can misbehave.

The base fee moves by `d` times the relative distance of the block from its target:
b' = b * (1 + d * (g(b) - 1)), with g(b) the demand for gas at b, at most twice the target.
With valuations uniform on [v0, v0 + w] and a load of lambda targets,
g(b) = lambda * (1 - (b - v0) / w).

The fixed point b* = v0 + w * (1 - 1 / lambda) is stable iff the map's slope there is above
-1: d < 2 * w / (lambda * b*). Above that, orbits are periodic and then chaotic.

Sources: Leonardos, Monnot, Reijsbergen, Skoulakis, Piliouras, Dynamical analysis of the
EIP-1559 Ethereum fee market (AFT 2021, arXiv 2102.10567); Optimality despite chaos in fee
markets (FC 2023, arXiv 2212.07175), for the bound on the mean block.
"""

import math
from dataclasses import dataclass

import numpy as np

from simulations.models.compiled import Floats, compiled

BLOCK_MAX = 2.0


@dataclass(frozen=True, slots=True)
class FeeMarket:
    """Demand: `load` targets of gas, valuations uniform on [low, low + width]."""

    load: float
    low: float
    width: float

    @property
    def fixed_point(self) -> float:
        """The fee at which a block is exactly at its target."""
        return self.low + self.width * (1 - 1 / self.load)

    @property
    def step_critical(self) -> float:
        """The largest step size for which the fixed point is stable."""
        return 2 * self.width / (self.load * self.fixed_point)


@compiled
def _orbit(
    load: float, low: float, width: float, step: float, fees: Floats, blocks: Floats
) -> float:
    fee, growth = low + 0.37 * width, 0.0
    for turn in range(fees.size):
        wanted = load * (1.0 - min(max((fee - low) / width, 0.0), 1.0))
        block = min(wanted, BLOCK_MAX)
        fees[turn], blocks[turn] = fee, block
        bends = wanted < BLOCK_MAX and low < fee < low + width
        slope = 1.0 + step * (block - 1.0) - (fee * step * load / width if bends else 0.0)
        growth += math.log(max(abs(slope), 1e-300))
        fee *= 1.0 + step * (block - 1.0)
    return growth / fees.size


@dataclass(frozen=True, slots=True, eq=False)
class Orbit:
    """Fees and blocks (as shares of the target) of each turn, and the Lyapunov exponent."""

    fees: Floats
    blocks: Floats
    lyapunov: float


def orbit(market: FeeMarket, step: float, turns: int, dropped: int = 1000) -> Orbit:
    """Follow the fee for *turns* blocks after *dropped* that are forgotten."""
    fees, blocks = np.zeros(turns + dropped), np.zeros(turns + dropped)
    lyapunov = _orbit(market.load, market.low, market.width, step, fees, blocks)
    return Orbit(fees[dropped:], blocks[dropped:], lyapunov)


def mean_block_bound(step: float) -> float:
    """Return the bound on the long-run mean block, as a share of the target.

    The fee stays bounded, so its mean logarithmic movement is 0; the concave log(1 + d x)
    lies above its chord on [-1, 1], which bounds the mean of x.
    """
    down, up = -math.log(1 - step), math.log(1 + step)
    return 2 * down / (down + up)
