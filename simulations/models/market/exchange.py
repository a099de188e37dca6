"""A market of one resource class, second by second: jobs, stale quotes, offers, our price rule.

Providers have slots, costs and a base price; each makes one step of the price rule at
the end of each of its windows, from its own load, and says its price and whether a slot is free.
Requesters come at random, each with a value per second of work and a length; each sees the
quotes as they were some seconds ago, asks up to `ask_max` providers drawn from those within
5 % of the cheapest (then the next cheapest), gets live offers from those with a free slot,
and takes the cheapest (or one drawn among the near-cheapest) at or below its value. When
nobody has room it tries again after 1, 3, 7, 15, 31 ... seconds until its patience ends, and
then draws from all that are free.

Prices are nanotons for one slot-second. Left out: speed and reliability in the score (all
alike), failures, the fees of channels, several classes. A node asks again at once and at
most `attempts_max` times; with a patience of 3 s (three tries) the figures are much the same.

Sources: the rules are adr/0008 and `cocoon.market` (`price`, `match`, `desk`); the form,
an agent-based market with stale signals, is that of Mitzenmacher, How useful is old
information? (IEEE TPDS 11(1), 2000), for herding, and Gode and Sunder (1993) for efficiency.
"""

from dataclasses import dataclass, field

import numpy as np

from cocoon.market.price import PPM
from simulations.models.compiled import Bytes, Floats, Int64s
from simulations.models.draws import key_of
from simulations.models.market.clearing import optimum_by_minute
from simulations.models.market.trading import (
    COST_NANOTON,
    VALUE_BINS,
    WAITING_MAX,
    Book,
    Counters,
    Demand,
    Rules,
    Shop,
    Work,
    trade,
)

SLOTS = 2
ASK_MAX = 16
PAIRS_MAX = 1 << 30
"""Requesters times providers: a byte each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What providers set: the defaults of `cocoon.market.quotes.PriceTerms`."""

    start_level_ppm: int = PPM
    floor_ppm: int = 500_000
    cap_ppm: int = 4 * PPM
    elasticity_ppm: int = 50_000
    step_max_ppm: int = 20_000
    window_s: int = 60
    discount_max_ppm: int = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """A scenario.

    Attributes:
        providers: how many, with `slots` each.
        cost_sigma: spread of the logarithm of costs; the base price is twice the cost,
            so that the floor (half the base) is the cost.
        load: slot-seconds that requesters want, per slot and second, before any price.
        value_median, value_sigma: log-normal value of a slot-second, in median costs.
        job_s: mean length of a job (exponential).
        patience_s: how long a requester keeps trying.
        delay_s: quotes are up to this old; each requester draws its own age.
        herd: share of requesters that ask only the cheapest provider in sight.
        haggle_below_ppm: requesters counter above this share of their value; PPM: never.
        widens: as `cocoon.market.match` does (adr/0013): who was refused asks, at later tries,
            any providers with a free slot at a price that it accepts, not the cheapest.
        shock_at_s, shock_factor, lost: at that moment demand is multiplied and that
            share of providers vanishes.
        colluding: so many providers (the first ones) belong to one manipulator.
        pretend_level_ppm: it says it is busy, or idle, such that its level goes to this;
            0: honest.
        wash_slots: slots of each of its providers that it fills with jobs to itself.
        measured_from_s: profits, and what a war costs, count from then on.
        wage_war: its jobs per second at other providers, to fill them.
        requesters: how many share all jobs, one at a time each; 0: each job has its own.
        opening_s: how long a slot is held at the first job of a requester with a provider, while
            their channel opens; only with *requesters*.
        dealing_ms: how long offers keep a slot for each job, those included that are not taken.
        asks_full: where fewer than `ask_max` have a free slot, those that had none a moment ago
            are asked, too, as `cocoon.market.match` does.
    """

    providers: int = 1_000
    slots: int = SLOTS
    terms: Terms = field(default_factory=Terms)
    cost_sigma: float = 0.25
    load: float = 0.7
    value_median: float = 4.0
    value_sigma: float = 0.6
    job_s: float = 60.0
    patience_s: int = 31
    ask_max: int = 4
    near_best_ppm: int = 50_000
    delay_s: int = 2
    herd: float = 0.0
    haggle_below_ppm: int = PPM
    widens: bool = True
    shock_at_s: int = 0
    shock_factor: float = 1.0
    lost: float = 0.0
    colluding: int = 0
    pretend_level_ppm: int = 0
    wash_slots: int = 0
    wage_war: float = 0.0
    measured_from_s: int = 0
    requesters: int = 0
    opening_s: int = 0
    dealing_ms: int = 0
    asks_full: bool = False
    duration_s: int = 10_800

    def __post_init__(self) -> None:
        """Refuse markets that cannot be."""
        if not 1 <= self.providers <= 10**7 or not 1 <= self.slots <= 64:
            raise ValueError("1 to 10^7 providers with 1 to 64 slots")
        if not 1 <= self.delay_s <= 600 or not 1 <= self.ask_max <= ASK_MAX:
            raise ValueError(f"delay_s 1 to 600, ask_max 1 to {ASK_MAX}")
        if self.colluding > self.providers or not 0 <= self.wash_slots <= self.slots:
            raise ValueError("more colluding providers or washed slots than there are")
        if not 0 <= self.dealing_ms <= 1000:
            raise ValueError("dealing_ms 0 to 1000")
        if not 0 <= self.requesters * self.providers * (self.opening_s > 0) <= PAIRS_MAX:
            raise ValueError(f"at most {PAIRS_MAX} pairs whose channels are opened")


