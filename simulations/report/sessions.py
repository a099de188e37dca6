"""Runs of the market model, each done once: kept in a folder under a hash of what it is made from.

So a study that was stopped goes on where it was, and one whose code has changed starts anew.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, as_completed
from dataclasses import asdict, fields
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from cocoon.errors import CocoonError
from cocoon.market import price
from simulations.models import compiled, draws
from simulations.models.compiled import Floats
from simulations.models.market import clearing, exchange, price_rule, trading
from simulations.models.market.exchange import Market, Session, run
from simulations.report.making import OpenExecutor

_MADE_BY: Final = (price, compiled, draws, clearing, exchange, price_rule, trading)
"""The modules on which a session depends."""
_COUNTS: Final = ("refused", "requests", "lost_jobs")
_SCALARS: Final = (*_COUNTS, "war_cost")
_SERIES: Final = tuple(
    field.name for field in fields(Session) if field.name not in (*_SCALARS, "profit")
)


class WorkersDied(CocoonError):
    """A worker process was killed; what was done is kept."""


class Wanted(NamedTuple):
    """One run."""

    market: Market
    seed: int

    @property
    def cost(self) -> float:
        """Roughly how long it takes, in any unit: steps of providers and tries of requesters."""
        market = self.market
        tries = 1 + market.load * (6 * market.shock_factor if market.shock_at_s else 1)
        return market.duration_s * (300 + market.providers * tries)


@cache
def code_digest() -> bytes:
    """Return a hash of the code that a session depends on, and of NumPy's version."""
    digest = hashlib.sha256(np.__version__.encode())
    for module in _MADE_BY:
        digest.update(Path(str(module.__file__)).read_bytes())
    return digest.digest()


def key_of(wanted: Wanted) -> str:
    """Return the name under which a run is kept."""
    terms = msgspec.json.encode([asdict(wanted.market), wanted.seed], order="sorted")
    return hashlib.sha256(code_digest() + terms).hexdigest()[:32]


def packed(session: Session) -> Floats:
    """Return a session as one float64 vector: length of the series, scalars, series, profits.

    >>> from simulations.models.market.exchange import Market, run
    >>> one = run(Market(providers=3, duration_s=120), 1)
    >>> unpacked(packed(one)).requests == one.requests
    True
    """
    head = [float(session.price.size), *(float(getattr(session, name)) for name in _SCALARS)]
    series = [getattr(session, name) for name in _SERIES]
    return np.concatenate([np.array(head), *series, session.profit])


def unpacked(vector: Floats) -> Session:
    """Return the session of a vector from `packed`."""
    minutes, start = int(vector[0]), 1 + len(_SCALARS)
    scalars = dict(zip(_SCALARS, map(float, vector[1:start]), strict=True))
    end = start + minutes * len(_SERIES)
    series = vector[start:end].reshape(len(_SERIES), minutes)
    found: dict[str, Any] = dict(zip(_SERIES, series, strict=True)) | scalars
    found |= {name: int(scalars[name]) for name in _COUNTS}
    return Session(**found, profit=vector[end:])


def _keep(wanted: Wanted, file: Path) -> None:
    """Do a run and write it, whole or not at all."""
    new = file.with_name(f".{file.name}.{os.getpid()}")
    with new.open("wb") as out:
        np.save(out, packed(run(wanted.market, wanted.seed)), allow_pickle=False)
    new.replace(file)


class Sessions:
    """A folder of sessions.

    Args:
        folder: where they are kept; made when it is not there.
        open_executor: makes what runs them (None: this process).
        progress: told the share of the announced work that is done.
    """

    def __init__(
        self, folder: Path, open_executor: OpenExecutor, progress: Callable[[float], None]
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._open, self._progress = folder, open_executor, progress
        self._announced = self._done = 0.0

    def announce(self, cost: float) -> None:
        """Say how much work is to come, in the unit of `Wanted.cost`."""
        self._announced += cost

    def get(self, market: Market, seed: int) -> Session:
        """Return a session that `make` has made."""
        vector = np.load(self._file(Wanted(market, seed)), allow_pickle=False)
        return unpacked(np.asarray(vector, np.float64))

    def make(self, wanted: Iterable[Wanted]) -> None:
        """Do the runs that are not kept yet.

        Raises:
            WorkersDied: a worker was killed.
        """
        distinct = {self._file(one): one for one in wanted}
        todo = {file: one for file, one in distinct.items() if not file.exists()}
        self._step(sum(one.cost for file, one in distinct.items() if file not in todo))
        if not todo:
            return
        with self._open() as executor:
            for one in _here(todo) if executor is None else _there(todo, executor):
                self._step(one.cost)

    def _file(self, wanted: Wanted) -> Path:
        return self._folder / f"{key_of(wanted)}.npy"

    def _step(self, cost: float) -> None:
        self._done += cost
        self._progress(min(1.0, self._done / max(self._announced, self._done, 1.0)))


def _here(todo: dict[Path, Wanted]) -> Iterator[Wanted]:
    for file, one in todo.items():
        _keep(one, file)
        yield one


def _there(todo: dict[Path, Wanted], executor: Executor) -> Iterator[Wanted]:
    futures: dict[Future[None], Wanted] = {}
    try:
        # The long ones first, so that no worker starts one when the others are done.
        for file, one in sorted(todo.items(), key=lambda each: -each[1].cost):
            futures[executor.submit(_keep, one, file)] = one
        for future in as_completed(futures):
            future.result()
            yield futures[future]
    except BrokenExecutor as error:
        raise WorkersDied(
            "a worker was killed (out of memory?); the same command goes on where it was"
        ) from error
    finally:
        for future in futures:
            future.cancel()
