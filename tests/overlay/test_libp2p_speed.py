"""Fewer calls for each byte, and nothing lost by it."""

import time

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from libp2p.io import msgio  # noqa: TID251  (what is replaced)
from libp2p.io.exceptions import IncompleteReadError  # noqa: TID251
from libp2p.security.secure_session import SecureSession  # noqa: TID251

from overlay import DhtConfig, HostConfig, Stream, generate_identity, open_host
from overlay._libp2p_speed import Held, install_speed_fixes

OPENS, IS_OPEN = b"\0\x01\0\x01", b"\0\x01\0\x02"
LOOPBACK = ("/ip4/127.0.0.1/tcp/0",)


def open_test_host():
    config = HostConfig(
        listen_addresses=LOOPBACK, network="test", dht=DhtConfig(explore_interval_s=0)
    )
    return open_host(config, generate_identity(), clock=time.time)  # noqa: TID251


async def echo(stream: Stream) -> None:
    while True:
        await stream.send(await stream.receive())


class Pieces:
    """A reader that hands out what it is given, a piece at a time."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = list(pieces)

    async def read(self, n: int) -> bytes:
        await trio.lowlevel.checkpoint()
        if not self._pieces:
            return b""
        piece = self._pieces.pop(0)
        if len(piece) > n:
            self._pieces.insert(0, piece[n:])
        return piece[:n]


@given(st.binary(max_size=50), st.lists(st.one_of(st.none(), st.integers(1, 9)), max_size=60))
def test_what_is_held_comes_out_once_and_in_order(data: bytes, sizes: list[int | None]) -> None:
    held, out = Held(), []
    held.put(data)
    for size in [*sizes, None]:
        out.append(held.take(size))
        assert size is None or len(out[-1]) <= size
    assert b"".join(out) == data
    assert not held


@pytest.mark.parametrize("pieces", [[b"abcdef"], [b"a", b"bcd", b"ef"], [b"abcdefghi"]])
async def test_exactly_so_many_bytes_are_read(pieces) -> None:
    install_speed_fixes()
    assert await msgio.read_exactly(Pieces(pieces), 6) == b"abcdef"


async def test_an_end_in_the_middle_is_told_at_once() -> None:
    install_speed_fixes()
    with pytest.raises(IncompleteReadError) as caught:
        await msgio.read_exactly(Pieces([b"abc"]), 6)
    assert caught.value.received_bytes == 3
    with pytest.raises(IncompleteReadError) as caught:
        await msgio.read_exactly(Pieces([]), 6)
    assert caught.value.is_clean_close


async def test_a_hundred_partial_reads_are_no_failure() -> None:
    install_speed_fixes()
    assert await msgio.read_exactly(Pieces([b"x"] * 300), 300) == b"x" * 300


async def test_frames_of_every_size_around_a_noise_message_come_whole() -> None:
    async with open_test_host() as server, open_test_host() as client:
        server.serve("/echo/1", echo, streams_max=8)
        await client.connect(server.addresses)
        stream = await client.open_stream(server.peer_id, "/echo/1")
        for size in (0, 1, 65_500, 65_503, 65_519, 65_536, 131_026, 131_027, 400_000):
            body = bytes([size % 251]) * size
            with trio.fail_after(20):
                await stream.send(body)
                assert await stream.receive() == body


async def test_a_write_that_is_cancelled_takes_no_other_streams_opening_with_it() -> None:
    async with open_test_host() as server, open_test_host() as client:
        server.serve("/echo/1", echo, streams_max=64)
        await client.connect(server.addresses)
        stream = await client.open_stream(server.peer_id, "/echo/1")
        for turn in range(30):
            with trio.move_on_after(0.0005 * (turn % 3)):
                cancelled = await client.open_stream(server.peer_id, "/echo/1")
                await cancelled.send(bytes(100_000))
        with trio.fail_after(20):
            await stream.send(b"still here")
            assert await stream.receive() == b"still here"
            fresh = await client.open_stream(server.peer_id, "/echo/1")
            await fresh.send(b"and new ones")
            assert await fresh.receive() == b"and new ones"


async def test_a_new_stream_costs_one_write_of_each_side_before_the_first_word(monkeypatch) -> None:
    writes: list[bytes] = []
    async with open_test_host() as server, open_test_host() as client:
        server.serve("/echo/1", echo, streams_max=8)
        await client.connect(server.addresses)
        await (await client.open_stream(server.peer_id, "/echo/1")).reset()
        await trio.sleep(0.3)
        encrypt = SecureSession.write

        async def noted(self, data: bytes) -> None:
            writes.append(data)
            await encrypt(self, data)

        monkeypatch.setattr(SecureSession, "write", noted)
        await client.open_stream(server.peer_id, "/echo/1")
    greeting, name = b"\x13/multistream/1.0.0\n", b"/cocoon/test/echo/1\n"
    asked, answered = writes[:2]
    assert greeting in asked
    assert name in asked
    assert asked.startswith(OPENS)
    assert greeting in answered
    assert name in answered
    assert answered.startswith(IS_OPEN)
