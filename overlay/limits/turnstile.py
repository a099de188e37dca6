"""Where strangers wait for their turn: the trio part of `overlay.limits.turns`."""

import trio

from overlay.limits.turns import NEWCOMER_TURNS, Turns


class Turnstile:
    """One queue for all strangers of a node. First come, first served."""

    def __init__(self) -> None:
        self._turns = Turns()
        self._queue = trio.Lock()

    async def take(self) -> float:
        """Wait for a turn; return when it began."""
        async with self._queue:
            await trio.sleep_until(self._turns.next_s(trio.current_time()))
            now_s = trio.current_time()
            self._turns.begin(now_s)
        return now_s

    def end(self, began_at_s: float) -> None:
        """Say that a turn is over."""
        self._turns.end(began_at_s, trio.current_time())


class Newcomer:
    """A new connection: what it brings first waits for its turns."""

    def __init__(self, turnstile: Turnstile) -> None:
        self._turnstile = turnstile
        self._turns_left = NEWCOMER_TURNS

    @property
    def is_new(self) -> bool:
        """Whether it still has to wait."""
        return self._turns_left > 0

    async def turn(self) -> None:
        """Wait, if it is still new."""
        if self.is_new:
            self._turns_left -= 1
            await self._turnstile.take()
