"""How busy a provider was: the measured input of its price."""

from dataclasses import dataclass
from typing import Final

from overlay.errors import LocalProtocolError

WINDOW_MS: Final = 60_000
"""Default length of a window."""
WINDOW_MS_MAX: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class Load:
    """One finished window: `busy_slot_ms` is the sum over slots of the time that each was busy."""

    slots: int
    window_ms: int
    busy_slot_ms: int


class LoadWindow:
    """Counts busy slots over windows that follow each other without a gap or overlap.

    Moments are milliseconds of any clock; one that goes backwards counts as standing still.
    """

    __slots__ = ("_begun_ms", "_busy_slot_ms", "_now_ms", "_running", "slots", "window_ms")

    def __init__(self, *, slots: int, now_ms: int, window_ms: int = WINDOW_MS) -> None:
        if slots < 1 or not 1 <= window_ms <= WINDOW_MS_MAX:
            raise LocalProtocolError(f"not a window: {slots} slots, {window_ms} ms")
        self.slots = slots
        self.window_ms = window_ms
        self._running = 0
        self._busy_slot_ms = 0
        self._begun_ms = self._now_ms = now_ms

    @property
    def running(self) -> int:
        """How many slots are busy."""
        return self._running

    @property
    def free_slots(self) -> int:
        """How many slots are free."""
        return self.slots - self._running

    def started(self, now_ms: int) -> None:
        """A job took a slot.

        Raises:
            LocalProtocolError: no slot was free.
        """
        if self._running == self.slots:
            raise LocalProtocolError(f"all {self.slots} slots are busy")
        self._advance(now_ms)
        self._running += 1

    def ended(self, now_ms: int) -> None:
        """A job gave its slot back.

        Raises:
            LocalProtocolError: no job was running.
        """
        if not self._running:
            raise LocalProtocolError("no job is running")
        self._advance(now_ms)
        self._running -= 1

    def complete(self, now_ms: int) -> bool:
        """Tell whether a whole window has passed."""
        return now_ms - self._begun_ms >= self.window_ms

    def take(self, now_ms: int) -> Load | None:
        """Finish the window and begin the next, or return None before a whole one has passed."""
        if not self.complete(now_ms):
            return None
        self._advance(now_ms)
        window_ms = min(self._now_ms - self._begun_ms, WINDOW_MS_MAX)
        busy_slot_ms = min(self._busy_slot_ms, self.slots * window_ms)
        self._begun_ms, self._busy_slot_ms = self._now_ms, 0
        return Load(self.slots, window_ms, busy_slot_ms)

    def _advance(self, now_ms: int) -> None:
        passed_ms = max(0, now_ms - self._now_ms)
        self._busy_slot_ms += passed_ms * self._running
        self._now_ms += passed_ms
