"""The price rule's report: study and paper in one call."""

from collections.abc import Callable
from pathlib import Path

from simulations.report.price_report import write
from simulations.report.price_study import QUICK_SEEDS, SEEDS, study


def make(folder: Path, *, quick: bool, progress: Callable[[float], None]) -> list[Path]:
    """Run the study (minutes; *quick*: seconds, at small sizes) and write it into *folder*."""
    return write(study(QUICK_SEEDS if quick else SEEDS, progress), folder)
