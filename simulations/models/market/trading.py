"""The kernel of `exchange`: one second of the market after the other."""

import math
from typing import NamedTuple

import numpy as np

from cocoon.market.price import PPM
from simulations.models.compiled import (
    U64,
    Bytes,
    Floats,
    Int32s,
    Int64s,
    compiled_bare,
    compiled_inline,
)
from simulations.models.draws import below, draw, exponential, mixed, unit
from simulations.models.market.price_rule import next_level_ppm, price_at, scaled, utilisation_ppm

_PPM = PPM
WAITING_MAX = 1 << 20
_NO_PRICE = 1 << 62
_FINITE = 1 << 40
"""No price is higher; keeps products within 64 bits."""
_DRAWS_PER_JOB = 8
COST_NANOTON = 20_000
"""Median cost of a slot-second."""
VALUE_BINS = 512
OCTAVE_LOW, OCTAVE_HIGH = -4, 10
"""The histogram of values reaches from 1/16 to 1024 median costs, in bins of equal ratio."""
_BINS_PER_OCTAVE = VALUE_BINS / (OCTAVE_HIGH - OCTAVE_LOW)
_REQUESTS, _REFUSED, _LOST, _WAR = range(4)


class Shop(NamedTuple):
    """Providers: `load` columns are slots running, busy slot-ms of the window, last change."""

    cost: Int64s
    base: Int64s
    level: Int64s
    utilisation: Int64s
    load: Int64s
    stays: Bytes
    profit: Floats


class Demand(NamedTuple):
    """Requesters; `rate` is jobs a second before the shock.

    `requesters` have one job at a time each (0: every job has a requester of its own), and
    open a channel with each provider at their first job there, which takes `opening_s`. Each
    job keeps its slot for `dealing_ms` (below 1000; a second, or none) before it begins.
    With `asks_full` they ask providers that were full, too, when too few were free.
    """

    rate: float
    value_mu: float
    value_sigma: float
    job_s: float
    patience_s: int
    herd: float
    haggle_below_ppm: int
    shock_at_s: int
    shock_factor: float
    war_rate: float
    widens: bool
    measured_from_s: int
    requesters: int
    opening_s: int
    dealing_ms: int
    asks_full: bool
    key: np.uint64


class Book(NamedTuple):
    """Quotes as they were in the last seconds, one row each.

    `price` is negative for who has no free slot, 0 for who is gone; `near` lists the providers near
    the best price, then the next cheapest, then all others with a free slot, then the others;
    `summary` holds the best price and how many are near it, in the first two groups, in the first
    three, and in all.
    `ending` chains the jobs that end in a second, `offered` has room for one round of offers.
    """

    price: Int64s
    near: Int32s
    summary: Int64s
    ending: Int32s
    offered: Int64s


class Rules(NamedTuple):
    """What everybody keeps to, and what the manipulator (the first `colluding`) does."""

    slots: int
    duration_s: int
    ask_max: int
    near_ppm: int
    colluding: int
    pretended: int
    wash_slots: int
    floor: int
    cap: int
    elasticity: int
    step_max: int
    window_s: int
    discount: int


class Work(NamedTuple):
    """Room to work in: running jobs as chained entries, and who waits (number, born).

    `until` is when each requester's job ends, `paired` whether it has a channel with a provider.
    """

    following: Int32s
    worker: Int32s
    spare: Int64s
    queue: Int64s
    until: Int64s
    paired: Bytes


class Counters(NamedTuple):
    """Sums by minute (columns above), wanted slot-seconds by minute and value, totals."""

    minutes: Floats
    wanted: Floats
    totals: Floats


@compiled_inline
def _count_busy(shop: Shop, one: int, now: int) -> None:
    shop.load[one, 1] += shop.load[one, 0] * (now - shop.load[one, 2]) * 1000
    shop.load[one, 2] = now


@compiled_inline
def _claimed(level: int, wanted: int, slot_ms: int) -> int:
    """Return the busy time that moves a level towards the *wanted* one, or holds it."""
    if level < wanted:
        return slot_ms
    if level > wanted + wanted // 100:
        return 0
    return slot_ms // 2


@compiled_inline
def _step(
    shop: Shop,
    one: int,
    now: int,
    slots: int,
    pretended: int,
    floor: int,
    cap: int,
    elasticity: int,
    step_max: int,
    window_s: int,
) -> None:
    """End the window of one provider."""
    _count_busy(shop, one, now)
    slot_ms = slots * window_s * 1000
    busy_ms = max(0, shop.load[one, 1])
    if pretended:
        busy_ms = _claimed(shop.level[one], pretended, slot_ms)
    shop.utilisation[one] = utilisation_ppm(busy_ms, slot_ms)
    shop.level[one] = next_level_ppm(
        shop.level[one], shop.utilisation[one], floor, cap, elasticity, step_max
    )
    shop.load[one, 1] = 0


