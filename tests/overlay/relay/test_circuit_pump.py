"""What flows through a circuit, in virtual time and without a network."""

from collections import Counter

import trio
from trio.testing import MockClock

from overlay.errors import PeerUnavailable
from overlay.ids import PeerId
from overlay.relay.server import IDLE_S, _pump_both


class Pipe:
    """One end of a circuit: reads what the test put in, keeps what is written."""

    def __init__(self) -> None:
        self.peer_id = PeerId("A")
        self.feed, self._source = trio.open_memory_channel[bytes](100)
        self.written = bytearray()
        self.finished = False

    async def read(self, bytes_max: int) -> bytes:
        try:
            data = await self._source.receive()
        except trio.EndOfChannel:
            return b""
        if data == b"gone":
            raise PeerUnavailable("gone")
        assert len(data) <= bytes_max
        return data

    async def write(self, data: bytes) -> None:
        await trio.lowlevel.checkpoint()
        self.written += data

    async def finish(self) -> None:
        await trio.lowlevel.checkpoint()
        self.finished = True

    async def reset(self) -> None:
        await trio.lowlevel.checkpoint()


async def test_bytes_flow_both_ways_until_both_ends_finish(autojump_clock: MockClock) -> None:
    one, other = Pipe(), Pipe()
    one.feed.send_nowait(b"ping")
    other.feed.send_nowait(b"pong")
    one.feed.close()
    other.feed.close()
    await _pump_both(one, other, 1000, Counter())
    assert (other.written, one.written) == (b"ping", b"pong")
    assert one.finished
    assert other.finished
    assert trio.current_time() < 1


async def test_a_half_closed_circuit_still_carries_the_answer(autojump_clock: MockClock) -> None:
    one, other = Pipe(), Pipe()
    one.feed.send_nowait(b"question")
    one.feed.close()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_pump_both, one, other, 1000, Counter())
        await trio.sleep(60)
        assert other.finished
        other.feed.send_nowait(b"answer")
        other.feed.close()
    assert one.written == b"answer"


async def test_a_circuit_ends_when_one_end_is_gone(autojump_clock: MockClock) -> None:
    one, other = Pipe(), Pipe()
    one.feed.send_nowait(b"gone")
    await _pump_both(one, other, 1000, Counter())
    assert trio.current_time() < 1


async def test_a_silent_circuit_is_cut(autojump_clock: MockClock) -> None:
    one, other = Pipe(), Pipe()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_pump_both, one, other, 1000, Counter())
        await trio.sleep(IDLE_S - 1)
        one.feed.send_nowait(b"a")
    assert other.written == b"a"
    assert trio.current_time() == 2 * IDLE_S - 1


async def test_no_more_than_the_limit_passes(autojump_clock: MockClock) -> None:
    one, other = Pipe(), Pipe()
    for _ in range(10):
        one.feed.send_nowait(b"x" * 10)
    await _pump_both(one, other, 50, Counter())
    assert len(other.written) == 50
