"""How far a job may go, and whether it has to stop: set by one thread, heeded by another."""

import threading


class JobControl:
    """What the reader thread may change while the main thread computes."""

    def __init__(self, job_id: str, granted_units: int) -> None:
        self.job_id = job_id
        self._changed = threading.Condition()
        self._granted_units = granted_units
        self._cancelled = False

    def grant(self, granted_units: int) -> None:
        """Raise the amount of output that may be produced."""
        with self._changed:
            self._granted_units = max(self._granted_units, granted_units)
            self._changed.notify_all()

    def cancel(self) -> None:
        """Ask the job to stop at the next token."""
        with self._changed:
            self._cancelled = True
            self._changed.notify_all()

    def cancelled(self) -> bool:
        """Return whether the job has to stop."""
        return self._cancelled

    def may_produce(self, units: int) -> bool:
        """Return whether *units* may be produced now."""
        return self._granted_units >= units

    def wait_for_grant(self, units: int) -> None:
        """Block until *units* may be produced, or the job is cancelled."""
        with self._changed:
            while not self._cancelled and self._granted_units < units:
                self._changed.wait()
