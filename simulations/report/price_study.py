"""What the price rule does under stress, measured on the market model: shocks and manipulators."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np

from simulations.models.compiled import Floats
from simulations.models.market.exchange import Market, Session
from simulations.report.sessions import Sessions, Wanted
from simulations.sweep.statistics import Estimate, estimate, ratio

SHOCK_AT_S: Final = 2_400
SHOCKED_S: Final = 9_600
SETTLED_MIN: Final = 30
"""The last minutes of a run stand for where it settled."""
WITHIN: Final = 0.05
"""Converged: from then on the price stays this close to where it settled."""
SMOOTHED_MIN: Final = 5


class Seeds(NamedTuple):
    """How many seeds at one size: of each scene and of the cartel, and of the small manipulator.

    The small one gets more, for the profit of one provider among a hundred is noisy.
    """

    scenes: int
    small: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How large a study is.

    Attributes:
        seeds: at which numbers of providers everything is run.
        tiny: seeds by number of providers at which only one manipulator is tried.
        shared: the number of providers at which manipulators of other sizes are tried.
        shares: those sizes, as shares of the providers, with as many seeds as scenes there.
    """

    seeds: dict[int, Seeds]
    tiny: dict[int, int]
    shared: int
    shares: tuple[float, ...]


FULL: Final = Plan(
    seeds={
        10: Seeds(64, 256),
        100: Seeds(32, 512),
        1_000: Seeds(6, 24),
        10_000: Seeds(3, 4),
    },
    tiny={2: 256, 3: 128, 5: 128},
    shared=100,
    shares=(0.05, 0.1, 0.2, 0.5),
)
QUICK: Final = Plan(
    seeds={10: Seeds(3, 6), 50: Seeds(2, 4)}, tiny={2: 6}, shared=10, shares=(0.2, 0.5)
)

