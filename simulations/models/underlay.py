"""Where peers are and how long a datagram takes between them; the same arrays feed every engine.

A one-way delay is the path between two sites plus both peers' last miles. The built-in
world is synthetic: sites in three clusters on a sphere, paths along great circles at
the speed of light in fibre with a route inflation of 1.6, log-normal last miles.
Measured matrices come in through `Underlay` itself.

Sources: route inflation and three-continent clustering as in King-style studies
(Gummadi et al., IMW 2002); log-normal last mile after Dischinger et al. (IMC 2007).
"""

from dataclasses import dataclass

import numpy as np

from simulations.models.compiled import Int32s

SITES = 64
FIBRE_KM_PER_MS = 200.0
ROUTE_INFLATION = 1.6
EARTH_RADIUS_KM = 6371.0


@dataclass(frozen=True, slots=True, eq=False)
class Underlay:
    """A population on a map.

    Attributes:
        site: which site each peer is at, int32 (peers,).
        last_mile_us: one-way delay of each peer's access line, int32 (peers,).
        path_us: one-way delay between sites, int32 (sites, sites).
    """

    site: Int32s
    last_mile_us: Int32s
    path_us: Int32s

    def __post_init__(self) -> None:
        """Refuse arrays that do not belong together."""
        sites = self.path_us.shape[0]
        if self.path_us.shape != (sites, sites) or self.site.shape != self.last_mile_us.shape:
            raise ValueError("site and last_mile_us are per peer, path_us is sites x sites")
        if self.site.size and not 0 <= self.site.min() <= self.site.max() < sites:
            raise ValueError(f"a peer is at a site outside 0 to {sites - 1}")
        if self.path_us.min() < 0 or self.last_mile_us.min(initial=0) < 0:
            raise ValueError("a delay is negative")

    @property
    def delay_us_min(self) -> int:
        """A lower bound of every one-way delay."""
        return int(self.path_us.min()) + 2 * int(self.last_mile_us.min())


def synthetic_sites(seed: int, sites: int = SITES) -> Int32s:
    """Return one-way delays in microseconds between *sites* in three clusters on a sphere."""
    rng = np.random.default_rng([seed, 0x517E])
    height = rng.uniform(-0.6, 0.9, sites)
    longitude = rng.choice([-1.6, 0.15, 1.9], sites) + rng.normal(0, 0.35, sites)
    across = np.sqrt(1 - height**2)
    points = np.stack([across * np.cos(longitude), across * np.sin(longitude), height], axis=1)
    angle = np.arccos(np.clip(points @ points.T, -1, 1))
    path_us = angle * EARTH_RADIUS_KM / FIBRE_KM_PER_MS * ROUTE_INFLATION * 1000 + 500
    np.fill_diagonal(path_us, 1000)
    return np.asarray(np.maximum(path_us, path_us.T), np.int32)


def synthetic(peers: int, seed: int) -> Underlay:
    """Return the built-in world with *peers* in it."""
    rng = np.random.default_rng([seed, 0x1A57])
    site = rng.integers(0, SITES, peers, dtype=np.int32)
    last_mile_us = rng.standard_normal(peers, dtype=np.float32)
    last_mile_us *= np.float32(0.6)
    np.exp(last_mile_us, out=last_mile_us)
    last_mile_us *= np.float32(4000)
    np.clip(last_mile_us, 500, 60_000, out=last_mile_us)
    return Underlay(site, last_mile_us.astype(np.int32), synthetic_sites(seed))


def constant(peers: int, delay_us: int) -> Underlay:
    """Return a population with the same delay between any two peers."""
    return Underlay(
        np.zeros(peers, np.int32),
        np.zeros(peers, np.int32),
        np.full((1, 1), delay_us, np.int32),
    )


def from_matrix(
    path_us: Int32s, weights: Int32s, peers: int, last_mile_us: int, seed: int
) -> Underlay:
    """Place *peers* at measured sites in proportion to *weights*."""
    rng = np.random.default_rng([seed, 0x3A7])
    share = weights / weights.sum()
    site = rng.choice(share.size, peers, p=share).astype(np.int32)
    return Underlay(site, np.full(peers, last_mile_us, np.int32), path_us)
