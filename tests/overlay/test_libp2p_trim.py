"""Idle connections are closed before they use up all that we may have."""

import random
import time
from contextlib import AsyncExitStack

import trio
from hypothesis import given
from hypothesis import strategies as st

from overlay import DhtConfig, HostConfig, Stream, generate_identity, open_host
from overlay._libp2p_trim import HIGH_PERCENT, LOW_PERCENT, surplus


@given(st.integers(0, 100), st.integers(1, 100), st.sets(st.integers(0, 99)))
def test_only_idle_ones_go_and_only_down_to_the_low_mark(count, most, used) -> None:
    rng = random.Random(count)  # noqa: S311  (a choice)
    gone = surplus(range(count), used.__contains__, most, rng)
    assert not set(gone) & used
    assert len(gone) == len(set(gone))
    if count * 100 < most * HIGH_PERCENT:
        assert not gone
    else:
        assert count - len(gone) >= min(count, most * LOW_PERCENT // 100)


async def test_a_connection_with_a_job_survives_the_trimming() -> None:
    def open_guest(connections_max: int):
        config = HostConfig(
            listen_addresses=("/ip4/127.0.0.1/tcp/0",),
            network="test",
            connections_max=connections_max,
            dht=DhtConfig(explore_interval_s=0),
        )
        return open_host(config, generate_identity(), clock=time.time)  # noqa: TID251

    async def echo(stream: Stream) -> None:
        while True:
            await stream.send(await stream.receive())

    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(open_guest(6))
        server.serve("/job/1", echo, streams_max=4)
        worker = await stack.enter_async_context(open_guest(6))
        await worker.connect(server.addresses)
        job = await worker.open_stream(server.peer_id, "/job/1")
        await job.send(b"begin")
        assert await job.receive() == b"begin"
        for _ in range(4):
            guest = await stack.enter_async_context(open_guest(6))
            await guest.connect(server.addresses)
        with trio.fail_after(30):
            while len(server.connected_peers()) > 3:  # noqa: ASYNC110  (no event for it)
                await trio.sleep(0.1)
        await job.send(b"still here")
        assert await job.receive() == b"still here"
