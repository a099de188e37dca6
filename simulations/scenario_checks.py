"""What no type can say about a scenario: keys that must agree, and units mixed up."""

import difflib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from simulations.scenario import Scenario

_UNITS: Final = {
    "s": "seconds",
    "ms": "milliseconds",
    "us": "microseconds",
    "min": "minutes",
    "h": "hours",
    "mbps": "megabits a second",
    "kbps": "kilobits a second",
    "bytes": "bytes",
    "kb": "kilobytes",
    "mb": "megabytes",
    "ppm": "parts per million",
    "percent": "percent",
    "nanoton": "nanotons",
}
_UNKNOWN: Final = re.compile(r"unknown field `([a-z0-9_]+)`")
_MEANT: Final = re.compile(r"did you mean `([a-z0-9_]+)`")
_QUANTITY: Final = re.compile(r"Expected `(?:float|int)`, got `str`")
_NO_SUCH_WORD: Final = re.compile(r"Invalid enum value '([^']*)'")
_ALLOWED: Final = re.compile(r'"([^"]*)"')
_KEY: Final = re.compile(r": (?:\[[a-z.]+\] )?([a-z0-9_]+): ")

Found = tuple[str, str]
"""The full name of a key, and what is wrong with it."""


def hint(error: str, words: str) -> str:
    """Say that a unit was mixed up, or a word misspelt, when that is what happened; else ""."""
    return _unit_hint(error, words) or _word_hint(error, words)


def _word_hint(error: str, words: str) -> str:
    """Name the word that was probably meant."""
    found = _NO_SUCH_WORD.search(error)
    if not found:
        return ""
    close = difflib.get_close_matches(found[1], _ALLOWED.findall(words), n=1, cutoff=0.5)
    return f'; did you mean "{close[0]}"?' if close else ""


def _unit_hint(error: str, words: str) -> str:
    unknown, meant = _UNKNOWN.search(error), _MEANT.search(words)
    if unknown and meant:
        theirs, ours = (_unit(found[1]) for found in (unknown, meant))
        if ours and theirs != ours:
            return f" (`{meant[1]}` is in {_UNITS[ours]})"
    key = _KEY.search(words)
    unit = _unit(key[1]) if key else ""
    if _QUANTITY.search(error) and unit:
        return f"; write a number of {_UNITS[unit]}, without quotes and unit"
    return ""


def _unit(key: str) -> str:
    last = key.rpartition("_")[2]
    return last if last in _UNITS else ""


def problem(scenario: "Scenario") -> Found | None:
    """Return the first thing that cannot be, or None."""
    return next(_problems(scenario), None)


def _problems(scenario: "Scenario") -> Iterator[Found]:
    yield from _people(scenario)
    yield from _files(scenario)
    yield from _numbers(scenario)


def _people(scenario: "Scenario") -> Iterator[Found]:
    people, bad = scenario.population, scenario.attackers
    if not people.nodes:
        yield "population.providers", "nobody takes part: providers, requesters and others are 0"
    for names, have, of in (
        (("non_payers", "replayers", "vanishers"), people.requesters, "requesters"),
        (("off_rule", "equivocators", "baiters", "over_billers"), people.providers, "providers"),
        (("wash_traders",), people.providers, "providers"),
        (("stalers",), people.nodes, "nodes"),
    ):
        wanted = sum(getattr(bad, name) for name in names)
        if wanted > have:
            most = max(names, key=lambda name: getattr(bad, name))
            yield f"attackers.{most}", f"{' + '.join(names)} is {wanted}, of {have} {of}"


def _files(scenario: "Scenario") -> Iterator[Found]:
    latency, churn, work = scenario.latency, scenario.churn, scenario.workload
    for name, wanted, path, digest in (
        ("latency.matrix", latency.model == "matrix", latency.matrix, latency.matrix_sha256),
        ("latency.places", False, latency.places, latency.places_sha256),
        ("churn.trace", churn.session == "trace", churn.trace, churn.trace_sha256),
        ("workload.trace", work.arrivals == "trace", work.trace, work.trace_sha256),
    ):
        if wanted and not path:
            yield name, "a file is needed: its path, and its hash under the same name + _sha256"
        elif path and not digest:
            yield f"{name}_sha256", "a file is used only under its SHA-256, so that results say it"


def _numbers(scenario: "Scenario") -> Iterator[Found]:
    gossip, prices, dht = scenario.gossip, scenario.prices, scenario.dht
    if not gossip.degree_low <= gossip.degree <= gossip.degree_high:
        yield "gossip.degree", "must be from degree_low to degree_high"
    if prices.floor_ppm > prices.cap_ppm:
        yield "prices.floor_ppm", f"above cap_ppm, which is {prices.cap_ppm}"
    if dht.beta > dht.k:
        yield "dht.beta", f"above k, which is {dht.k}: so many are never looked for"
    if scenario.workload.shock_at_s > scenario.duration_s:
        yield "workload.shock_at_s", f"after the end, which is at {scenario.duration_s} s"