@compiled_inline
def _is_among(near: Int32s, first: int, last: int, one: int) -> bool:
    found = False
    for place in range(first, last):
        found = found or near[place] == one
    return found


@compiled_bare
def _publish(shop: Shop, book: Book, row: int, slots: int, near_ppm: int, ask_max: int) -> None:
    """Write everybody's quote into one row of the book, and who is near the best."""
    best, price, near = _NO_PRICE, book.price[row], book.near[row]
    for one in range(shop.cost.size):
        price[one] = 0
        if shop.load[one, 0] < slots:
            price[one] = price_at(shop.base[one], shop.level[one])
            best = min(best, price[one])
        elif shop.load[one, 0] == slots:
            price[one] = -price_at(shop.base[one], shop.level[one])
    limit, count = best + scaled(near_ppm, min(best, _FINITE)), 0
    for one in range(shop.cost.size):
        if 0 < price[one] <= limit:
            near[count] = one
            count += 1
    known = count
    while known < min(ask_max, shop.cost.size):
        best_next, who = _NO_PRICE, -1
        for one in range(shop.cost.size):
            if limit < price[one] < best_next and not _is_among(near, count, known, one):
                best_next, who = price[one], one
        if who < 0:
            break
        near[known] = who
        known += 1
    free = known
    for one in range(shop.cost.size):
        if price[one] > limit and not _is_among(near, count, known, one):
            near[free] = one
            free += 1
    in_all = free
    for one in range(shop.cost.size):
        if price[one] < 0 and known < ask_max:
            near[in_all] = one
            in_all += 1
    book.summary[row, 0], book.summary[row, 1] = best, count
    book.summary[row, 2], book.summary[row, 3], book.summary[row, 4] = known, free, in_all


@compiled_inline
def _cheapest(book: Book, row: int) -> int:
    """Return the cheapest provider in a row, or -1."""
    found = -1
    for place in range(book.summary[row, 1]):
        one = book.near[row, place]
        if found < 0 or book.price[row, one] < book.price[row, found]:
            found = one
    return found


