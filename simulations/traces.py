"""Traces of the user's own: arrivals of jobs, and sessions of nodes, as CSV."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cocoon.errors import ConfigError
from simulations.latency import checked_text
from simulations.scenario import Churn, Workload

ROWS_MAX: Final = 10**7


def _rows(path: str, sha256: str, names: tuple[str, ...]) -> Iterator[list[float]]:
    reader = csv.DictReader(io.StringIO(checked_text(Path(path), sha256)))
    for number, row in enumerate(reader, start=2):
        if number > ROWS_MAX:
            raise ConfigError(f"{path}: more than {ROWS_MAX} rows")
        try:
            yield [float(row[name]) for name in names]
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(
                f"{path}, line {number}: wants {','.join(names)}: {error!r}"
            ) from error


def read_arrivals(workload: Workload) -> list[tuple[int, int, int]]:
    """Return (microsecond, prompt tokens, output tokens) of every job, in order of time.

    Raises:
        ConfigError: the file is missing, another one, or no such trace.
    """
    names = ("at_s", "prompt_tokens", "output_tokens")
    rows = _rows(workload.trace, workload.trace_sha256, names)
    longest = workload.output_tokens_max
    return sorted(
        (int(at_s * 1e6), max(1, int(prompt)), min(longest, max(1, int(output))))
        for at_s, prompt, output in rows
        if at_s >= 0
    )


def read_sessions(churn: Churn) -> list[tuple[int, int, int]]:
    """Return (node, up from, up until) of every session, in microseconds, in order.

    Raises:
        ConfigError: the file is missing, another one, or no such trace.
    """
    rows = _rows(churn.trace, churn.trace_sha256, ("node", "up_s", "down_s"))
    return sorted(
        (int(node), int(up_s * 1e6), int(down_s * 1e6))
        for node, up_s, down_s in rows
        if 0 <= up_s < down_s
    )
