"""How long messages are under way between nodes: constant, log-normal, geographic, measured.

All results are whole microseconds, one way. The geographic model places nodes in cities and
takes the great-circle distance at two thirds of the speed of light, times a detour, plus a
last mile of each node. The cities that we ship are invented (`data/places.csv`): they have
the shape of the world (continents, oceans between them), and nobody's licence.
"""

import csv
import hashlib
import io
import math
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Final

from cocoon.errors import ConfigError
from simulations.exact.chance import Chance
from simulations.scenario import Latency

EARTH_RADIUS_KM: Final = 6371.0
KM_PER_MS: Final = 200.0
"""Light in glass: two thirds of 300 km a millisecond."""
DETOUR: Final = 1.6
"""Cables are this much longer than the great circle."""
LAST_MILE_MS: Final = 2.0
FILE_BYTES_MAX: Final = 256 << 20
PLACES_MAX: Final = 20_000
_PI: Final = 3.141592653589793


class LatencyModel:
    """Delays between nodes; subclasses compute them."""

    def one_way_us(self, source: int, to: int) -> int:
        """Return the delay from node *source* to node *to*, in microseconds, at least 1."""
        raise NotImplementedError


class ConstantLatency(LatencyModel):
    """The same for every pair."""

    def __init__(self, delay_us: int) -> None:
        self._delay_us = max(1, delay_us)

    def one_way_us(self, source: int, to: int) -> int:
        """Return the delay."""
        return self._delay_us


class PairLatency(LatencyModel):
    """Log-normal over pairs, the same in both directions; drawn when first asked for."""

    def __init__(self, seed: int, median_s: float, sigma: float) -> None:
        self._seed, self._median_s, self._sigma = seed, median_s, sigma
        self._drawn: dict[tuple[int, int], int] = {}

    def one_way_us(self, source: int, to: int) -> int:
        """Return the delay."""
        pair = (source, to) if source < to else (to, source)
        known = self._drawn.get(pair)
        if known is None:
            chance = Chance(self._seed, "latency", *pair)
            known = max(1, int(chance.lognormal(self._median_s, self._sigma) * 1e6))
            self._drawn[pair] = known
        return known


class PlacedLatency(LatencyModel):
    """Nodes at places, and delays between places, plus what each node adds."""

    def __init__(self, matrix_us: list[list[int]], place: list[int], extra_us: list[int]) -> None:
        self._matrix_us, self._place, self._extra_us = matrix_us, place, extra_us

    def one_way_us(self, source: int, to: int) -> int:
        """Return the delay."""
        between = self._matrix_us[self._place[source]][self._place[to]]
        return between + self._extra_us[source] + self._extra_us[to] + 1


def latency_model(latency: Latency, *, nodes: int, seed: int) -> LatencyModel:
    """Return the model that a scenario asks for.

    Raises:
        ConfigError: a file is missing, is another one than its hash says, or makes no sense.
    """
    match latency.model:
        case "constant":
            return ConstantLatency(int(latency.constant_s * 1e6))
        case "lognormal":
            return PairLatency(seed, latency.median_s, latency.sigma)
        case "geographic":
            places = read_places(latency)
            weights = [weight for _, _, weight in places]
            matrix_us = distances_us([(lat, lon) for lat, lon, _ in places])
        case "matrix":
            matrix_us = read_matrix(Path(latency.matrix), latency.matrix_sha256)
            weights = [1.0] * len(matrix_us)
    place = _place_nodes(nodes, weights, seed)
    last_mile = 0.0 if latency.model == "matrix" else LAST_MILE_MS
    extra_us = [
        int(Chance(seed, "last mile", node).lognormal(last_mile, 0.5) * 1000) if last_mile else 0
        for node in range(nodes)
    ]
    return PlacedLatency(matrix_us, place, extra_us)


def _place_nodes(nodes: int, weights: list[float], seed: int) -> list[int]:
    chance, total = Chance(seed, "places"), sum(weights)
    placed = []
    for _ in range(nodes):
        left, at = chance.share() * total, 0
        while at < len(weights) - 1 and left >= weights[at]:
            left -= weights[at]
            at += 1
        placed.append(at)
    return placed


