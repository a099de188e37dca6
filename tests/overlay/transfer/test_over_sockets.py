"""Over real connections: whatever ends one in the middle, the next goes on where it was."""

import os
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

import pytest
import trio

from overlay import PeerUnavailable, Stream
from overlay._libp2p_inbound import socket_of
from overlay.errors import StreamReset
from overlay.node import Node
from overlay.transfer.line import Line

PROTOCOL = "/test/line/1"
HELLO, BACK = b"hello", b"back"
CUTS = (3, 4, 11)
"""After so many frames that came, the connection is cut."""
FRAMES = [os.urandom(256 * 1024) for _ in range(16)]
PATIENCE_S = 60.0


class Provider:
    """Sends back whatever comes, on one line, over as many streams as its peer needs."""

    def __init__(self) -> None:
        self.line: Line | None = None
        self.came = 0
        self.streams = 0

    async def serve(self, stream: Stream) -> None:
        self.streams += 1
        first = await stream.receive()
        if first != HELLO:
            await self._serve_again(stream, int(first.removeprefix(BACK)))
            return
        self.line = Line(stream)
        self.line.begin(PATIENCE_S)
        while True:
            await self.line.send(await self.line.receive())
            self.came += 1

    async def _serve_again(self, stream: Stream, came: int) -> None:
        async def greet(stream: Stream, received: int) -> int:
            await stream.send(b"%d" % received)
            return came

        if await self.line.adopt(stream, greet):
            await self.line.replaced(stream)


async def greet(stream: Stream, received: int) -> int:
    with trio.fail_after(10):
        await stream.send(BACK + b"%d" % received)
        return int(await stream.receive())


async def reset_by_network(ours: Node, _theirs: Node) -> None:
    for connection in ours._driver._swarm.get_connections():
        noise = connection.muxed_conn.secured_conn.conn
        below = socket_of(noise.read_writer.read_write_closer)
        assert below is not None
        with suppress(OSError):  # the cut before has closed it
            below.socket.shutdown(socket.SHUT_RDWR)
    await trio.lowlevel.checkpoint()


async def closed_by_requester(ours: Node, theirs: Node) -> None:
    await ours._driver.drop(theirs.peer_id)


async def closed_by_provider(ours: Node, theirs: Node) -> None:
    await theirs._driver.drop(ours.peer_id)


@pytest.mark.parametrize("cut", [reset_by_network, closed_by_requester, closed_by_provider])
async def test_cut_in_the_middle_all_comes_once_and_in_order_both_ways(
    libp2p_swarm, cut: Callable[[Node, Node], Awaitable[None]]
) -> None:
    provider, came = Provider(), []
    async with libp2p_swarm.open_host() as theirs, libp2p_swarm.open_host() as ours:
        theirs.serve(PROTOCOL, provider.serve, streams_max=8)
        await ours.connect(theirs.addresses)
        line = Line(await ours.open_stream(theirs.peer_id, PROTOCOL))
        await line.send(HELLO)
        line.begin(
            PATIENCE_S, dial=partial(ours.open_stream, theirs.peer_id, PROTOCOL), greet=greet
        )

        async def send() -> None:
            for frame in FRAMES:
                await line.send(frame)

        async def cut_now_and_then() -> None:
            for after in CUTS:
                while provider.came < after:  # noqa: ASYNC110  (a counter)
                    await trio.sleep(0.001)
                await cut(ours, theirs)

        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(send)
                nursery.start_soon(cut_now_and_then)
                while len(came) < len(FRAMES):
                    came.append(await line.receive())
        await line.aclose()
    assert came == FRAMES
    assert 2 <= provider.streams <= 1 + len(CUTS)


async def test_a_peer_that_cannot_be_reached_again_is_given_up(libp2p_swarm) -> None:
    provider = Provider()
    async with libp2p_swarm.open_host() as ours:
        async with libp2p_swarm.open_host() as theirs:
            theirs.serve(PROTOCOL, provider.serve, streams_max=8)
            await ours.connect(theirs.addresses)
            line = Line(await ours.open_stream(theirs.peer_id, PROTOCOL))
            await line.send(HELLO)
            dial = partial(ours.open_stream, theirs.peer_id, PROTOCOL)
            line.begin(1.5, dial=dial, greet=greet)
        with trio.fail_after(30), pytest.raises(PeerUnavailable):
            await line.receive()
        assert line.over


async def test_a_peer_that_resets_its_stream_and_stays_connected_is_not_waited_for(
    libp2p_swarm,
) -> None:
    ended = trio.Event()

    async def serve(stream: Stream) -> None:
        line = Line(stream)
        line.begin(PATIENCE_S)
        await line.send(await line.receive())
        with pytest.raises(StreamReset):
            await line.receive()
        ended.set()

    async with libp2p_swarm.open_host() as theirs, libp2p_swarm.open_host() as ours:
        theirs.serve(PROTOCOL, serve, streams_max=8)
        await ours.connect(theirs.addresses)
        stream = await ours.open_stream(theirs.peer_id, PROTOCOL)
        await stream.send(HELLO)
        assert await stream.receive() == HELLO
        await stream.reset()
        with trio.fail_after(PATIENCE_S / 2):
            await ended.wait()
