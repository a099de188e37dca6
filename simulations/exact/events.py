"""The queue that time comes from: events in order of (microsecond, number), nothing else."""

from collections.abc import Callable
from heapq import heappop, heappush
from typing import Any, Final

SECOND_US: Final = 1_000_000

Action = Callable[..., None]


class Timer:
    """Something that will happen, unless it is cancelled."""

    __slots__ = ("cancelled",)

    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        """Make it not happen. Harmless when it has happened."""
        self.cancelled = True


class EventQueue:
    """Virtual time. Two events of one microsecond happen in the order they were asked for.

    Attributes:
        now_us: microseconds since the start.
        handled: how many events have happened.
    """

    __slots__ = ("_heap", "_number", "handled", "now_us")

    def __init__(self) -> None:
        self.now_us = 0
        self.handled = 0
        self._number = 0
        self._heap: list[tuple[int, int, Timer | None, Action, tuple[Any, ...]]] = []

    def __len__(self) -> int:
        return len(self._heap)

    def after(self, delay_us: int, action: Action, *arguments: object) -> None:
        """Let *action* happen *delay_us* from now; it cannot be cancelled."""
        self._number += 1
        heappush(self._heap, (self.now_us + delay_us, self._number, None, action, arguments))

    def timer(self, delay_us: int, action: Action, *arguments: object) -> Timer:
        """Let *action* happen *delay_us* from now, unless the timer is cancelled."""
        timer = Timer()
        self._number += 1
        heappush(self._heap, (self.now_us + delay_us, self._number, timer, action, arguments))
        return timer

    def run(self, until_us: int) -> None:
        """Let everything happen up to and including *until_us*; time stands there then."""
        heap = self._heap
        while heap and heap[0][0] <= until_us:
            self.now_us, _, timer, action, arguments = heappop(heap)
            if timer is not None:
                if timer.cancelled:
                    continue
                timer.cancelled = True
            self.handled += 1
            action(*arguments)
        self.now_us = max(self.now_us, until_us)