_BASE: Final = Market(duration_s=SHOCKED_S, measured_from_s=SHOCKED_S // 2)
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
WAR: Final = "buy up others' slots, a fifth as many as it has"
_WAR_SHARE: Final = 0.2


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


def market_of(scene: str, providers: int) -> Market:
    """Return the market of a scene at one size."""
    market = replace(SCENES[scene], providers=providers)
    return replace(market, colluding=cartel_of(providers)) if scene == WASHING else market


def shock(scene: str, providers: int, seeds: int, sessions: Sessions) -> Shock:
    """Run a scene at one size."""
    market = market_of(scene, providers)
    sessions.make(Wanted(market, seed) for seed in range(1, seeds + 1))
    found = [sessions.get(market, seed) for seed in range(1, seeds + 1)]
    shapes = [shape_of(session, market.shock_at_s // 60) for session in found]
    figures = {
        name: estimate([getattr(shape, name) for shape in shapes])
        for name in Shape.__dataclass_fields__
    }
    return Shock(scene, providers, figures, smoothed(found[0].price), found[0].busy)


@dataclass(frozen=True, slots=True)
class Manipulation:
    """What a strategy gains, against the same members being honest in the same runs.

    Attributes:
        providers, members: of the network, and of the manipulator.
        strategy: in words.
        level: that it holds, as a share of the honest level; 0 for wash trades and the war.
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


def small_of(providers: int) -> int:
    """Return the size of the small manipulator: one, or one in a hundred."""
    return max(1, providers // 100)


def cartel_of(providers: int) -> int:
    """Return the size of the cartel: three in ten."""
    return max(1, providers * 3 // 10)


def strategies() -> dict[str, float]:
    """Return the strategies with the level that each holds; 0 for those that hold none."""
    return {f"hold {level:g} x the level": level for level in LEVELS} | {WASH: 0.0, WAR: 0.0}


def manipulations(
    providers: int, members: int, seeds: int, sessions: Sessions, names: Sequence[str] = ()
) -> list[Manipulation]:
    """Try every strategy (or those of *names*) with *members* in one hand."""
    calm = market_of("calm", providers)
    sessions.make(Wanted(calm, seed) for seed in range(1, seeds + 1))
    wanted = {n: level for n, level in strategies().items() if not names or n in names}
    played = {
        (name, seed): _manipulated(calm, members, name, level * _usual(sessions.get(calm, seed)))
        for name, level in wanted.items()
        for seed in range(1, seeds + 1)
    }
    sessions.make(Wanted(market, seed) for (_, seed), market in played.items())
    found = []
    for name, level in wanted.items():
        pairs = [
            (_outcome(sessions.get(played[name, seed], seed), members), _outcome(honest, members))
            for seed, honest in ((seed, sessions.get(calm, seed)) for seed in range(1, seeds + 1))
        ]
        found.append(Manipulation(providers, members, name, level, *_changes(pairs)))
    return found


def _usual(session: Session) -> float:
    """Return the mean level of the second half."""
    return float(session.level[session.level.size // 2 :].mean())


def _manipulated(calm: Market, members: int, name: str, level: float) -> Market:
    """Return the market with a manipulator that holds *level*, washes, or wages war."""
    if name == WASH:
        return replace(calm, colluding=members, wash_slots=1)
    if name == WAR:
        rate = _WAR_SHARE * members * calm.slots / calm.job_s
        return replace(calm, colluding=members, wage_war=rate)
    return replace(calm, colluding=members, pretend_level_ppm=round(level * 1_000_000))


Gains = tuple[float, float, float]
"""Profit of the members, mean price, what buyers gained."""


def _changes(pairs: Sequence[tuple[Gains, Gains]]) -> list[Estimate]:
    """Return by how much each changed from honest to played, as shares."""
    found = []
    for place in range(3):
        now = ratio([played[place] for played, _ in pairs], [honest[place] for _, honest in pairs])
        found.append(Estimate(now.mean - 1, now.half_width, now.runs))
    return found


def _outcome(session: Session, members: int) -> Gains:
    """Return the members' profit, the mean price and what buyers gained, in the second half."""
    half = session.paid.size // 2
    price = session.paid[half:].sum() / session.served_s[half:].sum()
    profit = float(session.profit[:members].sum()) - session.war_cost
    return profit, float(price), float(session.bought[half:].sum())


@dataclass(frozen=True, slots=True)
class Study:
    """Everything that the report says."""

    shocks: list[Shock]
    small: list[Manipulation]
    cartel: list[Manipulation]
    shares: list[Manipulation]

    @property
    def sizes(self) -> list[int]:
        """The sizes at which everything was run."""
        return sorted({one.providers for one in self.shocks})


def study(plan: Plan, sessions: Sessions) -> Study:
    """Run everything."""
    sessions.announce(sum(_costs(plan)))
    found = Study([], [], [], [])
    for providers, seeds in plan.tiny.items():
        found.small.extend(manipulations(providers, 1, seeds, sessions))
    for providers, count in plan.seeds.items():
        found.shocks.extend(shock(scene, providers, count.scenes, sessions) for scene in SCENES)
        found.small.extend(manipulations(providers, small_of(providers), count.small, sessions))
        found.cartel.extend(manipulations(providers, cartel_of(providers), count.scenes, sessions))
    for share in plan.shares:
        members, seeds = round(share * plan.shared), plan.seeds[plan.shared].scenes
        found.shares.extend(manipulations(plan.shared, members, seeds, sessions))
    return found


def _costs(plan: Plan) -> Iterator[float]:
    """Yield what the steps of `study` cost."""
    games = [(providers, seeds) for providers, seeds in plan.tiny.items()]
    games += [(providers, sum(count)) for providers, count in plan.seeds.items()]
    games += [(plan.shared, plan.seeds[plan.shared].scenes) for _ in plan.shares]
    for providers, seeds in games:
        yield seeds * Wanted(market_of("calm", providers), 1).cost * (1 + len(strategies()))
    for providers, count in plan.seeds.items():
        for scene in SCENES:
            yield count.scenes * Wanted(market_of(scene, providers), 1).cost
