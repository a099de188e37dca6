"""Streams of frames against peers that stall, cheat or leave."""

import pytest
import trio
from trio.testing import MockClock

from overlay import LocalProtocolError, PeerUnavailable, RemoteProtocolError, StreamClosed
from overlay._memory_stream import WINDOW_BYTES, MemoryStream, stream_pair
from overlay.ids import PeerId
from overlay.rpc.frame import encode_frame
from overlay.rpc.stream import FIRST_FRAME_S, LINGER_S, STALL_S, FrameStream, linger

OURS, THEIRS = PeerId("ours"), PeerId("theirs")


def served(lingering: list | None = None) -> tuple[FrameStream, MemoryStream]:
    """An inbound stream of ours, and the raw bytes of the peer that opened it."""
    theirs, ours = stream_pair(THEIRS, OURS, 0.0)
    take_over = lingering.append if lingering is not None else lambda _raw: None
    return FrameStream(ours, inbound=True, linger=take_over), theirs


async def test_an_inbound_stream_without_a_first_frame_is_reset(autojump_clock: MockClock) -> None:
    stream, theirs = served()
    start = trio.current_time()
    with pytest.raises(RemoteProtocolError):
        await stream.receive()
    assert trio.current_time() - start == pytest.approx(FIRST_FRAME_S)
    with pytest.raises(PeerUnavailable):
        await theirs.read(1)


async def test_silence_between_frames_is_nobodys_fault(autojump_clock: MockClock) -> None:
    stream, theirs = served()
    await theirs.write(encode_frame(b"first"))
    assert await stream.receive() == b"first"
    with trio.move_on_after(3600) as hour:
        await stream.receive()
    assert hour.cancelled_caught
    await theirs.write(encode_frame(b"second"))
    assert await stream.receive() == b"second"


async def test_an_outbound_stream_may_wait_long_for_its_answer(autojump_clock: MockClock) -> None:
    ours, theirs = stream_pair(OURS, THEIRS, 0.0)
    stream = FrameStream(ours, inbound=False, linger=lambda _raw: None)
    async with trio.open_nursery() as nursery:

        async def answer() -> None:
            await trio.sleep(100 * FIRST_FRAME_S)
            await theirs.write(encode_frame(b"at last"))

        nursery.start_soon(answer)
        assert await stream.receive() == b"at last"


async def test_a_frame_that_stalls_is_the_peers_fault(autojump_clock: MockClock) -> None:
    stream, theirs = served()
    await theirs.write(encode_frame(b"whole") + encode_frame(b"half")[:5])
    assert await stream.receive() == b"whole"
    start = trio.current_time()
    with pytest.raises(RemoteProtocolError):
        await stream.receive()
    assert trio.current_time() - start == pytest.approx(STALL_S)


async def test_a_byte_every_nine_seconds_is_too_slow(autojump_clock: MockClock) -> None:
    stream, theirs = served()

    async def drip() -> None:
        for index in range(1000):
            await theirs.write(encode_frame(bytes(16 * 1024))[index : index + 1])
            await trio.sleep(STALL_S - 1)

    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(drip)
        with pytest.raises(RemoteProtocolError):
            await stream.receive()
        nursery.cancel_scope.cancel()
    assert trio.current_time() - start < 3 * STALL_S


async def test_a_truncated_frame_is_the_peers_fault(autojump_clock: MockClock) -> None:
    stream, theirs = served()
    await theirs.write(encode_frame(b"half")[:6])
    await theirs.finish()
    with pytest.raises(RemoteProtocolError):
        await stream.receive()


async def test_an_end_at_a_boundary_is_orderly(autojump_clock: MockClock) -> None:
    stream, theirs = served()
    await theirs.write(encode_frame(b"all"))
    await theirs.finish()
    assert await stream.receive() == b"all"
    for _ in range(2):
        with pytest.raises(StreamClosed):
            await stream.receive()


async def test_closing_after_a_cancelled_send_is_a_reset(autojump_clock: MockClock) -> None:
    stream, theirs = served()
    with trio.move_on_after(1):
        await stream.send(bytes(2 * WINDOW_BYTES))
    with pytest.raises(LocalProtocolError):
        await stream.send(b"more")
    await stream.aclose()
    with pytest.raises(PeerUnavailable):
        await theirs.read(1)


async def test_a_closed_stream_lingers_until_the_peer_ends_too(autojump_clock: MockClock) -> None:
    lingering: list = []
    stream, theirs = served(lingering)
    await stream.send(b"goodbye")
    await stream.aclose()
    await stream.aclose()
    [raw] = lingering
    async with trio.open_nursery() as nursery:
        nursery.start_soon(linger, raw)
        await trio.sleep(1)
        await theirs.write(b"still talking")
        assert await theirs.read(100) == encode_frame(b"goodbye")
        assert await theirs.read(100) == b""
        await theirs.finish()
        start = trio.current_time()
    assert trio.current_time() - start < 1


async def test_lingering_is_bounded_in_time(autojump_clock: MockClock) -> None:
    lingering: list = []
    stream, theirs = served(lingering)
    await stream.aclose()
    start = trio.current_time()
    await linger(lingering[0])
    assert trio.current_time() - start == pytest.approx(LINGER_S)
    with pytest.raises(PeerUnavailable):
        await theirs.write(b"x")
