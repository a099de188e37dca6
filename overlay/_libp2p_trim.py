"""Closing connections that carry nothing, before they use up all that we may have.

Look-ups dial peers all over the key space. Upstream (0.8.1) prunes only beyond its
maximum, where new connections are refused already. To drop: it trims between two
watermarks, and spares connections with streams of protocols that we name.
"""
# ruff: noqa: ANN401  (the border to libp2p: its loose types)

import logging
import random
from collections.abc import Callable, Collection
from typing import Any, Final

import trio

from overlay.cleanup import shielded

logger = logging.getLogger(__name__)

TRIM_S: Final = 5.0
HIGH_PERCENT: Final = 80
LOW_PERCENT: Final = 60
CLOSE_S: Final = 1.0


def surplus(
    connections: Collection[Any],
    spared: Callable[[Any], bool],
    connections_max: int,
    rng: random.Random,
) -> list[Any]:
    """Return which connections to close: none below the high mark, else down to the low one.

    Args:
        connections: all that are open.
        spared: says of one whether it is in use.
        connections_max: how many there may be.
        rng: chooses among the idle, so that nobody can keep its place by a rule.
    """
    if len(connections) * 100 < connections_max * HIGH_PERCENT:
        return []
    idle = [each for each in connections if not spared(each)]
    count = len(connections) - connections_max * LOW_PERCENT // 100
    return rng.sample(idle, min(len(idle), max(0, count)))


def carries(connection: Any, background: Collection[str]) -> bool:
    """Return whether *connection* has a stream of a protocol that is not *background*."""
    protocols = (each.get_protocol() for each in connection.get_streams())
    return any(each is None or str(each) not in background for each in protocols)


async def trim_forever(
    open_connections: Callable[[], list[Any]],
    spared: Callable[[Any], bool],
    connections_max: int,
    rng: random.Random,
) -> None:
    """Close surplus connections every `TRIM_S`, until cancelled."""
    while True:
        await trio.sleep(TRIM_S)
        for connection in surplus(open_connections(), spared, connections_max, rng):
            logger.debug("trimming an idle connection")
            with shielded(CLOSE_S):
                await connection.close()
