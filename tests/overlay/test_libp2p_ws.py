"""WebSocket below libp2p: it carries what TCP does, and strangers are counted before it opens."""

import time

import msgspec
import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from overlay import DhtConfig, HostConfig, LocalProtocolError, Stream, generate_identity, open_host
from overlay._libp2p_ws import WebSocket, WebSocketError, refuse_shared_ports
from overlay.limits.budget import LimitsConfig
from overlay.reach.verdict import port_of
from tests.overlay.js_peer import open_js_peer

WAIT_S = 30.0
PLAIN = "/ip4/127.0.0.1/tcp/0"
LIMITS = {"handshakes": {"total": 2, "prefix": 2, "peer": 2}}


def open_test_host(*listen: str, **options):
    config = HostConfig(
        listen_addresses=listen or (PLAIN,), network="interop",
        dht=DhtConfig(explore_interval_s=0), **options,
    )  # fmt: skip
    return open_host(config, generate_identity(), clock=time.time)  # noqa: TID251


async def reverse(stream: Stream) -> None:
    while True:
        await stream.send((await stream.receive())[::-1])


def sockets(node) -> list[str]:
    return [each for each in node.addresses if "/ws/" in each]


async def test_a_host_is_reached_over_either_and_knows_from_where() -> None:
    async with open_test_host(PLAIN, f"{PLAIN}/ws") as one, open_test_host() as other:
        one.serve("/interop/1", reverse, streams_max=4)
        with trio.fail_after(WAIT_S):
            await other.connect(sockets(one))
            (way,) = other._driver.ways(one.peer_id)
            assert way.partition("/p2p/")[0] == sockets(one)[0].partition("/p2p/")[0]
            assert one._driver.where(other.peer_id).startswith("/ip4/127.0.0.1/tcp/")
            body = bytes(range(256)) * 3000
            stream = await other.open_stream(one.peer_id, "/interop/1")
            await stream.send(body)
            assert await stream.receive() == body[::-1]


@pytest.mark.parametrize(
    "greeting",
    [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x13/multistream/1.0.0\n", b"\0" * 70_000, b""],
)
async def test_who_speaks_no_websocket_is_cut_off(greeting) -> None:
    async with open_test_host(f"{PLAIN}/ws") as one:
        with trio.fail_after(WAIT_S):
            port = port_of(one.addresses[0])
            async with await trio.open_tcp_stream("127.0.0.1", port) as stranger:
                try:
                    await stranger.send_all(greeting)
                    await stranger.send_eof()
                    while await stranger.receive_some(1000):
                        pass
                except trio.BrokenResourceError:
                    pass


async def test_half_open_handshakes_are_counted_before_a_byte_is_read() -> None:
    limits = msgspec.convert(LIMITS, LimitsConfig)
    async with open_test_host(f"{PLAIN}/ws", limits=limits) as one:
        port = port_of(one.addresses[0])
        with trio.fail_after(WAIT_S):
            async with trio.open_nursery() as nursery:
                silent = [await trio.open_tcp_stream("127.0.0.1", port) for _ in range(2)]
                while one.gate.figures()["handshakes"] < 2:  # noqa: ASYNC110
                    await trio.sleep(0.02)
                third = await trio.open_tcp_stream("127.0.0.1", port)
                with pytest.raises(trio.BrokenResourceError):
                    assert await third.receive_some(1) == b""
                    await third.send_all(b"x")
                    await trio.sleep(0.1)
                    await third.send_all(b"x")
                for each in (*silent, third):
                    await each.aclose()
                nursery.cancel_scope.cancel()


def test_a_websocket_has_a_port_of_its_own() -> None:
    refuse_shared_ports(["/ip4/0.0.0.0/tcp/1", "/ip6/::/tcp/1", "/ip4/0.0.0.0/tcp/2/ws", PLAIN])
    with pytest.raises(LocalProtocolError, match="port of its own"):
        refuse_shared_ports(["/ip4/0.0.0.0/tcp/1", "/ip4/127.0.0.1/tcp/1/ws"])


class Below:
    """A TCP stream in memory, as libp2p wraps it."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream

    async def read(self, count: int) -> bytes:
        try:
            return await self._stream.receive_some(count)
        except trio.BrokenResourceError:
            return b""

    async def write(self, data: bytes) -> None:
        await self._stream.send_all(data)

    async def close(self) -> None:
        await self._stream.aclose()


def pair() -> tuple[WebSocket, WebSocket]:
    one, other = trio.testing.memory_stream_pair()
    return WebSocket(Below(one), "example"), WebSocket(Below(other))


@given(
    chunks=st.lists(st.binary(min_size=1, max_size=200_000), max_size=6), size=st.integers(1, 9999)
)
def test_bytes_come_out_as_they_went_in(chunks, size) -> None:
    async def main() -> None:
        client, server = pair()

        async def send() -> None:
            await client.open()
            for chunk in chunks:
                await client.write(chunk)
            await client.close()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send)
            await server.open()
            got = b""
            while data := await server.read(size):
                assert len(data) <= size
                got += data
            assert got == b"".join(chunks)

    trio.run(main)


@given(st.binary(max_size=400) | st.binary(max_size=200).map(lambda tail: OPENING + tail))
def test_any_bytes_open_a_websocket_or_fail_as_they_should(data) -> None:
    async def main() -> None:
        one, other = trio.testing.memory_stream_pair()
        server = WebSocket(Below(other))
        await one.send_all(data)
        await one.send_eof()
        try:
            await server.open()
            while await server.read(1000):
                pass
        except WebSocketError:
            pass

    trio.run(main)


OPENING = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


async def test_js_libp2p_reaches_us_over_a_websocket_and_we_reach_it() -> None:
    listen = "/ip4/127.0.0.1/tcp/0/ws"
    async with (
        open_js_peer("interop", "ws", listen=listen) as js,
        open_test_host(PLAIN, listen) as ours,
        open_test_host() as other,
    ):
        ours.serve("/interop/1", reverse, streams_max=8)
        with trio.fail_after(WAIT_S):
            assert await js.exchange(sockets(ours)[0], b"stressed") == [b"desserts"]
            await other.connect([each for each in await js("addresses") if "/ws" in each])
            assert await other.request(js.peer_id, "/interop/1", b"stressed") == b"desserts"
