"""Where strangers wait for their turn: the trio part of `overlay.limits.turns`."""

import trio

from overlay.limits.turns import NEWCOMER_TURNS, Line, Turns


class _Ticket:
    def __init__(self) -> None:
        self.called = trio.Event()
        self.began_at_s = 0.0


class Turnstile:
    """One line for all strangers of a node. Nobody gets a turn unless `run` does."""

    def __init__(self) -> None:
        self._turns = Turns()
        self._line: Line[_Ticket] = Line()
        self._somebody_came = trio.Event()

    async def run(self) -> None:
        """Call one after the other, until cancelled."""
        while True:
            if not self._line:
                self._somebody_came = trio.Event()
                await self._somebody_came.wait()
            now_s = trio.current_time()
            begins_at_s = self._turns.next_s(now_s)
            if begins_at_s > now_s:
                await trio.sleep_until(begins_at_s)
            elif self._line:
                self._turns.begin(now_s)
                ticket = self._line.call()
                ticket.began_at_s = now_s
                ticket.called.set()

    async def take(self, group: str, member: str) -> float:
        """Wait for a turn; return when it began.

        Args:
            group: prefix or relay that the stranger comes from.
            member: who it is there, as far as that is known.
        """
        ticket = _Ticket()
        self._line.join(group, member, ticket)
        self._somebody_came.set()
        try:
            await ticket.called.wait()
        finally:
            if not ticket.called.is_set():
                self._line.leave(group, member, ticket)
        return ticket.began_at_s

    def end(self, began_at_s: float) -> None:
        """Say that a turn is over."""
        self._turns.end(began_at_s, trio.current_time())


class Newcomer:
    """A new connection: what it brings first waits for its turns."""

    def __init__(self, turnstile: Turnstile, group: str, member: str) -> None:
        self._turnstile = turnstile
        self._group = group
        self._member = member
        self._turns_left = NEWCOMER_TURNS

    @property
    def is_new(self) -> bool:
        """Whether it still has to wait."""
        return self._turns_left > 0

    async def turn(self) -> None:
        """Wait, if it is still new."""
        if self.is_new:
            self._turns_left -= 1
            await self._turnstile.take(self._group, self._member)