@compiled_inline
def _lowest_price(shop: Shop, one: int, discount: int, floor: int) -> int:
    """Return what a provider agrees to when it is countered, as `cocoon.market.desk` does."""
    level = shop.level[one]
    if shop.utilisation[one] < 400_000:
        level = max(-(-level * (_PPM - discount) // _PPM), min(floor, level))
    return price_at(shop.base[one], level)


@compiled_bare
def _ask(
    shop: Shop,
    book: Book,
    counters: Counters,
    row: int,
    value: int,
    herd: bool,
    bits: np.uint64,
    slots: int,
    ask_max: int,
    near_ppm: int,
    wide: bool,
    asks_full: bool,
) -> int:
    """Ask the shortlist (or anybody who is free when *wide*); return who wins, or -1."""
    near, known = book.summary[row, 1], book.summary[row, 2]
    free = book.summary[row, 3]
    full = (book.summary[row, 4] - free) * asks_full
    best_price, offers = _NO_PRICE, 0
    offered = book.offered
    if herd:
        only = _cheapest(book, row)
    for turn in range(1 if herd else min(ask_max, known + full)):
        if herd:
            one = only
        elif turn >= known:
            # Where there is room, those that were full some seconds ago are asked, too.
            one = book.near[row, free + (below(bits, full) + turn) % full]
        elif wide:
            one = book.near[row, below(mixed(bits + U64(turn)), free)]
        elif turn < near:
            # A shuffle would take the near ones in random order; a strided walk from a random
            # start asks different ones, each equally often.
            one = book.near[row, (below(bits, near) + turn * (near // min(ask_max, near))) % near]
        else:
            one = book.near[row, turn]
        if one < 0 or abs(book.price[row, one]) > value + value // 4:
            continue
        counters.totals[_REQUESTS] += 1
        if shop.load[one, 0] >= slots:
            counters.totals[_REFUSED] += 1
            continue
        price = price_at(shop.base[one], shop.level[one])
        if price <= value:
            offered[offers] = one
            offers += 1
            best_price = min(best_price, price)
    limit = best_price + scaled(near_ppm, min(best_price, _FINITE))
    good = 0
    for place in range(offers):
        one = offered[place]
        if price_at(shop.base[one], shop.level[one]) <= limit:
            offered[good] = one
            good += 1
    if good == 0:
        return -1
    return int(offered[below(bits << U64(32), good)])


@compiled_inline
def _value_bin(value: float) -> int:
    place = int((math.log2(value / COST_NANOTON) - OCTAVE_LOW) * _BINS_PER_OCTAVE)
    return min(max(place, 0), VALUE_BINS - 1)


@compiled_inline
def _jobs_this_second(rate: float, bits: np.uint64) -> int:
    """Return a Poisson variate: by inversion when small, by the normal law when large."""
    if rate > 50.0:
        angle = 2.0 * math.pi * unit(bits)
        size = math.sqrt(2.0 * exponential(mixed(bits)))
        return max(0, int(rate + math.sqrt(rate) * size * math.cos(angle) + 0.5))
    left, count = unit(bits), 0
    chance = math.exp(-rate)
    while left > chance and count < 1000:
        left -= chance
        count += 1
        chance *= rate / count
    return count


@compiled_bare
def _lose_providers(shop: Shop, slots: int) -> None:
    for one in range(shop.cost.size):
        if not shop.stays[one]:
            shop.load[one, 0] = slots + 1
            shop.load[one, 1] = 0


@compiled_inline
def _sample(shop: Shop, counters: Counters, minute: int, slots: int, gone: bool) -> None:
    """Add the state of all providers to the minute."""
    level, busy, there = 0.0, 0.0, 0
    for one in range(shop.cost.size):
        if not gone or shop.stays[one]:
            there += 1
            level += shop.level[one]
            busy += min(shop.load[one, 0], slots)
    counters.minutes[minute, 2] = level / max(1, there)
    counters.minutes[minute, 3] = busy / max(1, there * slots)


@compiled_bare
def _begin(shop: Shop, book: Book, rules: Rules, work: Work) -> None:
    """Chain up the spare entries, fill washed slots, publish everybody's first quote."""
    last = work.following.size - 1
    for entry in range(last):
        work.following[entry] = entry + 1
    work.following[last] = -1
    for one in range(rules.colluding):
        shop.load[one, 0] = rules.wash_slots
    for row in range(book.price.shape[0]):
        _publish(shop, book, row, rules.slots, rules.near_ppm, rules.ask_max)


@compiled_bare
def _end_jobs(shop: Shop, book: Book, work: Work, now: int, gone: bool) -> None:
    entry = book.ending[now]
    while entry >= 0:
        one, after = work.worker[entry], work.following[entry]
        if not gone or shop.stays[one]:
            _count_busy(shop, one, now)
            shop.load[one, 0] -= 1
        work.following[entry] = work.spare[0]
        work.spare[0] = entry
        entry = after


@compiled_bare
def _start_job(book: Book, work: Work, one: int, end: int) -> None:
    entry = work.spare[0]
    if end < book.ending.size - 1 and entry >= 0:
        work.spare[0] = work.following[entry]
        work.worker[entry] = one
        work.following[entry] = book.ending[end]
        book.ending[end] = entry


@compiled_bare
def _end_windows(shop: Shop, rules: Rules, now: int, gone: bool) -> None:
    """Let those whose window ends now make their step; windows are spread over time."""
    for one in range(now % rules.window_s, shop.cost.size, rules.window_s):
        if now > 0 and (not gone or shop.stays[one]):
            _step(
                shop,
                one,
                now,
                rules.slots,
                rules.pretended if one < rules.colluding else 0,
                rules.floor,
                rules.cap,
                rules.elasticity,
                rules.step_max,
                rules.window_s,
            )


@compiled_inline
def _wish(demand: Demand, own: np.uint64) -> tuple[int, int, bool]:
    """Return a requester's value of a slot-second, the length of its job, and whether it herds."""
    angle = 2.0 * math.pi * unit(draw(own, 1))
    normal = math.sqrt(2.0 * exponential(draw(own, 0))) * math.cos(angle)
    value = int(math.exp(demand.value_mu + demand.value_sigma * normal))
    length = 1 + int(demand.job_s * exponential(draw(own, 2)))
    return value, length, unit(draw(own, 3)) < demand.herd


@compiled_inline
def _agreed_price(shop: Shop, demand: Demand, rules: Rules, one: int, value: int) -> int:
    """Return the price after the one counter-offer, if the requester makes one."""
    price = price_at(shop.base[one], shop.level[one])
    target = scaled(demand.haggle_below_ppm, value)
    if demand.haggle_below_ppm < _PPM and price > target:
        lowest = _lowest_price(shop, one, rules.discount, rules.floor)
        if target >= lowest:
            price = min(price, max(target, lowest))
    return price


@compiled_inline
def _buyer(demand: Demand, which: int, is_war: bool) -> int:
    """Return whose job it is, -1 when its requester has no other."""
    if demand.requesters == 0 or is_war:
        return -1
    return below(draw(demand.key ^ U64(which + 1), 5), demand.requesters)


@compiled_inline
def _held_s(shop: Shop, demand: Demand, work: Work, buyer: int, one: int, bits: np.uint64) -> int:
    """Return how long a slot is kept for a job before it begins: the deal, and its channel.

    The slot is taken meanwhile, and is not counted as busy.
    """
    held = 1 if unit(bits) * 1000.0 < demand.dealing_ms else 0
    if buyer >= 0 and demand.opening_s and not work.paired[buyer * shop.cost.size + one]:
        work.paired[buyer * shop.cost.size + one] = 1
        held += demand.opening_s
    shop.load[one, 1] -= held * 1000
    return held


@compiled_bare
def _sell(
    shop: Shop,
    demand: Demand,
    counters: Counters,
    one: int,
    price: int,
    value: int,
    length: int,
    now: int,
    is_war: bool,
) -> None:
    """Take a slot and write down who gained what."""
    _count_busy(shop, one, now)
    shop.load[one, 0] += 1
    if now >= demand.measured_from_s:
        shop.profit[one] += (price - shop.cost[one]) * length
        counters.totals[_WAR] += price * length * is_war
    if is_war:
        return
    minute = now // 60
    counters.minutes[minute, 0] += length
    counters.minutes[minute, 1] += price * length
    counters.minutes[minute, 4] += (value - shop.cost[one]) * length
    counters.minutes[minute, 5] += (value - price) * length


@compiled_bare
def _serve(
    shop: Shop,
    demand: Demand,
    book: Book,
    counters: Counters,
    rules: Rules,
    work: Work,
    which: int,
    buyer: int,
    born: int,
    now: int,
    is_war: bool,
) -> bool:
    """Let one requester try; tell whether it will come again."""
    own, depth = mixed(demand.key ^ U64(which + 1)), book.price.shape[0]
    value, length, herd = _wish(demand, own)
    if is_war:
        value = _FINITE
    elif now == born:
        counters.wanted[now // 60, _value_bin(value)] += length
    age = 1 + below(draw(own, 4), depth - 1)
    row = (now - age + depth) % depth
    one = _ask(
        shop,
        book,
        counters,
        row,
        value,
        herd,
        draw(own, _DRAWS_PER_JOB + now - born),
        rules.slots,
        rules.ask_max,
        rules.near_ppm,
        demand.widens and now > born,
        demand.asks_full,
    )
    if one < 0 or (is_war and one < rules.colluding):
        if not is_war and now - born < demand.patience_s:
            return True
        if not is_war and book.summary[row, 0] <= value:
            counters.totals[_LOST] += 1
        return False
    price = _agreed_price(shop, demand, rules, one, value)
    _sell(shop, demand, counters, one, price, value, length, now, is_war)
    end = now + length + _held_s(shop, demand, work, buyer, one, draw(own, 6))
    _start_job(book, work, one, end)
    if buyer >= 0:
        work.until[buyer] = end
    return False


@compiled_bare
def trade(
    shop: Shop, demand: Demand, book: Book, counters: Counters, rules: Rules, work: Work
) -> None:
    """Run the market for as many seconds as *rules* say."""
    depth, queue, waiting, number = book.price.shape[0], work.queue, 0, 0
    _begin(shop, book, rules, work)
    for now in range(rules.duration_s):
        gone = demand.shock_at_s > 0 and now >= demand.shock_at_s
        if demand.shock_at_s > 0 and now == demand.shock_at_s:
            _lose_providers(shop, rules.slots)
        _end_jobs(shop, book, work, now, gone)
        _end_windows(shop, rules, now, gone)
        _publish(shop, book, now % depth, rules.slots, rules.near_ppm, rules.ask_max)
        if now % 60 == 30:
            _sample(shop, counters, now // 60, rules.slots, gone)
        rate = demand.rate * (demand.shock_factor if gone else 1.0)
        fresh = _jobs_this_second(rate, draw(demand.key, 2 * now))
        war = _jobs_this_second(demand.war_rate, draw(demand.key, 2 * now + 1))
        old, waiting = waiting, 0
        for turn in range(old + fresh + war):
            which, born = number, now
            if turn < old:
                which, born = queue[turn, 0], queue[turn, 1]
            else:
                number += 1
            is_war = turn >= old + fresh
            buyer = _buyer(demand, which, is_war)
            if buyer >= 0 and work.until[buyer] > now:
                waits, born = True, now + 1  # behind another job of the same requester
            else:
                # Who waits tries after 1, 3, 7, 15, 31 ... seconds.
                waits = (now - born + 1) & (now - born) != 0
                if not waits:
                    waits = _serve(
                        shop, demand, book, counters, rules, work, which, buyer, born, now, is_war
                    )
                if waits and buyer >= 0:
                    work.until[buyer] = now + 1
            if waits and waiting < queue.shape[0]:
                queue[waiting, 0], queue[waiting, 1] = which, born
                waiting += 1
