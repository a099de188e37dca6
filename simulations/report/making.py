"""How a report is made: how large, where, and by whom."""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

OpenExecutor: TypeAlias = Callable[[], AbstractContextManager[Executor | None]]


def _here() -> AbstractContextManager[None]:
    return nullcontext()


def _silent(share: float) -> None:
    """Nobody listens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Making:
    """What the makers of reports are given.

    Attributes:
        quick: reduced size, kept nowhere.
        progress: told the share that is done.
        work: where runs are kept, so that a stopped report goes on; None: nowhere.
        open_executor: makes what does the runs (None: this process).
    """

    quick: bool = False
    progress: Callable[[float], None] = field(default=_silent)
    work: Path | None = None
    open_executor: OpenExecutor = field(default=_here)

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """Give the folder for runs: `work`, or one that goes away."""
        if self.work is not None and not self.quick:
            yield self.work
            return
        with TemporaryDirectory() as scratch:
            yield Path(scratch)
