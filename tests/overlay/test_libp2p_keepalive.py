"""Silent connections are asked, dead ones are closed, busy ones are left alone."""

import random
import time

import trio

from overlay import DhtConfig, HostConfig, Stream, generate_identity, open_host
from overlay._libp2p_keepalive import KeepAlive
from overlay.node import Node


def open_test_host():
    config = HostConfig(
        listen_addresses=("/ip4/127.0.0.1/tcp/0",),
        network="test",
        health_interval_s=3600,
        dht=DhtConfig(explore_interval_s=0),
    )
    return open_host(config, generate_identity(), clock=time.time)  # noqa: TID251


def keep_alive(node: Node, patience_s: float) -> KeepAlive:
    return KeepAlive(
        node._driver._swarm.get_connections,
        interval_s=0.1,
        patience_s=patience_s,
        rng=random.Random(1),  # noqa: S311  (spreads questions)
    )


async def test_a_silent_connection_is_asked_and_stays_when_it_answers() -> None:
    async with open_test_host() as one, open_test_host() as other, trio.open_nursery() as nursery:
        await one.connect(other.addresses)
        keeper = keep_alive(one, patience_s=0.5)
        nursery.start_soon(keeper.run)
        with trio.fail_after(30):
            while keeper.asked < 15:  # noqa: ASYNC110  (a counter)
                await trio.sleep(0.05)
        assert one.connected_peers() == (other.peer_id,)
        nursery.cancel_scope.cancel()


async def test_a_connection_that_answers_nothing_is_closed() -> None:
    async with open_test_host() as one, open_test_host() as other, trio.open_nursery() as nursery:
        await one.connect(other.addresses)
        await trio.sleep(0.5)
        for connection in other._driver._swarm.get_connections():
            connection.muxed_conn._write_frame = _swallow
        nursery.start_soon(keep_alive(one, patience_s=0.3).run)
        with trio.fail_after(30):
            while one.connected_peers():  # noqa: ASYNC110  (no event)
                await trio.sleep(0.05)
        nursery.cancel_scope.cancel()


async def _swallow(_data: bytes) -> None:
    """Be a peer whose power was cut: what it would send never leaves."""
    await trio.lowlevel.checkpoint()


async def test_a_busy_connection_is_not_asked() -> None:
    async def tick(stream: Stream) -> None:
        while True:
            await stream.send(b"tick")
            await trio.sleep(0.01)

    async with open_test_host() as one, open_test_host() as other, trio.open_nursery() as nursery:
        other.serve("/tick/1", tick, streams_max=1)
        await one.connect(other.addresses)
        stream = await one.open_stream(other.peer_id, "/tick/1")
        keeper = keep_alive(one, patience_s=5)
        keeper._interval_s = 1.0
        nursery.start_soon(keeper.run)
        with trio.move_on_after(3.5):
            while True:
                await stream.receive()
        assert keeper.asked == 0
        nursery.cancel_scope.cancel()
