"""Who may hold how much of what we serve: for a peer, a prefix, a protocol and in all."""

import pytest
import trio

from overlay._memory_stream import stream_pair
from overlay.ids import PeerId
from overlay.limits.budget import Ceiling, LimitsConfig
from overlay.limits.gate import Gate
from overlay.rpc.service import StreamServer, shares_of

PREFIX = "8.8.8.0/24"


class Served:
    """A protocol whose handler never ends, and a count of who got in."""

    def __init__(self, nursery: trio.Nursery, gate: Gate, streams_max: int) -> None:
        self.nursery = nursery
        self.running = 0
        self.server = StreamServer(
            "/wait/1",
            self._wait,
            streams_max=streams_max,
            linger=lambda _raw: None,
            gate=gate,
            needs_ticket=False,
        )

    async def _wait(self, _stream: object) -> None:
        self.running += 1
        try:
            await trio.sleep_forever()
        finally:
            self.running -= 1

    async def open(self, peer: str, count: int, prefix: str = PREFIX) -> int:
        """Open streams of *peer*; return how many are served."""
        before = self.running
        for _ in range(count):
            _, raw = stream_pair(PeerId(peer), PeerId("us"), 0.0)
            raw.prefix = prefix
            self.nursery.start_soon(self.server.handle, raw)
        await trio.testing.wait_all_tasks_blocked()
        return self.running - before


def gate(**ceilings: Ceiling) -> Gate:
    return Gate(LimitsConfig(**ceilings), lambda: 0.0, bytes(16))


async def test_nobody_holds_all_streams_of_a_protocol(autojump_clock) -> None:
    async with trio.open_nursery() as nursery:
        served = Served(nursery, one := gate(), 32)
        assert await served.open("a", 40) == 16
        assert await served.open("b", 40) == 8, "its prefix has three quarters"
        assert await served.open("c", 40, "9.9.9.0/24") == 8
        assert one.refused["streams of one protocol: peer"] == 24
        assert one.figures()["work"] == 32
        nursery.cancel_scope.cancel()
    assert one.figures()["work"] == 0


async def test_a_small_number_of_streams_is_not_shared_out(autojump_clock) -> None:
    async with trio.open_nursery() as nursery:
        served = Served(nursery, gate(), 4)
        assert await served.open("a", 9) == 4
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("work", "counts"),
    [
        (Ceiling(100, 100, 3), [3, 3, 3]),
        (Ceiling(100, 5, 3), [3, 2, 0]),
        (Ceiling(4, 100, 3), [3, 1, 0]),
    ],
)
async def test_pending_work_is_limited_over_all_protocols(autojump_clock, work, counts) -> None:
    async with trio.open_nursery() as nursery:
        one = gate(work=work)
        several = [Served(nursery, one, 8) for _ in range(2)]
        got = [await several[0].open(peer, 2) + await several[1].open(peer, 2) for peer in "abc"]
        assert got == counts
        nursery.cancel_scope.cancel()
    assert one.figures()["work"] == 0


@pytest.mark.parametrize("streams_max", [1, 15, 16, 17, 64, 2000])
def test_shares_leave_room_for_others(streams_max: int) -> None:
    share = shares_of(streams_max)
    assert 1 <= share.peer <= share.prefix <= share.total == streams_max
    assert share.peer < share.prefix < share.total or streams_max < 16
