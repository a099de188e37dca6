"""Who dials whom through a hole, and when; the swarm is made for the test."""

import pytest
import trio
from multiaddr import Multiaddr

from overlay import generate_identity
from overlay._libp2p_dial import ListeningPort
from overlay._libp2p_punch import QUIC_AFTER_S, Punching
from overlay.reach.punching import DIAL_S

TCP, QUIC = "/ip4/8.8.4.4/tcp/4001", "/ip4/8.8.4.4/udp/4001/quic-v1"


class Dialed:
    """A swarm that nobody answers."""

    def __init__(self) -> None:
        self.at_s: dict[str, float] = {}
        self.listeners: dict[str, object] = {}

    def register_notifee(self, _notifee: object) -> None:
        pass

    async def _dial_addr_single_attempt(self, address: Multiaddr, *_: object) -> None:
        await trio.lowlevel.checkpoint()
        self.at_s[str(address)] = trio.current_time()
        raise OSError("nobody")


async def test_tcp_has_a_head_start_over_quic_and_both_have_time(autojump_clock) -> None:
    swarm, peer_id = Dialed(), generate_identity().peer_id
    port = ListeningPort.__new__(ListeningPort)
    port._swarm = swarm
    punching = Punching(
        swarm, port, mapped=list, seen=list, announced=list, open_stream=None,
        busy=lambda _: False, move=lambda _: None,
    )  # fmt: skip
    start_s = trio.current_time()
    async with trio.open_nursery() as nursery:
        for each in (QUIC, TCP):
            nursery.start_soon(punching._as_client, peer_id, each)
    assert swarm.at_s[TCP] == start_s
    assert swarm.at_s[QUIC] - start_s == pytest.approx(QUIC_AFTER_S)
    assert 1 < QUIC_AFTER_S < DIAL_S - 2
