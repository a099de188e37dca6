"""Finding dead connections: only those that were silent are asked, with one yamux frame.

Upstream (0.8.1) has two ways. Its health monitor opens a ping stream on every connection,
busy or not (milliseconds of CPU on both sides), and may replace connections under streams that
are about to open. Its yamux sends pings too, and ignores that nobody answers. We
use yamux pings, and cut who does not answer: both sides see them, so that the ping of one
saves that of the other. To drop: `ConnectionConfig` offers this.
"""
# ruff: noqa: ANN401, SLF001, TID251  (the border to libp2p: its privates, its loose types)

import functools
import logging
import random
import struct
from collections.abc import Callable
from typing import Any, Final

import trio
from libp2p.stream_muxer.yamux import yamux

from overlay._libp2p_hardening import hurry, replace_attribute
from overlay.cleanup import shielded

logger = logging.getLogger(__name__)

CLOSE_S: Final = 1.0
JITTER: Final = 0.1
"""So that the two sides do not ask at the same moment."""
_PING: Final = struct.pack(yamux.YAMUX_HEADER_FORMAT, 0, yamux.TYPE_PING, yamux.FLAG_SYN, 0, 0)


@functools.cache
def measure_no_round_trips() -> None:
    """Stop the pings of yamux itself, every 30 s on each connection, answered or not."""

    async def do_nothing(self: yamux.Yamux) -> None:
        await trio.lowlevel.checkpoint()

    replace_attribute(yamux.Yamux, "_measure_rtt_loop", do_nothing)


def heard(muxed: Any) -> int:
    """Return how many Noise messages came in on a yamux connection."""
    noise = muxed.secured_conn.conn.noise_state.noise_protocol
    return int(noise.cipher_state_decrypt.n)


class KeepAlive:
    """Asks silent connections whether they live, and closes those that do not answer.

    Args:
        open_connections: lists the connections of the swarm.
        interval_s: a connection that brought nothing for so long is asked.
        patience_s: how long it may take to bring anything after that.
        rng: spreads the questions.
    """

    def __init__(
        self,
        open_connections: Callable[[], list[Any]],
        *,
        interval_s: float,
        patience_s: float,
        rng: random.Random,
    ) -> None:
        self._open_connections = open_connections
        self._interval_s = interval_s
        self._patience_s = patience_s
        self._rng = rng
        self._heard: dict[Any, int] = {}
        self.asked = 0

    async def run(self) -> None:
        """Go round until cancelled."""
        async with trio.open_nursery() as nursery:
            while True:
                await trio.sleep(self._interval_s * self._rng.uniform(1 - JITTER, 1 + JITTER))
                for connection in self._silent():
                    nursery.start_soon(self._ask, connection)

    def _silent(self) -> list[Any]:
        """Return which connections brought nothing since the last round, and note the rest."""
        yamuxes = [
            each
            for each in self._open_connections()
            if isinstance(each.muxed_conn, yamux.Yamux) and not each.is_closed
        ]
        before = self._heard
        self._heard = {each: heard(each.muxed_conn) for each in yamuxes}
        return [each for each in yamuxes if before.get(each) == self._heard[each]]

    async def _ask(self, connection: Any) -> None:
        self.asked += 1
        muxed, before = connection.muxed_conn, heard(connection.muxed_conn)
        with trio.move_on_after(self._patience_s):
            try:
                await muxed._write_frame(_PING)
                await trio.sleep_forever()
            except Exception as error:  # noqa: BLE001  (in whatever way: it is dead)
                logger.debug("asking a silent connection: %r", error)
        now = heard(muxed)
        if now != before:
            self._heard[connection] = now
            return
        logger.debug("a connection does not answer")
        hurry(muxed)
        with shielded(CLOSE_S):
            try:
                await connection.close()
            except Exception as error:  # noqa: BLE001  (it was dead)
                logger.debug("closing a dead connection: %r", error)
