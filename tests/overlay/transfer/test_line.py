"""A line carries each frame once over as many connections as it takes, or says that it cannot."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from overlay import PeerId, PeerUnavailable, RemoteProtocolError
from overlay._memory_stream import MemoryStream, stream_pair
from overlay.errors import StreamClosed
from overlay.rpc.frame import HEADER_BYTES
from overlay.rpc.stream import FrameStream
from overlay.transfer.line import RETURN_COST_S, Line

PATIENCE_S = 10.0
HELLO_BYTES = 8


@dataclass
class CutAfter:
    """A byte stream that breaks on both sides once *left* bytes were written to it."""

    inner: MemoryStream
    left: float

    def __getattr__(self, name: str):
        return getattr(self.inner, name)

    async def write(self, data: bytes) -> None:
        if len(data) > self.left:
            await self.inner.write(data[: int(self.left)])
            await trio.testing.wait_all_tasks_blocked()  # what was written arrives
            self.inner.break_off()
            raise PeerUnavailable("cut")
        self.left -= len(data)
        await self.inner.write(data)


@dataclass
class Wire:
    """A requester's line and a provider's; each connection is cut after so many bytes."""

    cuts: list[float]
    opened: int = 0
    provider: Line | None = None
    served: list[FrameStream] = field(default_factory=list)
    refuses: Callable[[], bool] = lambda: False

    def connect(self) -> tuple[FrameStream, FrameStream]:
        ours, theirs = stream_pair(PeerId("requester"), PeerId("provider"), 0)
        cut = self.cuts[self.opened] if self.opened < len(self.cuts) else float("inf")
        self.opened += 1
        ends = CutAfter(ours, cut), theirs
        return tuple(FrameStream(end, inbound=False, linger=lambda _: None) for end in ends)

    def open(self, nursery: trio.Nursery, patience_s: float = PATIENCE_S) -> tuple[Line, Line]:
        ours, theirs = self.connect()
        requester, self.provider = Line(ours), Line(theirs)

        async def dial() -> FrameStream:
            await trio.lowlevel.checkpoint()
            if self.refuses():
                raise PeerUnavailable("nobody answers")
            ours, theirs = self.connect()
            nursery.start_soon(self._serve, theirs)
            return ours

        async def greet(stream: FrameStream, received: int) -> int:
            await stream.send(received.to_bytes(HELLO_BYTES))
            return int.from_bytes(await stream.receive())

        requester.begin(patience_s, dial=dial, greet=greet)
        self.provider.begin(patience_s)
        return requester, self.provider

    async def _serve(self, stream: FrameStream) -> None:
        """What a provider's handler does with a stream on which its peer comes back."""
        self.served.append(stream)

        async def greet(stream: FrameStream, received: int) -> int:
            await stream.send(received.to_bytes(HELLO_BYTES))
            return came

        try:
            came = int.from_bytes(await stream.receive())
            if await self.provider.adopt(stream, greet):
                await self.provider.replaced(stream)
        except PeerUnavailable:
            pass


async def send_all(line: Line, frames: list[bytes]) -> None:
    for frame in frames:
        await line.send(frame)


async def take(line: Line, count: int) -> list[bytes]:
    return [await line.receive() for _ in range(count)]


def run(main, *args):
    return trio.run(main, *args, clock=trio.testing.MockClock(autojump_threshold=0))


FRAMES = st.lists(st.binary(max_size=40), max_size=12)


@settings(deadline=None, max_examples=150)
@given(FRAMES, FRAMES, st.lists(st.integers(0, 120), max_size=6))
def test_cut_at_any_byte_all_comes_once_and_in_order_both_ways(there, back, cuts) -> None:
    async def main() -> None:
        with trio.fail_after(200):
            async with trio.open_nursery() as nursery:
                requester, provider = Wire(cuts).open(nursery, patience_s=100)
                nursery.start_soon(send_all, requester, there)
                nursery.start_soon(send_all, provider, back)
                came = []

                async def listen() -> None:  # it dials again for as long as it listens
                    while True:
                        came.append(await requester.receive())

                nursery.start_soon(listen)
                assert await take(provider, len(there)) == there
                while len(came) < len(back):  # noqa: ASYNC110  (in virtual time)
                    await trio.sleep(0.1)
                assert came == back
                nursery.cancel_scope.cancel()

    run(main)


