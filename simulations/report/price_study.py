"""What the price rule does under stress, measured on the market model: shocks and manipulators."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from simulations.models.compiled import Floats
from simulations.models.market.exchange import Market, Session, run
from simulations.sweep.statistics import Estimate, estimate

SHOCK_AT_S: Final = 2_400
SHOCKED_S: Final = 9_600
SETTLED_MIN: Final = 30
"""The last minutes of a run stand for where it settled."""
WITHIN: Final = 0.05
"""Converged: from then on the price stays this close to where it settled."""
SMOOTHED_MIN: Final = 5

SEEDS: Final = {10: 16, 100: 8, 1_000: 3, 10_000: 1}
_MORE: Final = {10: 6, 100: 4, 1_000: 1, 10_000: 1}
"""So many times more seeds where one provider's profit is what is measured, and noisy."""
QUICK_SEEDS: Final = {10: 3, 50: 2}

_BASE: Final = Market(duration_s=SHOCKED_S)
SCENES: Final[dict[str, Market]] = {
    "calm": _BASE,
    "demand x10": replace(_BASE, shock_at_s=SHOCK_AT_S, shock_factor=10.0),
    "30 % of providers lost": replace(_BASE, shock_at_s=SHOCK_AT_S, lost=0.3),
    "all buyers a herd": replace(_BASE, herd=1.0),
    "quotes up to 60 s old": replace(_BASE, delay_s=60),
    "30 % wash traders": replace(_BASE, wash_slots=1),
    "demand x10, retries stay near": replace(
        _BASE, shock_at_s=SHOCK_AT_S, shock_factor=10.0, widens=False
    ),
}
STAYING: Final = "demand x10, retries stay near"
"""What `cocoon.market.match` did before adr/0013."""
WASHING: Final = "30 % wash traders"
LEVELS: Final = (0.7, 0.85, 0.95, 1.05, 1.2, 1.5, 2.5)
"""Levels that a manipulator holds by pretending, as shares of the level when all are honest."""
WASH: Final = "wash one of two slots"


@dataclass(frozen=True, slots=True)
class Shape:
    """How one run moved.

    Attributes:
        settles_min: minutes from the shock (or the start) until it stays within 5 %.
        overshoot: highest smoothed price over the settled one, less 1 (0 when below).
        oscillation: standard deviation of the smoothed price over its mean, when settled.
        busy_swing: the same of the busy share, minute by minute.
        welfare: value less cost, over the optimum, when settled.
        level: mean level when settled.
        refused: requests that met a full provider, as a share.
    """

    settles_min: float
    overshoot: float
    oscillation: float
    busy_swing: float
    welfare: float
    level: float
    refused: float


def shape_of(session: Session, shock_min: int) -> Shape:
    """Measure one run."""
    price = smoothed(session.price)
    settled = float(price[-SETTLED_MIN:].mean())
    after = price[shock_min:]
    off = np.flatnonzero(np.abs(after / settled - 1) > WITHIN)
    tail = slice(-SETTLED_MIN, None)
    return Shape(
        settles_min=float(off[-1] + 1) if off.size else 0.0,
        overshoot=max(0.0, float(after.max()) / settled - 1),
        oscillation=float(price[tail].std() / settled),
        busy_swing=float(session.busy[tail].std() / session.busy[tail].mean()),
        welfare=float(session.welfare[tail].sum() / session.optimum[tail].sum()),
        level=float(session.level[tail].mean()),
        refused=session.refused / max(1, session.requests),
    )


def smoothed(values: Floats) -> Floats:
    """Return the mean over the last `SMOOTHED_MIN` minutes that had trade."""
    filled = values.copy()
    for minute in range(1, filled.size):
        if filled[minute] == 0:
            filled[minute] = filled[minute - 1]
    padded = np.concatenate([np.repeat(filled[:1], SMOOTHED_MIN - 1), filled])
    window = np.ones(SMOOTHED_MIN) / SMOOTHED_MIN
    return np.asarray(np.convolve(padded, window, mode="valid"), np.float64)


@dataclass(frozen=True, slots=True)
class Shock:
    """One scene at one size, over seeds; `price` is the smoothed price of the first seed."""

    scene: str
    providers: int
    figures: dict[str, Estimate]
    price: Floats
    busy: Floats


