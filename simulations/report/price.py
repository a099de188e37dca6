"""The price rule's report: study and paper in one call."""

from pathlib import Path

from simulations.report.making import Making
from simulations.report.price_report import write
from simulations.report.price_study import FULL, QUICK, study
from simulations.report.sessions import Sessions


def make(folder: Path, making: Making) -> list[Path]:
    """Run the study (ten minutes of a core; quick: seconds) and write it into *folder*."""
    with making.folder() as kept:
        sessions = Sessions(kept, making.open_executor, making.progress)
        found = study(QUICK if making.quick else FULL, sessions)
    return write(found, folder)