async def test_only_what_did_not_come_is_sent_again(autojump_clock) -> None:
    frames = [bytes([n]) * 100 for n in range(10)]
    framed = 100 + HEADER_BYTES
    async with trio.open_nursery() as nursery:
        wire = Wire([5 * framed + 7])
        requester, provider = wire.open(nursery)
        nursery.start_soon(send_all, requester, frames)
        assert await take(provider, 10) == frames
        assert wire.opened == 2
        second = requester._stream._raw
        assert isinstance(second, CutAfter)
        nursery.cancel_scope.cancel()


async def test_a_side_that_does_not_see_the_cut_follows_its_peer_to_the_new_stream(
    autojump_clock,
) -> None:
    async with trio.open_nursery() as nursery:
        wire = Wire([])
        requester, provider = wire.open(nursery)
        await requester.send(b"one")
        assert await provider.receive() == b"one"
        nursery.start_soon(provider.send, b"answer")
        await trio.testing.wait_all_tasks_blocked()
        requester._lose(requester._stream, PeerUnavailable("the link went dark on our side"))
        nursery.start_soon(requester.send, b"two")
        assert await provider.receive() == b"two"
        assert await requester.receive() == b"answer", "what the old stream had is not lost"
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("side", [0, 1])
async def test_nobody_who_comes_back_ends_the_line_after_its_patience(autojump_clock, side) -> None:
    async with trio.open_nursery() as nursery:
        wire = Wire([0], refuses=lambda: True)
        lines = wire.open(nursery)
        lines[0]._stream._raw.break_off()
        began_s = trio.current_time()
        with pytest.raises(PeerUnavailable, match="not restored in time"):
            await lines[side].receive()
        assert trio.current_time() - began_s == PATIENCE_S
        assert lines[side].over


@pytest.mark.parametrize(("lasted_s", "waits_s"), [(0, 2), (3, 3), (50, PATIENCE_S)])
async def test_a_line_waits_for_as_long_as_it_has_lasted(autojump_clock, lasted_s, waits_s) -> None:
    _, theirs = Wire([]).connect()
    line = Line(theirs)
    line.begin(PATIENCE_S, first_s=2)
    await trio.sleep(lasted_s)
    theirs._raw.break_off()
    with pytest.raises(PeerUnavailable):
        await line.receive()
    assert trio.current_time() == lasted_s + waits_s


async def test_patience_is_for_all_losses_together(autojump_clock) -> None:
    async with trio.open_nursery() as nursery:
        wire = Wire([])
        requester, provider = wire.open(nursery, patience_s=3 * RETURN_COST_S)
        for number in range(3):
            requester._stream._raw.break_off()
            await requester.send(b"%d" % number)
            await requester.until_up()
            assert await provider.receive() == b"%d" % number
        requester._stream._raw.break_off()
        for line in (requester, provider):
            with pytest.raises(PeerUnavailable):
                await line.receive()
        nursery.cancel_scope.cancel()


async def test_a_peer_that_leaves_in_order_is_not_waited_for(autojump_clock) -> None:
    async with trio.open_nursery() as nursery:
        requester, provider = Wire([]).open(nursery)
        await requester.send(b"bye")
        await requester.aclose()
        assert await provider.receive() == b"bye"
        with pytest.raises(StreamClosed):
            await provider.receive()
        assert trio.current_time() == 0


async def test_before_it_begins_a_line_ends_with_its_stream(autojump_clock) -> None:
    ours, theirs = Wire([]).connect()
    requester, provider = Line(ours), Line(theirs)
    await requester.send(b"hello")
    assert await provider.receive() == b"hello"
    ours._raw.break_off()
    for line in (requester, provider):
        with pytest.raises(PeerUnavailable, match=r"^the peer is gone"):
            await line.receive()
    assert provider.over


async def test_a_peer_that_claims_more_than_was_sent_is_not_followed(autojump_clock) -> None:
    async with trio.open_nursery() as nursery:
        requester, provider = Wire([]).open(nursery)
        await provider.send(b"one")

        async def greet(_stream, _received: int) -> int:
            await trio.lowlevel.checkpoint()
            return 2

        _, theirs = Wire([]).connect()
        assert not await provider.adopt(theirs, greet)
        assert isinstance(provider._loss, RemoteProtocolError)
        nursery.start_soon(requester.receive)
        nursery.start_soon(requester.send, b"two")
        assert await provider.receive() == b"two", "the honest peer comes back all the same"
        nursery.cancel_scope.cancel()