@dataclass(frozen=True, slots=True, eq=False)
class Session:
    """What happened, by minute (arrays of one length) and by provider.

    Attributes:
        price: mean nanotons paid per slot-second, 0 in a minute without trade.
        level: mean level of the providers that are there, as a share of base.
        wanted_s, served_s, paid: slot-seconds asked for and sold, and nanotons paid.
        busy: share of slots that were busy.
        welfare: value less cost of what was sold, in nanotons.
        optimum: the most that welfare could have been (see `clearing`).
        profit: float64 (providers,) nanotons, price less cost, since `measured_from_s`.
        bought: what requesters gained: value less price, in nanotons, by minute.
        refused: requests to providers that turned out to be full.
        requests: requests in all.
        lost_jobs: requesters that gave up with a value above the cheapest price in sight.
        war_cost: what the manipulator paid others for slots (`wage_war`), since `measured_from_s`.
    """

    price: Floats
    level: Floats
    wanted_s: Floats
    served_s: Floats
    paid: Floats
    busy: Floats
    welfare: Floats
    optimum: Floats
    profit: Floats
    bought: Floats
    refused: int
    requests: int
    lost_jobs: int
    war_cost: float


def provider_costs(market: Market, seed: int) -> Int64s:
    """Return each provider's cost of a slot-second, in nanotons."""
    rng = np.random.default_rng([seed, 0xC057])
    costs = COST_NANOTON * np.exp(market.cost_sigma * rng.standard_normal(market.providers))
    return np.asarray(np.ceil(costs), np.int64)


def _survivors(market: Market, seed: int) -> Bytes:
    """Return 1 for providers that stay, 0 for those lost in the shock (never the manipulator's)."""
    rng = np.random.default_rng([seed, 0x1057])
    stays = np.ones(market.providers, np.int8)
    others = np.arange(market.colluding, market.providers)
    gone = rng.choice(others, int(market.lost * others.size), replace=False)
    stays[gone] = 0
    return stays


def run(market: Market, seed: int) -> Session:
    """Run the market; the same seed gives the same providers and requesters in any variant."""
    minutes = -(-market.duration_s // 60)
    costs, stays = provider_costs(market, seed), _survivors(market, seed)
    terms = market.terms
    shop = Shop(
        costs,
        costs * 2,
        np.full(market.providers, terms.start_level_ppm, np.int64),
        np.zeros(market.providers, np.int64),
        np.zeros((market.providers, 3), np.int64),
        stays,
        np.zeros(market.providers, np.float64),
    )
    rate = market.load * market.providers * market.slots / market.job_s
    demand = Demand(
        rate,
        np.log(market.value_median * COST_NANOTON),
        market.value_sigma,
        market.job_s,
        market.patience_s,
        market.herd,
        market.haggle_below_ppm,
        market.shock_at_s,
        market.shock_factor,
        market.wage_war,
        market.widens,
        market.measured_from_s,
        market.requesters,
        market.opening_s,
        market.dealing_ms,
        market.asks_full,
        key_of(seed, 0xB0B),
    )
    depth = market.delay_s + 1
    book = Book(
        np.zeros((depth, market.providers), np.int64),
        np.zeros((depth, market.providers), np.int32),
        np.zeros((depth, 5), np.int64),
        np.full(market.duration_s + 1, -1, np.int32),
        np.empty(ASK_MAX, np.int64),
    )
    counters = Counters(np.zeros((minutes, 8)), np.zeros((minutes, VALUE_BINS)), np.zeros(4))
    trade(shop, demand, book, counters, _rules(market), _work(market))
    return _session(market, shop, counters)


def _rules(market: Market) -> Rules:
    terms = market.terms
    return Rules(
        market.slots,
        market.duration_s,
        market.ask_max,
        market.near_best_ppm,
        market.colluding,
        market.pretend_level_ppm,
        market.wash_slots,
        terms.floor_ppm,
        terms.cap_ppm,
        terms.elasticity_ppm,
        terms.step_max_ppm,
        terms.window_s,
        terms.discount_max_ppm,
    )


def _work(market: Market) -> Work:
    room = market.providers * market.slots * 2 + 16
    return Work(
        np.empty(room, np.int32),
        np.empty(room, np.int32),
        np.zeros(1, np.int64),
        np.empty((WAITING_MAX, 2), np.int64),
        np.zeros(max(1, market.requesters), np.int64),
        np.zeros(max(1, market.requesters * market.providers * (market.opening_s > 0)), np.int8),
    )


def _session(market: Market, shop: Shop, counters: Counters) -> Session:
    minutes = counters.minutes
    paid, served_s = minutes[:, 1], minutes[:, 0]
    before = optimum_by_minute(counters.wanted, shop.cost, market.slots)
    optimum = before
    if market.shock_at_s and market.lost:
        after = optimum_by_minute(counters.wanted, shop.cost[shop.stays > 0], market.slots)
        optimum = np.where(np.arange(minutes.shape[0]) * 60 >= market.shock_at_s, after, before)
    return Session(
        price=np.divide(paid, served_s, out=np.zeros_like(paid), where=served_s > 0),
        level=minutes[:, 2] / PPM,
        wanted_s=counters.wanted.sum(axis=1),
        served_s=served_s,
        paid=paid,
        busy=minutes[:, 3],
        welfare=minutes[:, 4],
        optimum=optimum,
        profit=shop.profit,
        bought=minutes[:, 5],
        refused=int(counters.totals[1]),
        requests=int(counters.totals[0]),
        lost_jobs=int(counters.totals[2]),
        war_cost=float(counters.totals[3]),
    )