# --- places ------------------------------------------------------------------------------


def read_places(latency: Latency) -> list[tuple[float, float, float]]:
    """Return (latitude, longitude, weight) of every place of the scenario.

    Raises:
        ConfigError: see `latency_model`.
    """
    if latency.places:
        text = checked_text(Path(latency.places), latency.places_sha256)
    else:
        text = files("simulations").joinpath("data/places.csv").read_text("utf-8")
    rows = csv.DictReader(line for line in io.StringIO(text) if not line.startswith("#"))
    try:
        places = [
            (float(row["latitude"]), float(row["longitude"]), float(row["weight"])) for row in rows
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"{latency.places}: not a CSV of name,latitude,longitude,weight: {error!r}"
        ) from error
    good = [abs(lat) <= 90 and abs(lon) <= 180 and weight > 0 for lat, lon, weight in places]
    if not places or len(places) > PLACES_MAX or not all(good):
        raise ConfigError(f"{latency.places}: 1 to {PLACES_MAX} places on Earth, with weights > 0")
    return places


def distances_us(places: Iterable[tuple[float, float]]) -> list[list[int]]:
    """Return the one-way delay between places, in microseconds."""
    points = [_on_sphere(latitude, longitude) for latitude, longitude in places]
    return [[_delay_us(one, other) for other in points] for one in points]


def _on_sphere(latitude: float, longitude: float) -> tuple[float, float, float]:
    lat, lon = latitude * _PI / 180.0, longitude * _PI / 180.0
    return _cos(lat) * _cos(lon), _cos(lat) * _sin(lon), _sin(lat)


def _delay_us(one: tuple[float, float, float], other: tuple[float, float, float]) -> int:
    square = sum((a - b) * (a - b) for a, b in zip(one, other, strict=True))
    chord = math.sqrt(square)
    angle = 2.0 * _arcsine(min(1.0, chord / 2.0))
    return int(EARTH_RADIUS_KM * angle * DETOUR / KM_PER_MS * 1000.0)


def _sin(x: float) -> float:
    """Return the sine for |x| <= pi, from + - * / only (the same on every machine)."""
    square, total = x * x, 1.0
    for term in range(13, 0, -1):
        total = 1.0 - square / ((2 * term) * (2 * term + 1)) * total
    return x * total


def _cos(x: float) -> float:
    return _sin(_PI / 2.0 - x) if x >= 0 else _sin(_PI / 2.0 + x)


def _arcsine(x: float) -> float:
    """Return the arcsine for 0 <= x <= 1 (Newton's method on `_sin`)."""
    if x > 0.7071:
        return _PI / 2.0 - _arcsine(math.sqrt((1.0 - x) * (1.0 + x)))
    guess = x
    for _ in range(6):
        guess -= (_sin(guess) - x) / _cos(guess)
    return guess


# --- the user's own files -----------------------------------------------------------------


def checked_text(path: Path, sha256: str) -> str:
    """Return the text of a file whose SHA-256 is known.

    Raises:
        ConfigError: it cannot be read, is too large, or is another file.
    """
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigError(f"{path}: {error}") from error
    if len(data) > FILE_BYTES_MAX:
        raise ConfigError(f"{path}: more than {FILE_BYTES_MAX} bytes")
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise ConfigError(f"{path}: its SHA-256 is {found}, the scenario says {sha256}")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not text: {error}") from error


def read_matrix(path: Path, sha256: str) -> list[list[int]]:
    """Return a square matrix of one-way delays in microseconds from a CSV of milliseconds.

    Raises:
        ConfigError: it is not one.
    """
    lines = [line for line in checked_text(path, sha256).splitlines() if line.strip()]
    try:
        matrix = [[int(float(cell) * 1000.0) for cell in line.split(",")] for line in lines]
    except (ValueError, OverflowError) as error:
        raise ConfigError(f"{path}: not a CSV of milliseconds: {error}") from error
    if not matrix or any(len(row) != len(matrix) for row in matrix):
        raise ConfigError(f"{path}: {len(matrix)} rows, and not as many columns in each")
    if any(cell < 0 for row in matrix for cell in row):
        raise ConfigError(f"{path}: a negative delay")
    return matrix