def shock(scene: str, providers: int, seeds: int) -> Shock:
    """Run a scene at one size."""
    market = replace(SCENES[scene], providers=providers)
    if scene == WASHING:
        market = replace(market, colluding=max(1, providers * 3 // 10))
    sessions = [run(market, seed) for seed in range(1, seeds + 1)]
    shapes = [shape_of(session, market.shock_at_s // 60) for session in sessions]
    figures = {
        name: estimate([getattr(shape, name) for shape in shapes])
        for name in Shape.__dataclass_fields__
    }
    return Shock(scene, providers, figures, smoothed(sessions[0].price), sessions[0].busy)


@dataclass(frozen=True, slots=True)
class Manipulation:
    """What a strategy gains, against the same members being honest in the same runs.

    Attributes:
        providers, members: of the network, and of the manipulator.
        strategy: in words.
        level: that it holds, as a share of the honest level; 0 for wash trades.
        gain: of its profit, as a share.
        price: change of the mean price that buyers pay, as a share.
        buyers: change of what buyers gain, as a share.
    """

    providers: int
    members: int
    strategy: str
    level: float
    gain: Estimate
    price: Estimate
    buyers: Estimate


def strategies() -> dict[str, float]:
    """Return the strategies with the level that each holds; 0 for wash trades."""
    return {f"hold {level:g} x the level": level for level in LEVELS} | {WASH: 0.0}


def manipulations(
    providers: int, members: int, seeds: int, names: Sequence[str] = ()
) -> list[Manipulation]:
    """Try every strategy (or those of *names*) with *members* in one hand."""
    calm = Market(providers=providers, duration_s=SHOCKED_S, measured_from_s=SHOCKED_S // 2)
    wanted = {n: s for n, s in strategies().items() if not names or n in names}
    outcomes: dict[str, list[tuple[float, float, float]]] = {name: [] for name in wanted}
    for seed in range(1, seeds + 1):
        session = run(calm, seed)
        honest, usual = _outcome(session, members), session.level[session.level.size // 2 :].mean()
        for name, level in wanted.items():
            market = _manipulated(calm, members, level * float(usual))
            played = _outcome(run(market, seed), members)
            ratios = (_ratio(a, b) for a, b in zip(played, honest, strict=True))
            gain, price, buyers = ratios
            outcomes[name].append((gain, price, buyers))
    return [
        Manipulation(
            providers,
            members,
            name,
            wanted[name],
            *(estimate(column) for column in map(list, zip(*rows, strict=True))),
        )
        for name, rows in outcomes.items()
    ]


def _manipulated(calm: Market, members: int, level: float) -> Market:
    """Return the market with a manipulator that holds *level*, or washes when it is 0."""
    if not level:
        return replace(calm, colluding=members, wash_slots=1)
    return replace(calm, colluding=members, pretend_level_ppm=round(level * 1_000_000))


def _outcome(session: Session, members: int) -> tuple[float, float, float]:
    """Return the members' profit, the mean price and what buyers gained, in the second half."""
    half = session.paid.size // 2
    price = session.paid[half:].sum() / session.served_s[half:].sum()
    return float(session.profit[:members].sum()), float(price), float(session.bought[half:].sum())


def _ratio(new: float, old: float) -> float:
    return new / old - 1 if old > 0 else (0.0 if new <= 0 else math.inf)


@dataclass(frozen=True, slots=True)
class Study:
    """Everything that the report says."""

    shocks: list[Shock]
    small: list[Manipulation]
    cartel: list[Manipulation]

    @property
    def sizes(self) -> list[int]:
        """The sizes that were run."""
        return sorted({one.providers for one in self.shocks})


def study(seeds: dict[int, int], progress: Callable[[float], None]) -> Study:
    """Run everything; *seeds* says how many seeds at which number of providers."""
    steps = len(seeds) * (len(SCENES) + 2)
    done = 0

    def step() -> None:
        nonlocal done
        done += 1
        progress(done / steps)

    shocks, small, cartel = [], [], []
    for providers, count in seeds.items():
        for scene in SCENES:
            shocks.append(shock(scene, providers, count))
            step()
        small += manipulations(providers, max(1, providers // 100), count * _MORE.get(providers, 2))
        step()
        cartel += manipulations(providers, max(1, providers * 3 // 10), count)
        step()
    return Study(shocks, small, cartel)
