"""Does a plan on an executor whose workers may die: what a dead worker had is done again.

A run is kept when its manifest is there (`simulations.records`), so nothing depends on
futures that got lost: after a breakdown, what has no manifest is submitted once more, to a
new executor. Stopping at any moment loses only the runs under way.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, as_completed
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from cocoon.errors import CocoonError
from simulations.execution import Planned, execute, left_to_do
from simulations.records import Manifest

BREAKDOWNS_MAX: Final = 20
"""So many in a row without one finished run mean that the runs themselves kill their workers."""

OpenExecutor = Callable[[], AbstractContextManager[Executor | None]]


class SweepBroke(CocoonError):
    """Workers die faster than they finish anything."""


def do_all(plan: list[Planned], results: Path, open_executor: OpenExecutor) -> Iterator[Manifest]:
    """Do every run of *plan* that is not kept yet; yield each as it ends.

    Args:
        plan: what belongs into the results.
        results: folder of results.
        open_executor: makes an executor (None: run here); called again after a breakdown.

    Raises:
        SweepBroke: workers died again and again.
        ConfigError, MissingAsset: see `simulations.execution.execute`.
    """
    breakdowns = 0
    while todo := left_to_do(results, plan):
        with open_executor() as executor:
            if executor is None:
                for planned in todo:
                    yield execute(planned, results)
                return
            before = len(todo)
            yield from _until_breakdown(todo, results, executor)
        if len(left_to_do(results, todo)) < before:
            breakdowns = 0
            continue
        breakdowns += 1
        if breakdowns == BREAKDOWNS_MAX:
            raise SweepBroke(
                f"workers died {breakdowns} times without finishing one of {len(todo)} runs; "
                "is there enough memory? `cocoon sim check` says what one run takes"
            )


def _until_breakdown(todo: list[Planned], results: Path, executor: Executor) -> Iterator[Manifest]:
    """Yield what ends; return when all did, or when the executor broke."""
    futures: list[Future[Manifest]] = []
    try:
        futures += [executor.submit(execute, planned, results) for planned in todo]
        for future in as_completed(futures):
            yield future.result()
    except (BrokenExecutor, CancelledError):
        return
    finally:
        for future in futures:
            future.cancel()
