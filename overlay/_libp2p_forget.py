"""Forgetting what libp2p 0.8.1 keeps for ever: found by the census of `overlay.soak.census`.

A node that runs for a month meets every peer of the swarm many times over. Upstream keeps, and
bounds late or never: what it knows of peers that left, an event for each stream that a connection
ever had, the time of every gossip message, the last thousand messages themselves, and every
backoff. To drop: after a thousand nodes came and went, none of these containers is larger than
before.
"""
# ruff: noqa: ANN401, SLF001, TID251  (the border to libp2p: its privates, its loose types)

import logging
import time
from collections.abc import Callable
from typing import Any, Final

import trio
from libp2p.network.swarm import Swarm
from libp2p.peer.id import ID
from libp2p.stream_muxer.yamux.yamux import Yamux

from overlay import _libp2p_hardening as hardening
from overlay._libp2p_gossip import SafePubsub
from overlay._libp2p_router import Router

logger = logging.getLogger(__name__)

SWEEP_S: Final = 30.0
ABSENT_S: Final = 300.0
"""How long a peer that has no connection stays in the peer store; the DHT knows it longer."""
ABSENT_MAX: Final = 1024
"""Beyond so many the first to leave are forgotten at once."""
EQUIVOCATIONS_WATCHED: Final = 128
"""Messages that are kept to catch an author who uses a number twice."""


class Absent:
    """Peers without a connection, by when that was noticed. Pure: time and peers come in."""

    def __init__(self) -> None:
        self._since_s: dict[ID, float] = {}

    def __len__(self) -> int:
        return len(self._since_s)

    def due(self, known: list[ID], connected: Callable[[ID], bool], now_s: float) -> list[ID]:
        """Return which of *known* to forget: absent for `ABSENT_S`, or too many."""
        since_s = {peer: self._since_s.get(peer, now_s) for peer in known if not connected(peer)}
        self._since_s = dict(sorted(since_s.items(), key=lambda each: each[1]))
        surplus = len(self._since_s) - ABSENT_MAX
        return [
            peer
            for number, (peer, then_s) in enumerate(self._since_s.items())
            if number < surplus or now_s - then_s >= ABSENT_S
        ]


async def forget_forever(swarm: Swarm, pubsub: SafePubsub, router: Router, own_id: ID) -> None:
    """Sweep every `SWEEP_S` until cancelled."""
    absent = Absent()
    while True:
        await trio.sleep(SWEEP_S)
        forget_peers(swarm, absent, own_id)
        for connection in swarm.get_connections():
            forget_streams(getattr(connection, "muxed_conn", None))
        pubsub.forget_all_gone()
        forget_gossip(router)


def keep_ourselves(swarm: Swarm) -> None:
    """Leave it to `forget_peers` whom the peer store forgets.

    Upstream (0.8.1) forgets beyond 1000 peers first those without addresses, which we are
    ourselves: then nobody hears from us any more what we are. And then whoever is connected for
    longest. To drop: our own key is there after a thousand others came.
    """
    hardening.replace_attribute(swarm.peerstore, "_enforce_peer_limit", lambda: None)


def forget_peers(swarm: Swarm, absent: Absent, own_id: ID) -> None:
    """Forget the peers that left some time ago; who is dialed again is learned again."""
    store = swarm.peerstore
    known = [peer for peer in store.peer_ids() if peer != own_id]
    gone = absent.due(known, lambda peer: bool(swarm.connections.get(peer)), trio.current_time())
    for peer in gone:
        store.clear_peerdata(peer)
    swarm.auto_connector._recent_disconnects.clear()
    if gone:
        logger.debug("forgot %d peers that left", len(gone))


def forget_streams(muxed: Any) -> None:
    """Drop the events of streams that are over: a reader that ends puts its event back."""
    if isinstance(muxed, Yamux):
        for stream_id in [each for each in muxed.stream_events if each not in muxed.streams]:
            del muxed.stream_events[stream_id]


def forget_gossip(router: Router) -> None:
    """Drop the times of messages, which nobody reads, old messages and old backoffs."""
    router.recent_message_deliveries.clear()
    for key in list(router.equivocation_detection)[:-EQUIVOCATIONS_WATCHED]:
        del router.equivocation_detection[key]
    now_unix_s = time.time()  # upstream's own clock
    for topic in list(router.back_off):
        left = {peer: till for peer, till in router.back_off[topic].items() if till > now_unix_s}
        if left:
            router.back_off[topic] = left
        else:
            del router.back_off[topic]