async def test_time_without_a_connection_does_not_count(autojump_clock) -> None:
    async with trio.open_nursery() as nursery:
        wire = Wire([], refuses=lambda: trio.current_time() < 6)
        requester, provider = wire.open(nursery)
        with provider.patient(5) as scope:
            await trio.sleep(2)
            requester._stream._raw.break_off()
            nursery.start_soon(requester.receive)
            nursery.start_soon(provider.receive)
            await trio.sleep(0.1)
            assert provider.away
            await provider.until_up()
            back_s = trio.current_time()
            await trio.sleep_forever()
        assert scope.cancelled_caught
        assert back_s > 6
        assert trio.current_time() - back_s == pytest.approx(3)
        nursery.cancel_scope.cancel()


async def test_what_the_greeting_raises_reaches_all_who_wait(autojump_clock) -> None:
    class Gone(Exception):
        pass

    async def greet(_stream, _received: int) -> int:
        raise Gone

    ours, _ = Wire([]).connect()
    line = Line(ours)

    async def dial() -> FrameStream:
        await trio.sleep(1)
        return Wire([]).connect()[0]

    line.begin(PATIENCE_S, dial=dial, greet=greet)
    ours._raw.break_off()
    ended = []

    async def wait(call: Callable) -> None:
        try:
            await call()
        except Gone:
            ended.append(call)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait, line.receive)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(wait, line.until_up)
    assert len(ended) == 2
    assert trio.current_time() == 1


class Held:
    """A stream that holds up what goes over it until it is told, whoever cancels."""

    peer_id, prefix = PeerId("requester"), ""

    def __init__(self, *frames: bytes, holds: bool = False) -> None:
        self.frames = list(frames)
        self.sent: list[bytes] = []
        self.free = trio.Event()
        if not holds:
            self.free.set()

    async def send(self, body: bytes) -> None:
        await self.free.wait()
        self.sent.append(body)

    async def receive(self) -> bytes:
        with trio.CancelScope(shield=True):  # a frame that is there is not lost to a cancellation
            await self.free.wait()
        return self.frames.pop(0) if self.frames else await trio.sleep_forever()

    async def reset(self) -> None:
        await trio.lowlevel.checkpoint()


async def none_came(stream: Held, received: int) -> int:
    await stream.send(b"%d came" % received)
    return 0


async def test_a_frame_that_an_old_connection_brings_too_late_is_not_taken(autojump_clock) -> None:
    old, new = Held(b"one", holds=True), Held(b"one")
    line = Line(old)
    line.begin(PATIENCE_S)
    came = []

    async def take_two() -> None:
        came.append(await line.receive())
        came.append(await line.receive())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(take_two)
        await trio.testing.wait_all_tasks_blocked()
        assert await line.adopt(new, none_came)
        assert new.sent == [b"0 came"]
        old.free.set()
        await trio.testing.wait_all_tasks_blocked()
        assert came == [b"one"], "it was sent again, as we said that it had not come"
        nursery.cancel_scope.cancel()


async def test_frames_that_wait_while_the_connection_changes_are_sent_once(autojump_clock) -> None:
    line, new = Line(Held(holds=True)), Held()
    line.begin(PATIENCE_S)
    async with trio.open_nursery() as nursery:
        for frame in (b"a", b"b", b"c"):
            nursery.start_soon(line.send, frame)
        await trio.testing.wait_all_tasks_blocked()
        assert await line.adopt(new, none_came)
    assert sorted(new.sent) == [b"0 came", b"a", b"b", b"c"]
    assert new.sent[0] == b"0 came"


async def test_a_newer_connection_replaces_one_that_is_stuck_in_its_greeting(
    autojump_clock,
) -> None:
    line, stuck, new = Line(Held()), Held(holds=True), Held()
    line.begin(PATIENCE_S)
    adopted = []

    async def adopt(stream: Held) -> None:
        adopted.append((stream, await line.adopt(stream, none_came)))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(adopt, stuck)
        nursery.start_soon(line.replaced, stuck)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(adopt, new)
    assert sorted(adopted, key=lambda each: each[1]) == [(stuck, False), (new, True)]
    assert new.sent == [b"0 came"]
