"""The chain as nodes see it: blocks, delays and outages around a `Ledger`."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from contracts.channel import ChannelState
from simulations.exact.events import SECOND_US
from simulations.ledger import Ledger, Moved

if TYPE_CHECKING:
    from simulations.exact.node import Node
    from simulations.exact.world import World

BLOCK_US: Final = 3 * SECOND_US
READ_US: Final = 150_000
"""A question to a server of the chain, there and back."""
SHOWN_US: Final = 300_000
"""From a block to a server that shows it."""
UNAVAILABLE: Final = "the chain does not answer"
NETWORK_ID: Final = -3939

Step = Callable[[Ledger, int], str]
"""Does one thing to the ledger at a time in unix seconds; returns "" or why not."""


class SimChain:
    """Blocks every `BLOCK_US`; away during an outage."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self.ledger = Ledger(NETWORK_ID)
        self._away_until_us = 0

    def go_away(self, until_us: int) -> None:
        """Answer nobody until *until_us*."""
        self._away_until_us = max(self._away_until_us, until_us)

    @property
    def available(self) -> bool:
        """Whether it answers."""
        return self._world.events.now_us >= self._away_until_us

    def now_unix_s(self) -> int:
        """Return the time of the newest block."""
        return self._world.unix_s(self._world.events.now_us // BLOCK_US * BLOCK_US)

    def submit(self, node: "Node", what: str, step: Step, then: Callable[[str], None]) -> None:
        """Hand in a message; *then* hears "" once its effect is shown, or why it has none."""
        events = self._world.events
        if not self.available:
            node.after(SECOND_US, then, UNAVAILABLE)
            return
        in_us = BLOCK_US - events.now_us % BLOCK_US
        events.after(in_us, self._execute, node, node.life, what, step, then)

    def _execute(
        self, node: "Node", life: int, what: str, step: Step, then: Callable[[str], None]
    ) -> None:
        refused = step(self.ledger, self.now_unix_s())
        world = self._world
        world.log.line(f"{world.events.now_us} chain {what} {refused or 'done'}")
        world.checkers.money_is_conserved(self.ledger)
        if node.up and node.life == life:
            node.after(SHOWN_US, then, refused)

    def read(
        self, node: "Node", address: str, then: Callable[[ChannelState | None, str], None]
    ) -> None:
        """Ask for a channel; *then* hears it (None: there is none), and why it cannot."""
        if not self.available:
            node.after(SECOND_US, then, None, UNAVAILABLE)
            return
        account = self.ledger.channels.get(address)
        node.after(READ_US, then, None if account is None else account.state(), "")

    def history(self, address: str, since_lt: int) -> list[Moved]:
        """Return the transactions of a channel after *since_lt*."""
        return [moved for moved in self.ledger.history.get(address, ()) if moved.lt > since_lt]
